package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/wire"
)

// order is one the device has accepted. It walks the steps of the real
// executor; what takes time on a real device takes a share of the pace.
type order struct {
	wire.Order
	step    wire.Step
	due     time.Time // when to look again
	waiting fault.Code
	over    bool
	probes  []wire.ProbeState // as they were after it
}

// Shares of the pace.
const (
	downloadShare = 0.3
	installShare  = 0.7
)

// accept judges an order and keeps it. One that is kept already is accepted
// again without effect.
func (d *device) accept(e wire.Envelope) {
	var o wire.Order
	if err := e.Open(wire.EnvelopeOrder, d.s.trust.keys, &o); err != nil {
		d.refuse(wire.Order{}, forged(err, ""))
		return
	}
	d.s.counter.change(func(c *Counts) { c.Envelopes++ })
	if slices.Contains(d.done, o.ID) || slices.ContainsFunc(d.orders, func(k *order) bool { return k.ID == o.ID }) {
		return
	}
	if err := d.judge(o); err != nil {
		if errors.Is(err, register.ErrUnproven) && !d.proofs {
			d.proofs = true // the order in between may only be late: it will be offered again
			return
		}
		d.refuse(o, err)
		return
	}
	d.proofs = false
	d.orders = append(d.orders, &order{Order: o, step: wire.StepAccepted})
	d.emit(wire.Event{Kind: wire.EventStep, Order: o.ID, Serial: o.Serial, Step: wire.StepAccepted})
	d.s.counter.change(func(c *Counts) { c.Orders.Accepted++; c.Orders.Open++ })
	if d.traits.Gone {
		d.vanish()
	}
}

// judge gives the reason not to take an order.
func (d *device) judge(o wire.Order) error {
	if o.Tenant != d.who.tenant || o.Device != d.who.device {
		return forged(nil, "it is for another device")
	}
	for _, k := range d.orders {
		if k.Campaign == o.Campaign && (o.Campaign != "" || k.Kind == o.Kind) && k.Serial >= o.Serial {
			return fault.New(fault.OrderStale, "serial", strconv.FormatInt(o.Serial, 10), "have", strconv.FormatInt(k.Serial, 10))
		}
	}
	if expires := time.UnixMicro(o.ExpiresUS); d.clock == 0 && !d.now().Before(expires) {
		return fault.New(fault.OrderExpired, "at", expires.UTC().Format(time.RFC3339))
	}
	return d.witness(o)
}

// witness makes the device remember the register that an order comes with: the
// next one must extend it.
func (d *device) witness(o wire.Order) error {
	if o.Checkpoint == "" {
		if d.seen == nil {
			return nil
		}
		return d.forked(0, nil)
	}
	next, err := register.OpenCheckpoint(o.Checkpoint, d.s.trust.registerKey)
	if err != nil {
		return d.forked(0, err)
	}
	var seen []register.Checkpoint
	if d.seen != nil {
		seen = append(seen, *d.seen)
	}
	step, err := register.Follow(seen, register.Offer{Next: next, From: o.ProofFrom, Proof: hashes(o.CheckpointProof)})
	if err != nil {
		return d.forked(next.Size, err)
	}
	if step == register.StepProven || step == register.StepUnproven {
		d.emit(wire.Event{Kind: wire.EventRestored, Cause: causeOf(register.Testimony(*d.seen, next, step))})
	}
	d.seen = &next
	return nil
}

// hashes of a proof. One of another length becomes one that proves nothing.
func hashes(proof [][]byte) []register.Hash {
	list := make([]register.Hash, len(proof))
	for i, h := range proof {
		if len(h) == len(list[i]) {
			list[i] = register.Hash(h)
		}
	}
	return list
}

func (d *device) forked(size int64, cause error) error {
	have := int64(0)
	if d.seen != nil {
		have = d.seen.Size
	}
	return fault.New(fault.RegisterForked, "size", strconv.FormatInt(size, 10), "have", strconv.FormatInt(have, 10)).Wrap(cause)
}

func forged(err error, problem string) error {
	if err != nil {
		problem = err.Error()
	}
	return fault.New(fault.OrderForged, "problem", problem)
}

func (d *device) refuse(o wire.Order, err error) {
	var why *fault.Error
	if !errors.As(err, &why) {
		why = fault.New(fault.Internal).Wrap(err)
	}
	d.s.Say(fmt.Sprintf("%s refuses order %s: %v", d.traits.Host.Name, o.ID, err))
	d.emit(wire.Event{Kind: wire.EventRefused, Order: o.ID, Serial: o.Serial, Cause: causeOf(why.Reason)})
	d.s.counter.change(func(c *Counts) { c.Refused[string(why.Code)]++ })
}

func causeOf(r fault.Reason) *wire.Cause { return &wire.Cause{Code: string(r.Code), Args: r.Args} }

// begun tells that the order has touched the device.
func (o *order) begun() bool { return o.step == wire.StepInstall }

// cancel drops an order that has not begun, with a result that says so.
func (d *device) cancel(id string) {
	for _, o := range d.orders {
		if o.ID == id && !o.begun() {
			d.s.counter.change(func(c *Counts) { c.Orders.Cancelled++ })
			d.abandon(o, fault.Because(fault.OrderCancelled))
		}
	}
	d.tidy()
}

// abandon ends an order whose items were not tried.
func (d *device) abandon(o *order, why fault.Reason) {
	outcomes := make([]wire.Outcome, 0, len(o.Items))
	for _, item := range o.Items {
		outcomes = append(outcomes, wire.Outcome{Item: item.ID, State: wire.ItemSkipped, Cause: causeOf(why), Packages: item.Packages})
	}
	d.finish(o, outcomes)
}

// tidy forgets what is over.
func (d *device) tidy() {
	d.orders = slices.DeleteFunc(d.orders, func(o *order) bool { return o.over })
}

// advance moves an order as far as it goes now, and tells whether it still
// stands in the way of the next one.
func (d *device) advance(o *order, now time.Time) (busy bool) {
	for !o.over && !now.Before(o.due) {
		switch o.step {
		case wire.StepAccepted:
			if !d.mayPrepare(o, now) {
				return true
			}
			if o.Kind == wire.OrderCleanUp {
				d.enter(o, wire.StepWait)
				continue
			}
			d.enter(o, wire.StepPreflight)
			d.enter(o, wire.StepPreserve)
			d.enter(o, wire.StepDownload)
			o.due = now.Add(d.takes(downloadShare))
		case wire.StepDownload:
			if d.traits.Fate == DownloadFails {
				d.failDownload(o)
				return false
			}
			d.enter(o, wire.StepWait)
		case wire.StepWait:
			if !d.mayInstall(o, now) {
				return true
			}
			d.enter(o, wire.StepInstall)
			o.due = now.Add(d.takes(installShare))
		default:
			if o.Kind == wire.OrderCleanUp {
				d.cleanUp(o)
				continue
			}
			d.install(o)
		}
	}
	return !o.over
}

func (d *device) takes(share float64) time.Duration {
	return time.Duration(share * d.traits.Speed * float64(d.s.Pace))
}

func (d *device) enter(o *order, step wire.Step) {
	o.step, o.waiting = step, ""
	d.emit(wire.Event{Kind: wire.EventStep, Order: o.ID, Serial: o.Serial, Step: step})
}

// mayPrepare asks what stops an order before it installs anything.
func (d *device) mayPrepare(o *order, now time.Time) bool {
	if d.clock == 0 && !d.now().Before(time.UnixMicro(o.ExpiresUS)) {
		d.abandon(o, fault.Because(fault.OrderExpired, "at", time.UnixMicro(o.ExpiresUS).UTC().Format(time.RFC3339)))
		return false
	}
	if h, held := d.held(o, ""); held {
		d.waits(o, because(h), now.Add(time.Minute))
		return false
	}
	return true
}

// mayInstall asks clock and windows too.
func (d *device) mayInstall(o *order, now time.Time) bool {
	if !d.mayPrepare(o, now) {
		return false
	}
	if d.clock != 0 {
		d.waits(o, fault.Because(fault.ClockJumped, "by", d.clock.Round(time.Second).String()), now.Add(time.Minute))
		return false
	}
	at := d.now()
	next, open := chance(o.Windows, at, time.Duration(o.MarginS)*time.Second)
	switch {
	case open:
		return true
	case next.IsZero():
		d.waits(o, fault.Because(fault.NoWindow), now.Add(time.Minute))
	default:
		d.waits(o, fault.Because(fault.OutsideWindow, "next", next.UTC().Format(time.RFC3339)), now.Add(next.Sub(at)))
	}
	return false
}

// waits says once for each cause why the order does not go on.
func (d *device) waits(o *order, why fault.Reason, until time.Time) {
	o.due = until
	if o.waiting == why.Code {
		return
	}
	o.waiting = why.Code
	d.emit(wire.Event{
		Kind: wire.EventWaiting, Order: o.ID, Serial: o.Serial, Step: o.step, Cause: causeOf(why),
		NextUS: until.Add(d.traits.Skew).UnixMicro(),
	})
	d.s.counter.change(func(c *Counts) { c.Waiting[string(why.Code)]++ })
}

// chance tells whether an install may begin now, or when it may: a window has
// to hold all of the margin.
func chance(windows []wire.Interval, now time.Time, margin time.Duration) (next time.Time, open bool) {
	for _, w := range windows {
		start, end := time.UnixMicro(w.StartUS), time.UnixMicro(w.EndUS)
		if start.Before(now) {
			start = now
		}
		if !start.Before(end) || start.Add(margin).After(end) {
			continue
		}
		if start.Equal(now) {
			return now, true
		}
		if next.IsZero() || start.Before(next) {
			next = start
		}
	}
	return next, false
}

// held finds a hold: on the whole order, or on one of its items.
func (d *device) held(o *order, item string) (wire.Hold, bool) {
	fits := func(wanted, have string) bool { return wanted == "" || wanted == have }
	for _, h := range d.holds.Holds {
		if (h.Item != "") == (item != "") && fits(h.Item, item) && fits(h.Campaign, o.Campaign) && fits(h.Ring, o.Ring) && fits(h.Device, o.Device) {
			return h, true
		}
	}
	return wire.Hold{}, false
}

func because(h wire.Hold) fault.Reason {
	code := fault.CampaignHeld
	switch {
	case h.Item != "":
		code = fault.ItemHeld
	case h.Device != "":
		code = fault.DeviceHeld
	case h.Ring != "":
		code = fault.RingHeld
	}
	return fault.Because(code, "by", h.By, "reason", h.Reason, "hold", h.ID, "ring", h.Ring)
}
