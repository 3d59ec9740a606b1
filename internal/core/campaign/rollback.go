package campaign

import (
	"slices"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/wire"
)

// A rollback is a campaign of its own: its content is what another one changed,
// its members are the devices that have something to undo. The other campaign
// keeps its memory of those items, and does nothing with them any more.

// Covers tells whether an item on a device of a ring is part of what was asked.
func (a Rollback) Covers(ring string, device fleet.DeviceID, item patch.ID) bool {
	return (a.Ring == "" || a.Ring == ring) && (a.Device == "" || a.Device == device) && (a.Patch == "" || a.Patch == item)
}

// Everywhere tells that a rollback is about the whole fleet: what it is about is
// withdrawn, and what an order that was out brings after it goes back as well.
func (a Rollback) Everywhere() bool { return a.Ring == "" && a.Device == "" }

// Whole tells that everything the campaign installed goes back, everywhere.
func (a Rollback) Whole() bool { return a.Ring == "" && a.Device == "" && a.Patch == "" }

// Asked is the reason that a rollback gives to whatever it touches.
func Asked(by, reason string) fault.Reason {
	return fault.Because(fault.RollbackAsked, "by", by, "reason", reason)
}

// RollbackGate is what the next ring of a rollback by rings waits for: evidence
// alone, because what goes back mends something; and nobody may have failed.
func RollbackGate(g procedure.Gate) procedure.Gate {
	return procedure.Gate{
		MinDonePercent: g.MinDonePercent, MaxUnreachablePercent: g.MaxUnreachablePercent, MaxNotReachedPercent: g.MaxNotReachedPercent,
	}
}

// Undone tells that a rollback has nothing left to do: all of its rings are.
func Undone(rings []RingState) bool {
	return !slices.ContainsFunc(rings, func(s RingState) bool { return s != RingDone })
}

// ToUndo tells that a campaign changed something on the device for this item, or
// may be changing it by an order that is out, and that no rollback has it yet.
func (p *Progress) ToUndo(out bool) bool {
	if p.Rollback || p.State == patch.RolledBack || p.State == patch.NotApplicable {
		return false
	}
	return p.changed() && (p.landed() || out && p.State == patch.Scheduled)
}

// changed tells that an install of it changes, or changed, a package.
func (p *Progress) changed() bool {
	return slices.ContainsFunc(p.Packages, func(c wire.Change) bool { return c.From != c.To })
}

// landed: an install of it has ended on the device, whatever became of it.
func (p *Progress) landed() bool {
	switch p.State {
	case patch.Verified, patch.InstalledPendingReboot, patch.Failed:
		return true
	}
	if p.Rehearsal.Stage == GoingBack && p.State != patch.RolledBack {
		return true // a rehearsal is ordered, and nobody has said yet that it is back
	}
	return p.Attempts > 0 && p.State != patch.RolledBack && p.State != patch.NotApplicable
}

// AskedBack gives the progress of an item that a rollback takes: its campaign
// leaves it as it is from here on.
func (p Progress) AskedBack(why fault.Reason) Progress {
	p.Rollback = true
	if p.State != patch.Failed {
		p.Reason = why
	}
	return p
}

// Back gives the progress of an item that a rollback has put back.
func (p Progress) Back(why fault.Reason) Progress {
	p.Rollback, p.State, p.Reason = true, patch.RolledBack, why
	return p
}

// Mirrored gives the progress of an item after its rollback came to undone: back
// as soon as the device says so, and there again where a scan contradicts it.
func (p Progress) Mirrored(undone Progress, why fault.Reason) (Progress, bool) {
	switch {
	case p.State != patch.RolledBack && (undone.State == patch.RolledBack || undone.State == patch.Rebooting):
		return p.Back(why), true
	case p.State == patch.RolledBack && undone.State == patch.Failed:
		p.State = patch.Verified
		return p, true
	}
	return p, false
}

// undone: a rollback has the item, or has put it back. Its own campaign does
// nothing more with it, whatever a scan offers.
func (w *weighing) undone(d *ItemDecision, item *Item, p *Progress) bool {
	if p == nil || !p.Rollback && p.State != patch.RolledBack {
		return false
	}
	asked := p.Reason
	if asked.Code != fault.RollbackAsked {
		asked = Asked(item.By, item.Why)
	}
	rehearsing := p.Rehearsal.Stage == GoingBack && p.State == patch.Scheduled // whose order is taken back
	d.Counted = p.landed() && !rehearsing || p.State == patch.RolledBack
	switch {
	case w.busyWith(p.Item) && Begun(w.device.Order.Step):
		w.inOrder(d)
		return true
	case p.State == patch.Verified:
		w.verified = true
	case p.State == patch.Failed:
		w.fail(orElse(p.Reason, asked))
		return true
	case p.State == patch.InstalledPendingReboot:
		w.wait(asked)
	case item.Withdrawn:
		w.excused = orElse(w.excused, asked)
	default:
		w.exempt = orElse(w.exempt, asked)
	}
	d.Reason = asked
	return true
}

// rollback weighs the items that go back on this device.
func (w *weighing) rollback() {
	for i := range w.device.Progress {
		p := &w.device.Progress[i]
		at, ok := w.contentAt(p.Item)
		if !ok {
			continue
		}
		item := &w.scene.Content.items[at]
		d := ItemDecision{Item: p.Item, State: p.State, Reason: p.Reason, Counted: true}
		switch {
		case w.busyWith(p.Item):
			w.owed(&d, p)
			w.inOrder(&d)
		case p.claimsBack() && !p.found():
			w.confirm(&d, item, p)
		case !p.found() && !p.owes():
			w.nothingYet(&d, item, p)
		default:
			w.takeBack(&d, item, p)
		}
		w.items = append(w.items, d)
	}
}

// claimsBack: the device said that it is back, at once or after a reboot.
func (p *Progress) claimsBack() bool {
	return p.State == patch.RolledBack || p.State == patch.Rebooting || p.State == patch.Verifying
}

// found tells that the campaign that goes back has the item on the device, also
// when it got there after it was said to be back.
func (p *Progress) found() bool {
	if p.Found == nil {
		return !p.claimsBack()
	}
	return p.Found.landed()
}

// confirm wants a scan from after the rollback that does not contradict it.
func (w *weighing) confirm(d *ItemDecision, item *Item, p *Progress) {
	newer := w.device.ScanAt.After(p.Updated) && (p.State != patch.Rebooting || !w.device.ScanAt.Before(w.device.Booted))
	switch {
	case p.State == patch.Rebooting && w.device.RebootPending:
		d.Reason = orElse(p.Reason, fault.Because(fault.RebootPendingNow))
		w.wait(d.Reason)
	case newer && w.stillThere(item, p):
		why := fault.Because(fault.NoEffect, "package", item.Key.Name, "version", item.Key.Version)
		after := p.Contradict(why, w.scene.Terms, w.now)
		d.State, d.Reason, d.NoEffect = patch.Failed, why, true
		if after.Attempts < w.scene.Terms.Attempts {
			d.Next = after.Next
		}
		w.fail(why)
		w.lookAt(d.Next)
	case newer && w.device.Scan == wire.ScanOK:
		d.State, d.Reason, w.verified = patch.RolledBack, Asked(item.By, item.Why), true
	default:
		d.State, d.Reason = patch.Verifying, fault.Because(fault.AwaitingVerify)
		if p.State == patch.Rebooting {
			d.State, d.Reason = patch.Rebooting, orElse(p.Reason, fault.Because(fault.RebootPendingNow))
		}
		w.wait(d.Reason)
		w.rescan = w.rescan || !w.device.ScanAt.After(p.Updated) && w.device.Scan != wire.ScanFailed
	}
}

// stillThere: the scan speaks of one of its packages at the version that was to
// be undone.
func (w *weighing) stillThere(item *Item, p *Progress) bool {
	for i := range w.device.Missing {
		m := &w.device.Missing[i]
		if m.ID == item.ID {
			return false // it is missing again: that is what was asked for
		}
		if nameOf(m.Key) != nameOf(item.Key) {
			continue
		}
		for _, now := range m.Packages {
			if slices.ContainsFunc(p.Packages, func(c wire.Change) bool {
				return c.Name == now.Name && c.Arch == now.Arch && c.From != c.To && now.From == c.To
			}) {
				return true
			}
		}
	}
	return false
}

// nothingYet: its campaign had ordered it, and no install of it has ended. One
// that has begun may still: its word, or a scan, is waited for.
func (w *weighing) nothingYet(d *ItemDecision, item *Item, p *Progress) {
	switch {
	case w.device.OtherCampaign != "":
		d.Reason = fault.Because(fault.OtherOrder, "campaign", w.device.OtherCampaign)
		w.wait(d.Reason)
	case w.device.ScanAt.After(p.Updated):
		d.State, d.Reason = patch.NotApplicable, fault.Because(fault.NotApplicable)
		w.exempt = orElse(w.exempt, Asked(item.By, item.Why))
	default:
		d.Reason = fault.Because(fault.AwaitingVerify)
		w.wait(d.Reason)
		w.rescan = w.rescan || w.device.Scan != wire.ScanFailed
	}
}

// owed shows a failed attempt to go back until it is made good.
func (w *weighing) owed(d *ItemDecision, p *Progress) bool {
	if !p.owes() {
		return false
	}
	d.State, d.Reason = patch.Failed, p.failure(w.scene.Terms)
	w.fail(d.Reason)
	return true
}

// takeBack says what the rollback of one item waits for.
func (w *weighing) takeBack(d *ItemDecision, item *Item, p *Progress) {
	owes := w.owed(d, p)
	why, cannot := CannotGoBack(p.Packages)
	switch {
	case cannot:
		d.State, d.Reason = patch.Failed, why
		w.fail(why)
	case owes && (p.Attempts >= w.scene.Terms.Attempts || p.NoEffects >= Quarantine):
	case w.now.Before(p.Next):
		d.Next = p.Next
		w.lookAt(p.Next)
		w.wait(d.Reason)
	case !w.stop.reason.IsZero():
		w.wait(w.stop.reason)
		if !owes { // what it said last was of an order that is over
			d.Reason = w.stop.reason
		}
	default:
		if !owes {
			d.Reason = Asked(item.By, item.Why)
		}
		w.eligible = append(w.eligible, undoing(item, p))
	}
}

// undoing is the part of an order that puts an item back.
func undoing(item *Item, p *Progress) wire.Item {
	return wire.Item{
		ID: string(item.ID), Provider: item.Key.Provider, Name: item.Key.Name, Version: item.Key.Version, Packages: backwards(p.Packages),
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
