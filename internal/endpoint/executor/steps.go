package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// Tick reads where every order stands, goes on with each as far as it can, and
// says after which time to look again. Losing a wake-up costs latency only.
func (e *Executor) Tick(ctx context.Context) (time.Duration, error) {
	e.Busy.Lock()
	defer e.Busy.Unlock()
	defer e.doing.Store(nil)
	e.telling = nil
	if err := e.observeClock(); err != nil {
		return 0, err
	}
	kept, err := e.tidy()
	if err != nil {
		return idleNap, err
	}
	if len(kept) == 0 {
		e.publish()
		return idleNap, nil
	}
	boot, err := e.BootID()
	if err != nil {
		return 0, fmt.Errorf("read boot id: %w", err)
	}
	if until, going := goingDown(kept, boot, e.Now()); going {
		return e.pause(until), nil
	}
	slices.SortStableFunc(kept, func(a, b journal.Order) int { return urgency(a) - urgency(b) })
	pause := idleNap
	for _, o := range kept {
		now, w, err := e.advance(ctx, o.Order.Serial)
		if err != nil {
			return 0, err
		}
		if w != nil {
			pause = min(pause, e.pause(w.next))
		}
		if alone(now) {
			break
		}
	}
	e.publish()
	return pause, nil
}

// urgency: what is in the middle of a transaction first, then what undoes
// damage, then by serial.
func urgency(o journal.Order) int {
	switch {
	case alone(o):
		return 0
	case o.Order.Kind == wire.OrderRollback:
		return 1
	case o.Order.Kind == wire.OrderCleanUp:
		return 3
	default:
		return 2
	}
}

// alone tells that no other order may be touched while this one stands where
// it does: it is around its package transaction, or the device is going down.
func alone(o journal.Order) bool {
	return !o.Done() && (rank(o.Step) >= rank(wire.StepQuiesce) && rank(o.Step) <= rank(wire.StepSettle) || o.AskedBoot != "")
}

// advance walks one order until it waits or is done. It stops between steps
// when ctx ends, but for settle, which gives back what quiesce took.
func (e *Executor) advance(ctx context.Context, serial int64) (journal.Order, *wait, error) {
	for {
		o, err := e.Journal.Order(serial)
		if err != nil || o.Done() {
			return o, nil, err
		}
		if ctx.Err() != nil && o.Step != wire.StepSettle {
			return o, nil, ctx.Err()
		}
		w, err := e.step(ctx, o)
		if err != nil {
			return o, nil, fmt.Errorf("%s of order %s: %w", o.Step, o.Order.ID, err)
		}
		if w == nil {
			continue
		}
		if err := e.tell(serial, *w); err != nil {
			return o, nil, err
		}
		o, err = e.Journal.Order(serial)
		return o, w, err
	}
}

// step does the step in which the order stands. It moves the order and returns
// nil, or says why it waits.
func (e *Executor) step(ctx context.Context, o journal.Order) (*wait, error) {
	s, err := e.scene()
	if err != nil {
		return nil, err
	}
	if rank(o.Step) <= rank(wire.StepWait) {
		if why := s.ended(o); !why.IsZero() {
			return nil, e.abandon(o, why)
		}
	}
	if w := backingOff(o, s.now); w != nil && o.Step != wire.StepSettle { // which gives back at once
		return w, nil
	}
	if _, asks := askedAbout(o); asks {
		if err := e.attend(ctx, &s, o); err != nil {
			return nil, err
		}
	}
	doing := string(o.Step) + " of order " + o.Order.ID
	e.doing.Store(&doing)
	if o.Order.Kind == wire.OrderCleanUp {
		return e.stepOfCleanUp(ctx, o, s)
	}
	switch o.Step {
	case wire.StepAccepted:
		return nil, e.enter(o, wire.StepPreflight, nil)
	case wire.StepPreflight:
		if o.Order.Kind == wire.OrderReboot { // whether it is needed is asked at each look from here on
			return nil, e.enter(o, wire.StepWait, nil)
		}
		return e.preflight(ctx, o, s)
	case wire.StepPreserve:
		return e.preserve(ctx, o, s)
	case wire.StepDownload:
		return e.download(ctx, o, s)
	case wire.StepWait:
		if o.Order.Kind == wire.OrderReboot {
			return e.reboot(ctx, o, s)
		}
		return e.wait(ctx, o, s)
	case wire.StepQuiesce:
		return e.quiesce(ctx, o, s)
	case wire.StepInstall:
		return e.resume(ctx, o)
	case wire.StepSettle:
		return e.settle(ctx, o)
	case wire.StepReboot:
		return e.reboot(ctx, o, s)
	case wire.StepVerify:
		if o.Order.Kind == wire.OrderReboot {
			return e.verifyReboot(ctx, o)
		}
		return e.verify(ctx, o)
	case wire.StepProbe:
		return nil, e.probe(ctx, o)
	case wire.StepReport:
		return nil, e.report(o)
	default:
		return nil, fmt.Errorf("order stands at a step unknown here: %q", o.Step)
	}
}

// scene reads what decisions are made from.
func (e *Executor) scene() (scene, error) {
	holds, err := e.Journal.Holds()
	if err != nil {
		return scene{}, fmt.Errorf("read holds: %w", err)
	}
	s := scene{now: e.Now().Round(0), clockOff: e.look(), holds: holds.Holds}
	s.local, s.localErr = e.Local()
	if err := e.Disk(); err != nil {
		s.disk = reasonOf(err)
	}
	return s, nil
}

// backingOff is the wait of an order that failed a moment ago. An instant
// further away than any backoff comes from a clock that was wrong.
func backingOff(o journal.Order, now time.Time) *wait {
	until := time.UnixMicro(o.NotBeforeUS)
	if !now.Before(until) || until.Sub(now) > 2*lastBackoff {
		return nil
	}
	w := &wait{next: until}
	if o.Waiting != nil {
		w.cause = fault.Reason{Code: fault.Code(o.Waiting.Code), Args: o.Waiting.Args}
	}
	return w
}

// tell spools why an order waits, when that is news. What an argument counts
// down is none.
func (e *Executor) tell(serial int64, w wait) error {
	err := e.Journal.Update(serial, func(tx *journal.Tx, o *journal.Order) error {
		if o.Waiting != nil && o.Waiting.Code == string(w.cause.Code) && o.NextUS == us(w.next) {
			return errNoNews
		}
		e.nowWaits(tx, o, w)
		return nil
	})
	if errors.Is(err, errNoNews) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tell why order waits: %w", err)
	}
	e.Log.Info("order waits", "serial", serial, "reason", string(w.cause.Code), "next", w.next)
	e.Changed()
	return nil
}

var errNoNews = errors.New("nothing new to tell")

func (e *Executor) nowWaits(tx *journal.Tx, o *journal.Order, w wait) {
	o.Waiting, o.NextUS = causeOf(w.cause), us(w.next)
	event := e.event(*o, wire.EventWaiting)
	event.Cause, event.NextUS = o.Waiting, o.NextUS
	tx.Emit(event)
}

func (e *Executor) event(o journal.Order, kind wire.EventKind) wire.Event {
	return wire.Event{AtUS: us(e.Now()), Kind: kind, Order: o.Order.ID, Serial: o.Order.Serial, Step: o.Step}
}

// errMoved tells that the order is not where the change started from: the
// write that seemed to fail was stored.
var errMoved = errors.New("order has moved on")

// update stores a change of the order as it was read.
func (e *Executor) update(o journal.Order, change func(*journal.Tx, *journal.Order) error) error {
	err := e.Journal.Update(o.Order.Serial, func(tx *journal.Tx, k *journal.Order) error {
		if k.Step != o.Step || k.Installs != o.Installs {
			return errMoved
		}
		return change(tx, k)
	})
	if err != nil {
		return err
	}
	e.Changed()
	return nil
}

// enter writes a step before it is entered.
func (e *Executor) enter(o journal.Order, step wire.Step, also func(*journal.Order)) error {
	err := e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		if also != nil {
			also(k)
		}
		e.moved(tx, k, step)
		return nil
	})
	if err != nil {
		return fmt.Errorf("enter %s: %w", step, err)
	}
	e.Log.Info("order moves", "order", o.Order.ID, "step", string(step))
	return nil
}

// moved is the change itself. A backoff lasts from the failure to the next
// attempt, through the steps between; the others start afresh.
//
// Entering reboot says nothing yet: whether there will be one is decided
// there, and told when it is asked for.
func (e *Executor) moved(tx *journal.Tx, k *journal.Order, step wire.Step) {
	retrying := step == wire.StepQuiesce || step == wire.StepInstall || step == wire.StepSettle ||
		k.Step == wire.StepSettle && step == wire.StepWait
	k.Step = step
	if !retrying {
		k.Attempts, k.NotBeforeUS, k.Waiting, k.NextUS = 0, 0, nil, 0
	}
	if step != wire.StepReboot && step != wire.StepReport && step != wire.StepDone {
		tx.Emit(e.event(*k, wire.EventStep))
	}
}

// again backs off after a failure that may pass, and ends the items after one
// that cannot.
func (e *Executor) again(ctx context.Context, o journal.Order, cause error) (*wait, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if !fault.CanRetry(cause) {
		return nil, e.fail(o, reasonOf(cause))
	}
	return e.later(ctx, o, cause)
}

// later backs off whatever the failure says of itself: used where a failure
// only means that the device could not be looked at.
func (e *Executor) later(ctx context.Context, o journal.Order, cause error) (*wait, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var w *wait
	err := e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		w = e.backOff(tx, k, reasonOf(cause))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("back off: %w", err)
	}
	e.Log.Warn("step failed, to be tried again", "order", o.Order.ID, "step", string(o.Step), "err", cause, "next", w.next)
	return w, nil
}

func (e *Executor) backOff(tx *journal.Tx, k *journal.Order, reason fault.Reason) *wait {
	w := wait{cause: reason, next: e.Now().Add(backoff(e.Device, k.Attempts)).Truncate(time.Microsecond)}
	k.Attempts++
	k.NotBeforeUS = us(w.next)
	e.nowWaits(tx, k, w)
	return &w
}

// fail ends every item that is left.
func (e *Executor) fail(o journal.Order, reason fault.Reason) error {
	return e.enter(o, afterItems(o), func(k *journal.Order) { endItems(k, wire.ItemFailed, reason) })
}

// abandon ends every item that is left without having been tried.
func (e *Executor) abandon(o journal.Order, why fault.Reason) error {
	e.Log.Info("order ends before its items were done", "order", o.Order.ID, "reason", string(why.Code))
	return e.enter(o, afterItems(o), func(k *journal.Order) {
		endItems(k, wire.ItemSkipped, why)
		if k.Order.Kind == wire.OrderReboot {
			k.BootCause = causeOf(why)
		}
	})
}

// afterItems is where an order goes that has no item left to do: what was
// installed before is still followed to its end.
func afterItems(o journal.Order) wire.Step {
	if o.Installs > 0 {
		return wire.StepReboot
	}
	return wire.StepReport
}

func endItems(k *journal.Order, state wire.ItemState, reason fault.Reason) {
	for _, item := range k.Items {
		k.Outcomes = append(k.Outcomes, wire.Outcome{Item: item.ID, State: state, Cause: causeOf(reason), Packages: item.Packages})
	}
	k.Items = nil
	endCleanUps(k, state, reason)
}

// goingDown tells that the device was asked to reboot and has not had the time
// to: nothing else is begun.
func goingDown(kept []journal.Order, boot string, now time.Time) (until time.Time, going bool) {
	for _, o := range kept {
		asked := time.UnixMicro(o.AskedUS)
		if !o.Done() && o.AskedBoot == boot && !now.Before(asked) && now.Sub(asked) < rebootGrace {
			return asked.Add(rebootGrace), true
		}
	}
	return time.Time{}, false
}
