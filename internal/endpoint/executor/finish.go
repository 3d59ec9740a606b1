package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

const (
	// rebootGrace is how long a device may take to go down after it was asked to.
	rebootGrace = 10 * time.Minute
	// A done order is remembered after it expired, so that a late copy of it is
	// known; one that changed the device for longer, because what was kept for
	// its rollback stays as long as it does, and because somebody's reboot may
	// still verify what it claimed.
	tombstone        = 24 * time.Hour
	changedTombstone = 60 * 24 * time.Hour
	// verifyTries is how often a re-scan is tried before its failure is the answer.
	verifyTries = 5
)

// success tells that an item changed the device as it was meant to.
func success(s wire.ItemState) bool {
	return s == wire.ItemVerified || s == wire.ItemClaimed || s == wire.ItemRolledBack
}

func changed(o journal.Order) bool {
	return slices.ContainsFunc(o.Outcomes, func(e wire.Outcome) bool { return success(e.State) })
}

// reboot decides whether the device reboots, asks for it, and, on the other
// side of it, sees by the boot id that it happened. An order to reboot stands
// at wait until it may, so that it can be taken back, and reboots once.
func (e *Executor) reboot(ctx context.Context, o journal.Order, s scene) (*wait, error) {
	boot, err := e.BootID()
	if err != nil {
		return nil, fmt.Errorf("read boot id: %w", err)
	}
	if o.AskedBoot != "" {
		return nil, e.afterAsking(o, boot)
	}
	if o.Order.Kind == wire.OrderReboot && o.Rebooted {
		return nil, e.enter(o, wire.StepVerify, nil)
	}
	signals, err := e.Signals(ctx)
	if err != nil {
		if ctx.Err() != nil || o.Attempts < verifyTries {
			return e.later(ctx, o, err)
		}
		return nil, e.leaveReboot(o, reasonOf(err)) // unknown is not "no reboot needed"
	}
	if len(signals) == 0 {
		return nil, e.enter(o, wire.StepVerify, nil)
	}
	boots, err := e.Journal.Boots()
	if err != nil {
		return nil, err
	}
	if why := s.bootForbidden(o, boots); !why.IsZero() {
		return nil, e.leaveReboot(o, why)
	}
	w := s.mayReboot(o)
	if w != nil && w.cause.Code == fault.NoWindow {
		return nil, e.leaveReboot(o, w.cause)
	}
	if w, err = e.consult(o, s, wire.ActReboot, w); err != nil {
		return nil, err
	}
	switch {
	case w != nil && o.Order.Kind == wire.OrderReboot && o.Step == wire.StepReboot:
		return nil, e.enter(o, wire.StepWait, nil)
	case w != nil:
		return w, nil
	case o.Step == wire.StepWait:
		return nil, e.enter(o, wire.StepReboot, nil)
	}
	return e.askReboot(ctx, o, s, boot)
}

// verifyReboot looks whether the signals are gone that an order to reboot was
// for. One that did not reboot says why, if it should have.
func (e *Executor) verifyReboot(ctx context.Context, o journal.Order) (*wait, error) {
	if !o.Rebooted {
		return nil, e.enter(o, e.afterVerify(o), nil)
	}
	signals, err := e.Signals(ctx)
	switch {
	case err != nil && (ctx.Err() != nil || o.Attempts < verifyTries):
		return e.later(ctx, o, err)
	case err != nil:
		return nil, e.enter(o, e.afterVerify(o), stillPending(reasonOf(err)))
	case len(signals) > 0:
		return nil, e.enter(o, e.afterVerify(o), stillPending(fault.Because(fault.RebootUnhelped, "signals", signalNames(signals))))
	}
	return nil, e.enter(o, e.afterVerify(o), nil)
}

func signalNames(signals []wire.RebootSignal) string {
	var names []string
	for _, s := range signals {
		names = append(names, s.Signal)
	}
	return strings.Join(names, ", ")
}

func stillPending(why fault.Reason) func(*journal.Order) {
	return func(k *journal.Order) { k.BootPending, k.BootCause = true, causeOf(why) }
}

// leaveReboot goes on without the reboot that a live signal asks for: the
// items are then claimed, and why is told with them.
func (e *Executor) leaveReboot(o journal.Order, why fault.Reason) error {
	return e.enter(o, wire.StepVerify, stillPending(why))
}

// afterAsking looks at what became of a reboot.
func (e *Executor) afterAsking(o journal.Order, boot string) error {
	return e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		if boot != k.AskedBoot {
			k.Rebooted = true
			if up := e.Now().Sub(time.UnixMicro(k.AskedUS)); e.look() == 0 {
				k.RebootMS = max(0, up.Milliseconds())
			}
			event := e.event(*k, wire.EventRebooted)
			event.BootID = boot
			tx.Emit(event)
		} else { // it had its time, and more
			e.nowWaits(tx, k, wait{cause: fault.Because(fault.RebootRefused, "problem", "the device is still up")})
		}
		k.AskedBoot = ""
		return nil
	})
}

// askReboot counts the reboot before it asks for it.
//
// Crash story: before the commit no reboot was asked for; after it the next
// start compares boot ids: another one means it happened, the same one waits
// its grace and decides again, at most twice an order.
func (e *Executor) askReboot(ctx context.Context, o journal.Order, s scene, boot string) (*wait, error) {
	var closed *wait
	err := e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		holds, err := tx.Holds()
		if err != nil {
			return err
		}
		s.holds, s.now, s.clockOff = holds.Holds, e.Now().Round(0), e.look()
		if closed = s.mayReboot(*k); closed != nil {
			return errNoNews
		}
		var d people.Decision
		if d, closed = s.agreed(*k, wire.ActReboot); closed != nil {
			return errNoNews
		}
		e.forced(tx, k, wire.ActReboot, d)
		k.AskedBoot, k.AskedUS = boot, us(s.now)
		k.Boots++
		tx.Emit(e.event(*k, wire.EventStep))
		return tx.AddBoot(us(s.now))
	})
	if errors.Is(err, errNoNews) {
		return closed, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask for a reboot: %w", err)
	}
	e.Log.Warn("asks for a reboot", "order", o.Order.ID)
	if err := e.Reboot(ctx); err != nil {
		return e.rebootRefused(o, err)
	}
	return &wait{fault.Because(fault.RebootPendingNow), e.Now().Add(rebootGrace).Truncate(time.Microsecond)}, nil
}

func (e *Executor) rebootRefused(o journal.Order, err error) (*wait, error) {
	var w *wait
	reason := fault.Because(fault.RebootRefused, "problem", wire.Clean(err.Error(), wire.MaxTextBytes))
	err = e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		k.AskedBoot = ""
		w = e.backOff(tx, k, reason)
		return nil
	})
	return w, err
}

// verify asks the package database again, after the reboot if there was one.
func (e *Executor) verify(ctx context.Context, o journal.Order) (*wait, error) {
	var ends []wire.Outcome
	for _, g := range groups(doneItems(o)) {
		now, err := e.verifyGroup(ctx, o, g)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && o.Attempts < verifyTries:
			return e.later(ctx, o, err)
		case err != nil:
			for _, item := range g.items { // installed, and nothing can confirm it
				ends = append(ends, wire.Outcome{Item: item.ID, State: wire.ItemClaimed, Cause: causeOf(reasonOf(err))})
			}
		default:
			ends = append(ends, now...)
		}
	}
	return nil, e.enter(o, e.afterVerify(o), func(k *journal.Order) {
		for i := range k.Outcomes {
			if now := outcomeOf(ends, k.Outcomes[i].Item); now != nil && success(k.Outcomes[i].State) {
				k.Outcomes[i] = confirmed(*k, k.Outcomes[i], *now)
			}
		}
	})
}

func (e *Executor) verifyGroup(ctx context.Context, o journal.Order, g transaction) ([]wire.Outcome, error) {
	p, err := e.provider(g.provider)
	if err != nil {
		return nil, err
	}
	return p.Verify(ctx, o.Order.Kind, g.items)
}

// doneItems are the order's items that changed the device.
func doneItems(o journal.Order) []wire.Item {
	var list []wire.Item
	for _, item := range o.Order.Items {
		if end := outcomeOf(o.Outcomes, item.ID); end != nil && success(end.State) {
			list = append(list, item)
		}
	}
	return list
}

// confirmed grades an item that was installed: as the database says now, and
// only claimed as long as a reboot is missing.
func confirmed(k journal.Order, before, now wire.Outcome) wire.Outcome {
	if len(now.Packages) == 0 {
		now.Packages = before.Packages
	}
	now = described(now, wire.Item{ID: before.Item, Packages: before.Packages})
	if k.BootPending && success(now.State) {
		now.State, now.Cause = wire.ItemClaimed, k.BootCause
	}
	return now
}

// report spools the result and ends the order in one commit.
//
// Crash story: before it the next start reports; after it the result is in the
// spool until the server has committed it.
func (e *Executor) report(o journal.Order) error {
	boot, err := e.BootID()
	if err != nil {
		return fmt.Errorf("read boot id: %w", err)
	}
	err = e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		now := e.Now()
		k.DoneUS = us(now)
		k.ClaimBoot = ""
		if k.BootPending && k.Order.Kind != wire.OrderReboot { // which claimed nothing
			k.ClaimBoot = boot
		}
		e.moved(tx, k, wire.StepDone)
		tx.Emit(resultOf(*k, now))
		return nil
	})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	e.Log.Info("order done", "order", o.Order.ID)
	e.Ended()
	return nil
}

func resultOf(k journal.Order, now time.Time) wire.Event {
	result := &wire.Result{
		Outcomes: k.Outcomes, Rebooted: k.Rebooted, RebootPending: k.BootPending,
		LogTail: k.LogTail, LogSHA256: k.LogSHA256,
	}
	if k.StartedUS > 0 {
		result.DurationS = max(0, k.DoneUS-k.StartedUS) / 1e6
	}
	result.Probes = k.Probes
	result.DownloadMS, result.RebootMS = k.DownloadMS, k.RebootMS
	if !k.Untimed {
		result.InstallMS = k.InstallMS
	}
	event := wire.Event{
		AtUS: us(now), Kind: wire.EventResult, Order: k.Order.ID, Serial: k.Order.Serial, Step: wire.StepDone, Result: result,
	}
	if k.Order.Kind == wire.OrderReboot { // the others tell it with each item
		event.Cause = k.BootCause
	}
	return event
}

// tidy forgets orders that are long over, and takes up again those that were
// claimed under another boot: somebody rebooted the device, and what they
// installed can be verified now. The rest is what Tick works on.
func (e *Executor) tidy() ([]journal.Order, error) {
	kept, err := e.Journal.Orders()
	if err != nil || len(kept) == 0 {
		return nil, err
	}
	boot, err := e.BootID()
	if err != nil {
		return nil, fmt.Errorf("read boot id: %w", err)
	}
	var open []journal.Order
	var over []int64
	for _, o := range kept {
		switch {
		case !o.Done():
			open = append(open, o)
		case o.ClaimBoot != "" && o.ClaimBoot != boot:
			if err := e.enter(o, wire.StepReboot, func(k *journal.Order) {
				k.BootPending, k.BootCause, k.ClaimBoot = false, nil, ""
			}); err != nil {
				return nil, err
			}
			open = append(open, o)
		case e.forgettable(o):
			over = append(over, o.Order.Serial)
		case o.Installs == 0 && replaced(o, kept):
			pending, err := e.Journal.ResultPending(o.Order.ID)
			if err != nil {
				return nil, err
			}
			if !pending {
				over = append(over, o.Order.Serial)
			}
		}
	}
	return open, e.forget(over, kept)
}

// forget drops orders, and what only they kept for a rollback.
func (e *Executor) forget(over []int64, kept []journal.Order) error {
	if len(over) == 0 {
		return nil
	}
	if err := e.Journal.Drop(over...); err != nil {
		return err
	}
	var keep []wire.Item
	for _, o := range kept {
		if !slices.Contains(over, o.Order.Serial) {
			keep = append(keep, o.Order.Items...)
		}
	}
	for name, p := range e.Providers {
		if err := p.Forget(context.Background(), keep); err != nil {
			e.Log.Warn("old packages not forgotten", "provider", name, "err", err) // they are bounded anyway
		}
	}
	return nil
}

// replaced tells that a newer order of the same campaign is kept: a late copy
// of this one is refused by its serial.
func replaced(o journal.Order, kept []journal.Order) bool {
	return slices.ContainsFunc(kept, func(k journal.Order) bool {
		return sameGoal(k.Order, o.Order) && k.Order.Serial > o.Order.Serial
	})
}

func (e *Executor) forgettable(o journal.Order) bool {
	keep := tombstone
	if changed(o) {
		keep = changedTombstone
	}
	return e.over(o, keep)
}

// over tells that an order ended, or expired, at least so long ago.
func (e *Executor) over(o journal.Order, ago time.Duration) bool {
	end := time.UnixMicro(max(o.DoneUS, o.Order.ExpiresUS))
	return o.Done() && e.look() == 0 && e.Now().After(end.Add(ago))
}
