package campaign

import (
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// rollback weighs the items that go back on this device, and tells whether any
// is left to undo.
func (w *weighing) rollback() (left bool) {
	asked := fault.Because(fault.RollbackAsked)
	for i := range w.device.Progress {
		p := &w.device.Progress[i]
		at, ok := w.contentAt(p.Item)
		if !ok || !w.goesBack(p) {
			continue
		}
		item := &w.scene.Content.items[at]
		asked = fault.Because(fault.RollbackAsked, "by", item.By, "reason", item.Why)
		d := ItemDecision{Item: p.Item, State: p.State, Reason: p.Reason, Counted: true}
		if w.isBack(p) {
			d.State, d.Reason, w.verified = patch.RolledBack, asked, true
		} else {
			left = true
			w.takeBack(&d, item, p)
		}
		w.items = append(w.items, d)
	}
	if !left && !w.verified {
		w.exempt = asked // nothing of the campaign was ever on it
	}
	return left
}

// goesBack: what someone asked to undo, and when the whole campaign goes back
// all that it changed, so that an install that was under way when the rollback
// was asked for is undone as well.
func (w *weighing) goesBack(p *Progress) bool {
	if len(p.Packages) == 0 {
		return false
	}
	switch p.State {
	case patch.RolledBack:
		return true
	case patch.Verified, patch.InstalledPendingReboot, patch.Failed:
		return p.Rollback || w.scene.State == RollingBack
	default:
		return p.Rollback
	}
}

// isBack: the device said so, and after a reboot if it needed one.
func (w *weighing) isBack(p *Progress) bool {
	switch p.State {
	case patch.RolledBack:
		return true
	case patch.Rebooting:
		return !w.busyWith(p.Item) && !w.device.RebootPending && w.device.Scan == wire.ScanOK &&
			w.device.ScanAt.After(p.Updated) && !w.device.ScanAt.Before(w.device.Booted)
	}
	return false
}

// takeBack says what the rollback of one item waits for. Attempts counted
// before it was asked for were of the install.
func (w *weighing) takeBack(d *ItemDecision, item *Item, p *Progress) {
	owes := p.Rollback && p.owes()
	if owes {
		d.State, d.Reason = patch.Failed, p.failure(w.scene.Terms)
		w.fail(d.Reason)
	}
	why, cannot := CannotGoBack(p.Packages)
	switch {
	case w.busyWith(p.Item):
		w.inOrder(d)
	case cannot:
		d.State, d.Reason = patch.Failed, why
		w.fail(why)
	case owes && p.Attempts >= w.scene.Terms.Attempts:
	case p.Rollback && w.now.Before(p.Next):
		d.Next = p.Next
		w.lookAt(p.Next)
		w.wait(d.Reason)
	case p.State == patch.Rebooting:
		d.Reason = orElse(p.Reason, fault.Because(fault.RebootPendingNow))
		w.wait(d.Reason)
		w.rescan = !w.device.RebootPending && w.device.Scan != wire.ScanFailed && !w.device.ScanAt.After(p.Updated)
	case !w.stop.reason.IsZero():
		w.wait(w.stop.reason)
		if !owes { // what it said last was of an order that is over
			d.Reason = w.stop.reason
		}
	default:
		if !owes {
			d.Reason = fault.Because(fault.RollbackAsked, "by", item.By, "reason", item.Why)
		}
		w.eligible = append(w.eligible, wire.Item{
			ID: string(item.ID), Provider: item.Key.Provider, Name: item.Key.Name, Version: item.Key.Version, Packages: backwards(p.Packages),
		})
	}
}

// CannotGoBack names the first package of an item whose previous version was
// not kept. It was known before the install; this is where it is used.
func CannotGoBack(packages []wire.Change) (fault.Reason, bool) {
	for _, c := range packages {
		if c.Rollback == wire.RollbackImpossible {
			return fault.Because(fault.RollbackCannot, "package", c.Name, "why", c.Why), true
		}
	}
	return fault.Reason{}, false
}

// RollbackImpossible tells that this item could not be put back on the device, and why:
// known once the previous packages were kept, or could not be. What was rolled
// back, or turned out to need nothing, has nothing to put back.
func (p Progress) RollbackImpossible() (fault.Reason, bool) {
	if p.State == patch.RolledBack || p.State == patch.NotApplicable {
		return fault.Reason{}, false
	}
	return CannotGoBack(p.Packages)
}

// backwards turns each change around.
func backwards(changes []wire.Change) []wire.Change {
	out := make([]wire.Change, 0, len(changes))
	for _, c := range changes {
		c.From, c.To = c.To, c.From
		out = append(out, c)
	}
	return out
}
