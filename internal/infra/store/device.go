package store

import (
	"context"
	"errors"
	"fmt"

	"patchring/internal/core/campaign"
	"patchring/internal/infra/store/gen"
)

// AddDevice adds a device at the next place in the order of enrolment, whatever
// place d names.
func (tx *Tx) AddDevice(ctx context.Context, d gen.AddDeviceParams) (err error) {
	if d.Arrival, err = tx.NextArrival(ctx, d.Tenant); err != nil {
		return fmt.Errorf("take a place for device %s: %w", d.ID, err)
	}
	return tx.Queries.AddDevice(ctx, d)
}

// MoveItem writes an item's progress on a device, and keeps the number of its
// ring's items that cannot be put back.
func (tx *Tx) MoveItem(ctx context.Context, of gen.CampaignDevice, before, after campaign.Progress) error {
	row, err := deviceItem(of, after)
	if err != nil {
		return err
	}
	if err := tx.PutDeviceItem(ctx, row); err != nil {
		return fmt.Errorf("keep item %s: %w", after.Item, err)
	}
	delta := row.RollbackImpossible - rollbackImpossible(before)
	if delta == 0 {
		return nil
	}
	err = tx.CountRollbackImpossible(ctx, gen.CountRollbackImpossibleParams{
		Tenant: of.Tenant, Campaign: of.Campaign, Amendment: of.Amendment, Device: of.Device, Delta: delta,
	})
	if err != nil {
		return fmt.Errorf("count what cannot be put back: %w", err)
	}
	return nil
}

// rollbackImpossible is 1 for an item whose rollback is known to be impossible.
func rollbackImpossible(p campaign.Progress) int64 {
	if _, stuck := p.RollbackImpossible(); stuck {
		return 1
	}
	return 0
}

// WakeDevice lets a device be decided again in all of its campaigns, and for its
// reboot. It tells whether there was anything to wake.
func (tx *Tx) WakeDevice(ctx context.Context, tenant, device string) (bool, error) {
	rows, e1 := tx.TouchDeviceRows(ctx, tenant, device)
	reboots, e2 := tx.TouchPendingReboot(ctx, tenant, device)
	if err := errors.Join(e1, e2); err != nil {
		return false, fmt.Errorf("wake device %s: %w", device, err)
	}
	return rows+reboots > 0, nil
}
