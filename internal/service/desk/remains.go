package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// CatchUp starts the emergency for what a campaign missed; the conductor does.
type CatchUp func(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.StartEmergency) (campaign.ID, error)

// FollowUp asks what is to come of the devices that a campaign left undone.
type FollowUp struct {
	Campaign string
	Reason   string // of the catch-up and of the exceptions
	CatchUp  bool
	Windows  []calendar.Interval // of the catch-up, in place of the devices' own
	Tasks    []campaign.Bucket   // devices of these get a manual task
	Except   []campaign.Bucket   // what devices of these lack is left out until a date

	Owner      string // of the tasks and of the exceptions
	EscalateTo string
	Due        string // of the tasks: an instant or a date
	Control    string // what protects meanwhile
	Until      string // end of the exceptions

	Plan bool // only say what it would do
	// Words says the title of a device's task and what to do.
	Words func(bucket string, why fault.Reason) (title, what string)
}

// FollowedUp is what it does, or did.
type FollowedUp struct {
	Missing    int         `json:"missing" doc:"devices that the campaign left undone"`
	CatchUp    *CaughtUp   `json:"catch_up,omitempty"`
	Tasks      FollowCount `json:"tasks"`
	Exceptions FollowCount `json:"exceptions"`
	Done       bool        `json:"done" doc:"not only planned"`
}

// CaughtUp is the campaign that catches up.
type CaughtUp struct {
	ID      campaign.ID   `json:"id,omitempty"`
	Patches int           `json:"patches" doc:"that the devices lack, or what has taken their place"`
	Refused *fault.Reason `json:"refused,omitempty" doc:"why there can be none"`
}

// FollowCount is how many are made, and how many were there already.
type FollowCount struct {
	Make  int `json:"make"`
	Known int `json:"known"`
}

// remainsPlan is what is to be made of each device.
type remainsPlan struct {
	out        FollowedUp
	tasks      []gen.MissedDevicesRow
	exceptions []gen.MissedItemsRow
	due, until time.Time
}

// mostRemains bounds one act: each task and each exception is an entry of the
// register, and a fleet that lacks more wants a campaign, not a pile of tasks.
const mostRemains = 2000

// FollowUp makes the tasks and exceptions in one transaction, and then starts
// the catch-up. Asking twice makes nothing twice.
//
// Crash story: dying between the two leaves tasks and exceptions, which a
// second asking finds, and a catch-up still to be started.
func (d *Desk) FollowUp(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask FollowUp) (FollowedUp, error) {
	row, err := d.campaignOf(ctx, tenant, ask.Campaign)
	if err != nil {
		return FollowedUp{}, err
	}
	plan, err := d.planRemains(ctx, tenant, row, ask)
	if err != nil || ask.Plan {
		return plan.out, err
	}
	if plan.out.CatchUp != nil && plan.out.CatchUp.Refused != nil {
		return plan.out, &fault.Error{Reason: *plan.out.CatchUp.Refused}
	}
	err = d.DB.Write(ctx, func(tx *store.Tx) error {
		for _, m := range plan.tasks {
			if err := d.openRemain(ctx, tx, tenant, by, row.ID, ask, plan.due, m); err != nil {
				return err
			}
		}
		for _, m := range plan.exceptions {
			if err := d.exceptRemain(ctx, tx, tenant, by, ask, plan.until, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return FollowedUp{}, err
	}
	d.Wake()
	if plan.out.CatchUp != nil {
		if plan.out.CatchUp.ID, err = d.CatchUp(ctx, tenant, by, campaign.StartEmergency{Missed: row.ID, Reason: ask.Reason, Windows: ask.Windows}); err != nil {
			return plan.out, err
		}
	}
	plan.out.Done = true
	return plan.out, nil
}

func (d *Desk) campaignOf(ctx context.Context, tenant fleet.TenantID, ref string) (gen.Campaign, error) {
	row, err := d.DB.Read().Campaign(ctx, string(tenant), ref)
	if store.IsNone(err) {
		row, err = d.DB.Read().CampaignByName(ctx, string(tenant), ref)
	}
	if store.IsNone(err) {
		return row, fault.New(fault.NotFound, "what", "campaign", "name", ref)
	}
	if err != nil {
		return row, fmt.Errorf("read campaign %s: %w", ref, err)
	}
	return row, nil
}

// planRemains checks what is asked and works out what it comes to.
func (d *Desk) planRemains(ctx context.Context, tenant fleet.TenantID, row gen.Campaign, ask FollowUp) (remainsPlan, error) {
	var p remainsPlan
	if err := d.checkRemains(&p, ask); err != nil {
		return p, err
	}
	read := d.DB.Read()
	all, err := read.MissedDevices(ctx, gen.MissedDevicesParams{Tenant: string(tenant), Campaign: row.ID, Max: 1 << 20})
	if err != nil {
		return p, fmt.Errorf("read what is missing: %w", err)
	}
	devices := slices.CompactFunc(all, func(a, b gen.MissedDevicesRow) bool { return a.Device == b.Device })
	p.out.Missing = len(devices)
	if len(devices) == 0 {
		return p, fault.New(fault.NothingToDo, "what", "none_missing")
	}
	bucketOf := map[string]campaign.Bucket{}
	for _, m := range devices {
		bucketOf[m.Device] = campaign.Bucket(m.Bucket)
	}
	if err := d.planTasks(ctx, tenant, row, ask, devices, &p); err != nil {
		return p, err
	}
	if err := d.planExceptions(ctx, tenant, row, ask, bucketOf, &p); err != nil {
		return p, err
	}
	if n := len(p.tasks) + len(p.exceptions); n > mostRemains {
		return p, invalid("tasks", "too_many", fmt.Sprintf("%d > %d", n, mostRemains))
	}
	if ask.CatchUp {
		p.out.CatchUp, err = d.planCatchUp(ctx, tenant, row)
	}
	return p, err
}

func (d *Desk) checkRemains(p *remainsPlan, ask FollowUp) (err error) {
	if !ask.CatchUp && len(ask.Tasks)+len(ask.Except) == 0 {
		return invalid("catch_up", "empty", "catch_up_tasks_or_exceptions")
	}
	for _, b := range append(slices.Clone(ask.Tasks), ask.Except...) {
		if b != campaign.Failed && b != campaign.NotReached && b != campaign.Unreachable {
			return invalid("tasks", "not_a_choice", "failed, not_reached, unreachable")
		}
	}
	if (ask.CatchUp || len(ask.Except) > 0) && strings.TrimSpace(ask.Reason) == "" {
		return fault.New(fault.ReasonRequired)
	}
	if len(ask.Tasks)+len(ask.Except) > 0 {
		if err := words("owner", ask.Owner, shortText); err != nil {
			return err
		}
	}
	if len(ask.Tasks) > 0 {
		if p.due, err = d.until("due", ask.Due); err != nil {
			return err
		}
	}
	if len(ask.Except) > 0 {
		_, err := d.checkGrant(&Grant{Device: "x", Owner: ask.Owner, Reason: ask.Reason, Control: ask.Control, Until: ask.Until})
		if err != nil {
			return err
		}
		p.until, err = d.until("until", ask.Until)
		return err
	}
	return nil
}

func (d *Desk) planTasks(ctx context.Context, tenant fleet.TenantID, row gen.Campaign, ask FollowUp, devices []gen.MissedDevicesRow, p *remainsPlan) error {
	if len(ask.Tasks) == 0 {
		return nil
	}
	with, err := d.DB.Read().DevicesWithTask(ctx, string(tenant), row.ID)
	if err != nil {
		return fmt.Errorf("read open tasks: %w", err)
	}
	for _, m := range devices {
		switch {
		case !slices.Contains(ask.Tasks, campaign.Bucket(m.Bucket)):
		case slices.Contains(with, m.Device):
			p.out.Tasks.Known++
		default:
			p.tasks = append(p.tasks, m)
			p.out.Tasks.Make++
		}
	}
	return nil
}

func (d *Desk) planExceptions(ctx context.Context, tenant fleet.TenantID, row gen.Campaign, ask FollowUp, bucketOf map[string]campaign.Bucket, p *remainsPlan) error {
	if len(ask.Except) == 0 {
		return nil
	}
	items, err := d.DB.Read().MissedItems(ctx, gen.MissedItemsParams{Tenant: string(tenant), Campaign: row.ID, Max: 1 << 20})
	if err != nil {
		return fmt.Errorf("read what devices lack: %w", err)
	}
	inForce, err := d.DB.Read().ExceptionsInForce(ctx, string(tenant), d.Clock().UnixMicro())
	if err != nil {
		return fmt.Errorf("read exceptions: %w", err)
	}
	known := map[gen.MissedItemsRow]bool{}
	for _, e := range inForce {
		known[gen.MissedItemsRow{Device: e.Device, Item: e.Patch}] = true
	}
	for _, m := range items {
		switch {
		case !slices.Contains(ask.Except, bucketOf[m.Device]):
		case known[m]:
			p.out.Exceptions.Known++
		default:
			p.exceptions = append(p.exceptions, m)
			p.out.Exceptions.Make++
		}
	}
	return nil
}

// planCatchUp tells what a catch-up carries, or why there can be none.
func (d *Desk) planCatchUp(ctx context.Context, tenant fleet.TenantID, row gen.Campaign) (*CaughtUp, error) {
	if d.CatchUp == nil {
		return nil, errors.New("catch a campaign up: the desk was given no way to")
	}
	var out CaughtUp
	patches, err := d.DB.Read().MissedPatches(ctx, string(tenant), row.ID)
	if err != nil {
		return nil, fmt.Errorf("read what was missed: %w", err)
	}
	running, err := d.DB.Read().OpenCatchUps(ctx, string(tenant), row.ID)
	if err != nil {
		return nil, fmt.Errorf("read catch-ups: %w", err)
	}
	out.Patches = len(patches)
	p, err := d.DB.Read().LatestProcedure(ctx, string(tenant), row.ProcedureName)
	if err != nil {
		return nil, fmt.Errorf("read procedure %s: %w", row.ProcedureName, err)
	}
	// One that a later program refuses is refused by the conductor too.
	if text, err := procedure.Parse(p.Name, []byte(p.Body)); err == nil && text.Emergency.Day == 0 {
		why := fault.Because(fault.NoEmergency, "procedure", p.Name)
		out.Refused = &why
		return &out, nil
	}
	switch {
	case len(running) > 0:
		why := fault.Because(fault.AlreadyExists, "what", "catch_up", "name", running[0])
		out.Refused = &why
	case len(patches) == 0:
		why := fault.Because(fault.NothingToDo, "what", "emergency")
		out.Refused = &why
	}
	return &out, nil
}

// openRemain opens the task of one device.
func (d *Desk) openRemain(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, campaignID string, ask FollowUp, due time.Time, m gen.MissedDevicesRow) error {
	id, err := newID()
	if err != nil {
		return err
	}
	var why fault.Reason
	if m.Reason != "" {
		if err := json.Unmarshal([]byte(m.Reason), &why); err != nil {
			return fmt.Errorf("read why %s is missing: %w", m.Name, err)
		}
	}
	now := d.Clock().UnixMicro()
	row := gen.Task{
		Tenant: string(tenant), ID: id, Device: m.Device, Campaign: campaignID, Owner: ask.Owner, EscalateTo: ask.EscalateTo,
		EscalateAfter: EscalateAfter, DueUs: due.UnixMicro(), CreatedUs: now, OpenedUs: now, Actor: string(by),
	}
	row.Title, row.What = ask.Words(m.Bucket, why)
	schedule(&row, 0)
	return d.add(ctx, tx, row, by)
}

// exceptRemain leaves one patch out on one device.
func (d *Desk) exceptRemain(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask FollowUp, until time.Time, m gen.MissedItemsRow) error {
	id, err := newID()
	if err != nil {
		return err
	}
	row := gen.AddExceptionParams{
		Tenant: string(tenant), ID: id, Device: m.Device, Scope: string(policy.ScopeOf(patch.ID(m.Item))), Patch: m.Item, Owner: ask.Owner, Reason: ask.Reason,
		Control: ask.Control, FromUs: d.Clock().UnixMicro(), UntilUs: until.UnixMicro(), Actor: string(by),
	}
	row.RemindUs = max(row.FromUs, until.AddDate(0, 0, -RemindDays).UnixMicro())
	return d.keepException(ctx, tx, tenant, by, row)
}
