package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

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

// PlanRollback says what a rollback would do, and which packages cannot go
// back, before anyone says yes.
func (c *Conductor) PlanRollback(ctx context.Context, tenant fleet.TenantID, ask campaign.Rollback) (campaign.RollbackPlan, error) {
	row, err := find(ctx, c.DB.Read(), tenant, ask.Campaign)
	if err != nil {
		return campaign.RollbackPlan{}, err
	}
	s, err := c.scene(ctx, c.DB.Read(), row)
	if err != nil {
		return campaign.RollbackPlan{}, err
	}
	chosen, err := c.toRollBack(ctx, c.DB.Read(), s, ask)
	if err != nil {
		return campaign.RollbackPlan{}, err
	}
	return planOf(chosen)
}

func planOf(chosen []gen.InstalledItemsRow) (campaign.RollbackPlan, error) {
	plan := campaign.RollbackPlan{Items: len(chosen), Impossible: []campaign.CannotRollback{}}
	devices := map[string]bool{}
	for _, i := range chosen {
		devices[i.Device] = true
		var packages []wire.Change
		if err := json.Unmarshal([]byte(i.Packages), &packages); err != nil {
			return plan, fmt.Errorf("read packages of %s on %s: %w", i.Item, i.Device, err)
		}
		for _, p := range packages {
			if p.Rollback == wire.RollbackImpossible {
				plan.Impossible = append(plan.Impossible, campaign.CannotRollback{
					Device: fleet.DeviceID(i.Device), Name: i.DeviceName, Package: p.Name, Why: p.Why,
				})
			}
		}
	}
	plan.Devices = len(devices)
	return plan, nil
}

// toRollBack are the installed items that an ask is about.
func (c *Conductor) toRollBack(ctx context.Context, q *gen.Queries, s *scene, ask campaign.Rollback) ([]gen.InstalledItemsRow, error) {
	position := int64(-1)
	if ask.Ring != "" {
		ring, err := s.ringRow(0, ask.Ring)
		if err != nil {
			return nil, err
		}
		position = ring.Position
	}
	installed, err := q.InstalledItems(ctx, s.row.Tenant, s.row.ID)
	if err != nil {
		return nil, fmt.Errorf("read what was installed: %w", err)
	}
	var chosen []gen.InstalledItemsRow
	for _, i := range installed {
		if position >= 0 && i.Position != position || ask.Device != "" && i.Device != string(ask.Device) ||
			ask.Patch != "" && i.Item != string(ask.Patch) {
			continue
		}
		if changed, err := touched(i); err != nil {
			return nil, err
		} else if changed {
			chosen = append(chosen, i)
		}
	}
	return chosen, nil
}

// touched leaves out what was never changed on the device: a failure before
// the install or after which the old version was restored, or what has gone
// back already.
func touched(i gen.InstalledItemsRow) (bool, error) {
	if i.State == string(patch.RolledBack) {
		return false, nil
	}
	var packages []wire.Change
	if err := json.Unmarshal([]byte(i.Packages), &packages); err != nil {
		return false, fmt.Errorf("read packages of %s on %s: %w", i.Item, i.Device, err)
	}
	return slices.ContainsFunc(packages, func(p wire.Change) bool { return p.From != p.To }), nil
}

// Rollback orders it: the chosen items go back on every chosen device, watched
// like an install. What is rolled back everywhere is withdrawn, or the next
// decision would install it again.
func (c *Conductor) Rollback(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Rollback) (plan campaign.RollbackPlan, err error) {
	if err := needReason(ask.Reason); err != nil {
		return plan, err
	}
	if ask.Now < 0 || ask.Now > longestEmergency {
		return plan, fault.New(fault.InvalidField, "field", "now", "problem", "out_of_range", "fix", "1m – 24h")
	}
	err = c.act(ctx, tenant, ask.Campaign, func(tx *store.Tx, s *scene) error {
		plan, err = c.rollBack(ctx, tx, s, by, ask)
		return err
	})
	return plan, err
}

func (c *Conductor) rollBack(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, ask campaign.Rollback) (plan campaign.RollbackPlan, err error) {
	chosen, err := c.toRollBack(ctx, tx.Queries, s, ask)
	if err != nil {
		return plan, err
	}
	if len(chosen) == 0 {
		return plan, fault.New(fault.NothingToDo, "what", "rollback")
	}
	if plan, err = planOf(chosen); err != nil {
		return plan, err
	}
	c.record(tx, s, register.Entry{
		Kind: register.RollbackRequested, Actor: by, Ring: ask.Ring, Device: string(ask.Device), Patch: string(ask.Patch),
		Reason: fault.Because(fault.RollbackAsked, "by", string(by), "reason", ask.Reason),
		Detail: map[string]any{"devices": plan.Devices, "items": plan.Items, "impossible": len(plan.Impossible), "now": int64(ask.Now / time.Second)},
	})
	if err := c.markRollback(ctx, tx, s, ask, chosen); err != nil {
		return plan, err
	}
	return plan, c.stopContent(ctx, tx, s, by, ask)
}

// markRollback gives the devices their new goal, and their emergency window.
func (c *Conductor) markRollback(ctx context.Context, tx *store.Tx, s *scene, ask campaign.Rollback, chosen []gen.InstalledItemsRow) error {
	now := c.Clock()
	windows := ""
	if ask.Now > 0 {
		text, err := json.Marshal(wholeSeconds([]interval{{Start: now, End: now.Add(ask.Now)}}))
		if err != nil {
			return fmt.Errorf("encode window: %w", err)
		}
		windows = string(text)
		c.record(tx, s, register.Entry{
			Kind: register.EmergencyWindow, Ring: ask.Ring, Device: string(ask.Device),
			Detail: map[string]any{"from": now.UnixMicro(), "to": now.Add(ask.Now).UnixMicro()},
		})
	}
	type member struct {
		device    string
		amendment int64
	}
	members := map[member]bool{}
	for _, i := range chosen {
		members[member{i.Device, i.Amendment}] = true
		if err := tx.SetItemRollback(ctx, gen.SetItemRollbackParams{
			Tenant: s.row.Tenant, Campaign: s.row.ID, Device: i.Device, Item: i.Item, UpdatedUs: now.UnixMicro(),
		}); err != nil {
			return fmt.Errorf("mark %s on %s: %w", i.Item, i.Device, err)
		}
	}
	for m := range members {
		if _, err := tx.SetGoal(ctx, gen.SetGoalParams{
			Tenant: s.row.Tenant, Campaign: s.row.ID, Amendment: m.amendment, Device: m.device,
			Goal: string(campaign.RollBack), Windows: windows,
		}); err != nil {
			return fmt.Errorf("turn device %s around: %w", m.device, err)
		}
	}
	return nil
}

// stopContent keeps what goes back from being installed again: a rollback of
// the whole campaign stops it, one of a patch withdraws the patch. On a ring
// or a device, the rolled-back items stay settled there.
func (c *Conductor) stopContent(ctx context.Context, tx *store.Tx, s *scene, by register.Actor, ask campaign.Rollback) error {
	switch {
	case ask.Ring != "" || ask.Device != "":
		return nil
	case ask.Patch != "":
		err := c.withdraw(ctx, tx, s, by, campaign.Withdraw{Patch: ask.Patch, Reason: ask.Reason})
		if fault.CodeOf(err) == fault.NotFound {
			return nil // withdrawn before: that is how it came to be rolled back
		}
		return err
	default:
		s.row.State = string(campaign.RollingBack)
		for _, item := range s.items {
			if item.Withdrawn {
				continue
			}
			if err := c.withdraw(ctx, tx, s, by, campaign.Withdraw{Patch: item.ID, Reason: ask.Reason}); err != nil {
				return err
			}
		}
		return c.setState(ctx, tx, s.row)
	}
}

// Why explains one device, or one patch on it, by the rules that decide.
func (c *Conductor) Why(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, id patch.ID) ([]Explanation, error) {
	var out []Explanation
	err := c.DB.Snapshot(ctx, func(r store.Reads) error {
		if _, err := r.Device(ctx, string(tenant), string(device)); store.IsNone(err) {
			return fault.New(fault.DeviceUnknown, "device", string(device))
		} else if err != nil {
			return fmt.Errorf("read device %s: %w", device, err)
		}
		rows, err := r.CampaignDevicesOfDevice(ctx, string(tenant), string(device))
		if err != nil {
			return fmt.Errorf("read campaigns of device %s: %w", device, err)
		}
		for _, row := range rows {
			explained, err := c.explain(ctx, r, row, id)
			if err != nil {
				return err
			}
			out = append(out, explained...)
		}
		return nil
	})
	return out, err
}

// Explanation is the chain for one patch in one campaign, and what it amounts to.
type Explanation struct {
	Campaign  string           `json:"campaign"`
	Amendment int              `json:"amendment"`
	Ring      string           `json:"ring"`
	Bucket    campaign.Bucket  `json:"bucket"`
	Patch     patch.Key        `json:"patch"`
	State     patch.State      `json:"state"`
	Reason    fault.Reason     `json:"reason"`
	Next      time.Time        `json:"next"`
	Chain     []campaign.Check `json:"chain"`
}

func (c *Conductor) explain(ctx context.Context, r store.Reads, row gen.CampaignDevice, id patch.ID) ([]Explanation, error) {
	crow, err := r.Campaign(ctx, row.Tenant, row.Campaign)
	if err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", row.Campaign, err)
	}
	if crow.State == string(campaign.Closed) && id == "" {
		return nil, nil
	}
	s, err := c.scene(ctx, r.Queries, crow)
	if err != nil {
		return nil, err
	}
	batch, err := r.Batch(ctx, row.Tenant, []string{row.Device})
	if err != nil {
		return nil, err
	}
	if err := s.readSoftware(ctx, r, &batch); err != nil {
		return nil, err
	}
	if s.pace, err = r.Pace(ctx, row.Tenant, row.Campaign); err != nil {
		return nil, err
	}
	g := group{Conductor: c, reads: r, scene: s, batch: batch}
	now := c.Clock()
	d, _, err := g.device(ctx, row, now)
	if err != nil {
		return nil, err
	}
	view := s.devices(row.Amendment)
	decision := campaign.DecideDevice(now, view, d)
	var out []Explanation
	for _, key := range subjects(view, d, decision, id) {
		e := Explanation{
			Campaign: crow.Name, Amendment: int(row.Amendment), Ring: ringName(s, row.Position), Bucket: decision.Bucket,
			Patch: key, Chain: campaign.Explain(now, view, d, key), State: patch.NotApplicable, Next: decision.Look,
		}
		for _, item := range decision.Items {
			if item.Item == key.ID() {
				e.State, e.Reason, e.Next = item.State, item.Reason, item.Next
			}
		}
		// An item has no reason of its own when it waits for what stops the whole
		// device: then the chain says what that is.
		if blocking, blocked := campaign.Blocking(e.Chain); blocked && e.Reason.IsZero() && e.State != patch.Verified {
			e.Reason, e.Next = blocking.Reason, blocking.Next
		}
		out = append(out, e)
	}
	return out, nil
}

// subjects are the patches to explain: the one asked for, or every one that
// concerns the device.
func subjects(view campaign.Scene, d campaign.Device, decision campaign.DeviceDecision, id patch.ID) []patch.Key {
	seen := map[patch.ID]bool{}
	var keys []patch.Key
	add := func(key patch.Key) {
		if !seen[key.ID()] && (id == "" || key.ID() == id) {
			seen[key.ID()] = true
			keys = append(keys, key)
		}
	}
	for _, i := range decision.Items {
		if item, ok := view.Content.Item(i.Item); ok {
			add(item.Key)
		}
	}
	for _, m := range d.Missing {
		add(m.Key)
	}
	if item, ok := view.Content.Item(id); ok {
		add(item.Key)
	}
	return keys
}
