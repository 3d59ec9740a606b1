package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// States of an order that an agent's word ends.
const (
	orderDone    = "done"
	orderRefused = "refused"
)

// events keeps a batch from a device's spool. The highest sequence number is
// written with what the events change, so an event counts once however often
// it is sent.
func (g *Gateway) events(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, m wire.Events) (any, error) {
	if len(m.Events) > wire.MaxEventsPerSend {
		return nil, fault.New(fault.InvalidField, "field", "events", "problem", "too many", "fix", "send fewer at once")
	}
	var upTo int64
	woke := false
	err := g.writer.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		woke = false
		d, err := known(ctx, tx, tenant, device)
		if err != nil {
			return err
		}
		upTo = d.LastSeq
		for _, e := range m.Events {
			if e.Seq <= upTo {
				continue
			}
			touched, err := g.event(ctx, tx, d, e)
			if err != nil {
				return fmt.Errorf("event %d of %s: %w", e.Seq, d.ID, err)
			}
			if err := g.evidence(ctx, tx, d, told{e, m.NowUS}); err != nil {
				return fmt.Errorf("event %d of %s: %w", e.Seq, d.ID, err)
			}
			woke = woke || touched
			upTo = e.Seq
			if e.BootID != "" {
				d.BootID = wire.Clean(e.BootID, 64)
			}
		}
		if upTo == d.LastSeq {
			return nil
		}
		if woke {
			if _, err := tx.WakeDevice(ctx, d.Tenant, d.ID); err != nil {
				return err
			}
		}
		return tx.SetDeviceSeq(ctx, gen.SetDeviceSeqParams{Tenant: d.Tenant, ID: d.ID, LastSeq: upTo, SeenUs: g.nowUS(), BootID: d.BootID})
	})
	if err == nil && woke {
		g.Wake()
	}
	return wire.EventsReply{UpTo: upTo}, err
}

// event keeps one event, and tells whether the device must be decided again.
func (g *Gateway) event(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) (bool, error) {
	e.Cause = cleanCause(e.Cause)
	switch e.Kind {
	case wire.EventStep, wire.EventWaiting:
		return true, g.step(ctx, tx, d, e)
	case wire.EventResult:
		return true, g.result(ctx, tx, d, e)
	case wire.EventRefused:
		return true, g.refused(ctx, tx, d, e)
	case wire.EventRebooted, wire.EventRecovered, wire.EventActor, wire.EventDropped, wire.EventRestored:
		g.recordEvent(tx, d, e)
		return false, nil
	case wire.EventWoke:
		return false, g.woke(ctx, tx, d, e)
	case wire.EventNotice:
		return false, g.notice(ctx, tx, d, e)
	default:
		// A newer agent may speak of something this server does not know: kept
		// in the register, so that nothing it said is lost.
		g.recordEvent(tx, d, e)
		return false, nil
	}
}

// told is an event and the device's clock as it was sent.
type told struct {
	wire.Event
	nowUS int64
}

// evidence keeps what an event says of how the device does: when an install
// began, and what probes found after it. A device has one state of each probe, so
// what its next sample says again counts once; an event that is late changes
// nothing that a later sample has said.
func (g *Gateway) evidence(ctx context.Context, tx *store.Tx, d gen.Device, e told) error {
	switch {
	case e.Kind == wire.EventStep && e.Step == wire.StepInstall:
		began := gen.SetOrderBeganParams{Tenant: d.Tenant, ID: e.Order, Device: d.ID, BeganUs: g.serverTime(e.AtUS, e.nowUS)}
		if err := tx.SetOrderBegan(ctx, began); err != nil {
			return fmt.Errorf("note that order %s installs: %w", e.Order, err)
		}
	case e.Kind == wire.EventResult && e.Result != nil:
		_, err := g.keepProbes(ctx, tx, d, e.nowUS, e.Result.Probes)
		return err
	}
	return nil
}

func (g *Gateway) step(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) error {
	row, ok, err := g.orderOf(ctx, tx, d, e)
	if err != nil || !ok {
		return err
	}
	cause, err := causeText(e.Cause)
	if err != nil {
		return err
	}
	if e.Kind == wire.EventStep && e.Step == wire.StepAccepted {
		if err := g.witnessed(ctx, tx, row); err != nil {
			return err
		}
	}
	return tx.SetOrderStep(ctx, gen.SetOrderStepParams{
		Tenant: row.Tenant, ID: row.ID, Step: wire.Clean(string(e.Step), 32), StepUs: e.AtUS, Cause: cause, NextUs: e.NextUS,
	})
}

// witnessed: the device accepted an order, so it remembers that order's
// checkpoint from now on.
func (g *Gateway) witnessed(ctx context.Context, tx *store.Tx, row gen.DeviceOrder) error {
	o, err := payload(row)
	if err != nil || o.Checkpoint == "" {
		return err
	}
	size, err := register.CheckpointSize(o.Checkpoint)
	if err != nil {
		return fmt.Errorf("read checkpoint of order %s: %w", row.ID, err)
	}
	return tx.SetDeviceCheckpoint(ctx, gen.SetDeviceCheckpointParams{Tenant: row.Tenant, ID: row.Device, CheckpointSize: size})
}

// proveFrom: the device could not follow the register from where we thought it
// was, and says what it remembers: the next proof starts there. What it says is
// believed of itself only, and only as far as the register goes.
func (g *Gateway) proveFrom(ctx context.Context, tx *store.Tx, d gen.Device, c *wire.Cause) error {
	if c == nil || fault.Code(c.Code) != fault.RegisterForked {
		return nil
	}
	have, err := strconv.ParseInt(c.Args["have"], 10, 64)
	if err != nil || have <= 0 {
		return nil // an argument that an agent made up changes nothing
	}
	head, err := tx.RegisterHead(ctx, d.Tenant)
	if err != nil {
		return fmt.Errorf("read the register's head: %w", err)
	}
	if have > head.Size {
		return nil
	}
	return tx.SetDeviceCheckpoint(ctx, gen.SetDeviceCheckpointParams{Tenant: d.Tenant, ID: d.ID, CheckpointSize: have})
}

func payload(row gen.DeviceOrder) (wire.Order, error) {
	var envelope wire.Envelope
	var o wire.Order
	if err := json.Unmarshal([]byte(row.Envelope), &envelope); err != nil {
		return o, fmt.Errorf("read envelope of order %s: %w", row.ID, err)
	}
	if err := json.Unmarshal(envelope.Payload, &o); err != nil { // signed by us
		return o, fmt.Errorf("read order %s: %w", row.ID, err)
	}
	return o, nil
}

// result ends an order and moves each item's progress. A result that comes
// after its order was closed here (expired, cancelled) still tells what
// happened on the device, so it counts.
func (g *Gateway) result(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) error {
	row, ok, err := g.orderOf(ctx, tx, d, e)
	if err != nil || !ok || e.Result == nil {
		return err
	}
	if err := g.closeOrder(ctx, tx, row, e, orderDone); err != nil {
		return err
	}
	if err := tx.EndOrder(ctx, gen.EndOrderParams{Tenant: row.Tenant, ID: row.ID, NowUs: g.nowUS()}); err != nil {
		return fmt.Errorf("keep when order %s ended: %w", row.ID, err)
	}
	detail := resultText(*e.Result)
	detail["order"], detail["kind"] = row.ID, row.Kind
	if wire.OrderKind(row.Kind) == wire.OrderCleanUp {
		g.record(tx, d, e, register.OrderResult, "", detail)
		return g.cleaned(ctx, tx, row, e.Result.Outcomes, nil)
	}
	if err := g.learn(ctx, tx, d, row, *e.Result); err != nil {
		return err
	}
	if isReboot(row) {
		return g.rebootEnded(ctx, tx, d, row, e)
	}
	terms, err := g.terms(ctx, tx, row)
	if err != nil {
		return err
	}
	took := tookEach(*e.Result)
	for _, o := range e.Result.Outcomes {
		o = cleanOutcome(o)
		err := g.progress(ctx, tx, row, o.Item, func(p campaign.Progress) campaign.Progress {
			return p.Apply(wire.OrderKind(row.Kind), o, terms, g.Clock()).Timed(took)
		})
		if err != nil {
			return err
		}
	}
	g.record(tx, d, e, register.OrderResult, row.Campaign, detail)
	return nil
}

// refused ends an order the device did not carry out.
func (g *Gateway) refused(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) error {
	row, ok, err := g.orderOf(ctx, tx, d, e)
	if err != nil || !ok {
		return err
	}
	if err := g.proveFrom(ctx, tx, d, e.Cause); err != nil {
		return err
	}
	if err := g.closeOrder(ctx, tx, row, e, orderRefused); err != nil {
		return err
	}
	if wire.OrderKind(row.Kind) == wire.OrderCleanUp {
		g.record(tx, d, e, register.OrderResult, "", map[string]any{"order": row.ID, "kind": row.Kind, "state": orderRefused})
		return g.cleaned(ctx, tx, row, nil, e.Cause)
	}
	if isReboot(row) {
		return g.rebootEnded(ctx, tx, d, row, e)
	}
	terms, err := g.terms(ctx, tx, row)
	if err != nil {
		return err
	}
	o, err := payload(row)
	if err != nil {
		return err
	}
	for _, item := range o.Items {
		err := g.progress(ctx, tx, row, item.ID, func(p campaign.Progress) campaign.Progress {
			return p.Refuse(reasonOf(e.Cause), terms, g.Clock())
		})
		if err != nil {
			return err
		}
	}
	g.record(tx, d, e, register.OrderResult, row.Campaign, map[string]any{"order": row.ID, "kind": row.Kind, "state": orderRefused})
	return nil
}

// orderOf finds the order an event speaks of. One that is not this device's, or
// that a restored database has lost, is no outage: the event is kept in the
// register, with all that it tells, and changes nothing else.
func (g *Gateway) orderOf(ctx context.Context, tx *store.Tx, d gen.Device, e wire.Event) (gen.DeviceOrder, bool, error) {
	row, err := tx.Order(ctx, d.Tenant, e.Order)
	if err != nil && !store.IsNone(err) {
		return row, false, fmt.Errorf("read order %s: %w", e.Order, err)
	}
	if err != nil || row.Device != d.ID {
		g.recordEvent(tx, d, e)
		return row, false, nil
	}
	return row, true, nil
}

func (g *Gateway) closeOrder(ctx context.Context, tx *store.Tx, row gen.DeviceOrder, e wire.Event, state string) error {
	cause, err := causeText(e.Cause)
	if err != nil {
		return err
	}
	_, err = tx.CloseOrder(ctx, gen.CloseOrderParams{
		Tenant: row.Tenant, ID: row.ID, State: state, Step: string(wire.StepDone), StepUs: e.AtUS, Cause: cause,
	})
	if err != nil {
		return fmt.Errorf("close order %s: %w", row.ID, err)
	}
	if _, err := tx.DropNotices(ctx, row.Tenant, row.Device); err != nil { // nobody is asked about it any more
		return fmt.Errorf("drop notices of %s: %w", row.Device, err)
	}
	return nil
}

func (g *Gateway) terms(ctx context.Context, tx *store.Tx, row gen.DeviceOrder) (campaign.Terms, error) {
	return g.Terms(ctx, tx.Queries, row.Tenant, row.Campaign)
}

// progress moves one item's row by f.
func (g *Gateway) progress(ctx context.Context, tx *store.Tx, row gen.DeviceOrder, item string, f func(campaign.Progress) campaign.Progress) error {
	rows, err := tx.DeviceItems(ctx, gen.DeviceItemsParams{Tenant: row.Tenant, Campaign: row.Campaign, Device: row.Device})
	if err != nil {
		return fmt.Errorf("read items of %s: %w", row.Device, err)
	}
	for _, r := range rows {
		if r.Item != item {
			continue
		}
		p, err := store.Progress(r)
		if err != nil {
			return err
		}
		of := gen.CampaignDevice{Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Device: r.Device}
		after := f(p)
		if err := tx.MoveItem(ctx, of, p, after); err != nil {
			return err
		}
		switch {
		case !after.Rollback:
			return nil
		case wire.OrderKind(row.Kind) == wire.OrderInstall: // its rollback may be over: the campaign looks
			return tx.TouchCampaign(ctx, row.Tenant, row.Campaign)
		case wire.OrderKind(row.Kind) != wire.OrderRollback:
			return nil
		}
		return tx.Mirror(ctx, of, after, g.nowUS())
	}
	return nil // an item the order does not have: the agent's word alone adds nothing
}

func (g *Gateway) recordEvent(tx *store.Tx, d gen.Device, e wire.Event) {
	detail := map[string]any{"event": wire.Clean(string(e.Kind), 32), "seq": e.Seq}
	if e.Order != "" {
		detail["order"] = wire.Clean(e.Order, 64)
	}
	if e.BootID != "" {
		detail["boot_id"] = wire.Clean(e.BootID, 64)
	}
	if e.Step != "" {
		detail["step"] = wire.Clean(string(e.Step), 32)
	}
	if e.Result != nil {
		for key, value := range resultText(*e.Result) {
			detail[key] = value
		}
	}
	if e.Actor != nil {
		detail["actor"] = wire.Clean(e.Actor.Name, 256)
	}
	if n := e.Notice; n != nil {
		detail["notice"] = map[string]any{
			"what": wire.Clean(string(n.What), 32), "act": wire.Clean(string(n.Act), 32), "user": wire.Clean(n.User, 256),
			"until": n.UntilUS, "left": n.Left,
		}
		if n.Said != "" {
			detail["said"] = wire.Clean(n.Said, 64)
		}
	}
	g.record(tx, d, e, register.DeviceEvent, "", detail)
}

func (g *Gateway) record(tx *store.Tx, d gen.Device, e wire.Event, kind register.Kind, campaignID string, detail map[string]any) {
	detail["device_time"] = e.AtUS
	tx.Record(register.Entry{
		Tenant: d.Tenant, AtUS: g.nowUS(), Actor: register.Agent(d.ID), Kind: kind, Device: d.ID, Campaign: campaignID,
		Reason: reasonOf(e.Cause), Detail: detail,
	})
}

func resultText(r wire.Result) map[string]any {
	outcomes := make([]any, 0, len(r.Outcomes))
	for _, o := range r.Outcomes {
		outcomes = append(outcomes, outcomeText(cleanOutcome(o)))
	}
	return map[string]any{
		"outcomes": outcomes, "rebooted": r.Rebooted, "reboot_pending": r.RebootPending, "duration_s": r.DurationS,
		"log_sha256": wire.Clean(r.LogSHA256, 64), "log_tail": wire.Clean(r.LogTail, wire.MaxLogTailBytes),
	}
}

func outcomeText(o wire.Outcome) map[string]any {
	packages := make([]any, 0, len(o.Packages))
	for _, p := range o.Packages {
		packages = append(packages, map[string]any{"name": p.Name, "from": p.From, "to": p.To, "rollback": p.Rollback})
	}
	text := map[string]any{"patch": o.Item, "state": string(o.State), "packages": packages}
	if o.Cause != nil {
		text["cause"] = o.Cause.Code
	}
	if o.Freed != nil {
		text["freed"] = freedText(o.Freed)
	}
	return text
}

func cleanOutcome(o wire.Outcome) wire.Outcome {
	o.Item, o.Cause, o.Packages = wire.Clean(o.Item, 64), cleanCause(o.Cause), cleanChanges(o.Packages)
	o.Freed = cleanFreed(o.Freed)
	return o
}

func cleanCause(c *wire.Cause) *wire.Cause {
	if c == nil {
		return nil
	}
	out := &wire.Cause{Code: wire.Clean(c.Code, 64), Args: make(map[string]string, len(c.Args))}
	for k, v := range c.Args {
		out.Args[wire.Clean(k, 32)] = wire.Clean(v, wire.MaxTextBytes)
	}
	return out
}

func reasonOf(c *wire.Cause) fault.Reason {
	if c == nil {
		return fault.Reason{}
	}
	return fault.Reason{Code: fault.Code(c.Code), Args: c.Args}
}

func causeText(c *wire.Cause) (string, error) { return store.ReasonText(reasonOf(c)) }
