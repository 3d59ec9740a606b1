package campaign

import (
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// order makes the order of what is eligible, if the device may have one now.
func (w *weighing) order(out *DeviceDecision) {
	windows := Ahead(w.device.Windows, w.now)
	switch {
	case w.device.Rebooting:
		w.wait(fault.Because(fault.RebootOrdered))
	case w.otherFirst():
		w.wait(fault.Because(fault.OtherOrder, "campaign", w.device.OtherCampaign))
	case len(windows) == 0:
		w.wait(w.closed())
		w.lookAt(w.now.Add(noWindowLook))
	case w.crowded(windows[0]):
	default:
		kind, need := wire.OrderInstall, calendar.Needs{}
		if w.undo {
			kind = wire.OrderRollback
		} else if need = w.fit(windows); len(w.eligible) == 0 {
			w.lookAt(w.now.Add(noWindowLook))
			return
		}
		w.write(out, OrderSpec{Kind: kind, Items: w.eligible, Windows: windows, Need: need})
	}
}

// write completes an order for windows. A device under a limit gets one for a
// single window.
func (w *weighing) write(out *DeviceDecision, o OrderSpec) {
	if len(w.device.Crowds) > 0 {
		o.Windows = o.Windows[:1]
	}
	o.Expires, o.Preempts = o.Windows[len(o.Windows)-1].End, w.device.OtherCampaign != ""
	out.Order = &o
	w.wait(fault.Because(fault.OrderInFlight, "step", "", "since", rfc(w.now)))
	w.lookAt(o.Expires)
}

// otherFirst: the device has an order of another campaign, which comes first. An
// emergency and a rollback wait only for one that has begun.
func (w *weighing) otherFirst() bool {
	return w.device.OtherCampaign != "" && (!w.scene.Rules.Urgent && !w.undo || !w.device.OtherYields)
}

// closed is why no window is ahead.
func (w *weighing) closed() fault.Reason {
	return orElse(w.device.Frozen, fault.Because(fault.NoWindow))
}

// noWindowLook: a device without a window is looked at again daily, in case
// its tags or the procedure's horizon bring one.
const noWindowLook = 24 * time.Hour

// Ahead leaves out the windows that are over: an order of those alone would
// expire as it is written, and another be written for ever.
func Ahead(windows []calendar.Interval, now time.Time) []calendar.Interval {
	for len(windows) > 0 && !windows[0].End.After(now) {
		windows = windows[1:]
	}
	return windows
}

// inFlight: the device has an order of this campaign that may still act. One
// that has begun is left to its end even past its expiry: its result is on its
// way, or the device is lost, which only silence can tell.
func (w *weighing) inFlight() bool { return w.device.Order != nil && w.now.Before(w.overdue()) }

// overdue is when the open order ends without a word from the device.
func (w *weighing) overdue() time.Time {
	o := w.device.Order
	if Begun(o.Step) {
		return o.Expires.Add(w.scene.Terms.UnreachableAfter)
	}
	return o.Expires
}

// revoked tells that the open order must not begin: it is of another goal than
// the device's, a rollback is held, its ring has stopped, its windows are no longer the device's,
// or an item of it may not be installed any more. An install that has begun is
// left to its end. Holds revoke nothing: agents know them.
func (w *weighing) revoked() bool {
	o := w.device.Order
	if Begun(o.Step) {
		return false
	}
	if w.undo && (o.Kind != wire.OrderRollback || !w.stop.reason.IsZero()) || w.scene.State == Closed || w.broken() || w.strayed() || w.narrowed() {
		return true
	}
	for _, id := range o.Items {
		if w.out(id) {
			return true
		}
	}
	return false
}

// broken: the ring has stopped, and this device is not one of those that
// stopped it. Those go on: one bad patch does not keep the rest from a device
// that has met it already, and a failure is made good by trying again.
func (w *weighing) broken() bool {
	return !w.undo && !w.ring.Stopped.IsZero() && w.failed.IsZero()
}

// out tells that an item is no part of what this device is to get. One under an
// exception is counted, as exempt, and yet no order may bring it.
func (w *weighing) out(id patch.ID) bool {
	for i := range w.items {
		if w.items[i].Item == id {
			return !w.items[i].Counted || w.items[i].Reason.Code == fault.ExceptionInForce
		}
	}
	_, in := w.contentAt(id)
	return !in
}

// rounding is what an interval may lose on its way: orders count in whole
// microseconds, and an order that is taken back for a lost nanosecond is
// written again, and taken back again, for ever.
const rounding = time.Second

func (w *weighing) strayed() bool { return Strayed(w.device.Order.Windows, w.device.Windows, w.now) }

// Strayed tells that an order may act when its device may not any more: the
// device's windows have changed since.
func Strayed(order, device []calendar.Interval, now time.Time) bool {
	for _, ordered := range order {
		if ordered.Start.Before(now) {
			ordered.Start = now
		}
		inside := func(i calendar.Interval) bool {
			return !ordered.Start.Before(i.Start.Add(-rounding)) && !ordered.End.After(i.End.Add(rounding))
		}
		if !ordered.Empty() && !slices.ContainsFunc(device, inside) {
			return true
		}
	}
	return false
}

// narrowed tells that the device may act at a time, before its order ends, at
// which the order does not let it: a freeze was ended, or a window added. It
// gets another order rather than to wait for what is no longer in the way. All
// of the order's time counts, not the next window alone: otherwise the passing
// of a window would change the answer, and nobody would look.
func (w *weighing) narrowed() bool {
	ordered := w.device.Order.Windows
	if len(ordered) == 0 {
		return false
	}
	rest := []calendar.Interval{{Start: w.now, End: ordered[len(ordered)-1].End}}
	return slices.ContainsFunc(calendar.Subtract(calendar.Intersect(w.device.Windows, rest), ordered), func(i calendar.Interval) bool {
		return i.Length() > rounding
	})
}

// Begun tells that an order at this step is past recall: as the agent sees it,
// from here on it honours no cancel.
func Begun(step wire.Step) bool {
	switch step {
	case wire.StepQuiesce, wire.StepInstall, wire.StepSettle, wire.StepReboot, wire.StepVerify, wire.StepProbe, wire.StepReport, wire.StepDone:
		return true
	}
	return false
}

// reason is what the agent itself says it waits for, else how far it is.
func (o *OpenOrder) reason() fault.Reason {
	if !o.Cause.IsZero() {
		return o.Cause
	}
	return fault.Because(fault.OrderInFlight, "step", string(o.Step), "since", rfc(o.Issued))
}

func (w *weighing) busyWith(id patch.ID) bool {
	return w.busy && slices.Contains(w.device.Order.Items, id)
}

// inOrder: the order says where the item is, and the device waits for it.
func (w *weighing) inOrder(d *ItemDecision) {
	d.State, d.Reason, d.Next = StateOf(w.device.Order.Step), w.ordered, w.device.Order.Next
	w.wait(d.Reason)
}

// StateOf is how an item shows while an order on it is at a step.
func StateOf(step wire.Step) patch.State {
	switch step {
	case wire.StepPreserve, wire.StepDownload:
		return patch.Downloading
	case wire.StepWait:
		return patch.Ready
	case wire.StepQuiesce, wire.StepInstall, wire.StepSettle:
		return patch.Installing
	case wire.StepReboot:
		return patch.Rebooting
	case wire.StepVerify, wire.StepProbe, wire.StepReport, wire.StepDone:
		return patch.Verifying
	default:
		return patch.Scheduled
	}
}
