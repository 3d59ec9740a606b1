package view

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

const patchHead = `SELECT p.id, p.provider, p.name, p.version, p.suite, p.origin, p.class, p.summary, p.first_seen_us, p.download_bytes, p.devices,
  p.severity, p.cves, p.exploited FROM patch p`

func scanPatch(rows *sql.Rows) (PatchRow, error) {
	var p PatchRow
	var seenUS, exploited int64
	var cves string
	err := rows.Scan(&p.ID, &p.Provider, &p.Name, &p.Version, &p.Suite, &p.Origin, &p.Class, &p.Summary, &seenUS, &p.DownloadBytes, &p.Devices,
		&p.Severity, &cves, &exploited)
	p.FirstSeen, p.CVEs, p.Exploited = instant(seenUS), strings.Fields(cves), exploited == 1
	return p, err
}

func (p PatchRow) key() patch.Key {
	return patch.Key{Provider: p.Provider, Name: p.Name, Version: p.Version, Suite: p.Suite}
}

// PatchSorts are the values of PatchQuery.Sort.
func PatchSorts() []string { return []string{"recent", "name", "devices"} }

func patchOrder(sort string) (order, after string) {
	switch sort {
	case "name":
		return "p.provider, p.name, p.id", "(p.provider, p.name, p.id) > (?, ?, ?)"
	case "devices":
		return "p.devices DESC, p.id DESC", "(p.devices, p.id) < (?, ?)"
	}
	return "p.first_seen_us DESC, p.id DESC", "(p.first_seen_us, p.id) < (?, ?)"
}

func (p PatchRow) cursor(sort string) cursor {
	switch sort {
	case "name":
		return cursor{Sort: sort, Provider: p.Provider, Text: p.Name, ID: string(p.ID)}
	case "devices":
		return cursor{Sort: sort, N: p.Devices, ID: string(p.ID)}
	}
	return cursor{Sort: sort, N: p.FirstSeen.UnixMicro(), ID: string(p.ID)}
}

func (c cursor) patchArgs() []any {
	if c.Sort == "name" {
		return []any{c.Provider, c.Text, c.ID}
	}
	return []any{c.N, c.ID}
}

// Patches lists patches.
func (r *Reader) Patches(ctx context.Context, tenant fleet.TenantID, q PatchQuery) (PatchPage, error) {
	sort, err := oneOf("sort", q.Sort, PatchSorts())
	if err != nil {
		return PatchPage{}, err
	}
	after, err := q.cursorFor(sort)
	if err != nil {
		return PatchPage{}, err
	}
	var b builder
	b.and("p.tenant = ?", tenant)
	q.conditions(&b)
	order, behind := patchOrder(sort)
	if after != nil {
		b.and(behind, after.patchArgs()...)
	}
	rows, err := all(ctx, r, b.list("patches", patchHead, order, q.limit()), scanPatch)
	if err != nil {
		return PatchPage{}, err
	}
	page := pageOf(rows, q.limit(), func(p PatchRow) cursor { return p.cursor(sort) })
	return page, r.decide(ctx, tenant, page.Rows)
}

func (q PatchQuery) conditions(b *builder) {
	if q.Text != "" {
		b.and("lower(p.name) LIKE ? ESCAPE '!'", contains(q.Text))
	}
	if q.Class != "" {
		b.and("p.class = ?", q.Class)
	}
	if q.Missing {
		b.and("p.devices > 0")
	}
	if q.Exploited {
		b.and("p.exploited = 1")
	}
	if q.Severity != "" {
		b.and("p.severity = ?", q.Severity)
	}
	if q.Verdict != "" {
		b.and(`EXISTS (SELECT 1 FROM patch_decision d WHERE d.tenant = p.tenant AND d.verdict = ?
  AND d.scope IN (p.id, 'name:' || p.provider || '/' || p.name))`, q.Verdict)
	}
}

// decide adds to each row the decision in force.
func (r *Reader) decide(ctx context.Context, tenant fleet.TenantID, rows []PatchRow) error {
	keys := make([]patch.Key, len(rows))
	for i, p := range rows {
		keys[i] = p.key()
	}
	decided, err := r.decisionsOn(ctx, tenant, keys)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].Decision = decided.inForce(keys[i], r.now())
	}
	return nil
}

// decisions given by hand, by scope.
type decisions map[policy.Scope]Decision

// inForce is the one that decides on the patch, by policy's own rule.
func (d decisions) inForce(key patch.Key, now time.Time) *Decision {
	rules := policy.Rules{Decisions: map[policy.Scope]policy.Decision{}}
	for _, scope := range [...]policy.Scope{policy.ScopeOf(key.ID()), policy.ScopeOfName(key.Provider, key.Name)} {
		if given, ok := d[scope]; ok {
			rules.Decisions[scope] = policy.Decision{Verdict: given.Verdict, Until: given.Until}
		}
	}
	won, ok := d[policy.Scope(rules.ForAll(&policy.Patch{Key: key}, now).Rule)]
	if !ok {
		return nil
	}
	return &won
}

// scopesAtOnce stays well below the parameter limits of both databases.
const scopesAtOnce = 2000

func (r *Reader) decisionsOn(ctx context.Context, tenant fleet.TenantID, keys []patch.Key) (decisions, error) {
	out := decisions{}
	seen := map[policy.Scope]bool{}
	var scopes []string
	for _, k := range keys {
		for _, s := range [...]policy.Scope{policy.ScopeOf(k.ID()), policy.ScopeOfName(k.Provider, k.Name)} {
			if !seen[s] {
				seen[s] = true
				scopes = append(scopes, string(s))
			}
		}
	}
	for len(scopes) > 0 {
		n := min(len(scopes), scopesAtOnce)
		var b builder
		b.and("d.tenant = ?", tenant)
		b.in("d.scope", scopes[:n])
		given, err := all(ctx, r, b.every("decisions", "SELECT d.scope, d.verdict, d.until_us, d.reason, d.actor, d.at_us FROM patch_decision d", "d.scope"), scanDecision)
		if err != nil {
			return nil, err
		}
		for _, d := range given {
			out[d.Scope] = d
		}
		scopes = scopes[n:]
	}
	return out, nil
}

func scanDecision(rows *sql.Rows) (Decision, error) {
	var d Decision
	var untilUS, atUS int64
	err := rows.Scan(&d.Scope, &d.Verdict, &untilUS, &d.Reason, &d.Actor, &atUS)
	d.Until, d.At = instant(untilUS), instant(atUS)
	return d, err
}

// FindPatch finds a patch by its id, by "NAME VERSION", or by its name when
// only one version of it is known to be missing somewhere.
func (r *Reader) FindPatch(ctx context.Context, tenant fleet.TenantID, idOrName string) (PatchRef, error) {
	const head = "SELECT p.id, p.name, p.version FROM patch p WHERE p.tenant = $1 AND "
	for _, condition := range [...]string{"p.id = $2", "p.name || ' ' || p.version = $2", "p.name = $2 AND p.devices > 0", "p.name = $2"} {
		found, err := all(ctx, r, ask("patch", head+condition+" LIMIT 2", tenant, idOrName), func(rows *sql.Rows) (PatchRef, error) {
			var p PatchRef
			return p, rows.Scan(&p.ID, &p.Name, &p.Version)
		})
		switch {
		case err != nil:
			return PatchRef{}, err
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return PatchRef{}, fault.New(fault.InvalidField, "field", "patch", "problem", "several_patches", "fix", "use_id")
		}
	}
	return PatchRef{}, fault.New(fault.NotFound, "what", "patch", "name", idOrName)
}

// Patch shows one patch.
func (r *Reader) Patch(ctx context.Context, tenant fleet.TenantID, id patch.ID) (PatchDetail, error) {
	row, err := one(ctx, r, ask("patch", patchHead+" WHERE p.tenant = $1 AND p.id = $2", tenant, id), string(id), scanPatch)
	if err != nil {
		return PatchDetail{}, err
	}
	others, err := all(ctx, r, ask("versions of a patch", patchHead+` WHERE p.tenant = $1 AND p.provider = $2 AND p.name = $3 AND p.id <> $4
ORDER BY p.first_seen_us DESC, p.id LIMIT 20`, tenant, row.Provider, row.Name, id), scanPatch)
	if err != nil {
		return PatchDetail{}, err
	}
	rows := append([]PatchRow{row}, others...)
	if err := r.decide(ctx, tenant, rows); err != nil {
		return PatchDetail{}, err
	}
	out := PatchDetail{PatchRow: rows[0], Versions: rows[1:], Decisions: []Decision{}}
	given, err := r.decisionsOn(ctx, tenant, []patch.Key{row.key()})
	if err != nil {
		return PatchDetail{}, err
	}
	for _, scope := range [...]policy.Scope{policy.ScopeOf(id), policy.ScopeOfName(row.Provider, row.Name)} {
		if d, ok := given[scope]; ok {
			out.Decisions = append(out.Decisions, d)
		}
	}
	if out.Exceptions, err = r.exceptionsOfPatch(ctx, tenant, row.key()); err != nil {
		return PatchDetail{}, err
	}
	if out.Mends, err = r.mendedBy(ctx, tenant, id); err != nil {
		return PatchDetail{}, err
	}
	if out.Campaigns, err = r.patchCampaigns(ctx, tenant, id); err != nil {
		return PatchDetail{}, err
	}
	out.Pace, err = r.patchPace(ctx, tenant, id)
	return out, err
}

func (r *Reader) patchPace(ctx context.Context, tenant fleet.TenantID, id patch.ID) ([]PatchPace, error) {
	return all(ctx, r, ask("pace of a patch", `SELECT x.model, x.count, x.download_ms, x.install_ms, x.reboot_ms FROM pace x
WHERE x.tenant = $1 AND x.patch = $2 ORDER BY x.model LIMIT 50`, tenant, id), func(rows *sql.Rows) (PatchPace, error) {
		var p PatchPace
		return p, rows.Scan(&p.Model, &p.Samples, &p.DownloadMS, &p.InstallMS, &p.RebootMS)
	})
}

const patchCampaignsText = `SELECT c.id, c.name, c.state, ` + itemColumns + ` FROM campaign_item i
JOIN campaign c ON c.tenant = i.tenant AND c.id = i.campaign
LEFT JOIN campaign_ring g ON g.tenant = i.tenant AND g.campaign = i.campaign AND g.amendment = i.amendment AND g.position = i.promoted
WHERE i.tenant = $1 AND i.id = $2 ORDER BY c.created_us DESC LIMIT 20`

func (r *Reader) patchCampaigns(ctx context.Context, tenant fleet.TenantID, id patch.ID) ([]PatchCampaign, error) {
	out, err := all(ctx, r, ask("campaigns of a patch", patchCampaignsText, tenant, id), func(rows *sql.Rows) (PatchCampaign, error) {
		var c PatchCampaign
		var item itemScan
		err := rows.Scan(append([]any{&c.Campaign.ID, &c.Campaign.Name, &c.State}, item.into()...)...)
		c.Item = item.item()
		return c, err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		if err := r.countItem(ctx, tenant, id, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Reader) countItem(ctx context.Context, tenant fleet.TenantID, id patch.ID, c *PatchCampaign) error {
	_, err := all(ctx, r, ask("states of a patch", `SELECT x.state, count(*) FROM campaign_device_item x
WHERE x.tenant = $1 AND x.campaign = $2 AND x.item = $3 GROUP BY x.state`, tenant, c.Campaign.ID, id), func(rows *sql.Rows) (struct{}, error) {
		var state patch.State
		var n int64
		err := rows.Scan(&state, &n)
		switch {
		case state == patch.Verified:
			c.Done += n
		case state == patch.Failed:
			c.Failed += n
		case state == patch.RolledBack:
			c.RolledBack += n
		case !state.Settled():
			c.Pending += n
		}
		return struct{}{}, err
	})
	return err
}

// PatchDevices lists devices of a patch.
func (r *Reader) PatchDevices(ctx context.Context, tenant fleet.TenantID, q PatchDevicesQuery) (PatchDevicePage, error) {
	which, err := oneOf("which", q.Which, []string{"missing", "failed", "pending"})
	if err != nil {
		return PatchDevicePage{}, err
	}
	after, err := q.cursorFor(which)
	if err != nil {
		return PatchDevicePage{}, err
	}
	if which == "missing" {
		return r.patchMissing(ctx, tenant, q, after)
	}
	return r.patchCarried(ctx, tenant, q, which, after)
}

func (r *Reader) patchMissing(ctx context.Context, tenant fleet.TenantID, q PatchDevicesQuery, after *cursor) (PatchDevicePage, error) {
	var b builder
	b.and("m.tenant = ?", tenant)
	b.and("m.patch = ?", q.Patch)
	if after != nil {
		b.and("m.device > ?", after.ID)
	}
	rows, err := all(ctx, r, b.list("devices of a patch", `SELECT m.device, d.name, m.since_us FROM missing m
JOIN device d ON d.tenant = m.tenant AND d.id = m.device`, "m.device", q.limit()), func(rows *sql.Rows) (PatchDevice, error) {
		d := PatchDevice{State: patch.Applicable}
		var sinceUS int64
		err := rows.Scan(&d.Device.ID, &d.Device.Name, &sinceUS)
		d.Since = instant(sinceUS)
		return d, err
	})
	if err != nil {
		return PatchDevicePage{}, err
	}
	return pageOf(rows, q.limit(), func(d PatchDevice) cursor { return cursor{Sort: "missing", ID: string(d.Device.ID)} }), nil
}

// patchCarried lists by one campaign, the given or the newest open one that
// carries the patch, so that the page follows an index.
func (r *Reader) patchCarried(ctx context.Context, tenant fleet.TenantID, q PatchDevicesQuery, which string, after *cursor) (PatchDevicePage, error) {
	campaigns, err := all(ctx, r, ask("campaign of a patch", `SELECT c.id, c.name FROM campaign_item i JOIN campaign c ON c.tenant = i.tenant AND c.id = i.campaign
WHERE i.tenant = $1 AND i.id = $2 AND (c.id = $3 OR ($3 = '' AND c.state <> 'closed')) ORDER BY c.created_us DESC LIMIT 1`, tenant, q.Patch, q.Campaign), scanCampaignRef)
	if err != nil || len(campaigns) == 0 {
		return PatchDevicePage{Rows: []PatchDevice{}}, err
	}
	var b builder
	b.and("x.tenant = ?", tenant)
	b.and("x.campaign = ?", campaigns[0].ID)
	b.and("x.item = ?", q.Patch)
	if which == "failed" {
		b.and("x.state = 'failed'")
	} else {
		b.and("x.state NOT IN ('verified', 'failed', 'superseded', 'not_applicable', 'rolled_back')")
	}
	if after != nil {
		b.and("(x.state, x.device) > (?, ?)", after.Text, after.ID)
	}
	rows, err := all(ctx, r, b.list("devices of a patch", `SELECT x.device, d.name, x.state, x.reason, x.next_us, x.updated_us FROM campaign_device_item x
JOIN device d ON d.tenant = x.tenant AND d.id = x.device`, "x.state, x.device", q.limit()), func(rows *sql.Rows) (PatchDevice, error) {
		d := PatchDevice{Campaign: &campaigns[0]}
		var why string
		var nextUS, updatedUS int64
		err := rows.Scan(&d.Device.ID, &d.Device.Name, &d.State, &why, &nextUS, &updatedUS)
		d.Reason, d.Since = reason(why), instant(updatedUS)
		d.Next = earliest(instant(nextUS), promised(d.Reason))
		return d, err
	})
	if err != nil {
		return PatchDevicePage{}, err
	}
	return pageOf(rows, q.limit(), func(d PatchDevice) cursor {
		return cursor{Sort: which, Text: string(d.State), ID: string(d.Device.ID)}
	}), nil
}

func scanCampaignRef(rows *sql.Rows) (CampaignRef, error) {
	var c CampaignRef
	err := rows.Scan(&c.ID, &c.Name)
	return c, err
}
