package conductor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// under is a limit that a device is under, with the value of its tag.
type under struct {
	policy.Placed
	value string
}

// limits of a device, and keeps which they are: others count it.
func (g *group) limits(ctx context.Context, row gen.CampaignDevice, match policy.Match) ([]under, error) {
	if !g.scene.rules.Policies.HaveLimits() {
		return nil, nil
	}
	dr := g.batch.Devices[row.Device]
	m, err := memberOf(dr, nil)
	if err != nil {
		return nil, err
	}
	settings := g.scene.settings(match)
	out := underOf(settings.Limits, m.Tags)
	if g.tx == nil { // a question: nothing is written
		return out, nil
	}
	return out, g.keepLimits(ctx, row, underOf(settings.Counted(), m.Tags))
}

// underOf are those of the limits that a device of these tags is under.
func underOf(limits []policy.Placed, tags fleet.Tags) []under {
	var out []under
	for _, placed := range limits {
		if value, is := placed.Value(tags); is {
			out = append(out, under{placed, value})
		}
	}
	return out
}

// share is how fast a device may download, bytes a second: its part of each
// bandwidth that it is under, whoever else of these downloads at the time. 0: as
// fast as it can.
func (g *group) share(ctx context.Context, row gen.CampaignDevice, settings policy.Settings) (int64, error) {
	least := int64(0)
	for _, b := range settings.Bandwidths {
		m, err := memberOf(g.batch.Devices[row.Device], nil)
		if err != nil {
			return 0, err
		}
		for _, u := range underOf([]policy.Placed{b.Limit()}, m.Tags) {
			n, err := g.sharers(ctx, row.Tenant, sharing{u.Name, u.value})
			if err != nil {
				return 0, fmt.Errorf("count devices of bandwidth %s: %w", b.Name, err)
			}
			if part := b.Share(n); least == 0 || part < least {
				least = part
			}
		}
	}
	return least, nil
}

// sharing is one of the values of a bandwidth.
type sharing struct{ name, value string }

// sharers are counted once for a batch: a ring that opens gives orders to all of
// a site at once.
func (g *group) sharers(ctx context.Context, tenant string, of sharing) (int64, error) {
	if n, known := g.scene.counted[of]; known {
		return n, nil
	}
	n, err := g.reads.CountLimit(ctx, gen.CountLimitParams{Tenant: tenant, Name: of.name, Value: of.value})
	if err == nil {
		g.scene.counted[of] = n
	}
	return n, err
}

func (g *group) keepLimits(ctx context.Context, row gen.CampaignDevice, now []under) error {
	known := g.batch.Limits[row.Device]
	for _, u := range now {
		member := gen.LimitMember{Tenant: row.Tenant, Name: u.Name, Value: u.value, Device: row.Device, Turn: int64(u.Turn)}
		if slices.Contains(known, member) {
			continue
		}
		if err := g.tx.PutLimitMember(ctx, gen.PutLimitMemberParams(member)); err != nil {
			return fmt.Errorf("keep limit %s: %w", u.Name, err)
		}
	}
	for _, k := range known {
		if slices.ContainsFunc(now, func(u under) bool { return u.Name == k.Name }) {
			continue
		}
		if err := g.tx.DropLimitMember(ctx, gen.DropLimitMemberParams{Tenant: row.Tenant, Device: row.Device, Name: k.Name}); err != nil {
			return fmt.Errorf("drop limit %s: %w", k.Name, err)
		}
	}
	return nil
}

// crowds is where each of the limits stands for a device.
func (g *group) crowds(ctx context.Context, row gen.CampaignDevice, limits []under, now time.Time) ([]campaign.Crowd, error) {
	var out []campaign.Crowd
	for _, u := range limits {
		c, err := g.crowd(ctx, row, u, now)
		if err != nil {
			return nil, fmt.Errorf("read limit %s: %w", u.Name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (g *group) crowd(ctx context.Context, row gen.CampaignDevice, u under, now time.Time) (campaign.Crowd, error) {
	c := campaign.Crowd{Limit: u.Name, Allowed: u.AtMost, StopAfter: u.StopAfter}
	if u.AtMost == 0 {
		n, err := g.reads.CountLimit(ctx, gen.CountLimitParams{Tenant: row.Tenant, Name: u.Name, Value: u.value})
		if err != nil {
			return c, err
		}
		c.Allowed = u.Allows(int(n))
	}
	taken, err := g.slots(ctx, row.Tenant, u, now)
	if err != nil {
		return c, err
	}
	for _, s := range taken {
		if s.Device != row.Device {
			c.Down++
		}
	}
	if u.StopAfter > 0 {
		n, err := g.reads.CountLimitFailed(ctx, gen.CountLimitFailedParams{
			Tenant: row.Tenant, Name: u.Name, Value: u.value, Campaign: row.Campaign, Amendment: row.Amendment,
		})
		if err != nil {
			return c, err
		}
		c.Failed = int(n)
	}
	if u.Turn > 0 {
		before, err := g.reads.LimitBefore(ctx, gen.LimitBeforeParams{
			Tenant: row.Tenant, Name: u.Name, Value: u.value, Turn: int64(u.Turn), Campaign: row.Campaign, Amendment: row.Amendment,
		})
		if err != nil {
			return c, err
		}
		if len(before) > 0 {
			c.Before = before[0]
		}
	}
	return c, nil
}

func (g *group) slots(ctx context.Context, tenant string, u under, now time.Time) ([]gen.LimitSlot, error) {
	return g.reads.LimitSlots(ctx, gen.LimitSlotsParams{Tenant: tenant, Name: u.Name, Value: u.value, NowUs: now.UnixMicro()})
}

// takeSlots gives the device a place in each of its limits for an order, or
// tells that another server was faster: then the transaction must not issue it.
func (g *group) takeSlots(ctx context.Context, row gen.CampaignDevice, limits []under, order string, expires time.Time) (bool, error) {
	for _, u := range limits {
		taken, err := g.slots(ctx, row.Tenant, u, g.Clock())
		if err != nil {
			return false, err
		}
		n, err := g.tx.TakeSlot(ctx, gen.TakeSlotParams{
			Tenant: row.Tenant, Name: u.Name, Value: u.value, Slot: freeNumber(taken), Device: row.Device, OrderID: order,
			ExpiresUs: expires.UnixMicro(), UntilUs: expires.Add(g.scene.terms().UnreachableAfter).UnixMicro(), NowUs: g.Clock().UnixMicro(),
		})
		if err != nil {
			return false, fmt.Errorf("take a place of limit %s: %w", u.Name, err)
		}
		if n == 0 {
			return false, g.tx.DropSlots(ctx, row.Tenant, order)
		}
	}
	return true, nil
}

// freeNumber is the lowest number that no slot has.
func freeNumber(taken []gen.LimitSlot) int64 {
	n := int64(0)
	for _, s := range taken { // sorted
		if s.Slot == n {
			n++
		}
	}
	return n
}

// wakeAtOnce is how many waiting devices a free place wakes: some of them will
// not be able to take it.
const wakeAtOnce = 20

// freeSlots gives the places of a device back when it is up again for sure, and
// wakes those that wait: its order ended and it said so, or it was heard of
// after its order could act. One that fell silent may still be down; one that
// was retired keeps nobody waiting.
func (g *group) freeSlots(ctx context.Context, row gen.CampaignDevice, device campaign.Device, d campaign.DeviceDecision) error {
	if device.Order != nil && !d.Expired && !device.Retired {
		return nil
	}
	return g.freeSlotsOf(ctx, row)
}

func (g *group) freeSlotsOf(ctx context.Context, row gen.CampaignDevice) error {
	if len(g.batch.Limits[row.Device]) == 0 {
		return nil
	}
	seen := g.batch.Devices[row.Device].SeenUs
	if g.batch.Devices[row.Device].RetiredUs > 0 {
		seen = math.MaxInt64 // somebody said that it is down for good
	}
	freed, err := g.tx.FreeSlots(ctx, gen.FreeSlotsParams{Tenant: row.Tenant, Device: row.Device, SeenUs: seen})
	if err != nil {
		return fmt.Errorf("free the places of device %s: %w", row.Device, err)
	}
	for _, f := range freed {
		if _, err := g.tx.WakeLimit(ctx, gen.WakeLimitParams{Tenant: row.Tenant, Name: f.Name, Value: f.Value, Max: wakeAtOnce}); err != nil {
			return fmt.Errorf("wake those of limit %s: %w", f.Name, err)
		}
		if _, err := g.tx.WakeLimitReboots(ctx, gen.WakeLimitRebootsParams{Tenant: row.Tenant, Name: f.Name, Value: f.Value, Max: wakeAtOnce}); err != nil {
			return fmt.Errorf("wake those of limit %s: %w", f.Name, err)
		}
	}
	return nil
}

// readLimits completes a batch where the policy has limits.
func (s *scene) readLimits(ctx context.Context, r store.Reads, batch *store.Batch) (err error) {
	if !s.rules.Policies.HaveLimits() {
		return nil
	}
	batch.Limits, err = r.LimitsOf(ctx, s.row.Tenant, batch.IDs())
	return err
}
