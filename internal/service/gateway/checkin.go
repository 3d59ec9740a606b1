package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// parts are the ones the server wants, in the order it asks for them.
var parts = []wire.PartName{wire.PartFacts, wire.PartInventory, wire.PartPatches}

// checkin keeps the heartbeat and answers with all the agent has missed.
func (g *Gateway) checkin(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, m wire.Checkin) (any, error) {
	var reply wire.CheckinReply
	woke := false
	err := g.writer.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		reply, woke = wire.CheckinReply{NowUS: g.nowUS(), CheckinS: int64(g.CheckinEvery / time.Second)}, false
		d, err := known(ctx, tx, tenant, device)
		if err != nil {
			return err
		}
		if err := g.touch(ctx, tx, d, m); err != nil {
			return err
		}
		scanned, err := g.scannedAgain(ctx, tx, &d, m)
		if err != nil {
			return err
		}
		if woke, err = g.returned(ctx, tx, d, m, scanned); err != nil {
			return err
		}
		reply.Scan = d.ScanWanted == 1
		if reply.Want, err = wanted(d, m); err != nil {
			return err
		}
		if err := fillHolds(ctx, tx, tenant, m.HoldsSerial, &reply); err != nil {
			return err
		}
		if err := g.fillSaid(ctx, tx, d, m, &reply); err != nil {
			return err
		}
		if err := g.fillWakes(ctx, tx, d, m, &reply); err != nil {
			return err
		}
		if err := g.fillWatch(ctx, tx, d, m, &reply); err != nil {
			return err
		}
		return fillOrders(ctx, tx, d, m, &reply)
	})
	if err == nil && woke {
		g.Wake()
	}
	return reply, err
}

// known reads the device. A database that does not answer is an outage; only a
// row that says so is a refusal.
func known(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, device fleet.DeviceID) (gen.Device, error) {
	d, err := tx.Device(ctx, string(tenant), string(device))
	switch {
	case store.IsNone(err):
		return d, fault.New(fault.DeviceUnknown, "device", string(device))
	case err != nil:
		return d, fmt.Errorf("read device %s: %w", device, err)
	case d.RetiredUs > 0:
		return d, fault.New(fault.DeviceRetired, "device", string(device))
	}
	return d, nil
}

func (g *Gateway) touch(ctx context.Context, tx *store.Tx, d gen.Device, m wire.Checkin) error {
	_, err := tx.TouchDevice(ctx, gen.TouchDeviceParams{
		Tenant: d.Tenant, ID: d.ID, SeenUs: g.nowUS(), BootID: wire.Clean(m.BootID, 64), BootedUs: m.BootedUS,
		RebootPending: bit(m.RebootPending), AgentVersion: wire.Clean(m.Version, 64), Capability: int64(m.Capability),
	})
	if err != nil {
		return fmt.Errorf("touch device %s: %w", d.ID, err)
	}
	return nil
}

// awayAfter is the silence after which a device that speaks again is decided
// again at once: its row may say unreachable.
const awayAfter = time.Minute

// sameScan is how far apart two tellings of one scan's age may be: messages
// take their time.
const sameScan = 2 * time.Second

// scannedAgain keeps that a device has looked for patches again and found the
// same: the part does not travel then, and "looked since" would never be true.
func (g *Gateway) scannedAgain(ctx context.Context, tx *store.Tx, d *gen.Device, m wire.Checkin) (bool, error) {
	if m.ScannedUS == 0 {
		return false, nil
	}
	at := g.serverTime(m.ScannedUS, m.NowUS)
	if at-d.ScanUs < sameScan.Microseconds() || wire.ScanStatus(d.ScanStatus) == wire.ScanFailed {
		return false, nil
	}
	want, err := wanted(*d, m)
	if err != nil || m.Parts[wire.PartPatches] == "" || slices.Contains(want, wire.PartPatches) {
		return false, err
	}
	d.ScanUs, d.ScanWanted = at, 0
	return true, tx.SetDeviceScanned(ctx, gen.SetDeviceScannedParams{Tenant: d.Tenant, ID: d.ID, ScanUs: at})
}

// returned lets the campaigns look at a device that was away, that has scanned,
// or whose pending reboot has changed.
func (g *Gateway) returned(ctx context.Context, tx *store.Tx, d gen.Device, m wire.Checkin, scanned bool) (bool, error) {
	if err := g.pendingChanged(ctx, tx, d, m.RebootPending); err != nil {
		return false, err
	}
	away := time.Duration(g.nowUS()-d.SeenUs) * time.Microsecond
	if away < awayAfter && !scanned && d.RebootPending == bit(m.RebootPending) {
		return false, nil
	}
	return tx.WakeDevice(ctx, d.Tenant, d.ID)
}

func wanted(d gen.Device, m wire.Checkin) ([]wire.PartName, error) {
	have := map[wire.PartName]string{}
	if err := json.Unmarshal([]byte(d.PartHashes), &have); err != nil {
		return nil, fmt.Errorf("read part hashes of %s: %w", d.ID, err)
	}
	var want []wire.PartName
	for _, name := range parts {
		if hash := m.Parts[name]; hash != "" && hash != have[name] {
			want = append(want, name)
		}
	}
	return want, nil
}

// fillHolds sends the whole set when the agent's is older.
func fillHolds(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, serial int64, reply *wire.CheckinReply) error {
	t, err := tx.Tenant(ctx, string(tenant))
	if err != nil {
		return fmt.Errorf("read tenant %s: %w", tenant, err)
	}
	if t.HoldsSerial <= serial || t.Holds == "" {
		return nil
	}
	reply.Holds = new(wire.Envelope)
	if err := json.Unmarshal([]byte(t.Holds), reply.Holds); err != nil {
		return fmt.Errorf("read holds of %s: %w", tenant, err)
	}
	return nil
}

// fillOrders sends the open orders the agent has not named, and names those it
// keeps that no longer stand. One that the agent names as done and that is open
// here has a result that is on its way, or that was lost with a restored
// database: it is sent too, and the agent knows which.
func fillOrders(ctx context.Context, tx *store.Tx, d gen.Device, m wire.Checkin, reply *wire.CheckinReply) error {
	open, err := tx.OpenOrders(ctx, d.Tenant, d.ID)
	if err != nil {
		return fmt.Errorf("read orders of %s: %w", d.ID, err)
	}
	for _, o := range open {
		if slices.ContainsFunc(m.Orders, func(s wire.OrderStatus) bool { return s.ID == o.ID && s.Step != wire.StepDone }) {
			continue
		}
		var envelope wire.Envelope
		if err := json.Unmarshal([]byte(o.Envelope), &envelope); err != nil {
			return fmt.Errorf("read order %s: %w", o.ID, err)
		}
		reply.Orders = append(reply.Orders, envelope)
	}
	for _, s := range m.Orders {
		if !slices.ContainsFunc(open, func(o gen.DeviceOrder) bool { return o.ID == s.ID }) {
			reply.Cancel = append(reply.Cancel, s.ID)
		}
	}
	return nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
