package view

import (
	"context"
	"database/sql"
	"errors"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

// todayRows bounds each list of the page; the counts are exact.
const todayRows = 50

// Today gathers what needs somebody.
func (r *Reader) Today(ctx context.Context, tenant fleet.TenantID) (Today, error) {
	t := Today{At: r.now()}
	counts := map[string]*int64{
		"": &t.Devices, "overdue": &t.Overdue, "failing": &t.Failing, "unreachable": &t.Unreachable,
		"pending_reboot": &t.PendingReboot, "never_scanned": &t.NeverScanned, "duplicate": &t.Duplicate,
	}
	var errs []error
	for filter, n := range counts {
		var err error
		*n, err = r.countDevices(ctx, tenant, filter)
		errs = append(errs, err)
	}
	var e1, e2, e3, e4, e5 error
	t.Undecided, e1 = r.count(ctx, ask("undecided patches", `SELECT count(*) FROM patch p WHERE p.tenant = $1 AND p.devices > 0 AND p.class <> 'security'
AND NOT EXISTS (SELECT 1 FROM patch_decision d WHERE d.tenant = p.tenant AND d.scope IN (p.id, 'name:' || p.provider || '/' || p.name))`, tenant))
	e2 = r.addGates(ctx, tenant, &t)
	t.Holds, e3 = r.Holds(ctx, tenant)
	t.Quarantined, e4 = r.stuck(ctx, tenant)
	var open CampaignPage
	open, e5 = r.Campaigns(ctx, tenant, CampaignQuery{Open: true, Paging: Paging{Limit: todayRows}})
	t.Campaigns = open.Rows
	e6 := r.addImpossible(ctx, tenant, &t)
	return t, errors.Join(append(errs, e1, e2, e3, e4, e5, e6, t.desk(ctx, r, tenant), t.feedback(ctx, r, tenant), t.incidents(ctx, r, tenant))...)
}

func (r *Reader) addGates(ctx context.Context, tenant fleet.TenantID, t *Today) error {
	held, err := r.heldRoles(ctx, tenant)
	if err != nil {
		return err
	}
	at := contexts{held: held, by: map[string]gateContext{}}
	if t.Gates, err = r.gatesWaiting(ctx, tenant, at); err != nil {
		return err
	}
	t.Unheld, err = r.unheld(ctx, tenant, at)
	return err
}

// impossibleRows is how many of what could not be put back the page names;
// nobody can act on them today, so a few are enough to know what it is about.
const impossibleRows = 8

func (r *Reader) addImpossible(ctx context.Context, tenant fleet.TenantID, t *Today) (err error) {
	if t.RollbackImpossible, err = r.countImpossible(ctx, tenant); err != nil {
		return err
	}
	first, err := r.ImpossibleRollbacks(ctx, tenant, ImpossibleQuery{Paging: Paging{Limit: impossibleRows}})
	t.Impossible = first.Rows
	return err
}

// countDevices counts what a filter lists. All devices and the silent ones are
// many in any large fleet: they are counted inside an index, less the retired
// ones, which are few.
func (r *Reader) countDevices(ctx context.Context, tenant fleet.TenantID, filter string) (int64, error) {
	const retired = " AND d.retired_us > 0"
	switch filter {
	case "":
		return r.count(ctx, ask("devices", `SELECT (SELECT count(*) FROM device d WHERE d.tenant = $1)
  - (SELECT count(*) FROM device d WHERE d.tenant = $1`+retired+`)`, tenant))
	case string(fleet.Unreachable):
		return r.count(ctx, ask("devices", `SELECT (SELECT count(*) FROM device d WHERE d.tenant = $1 AND d.seen_us < $2)
  - (SELECT count(*) FROM device d WHERE d.tenant = $1 AND d.seen_us < $2`+retired+`)`, tenant, r.silentSince()))
	}
	var b builder
	b.and("d.tenant = ?", tenant)
	if err := r.filterDevices(&b, filter); err != nil {
		return 0, err
	}
	return r.count(ctx, b.every("devices", "SELECT count(*) FROM device d", "1"))
}

func (r *Reader) count(ctx context.Context, q query) (int64, error) {
	return one(ctx, r, q, q.what, func(rows *sql.Rows) (int64, error) {
		var n int64
		return n, rows.Scan(&n)
	})
}

// Holds lists the holds in force, newest first.
func (r *Reader) Holds(ctx context.Context, tenant fleet.TenantID) ([]HoldRow, error) {
	var b builder
	b.and("h.tenant = ?", tenant)
	b.and("h.lifted_us = 0")
	return r.holds(ctx, &b)
}

const stuckText = `SELECT x.device, d.name, x.item, i.name, i.version, c.id, c.name, x.reason, x.updated_us
FROM campaign c
JOIN campaign_item i ON i.tenant = c.tenant AND i.campaign = c.id AND i.withdrawn_us = 0
JOIN campaign_device_item x ON x.tenant = i.tenant AND x.campaign = i.campaign AND x.item = i.id AND x.state = 'failed'
JOIN device d ON d.tenant = x.tenant AND d.id = x.device
WHERE c.tenant = $1 AND c.state <> 'closed' AND (x.reason LIKE '%"quarantined"%' OR x.reason LIKE '%"attempts_exhausted"%')
ORDER BY x.updated_us DESC LIMIT $2`

// stuck lists the device × patches that no further attempt is made on.
func (r *Reader) stuck(ctx context.Context, tenant fleet.TenantID) ([]Stuck, error) {
	return all(ctx, r, ask("quarantined patches", stuckText, tenant, todayRows), func(rows *sql.Rows) (Stuck, error) {
		var s Stuck
		var why string
		var updatedUS int64
		err := rows.Scan(&s.Device.ID, &s.Device.Name, &s.Patch.ID, &s.Patch.Name, &s.Patch.Version, &s.Campaign.ID, &s.Campaign.Name, &why, &updatedUS)
		if because := reason(why); because != nil {
			s.Reason = *because
		} else {
			s.Reason = fault.Because(fault.Quarantined)
		}
		s.Updated = instant(updatedUS)
		return s, err
	})
}
