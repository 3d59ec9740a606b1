package rulebook

import (
	"context"
	"fmt"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// placeAll writes which devices each limit is about, for the whole fleet and in
// the transaction that puts the policy in force: the first device to be decided
// must know how many others there are and whose turn comes first.
func (b *Rulebook) placeAll(ctx context.Context, tx *store.Tx, tenant fleet.TenantID) error {
	if err := tx.DropLimitMembers(ctx, string(tenant)); err != nil {
		return fmt.Errorf("drop limits: %w", err)
	}
	now, policies, err := b.inForce(ctx, tx.Reads, tenant)
	if err != nil || !policies.HaveLimits() {
		return err
	}
	return eachPage(ctx, tx.Reads, string(tenant), policies.AskSoftware(), func(page []subject) error {
		for _, d := range page {
			if err := placeOne(ctx, tx, tenant, d, policies.Settings(policies.Match(&d.Device, now)).Counted()); err != nil {
				return err
			}
		}
		return nil
	})
}

func placeOne(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, d subject, limits []policy.Placed) error {
	for _, l := range limits {
		value, is := l.Value(d.Tags)
		if !is {
			continue
		}
		member := gen.PutLimitMemberParams{Tenant: string(tenant), Name: l.Name, Value: value, Device: string(d.id), Turn: int64(l.Turn)}
		if err := tx.PutLimitMember(ctx, member); err != nil {
			return fmt.Errorf("keep limit %s: %w", l.Name, err)
		}
	}
	return nil
}
