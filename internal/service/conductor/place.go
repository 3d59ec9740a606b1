package conductor

import (
	"context"
	"fmt"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Replace gives a device, whose description or groups have changed, the ring
// that is now its own in every campaign whose content is not sealed yet. In a
// sealed one its ring is part of what people signed for: it stays, and the
// answer says so. It is called inside the transaction of the change.
func (c *Conductor) Replace(ctx context.Context, tx *store.Tx, d gen.Device, groups []string) ([]campaign.Place, error) {
	open, err := tx.OpenCampaigns(ctx, d.Tenant)
	if err != nil {
		return nil, fmt.Errorf("read open campaigns: %w", err)
	}
	out := []campaign.Place{}
	for _, row := range open {
		if row.Enlisted < d.Arrival || campaign.Origin(row.Origin) == campaign.ByRollback {
			continue // not considered yet: it will be, as it is then; a rollback has its members
		}
		s, err := c.scene(ctx, tx.Queries, row)
		if err != nil {
			return nil, err
		}
		place, changed, err := c.replaceIn(ctx, tx, s, d, groups)
		if err != nil {
			return nil, fmt.Errorf("campaign %s: %w", row.Name, err)
		}
		if changed {
			out = append(out, place)
		}
	}
	if _, err := tx.WakeDevice(ctx, d.Tenant, d.ID); err != nil { // its windows may be others now
		return nil, fmt.Errorf("wake device %s: %w", d.ID, err)
	}
	return out, nil
}

// move is what a change means for a device in one campaign.
type move struct {
	device gen.Device
	row    gen.CampaignDevice // where it is, if it was a member
	was    bool
	wanted int // position that it has now, if it is in the perimeter
	in     bool
}

func (c *Conductor) replaceIn(ctx context.Context, tx *store.Tx, s *scene, d gen.Device, groups []string) (campaign.Place, bool, error) {
	member, err := memberOf(d, groups)
	if err != nil {
		return campaign.Place{}, false, err
	}
	m := move{device: d}
	m.wanted, m.in = s.procedure.RingOf(member)
	m.row, err = tx.CampaignDevice(ctx, gen.CampaignDeviceParams{Tenant: s.row.Tenant, Campaign: s.row.ID, Device: d.ID})
	m.was = err == nil
	if err != nil && !store.IsNone(err) {
		return campaign.Place{}, false, fmt.Errorf("read device: %w", err)
	}
	if m.was == m.in && (!m.in || m.row.Position == int64(m.wanted)) {
		return campaign.Place{}, false, nil
	}
	place := campaign.Place{Campaign: campaign.ID(s.row.ID), Name: s.row.Name, Follows: s.row.SealedUs == 0}
	if m.was {
		place.From = ringName(s, m.row.Position)
	}
	if m.in {
		place.To = ringName(s, int64(m.wanted))
	}
	if !place.Follows {
		return place, true, nil
	}
	if err := c.follow(ctx, tx, s, m); err != nil {
		return place, true, err
	}
	return place, true, tx.TouchCampaign(ctx, s.row.Tenant, s.row.ID)
}

func (c *Conductor) follow(ctx context.Context, tx *store.Tx, s *scene, m move) error {
	switch {
	case m.was && m.in:
		ring, err := s.ringRow(0, ringName(s, int64(m.wanted)))
		if err != nil {
			return err
		}
		return c.moveDevice(ctx, tx, s, ring, fleet.DeviceID(m.device.ID))
	case m.in:
		added := map[int64]map[int64]int64{}
		if err := c.enlistAt(ctx, tx, s, m.device, m.wanted, added); err != nil {
			return err
		}
		return countAdded(ctx, tx, s, added)
	}
	var gone campaign.Counters
	gone.Add(campaign.Bucket(m.row.Bucket), -1)
	if err := addCounts(ctx, tx, m.row, m.row.Position, gone); err != nil {
		return err
	}
	_, err := tx.Unseat(ctx, gen.UnseatParams{Tenant: m.row.Tenant, Campaign: m.row.Campaign, Amendment: m.row.Amendment, Device: m.row.Device})
	return err
}

func addCounts(ctx context.Context, tx *store.Tx, of gen.CampaignDevice, position int64, delta campaign.Counters) error {
	err := tx.AddRingCounts(ctx, gen.AddRingCountsParams{
		Tenant: of.Tenant, Campaign: of.Campaign, Amendment: of.Amendment, Position: position, Done: int64(delta.Done),
		Failed: int64(delta.Failed), NotReached: int64(delta.NotReached), Unreachable: int64(delta.Unreachable), Exempt: int64(delta.Exempt),
	})
	if err != nil {
		return fmt.Errorf("count ring: %w", err)
	}
	return nil
}

// moveDevice puts one device into another ring of its amendment, with all the
// ring's numbers that it counts in.
func (c *Conductor) moveDevice(ctx context.Context, tx *store.Tx, s *scene, ring gen.CampaignRing, device fleet.DeviceID) error {
	row, err := tx.CampaignDevice(ctx, gen.CampaignDeviceParams{
		Tenant: s.row.Tenant, Campaign: s.row.ID, Amendment: ring.Amendment, Device: string(device),
	})
	if store.IsNone(err) {
		return fault.New(fault.NotFound, "what", "device", "name", string(device))
	}
	if err != nil {
		return fmt.Errorf("read device: %w", err)
	}
	if row.Position == ring.Position {
		return fault.New(fault.NothingToDo, "what", "same_ring")
	}
	var from, to campaign.Counters
	from.Add(campaign.Bucket(row.Bucket), -1)
	to.Add(campaign.Bucket(row.Bucket), 1)
	if err := addCounts(ctx, tx, row, row.Position, from); err != nil {
		return err
	}
	if err := addCounts(ctx, tx, row, ring.Position, to); err != nil {
		return err
	}
	stuck, err := rollbackImpossible(ctx, tx, row)
	if err != nil {
		return err
	}
	if err := tx.CountRollbackImpossible(ctx, countOf(row, -stuck)); err != nil {
		return fmt.Errorf("count ring: %w", err)
	}
	if _, err := tx.MoveDevice(ctx, gen.MoveDeviceParams{
		Tenant: row.Tenant, Campaign: row.Campaign, Amendment: row.Amendment, Device: row.Device, Position: ring.Position,
	}); err != nil {
		return fmt.Errorf("move device: %w", err)
	}
	if err := s.leavesRehearsals(ctx, tx, row); err != nil {
		return err
	}
	if err := tx.CountRollbackImpossible(ctx, countOf(row, stuck)); err != nil {
		return fmt.Errorf("count ring: %w", err)
	}
	return nil
}

// rollbackImpossible is how many items of a device's row cannot be put back.
func rollbackImpossible(ctx context.Context, tx *store.Tx, row gen.CampaignDevice) (int64, error) {
	list, err := tx.RollbackImpossibleOf(ctx, row.Tenant, row.Device)
	if err != nil {
		return 0, fmt.Errorf("count what cannot be put back: %w", err)
	}
	for _, n := range list {
		if n.Campaign == row.Campaign && n.Amendment == row.Amendment {
			return n.Items, nil
		}
	}
	return 0, nil
}

func countOf(row gen.CampaignDevice, delta int64) gen.CountRollbackImpossibleParams {
	return gen.CountRollbackImpossibleParams{Tenant: row.Tenant, Campaign: row.Campaign, Amendment: row.Amendment, Device: row.Device, Delta: delta}
}
