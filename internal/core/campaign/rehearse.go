package campaign

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// A rehearsal of a rollback is made where a procedure asks for it, on devices of
// the first ring: what was verified there is put back, and installed again, in
// the device's windows, before the ring's gate lets anyone else have it.

// RehearsalStage is how far a rehearsal has come on a device.
type RehearsalStage string

// Stages.
const (
	NotRehearsed    RehearsalStage = ""
	GoingBack       RehearsalStage = "back"   // ordered, and not back yet
	ComingAgain     RehearsalStage = "again"  // it was put back, and is installed again
	RehearsalDone   RehearsalStage = "done"   // and is verified again
	RehearsalFailed RehearsalStage = "failed" // it could not be put back, or not be seen to be
	RehearsalMoot   RehearsalStage = "moot"   // it was on the device already: nothing goes back
)

// Rehearsal of the rollback of one item on one device.
type Rehearsal struct {
	Stage       RehearsalStage
	Back, Again time.Duration // what the ways back and forth took; 0: not measured
	Why         fault.Reason  // of a failure
}

// Rehearse is what a procedure asks of the first ring.
type Rehearse struct {
	Asked   bool
	Devices int              // per patch; 0: all of them
	Begun   map[patch.ID]int // how many devices have begun with it
}

// room tells that one more device should rehearse the item.
func (r Rehearse) room(id patch.ID) bool {
	return r.Asked && (r.Devices == 0 || r.Begun[id] < r.Devices)
}

// Rehearsals are what a ring's gate waits for: of how many rollbacks that are
// possible, how many were rehearsed to the end, and which were not.
type Rehearsals struct {
	Asked   bool
	Done    int
	Need    int
	Missing []string // names of patches
}

func (r Rehearsals) missing() []fault.Reason {
	if !r.Asked || r.Done >= r.Need {
		return nil
	}
	return because(fault.Because(fault.GateNotRehearsed,
		"have", strconv.Itoa(r.Done), "need", strconv.Itoa(r.Need), "patches", strings.Join(r.Missing, ", ")))
}

func (r Rehearsals) evidence() []Evidence {
	if !r.Asked {
		return nil
	}
	return []Evidence{{Name: EvidenceRehearsed, Have: strconv.Itoa(r.Done), Need: ">= " + strconv.Itoa(r.Need), OK: r.Done >= r.Need}}
}

// Readiness is what is known of the way back of a patch in a campaign.
type Readiness string

// Readiness of a rollback.
const (
	RollbackUnknown    Readiness = "" // nothing of it was installed yet
	RollbackReady      Readiness = "ready"
	RollbackRehearsed  Readiness = "rehearsed"
	RollbackImpossible Readiness = "impossible"
)

// ReadinessOf weighs what devices know of one patch: one that cannot go back
// shows whatever else is true, because someone has to plan for it.
func ReadinessOf(installed, impossible, rehearsed int) Readiness {
	switch {
	case impossible > 0:
		return RollbackImpossible
	case rehearsed > 0:
		return RollbackRehearsed
	case installed > 0:
		return RollbackReady
	default:
		return RollbackUnknown
	}
}

// triedBack gives the progress of an item whose rehearsed way back ended. What
// could not be put back however often it was tried may be half undone: a scan
// has to say whether the patch is still there, and it is installed again if not.
func (p Progress) triedBack(o wire.Outcome, t Terms, at time.Time) Progress {
	cause := reasonOf(o.Cause)
	switch o.State {
	case wire.ItemRolledBack, wire.ItemNotApplicable, wire.ItemClaimed:
		p.Rehearsal.Stage, p.Attempts, p.NoEffects = ComingAgain, 0, 0
		return p.become(patch.Applicable, fault.Because(fault.RollbackRehearsal), at)
	case wire.ItemSkipped:
		return p.skip(cause, t, at)
	}
	return p.fail(orElse(cause, fault.Because(fault.Internal)), t, at).triedEnough(t, at)
}

// triedEnough ends a rehearsal whose way back has failed as often as it may.
func (p Progress) triedEnough(t Terms, at time.Time) Progress {
	if p.Rollback || p.Rehearsal.Stage != GoingBack || p.State != patch.Failed || p.Attempts < t.Attempts {
		return p
	}
	p.Rehearsal.Stage, p.Rehearsal.Why, p.Attempts, p.NoEffects = RehearsalFailed, p.Reason, 0, 0
	return p.become(patch.InstalledPendingReboot, fault.Because(fault.AwaitingVerify), at)
}

// Timed keeps how long the way back, or the way forth again, of a rehearsal took.
func (p Progress) Timed(took time.Duration) Progress {
	switch {
	case p.Rehearsal.Stage != ComingAgain:
	case p.State == patch.Applicable:
		p.Rehearsal.Back = took
	case p.State == patch.Verified, p.State == patch.InstalledPendingReboot:
		p.Rehearsal.Again = took
	}
	return p
}

// restored is the progress of an item whose rehearsal was ordered and did not
// begin: the order is over, and the patch is where it was.
func (w *weighing) restored(p *Progress) *Progress {
	if p == nil || p.Rollback || p.Rehearsal.Stage != GoingBack || p.State == patch.Failed || w.busyWith(p.Item) {
		return p
	}
	there := *p
	there.State, there.Reason = patch.Verified, fault.Reason{}
	return &there
}

// rehearsing goes on with a rehearsal that has begun, where the rules of an
// install do not say what comes next.
func (w *weighing) rehearsing(d *ItemDecision, item *Item, m *Missing, p *Progress) bool {
	if p == nil || w.busyWith(p.Item) {
		return false
	}
	newer := w.device.ScanAt.After(p.Updated) && w.device.Scan == wire.ScanOK
	switch {
	case p.Rehearsal.Stage == GoingBack && p.State == patch.Failed:
		d.Counted = true
		w.owed(d, p)
		if w.now.Before(p.Next) {
			d.Next = p.Next
			w.lookAt(p.Next)
			return true
		}
		w.undoAgain(d, item, p)
		return true
	case p.Rehearsal.Stage == ComingAgain && p.State == patch.Applicable && !p.owes() && m == nil && newer && !w.device.RebootPending && !w.elsewhere(item):
		// The way back changed nothing, or nobody offers the patch any more: a
		// person has to look before anything else is done with it.
		why := fault.Because(fault.NoEffect, "package", item.Key.Name, "version", item.Key.Version)
		d.Counted, d.State, d.Reason, d.Rehearsal = true, patch.Failed, why, RehearsalFailed
		w.fail(why)
		return true
	case p.Rehearsal.Stage == ComingAgain && p.State == patch.Applicable && w.device.RebootPending:
		d.Counted, d.Reason = true, fault.Because(fault.RebootPendingNow)
		w.wait(d.Reason)
		return true
	case p.Rehearsal.Stage == RehearsalFailed:
		w.fail(p.rehearsalFailure(item))
	}
	return false
}

// elsewhere: the scan offers another version of the item, which has its own words.
func (w *weighing) elsewhere(item *Item) bool {
	return slices.ContainsFunc(w.device.Missing, func(m Missing) bool { return nameOf(m.Key) == nameOf(item.Key) })
}

func (p *Progress) rehearsalFailure(item *Item) fault.Reason {
	return fault.Because(fault.RehearsalFailed, "package", item.Key.Name, "cause", string(p.Rehearsal.Why.Code))
}

// rehearsed begins the rehearsal of what is verified, and ends the one of what
// is verified again.
func (w *weighing) rehearsed(d *ItemDecision, at int, p *Progress) {
	item := &w.scene.Content.items[at]
	if d.State != patch.Verified || p == nil {
		return
	}
	switch p.Rehearsal.Stage {
	case ComingAgain:
		d.Rehearsal = RehearsalDone
	case GoingBack:
		if w.now.Before(p.Next) {
			w.lookAt(p.Next)
			d.Reason = fault.Because(fault.RollbackRehearsal)
			w.wait(d.Reason)
			return
		}
		if w.canRehearse(at, p) { // or its order would be taken back at once, and written again, for ever
			w.undoAgain(d, item, p)
		}
	case NotRehearsed:
		if w.device.Position == 0 && w.scene.Rehearse.Asked && len(p.Packages) > 0 && !p.changed() {
			d.Rehearsal = RehearsalMoot
		} else if w.device.Position == 0 && w.scene.Rehearse.room(p.Item) && w.canRehearse(at, p) {
			w.undoAgain(d, item, p)
		}
	}
}

// canRehearse: there is something to put back, it can be, and nothing speaks
// against installing it again.
func (w *weighing) canRehearse(at int, p *Progress) bool {
	_, cannot := CannotGoBack(p.Packages)
	_, held := itemHeldBy(w.scene.Holds, w.scene.Campaign, w.ring.Name, string(w.device.ID), string(p.Item))
	if cannot || held || !p.changed() {
		return false
	}
	out := w.scene.sheet.Judge(at, w.holder(nil), w.now)
	if out.Verdict == policy.Approved || out.Verdict == policy.Pending {
		return true
	}
	w.lookAt(out.Until) // what is delayed or declined for a time is rehearsed after it
	return false
}

// undoAgain puts an item in the next order of the rehearsal.
func (w *weighing) undoAgain(d *ItemDecision, item *Item, p *Progress) {
	if !w.stop.reason.IsZero() {
		w.wait(w.stop.reason)
		return
	}
	if d.State != patch.Failed {
		d.Reason = fault.Because(fault.RollbackRehearsal)
	}
	w.rehearse = append(w.rehearse, undoing(item, p))
}

// orderRehearsal orders the way back, if the device may have an order now, in
// windows with room for it.
func (w *weighing) orderRehearsal(out *DeviceDecision) {
	windows := Ahead(w.device.Windows, w.now)
	switch {
	case w.device.Rebooting:
		w.wait(fault.Because(fault.RebootOrdered))
	case w.device.RebootPending: // what is verified now may be something else after it
		w.wait(fault.Because(fault.RebootPendingNow))
	case w.otherFirst():
		w.wait(fault.Because(fault.OtherOrder, "campaign", w.device.OtherCampaign))
	case len(windows) == 0:
		w.wait(w.closed())
		w.lookAt(w.now.Add(noWindowLook))
	case w.crowded(windows[0]):
	default:
		w.wait(fault.Because(fault.RollbackRehearsal))
		var ids []patch.ID
		for _, item := range w.rehearse {
			ids = append(ids, patch.ID(item.ID))
		}
		w.write(out, OrderSpec{Kind: wire.OrderRollback, Items: w.rehearse, Windows: windows, Need: w.needs(ids...)})
	}
}
