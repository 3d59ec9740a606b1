package store

import (
	"context"
	"fmt"

	"patchring/internal/core/campaign"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store/gen"
)

// Mirror lets the campaign that a rollback undoes know what became of an item on
// a device, in the transaction that learnt it. For every other campaign it does
// nothing.
func (tx *Tx) Mirror(ctx context.Context, of gen.CampaignDevice, undone campaign.Progress, at int64) error {
	back, err := tx.Rollback(ctx, of.Tenant, of.Campaign)
	if IsNone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read rollback %s: %w", of.Campaign, err)
	}
	rows, err := tx.DeviceItems(ctx, gen.DeviceItemsParams{Tenant: of.Tenant, Campaign: back.Undoes, Device: of.Device})
	if err != nil {
		return fmt.Errorf("read items of %s: %w", of.Device, err)
	}
	for _, r := range rows {
		if patch.ID(r.Item) == undone.Item {
			return tx.mirrorItem(ctx, back, r, undone, at)
		}
	}
	return nil
}

func (tx *Tx) mirrorItem(ctx context.Context, back gen.CampaignRollback, r gen.CampaignDeviceItem, undone campaign.Progress, at int64) error {
	was, err := Progress(r)
	if err != nil {
		return err
	}
	now, changed := was.Mirrored(undone, campaign.Asked(back.AskedBy, back.Reason))
	if !changed {
		return nil
	}
	of := gen.CampaignDevice{Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Device: r.Device}
	if err := tx.MoveItem(ctx, of, was, now); err != nil {
		return err
	}
	tx.Record(register.Entry{
		Tenant: r.Tenant, AtUS: at, Actor: register.System("conductor"), Kind: register.PatchDecided, Device: r.Device, Campaign: r.Campaign,
		Patch: r.Item, Reason: now.Reason, Detail: map[string]any{"state": string(now.State), "rollback": back.Campaign},
	})
	_, err = tx.TouchDeviceRows(ctx, r.Tenant, r.Device)
	return err
}
