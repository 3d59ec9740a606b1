package campaign

import (
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// rollback weighs the items that someone asked to undo on this device. Holds
// do not stop it: a hold is what usually comes before a rollback.
func (w *weighing) rollback() {
	if w.scene.State == Closed {
		w.blocked = fault.Because(fault.CampaignClosed)
	}
	for i := range w.device.Progress {
		p := &w.device.Progress[i]
		item, ok := w.contentFor(p.Item)
		if !ok || !p.Rollback {
			continue
		}
		d := w.weighRollback(p)
		w.items = append(w.items, d)
		switch {
		case d.State == patch.RolledBack:
			w.exempt = orElse(w.exempt, fault.Because(fault.RollbackAsked))
		case d.State == patch.Failed && !w.retriesRollback(p):
			w.failed = orElse(w.failed, d.Reason)
		default:
			w.eligible = append(w.eligible, wire.Item{
				ID: string(item.ID), Provider: item.Key.Provider, Name: item.Key.Name,
				Version: item.Key.Version, Packages: backwards(p.Packages),
			})
		}
	}
}

func (w *weighing) weighRollback(p *Progress) ItemDecision {
	d := ItemDecision{Item: p.Item, State: p.State, Reason: p.Reason, Counted: true}
	if p.State == patch.RolledBack {
		return d
	}
	if why, cannot := CannotGoBack(p.Packages); cannot {
		d.State, d.Reason = patch.Failed, why
		return d
	}
	if p.State == patch.Failed && w.now.Before(p.Next) {
		d.Next = p.Next
		w.lookAt(p.Next)
	}
	return d
}

// retriesRollback: a failed rollback is tried again like an install; what
// cannot go back is not tried at all.
func (w *weighing) retriesRollback(p *Progress) bool {
	if _, cannot := CannotGoBack(p.Packages); cannot {
		return false
	}
	return p.Attempts < w.scene.Terms.Attempts && !w.now.Before(p.Next)
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

// backwards turns each change around.
func backwards(changes []wire.Change) []wire.Change {
	out := make([]wire.Change, 0, len(changes))
	for _, c := range changes {
		c.From, c.To = c.To, c.From
		out = append(out, c)
	}
	return out
}
