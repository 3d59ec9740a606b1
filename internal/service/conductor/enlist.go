package conductor

import (
	"context"
	"fmt"

	"patchring/internal/core/campaign"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

const enlistBatch = 1000

// enlist gives a ring to every device in the perimeter: all of them when the
// campaign starts, then those that enrolled since. A device is considered
// once, in the order in which enrolments were committed.
//
// Crash story: the place reached is written with the rings given up to it, so
// the next start goes on from there.
func (c *Conductor) enlist(ctx context.Context, row gen.Campaign) error {
	if row.StartsUs > c.Clock().UnixMicro() || campaign.Origin(row.Origin) == campaign.ByRollback {
		return nil // the members of a rollback are those that have something to undo
	}
	for {
		page, err := c.DB.Read().DevicesToEnlist(ctx, gen.DevicesToEnlistParams{Tenant: row.Tenant, Arrival: row.Enlisted, Max: enlistBatch})
		if err != nil {
			return fmt.Errorf("read devices to enlist: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		if err := c.enlistPage(ctx, row, page); err != nil {
			return err
		}
		row.Enlisted = page[len(page)-1].Arrival
		if len(page) < enlistBatch {
			return nil
		}
	}
}

func (c *Conductor) enlistPage(ctx context.Context, row gen.Campaign, page []gen.Device) error {
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		s, err := c.scene(ctx, tx.Queries, row)
		if err != nil {
			return err
		}
		groups, err := tx.GroupsOf(ctx, row.Tenant, page)
		if err != nil {
			return err
		}
		added := map[int64]map[int64]int64{} // amendment → position → devices
		for _, d := range page {
			if err := c.enlistDevice(ctx, tx, s, d, groups[d.ID], added); err != nil {
				return err
			}
		}
		if err := countAdded(ctx, tx, s, added); err != nil {
			return err
		}
		return tx.SetEnlisted(ctx, gen.SetEnlistedParams{Tenant: row.Tenant, ID: row.ID, Enlisted: page[len(page)-1].Arrival})
	})
	if err != nil {
		return fmt.Errorf("enlist %d devices: %w", len(page), err)
	}
	return nil
}

func (c *Conductor) enlistDevice(ctx context.Context, tx *store.Tx, s *scene, d gen.Device, groups []string, added map[int64]map[int64]int64) error {
	if d.RetiredUs > 0 {
		return nil
	}
	m, err := memberOf(d, groups)
	if err != nil {
		return err
	}
	position, in := s.procedure.RingOf(m)
	if !in {
		return nil
	}
	return c.enlistAt(ctx, tx, s, d, position, added)
}

// enlistAt gives the device its row in every amendment.
func (c *Conductor) enlistAt(ctx context.Context, tx *store.Tx, s *scene, d gen.Device, position int, added map[int64]map[int64]int64) error {
	for amendment := range s.amended {
		n, err := tx.AddCampaignDevice(ctx, gen.AddCampaignDeviceParams{
			Tenant: d.Tenant, Campaign: s.row.ID, Amendment: amendment, Device: d.ID, Position: int64(position), UpdatedUs: c.Clock().UnixMicro(),
		})
		if err != nil {
			return fmt.Errorf("enlist device %s: %w", d.ID, err)
		}
		if added[amendment] == nil {
			added[amendment] = map[int64]int64{}
		}
		added[amendment][int64(position)] += n
	}
	return nil
}

// countAdded adds new members to their rings' numbers: by amendment, then
// position.
func countAdded(ctx context.Context, tx *store.Tx, s *scene, added map[int64]map[int64]int64) error {
	for amendment, positions := range added {
		for position, n := range positions {
			err := tx.AddRingCounts(ctx, gen.AddRingCountsParams{
				Tenant: s.row.Tenant, Campaign: s.row.ID, Amendment: amendment, Position: position, NotReached: n,
			})
			if err != nil {
				return fmt.Errorf("count ring: %w", err)
			}
		}
	}
	return nil
}
