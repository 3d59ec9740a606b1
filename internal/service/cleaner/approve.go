package cleaner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Approve lets an item go, as it was when its figures were looked at.
type Approve struct {
	Item        string
	Fingerprint string
	Device      fleet.DeviceID // empty: on every device, each after its own dry run
}

// Approve lets an item go. Somebody must have its figures: an approval is of
// what was counted, and of no other form of the item.
func (c *Cleaner) Approve(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Approve) error {
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		if err := c.approvable(ctx, tx, tenant, ask); err != nil {
			return err
		}
		now := c.Clock().UnixMicro()
		n, err := tx.AddCleanUpApproval(ctx, gen.AddCleanUpApprovalParams{
			Tenant: string(tenant), Item: ask.Item, Fingerprint: ask.Fingerprint, Device: string(ask.Device), Actor: string(by), AtUs: now,
		})
		if err != nil {
			return fmt.Errorf("keep the approval: %w", err)
		}
		if n == 0 {
			return fault.New(fault.NothingToDo, "what", "approved_already")
		}
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: now, Actor: by, Kind: register.CleanUpApproved, Device: string(ask.Device),
			Detail: map[string]any{"item": ask.Item, "fingerprint": ask.Fingerprint},
		})
		return touch(ctx, tx, tenant, ask.Device)
	})
	c.Wake()
	return err
}

func (c *Cleaner) approvable(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, ask Approve) error {
	versions, err := tx.CleanUpVersions(ctx, string(tenant), ask.Item)
	if err != nil {
		return fmt.Errorf("read item %s: %w", ask.Item, err)
	}
	if len(versions) == 0 {
		return fault.New(fault.NotFound, "what", "clean_up", "name", ask.Item)
	}
	at := slices.IndexFunc(versions, func(v gen.CleanUpVersionsRow) bool { return v.Fingerprint == ask.Fingerprint })
	if at < 0 {
		var have []string
		for _, v := range versions {
			have = append(have, v.Fingerprint)
		}
		return fault.New(fault.InvalidField, "field", "fingerprint", "problem", "clean_up_changed", "fix", strings.Join(have, ", "))
	}
	counted := versions[at].Counted > 0
	if ask.Device != "" {
		row, err := tx.CleanUpItem(ctx, gen.CleanUpItemParams{Tenant: string(tenant), Device: string(ask.Device), Item: ask.Item})
		if store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "clean_up", "name", ask.Item)
		}
		if err != nil {
			return fmt.Errorf("read item %s: %w", ask.Item, err)
		}
		counted = row.CountedUs > 0 && row.Fingerprint == ask.Fingerprint
	}
	if !counted {
		return fault.New(fault.Conflict, "what", "clean_up "+ask.Item, "state", "awaiting_dry_run", "wanted", "awaiting_approval")
	}
	return nil
}

// Revoke takes approvals of an item back: of one device, or all of them. What
// is under way stops at the agent's next check-in.
func (c *Cleaner) Revoke(ctx context.Context, tenant fleet.TenantID, by register.Actor, item string, device fleet.DeviceID) error {
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		every := int64(0)
		if device == "" {
			every = 1
		}
		n, err := tx.DropCleanUpApprovals(ctx, gen.DropCleanUpApprovalsParams{Tenant: string(tenant), Item: item, Device: string(device), Every: every})
		if err != nil {
			return fmt.Errorf("take approvals back: %w", err)
		}
		if n == 0 {
			return fault.New(fault.NothingToDo, "what", "not_approved")
		}
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: c.Clock().UnixMicro(), Actor: by, Kind: register.CleanUpRevoked, Device: string(device),
			Detail: map[string]any{"item": item},
		})
		return touch(ctx, tx, tenant, device)
	})
	c.Wake()
	return err
}

func touch(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, device fleet.DeviceID) (err error) {
	if device != "" {
		_, err = tx.TouchCleanUp(ctx, string(tenant), string(device))
	} else {
		_, err = tx.TouchCleanUps(ctx, string(tenant))
	}
	if err != nil {
		return fmt.Errorf("wake devices: %w", err)
	}
	return nil
}
