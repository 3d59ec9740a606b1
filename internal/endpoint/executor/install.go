package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

// maxInstalls bounds the transactions one order may begin. What has not worked
// by then is reported; trying again is the server's decision.
const maxInstalls = 6

// quiesce lets the administrator's hooks make the device ready, then begins.
// After an interruption it finds itself here with the gate perhaps closed:
// then settle gives back what the hooks took.
func (e *Executor) quiesce(ctx context.Context, o journal.Order, s scene) (*wait, error) {
	_, w := s.mayInstall(o)
	if w == nil {
		_, w = s.agreed(o, wire.ActInstall)
	}
	if w != nil || !s.ended(o).IsZero() {
		return nil, e.enter(o, wire.StepSettle, nil)
	}
	e.publish() // nobody is asked any more
	err := e.Hooks(ctx, local.PreInstall, o.Order)
	if err == nil {
		return e.begin(ctx, o)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	e.Log.Warn("hook says not now", "order", o.Order.ID, "err", err)
	return nil, e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		e.backOff(tx, k, reasonOf(err))
		e.moved(tx, k, wire.StepSettle)
		return nil
	})
}

// begin decides for the last time, in the very change that writes the install
// step: a hold that was stored before it stops it, whenever it came.
//
// Crash story: before the commit nothing was begun; after it the next start
// finds the install step and takes it for interrupted, whether the package
// manager was ever started or not.
func (e *Executor) begin(ctx context.Context, o journal.Order) (*wait, error) {
	s, err := e.scene()
	if err != nil {
		return nil, err
	}
	if err := e.attend(ctx, &s, o); err != nil {
		return nil, err
	}
	var t transaction
	started := false
	err = e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		holds, err := tx.Holds()
		if err != nil {
			return err
		}
		s.holds, s.now, s.clockOff = holds.Holds, e.Now().Round(0), e.look()
		var closed *wait
		var d people.Decision
		if t, closed = s.mayInstall(*k); closed == nil {
			d, closed = s.agreed(*k, wire.ActInstall)
		}
		if started = closed == nil && s.ended(*k).IsZero() && len(t.items) > 0; !started {
			if closed == nil {
				drop(k, t.skipped)
			}
			e.moved(tx, k, wire.StepSettle)
			return nil
		}
		drop(k, t.skipped)
		e.forced(tx, k, wire.ActInstall, d)
		k.Installs++
		k.Recovering = false
		if k.StartedUS == 0 {
			k.StartedUS = us(s.now)
		}
		e.moved(tx, k, wire.StepInstall)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if !started {
		return nil, nil
	}
	o.Step, o.Installs = wire.StepInstall, o.Installs+1
	return nil, e.install(ctx, o, t)
}

// drop ends the items of these outcomes.
func drop(k *journal.Order, ends []wire.Outcome) {
	k.Outcomes = append(k.Outcomes, ends...)
	k.Items = slices.DeleteFunc(k.Items, func(item wire.Item) bool { return outcomeOf(ends, item.ID) != nil })
}

// install runs one transaction to its end and writes down how it ended.
func (e *Executor) install(ctx context.Context, o journal.Order, t transaction) error {
	p, err := e.provider(t.provider)
	var log provider.Log
	var outcomes []wire.Outcome
	began := e.Now()
	if err == nil {
		act := p.Install
		if o.Order.Kind == wire.OrderRollback {
			act = p.Rollback
		}
		e.Log.Info("transaction begins", "order", o.Order.ID, "provider", t.provider, "items", len(t.items))
		watch := e.watch(o)
		log, outcomes, err = act(ctx, t.items, limits(o.Order, t.room), watch.progress)
		watch.stop()
		e.Log.Info("transaction ended", "order", o.Order.ID, "outcomes", len(outcomes), "err", err)
	}
	took := e.Now().Sub(began)
	return e.insist(func() error {
		return e.update(o, func(tx *journal.Tx, k *journal.Order) error {
			keepLog(k, log)
			k.InstallMS += max(0, took.Milliseconds())
			e.conclude(tx, k, t, outcomes, err)
			e.moved(tx, k, wire.StepSettle)
			return nil
		})
	})
}

// conclude turns what the provider said into outcomes, or into a backoff.
func (e *Executor) conclude(tx *journal.Tx, k *journal.Order, t transaction, outcomes []wire.Outcome, err error) {
	if err != nil && len(outcomes) == 0 {
		if fault.CanRetry(err) && k.Installs < maxInstalls {
			e.backOff(tx, k, reasonOf(err))
			return
		}
		for _, item := range t.items {
			outcomes = append(outcomes, wire.Outcome{Item: item.ID, State: wire.ItemFailed, Cause: causeOf(reasonOf(err))})
		}
	}
	var ends []wire.Outcome
	for _, item := range t.items {
		end := wire.Outcome{Item: item.ID, State: wire.ItemFailed, Cause: causeOf(fault.Because(fault.Internal, "error", "the provider gave no outcome"))}
		if said := outcomeOf(outcomes, item.ID); said != nil {
			end = *said
		}
		ends = append(ends, described(end, item))
	}
	drop(k, ends)
}

// described completes an outcome with what the order and Preserve knew.
func described(o wire.Outcome, item wire.Item) wire.Outcome {
	if len(o.Packages) == 0 {
		o.Packages = item.Packages
		return o
	}
	o.Packages = slices.Clone(o.Packages)
	for i := range o.Packages {
		p := &o.Packages[i]
		for _, known := range item.Packages {
			if known.Name != p.Name || known.Arch != "" && p.Arch != "" && known.Arch != p.Arch {
				continue
			}
			if p.From == "" {
				p.From = known.From
			}
			if p.Rollback == "" {
				p.Rollback, p.Why = known.Rollback, known.Why
			}
		}
	}
	return o
}

func keepLog(k *journal.Order, log provider.Log) {
	if log.SHA256 == "" && log.Tail == "" {
		return
	}
	tail := wire.Clean(log.Tail, len(log.Tail))
	k.LogTail = wire.Clean(tail[max(0, len(tail)-wire.MaxLogTailBytes):], wire.MaxLogTailBytes)
	k.LogSHA256 = log.SHA256
}

// insist repeats a write that says how something ended which cannot be done
// again. What the disk took although it said no is found by errMoved.
//
// Crash story: if it fails for good, the next look finds the install step, and
// takes the outcome from the package database instead.
func (e *Executor) insist(write func() error) error {
	err := write()
	for range insistTries {
		if err == nil || errors.Is(err, errMoved) {
			return nil
		}
		err = write()
	}
	return err
}

const insistTries = 2

// resume goes on from an interrupted install: it makes the package manager
// whole, and takes what is in place for done. What is not goes back to the
// gate, and through it.
func (e *Executor) resume(ctx context.Context, o journal.Order) (*wait, error) {
	if err := e.tellRecovered(o); err != nil {
		return nil, err
	}
	var log provider.Log
	var ends []wire.Outcome
	for _, g := range groups(o.Items) {
		said, out, err := e.recover(ctx, o, g)
		if err != nil {
			return e.again(ctx, o, err)
		}
		if said.SHA256 != "" {
			log = said
		}
		ends = append(ends, out...)
	}
	return nil, e.insist(func() error {
		return e.update(o, func(tx *journal.Tx, k *journal.Order) error {
			keepLog(k, log)
			k.Untimed = true
			drop(k, ends)
			e.moved(tx, k, wire.StepSettle)
			return nil
		})
	})
}

func (e *Executor) tellRecovered(o journal.Order) error {
	if o.Recovering {
		return nil
	}
	e.Log.Warn("order was interrupted in its install step", "order", o.Order.ID)
	return e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		k.Recovering = true
		event := e.event(*k, wire.EventRecovered)
		event.Cause = causeOf(fault.Because(fault.Interrupted, "step", string(k.Step)))
		tx.Emit(event)
		return nil
	})
}

// recover gives the outcomes of the items that have come to their end. A
// package manager that cannot be made whole now is left to the next Install,
// which repairs first, as long as there may be one.
func (e *Executor) recover(ctx context.Context, o journal.Order, g transaction) (provider.Log, []wire.Outcome, error) {
	p, err := e.provider(g.provider)
	if err != nil {
		return provider.Log{}, failed(g.items, reasonOf(err)), nil
	}
	log, broken := p.Recover(ctx, limits(o.Order, time.Duration(o.Order.LockWaitS)*time.Second))
	if broken != nil && (fault.CanRetry(broken) || ctx.Err() != nil) {
		return log, nil, broken
	}
	now, err := p.Verify(ctx, o.Order.Kind, g.items)
	if err != nil {
		return log, nil, err
	}
	var ends []wire.Outcome
	for _, item := range g.items {
		at := outcomeOf(now, item.ID)
		switch {
		case at != nil && (inPlace(o.Order.Kind, at.State) || at.State == wire.ItemNotApplicable):
			ends = append(ends, described(*at, item))
		case o.Installs >= maxInstalls && broken != nil:
			ends = append(ends, failed([]wire.Item{item}, reasonOf(broken))...)
		case o.Installs >= maxInstalls:
			ends = append(ends, failed([]wire.Item{item}, fault.Because(fault.Interrupted, "step", string(wire.StepInstall)))...)
		}
	}
	return log, ends, nil
}

func failed(items []wire.Item, why fault.Reason) []wire.Outcome {
	list := make([]wire.Outcome, 0, len(items))
	for _, item := range items {
		list = append(list, wire.Outcome{Item: item.ID, State: wire.ItemFailed, Cause: causeOf(why), Packages: item.Packages})
	}
	return list
}

// settle gives back what quiesce took, whether the agent is stopping or not.
// A hook that fails here is told and stops nothing: the packages are in place.
func (e *Executor) settle(ctx context.Context, o journal.Order) (*wait, error) {
	hookErr := e.Hooks(context.WithoutCancel(ctx), local.PostInstall, o.Order)
	next := wire.StepWait
	if len(o.Items) == 0 {
		next = afterItems(o)
	}
	return nil, e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		if hookErr != nil {
			event := e.event(*k, wire.EventStep)
			event.Cause = causeOf(reasonOf(hookErr))
			tx.Emit(event)
		}
		e.moved(tx, k, next)
		return nil
	})
}
