package view

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/document"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
)

// Dossier is everything that the document of a campaign says, read at one
// instant. Whoever writes it down adds words and nothing else.
type Dossier struct {
	Tenant         string             `json:"tenant"` // its name
	At             time.Time          `json:"at"`
	Board          Board              `json:"board"` // content, rings, gates, holds in force
	Classification manifest.Text      `json:"classification"`
	Owner          string             `json:"owner"` // of the procedure
	Procedure      ProcedureVersion   `json:"procedure"`
	Versions       []ProcedureVersion `json:"versions"` // of the procedure up to the one used, oldest first
	Visas          []DossierVisa      `json:"visas"`    // on the procedure itself
	Perimeter      Perimeter          `json:"perimeter"`
	Excluded       Perimeter          `json:"excluded"`
	Verification   Verification       `json:"verification"`
	Revisions      []Revision         `json:"revisions"` // issued before, oldest first
	Items          []DossierItem      `json:"items"`
	Calendar       []CalendarStep     `json:"calendar"`
	Story          []Event            `json:"story"` // the campaign's own entries, the last of them, oldest first
	StoryCount     int64              `json:"story_count"`
	Proceedings    Proceedings        `json:"proceedings"`
	Feedback       FeedbackTally      `json:"feedback"`
	Complaints     []FeedbackRow      `json:"complaints"`
	Exceptions     []ExceptionRow     `json:"exceptions"` // in force at some time of the campaign
	Tasks          []TaskRow          `json:"tasks"`      // open ones
	ByGrade        []GradeTimes       `json:"by_grade"`
	Clock          procedure.SLAClock `json:"clock"` // of the promises; empty: none were made
	Register       RegisterPoint      `json:"register"`
	Missing        []MissingDevice    `json:"missing"` // the first of them
	MissingCount   int64              `json:"missing_count"`
}

// DossierVisa is a signature on the procedure.
type DossierVisa struct {
	Kind procedure.VisaKind `json:"kind" enum:"drafted,verified,validated"`
	Name string             `json:"name,omitempty"` // where the procedure gives one
	Role string             `json:"role"`
	Date string             `json:"date"`
}

// Perimeter says which devices a selector takes.
type Perimeter struct {
	All    bool         `json:"all,omitempty"`
	Kinds  []fleet.Kind `json:"kinds,omitempty"`
	Groups []string     `json:"groups,omitempty"`
	Tags   []fleet.Tags `json:"tags,omitempty"`
	Names  []string     `json:"names,omitempty"`
}

// Revision is a dossier that was issued: its files are kept, and their hashes
// are in the register.
type Revision struct {
	Number int64          `json:"number"`
	Lang   string         `json:"lang"`
	Reason string         `json:"reason"`
	Actor  string         `json:"actor"`
	At     time.Time      `json:"at"`
	Files  []RevisionFile `json:"files"`
}

// RevisionFile is one of its files.
type RevisionFile struct {
	Format string `json:"format"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// DossierItem is one patch of the content with what came of it.
type DossierItem struct {
	BoardItem
	Amendment  int64           `json:"amendment"`
	Class      patch.Class     `json:"class"`
	Severity   policy.Severity `json:"severity"`
	CVEs       []string        `json:"cves"`
	Exploited  bool            `json:"exploited"`
	FirstSeen  time.Time       `json:"first_seen"`
	Verified   int64           `json:"verified"` // devices
	Failed     int64           `json:"failed"`
	RolledBack int64           `json:"rolled_back"`
	Lacking    int64           `json:"lacking"` // devices of the campaign that lack it now
}

// GradeTimes are the times that patches of one severity took until a scan
// agreed, and what had been promised of them.
type GradeTimes struct {
	Severity  string           `json:"severity"`
	FromSeen  document.Spread  `json:"from_seen"` // since a scan first reported the patch
	FromRing  document.Spread  `json:"from_ring"` // since the device's ring opened
	Promise   document.Promise `json:"promise"`
	Unlimited bool             `json:"unlimited"` // nothing was promised of it
}

// RegisterPoint is where the register stood when the document was read.
type RegisterPoint struct {
	Size       int64     `json:"size"`
	Checkpoint string    `json:"checkpoint"` // signed
	Key        string    `json:"key"`        // that verifies it
	At         time.Time `json:"at,omitzero"`
}

const (
	dossierStory      = 2000 // entries
	dossierComplaints = 200
	dossierExceptions = 500
)

// Dossier reads a campaign's document with at most so many of its missing
// devices: a list of thousands belongs into a sheet, not on paper.
func (r *Reader) Dossier(ctx context.Context, tenant fleet.TenantID, id string, missing int) (Dossier, error) {
	board, err := r.Board(ctx, tenant, id)
	if err != nil {
		return Dossier{}, err
	}
	p, err := r.procedureOf(ctx, tenant, board.Campaign)
	if err != nil {
		return Dossier{}, err
	}
	d := Dossier{
		At: board.At, Board: board, Classification: p.Classification, Owner: p.Owner, Perimeter: perimeterOf(p.Perimeter), Excluded: perimeterOf(p.Exclude),
		Visas: []DossierVisa{}, Calendar: calendarOf(board),
	}
	d.Board.Events = []Event{} // the story has them, and stays the same when devices go on
	for _, v := range p.Visas {
		d.Visas = append(d.Visas, DossierVisa{Kind: v.Kind, Name: v.Name, Role: v.Role, Date: v.Date.String()})
	}
	var e1, e2, e3, e4, e5, e6, e7, e8, e9 error
	d.Tenant, e1 = r.tenantName(ctx, tenant)
	d.Verification, e2 = r.Verification(ctx, tenant, id)
	d.Versions, e3 = r.versionsUpTo(ctx, tenant, board.Campaign)
	if n := len(d.Versions); n > 0 {
		d.Procedure = d.Versions[n-1]
	}
	d.Revisions, e4 = r.Revisions(ctx, tenant, id)
	d.Story, d.StoryCount, e5 = r.story(ctx, tenant, id)
	d.Feedback, e6 = r.FeedbackTally(ctx, tenant, id)
	var complaints FeedbackPage
	complaints, e7 = r.Feedback(ctx, tenant, FeedbackQuery{Campaign: id, Which: "broken", Paging: Paging{Limit: dossierComplaints}})
	d.Complaints = complaints.Rows
	d.Exceptions, e8 = r.exceptionsDuring(ctx, tenant, board.Campaign)
	d.Register, e9 = r.registerPoint(ctx, tenant)
	d.Tasks = board.Tasks
	if err := errors.Join(e1, e2, e3, e4, e5, e6, e7, e8, e9); err != nil {
		return Dossier{}, err
	}
	if d.Proceedings, err = r.Proceedings(ctx, tenant, id, d.Story); err != nil {
		return Dossier{}, err
	}
	d.passedAt()
	return d, errors.Join(r.addItems(ctx, tenant, &d), r.addTimes(ctx, tenant, p, &d), r.addMissing(ctx, tenant, &d, missing))
}

func perimeterOf(s fleet.Selector) Perimeter {
	return Perimeter{All: s.All, Kinds: s.Kinds, Groups: s.Groups, Tags: s.Tags, Names: s.Names}
}

func (r *Reader) tenantName(ctx context.Context, tenant fleet.TenantID) (string, error) {
	return one(ctx, r, ask("tenant", "SELECT t.name FROM tenant t WHERE t.id = $1", tenant), string(tenant), func(rows *sql.Rows) (string, error) {
		var name string
		return name, rows.Scan(&name)
	})
}

// versionsUpTo are the versions of a procedure that a campaign came after.
func (r *Reader) versionsUpTo(ctx context.Context, tenant fleet.TenantID, c CampaignRow) ([]ProcedureVersion, error) {
	return all(ctx, r, ask("procedure", "SELECT v.version, v.sha256, v.actor, v.at_us FROM procedure_version v WHERE v.tenant = $1 AND v.name = $2 AND v.version <= $3 ORDER BY v.version",
		tenant, c.Procedure, c.ProcedureVersion), func(rows *sql.Rows) (ProcedureVersion, error) {
		var v ProcedureVersion
		var atUS int64
		err := rows.Scan(&v.Version, &v.SHA256, &v.Actor, &atUS)
		v.At = instant(atUS)
		return v, err
	})
}

// Revisions lists the dossiers that were issued of a campaign, oldest first.
func (r *Reader) Revisions(ctx context.Context, tenant fleet.TenantID, id string) ([]Revision, error) {
	out, err := all(ctx, r, ask("dossiers", `SELECT v.revision, v.lang, v.reason, v.actor, v.at_us FROM dossier_revision v
WHERE v.tenant = $1 AND v.campaign = $2 ORDER BY v.revision`, tenant, id), func(rows *sql.Rows) (Revision, error) {
		v := Revision{Files: []RevisionFile{}}
		var atUS int64
		err := rows.Scan(&v.Number, &v.Lang, &v.Reason, &v.Actor, &atUS)
		v.At = instant(atUS)
		return v, err
	})
	if err != nil {
		return nil, err
	}
	at := map[int64]int{}
	for i, v := range out {
		at[v.Number] = i
	}
	_, err = all(ctx, r, ask("files of dossiers", `SELECT f.revision, f.format, f.sha256, f.size FROM dossier_file f
WHERE f.tenant = $1 AND f.campaign = $2 ORDER BY f.revision, f.format`, tenant, id), func(rows *sql.Rows) (struct{}, error) {
		var number int64
		var f RevisionFile
		err := rows.Scan(&number, &f.Format, &f.SHA256, &f.Size)
		if i, known := at[number]; known && err == nil {
			out[i].Files = append(out[i].Files, f)
		}
		return struct{}{}, err
	})
	return out, err
}

// storyOf has the words of the index register_entry_story, without which it
// would read the entries of every device.
const storyOf = ` FROM register_entry e WHERE e.tenant = $1 AND e.campaign = $2 AND e.kind IN
  ('campaign_created', 'emergency_approved', 'content_sealed', 'amendment_added', 'item_withdrawn', 'ring_opened', 'ring_expedited', 'gate_decided',
   'sign_off', 'hold_placed', 'hold_lifted', 'rollback_requested', 'rollback_ended', 'incident_opened', 'incident_corrected', 'incident_closed', 'incident_reopened',
   'verification_done', 'dossier_issued', 'campaign_closed')`

// story is the end of a campaign's story, in its order, and how long it is: its
// last words, like who closed it, are never the ones left out.
func (r *Reader) story(ctx context.Context, tenant fleet.TenantID, id string) ([]Event, int64, error) {
	entries, err := all(ctx, r, ask("story", "SELECT e.body"+storyOf+" ORDER BY e.idx DESC LIMIT $3", tenant, id, dossierStory), func(rows *sql.Rows) (register.Entry, error) {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return register.Entry{}, err
		}
		return register.Decode(body)
	})
	if err != nil {
		return nil, 0, err
	}
	count := int64(len(entries))
	if count == dossierStory {
		if count, err = r.count(ctx, ask("length of the story", "SELECT count(*)"+storyOf, tenant, id)); err != nil {
			return nil, 0, err
		}
	}
	slices.Reverse(entries)
	names, err := r.namesIn(ctx, tenant, entries)
	if err != nil {
		return nil, 0, err
	}
	out := make([]Event, len(entries))
	for i, e := range entries {
		out[i] = names.event(e)
	}
	return out, count, nil
}

// exceptionsDuring were in force at some time between a campaign's start and
// its end.
func (r *Reader) exceptionsDuring(ctx context.Context, tenant fleet.TenantID, c CampaignRow) ([]ExceptionRow, error) {
	until := c.Closed
	if until.IsZero() {
		until = r.now()
	}
	var b builder
	b.and("e.tenant = ?", tenant)
	b.and("e.from_us <= ?", until.UnixMicro())
	b.and("e.until_us > ?", c.Starts.UnixMicro())
	b.and("(e.ended_us = 0 OR e.ended_us > ?)", c.Starts.UnixMicro())
	return all(ctx, r, b.list("exceptions", exceptionHead, "e.until_us, e.id", dossierExceptions-1), r.scanException)
}

func (r *Reader) registerPoint(ctx context.Context, tenant fleet.TenantID) (RegisterPoint, error) {
	return one(ctx, r, ask("register", "SELECT h.size, h.checkpoint, h.at_us FROM register_head h WHERE h.tenant = $1", tenant), string(tenant), func(rows *sql.Rows) (RegisterPoint, error) {
		var p RegisterPoint
		var atUS int64
		err := rows.Scan(&p.Size, &p.Checkpoint, &atUS)
		p.At = instant(atUS)
		return p, err
	})
}

const dossierItemsText = `SELECT ` + itemColumns + `, coalesce(p.class, ''), coalesce(p.severity, 'unknown'), coalesce(p.cves, ''), coalesce(p.exploited, 0), coalesce(p.first_seen_us, 0),
  coalesce(s.verified, 0), coalesce(s.failed, 0), coalesce(s.rolled_back, 0),
  (SELECT count(*) FROM missing m JOIN campaign_device x ON x.tenant = m.tenant AND x.campaign = i.campaign AND x.amendment = i.amendment AND x.device = m.device
    WHERE m.tenant = i.tenant AND m.patch = i.id)
FROM campaign_item i
LEFT JOIN patch p ON p.tenant = i.tenant AND p.id = i.id
LEFT JOIN campaign_ring g ON g.tenant = i.tenant AND g.campaign = i.campaign AND g.amendment = i.amendment AND g.position = i.promoted
LEFT JOIN (SELECT y.item, sum(CASE y.state WHEN 'verified' THEN 1 ELSE 0 END) AS verified, sum(CASE y.state WHEN 'failed' THEN 1 ELSE 0 END) AS failed,
    sum(CASE y.state WHEN 'rolled_back' THEN 1 ELSE 0 END) AS rolled_back
  FROM campaign_device_item y WHERE y.tenant = $1 AND y.campaign = $2 GROUP BY y.item) s ON s.item = i.id
WHERE i.tenant = $1 AND i.campaign = $2 ORDER BY i.amendment, i.name, i.version, i.id`

func (r *Reader) addItems(ctx context.Context, tenant fleet.TenantID, d *Dossier) (err error) {
	d.Items, err = all(ctx, r, ask("items", dossierItemsText, tenant, d.Board.Campaign.ID), func(rows *sql.Rows) (DossierItem, error) {
		var s itemScan
		var it DossierItem
		var cves string
		var exploited, seenUS int64
		err := rows.Scan(append(s.into(), &it.Class, &it.Severity, &cves, &exploited, &seenUS, &it.Verified, &it.Failed, &it.RolledBack, &it.Lacking)...)
		it.BoardItem, it.Amendment = s.item(), s.amendment
		it.CVEs, it.Exploited, it.FirstSeen = strings.Fields(cves), exploited == 1, instant(seenUS)
		return it, err
	})
	return err
}

// doneText counts what was installed and confirmed, by severity and by the
// hours it took since the patch was first seen and since the ring opened.
const doneText = `SELECT coalesce(p.severity, 'unknown'), (y.updated_us - coalesce(p.first_seen_us, y.updated_us)) / 3600000000,
  (y.updated_us - CASE WHEN g.opened_us > 0 THEN g.opened_us ELSE y.updated_us END) / 3600000000, count(*)
FROM campaign_device_item y
JOIN campaign_device x ON x.tenant = y.tenant AND x.campaign = y.campaign AND x.amendment = y.amendment AND x.device = y.device
JOIN campaign_ring g ON g.tenant = x.tenant AND g.campaign = x.campaign AND g.amendment = x.amendment AND g.position = x.position
LEFT JOIN patch p ON p.tenant = y.tenant AND p.id = y.item
WHERE y.tenant = $1 AND y.campaign = $2 AND y.state = 'verified' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`

// openText counts what is still missing of the content, by severity, by how
// long it has been, and by whether an exception leaves it out.
const openText = `SELECT p.severity, ($3 - p.first_seen_us) / 3600000000, CASE WHEN g.opened_us > 0 THEN ($3 - g.opened_us) / 3600000000 ELSE 0 END,
  CASE x.bucket WHEN 'exempt' THEN 1 ELSE 0 END, count(*)
FROM campaign_item i CROSS JOIN missing m
JOIN campaign_device x ON x.tenant = i.tenant AND x.campaign = i.campaign AND x.amendment = i.amendment AND x.device = m.device
JOIN campaign_ring g ON g.tenant = x.tenant AND g.campaign = x.campaign AND g.amendment = x.amendment AND g.position = x.position
JOIN patch p ON p.tenant = i.tenant AND p.id = i.id
WHERE i.tenant = $1 AND i.campaign = $2 AND i.withdrawn_us = 0 AND m.tenant = i.tenant AND m.patch = i.id GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`

// tookCell is a count with both clocks.
type tookCell struct {
	severity              string
	seen, ring, exempt, n int64
}

// addTimes works out how long patches took, and what was promised.
func (r *Reader) addTimes(ctx context.Context, tenant fleet.TenantID, p procedure.Procedure, d *Dossier) error {
	done, open, err := r.took(ctx, tenant, d.Board.Campaign)
	if err != nil {
		return err
	}
	if p.SLA.Promised() {
		d.Clock = p.SLA.Clock
	}
	d.ByGrade = []GradeTimes{}
	for _, grade := range procedure.Grades() {
		var seen, ring, openHours []document.Cell
		exempt := int64(0)
		for _, c := range done {
			if c.severity == grade {
				seen, ring = append(seen, document.Cell{Hours: c.seen, N: c.n}), append(ring, document.Cell{Hours: c.ring, N: c.n})
			}
		}
		byRing := p.SLA.Clock == procedure.ClockRingOpens
		for _, c := range open {
			switch {
			case c.severity != grade:
			case c.exempt == 1:
				exempt += c.n
			case byRing:
				openHours = append(openHours, document.Cell{Hours: c.ring, N: c.n})
			default:
				openHours = append(openHours, document.Cell{Hours: c.seen, N: c.n})
			}
		}
		clocked := seen
		if byRing {
			clocked = ring
		}
		limit := p.SLA.Limits[grade]
		g := GradeTimes{
			Severity: grade, FromSeen: document.SpreadOf(seen), FromRing: document.SpreadOf(ring),
			Promise: document.Judge(grade, limit, clocked, openHours, exempt), Unlimited: limit == 0,
		}
		if g.FromSeen.N > 0 || len(openHours) > 0 || exempt > 0 || !g.Unlimited {
			d.ByGrade = append(d.ByGrade, g)
		}
	}
	return nil
}

func (r *Reader) took(ctx context.Context, tenant fleet.TenantID, c CampaignRow) (done, open []tookCell, err error) {
	done, e1 := all(ctx, r, ask("times", doneText, tenant, c.ID), func(rows *sql.Rows) (tookCell, error) {
		var t tookCell
		return t, rows.Scan(&t.severity, &t.seen, &t.ring, &t.n)
	})
	end := c.Closed
	if end.IsZero() {
		end = r.now()
	}
	open, e2 := all(ctx, r, ask("what is open", openText, tenant, c.ID, end.UnixMicro()), func(rows *sql.Rows) (tookCell, error) {
		var t tookCell
		return t, rows.Scan(&t.severity, &t.seen, &t.ring, &t.exempt, &t.n)
	})
	return done, open, errors.Join(e1, e2)
}

// addMissing reads the first missing devices, and counts all.
func (r *Reader) addMissing(ctx context.Context, tenant fleet.TenantID, d *Dossier, most int) error {
	for _, m := range d.Verification.Reasons {
		d.MissingCount += m.Devices
	}
	d.Missing = []MissingDevice{}
	q := MissingQuery{Campaign: d.Board.Campaign.ID}
	for len(d.Missing) < most {
		q.Limit = min(MaxLimit, most-len(d.Missing))
		page, err := r.Missing(ctx, tenant, q)
		if err != nil {
			return err
		}
		d.Missing = append(d.Missing, page.Rows...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
	return nil
}

// IssuedFile is where a file comes from, by its hash.
type IssuedFile struct {
	Campaign CampaignRef `json:"campaign"`
	Revision int64       `json:"revision"`
	Format   string      `json:"format"`
	Lang     string      `json:"lang"`
	SHA256   string      `json:"sha256"`
	Size     int64       `json:"size"`
	Reason   string      `json:"reason"`
	Actor    string      `json:"actor"`
	At       time.Time   `json:"at"`
}

// IssuedBy finds the issued file that has a hash.
func (r *Reader) IssuedBy(ctx context.Context, tenant fleet.TenantID, sha256 string) (IssuedFile, error) {
	return one(ctx, r, ask("dossier", `SELECT c.id, c.name, f.revision, f.format, v.lang, f.sha256, f.size, v.reason, v.actor, v.at_us
FROM dossier_file f
JOIN dossier_revision v ON v.tenant = f.tenant AND v.campaign = f.campaign AND v.revision = f.revision
JOIN campaign c ON c.tenant = f.tenant AND c.id = f.campaign
WHERE f.tenant = $1 AND f.sha256 = $2 ORDER BY f.revision LIMIT 1`, tenant, sha256), sha256, func(rows *sql.Rows) (IssuedFile, error) {
		var f IssuedFile
		var atUS int64
		err := rows.Scan(&f.Campaign.ID, &f.Campaign.Name, &f.Revision, &f.Format, &f.Lang, &f.SHA256, &f.Size, &f.Reason, &f.Actor, &atUS)
		f.At = instant(atUS)
		return f, err
	})
}

// ZoneOf is the zone that a campaign's times are told in.
func (r *Reader) ZoneOf(ctx context.Context, tenant fleet.TenantID, id string) (string, error) {
	row, err := one(ctx, r, ask("campaign", campaignHead+" WHERE c.tenant = $1 AND c.id = $2", tenant, id), id, scanCampaign)
	if err != nil {
		return "", err
	}
	p, err := r.procedureOf(ctx, tenant, row)
	if err != nil || p.Zone == nil {
		return "", err
	}
	return p.Zone.String(), nil
}
