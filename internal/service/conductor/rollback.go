package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// longestEmergency bounds the window that a rollback may open for itself.
const longestEmergency = 24 * time.Hour

// PlanRollback says what a rollback would do, how long it takes by what was
// rehearsed, which packages cannot go back and what is open again after it,
// before anyone says yes.
func (c *Conductor) PlanRollback(ctx context.Context, tenant fleet.TenantID, ask campaign.Rollback) (plan campaign.RollbackPlan, err error) {
	if err := checkRollback(ask); err != nil {
		return plan, err
	}
	err = c.DB.Snapshot(ctx, func(r store.Reads) error {
		row, err := find(ctx, r.Queries, tenant, ask.Campaign)
		if err != nil {
			return err
		}
		s, err := c.scene(ctx, r.Queries, row)
		if err != nil {
			return err
		}
		u, err := c.undoing(ctx, r.Queries, s, ask)
		if err != nil {
			return err
		}
		plan, err = u.plan(ctx, r.Queries, c.Clock())
		return err
	})
	return plan, err
}

func checkRollback(ask campaign.Rollback) error {
	if ask.Now < 0 || ask.Now > longestEmergency {
		return fault.New(fault.InvalidField, "field", "now", "problem", "out_of_range", "fix", "1m – 24h")
	}
	return nil
}

// Rollback starts the campaign that puts the chosen items back. What is rolled
// back everywhere is withdrawn, or the next decision would install it again.
func (c *Conductor) Rollback(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Rollback) (plan campaign.RollbackPlan, err error) {
	if err := needReason(ask.Reason); err != nil {
		return plan, err
	}
	if err := checkRollback(ask); err != nil {
		return plan, err
	}
	err = c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		plan, err = c.rollBack(ctx, tx, s, by, ask)
		return err
	})
	if err == nil {
		c.Changed(tenant, plan.Campaign)
	}
	return plan, err
}

func (c *Conductor) rollBack(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, ask campaign.Rollback) (plan campaign.RollbackPlan, err error) {
	u, err := c.undoing(ctx, tx.Queries, s, ask)
	if err != nil {
		return plan, err
	}
	if plan, err = u.plan(ctx, tx.Queries, c.Clock()); err != nil {
		return plan, err
	}
	if plan.Items == 0 {
		return plan, fault.New(fault.NothingToDo, "what", "rollback")
	}
	if plan, err = c.startRollback(ctx, tx, u, plan, by); err != nil {
		return plan, err
	}
	return plan, c.stopContent(ctx, tx, s, by, u.ask)
}

// requested is what the register of the campaign that goes back says of it.
func (u *undoing) requested(plan campaign.RollbackPlan, by register.Actor) register.Entry {
	return register.Entry{
		Kind: register.RollbackRequested, Actor: by, Ring: u.ask.Ring, Device: string(u.ask.Device), Patch: string(u.ask.Patch),
		Reason: campaign.Asked(string(by), u.ask.Reason),
		Detail: map[string]any{
			"devices": plan.Devices, "items": plan.Items, "impossible": len(plan.Impossible), "now": int64(u.ask.Now / time.Second),
			"rollback": string(plan.Campaign), "name": plan.Name, "by_ring": u.ask.ByRing,
		},
	}
}

// undoing is what an ask is about: the items to undo, by device.
type undoing struct {
	*scene
	ask     campaign.Rollback
	devices []string
	items   map[string][]undoItem
	after   string // the closed rollback that they were in; empty: none
}

type undoItem struct {
	gen.ToUndoRow
	progress campaign.Progress
	sure     bool // an install of it has begun; else its order is out, and nobody knows yet
}

// noOrder is the step of an item whose order is not out.
const noOrder = "none"

func (c *Conductor) undoing(ctx context.Context, q *gen.Queries, s *scene, ask campaign.Rollback) (*undoing, error) {
	if err := s.notUndo(); err != nil {
		return nil, err
	}
	if ask.Ring != "" {
		ring, err := s.ringRow(0, ask.Ring)
		if err != nil {
			return nil, err
		}
		ask.Ring = ring.Ring
	}
	rows, err := q.ToUndo(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return nil, fmt.Errorf("read what was installed: %w", err)
	}
	u := &undoing{scene: s, ask: ask, items: map[string][]undoItem{}}
	for _, r := range rows {
		i := r.CampaignDeviceItem
		if !ask.Covers(ringName(s, r.Position), fleet.DeviceID(i.Device), patch.ID(i.Item)) {
			continue
		}
		p, err := store.Progress(i)
		if err != nil {
			return nil, err
		}
		if !p.ToUndo(r.Step != noOrder) {
			continue
		}
		if u.items[i.Device] == nil {
			u.devices = append(u.devices, i.Device)
		}
		u.items[i.Device] = append(u.items[i.Device], undoItem{r, p, p.ToUndo(campaign.Begun(wire.Step(r.Step)))})
	}
	return u, nil
}

func (u *undoing) plan(ctx context.Context, q *gen.Queries, now time.Time) (campaign.RollbackPlan, error) {
	plan := campaign.RollbackPlan{Impossible: []campaign.CannotRollback{}, Exceptions: []campaign.OpenAgain{}}
	rehearsals, err := q.Rehearsals(ctx, u.row.Tenant, u.row.ID)
	if err != nil {
		return plan, fmt.Errorf("read rehearsals: %w", err)
	}
	took := map[string]time.Duration{}
	for _, r := range rehearsals {
		took[r.Item] = time.Duration(r.BackUs) * time.Microsecond
	}
	open := map[patch.ID]int{}
	for _, device := range u.devices {
		alone, before := time.Duration(0), plan.Items
		for _, i := range u.items[device] {
			if !i.sure {
				continue
			}
			plan.Items++
			if why, cannot := campaign.CannotGoBack(i.progress.Packages); cannot {
				plan.Impossible = append(plan.Impossible, campaign.CannotRollback{
					Device: fleet.DeviceID(device), Name: i.DeviceName, Package: why.Args["package"], Why: why.Args["why"],
				})
				continue
			}
			alone += took[string(i.progress.Item)]
			open[i.progress.Item]++
		}
		if plan.Items > before {
			plan.Devices++
		}
		plan.Expected = max(plan.Expected, alone)
	}
	until := now.AddDate(0, 0, u.procedure.Rollback.ExceptionDays)
	for _, item := range u.scene.items {
		if n := open[item.ID]; n > 0 {
			plan.Exceptions = append(plan.Exceptions, campaign.OpenAgain{
				Patch: item.ID, Name: item.Key.Name, Version: item.Key.Version, Devices: n, Until: until,
			})
		}
	}
	return plan, nil
}

// Covered is what a rollback leaves open, to be excepted in its transaction.
type Covered struct {
	Tenant   string
	Rollback string // the campaign's id
	Name     string
	Owner    string
	Reason   string
	Control  string
	By       register.Actor
	Until    time.Time
	Patches  []patch.ID
	// Ring, Device: only that part of the fleet; both empty: everyone.
	Ring    string
	Device  string
	Devices []string // its members
}

func (u *undoing) cover(row gen.AddCampaignParams, by register.Actor, open []campaign.OpenAgain) Covered {
	out := Covered{
		Tenant: row.Tenant, Rollback: row.ID, Name: row.Name, Owner: u.procedure.Owner, Reason: u.ask.Reason,
		Control: u.procedure.Rollback.Control, By: by, Ring: u.ask.Ring, Device: string(u.ask.Device), Devices: u.devices,
	}
	for _, o := range open {
		out.Patches, out.Until = append(out.Patches, o.Patch), o.Until
	}
	return out
}

// stopContent keeps what goes back from being installed again: a rollback of
// the whole campaign stops it, one of a patch withdraws the patch. On a ring
// or a device, the rolled-back items stay settled there.
func (c *Conductor) stopContent(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, ask campaign.Rollback) error {
	switch {
	case ask.Ring != "" || ask.Device != "":
		_, err := tx.TouchCampaignDevices(ctx, s.row.Tenant, s.row.ID)
		return err
	case ask.Patch != "":
		err := c.withdraw(ctx, tx, s, by, campaign.Withdraw{Patch: ask.Patch, Reason: ask.Reason})
		if fault.CodeOf(err) == fault.NotFound {
			return nil // withdrawn before: that is how it came to be rolled back
		}
		return err
	}
	for _, item := range s.items {
		if item.Withdrawn {
			continue
		}
		if err := c.withdraw(ctx, tx, s, by, campaign.Withdraw{Patch: item.ID, Reason: ask.Reason}); err != nil {
			return err
		}
	}
	_, err := c.placeHold(ctx, tx, s, by, campaign.PlaceHold{Reason: ask.Reason})
	return err
}

// addRollback adds the campaign with its rings, which are the other's.
func (c *Conductor) addRollback(ctx context.Context, tx *store.Tx, u *undoing, by register.Actor) (row gen.AddCampaignParams, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return row, fmt.Errorf("make a campaign id: %w", err)
	}
	name, err := freeName(ctx, tx, u.row)
	if err != nil {
		return row, err
	}
	now := c.Clock()
	schedule := u.backSchedule(now)
	text, err := json.Marshal(schedule)
	if err != nil {
		return row, fmt.Errorf("encode schedule: %w", err)
	}
	row = gen.AddCampaignParams{
		Tenant: u.row.Tenant, ID: id.String(), Name: name, ProcedureName: u.row.ProcedureName, ProcedureVersion: u.row.ProcedureVersion,
		State: string(campaign.Running), Origin: string(campaign.ByRollback), Schedule: string(text), Patches: "[]", DayUs: u.row.DayUs,
		StartsUs: now.UnixMicro(), VerificationUs: schedule.Verification.UnixMicro(), CreatedUs: now.UnixMicro(), Actor: string(by),
	}
	if err := tx.AddCampaign(ctx, row); err != nil {
		return row, err
	}
	if err := tx.SetCampaignState(ctx, gen.SetCampaignStateParams{
		Tenant: row.Tenant, ID: row.ID, State: row.State, StartedUs: row.CreatedUs, SealedUs: row.CreatedUs,
	}); err != nil {
		return row, err
	}
	if err := c.addAmendment(ctx, tx, row.Tenant, row.ID, 0, by, u.ask.Reason); err != nil {
		return row, err
	}
	for i, r := range schedule.Rings {
		if err := addRing(ctx, tx, row.Tenant, row.ID, 0, i, r); err != nil {
			return row, err
		}
	}
	back := gen.AddRollbackParams{
		Tenant: row.Tenant, Campaign: row.ID, Undoes: u.row.ID, Ring: u.ask.Ring, Device: string(u.ask.Device), Item: string(u.ask.Patch),
		Reason: u.ask.Reason, AskedBy: string(by),
	}
	if u.ask.ByRing {
		back.ByRing = 1
	}
	return row, tx.AddRollback(ctx, back)
}

// freeName is the other campaign's, with a number from the second rollback on.
func freeName(ctx context.Context, tx *store.Tx, of gen.Campaign) (string, error) {
	for n := 1; ; n++ {
		name := of.Name + "-rollback"
		if n > 1 {
			name += "-" + strconv.Itoa(n)
		}
		_, err := tx.CampaignByName(ctx, of.Tenant, name)
		if store.IsNone(err) {
			return name, nil
		}
		if err != nil {
			return "", fmt.Errorf("read campaign %s: %w", name, err)
		}
	}
}

// fillRollback gives it its content, its members, and what is to be undone on
// each of them.
func (c *Conductor) fillRollback(ctx context.Context, tx *store.Tx, u *undoing, row gen.AddCampaignParams, by register.Actor) error {
	now := c.Clock()
	windows, err := u.ownWindows(now)
	if err != nil {
		return err
	}
	members, content := map[int64]int64{}, map[patch.ID]bool{}
	for _, device := range u.devices {
		position := u.items[device][0].Position
		if _, err := tx.AddUndoDevice(ctx, gen.AddUndoDeviceParams{
			Tenant: row.Tenant, Campaign: row.ID, Device: device, Position: position, Windows: windows, UpdatedUs: now.UnixMicro(),
		}); err != nil {
			return fmt.Errorf("add device %s: %w", device, err)
		}
		members[position]++
		for _, i := range u.items[device] {
			content[i.progress.Item] = true
		}
	}
	var items []campaign.Item
	for _, item := range u.scene.items {
		if content[item.ID] {
			items = append(items, item)
		}
	}
	back := &scene{row: gen.Campaign{Tenant: row.Tenant, ID: row.ID, Name: row.Name}}
	if err := c.addItems(ctx, tx, back, 0, items); err != nil {
		return err
	}
	if err := tx.PromoteItems(ctx, gen.PromoteItemsParams{Tenant: row.Tenant, Campaign: row.ID, Promoted: int64(len(u.schedule.Rings) - 1)}); err != nil {
		return fmt.Errorf("promote the content: %w", err)
	}
	for position, n := range members {
		if err := tx.AddRingCounts(ctx, gen.AddRingCountsParams{Tenant: row.Tenant, Campaign: row.ID, Position: position, NotReached: n}); err != nil {
			return fmt.Errorf("count ring: %w", err)
		}
	}
	c.record(tx, back, register.Entry{Kind: register.CampaignCreated, Actor: by, Detail: map[string]any{
		"name": row.Name, "procedure": row.ProcedureName, "version": row.ProcedureVersion, "origin": row.Origin, "schedule": row.Schedule,
		"undoes": u.row.ID, "undoes_name": u.row.Name, "ring": u.ask.Ring, "device": string(u.ask.Device), "patch": string(u.ask.Patch),
		"why": u.ask.Reason, "by_ring": u.ask.ByRing, "items": itemTexts(items), "after": u.after,
	}})
	if u.ask.Now > 0 {
		c.record(tx, back, register.Entry{
			Kind: register.EmergencyWindow, Ring: u.ask.Ring, Device: string(u.ask.Device),
			Detail: map[string]any{"from": now.UnixMicro(), "to": now.Add(u.ask.Now).UnixMicro()},
		})
	}
	return c.takeItems(ctx, tx, u, row, by)
}

func (u *undoing) ownWindows(now time.Time) (string, error) {
	if u.ask.Now == 0 {
		return "", nil
	}
	text, err := json.Marshal(wholeSeconds([]interval{{Start: now, End: now.Add(u.ask.Now)}}))
	if err != nil {
		return "", fmt.Errorf("encode window: %w", err)
	}
	return string(text), nil
}

// takeItems lets the other campaign leave them alone from here on.
func (c *Conductor) takeItems(ctx context.Context, tx *store.Tx, u *undoing, row gen.AddCampaignParams, by register.Actor) error {
	now, why := c.Clock(), campaign.Asked(string(by), u.ask.Reason)
	for _, device := range u.devices {
		for _, i := range u.items[device] {
			was := i.CampaignDeviceItem
			of := gen.CampaignDevice{Tenant: was.Tenant, Campaign: was.Campaign, Amendment: was.Amendment, Device: device}
			if err := takeItem(ctx, tx, of, taken{rollback: row.ID, progress: i.progress, why: why, at: now}); err != nil {
				return err
			}
		}
	}
	return nil
}

// taken is an item that goes over to a rollback.
type taken struct {
	rollback string
	progress campaign.Progress
	why      fault.Reason
	at       time.Time
}

func takeItem(ctx context.Context, tx *store.Tx, of gen.CampaignDevice, t taken) error {
	p := t.progress
	if err := tx.MoveItem(ctx, of, p, p.AskedBack(t.why)); err != nil {
		return fmt.Errorf("take %s on %s: %w", p.Item, of.Device, err)
	}
	undo := campaign.Progress{Item: p.Item, State: patch.Scheduled, Reason: t.why, Rollback: true, Packages: p.Packages, Updated: t.at}
	of.Campaign, of.Amendment = t.rollback, 0
	if err := tx.MoveItem(ctx, of, campaign.Progress{}, undo); err != nil {
		return fmt.Errorf("ask %s back on %s: %w", p.Item, of.Device, err)
	}
	return nil
}
