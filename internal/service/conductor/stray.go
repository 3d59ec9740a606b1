package conductor

import (
	"context"
	"fmt"
	"slices"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// straysAtOnce bounds one tick; the next one takes the rest.
const straysAtOnce = 500

// strays puts back what landed on a device after its rollback was closed: an
// order taken back while its device was away, which the device had carried out.
// Whoever closed the rollback could not know of it. Each device gets a rollback
// of its own, for the reason of the one before it, in the device's windows.
//
// Crash story: the tick's transaction. Before its commit the items still stand as
// asked back and landed, and the next tick finds them; after it they have an open
// rollback.
func (c *Conductor) strays(ctx context.Context, tx *store.Tx, s *scene) error {
	if s.undo() {
		return nil
	}
	rows, err := tx.Strays(ctx, gen.StraysParams{Tenant: s.row.Tenant, Undoes: s.row.ID, Max: straysAtOnce})
	if err != nil {
		return fmt.Errorf("look for what landed after its rollback: %w", err)
	}
	for len(rows) > 0 {
		n := slices.IndexFunc(rows, func(r gen.StraysRow) bool { return r.Device != rows[0].Device })
		if n < 0 {
			n = len(rows)
		}
		if err := c.stray(ctx, tx, s, rows[:n]); err != nil {
			return fmt.Errorf("put back what landed on %s after its rollback: %w", rows[0].Device, err)
		}
		if rows = rows[n:]; len(rows) == 0 {
			s.goingBack, err = tx.OpenRollbacks(ctx, s.row.Tenant, s.row.ID)
		}
	}
	return err
}

// stray starts the rollback of one device's items.
func (c *Conductor) stray(ctx context.Context, tx *store.Tx, s *scene, rows []gen.StraysRow) error {
	before, err := tx.Rollback(ctx, s.row.Tenant, rows[0].Rollback)
	if err != nil {
		return fmt.Errorf("read rollback %s: %w", rows[0].Rollback, err)
	}
	items, err := c.release(ctx, tx, s, rows)
	if err != nil {
		return err
	}
	ask := campaign.Rollback{Campaign: s.row.ID, Device: fleet.DeviceID(rows[0].Device), Reason: before.Reason}
	if len(items) == 1 {
		ask.Patch = items[0]
	}
	u, err := c.undoing(ctx, tx.Queries, s, ask)
	if err != nil {
		return err
	}
	u.only(items)
	if len(u.devices) == 0 {
		return nil // none of it changed a package
	}
	u.after = before.Campaign
	plan, err := u.plan(ctx, tx.Queries, c.Clock())
	if err != nil {
		return err
	}
	if _, err := c.startRollback(ctx, tx, u, plan, actor); err != nil {
		return err
	}
	return c.stopContent(ctx, tx, s, actor, u.ask)
}

// release takes items out of the rollback that is over, so that another one can
// have them.
func (c *Conductor) release(ctx context.Context, tx *store.Tx, s *scene, rows []gen.StraysRow) (items []patch.ID, err error) {
	of := gen.DeviceItemsParams{Tenant: s.row.Tenant, Campaign: s.row.ID, Device: rows[0].Device}
	known, err := tx.DeviceItems(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	for _, k := range known {
		if !slices.ContainsFunc(rows, func(r gen.StraysRow) bool { return r.Item == k.Item }) {
			continue
		}
		p, err := store.Progress(k)
		if err != nil {
			return nil, err
		}
		after := p
		after.Rollback = false
		row := gen.CampaignDevice{Tenant: k.Tenant, Campaign: k.Campaign, Amendment: k.Amendment, Device: k.Device}
		if err := tx.MoveItem(ctx, row, p, after); err != nil {
			return nil, fmt.Errorf("release %s: %w", k.Item, err)
		}
		items = append(items, p.Item)
	}
	return items, nil
}

// only leaves out what was not asked for.
func (u *undoing) only(items []patch.ID) {
	var devices []string
	for _, device := range u.devices {
		kept := slices.DeleteFunc(u.items[device], func(i undoItem) bool { return !slices.Contains(items, i.progress.Item) })
		if u.items[device] = kept; len(kept) > 0 {
			devices = append(devices, device)
		}
	}
	u.devices = devices
}

// startRollback adds the campaign that puts the chosen items back, and excepts
// what it leaves open.
func (c *Conductor) startRollback(ctx context.Context, tx *store.Tx, u *undoing, plan campaign.RollbackPlan, by register.Actor) (campaign.RollbackPlan, error) {
	row, err := c.addRollback(ctx, tx, u, by)
	if err != nil {
		return plan, fmt.Errorf("create the rollback of %s: %w", u.row.Name, err)
	}
	plan.Campaign, plan.Name = campaign.ID(row.ID), row.Name
	c.record(tx, u.scene, u.requested(plan, by))
	if err := c.fillRollback(ctx, tx, u, row, by); err != nil {
		return plan, err
	}
	if c.OpenAgain != nil {
		if err := c.OpenAgain(ctx, tx, u.cover(row, by, plan.Exceptions)); err != nil {
			return plan, fmt.Errorf("except what is open again: %w", err)
		}
	}
	return plan, nil
}
