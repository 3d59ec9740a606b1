package view

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"patchring/internal/core/document"
	"patchring/internal/core/fleet"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/procedure"
)

// Monthly is what a month's campaigns came to, for one tenant. Campaigns are
// those that started in the month, rollbacks counted with what they undo; what is
// said of the fleet is of the instant it was read.
type Monthly struct {
	Tenant     string               `json:"tenant"` // its name
	Month      string               `json:"month"`  // 2026-11
	Zone       string               `json:"zone"`
	At         time.Time            `json:"at"`
	From       time.Time            `json:"from"`
	To         time.Time            `json:"to"`
	Campaigns  []MonthCampaign      `json:"campaigns"`
	Sum        MonthSum             `json:"sum"`
	Before     MonthSum             `json:"before"` // of the month before
	Promises   []document.Promise   `json:"promises"`
	Clocks     []procedure.SLAClock `json:"clocks"`    // of the promises
	Incidents  []DossierIncident    `json:"incidents"` // of these campaigns
	Ending     []ExceptionRow       `json:"ending"`    // in force, and ending within a month
	Exceptions int64                `json:"exceptions"`
	Fleet      MonthFleet           `json:"fleet"`
	Tasks      []TaskRow            `json:"tasks"` // overdue ones, at most 50
	OpenTasks  int64                `json:"open_tasks"`
	LateTasks  int64                `json:"late_tasks"`
}

// MonthCampaign is one campaign of the month.
type MonthCampaign struct {
	CampaignRow
	Numbers   Numbers              `json:"numbers"` // of the content, all rings
	Dates     document.Punctuality `json:"dates"`   // of the verification
	Incidents int64                `json:"incidents"`
	Rollbacks int64                `json:"rollbacks"`
	Patches   int64                `json:"patches"`
}

// MonthSum is what two months are compared by.
type MonthSum struct {
	Campaigns int64   `json:"campaigns"`
	Numbers   Numbers `json:"numbers"`
	Incidents int64   `json:"incidents"`
	Rollbacks int64   `json:"rollbacks"`
	Patches   int64   `json:"patches"`
	Kept      int64   `json:"kept"` // promises
	Promised  int64   `json:"promised"`
}

// MonthFleet is how the fleet stood when the report was read.
type MonthFleet struct {
	Devices       int64 `json:"devices"`
	Unreachable   int64 `json:"unreachable"`
	NeverScanned  int64 `json:"never_scanned"`
	Overdue       int64 `json:"overdue"` // lack a security patch
	SystemEnded   int64 `json:"system_ended"`
	SystemEnding  int64 `json:"system_ending"` // within half a year
	HardwareShort int64 `json:"hardware_short"`
}

const monthCampaigns = 200

// Monthly reads the report of the month that at lies in, in its zone.
func (r *Reader) Monthly(ctx context.Context, tenant fleet.TenantID, at time.Time) (Monthly, error) {
	from := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, at.Location())
	m := Monthly{Month: from.Format("2006-01"), Zone: at.Location().String(), At: r.now(), From: from, To: from.AddDate(0, 1, 0)}
	var e1, e4 error
	m.Tenant, e1 = r.tenantName(ctx, tenant)
	is, e2 := r.monthOf(ctx, tenant, m.From, m.To)
	before, e3 := r.monthOf(ctx, tenant, from.AddDate(0, -1, 0), from)
	e4 = r.addMonthFleet(ctx, tenant, &m)
	m.Campaigns, m.Promises, m.Clocks, m.Incidents = is.campaigns, is.promises, is.clocks, is.incidents
	m.Sum, m.Before = is.sum(), before.sum()
	return m, errors.Join(e1, e2, e3, e4)
}

// monthRead is what the campaigns of one month say.
type monthRead struct {
	campaigns []MonthCampaign
	promises  []document.Promise
	clocks    []procedure.SLAClock
	incidents []DossierIncident
}

func (m monthRead) sum() MonthSum {
	s := MonthSum{Campaigns: int64(len(m.campaigns))}
	for _, c := range m.campaigns {
		s.Incidents, s.Rollbacks, s.Patches = s.Incidents+c.Incidents, s.Rollbacks+c.Rollbacks, s.Patches+c.Patches
		s.Numbers.plus(c.Numbers)
	}
	for _, p := range m.promises {
		kept, of := p.Kept()
		s.Kept, s.Promised = s.Kept+kept, s.Promised+of
	}
	return s
}

func (n *Numbers) plus(m Numbers) {
	n.Done, n.Failed, n.NotReached, n.Unreachable, n.Exempt = n.Done+m.Done, n.Failed+m.Failed, n.NotReached+m.NotReached, n.Unreachable+m.Unreachable, n.Exempt+m.Exempt
}

// monthOf reads the campaigns that started in an interval; those that never
// started are none of it.
func (r *Reader) monthOf(ctx context.Context, tenant fleet.TenantID, from, to time.Time) (monthRead, error) {
	out := monthRead{campaigns: []MonthCampaign{}, promises: []document.Promise{}, clocks: []procedure.SLAClock{}, incidents: []DossierIncident{}}
	var b builder
	b.and("c.tenant = ?", tenant)
	b.and("c.started_us >= ?", from.UnixMicro())
	b.and("c.started_us < ?", to.UnixMicro())
	b.and("c.origin <> 'rollback'")
	rows, err := all(ctx, r, b.list("campaigns of the month", campaignHead, "c.started_us, c.id", monthCampaigns-1), scanCampaign)
	if err != nil {
		return out, err
	}
	if err := r.addRings(ctx, tenant, rows); err != nil {
		return out, err
	}
	sums := map[string]document.Promise{}
	for _, c := range rows {
		if err := r.addMonthCampaign(ctx, tenant, c, &out); err != nil {
			return out, err
		}
		if err := r.addPromises(ctx, tenant, c, sums, &out); err != nil {
			return out, err
		}
	}
	for _, grade := range procedure.Grades() {
		if p, promised := sums[grade]; promised {
			out.promises = append(out.promises, p)
		}
	}
	return out, nil
}

func (r *Reader) addMonthCampaign(ctx context.Context, tenant fleet.TenantID, c CampaignRow, out *monthRead) error {
	mc := MonthCampaign{CampaignRow: c, Dates: document.Punctual(c.Verification, c.Verified, r.now())}
	for _, g := range c.Rings {
		mc.Numbers.plus(g.Numbers)
	}
	incidents, e1 := r.dossierIncidents(ctx, tenant, c.ID)
	rollbacks, e2 := r.rollbacksOf(ctx, tenant, c.ID)
	var e3 error
	mc.Patches, e3 = r.count(ctx, ask("items", "SELECT count(*) FROM campaign_item i WHERE i.tenant = $1 AND i.campaign = $2 AND i.withdrawn_us = 0", tenant, c.ID))
	mc.Incidents, mc.Rollbacks = int64(len(incidents)), int64(len(rollbacks))
	out.campaigns, out.incidents = append(out.campaigns, mc), append(out.incidents, incidents...)
	return errors.Join(e1, e2, e3)
}

// addPromises sums up what the procedures of campaigns promised; a campaign
// whose procedure promises nothing keeps none.
func (r *Reader) addPromises(ctx context.Context, tenant fleet.TenantID, c CampaignRow, sums map[string]document.Promise, out *monthRead) error {
	p, err := r.procedureOf(ctx, tenant, c)
	if err != nil || !p.SLA.Promised() {
		return err
	}
	if !slices.Contains(out.clocks, p.SLA.Clock) {
		out.clocks = append(out.clocks, p.SLA.Clock)
	}
	var d Dossier
	d.Board.Campaign = c
	if err := r.addTimes(ctx, tenant, p, &d); err != nil {
		return err
	}
	for _, g := range d.ByGrade {
		if g.Unlimited {
			continue
		}
		if sum, known := sums[g.Severity]; known {
			sums[g.Severity] = sum.Add(g.Promise)
		} else {
			sums[g.Severity] = g.Promise
		}
	}
	return nil
}

// endingWithin is how far ahead the end of an exception is told.
const endingWithin = 31 * 24 * time.Hour

const monthFleetText = `SELECT count(*), coalesce(sum(CASE WHEN d.seen_us < $2 THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN d.scan_us = 0 THEN 1 ELSE 0 END), 0),
  coalesce(sum(CASE WHEN d.missing_security > 0 THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN d.system_ends_us > 0 AND d.system_ends_us <= $3 THEN 1 ELSE 0 END), 0),
  coalesce(sum(CASE WHEN d.system_ends_us > $3 AND d.system_ends_us <= $4 THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN d.hardware_short <> '' THEN 1 ELSE 0 END), 0)
FROM device d WHERE d.tenant = $1 AND d.retired_us = 0`

func (r *Reader) addMonthFleet(ctx context.Context, tenant fleet.TenantID, m *Monthly) error {
	now := r.now()
	var e1, e2, e3, e4, e5, e6 error
	m.Fleet, e1 = one(ctx, r, ask("fleet", monthFleetText, tenant, r.silentSince(), now.UnixMicro(), now.Add(lifecycle.Soon).UnixMicro()), string(tenant), func(rows *sql.Rows) (MonthFleet, error) {
		var f MonthFleet
		return f, rows.Scan(&f.Devices, &f.Unreachable, &f.NeverScanned, &f.Overdue, &f.SystemEnded, &f.SystemEnding, &f.HardwareShort)
	})
	var b builder
	b.and("e.tenant = ?", tenant)
	r.inForce(&b)
	b.and("e.until_us < ?", now.Add(endingWithin).UnixMicro())
	m.Ending, e2 = all(ctx, r, b.list("exceptions", exceptionHead, "e.until_us, e.id", dossierExceptions-1), r.scanException)
	m.Exceptions, e3 = r.count(ctx, ask("exceptions", "SELECT count(*) FROM exception e WHERE e.tenant = $1 AND e.ended_us = 0 AND e.until_us > $2", tenant, now.UnixMicro()))
	m.OpenTasks, e4 = r.count(ctx, ask("open tasks", "SELECT count(*) FROM task t WHERE t.tenant = $1 AND t.closed_us = 0", tenant))
	m.LateTasks, e5 = r.count(ctx, ask("late tasks", "SELECT count(*) FROM task t WHERE t.tenant = $1 AND t.closed_us = 0 AND t.due_us <= $2", tenant, now.UnixMicro()))
	var late TaskPage
	late, e6 = r.Tasks(ctx, tenant, TaskQuery{Which: "overdue"})
	m.Tasks = late.Rows
	return errors.Join(e1, e2, e3, e4, e5, e6)
}
