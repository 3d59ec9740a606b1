package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/policy"
	"patchring/internal/core/reboot"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

type interval = calendar.Interval

func clip(list []interval, now time.Time) []interval {
	return calendar.Intersect(list, []interval{{Start: now, End: now.Add(campaign.Horizon)}})
}

// States of an order.
const (
	orderExpired   = "expired"
	orderCancelled = "cancelled"
)

// expire closes the open order when its time has run out, or when it no longer
// stands. The agent drops it too: by its own clock, or when told to.
func (g *group) expire(ctx context.Context, row gen.CampaignDevice, device campaign.Device, d campaign.DeviceDecision) error {
	if device.Order == nil {
		return nil
	}
	state, code := "", fault.Code("")
	switch {
	case d.Cancel:
		state, code = orderCancelled, fault.OrderCancelled
	case d.Expired:
		state, code = orderExpired, fault.OrderExpired
	default:
		return nil
	}
	if _, err := g.tx.TouchPendingReboot(ctx, row.Tenant, row.Device); err != nil {
		return fmt.Errorf("wake its reboot: %w", err)
	}
	return g.shut(ctx, row, device.Order, state, fault.Because(code))
}

// shut closes an open order of a row from this side. The ring is told where it
// is this campaign's.
func (g *group) shut(ctx context.Context, of gen.CampaignDevice, o *campaign.OpenOrder, state string, why fault.Reason) error {
	now := g.Clock().UnixMicro()
	_, err := g.tx.CloseOrder(ctx, gen.CloseOrderParams{Tenant: of.Tenant, ID: o.ID, State: state, Step: string(o.Step), StepUs: now})
	if err != nil {
		return fmt.Errorf("close order %s: %w", o.ID, err)
	}
	ring := ""
	if of.Campaign != "" && of.Campaign == g.scene.row.ID {
		ring = ringName(g.scene, of.Position)
	}
	g.tx.Record(register.Entry{
		Tenant: of.Tenant, AtUS: now, Actor: actor, Kind: register.OrderResult, Device: of.Device, Campaign: of.Campaign,
		Ring: ring, Reason: why, Detail: map[string]any{"order": o.ID, "state": state},
	})
	return nil
}

// issue writes, signs and sends one order, if there is a place for it in every
// limit that the device is under.
func (g *group) issue(ctx context.Context, row gen.CampaignDevice, device campaign.Device, d *campaign.DeviceDecision, limits []under) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an order id: %w", err)
	}
	order, err := g.write(ctx, row, device, d.Order, id.String())
	if err != nil {
		return "", err
	}
	// The order may outlive its windows, for a reboot: its place is for all of it.
	placed, err := g.takeSlots(ctx, row, limits, order.ID, time.UnixMicro(order.ExpiresUS))
	if err != nil {
		return "", err
	}
	if !placed {
		d.Order, d.Look = nil, g.Clock().Add(placeLook)
		return row.OrderID, nil
	}
	if d.Order.Preempts {
		if err := g.preempt(ctx, row); err != nil {
			return "", err
		}
	}
	if _, err := g.tx.TouchPendingReboot(ctx, row.Tenant, row.Device); err != nil {
		return "", fmt.Errorf("let its reboot give way: %w", err)
	}
	return order.ID, g.send(ctx, row, order)
}

// send signs an order, keeps it, records it and puts it in the outbox.
func (g *group) send(ctx context.Context, row gen.CampaignDevice, order wire.Order) error {
	envelope, err := g.seal(fleet.TenantID(row.Tenant), wire.EnvelopeOrder, order)
	if err != nil {
		return err
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return fmt.Errorf("encode envelope: %w", err)
	}
	err = g.tx.AddOrder(ctx, gen.AddOrderParams{
		Tenant: row.Tenant, ID: order.ID, Device: row.Device, Serial: order.Serial, Campaign: row.Campaign, Amendment: row.Amendment,
		Kind: string(order.Kind), Envelope: string(text), IssuedUs: order.IssuedUS, ExpiresUs: order.ExpiresUS,
	})
	if err != nil {
		return fmt.Errorf("keep order: %w", err)
	}
	g.tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: order.IssuedUS, Actor: actor, Kind: register.OrderIssued, Device: row.Device, Campaign: row.Campaign,
		Ring: order.Ring, Detail: map[string]any{
			"order": order.ID, "serial": order.Serial, "kind": string(order.Kind), "items": orderItems(order.Items), "expires": order.ExpiresUS,
		},
	})
	g.Log.Info("order", "device", row.Device, "campaign", g.scene.row.Name, "kind", order.Kind, "items", len(order.Items), "serial", order.Serial)
	return g.tx.Send(ctx, fleet.TenantID(row.Tenant), wire.OrderSubject(row.Device), envelope, order.IssuedUS)
}

// placeLook is soon: another server took the last place in this very moment.
const placeLook = 5 * time.Second

func (g *group) write(ctx context.Context, row gen.CampaignDevice, device campaign.Device, spec *campaign.OrderSpec, id string) (wire.Order, error) {
	serial, err := g.tx.NextOrderSerial(ctx, row.Tenant, row.Device)
	if err != nil {
		return wire.Order{}, fmt.Errorf("take an order serial: %w", err)
	}
	terms := g.scene.terms()
	settings := g.scene.settings(device.Match)
	order := wire.Order{
		ID: id, Serial: serial, Tenant: row.Tenant, Device: row.Device, Campaign: row.Campaign,
		Ring: ringName(g.scene, row.Position), Kind: spec.Kind, Items: spec.Items,
		IssuedUS: g.Clock().UnixMicro(), ExpiresUS: spec.Expires.UnixMicro(), LockWaitS: int64(lockWait / time.Second), AllowNew: true,
		Windows: onWire(spec.Windows),
	}
	if order.DownloadBytesPerS, err = g.share(ctx, row, settings); err != nil {
		return order, err
	}
	reboots := g.scene.reboots(settings, terms, g.Clock())
	reboots.Windows = reboot.Spread(reboots.Windows, g.Clock(), reboot.Spreading{Device: device.ID, Room: terms.MarginIn(reboots.Windows)})
	told, err := g.announce(ctx, row, settings, spec, reboots)
	if err != nil {
		return wire.Order{}, err
	}
	order.People, order.MarginS = told.People, seconds(told.Margin)
	order.RebootMarginS = seconds(terms.MarginsFor(spec.Windows, spec.Need).Reboot)
	if order.Reboot = reboots.Mode; order.Reboot == wire.RebootUser && order.People == nil {
		order.Reboot = wire.RebootIfNeeded
	}
	if order.RebootWindows = onWire(reboots.Windows); len(reboots.Windows) > 0 {
		order.ExpiresUS = max(order.ExpiresUS, reboots.Windows[0].End.UnixMicro()) // it lives to see one of them
	}
	if err := g.introduce(ctx, &order); err != nil {
		return order, err
	}
	return order, g.tx.Witness(ctx, g.batch.Devices[row.Device].CheckpointSize, &order)
}

// introduce gives the people at the device the address of its page and the
// tenant's logo.
func (g *group) introduce(ctx context.Context, order *wire.Order) (err error) {
	if order.People == nil || g.Link == nil {
		return nil
	}
	d := identity.Device{Tenant: fleet.TenantID(order.Tenant), ID: fleet.DeviceID(order.Device)}
	if order.People.Link, err = g.Link(ctx, g.tx.Queries, d, time.UnixMicro(order.ExpiresUS)); err != nil {
		return err
	}
	if order.People.Logo, err = g.tx.LogoHash(ctx, order.Tenant); err != nil {
		return fmt.Errorf("read the logo's hash: %w", err)
	}
	return nil
}

// announce is how the people at a device are treated: those at a workstation,
// and never in a rollback, which mends what keeps them from working. A rehearsal
// mends nothing: they are asked as they are before an install.
func (g *group) announce(ctx context.Context, row gen.CampaignDevice, settings policy.Settings, spec *campaign.OrderSpec, r campaign.Restarts) (campaign.Announcement, error) {
	out := campaign.Announcement{Margin: g.scene.terms().MarginsFor(spec.Windows, spec.Need).Install}
	asked := settings.People != nil && !g.scene.undo() && fleet.Kind(g.batch.Devices[row.Device].Kind) == fleet.Workstation
	if !asked {
		return out, nil
	}
	first, err := g.tx.FirstOrderOf(ctx, gen.FirstOrderOfParams{Tenant: row.Tenant, Device: row.Device, Campaign: row.Campaign, Kind: string(spec.Kind)})
	if err != nil {
		return out, fmt.Errorf("read the first order: %w", err)
	}
	since := store.Instant(first)
	if since.IsZero() {
		since = g.Clock()
	}
	return campaign.Announce(*settings.People, since, campaign.Acts{Install: spec.Windows, Reboot: r.Windows, Margin: out.Margin}), nil
}

// seconds never rounds a margin down.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func onWire(windows []interval) []wire.Interval {
	var out []wire.Interval
	for _, w := range windows {
		out = append(out, wire.Interval{StartUS: w.Start.UnixMicro(), EndUS: w.End.UnixMicro()})
	}
	return out
}

// lockWait is how long an agent waits for another holder of the package
// manager's lock before it reports who holds it.
const lockWait = 10 * time.Minute

func orderItems(items []wire.Item) []any {
	out := make([]any, 0, len(items))
	for _, i := range items {
		packages := make([]any, 0, len(i.Packages))
		for _, p := range i.Packages {
			packages = append(packages, map[string]any{"name": p.Name, "from": p.From, "to": p.To})
		}
		out = append(out, map[string]any{"patch": i.ID, "name": i.Name, "version": i.Version, "packages": packages})
	}
	return out
}
