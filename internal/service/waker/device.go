package waker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/core/wake"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// round is a batch of sleeping devices of one tenant with all that is read for it.
type round struct {
	*Waker
	tx       *store.Tx
	tenant   string
	now      time.Time
	batch    store.Batch
	policies policy.Policies
	holds    []gen.Hold
	near     map[network][]gen.NeighboursRow // by network
	asked    bool
}

// network is a prefix at a site; the site may not be known.
type network struct {
	prefix netip.Prefix
	site   string
}

func (w *Waker) round(ctx context.Context, tx *store.Tx, tenant string, rows []gen.SleepersRow) (*round, error) {
	r := &round{Waker: w, tx: tx, tenant: tenant, now: w.Clock(), near: map[network][]gen.NeighboursRow{}}
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	var err error
	if r.policies, err = w.Policies(ctx, tx.Reads, tenant); err != nil {
		return nil, err
	}
	if r.batch, err = tx.Batch(ctx, tenant, ids); err != nil {
		return nil, err
	}
	if r.policies.AskSoftware() {
		if r.batch.Software, err = tx.Software(ctx, tenant, ids); err != nil {
			return nil, err
		}
	}
	if r.holds, err = tx.HoldsInForce(ctx, tenant); err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return r, nil
}

// decide one device, and write where it stands.
func (r *round) decide(ctx context.Context, row gen.SleepersRow) error {
	before, err := r.tx.Wake(ctx, r.tenant, row.ID)
	if err != nil && !store.IsNone(err) {
		return fmt.Errorf("read where it stands: %w", err)
	}
	device, err := r.device(ctx, row, before)
	if err != nil {
		return err
	}
	d := wake.Decide(r.now, device)
	reason, err := store.ReasonText(d.Reason)
	if err != nil {
		return err
	}
	next := gen.PutWakeParams{
		Tenant: r.tenant, Device: row.ID, OrderID: row.OrderID, DueUs: never, DecidedUs: r.now.UnixMicro(), Version: before.Version + 1, Reason: reason,
		WindowUs: before.WindowUs, AskedUs: before.AskedUs, Tries: before.Tries, AskedOf: before.AskedOf, HeardUs: before.HeardUs,
	}
	if !d.Look.IsZero() {
		next.DueUs = d.Look.UnixMicro()
	}
	if next.AskedOf == "" {
		next.AskedOf = "[]"
	}
	if len(d.Asks) > 0 {
		if err := r.counted(&next, d); err != nil {
			return err
		}
	}
	written, err := r.tx.PutWake(ctx, next)
	if err != nil {
		return fmt.Errorf("keep where it stands: %w", err)
	}
	if written == 0 {
		return nil // another server decided it
	}
	return r.ask(ctx, row, d)
}

// never is for what only another order makes due.
const never = int64(1<<63 - 1)

// counted is one more try.
func (r *round) counted(next *gen.PutWakeParams, d wake.Decision) error {
	if window := d.Window.Start.UnixMicro(); next.WindowUs != window {
		next.WindowUs, next.Tries = window, 0
	}
	names := make([]string, 0, len(d.Asks))
	for _, a := range d.Asks {
		names = append(names, a.Name)
	}
	text, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("encode names: %w", err)
	}
	next.Tries, next.AskedUs, next.AskedOf, next.HeardUs = next.Tries+1, r.now.UnixMicro(), string(text), 0
	return nil
}

// device is the decision's view.
func (r *round) device(ctx context.Context, row gen.SleepersRow, before gen.DeviceWake) (wake.Device, error) {
	d := wake.Device{
		ID: fleet.DeviceID(row.ID), LastSeen: store.Instant(row.SeenUs), Checkin: r.CheckinEvery, Held: r.held(row),
		Window: store.Instant(before.WindowUs), Asked: store.Instant(before.AskedUs), Tries: int(before.Tries),
	}
	var err error
	if d.Allowed, err = r.allowed(row.ID); err != nil || !d.Allowed {
		return d, err
	}
	if d.Windows, err = windows(row); err != nil {
		return d, err
	}
	if before.AskedOf != "" {
		if err := json.Unmarshal([]byte(before.AskedOf), &d.By); err != nil {
			return d, fmt.Errorf("read who was asked: %w", err)
		}
	}
	site, err := r.site(row.ID)
	if err != nil {
		return d, err
	}
	networks, err := r.tx.Networks(ctx, r.tenant, row.ID)
	if err != nil {
		return d, fmt.Errorf("read networks: %w", err)
	}
	for _, n := range networks {
		prefix, err := netip.ParsePrefix(n.Prefix)
		if err != nil {
			return d, fmt.Errorf("read network %s: %w", n.Prefix, err)
		}
		d.Cards = append(d.Cards, wake.Card{MAC: n.Mac, Prefix: prefix, Armed: n.Armed == 1})
		near, err := r.neighbours(ctx, network{prefix, site})
		if err != nil {
			return d, err
		}
		for _, n := range near {
			d.Neighbours = append(d.Neighbours, wake.Neighbour{Device: fleet.DeviceID(n.Device), Name: n.Name, Prefix: prefix})
		}
	}
	return d, nil
}

// site is the device's tag.
func (r *round) site(id string) (string, error) {
	d, err := store.Subject(r.batch.Devices[id], nil, "", nil)
	return d.Tags["site"], err
}

// allowed: a profile of the device says that it may be woken.
func (r *round) allowed(id string) (bool, error) {
	var match policy.Match
	if r.policies.AskDevices() {
		d, err := store.Subject(r.batch.Devices[id], r.batch.Groups[id], r.batch.Traits[id], r.batch.Software[id])
		if err != nil {
			return false, err
		}
		match = r.policies.Match(&d, r.now)
	}
	return r.policies.Settings(match).MayWake(), nil
}

// held: whatever the order would do waits for a person.
func (r *round) held(row gen.SleepersRow) bool {
	return slices.ContainsFunc(r.holds, func(h gen.Hold) bool {
		return h.Ring == "" && h.Item == "" && (h.Campaign == "" || h.Campaign == row.Campaign) && (h.Device == "" || h.Device == row.ID)
	})
}

// windows of the order, as they were signed. In its margin nothing begins.
func windows(row gen.SleepersRow) (list []calendar.Interval, err error) {
	var envelope wire.Envelope
	var o wire.Order
	if err := json.Unmarshal([]byte(row.Envelope), &envelope); err != nil {
		return nil, fmt.Errorf("read envelope of order %s: %w", row.OrderID, err)
	}
	if err := json.Unmarshal(envelope.Payload, &o); err != nil { // signed by us
		return nil, fmt.Errorf("read order %s: %w", row.OrderID, err)
	}
	margin := time.Duration(o.MarginS) * time.Second
	for _, w := range o.Windows {
		if end := store.Instant(w.EndUS).Add(-margin); end.After(store.Instant(w.StartUS)) {
			list = append(list, calendar.Interval{Start: store.Instant(w.StartUS), End: end})
		}
	}
	slices.SortFunc(list, func(a, b calendar.Interval) int { return a.Start.Compare(b.Start) })
	return list, nil
}

// neighbours in a network that are awake, read once for each network.
func (r *round) neighbours(ctx context.Context, in network) ([]gen.NeighboursRow, error) {
	known, ok := r.near[in]
	if ok {
		return known, nil
	}
	near, err := r.tx.Neighbours(ctx, gen.NeighboursParams{
		Tenant: r.tenant, Prefix: in.prefix.String(), Site: in.site, SeenUs: r.now.Add(-wake.AwakeWithin(r.CheckinEvery)).UnixMicro(),
		Capability: wire.CapabilityWake, RefusedUs: r.now.Add(-refusedFor).UnixMicro(),
	})
	if err != nil {
		return nil, fmt.Errorf("look for neighbours in %s: %w", in.prefix, err)
	}
	r.near[in] = near
	return near, nil
}

// ask signs and sends what neighbours are asked.
func (r *round) ask(ctx context.Context, row gen.SleepersRow, d wake.Decision) error {
	for _, a := range d.Asks {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make an id: %w", err)
		}
		key, err := r.OrderKey(fleet.TenantID(r.tenant))
		if err != nil {
			return fmt.Errorf("open the order key: %w", err)
		}
		expires := r.now.Add(wake.Stands).UnixMicro()
		envelope, err := wire.Seal(wire.EnvelopeWake, wire.Wake{
			ID: id.String(), Tenant: r.tenant, Device: string(a.Neighbour), MAC: a.MAC, Prefix: a.Prefix.String(), ExpiresUS: expires,
		}, key)
		if err != nil {
			return err
		}
		text, err := json.Marshal(envelope)
		if err != nil {
			return fmt.Errorf("encode envelope: %w", err)
		}
		if err := r.tx.AddWakeAsk(ctx, gen.AddWakeAskParams{
			Tenant: r.tenant, ID: id.String(), Neighbour: string(a.Neighbour), Device: row.ID, Envelope: string(text),
			AskedUs: r.now.UnixMicro(), ExpiresUs: expires,
		}); err != nil {
			return fmt.Errorf("keep what was asked: %w", err)
		}
		r.tx.Record(register.Entry{
			Tenant: r.tenant, AtUS: r.now.UnixMicro(), Actor: actor, Kind: register.WakeAsked, Device: row.ID, Campaign: row.Campaign,
			Detail: map[string]any{
				"ask": id.String(), "neighbour": string(a.Neighbour), "mac": a.MAC, "prefix": a.Prefix.String(), "order": row.OrderID,
				"window": d.Window.Start.UnixMicro(), "expires": expires,
			},
		})
		if err := r.tx.Send(ctx, fleet.TenantID(r.tenant), wire.OrderSubject(string(a.Neighbour)), envelope, r.now.UnixMicro()); err != nil {
			return err
		}
		r.asked = true
	}
	return nil
}
