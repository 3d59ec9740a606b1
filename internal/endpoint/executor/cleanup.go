package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/cleanup"
	"patchring/internal/core/fault"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// CleanUp removes, or counts, what one item is about. It calls step now and then
// with what has gone so far, and ends when step says so.
type CleanUp func(ctx context.Context, item wire.CleanUp, step func(wire.Freed) error) (wire.Freed, error)

// sliceOfCleanUp is how long a clean-up may keep whatever else this agent has to
// do waiting. A dry run is not cut: its figures would be those of a part.
const sliceOfCleanUp = 2 * time.Minute

// cleanUpProblem names the first field of a clean-up order that no honest server
// sends.
func cleanUpProblem(o wire.Order) (field, problem string) {
	if o.Kind != wire.OrderCleanUp {
		if len(o.CleanUp) > 0 {
			return "clean_up", "an order of kind " + string(o.Kind) + " has some"
		}
		return "", ""
	}
	switch {
	case o.Campaign != "" || len(o.Items) > 0 || o.People != nil || o.Reboot != wire.RebootNever:
		return "clean_up", "a clean-up is of no campaign, brings no patch, asks nobody and reboots nothing"
	case len(o.CleanUp) == 0:
		return "clean_up", "there are none"
	}
	seen := map[string]bool{}
	for _, c := range o.CleanUp {
		if c.ID == "" || seen[c.ID] {
			return "clean_up", "item id " + c.ID + " is empty or not alone"
		}
		seen[c.ID] = true
		if problem := cleanup.FromWire(c).Problem(); problem != "" {
			return "clean_up", problem
		}
	}
	return "", ""
}

// stepOfCleanUp walks a clean-up order: wait, clean_up, report.
func (e *Executor) stepOfCleanUp(ctx context.Context, o journal.Order, s scene) (*wait, error) {
	if o.Step == wire.StepReport {
		return nil, e.report(o)
	}
	if o.Step == wire.StepAccepted {
		return nil, e.enter(o, wire.StepWait, nil)
	}
	if len(o.CleanUp) == 0 {
		return nil, e.enter(o, wire.StepReport, nil)
	}
	kept, err := e.Journal.Orders()
	if err != nil {
		return nil, err
	}
	room, w := s.mayCleanUp(o, kept)
	switch {
	case w != nil:
		return w, nil
	case o.Step == wire.StepWait:
		return nil, e.enter(o, wire.StepCleanUp, nil)
	default:
		return e.sweep(ctx, o, s, room)
	}
}

// mayCleanUp decides whether a clean-up may go on now, and for how long.
func (s scene) mayCleanUp(o journal.Order, kept []journal.Order) (time.Duration, *wait) {
	if w := s.held(o); w != nil {
		return 0, w
	}
	if s.localErr != nil {
		return 0, s.localUnreadable()
	}
	room, w := s.mayAct(o.Order, wire.ActInstall)
	if w != nil {
		return 0, w
	}
	if slices.ContainsFunc(kept, func(k journal.Order) bool { return s.inTheWay(o, k) }) {
		return 0, &wait{cause: fault.Because(fault.CleanUpBehind)}
	}
	return room, nil
}

// inTheWay: patches come first. One that only waits for another window keeps
// nothing waiting, but for the packages that it may have downloaded already.
func (s scene) inTheWay(o, other journal.Order) bool {
	if other.Order.Kind == wire.OrderCleanUp || other.Done() {
		return false
	}
	_, soon := open(other.Order.Windows, s.now, 0)
	return soon || other.Step != wire.StepWait || o.CleanUp[0].Kind == wire.CleanPackageCache
}

// errPause ends a sweep that may be gone on with later.
var errPause = errors.New("the clean-up pauses")

// sweep works on the first item that is left.
//
// Crash story: a file that is gone is gone, and the next start begins the item
// again, with what is left of it. What went after the last figures were stored
// was not counted, and the result says so.
func (e *Executor) sweep(ctx context.Context, o journal.Order, s scene, room time.Duration) (*wait, error) {
	item := o.CleanUp[0]
	switch {
	case s.local.ForbidsCleanUp(item.Kind):
		why := fault.Because(fault.LocalVeto, "rule", "never_clean_up "+string(item.Kind))
		return nil, e.endCleanUp(o, wire.Outcome{State: wire.ItemSkipped, Cause: causeOf(why)})
	case e.CleanUp == nil:
		return nil, e.endCleanUp(o, wire.Outcome{State: wire.ItemFailed, Cause: causeOf(fault.Because(fault.CleanUpUnable))})
	}
	before, err := e.beginSweep(o, item)
	if err != nil {
		return nil, err
	}
	began := e.Now()
	freed, err := e.CleanUp(ctx, item, func(f wire.Freed) error { return e.stepOfSweep(o, item, sum(before, f), began, room) })
	all := sum(before, freed)
	switch {
	case errors.Is(err, errPause):
		return &wait{cause: fault.Because(fault.CleanUpCut, "at", rfc(e.Now())), next: e.Now()}, e.pauseSweep(o, item, all)
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), e.pauseSweep(o, item, all))
	case err != nil && fault.CodeOf(err) == fault.Internal:
		return nil, err // the journal's: what is on disk is read again
	case err != nil:
		return nil, e.endCleanUp(o, wire.Outcome{State: wire.ItemFailed, Cause: causeOf(reasonOf(err)), Freed: &all})
	}
	state := wire.ItemCleaned
	if item.DryRun {
		state = wire.ItemCounted
	}
	return nil, e.endCleanUp(o, wire.Outcome{State: state, Freed: &all})
}

// beginSweep gives what had gone before.
func (e *Executor) beginSweep(o journal.Order, item wire.CleanUp) (before wire.Freed, err error) {
	err = e.update(o, func(_ *journal.Tx, k *journal.Order) error {
		if item.DryRun {
			k.Freed = wire.Freed{} // counted anew
		} else if k.Sweeping {
			k.Freed.AtLeast = true
		}
		k.Sweeping, before = true, k.Freed
		if k.StartedUS == 0 {
			k.StartedUS = us(e.Now())
		}
		return nil
	})
	if err != nil {
		return before, fmt.Errorf("begin clean-up %s: %w", item.ID, err)
	}
	return before, nil
}

// stepOfSweep stores how far it is, and ends it when its time is over or when
// the order must stop.
func (e *Executor) stepOfSweep(o journal.Order, item wire.CleanUp, all wire.Freed, began time.Time, room time.Duration) error {
	spent := e.Now().Sub(began)
	if spent < 0 || spent >= room || spent >= sliceOfCleanUp && !item.DryRun {
		return errPause
	}
	return e.update(o, func(tx *journal.Tx, k *journal.Order) error {
		holds, err := tx.Holds()
		if err != nil {
			return err
		}
		if _, held := (scene{holds: holds.Holds}).holdOn(k.Order, ""); held || k.Cancelled || k.SupersededBy != 0 {
			return errPause
		}
		k.Freed = all
		return nil
	})
}

func (e *Executor) pauseSweep(o journal.Order, item wire.CleanUp, all wire.Freed) error {
	err := e.update(o, func(_ *journal.Tx, k *journal.Order) error {
		k.Freed, k.Sweeping = all, false
		if item.DryRun {
			k.Freed = wire.Freed{}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("pause clean-up %s: %w", item.ID, err)
	}
	return nil
}

// endCleanUp ends the first item that is left.
func (e *Executor) endCleanUp(o journal.Order, end wire.Outcome) error {
	err := e.update(o, func(_ *journal.Tx, k *journal.Order) error {
		end.Item = k.CleanUp[0].ID
		k.Outcomes = append(k.Outcomes, end)
		k.CleanUp, k.Freed, k.Sweeping = k.CleanUp[1:], wire.Freed{}, false
		return nil
	})
	if err != nil {
		return fmt.Errorf("end a clean-up: %w", err)
	}
	e.Log.Info("clean-up", "order", o.Order.ID, "item", o.CleanUp[0].ID, "state", string(end.State))
	return nil
}

// endCleanUps ends what is left of an order that goes on no further. Of what
// went, the figures are told.
func endCleanUps(k *journal.Order, state wire.ItemState, reason fault.Reason) {
	for i, c := range k.CleanUp {
		end := wire.Outcome{Item: c.ID, State: state, Cause: causeOf(reason)}
		if i == 0 && !c.DryRun && k.Freed.Files > 0 {
			freed := k.Freed
			freed.AtLeast = freed.AtLeast || k.Sweeping
			end.State, end.Freed = wire.ItemCleaned, &freed
		}
		k.Outcomes = append(k.Outcomes, end)
	}
	k.CleanUp, k.Freed, k.Sweeping = nil, wire.Freed{}, false
}

// sum adds figures, place by place.
func sum(a, b wire.Freed) wire.Freed {
	out := wire.Freed{Files: a.Files + b.Files, Bytes: a.Bytes + b.Bytes, AtLeast: a.AtLeast || b.AtLeast, Places: slices.Clone(a.Places)}
	for _, p := range b.Places {
		at := slices.IndexFunc(out.Places, func(have wire.FreedPlace) bool { return have.Path == p.Path })
		if at < 0 {
			out.Places = append(out.Places, p)
			continue
		}
		out.Places[at].Files += p.Files
		out.Places[at].Bytes += p.Bytes
	}
	if len(out.Places) > wire.MaxFreedPlaces {
		out.Places = out.Places[:wire.MaxFreedPlaces]
	}
	return out
}

// sameGoal tells that a newer order replaces an older one: of one campaign, or,
// outside campaigns, of one kind.
func sameGoal(a, b wire.Order) bool {
	return a.Campaign == b.Campaign && (a.Campaign != "" || a.Kind == b.Kind)
}
