package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
)

// Verification is what a campaign has reached, and what it has not.
type Verification struct {
	Campaign CampaignRow   `json:"campaign"`
	Title    manifest.Text `json:"title"` // of the procedure
	Zone     string        `json:"zone"`
	At       time.Time     `json:"at"`  // when this was read
	Due      time.Time     `json:"due"` // until then the devices are watched; from then on it can be signed
	// Total counts each device once, by the worst that came of the content and
	// of each amendment; Rings count what they were given.
	Total Numbers `json:"total"`
	// Proven are the devices of Total that are done and proven with all they were
	// given: probes green and in use since. Null until somebody has looked.
	Proven      *int64          `json:"proven"`
	Rings       []CoverageRing  `json:"rings"`
	Departments []CoverageLine  `json:"departments"` // by the tag, at most 200 of each
	Sites       []CoverageLine  `json:"sites"`
	Systems     []CoverageLine  `json:"systems"`
	Reasons     []MissingReason `json:"reasons"`   // why devices are missing, the most frequent first
	SignOffs    []SignOffSlot   `json:"sign_offs"` // that closing waits for
	Signable    bool            `json:"signable"`  // now
	Missing     []fault.Reason  `json:"missing"`   // what stands in the way of closing
	CatchUps    []CampaignRef   `json:"catch_ups"` // emergencies for what it left undone
	OpenTasks   int64           `json:"open_tasks"`
}

// CoverageRing is one ring of the content (amendment 0) or of an amendment.
type CoverageRing struct {
	Amendment int64   `json:"amendment"`
	Position  int64   `json:"position"`
	Ring      string  `json:"ring"`
	State     string  `json:"state"`
	Numbers   Numbers `json:"numbers"`
	Proven    *int64  `json:"proven" doc:"devices, of those expected; null until somebody has looked"`
}

// CoverageLine is the devices that share a value; empty: those without one.
type CoverageLine struct {
	Value   string  `json:"value"`
	Numbers Numbers `json:"numbers"`
	Proven  int64   `json:"proven" doc:"devices; means nothing while that of all is null"`
}

// MissingReason is how many devices are missing for one reason.
type MissingReason struct {
	Bucket  string     `json:"bucket"`
	Code    fault.Code `json:"code"`
	Devices int64      `json:"devices"`
}

// Dimensions of a coverage, beside the ring.
const (
	ByRing       = "ring"
	ByDepartment = "department"
	BySite       = "site"
	BySystem     = "system"
)

// MissingQuery chooses devices that a campaign has not brought to its content.
type MissingQuery struct {
	Paging
	Campaign string // id
	Bucket   string // failed, not_reached, unreachable; empty: all three
	By       string // ring, department, site or system; empty: everywhere
	Value    string // of By; empty: those without one
}

// MissingDevice is a device that is missing, once for the content and once for
// each amendment that it lacks.
type MissingDevice struct {
	Device     DeviceRef     `json:"device"`
	Amendment  int64         `json:"amendment"`
	Ring       string        `json:"ring"`
	Department string        `json:"department,omitempty"`
	Site       string        `json:"site,omitempty"`
	System     string        `json:"system,omitempty"`
	Bucket     string        `json:"bucket"`
	Reason     *fault.Reason `json:"reason,omitempty"`
	Next       time.Time     `json:"next,omitzero"` // attempt; none: somebody has to act
	Seen       time.Time     `json:"seen,omitzero"`
	Updated    time.Time     `json:"updated"`
}

// MissingPage is a page of them.
type MissingPage = Page[MissingDevice]

// MissingBuckets are those of the five numbers that are missing.
func MissingBuckets() []string {
	return []string{string(campaign.Failed), string(campaign.NotReached), string(campaign.Unreachable)}
}

// Verification reads how far a campaign has come. Unlike a board it counts the
// devices: nobody keeps the five numbers by site.
func (r *Reader) Verification(ctx context.Context, tenant fleet.TenantID, id string) (Verification, error) {
	row, err := one(ctx, r, ask("campaign", campaignHead+" WHERE c.tenant = $1 AND c.id = $2", tenant, id), id, scanCampaign)
	if err != nil {
		return Verification{}, err
	}
	p, err := r.procedureOf(ctx, tenant, row)
	if err != nil {
		return Verification{}, err
	}
	v := Verification{Campaign: row, Title: p.Title, At: r.now(), Due: row.Verification, Rings: []CoverageRing{}}
	if p.Zone != nil {
		v.Zone = p.Zone.String()
	}
	rings, e1 := all(ctx, r, ask("rings", ringHead+" WHERE g.tenant = $1 AND g.campaign = $2 ORDER BY g.amendment, g.position", tenant, id), scanRing)
	for _, g := range rings {
		v.Rings = append(v.Rings, CoverageRing{Amendment: g.amendment, Position: g.ring.Position, Ring: g.ring.Ring, State: g.ring.State, Numbers: g.ring.Numbers})
	}
	e2 := errors.Join(r.addProven(ctx, tenant, &v), r.cover(ctx, tenant, &v))
	var e3, e4, e5 error
	v.Reasons, e3 = r.missingReasons(ctx, tenant, id)
	v.CatchUps, e4 = all(ctx, r, ask("catch-ups", `SELECT c.id, c.name FROM campaign_emergency e JOIN campaign c ON c.tenant = e.tenant AND c.id = e.campaign
WHERE e.tenant = $1 AND e.cause = 'missed' AND e.reference = $2 ORDER BY c.id`, tenant, id), scanCampaignRef)
	v.OpenTasks, e5 = r.count(ctx, ask("open tasks", "SELECT count(*) FROM task t WHERE t.tenant = $1 AND t.campaign = $2 AND t.closed_us = 0", tenant, id))
	if err := errors.Join(e1, e2, e3, e4, e5); err != nil {
		return Verification{}, err
	}
	return v, r.addVerificationSignOffs(ctx, tenant, p, &v)
}

func (r *Reader) addVerificationSignOffs(ctx context.Context, tenant fleet.TenantID, p procedure.Procedure, v *Verification) error {
	given, err := r.signOffs(ctx, tenant, v.Campaign.ID)
	if err != nil {
		return err
	}
	held, err := r.heldRoles(ctx, tenant)
	if err != nil {
		return err
	}
	v.SignOffs = slotsOf(p.Verification.SignOffs, 0, campaign.VerificationPosition, given, held)
	decides := campaign.Verification{State: campaign.State(v.Campaign.State), Held: v.Campaign.Held, Sealed: !v.Campaign.Sealed.IsZero(), Rules: p.Verification.SignOffs}
	for _, slot := range v.SignOffs {
		if g := slot.Given; g != nil {
			decides.SignOffs = append(decides.SignOffs, campaign.SignOff{Role: g.Role, Yes: g.Yes, Actor: g.Actor, Comment: g.Comment, At: g.At})
		}
	}
	v.Signable = decides.Signable() && len(v.SignOffs) > 0
	if v.Campaign.Closed.IsZero() {
		v.Missing = decides.Missing()
	}
	v.Missing = orEmpty(v.Missing)
	return nil
}

// coverText counts devices by what they share and by the worst that came of
// them: one pass over the campaign's devices for every table of the page. Nothing
// appended to the device, and the cross join, keep SQLite to this order: to have
// them grouped it would rather walk the devices of every campaign there ever was.
const coverText = `WITH worst AS (
  SELECT x.device || '' AS device, max(CASE x.bucket WHEN 'failed' THEN 5 WHEN 'unreachable' THEN 4 WHEN 'not_reached' THEN 3 WHEN 'exempt' THEN 2 ELSE 1 END) AS grade,
    coalesce(min(e.proven), 0) AS proven
  FROM campaign_device x
  LEFT JOIN device_evidence e ON e.tenant = x.tenant AND e.campaign = x.campaign AND e.amendment = x.amendment AND e.device = x.device
  WHERE x.tenant = $1 AND x.campaign = $2 GROUP BY x.device || '')
SELECT coalesce(dep.value, ''), coalesce(site.value, ''), d.os_name, w.grade, count(*), sum(CASE WHEN w.grade = 1 THEN w.proven ELSE 0 END)
FROM worst w CROSS JOIN device d
LEFT JOIN device_tag dep ON dep.tenant = $1 AND dep.device = w.device AND dep.name = 'department'
LEFT JOIN device_tag site ON site.tenant = $1 AND site.device = w.device AND site.name = 'site'
WHERE d.tenant = $1 AND d.id = w.device GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`

// coverLines bounds each table: what shares less is counted with the rest.
const coverLines = 200

// provenText counts those of the done alone: what went back, or is left out
// since, is no part of what was reached.
const provenText = `SELECT x.amendment, x.position, count(*) FROM campaign_device x
JOIN device_evidence e ON e.tenant = x.tenant AND e.campaign = x.campaign AND e.amendment = x.amendment AND e.device = x.device AND e.proven = 1
WHERE x.tenant = $1 AND x.campaign = $2 AND x.bucket = 'done' GROUP BY x.amendment, x.position`

// addProven reads what was found of each ring: a ring that nobody has looked at
// has no number, which is not none.
func (r *Reader) addProven(ctx context.Context, tenant fleet.TenantID, v *Verification) error {
	type ringKey struct{ amendment, position int64 }
	found := map[ringKey]int64{}
	counted, err := all(ctx, r, ask("proven devices", provenText, tenant, v.Campaign.ID), func(rows *sql.Rows) ([3]int64, error) {
		var n [3]int64
		return n, rows.Scan(&n[0], &n[1], &n[2])
	})
	if err != nil {
		return err
	}
	proven := map[ringKey]int64{}
	for _, n := range counted {
		proven[ringKey{n[0], n[1]}] = n[2]
	}
	_, err = all(ctx, r, ask("looks at rings", `SELECT e.amendment, e.position, e.seen FROM ring_evidence e
WHERE e.tenant = $1 AND e.campaign = $2`, tenant, v.Campaign.ID), func(rows *sql.Rows) (struct{}, error) {
		var key ringKey
		var text string
		var seen campaign.Seen
		if err := rows.Scan(&key.amendment, &key.position, &text); err != nil {
			return struct{}{}, err
		}
		if err := json.Unmarshal([]byte(text), &seen); err != nil {
			return struct{}{}, fmt.Errorf("decode seen: %w", err)
		}
		if seen.Looked {
			found[key] = proven[key]
		}
		return struct{}{}, nil
	})
	for i, g := range v.Rings {
		if n, looked := found[ringKey{g.Amendment, g.Position}]; looked {
			v.Rings[i].Proven = &n
		}
	}
	if len(found) > 0 {
		v.Proven = new(int64)
	}
	return err
}

type coverGroup struct {
	department, site, system string
	grade, devices, proven   int64
}

func (n *Numbers) add(grade, devices int64) {
	switch grade {
	case 5:
		n.Failed += devices
	case 4:
		n.Unreachable += devices
	case 3:
		n.NotReached += devices
	case 2:
		n.Exempt += devices
	default:
		n.Done += devices
	}
}

func (r *Reader) cover(ctx context.Context, tenant fleet.TenantID, v *Verification) error {
	groups, err := all(ctx, r, ask("coverage", coverText, tenant, v.Campaign.ID), func(rows *sql.Rows) (coverGroup, error) {
		var g coverGroup
		return g, rows.Scan(&g.department, &g.site, &g.system, &g.grade, &g.devices, &g.proven)
	})
	if err != nil {
		return err
	}
	for _, g := range groups {
		v.Total.add(g.grade, g.devices)
		if v.Proven != nil {
			*v.Proven += g.proven
		}
	}
	v.Departments = coverBy(groups, func(g coverGroup) string { return g.department })
	v.Sites = coverBy(groups, func(g coverGroup) string { return g.site })
	v.Systems = coverBy(groups, func(g coverGroup) string { return g.system })
	return nil
}

// coverBy sums groups by a value, in its order; those without one come last.
func coverBy(groups []coverGroup, of func(coverGroup) string) []CoverageLine {
	at := map[string]int{}
	out := []CoverageLine{}
	for _, g := range groups {
		value := of(g)
		i, known := at[value]
		if !known {
			i = len(out)
			at[value] = i
			out = append(out, CoverageLine{Value: value})
		}
		out[i].Numbers.add(g.grade, g.devices)
		out[i].Proven += g.proven
	}
	slices.SortStableFunc(out, func(a, b CoverageLine) int {
		if (a.Value == "") != (b.Value == "") {
			return strings.Compare(b.Value, a.Value)
		}
		return strings.Compare(strings.ToLower(a.Value), strings.ToLower(b.Value))
	})
	return out[:min(len(out), coverLines)]
}

// missingReasons reads each device's reason as it is kept, once for each
// different text: the arguments of a reason differ little within a campaign.
func (r *Reader) missingReasons(ctx context.Context, tenant fleet.TenantID, id string) ([]MissingReason, error) {
	type counted struct {
		bucket, reason string
		devices        int64
	}
	rows, err := all(ctx, r, ask("reasons", `SELECT x.bucket, x.reason, count(*) FROM campaign_device x
WHERE x.tenant = $1 AND x.campaign = $2 AND x.bucket IN ('failed', 'not_reached', 'unreachable') GROUP BY 1, 2 ORDER BY 1, 2`, tenant, id), func(rows *sql.Rows) (counted, error) {
		var c counted
		return c, rows.Scan(&c.bucket, &c.reason, &c.devices)
	})
	if err != nil {
		return nil, err
	}
	out := []MissingReason{}
	at := map[[2]string]int{}
	for _, c := range rows {
		var code fault.Code
		if why := reason(c.reason); why != nil {
			code = why.Code
		}
		key := [2]string{c.bucket, string(code)}
		i, known := at[key]
		if !known {
			i = len(out)
			at[key] = i
			out = append(out, MissingReason{Bucket: c.bucket, Code: code})
		}
		out[i].Devices += c.devices
	}
	slices.SortStableFunc(out, func(a, b MissingReason) int { return int(b.Devices - a.Devices) })
	return out, nil
}

const missingHead = `SELECT x.device, d.name, x.amendment, x.position, coalesce(g.ring, ''), coalesce(dep.value, ''), coalesce(site.value, ''), d.os_name,
  x.bucket, x.reason, coalesce(o.next_us, 0), coalesce(o.cause, ''), d.seen_us, x.updated_us
FROM campaign_device x
JOIN device d ON d.tenant = x.tenant AND d.id = x.device
LEFT JOIN campaign_ring g ON g.tenant = x.tenant AND g.campaign = x.campaign AND g.amendment = x.amendment AND g.position = x.position
LEFT JOIN device_tag dep ON dep.tenant = x.tenant AND dep.device = x.device AND dep.name = 'department'
LEFT JOIN device_tag site ON site.tenant = x.tenant AND site.device = x.device AND site.name = 'site'
LEFT JOIN device_order o ON o.tenant = x.tenant AND o.id = x.order_id AND o.state = 'open'`

type missingOfRing struct {
	MissingDevice
	position int64
}

func scanMissing(rows *sql.Rows) (missingOfRing, error) {
	var m missingOfRing
	var why, cause string
	var nextUS, seenUS, updatedUS int64
	err := rows.Scan(&m.Device.ID, &m.Device.Name, &m.Amendment, &m.position, &m.Ring, &m.Department, &m.Site, &m.System,
		&m.Bucket, &why, &nextUS, &cause, &seenUS, &updatedUS)
	m.Reason, m.Seen, m.Updated = reason(why), instant(seenUS), instant(updatedUS)
	if waits := reason(cause); waits != nil {
		m.Reason = waits
	}
	m.Next = earliest(instant(nextUS), promised(m.Reason))
	return m, err
}

// Missing lists the devices that are missing, in the order of the rings. Each
// ring is asked by itself: in the order of an index its missing devices come
// after all that are done.
func (r *Reader) Missing(ctx context.Context, tenant fleet.TenantID, q MissingQuery) (MissingPage, error) {
	after, err := q.cursorFor("missing")
	if err != nil {
		return MissingPage{}, err
	}
	if err := q.check(); err != nil {
		return MissingPage{}, err
	}
	rings, err := r.ringsFrom(ctx, tenant, q, after)
	if err != nil {
		return MissingPage{}, err
	}
	var found []missingOfRing
	for _, at := range rings {
		rows, err := all(ctx, r, q.of(tenant, at, after).list("missing devices", missingHead, "x.bucket, x.device", q.limit()-len(found)), scanMissing)
		if err != nil {
			return MissingPage{}, err
		}
		if found = append(found, rows...); len(found) > q.limit() {
			break
		}
	}
	page := pageOf(found, q.limit(), func(m missingOfRing) cursor {
		return cursor{Sort: "missing", N: m.Amendment*ringsMost + m.position, Text: m.Bucket, ID: string(m.Device.ID)}
	})
	out := MissingPage{Rows: make([]MissingDevice, len(page.Rows)), Next: page.Next}
	for i, m := range page.Rows {
		out.Rows[i] = m.MissingDevice
	}
	return out, nil
}

// check refuses words that choose nothing.
func (q MissingQuery) check() error {
	if q.Bucket != "" {
		if _, err := oneOf("bucket", q.Bucket, MissingBuckets()); err != nil {
			return err
		}
	}
	if q.By != "" {
		if _, err := oneOf("by", q.By, []string{ByRing, ByDepartment, BySite, BySystem}); err != nil {
			return err
		}
	}
	return nil
}

// ringsFrom are the rings to list from, as a cursor numbers them: those of one
// name where it is asked for, from the cursor's on.
func (r *Reader) ringsFrom(ctx context.Context, tenant fleet.TenantID, q MissingQuery, after *cursor) ([]int64, error) {
	var b builder
	b.and("g.tenant = ?", tenant)
	b.and("g.campaign = ?", q.Campaign)
	if q.By == ByRing {
		b.and("g.ring = ?", q.Value)
	}
	if after != nil {
		b.and("(g.amendment, g.position) >= (?, ?)", after.N/ringsMost, after.N%ringsMost)
	}
	return all(ctx, r, b.every("rings", "SELECT g.amendment, g.position FROM campaign_ring g", "g.amendment, g.position"), func(rows *sql.Rows) (int64, error) {
		var amendment, position int64
		err := rows.Scan(&amendment, &position)
		return amendment*ringsMost + position, err
	})
}

// of chooses among the devices of one ring.
func (q MissingQuery) of(tenant fleet.TenantID, ring int64, after *cursor) *builder {
	var b builder
	b.and("x.tenant = ?", tenant)
	b.and("x.campaign = ?", q.Campaign)
	b.and("x.amendment = ?", ring/ringsMost)
	b.and("x.position = ?", ring%ringsMost)
	if q.Bucket == "" {
		b.and("x.bucket IN ('failed', 'not_reached', 'unreachable')")
	} else {
		b.and("x.bucket = ?", q.Bucket)
	}
	switch q.By {
	case ByDepartment:
		b.and("coalesce(dep.value, '') = ?", q.Value)
	case BySite:
		b.and("coalesce(site.value, '') = ?", q.Value)
	case BySystem:
		b.and("d.os_name = ?", q.Value)
	}
	if after != nil && after.N == ring {
		b.and("(x.bucket, x.device) > (?, ?)", after.Text, after.ID)
	}
	return &b
}

// ringsMost is more rings than a procedure can have: a cursor carries the
// amendment and the position in one number.
const ringsMost = 1000
