package cleaner

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/cleanup"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// States of an order that this side ends.
const (
	orderExpired   = "expired"
	orderCancelled = "cancelled"
)

// openOrder is an order that a device has.
type openOrder struct {
	row     gen.DeviceOrder
	payload wire.Order
	windows []calendar.Interval
}

func read(row gen.DeviceOrder) (openOrder, error) {
	o := openOrder{row: row}
	var envelope wire.Envelope
	if err := json.Unmarshal([]byte(row.Envelope), &envelope); err != nil {
		return o, fmt.Errorf("read envelope of order %s: %w", row.ID, err)
	}
	if err := json.Unmarshal(envelope.Payload, &o.payload); err != nil { // signed by us
		return o, fmt.Errorf("read order %s: %w", row.ID, err)
	}
	for _, w := range o.payload.Windows {
		o.windows = append(o.windows, calendar.Interval{Start: store.Instant(w.StartUS), End: store.Instant(w.EndUS)})
	}
	return o, nil
}

// close ends the open order when its time has run out, or when it stands no
// more. The agent drops it too: by its own clock, or when told to.
func (g *group) close(ctx context.Context, row gen.CleanUpLook, open *openOrder, d cleanup.Decision) error {
	state, code := orderExpired, fault.OrderExpired
	switch {
	case open == nil || !d.Cancel && !d.Expired:
		return nil
	case d.Cancel:
		state, code = orderCancelled, fault.OrderCancelled
	}
	now := g.Clock().UnixMicro()
	_, err := g.tx.CloseOrder(ctx, gen.CloseOrderParams{Tenant: row.Tenant, ID: open.row.ID, State: state, Step: open.row.Step, StepUs: now})
	if err != nil {
		return fmt.Errorf("close order %s: %w", open.row.ID, err)
	}
	g.tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: now, Actor: actor, Kind: register.OrderResult, Device: row.Device, Reason: fault.Because(code),
		Detail: map[string]any{"order": open.row.ID, "kind": open.row.Kind, "state": state},
	})
	return nil
}

// issue writes, signs and sends one order.
func (g *group) issue(ctx context.Context, row gen.CleanUpLook, c *policy.CleanUp, spec cleanup.Order) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an order id: %w", err)
	}
	serial, err := g.tx.NextOrderSerial(ctx, row.Tenant, row.Device)
	if err != nil {
		return fmt.Errorf("take an order serial: %w", err)
	}
	now := g.Clock().UnixMicro()
	order := wire.Order{
		ID: id.String(), Serial: serial, Tenant: row.Tenant, Device: row.Device, Kind: wire.OrderCleanUp, CleanUp: spec.Items,
		IssuedUS: now, ExpiresUS: spec.Expires.UnixMicro(), Reboot: wire.RebootNever,
		Windows: []wire.Interval{{StartUS: spec.Window.Start.UnixMicro(), EndUS: spec.Window.End.UnixMicro()}},
	}
	if err := g.tx.Witness(ctx, g.batch.Devices[row.Device].CheckpointSize, &order); err != nil {
		return err
	}
	key, err := g.OrderKey(fleet.TenantID(row.Tenant))
	if err != nil {
		return fmt.Errorf("open the order key of %s: %w", row.Tenant, err)
	}
	envelope, err := wire.Seal(wire.EnvelopeOrder, order, key)
	if err != nil {
		return fmt.Errorf("sign order: %w", err)
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return fmt.Errorf("encode envelope: %w", err)
	}
	err = g.tx.AddOrder(ctx, gen.AddOrderParams{
		Tenant: row.Tenant, ID: order.ID, Device: row.Device, Serial: serial, Kind: string(order.Kind), Envelope: string(text),
		IssuedUs: now, ExpiresUs: order.ExpiresUS,
	})
	if err != nil {
		return fmt.Errorf("keep order: %w", err)
	}
	g.tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: now, Actor: actor, Kind: register.OrderIssued, Device: row.Device,
		Detail: map[string]any{"order": order.ID, "serial": serial, "kind": string(order.Kind), "clean_up": g.itemTexts(row.Device, c, spec.Items), "expires": order.ExpiresUS},
	})
	g.Log.Info("order", "device", row.Device, "kind", order.Kind, "items", len(spec.Items), "serial", serial)
	g.sent = true
	return g.tx.Send(ctx, fleet.TenantID(row.Tenant), wire.OrderSubject(row.Device), envelope, now)
}

// itemTexts are the items as the register keeps them: with who let each go, and
// for browser history on what ground.
func (g *group) itemTexts(device string, c *policy.CleanUp, items []wire.CleanUp) []any {
	out := make([]any, 0, len(items))
	for _, i := range items {
		text := map[string]any{"item": i.ID, "kind": string(i.Kind), "older_than_s": i.OlderThanS, "dry_run": i.DryRun}
		if len(i.Paths) > 0 {
			paths := make([]any, 0, len(i.Paths))
			for _, p := range i.Paths {
				paths = append(paths, p)
			}
			text["paths"] = paths
		}
		if !i.DryRun {
			text["approved_by"] = g.approver(device, i)
		}
		if cleanup.FromWire(i).AlwaysAsks() {
			text["allowed"] = map[string]any{"fr": c.Allowed.FR, "en": c.Allowed.EN}
		}
		out = append(out, text)
	}
	return out
}

// approver is who let an item go: a person, or the policy.
func (g *group) approver(device string, i wire.CleanUp) string {
	print := cleanup.FromWire(i).Fingerprint()
	for _, a := range g.approvals {
		if a.Item == i.ID && a.Fingerprint == print && (a.Device == "" || a.Device == device) {
			return a.Actor
		}
	}
	return "policy"
}
