package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// rowKey names one campaign of one tenant.
type rowKey struct{ tenant, campaign string }

// stepDevices decides on a batch of devices that are due. Claim, decision and
// all that follows are one transaction: there is nothing to repair between.
func (c *Conductor) stepDevices(ctx context.Context) (int, error) {
	var claimed []gen.CampaignDevice
	touched := map[rowKey]bool{}
	err := c.DB.Write(ctx, func(tx *store.Tx) (err error) {
		clear(touched)
		now := c.Clock()
		claimed, err = tx.ClaimCampaignDevices(ctx, gen.ClaimCampaignDevicesParams{
			LeaseUs: now.Add(lease).UnixMicro(), NowUs: now.UnixMicro(), Max: deviceBatch,
		})
		if err != nil {
			return err
		}
		return c.decideDevices(ctx, tx, claimed, touched)
	})
	if err != nil {
		return 0, fmt.Errorf("decide on devices: %w", err)
	}
	for key := range touched {
		c.Changed(fleet.TenantID(key.tenant), campaign.ID(key.campaign))
	}
	return len(claimed), nil
}

func (c *Conductor) decideDevices(ctx context.Context, tx *store.Tx, claimed []gen.CampaignDevice, touched map[rowKey]bool) error {
	groups := map[rowKey][]gen.CampaignDevice{}
	for _, row := range claimed {
		key := rowKey{row.Tenant, row.Campaign}
		groups[key] = append(groups[key], row)
	}
	for key, rows := range groups {
		crow, err := tx.Campaign(ctx, key.tenant, key.campaign)
		if err != nil {
			return fmt.Errorf("read campaign %s: %w", key.campaign, err)
		}
		s, err := c.scene(ctx, tx.Queries, crow)
		if err != nil {
			return err
		}
		moved, err := c.decideGroup(ctx, tx, s, rows)
		if err != nil {
			return fmt.Errorf("campaign %s: %w", crow.Name, err)
		}
		if moved {
			if err := tx.TouchCampaign(ctx, key.tenant, key.campaign); err != nil {
				return err
			}
		}
		touched[key] = true
	}
	return nil
}

// group decides the claimed devices of one campaign.
type group struct {
	*Conductor
	tx     *store.Tx // nil for a question, which writes nothing
	reads  store.Reads
	scene  *scene
	batch  store.Batch
	scenes map[int64]campaign.Scene        // by amendment
	deltas map[[2]int64]*campaign.Counters // by amendment and position
	moved  bool
	// verified are the patches that are so on a device of this batch.
	verified []patch.ID
}

func (c *Conductor) decideGroup(ctx context.Context, tx *store.Tx, s *scene, rows []gen.CampaignDevice) (bool, error) {
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.Device)
	}
	slices.Sort(ids)
	batch, err := tx.Batch(ctx, s.row.Tenant, slices.Compact(ids))
	if err != nil {
		return false, err
	}
	if err := s.readSoftware(ctx, tx.Reads, &batch); err != nil {
		return false, err
	}
	if err := s.readLimits(ctx, tx.Reads, &batch); err != nil {
		return false, err
	}
	if s.pace, err = tx.Pace(ctx, s.row.Tenant, s.row.ID); err != nil {
		return false, err
	}
	g := group{Conductor: c, tx: tx, reads: tx.Reads, scene: s, batch: batch, scenes: map[int64]campaign.Scene{}, deltas: map[[2]int64]*campaign.Counters{}}
	for _, r := range rows {
		if err := g.decide(ctx, r); err != nil {
			return false, fmt.Errorf("device %s: %w", r.Device, err)
		}
	}
	if len(g.verified) > 0 && c.Verified != nil {
		if err := c.Verified(ctx, tx, s.row.Tenant, g.verified); err != nil {
			return false, fmt.Errorf("tell what is verified: %w", err)
		}
	}
	return g.moved, g.writeDeltas(ctx)
}

func (g *group) decide(ctx context.Context, row gen.CampaignDevice) error {
	now := g.Clock()
	scene, ok := g.scenes[row.Amendment]
	if !ok {
		scene = g.scene.devices(row.Amendment).Prepared(now)
		g.scenes[row.Amendment] = scene
	}
	device, limits, err := g.device(ctx, row, now)
	if err != nil {
		return err
	}
	d := campaign.DecideDevice(now, scene, device)
	if err := errors.Join(g.expire(ctx, row, device, d), g.freeSlots(ctx, row, device, d)); err != nil {
		return err
	}
	orderID := row.OrderID
	if d.Order != nil {
		if orderID, err = g.issue(ctx, row, device, &d, limits); err != nil {
			return err
		}
		if d.Order != nil {
			g.begun(row, device, d.Order)
		}
	}
	if err := g.keepItems(ctx, row, device, d, now); err != nil {
		return err
	}
	if err := g.join(ctx, row, device); err != nil {
		return err
	}
	if d.Rescan && g.batch.Devices[row.Device].ScanWanted == 0 {
		if _, err := g.tx.WantScan(ctx, row.Tenant, row.Device); err != nil {
			return err
		}
	}
	return g.keep(ctx, row, d, orderID, now)
}

// device is the decision's view of one claimed row.
func (g *group) device(ctx context.Context, row gen.CampaignDevice, now time.Time) (campaign.Device, []under, error) {
	d, err := g.known(ctx, row, now)
	if err != nil {
		return d, nil, err
	}
	limits, err := g.limits(ctx, row, d.Match)
	if err != nil || d.Order != nil {
		return d, limits, err // it has its places
	}
	d.Crowds, err = g.crowds(ctx, row, limits, now)
	return d, limits, err
}

// known is all of it but its limits.
func (g *group) known(ctx context.Context, row gen.CampaignDevice, now time.Time) (campaign.Device, error) {
	dr := g.batch.Devices[row.Device]
	d := campaign.Device{
		ID: fleet.DeviceID(row.Device), Position: int(row.Position), Goal: campaign.Goal(row.Goal), Retired: dr.RetiredUs > 0,
		LastSeen: store.Instant(dr.SeenUs), ScanAt: store.Instant(dr.ScanUs), Scan: wire.ScanStatus(dr.ScanStatus), RebootPending: dr.RebootPending == 1,
		Booted: store.Instant(dr.BootedUs),
	}
	cause, err := store.ReasonFrom(dr.ScanCause)
	if err != nil {
		return d, err
	}
	d.ScanWhy = string(cause.Code)
	if d.Missing, err = missingOf(g.batch.Missing[row.Device]); err != nil {
		return d, err
	}
	if d.Progress, err = progressOf(g.batch.Items[row.Device], row); err != nil {
		return d, err
	}
	if err := g.foundOn(row.Device, d.Progress); err != nil {
		return d, err
	}
	for _, o := range g.batch.Orders[row.Device] {
		if wire.OrderKind(o.Kind) == wire.OrderCleanUp {
			continue // it comes after every campaign, and gives way by itself
		}
		if wire.OrderKind(o.Kind) == wire.OrderReboot {
			// One that has not begun gives way: the device is decided for its reboot
			// again, with the new order before its eyes.
			d.Rebooting = campaign.Begun(wire.Step(o.Step))
			continue
		}
		if o.Campaign != row.Campaign || o.Amendment != row.Amendment {
			if err := g.other(ctx, o, &d); err != nil {
				return d, err
			}
			continue
		}
		if d.Order, err = openOrder(o); err != nil {
			return d, err
		}
	}
	d.Groups = g.batch.Groups[row.Device]
	if d.Match, err = g.scene.match(g.batch, row.Device, now); err != nil {
		return d, err
	}
	open, err := g.openings(row, dr, d.Match, now)
	if err != nil {
		return d, err
	}
	d.Windows, d.Frozen = open.windows, open.frozen
	return d, g.paced(&d, now)
}

// paced adds what the device is for what past installs took on its like.
func (g *group) paced(d *campaign.Device, now time.Time) error {
	if len(g.scene.pace) == 0 {
		return nil
	}
	if text := g.batch.Traits[string(d.ID)]; text != "" {
		var traits policy.Traits
		if err := json.Unmarshal([]byte(text), &traits); err != nil {
			return fmt.Errorf("read traits: %w", err)
		}
		d.Model = traits.Model
	}
	mode := g.scene.restartMode(g.scene.settings(d.Match), now)
	d.RebootsInside = mode == wire.RebootIfNeeded || mode == wire.RebootUser
	return nil
}

// openings are those of the campaign for this device, after the row's own (an
// emergency window given with a rollback).
func (g *group) openings(row gen.CampaignDevice, dr gen.Device, match policy.Match, now time.Time) (openings, error) {
	m, err := memberOf(dr, g.batch.Groups[row.Device])
	if err != nil {
		return openings{}, err
	}
	return withOwn(row.Windows, g.scene.openingsFor(m, match, now), now)
}

func missingOf(rows []store.MissingPatch) ([]campaign.Missing, error) {
	out := make([]campaign.Missing, 0, len(rows))
	for _, m := range rows {
		missing := campaign.Missing{
			ID: patch.ID(m.Patch), State: m.State, Exposed: store.Instant(m.ExposedUs),
			Patch: store.PatchSubject(m.Of),
		}
		if err := json.Unmarshal([]byte(m.Packages), &missing.Packages); err != nil {
			return nil, fmt.Errorf("read packages of %s: %w", m.Patch, err)
		}
		out = append(out, missing)
	}
	return out, nil
}

func progressOf(rows []gen.CampaignDeviceItem, of gen.CampaignDevice) ([]campaign.Progress, error) {
	var out []campaign.Progress
	for _, i := range rows {
		if i.Campaign != of.Campaign || i.Amendment != of.Amendment {
			continue
		}
		p, err := store.Progress(i)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func openOrder(o gen.DeviceOrder) (*campaign.OpenOrder, error) {
	cause, err := store.ReasonFrom(o.Cause)
	if err != nil {
		return nil, err
	}
	var envelope wire.Envelope
	if err := json.Unmarshal([]byte(o.Envelope), &envelope); err != nil {
		return nil, fmt.Errorf("read envelope of order %s: %w", o.ID, err)
	}
	var order wire.Order
	if err := json.Unmarshal(envelope.Payload, &order); err != nil { // our own signature: no need to verify it
		return nil, fmt.Errorf("read order %s: %w", o.ID, err)
	}
	open := &campaign.OpenOrder{
		ID: o.ID, Kind: wire.OrderKind(o.Kind), Step: wire.Step(o.Step), Cause: cause,
		Next: store.Instant(o.NextUs), Issued: store.Instant(o.IssuedUs), Expires: store.Instant(o.ExpiresUs),
	}
	for _, item := range order.Items {
		open.Items = append(open.Items, patch.ID(item.ID))
	}
	for _, w := range order.Windows {
		open.Windows = append(open.Windows, interval{Start: time.UnixMicro(w.StartUS).UTC(), End: time.UnixMicro(w.EndUS).UTC()})
	}
	return open, nil
}

// keepItems writes the items whose state or reason changed. An item that only
// waits for its ring, its window or its verdict has no row: why it waits is
// worked out when someone asks.
func (g *group) keepItems(ctx context.Context, row gen.CampaignDevice, device campaign.Device, d campaign.DeviceDecision, now time.Time) error {
	ordered := map[patch.ID]wire.Item{}
	if d.Order != nil {
		for _, item := range d.Order.Items {
			ordered[patch.ID(item.ID)] = item
		}
	}
	inFlight := device.Order != nil && !d.Cancel && !d.Expired
	for _, item := range d.Items {
		if item.State == patch.Verified && !slices.Contains(g.verified, item.Item) {
			g.verified = append(g.verified, item.Item)
		}
		before, known := progressOn(device.Progress, item.Item)
		after := before
		after.Item = item.Item
		inOrder, isOrdered := ordered[item.Item]
		switch {
		case isOrdered:
			after = before.Ordered(d.Order.Kind, inOrder, now)
		case item.NoEffect:
			after = before.Contradict(item.Reason, g.scene.terms(), now)
			g.recordItem(row, item, now)
		case item.Rehearsal != "":
			after.State, after.Reason, after.Rehearsal.Stage = item.State, item.Reason, item.Rehearsal
			g.recordRehearsal(row, after)
		case !known && (!item.Counted || item.State == patch.Applicable):
			continue
		case !item.Counted && before.Attempts > 0:
			continue // why it failed is still needed if it comes back
		case before.State == item.State && sameReason(before.Reason, item.Reason):
			continue
		case inFlight && !item.State.Settled():
			continue // the order's step says where it is
		default:
			after.State, after.Reason = item.State, item.Reason
			g.recordItem(row, item, now)
		}
		if err := g.tx.MoveItem(ctx, row, before, after); err != nil {
			return err
		}
		if !g.scene.undo() {
			continue
		}
		if err := g.tx.Mirror(ctx, row, after, now.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) recordItem(row gen.CampaignDevice, item campaign.ItemDecision, now time.Time) {
	kind := register.PatchDecided
	switch {
	case item.State == patch.Verified:
		kind = register.PatchVerified
	case item.Reason.Code == fault.Quarantined:
		kind = register.PatchQuarantined
	}
	g.tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: now.UnixMicro(), Actor: actor, Kind: kind, Device: row.Device, Campaign: row.Campaign,
		Ring: ringName(g.scene, row.Position), Patch: string(item.Item), Reason: item.Reason,
		Detail: map[string]any{"state": string(item.State)},
	})
}

// keep writes the device's own row and moves the ring's numbers.
func (g *group) keep(ctx context.Context, row gen.CampaignDevice, d campaign.DeviceDecision, orderID string, now time.Time) error {
	reason, err := store.ReasonText(d.Reason)
	if err != nil {
		return err
	}
	if device := g.batch.Devices[row.Device]; device.RetiredUs > 0 && reason != row.Reason {
		g.moved = true
		if err := g.scene.leavesRehearsals(ctx, g.tx, row); err != nil {
			return err
		}
	}
	if string(d.Bucket) != row.Bucket {
		g.moved = true
		key := [2]int64{row.Amendment, row.Position}
		if g.deltas[key] == nil {
			g.deltas[key] = &campaign.Counters{}
		}
		g.deltas[key].Add(campaign.Bucket(row.Bucket), -1)
		g.deltas[key].Add(d.Bucket, 1)
	}
	return g.tx.SetCampaignDevice(ctx, gen.SetCampaignDeviceParams{
		Tenant: row.Tenant, Campaign: row.Campaign, Amendment: row.Amendment, Device: row.Device,
		Bucket: string(d.Bucket), Reason: reason, OrderID: orderID, SeenUs: row.DueUs, DueUs: due(d.Look), UpdatedUs: now.UnixMicro(),
	})
}

func (g *group) writeDeltas(ctx context.Context) error {
	for key, d := range g.deltas {
		err := g.tx.AddRingCounts(ctx, gen.AddRingCountsParams{
			Tenant: g.scene.row.Tenant, Campaign: g.scene.row.ID, Amendment: key[0], Position: key[1],
			Done: int64(d.Done), Failed: int64(d.Failed), NotReached: int64(d.NotReached),
			Unreachable: int64(d.Unreachable), Exempt: int64(d.Exempt),
		})
		if err != nil {
			return fmt.Errorf("count ring: %w", err)
		}
		if err := g.stopOrGo(ctx, key, *d); err != nil {
			return err
		}
	}
	return nil
}

// stopOrGo lets a ring's devices be decided again when their numbers stop it,
// or no longer do: orders that have not begun are taken back, or written again.
func (g *group) stopOrGo(ctx context.Context, key [2]int64, d campaign.Counters) error {
	for _, r := range g.scene.rings {
		if r.Amendment != key[0] || r.Position != key[1] || campaign.RingState(r.State).Passed() {
			continue
		}
		ring := g.scene.ring(r)
		before := ring.Breaker().IsZero()
		ring.Counters.Add(campaign.Failed, d.Failed)
		if ring.Breaker().IsZero() == before {
			continue
		}
		if _, err := g.tx.TouchRingDevices(ctx, gen.TouchRingDevicesParams{
			Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Position: r.Position,
		}); err != nil {
			return fmt.Errorf("wake ring %s: %w", r.Ring, err)
		}
	}
	return nil
}

func progressOn(list []campaign.Progress, id patch.ID) (campaign.Progress, bool) {
	for _, p := range list {
		if p.Item == id {
			return p, true
		}
	}
	return campaign.Progress{}, false
}

func sameReason(a, b fault.Reason) bool { return a.String() == b.String() }
