package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/readiness"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Found is something to put right on a device, before a campaign.
type Found struct {
	Device fleet.DeviceID
	Name   string
	readiness.Finding
}

// Look looks over a tenant's fleet: for a campaign, or for so many days without
// one (0: the usual).
type Look func(ctx context.Context, tenant fleet.TenantID, campaign string, days int) ([]Found, error)

// OpenFindings asks for the tasks of what was found: one for each device and
// kind, and none where one is open already.
type OpenFindings struct {
	Campaign   string
	Days       int                // without a campaign
	Kind       readiness.Kind     // only these
	Severity   readiness.Severity // only these
	Only       []FindingOn        // only these; empty: all
	Owner      string
	EscalateTo string
	// Due is an instant or a date; empty: before the campaign's first ring opens.
	Due string
	// Words says the title of a task and what to do, in the language of who asks.
	Words func(readiness.Finding) (title, what string)
}

// FindingOn names a finding: a device has one of each kind.
type FindingOn struct {
	Device fleet.DeviceID `json:"device" maxLength:"100"`
	Kind   readiness.Kind `json:"kind" enum:"silent,broken,stale,disk,window,system,duplicate,certificate,reboot,rollback,exception"`
}

// OpenedFindings is the outcome.
type OpenedFindings struct {
	Opened []FindingTask `json:"opened"`
	Known  int           `json:"known" doc:"findings that had an open task already"`
	Gone   int           `json:"gone" doc:"of those that were named, no longer found"`
	Due    time.Time     `json:"due,omitzero"`
}

// FindingTask is a task that was opened.
type FindingTask struct {
	ID   string `json:"id"`
	Name string `json:"name" doc:"of the device"`
	FindingOn
}

// mostFindings bounds one transaction: each task is an entry of the register.
const mostFindings = 2000

// OpenFindings looks over the fleet and opens the tasks. Asking twice opens
// nothing twice, also when two people ask at once.
func (d *Desk) OpenFindings(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask OpenFindings) (OpenedFindings, error) {
	out := OpenedFindings{Opened: []FindingTask{}}
	if err := words("owner", ask.Owner, shortText); err != nil {
		return out, err
	}
	switch {
	case d.Look == nil:
		return out, errors.New("look over the fleet: the desk was given no look")
	case ask.Kind != "" && !slices.Contains(readiness.Kinds(), ask.Kind):
		return out, invalid("kind", "not_a_choice", fmt.Sprint(readiness.Kinds()))
	case ask.Campaign != "" && ask.Days != 0:
		return out, invalid("days", "campaign_or_days", "leave_one_out")
	}
	all, err := d.Look(ctx, tenant, ask.Campaign, ask.Days)
	if err != nil {
		return out, err
	}
	chosen := ask.chosen(all)
	for _, named := range ask.Only {
		if !slices.ContainsFunc(chosen, func(f Found) bool { return (FindingOn{f.Device, f.Kind}) == named }) {
			out.Gone++
		}
	}
	if len(chosen) > mostFindings {
		return out, invalid("kind", "too_many", fmt.Sprintf("%d > %d", len(chosen), mostFindings))
	}
	err = d.DB.Write(ctx, func(tx *store.Tx) error { return d.openFindings(ctx, tx, tenant, by, ask, chosen, &out) })
	if store.IsDuplicate(err) { // somebody asked for the same at the same time
		return OpenedFindings{}, fault.Again(fault.Unavailable, "what", "answer_in_progress")
	}
	if err != nil {
		return OpenedFindings{}, err
	}
	if len(out.Opened) > 0 {
		d.Wake()
	}
	return out, nil
}

// chosen are the findings that are asked for, one of each kind and device.
func (a OpenFindings) chosen(all []Found) []Found {
	seen, only := map[FindingOn]bool{}, map[FindingOn]bool{}
	for _, f := range a.Only {
		only[f] = true
	}
	var out []Found
	for _, f := range all {
		on := FindingOn{f.Device, f.Kind}
		if seen[on] || a.Kind != "" && f.Kind != a.Kind || a.Severity != "" && f.Severity != a.Severity || len(only) > 0 && !only[on] {
			continue
		}
		seen[on] = true
		out = append(out, f)
	}
	return out
}

func (d *Desk) openFindings(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask OpenFindings, chosen []Found, out *OpenedFindings) error {
	known, err := tx.OpenFindingTasks(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read the tasks that are open: %w", err)
	}
	has := map[FindingOn]bool{}
	for _, t := range known {
		has[FindingOn{fleet.DeviceID(t.Device), readiness.Kind(t.Finding)}] = true
	}
	row := gen.Task{Tenant: string(tenant), Owner: ask.Owner, EscalateTo: ask.EscalateTo, EscalateAfter: EscalateAfter, Actor: string(by)}
	if err := bind(ctx, tx, tenant, Open{Campaign: ask.Campaign, Owner: ask.Owner, EscalateTo: ask.EscalateTo}, &row); err != nil {
		return err
	}
	if out.Due, err = d.dueBefore(ctx, tx, row, ask.Due); err != nil {
		return err
	}
	now := d.Clock().UnixMicro()
	row.DueUs, row.CreatedUs, row.OpenedUs = out.Due.UnixMicro(), now, now
	schedule(&row, 0)
	for _, f := range chosen {
		on := FindingOn{f.Device, f.Kind}
		if has[on] {
			out.Known++
			continue
		}
		row.Device, row.Finding = string(f.Device), string(f.Kind)
		row.Title, row.What = ask.Words(f.Finding)
		if row.ID, err = newID(); err != nil {
			return err
		}
		if err := d.add(ctx, tx, row, by); err != nil {
			return err
		}
		out.Opened = append(out.Opened, FindingTask{row.ID, f.Name, on})
	}
	return touchGate(ctx, tx, row)
}

// dueBefore is the instant that was asked for, else the last before the
// campaign's first ring opens.
func (d *Desk) dueBefore(ctx context.Context, tx *store.Tx, row gen.Task, asked string) (time.Time, error) {
	if asked != "" || row.Campaign == "" {
		return d.until("due", asked)
	}
	rings, err := tx.Rings(ctx, row.Tenant, row.Campaign)
	if err != nil {
		return time.Time{}, fmt.Errorf("read rings: %w", err)
	}
	for _, r := range rings {
		if r.Amendment == 0 && r.Position == 0 {
			if due := store.Instant(r.OpensUs).Add(-time.Second); due.After(d.Clock()) {
				return due, nil
			}
		}
	}
	return time.Time{}, invalid("due", "first_ring_open", "give_a_date")
}

// lookEvery is how often the fleet is looked over for what is no longer found,
// while a task waits for it.
const lookEvery = 10 * time.Minute

// closeFound closes the tasks whose finding has gone: the look is the proof. A
// device that was retired since is no longer found either.
func (d *Desk) closeFound(ctx context.Context, tenant fleet.TenantID) error {
	open, err := d.DB.Read().OpenFindingTasks(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read tasks made of findings: %w", err)
	}
	now := d.Clock()
	if len(open) == 0 || d.Look == nil || !d.lookDue(tenant, now) {
		return nil
	}
	byCampaign := map[string][]gen.Task{}
	for _, row := range open {
		byCampaign[row.Campaign] = append(byCampaign[row.Campaign], row)
	}
	var errs []error
	for campaign, rows := range byCampaign {
		found, err := d.foundNow(ctx, tenant, campaign)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, row := range rows {
			if !found[FindingOn{fleet.DeviceID(row.Device), readiness.Kind(row.Finding)}] {
				errs = append(errs, d.closeGone(ctx, row, now))
			}
		}
	}
	return errors.Join(errs...)
}

// lookDue tells whether it is time to look again, and remembers that it was.
func (d *Desk) lookDue(tenant fleet.TenantID, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, ok := d.looked[tenant]; ok && now.Sub(last) < lookEvery && !now.Before(last) {
		return false
	}
	d.looked[tenant] = now
	return true
}

// foundNow is what is found for a campaign, or without one once it is closed.
// Without one a task may have been asked for from a week ahead to a season: a
// finding has gone when neither look finds it, near or far.
func (d *Desk) foundNow(ctx context.Context, tenant fleet.TenantID, campaign string) (map[FindingOn]bool, error) {
	all, err := d.Look(ctx, tenant, campaign, 0)
	if errors.Is(err, fault.New(fault.CampaignClosed)) {
		campaign = ""
		all, err = d.Look(ctx, tenant, "", 0)
	}
	if err == nil && campaign == "" {
		var far []Found
		far, err = d.Look(ctx, tenant, "", farthestLook)
		all = append(all, far...)
	}
	if err != nil {
		return nil, fmt.Errorf("look over the fleet: %w", err)
	}
	out := make(map[FindingOn]bool, len(all))
	for _, f := range all {
		out[FindingOn{f.Device, f.Kind}] = true
	}
	return out, nil
}

// farthestLook is how many days ahead findings may be asked for.
const farthestLook = 90

// closeGone closes one task, unless somebody was quicker.
func (d *Desk) closeGone(ctx context.Context, row gen.Task, looked time.Time) error {
	proof := gen.AddTaskProofParams{Kind: string(task.Rescan), Text: looked.UTC().Format(time.RFC3339)}
	err := d.DB.Write(ctx, func(tx *store.Tx) error { return d.close(ctx, tx, row, actor, proof, nil) })
	if errors.Is(err, fault.New(fault.NothingToDo)) {
		return nil
	}
	if err == nil {
		d.Wake()
	}
	return err
}

// refound is the re-scan that proves a task of a finding: a look over the fleet
// in which it is no longer there.
func (d *Desk) refound(ctx context.Context, tenant fleet.TenantID, id string) (string, error) {
	row, err := d.DB.Read().Task(ctx, string(tenant), id)
	if store.IsNone(err) || err == nil && row.Finding == "" {
		return "", nil // it is no such task, which Close says
	}
	if err != nil {
		return "", fmt.Errorf("read task %s: %w", id, err)
	}
	found, err := d.foundNow(ctx, tenant, row.Campaign)
	if err != nil {
		return "", err
	}
	if found[FindingOn{fleet.DeviceID(row.Device), readiness.Kind(row.Finding)}] {
		return "", fault.New(fault.StillFound, "finding", row.Finding)
	}
	return d.Clock().UTC().Format(time.RFC3339), nil
}
