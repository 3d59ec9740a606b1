package cleanup

import (
	"slices"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/wire"
)

// State is where an item stands on a device.
type State string

// States of an item on a device.
const (
	AwaitingDryRun   State = "awaiting_dry_run"  // its figures are not known yet
	AwaitingApproval State = "awaiting_approval" // a person looks at the figures and lets it go
	Approved         State = "approved"          // it goes in the next window
	Ordered          State = "ordered"           // the device has the order
	Resting          State = "resting"           // done; again when its time comes
	Withdrawn        State = "withdrawn"         // the policy has it no more
)

// States lists them.
func States() []State {
	return []State{AwaitingDryRun, AwaitingApproval, Approved, Ordered, Resting, Withdrawn}
}

// Wanted is an item that the policy wants of the device, with what is known of
// it there.
type Wanted struct {
	ID       ID
	Item     Item
	Approved bool      // a person let this very item go here
	Counted  time.Time // end of the dry run of this very item here; zero: none was reported
	Cleaned  time.Time // end of the last real run of this item, whatever it looked like then
	Tried    time.Time // when an order of it last ended without either
}

// Open is a clean-up order that the device has.
type Open struct {
	Items   []wire.CleanUp
	Windows []calendar.Interval
	Expires time.Time
}

// Device is everything that is decided on.
type Device struct {
	Wanted  []Wanted
	Every   time.Duration       // between two real runs of an item
	Auto    bool                // the policy lets items go by themselves after their dry run
	Windows []calendar.Interval // ahead, without the freezes
	Frozen  fault.Reason        // what freezes it now
	Held    fault.Reason        // a hold on the device
	Others  []calendar.Interval // in which other orders may act on it: patches come first
	Able    bool                // its agent understands clean-up orders
	Order   *Open
}

// Decision on a device.
type Decision struct {
	Items   []ItemDecision // in the order of Wanted
	Order   *Order         // to be given
	Cancel  bool           // the open order no longer stands
	Expired bool           // its time has run out
	Look    time.Time      // when to look again; zero: when something happens
}

// ItemDecision is where an item stands.
type ItemDecision struct {
	ID     ID
	State  State
	Reason fault.Reason // why it does not go on now
	Next   time.Time    // when it does; zero is not known
}

// Order to be given.
type Order struct {
	Items   []wire.CleanUp
	Window  calendar.Interval
	Expires time.Time
}

const (
	// retryAfter an order that was not carried out: refused, expired, skipped.
	retryAfter = day
	// objection is how long the figures of a dry run are there to be looked at
	// before the policy's own word lets the item go.
	objection = day
	// staleAfter a dry run its figures say nothing any more of what would go.
	staleAfter = 30 * day
	// noWindowLook and busyLook: nothing tells when a window is given, or that
	// another order has ended.
	noWindowLook = day
	busyLook     = 10 * time.Minute
)

// Decide what a device is cleaned up of, and when.
func Decide(now time.Time, d Device) Decision {
	var out Decision
	var due []wire.CleanUp
	for _, w := range d.Wanted {
		i, item := d.weigh(now, w)
		if item != nil {
			due = append(due, *item)
		} else {
			out.look(i.Next)
		}
		if i.State == AwaitingApproval {
			out.look(w.Counted.Add(staleAfter))
		}
		out.Items = append(out.Items, i)
	}
	d.decideOrder(now, &out, due)
	return out
}

// weigh says where an item stands, and what an order of it would be.
func (d Device) weigh(now time.Time, w Wanted) (ItemDecision, *wire.CleanUp) {
	i := ItemDecision{ID: w.ID}
	fresh := !w.Counted.IsZero() && now.Before(w.Counted.Add(staleAfter))
	let := w.Approved || d.Auto && !w.Item.AlwaysAsks()
	switch again := w.Cleaned.Add(d.Every); {
	case !w.Tried.IsZero() && now.Before(w.Tried.Add(retryAfter)) && w.Tried.After(w.Cleaned) && w.Tried.After(w.Counted):
		i.State, i.Next = w.waiting(fresh, let), w.Tried.Add(retryAfter)
		i.Reason = fault.Because(fault.CleanUpRetry, "next", i.Next.UTC().Format(time.RFC3339))
		return i, nil
	case !w.Cleaned.IsZero() && now.Before(again) && !w.Counted.IsZero() && let:
		i.State, i.Next = Resting, again
		i.Reason = fault.Because(fault.CleanUpResting, "next", again.UTC().Format(time.RFC3339))
		return i, nil
	case fresh && !let:
		i.State = AwaitingApproval
		i.Reason = fault.Because(fault.CleanUpAsks)
		return i, nil
	case w.Counted.IsZero() || !fresh && !let:
		i.State = AwaitingDryRun
		item := w.Item.OnWire(w.ID, true)
		return i, &item
	case !w.Approved && w.Cleaned.Before(w.Counted) && now.Before(w.Counted.Add(objection)):
		i.State, i.Next = Approved, w.Counted.Add(objection)
		i.Reason = fault.Because(fault.CleanUpResting, "next", i.Next.UTC().Format(time.RFC3339))
		return i, nil
	default:
		i.State = Approved
		item := w.Item.OnWire(w.ID, false)
		return i, &item
	}
}

func (w Wanted) waiting(fresh, let bool) State {
	switch {
	case w.Counted.IsZero() || !fresh && !let:
		return AwaitingDryRun
	case !let:
		return AwaitingApproval
	default:
		return Approved
	}
}

// decideOrder ends the open order when it does not stand any more, and gives
// the one that is due.
func (d Device) decideOrder(now time.Time, out *Decision, due []wire.CleanUp) {
	if d.Order != nil {
		switch {
		case !now.Before(d.Order.Expires):
			out.Expired = true
		case !slices.EqualFunc(d.Order.Items, due, same) || d.strayed(now):
			out.Cancel = true
		default:
			out.mark(due, func(i *ItemDecision) { i.State, i.Reason, i.Next = Ordered, fault.Reason{}, d.Order.Windows[0].Start })
			out.look(d.Order.Expires)
		}
		if out.Expired || out.Cancel {
			out.look(now) // what follows is decided from the rows as they are then
		}
		return
	}
	if len(due) == 0 {
		return
	}
	wait := func(r fault.Reason, next, look time.Time) {
		out.mark(due, func(i *ItemDecision) { i.Reason, i.Next = r, next })
		out.look(look)
	}
	window, open := ahead(calendar.Subtract(d.Windows, calendar.Union(d.Others...)), now)
	_, taken := ahead(d.Windows, now)
	switch {
	case !d.Able:
		wait(fault.Because(fault.CleanUpUnable), time.Time{}, now.Add(noWindowLook))
	case !d.Held.IsZero():
		wait(d.Held, time.Time{}, now.Add(busyLook))
	case !open && taken:
		wait(fault.Because(fault.CleanUpBehind), time.Time{}, now.Add(busyLook))
	case !open && !d.Frozen.IsZero():
		wait(d.Frozen, time.Time{}, now.Add(noWindowLook))
	case !open:
		wait(fault.Because(fault.NoWindow), time.Time{}, now.Add(noWindowLook))
	default:
		out.Order = &Order{Items: due, Window: window, Expires: window.End}
		out.mark(due, func(i *ItemDecision) { i.State, i.Next = Ordered, window.Start })
		out.look(window.End)
	}
}

// ahead is the first window that has not ended.
func ahead(windows []calendar.Interval, now time.Time) (calendar.Interval, bool) {
	for _, w := range windows {
		if w.End.After(now) {
			return w, true
		}
	}
	return calendar.Interval{}, false
}

// strayed tells that the order may act when the device may not any more.
func (d Device) strayed(now time.Time) bool {
	for _, ordered := range d.Order.Windows {
		if ordered.Start.Before(now) {
			ordered.Start = now
		}
		inside := func(i calendar.Interval) bool {
			return !ordered.Start.Before(i.Start.Add(-time.Second)) && !ordered.End.After(i.End.Add(time.Second))
		}
		crossed := func(i calendar.Interval) bool { return i.Start.Before(ordered.End) && ordered.Start.Before(i.End) }
		if !ordered.Empty() && (!slices.ContainsFunc(d.Windows, inside) || slices.ContainsFunc(d.Others, crossed)) {
			return true
		}
	}
	return len(d.Order.Windows) == 0
}

func same(a, b wire.CleanUp) bool {
	return a.ID == b.ID && a.DryRun == b.DryRun && FromWire(a).Fingerprint() == FromWire(b).Fingerprint()
}

func (out *Decision) mark(due []wire.CleanUp, change func(*ItemDecision)) {
	for k := range out.Items {
		if slices.ContainsFunc(due, func(c wire.CleanUp) bool { return c.ID == string(out.Items[k].ID) }) {
			change(&out.Items[k])
		}
	}
}

// look keeps the sooner instant.
func (out *Decision) look(at time.Time) {
	if !at.IsZero() && (out.Look.IsZero() || at.Before(out.Look)) {
		out.Look = at
	}
}
