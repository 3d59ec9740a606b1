package campaign

import (
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// Quarantine is after how many installs without effect a patch is left alone
// on a device: what claims success and changes nothing will do so again.
const Quarantine = 2

// install weighs every content item that the device's last scan, or the
// campaign's own memory of the device, speaks of. What neither mentions does
// not apply to the device.
func (w *weighing) install() {
	w.blocked = w.deviceBlock()
	seen := make(map[patch.ID]bool, len(w.device.Progress))
	for _, m := range w.device.Missing {
		if item, ok := w.contentFor(m.ID); ok {
			seen[m.ID] = true
			w.add(w.weigh(item, &m, w.progress(m.ID)), item, m.Packages)
			continue
		}
		w.superseded(m, seen)
	}
	for i := range w.device.Progress {
		p := &w.device.Progress[i]
		if item, ok := w.contentFor(p.Item); ok && !seen[p.Item] {
			w.add(w.weigh(item, nil, p), item, nil)
		}
	}
}

func (w *weighing) contentFor(id patch.ID) (Item, bool) {
	item, ok := w.scene.Content.Item(id)
	return item, ok && item.Amendment == w.scene.Amendment
}

func (w *weighing) progress(id patch.ID) *Progress {
	for i := range w.device.Progress {
		if w.device.Progress[i].Item == id {
			return &w.device.Progress[i]
		}
	}
	return nil
}

// superseded: the scan offers another version of something in the content. It
// is never installed in its place: what no ring has seen must pass as an
// amendment. The sealed version being gone is a failure someone must settle.
func (w *weighing) superseded(m Missing, seen map[patch.ID]bool) {
	for _, i := range w.scene.Content.byName[nameOf(m.Key)] {
		item := w.scene.Content.items[i]
		if item.Amendment != w.scene.Amendment || item.Withdrawn || seen[item.ID] ||
			item.Promoted < w.device.Position || !patch.Newer(m.Key, item.Key) || w.replaced(m.Key) {
			continue
		}
		if p := w.progress(item.ID); p != nil && p.State == patch.Verified {
			continue // installed here before the newer one appeared
		}
		seen[item.ID] = true
		w.add(ItemDecision{
			Item: item.ID, State: patch.Superseded, Counted: true,
			Reason: fault.Because(fault.VersionGone, "package", item.Key.Name, "version", item.Key.Version, "available", m.Key.Version),
		}, item, nil)
	}
}

// replaced tells that the newer version is itself content, by an amendment:
// then that one is what the device waits for.
func (w *weighing) replaced(newer patch.Key) bool {
	item, ok := w.scene.Content.Item(newer.ID())
	return ok && !item.Withdrawn
}

// weigh says where one item stands on the device.
func (w *weighing) weigh(item Item, m *Missing, p *Progress) ItemDecision {
	d := ItemDecision{Item: item.ID, State: patch.Applicable}
	if p != nil {
		d.State, d.Reason = p.State, p.Reason
	}
	if item.Withdrawn {
		d.Reason = fault.Because(fault.ItemWithdrawn, "by", item.By, "reason", item.Why)
		return d
	}
	if item.Promoted < w.device.Position {
		d.Reason = fault.Because(fault.ItemNotPromoted, "ring", w.scene.Rings[item.Promoted].Name)
		return d
	}
	if settled, done := w.settled(d, m, p); done {
		return settled
	}
	if refused, no := w.refused(d, item, m); no {
		return refused
	}
	return w.attempt(d, p)
}

// settled recognises what needs nothing more: verified and still there, rolled
// back, or no longer applicable.
func (w *weighing) settled(d ItemDecision, m *Missing, p *Progress) (ItemDecision, bool) {
	if p == nil {
		return d, false
	}
	switch {
	case p.State == patch.RolledBack:
		d.Counted = true
		return d, true
	case m == nil && (p.State == patch.Verified || p.State == patch.NotApplicable):
		d.Reason = fault.Reason{}
		return d, true
	case m == nil && p.State == patch.InstalledPendingReboot:
		d.Counted = true
		if !w.device.RebootPending && w.scannedAfter(p.Updated) {
			d.State, d.Reason = patch.Verified, fault.Reason{}
		}
		return d, true
	case m == nil && w.scannedAfter(p.Updated) && !w.busyWith(p.Item):
		// A later scan no longer offers it: someone else installed or removed it.
		d.State, d.Reason = patch.NotApplicable, fault.Because(fault.NotApplicable)
		return d, true
	case m != nil && p.State == patch.Verified && !w.device.ScanAt.After(p.Updated):
		d.Reason = fault.Reason{}
		return d, true // the scan is from before the install
	}
	return d, false
}

func (w *weighing) scannedAfter(t time.Time) bool {
	return w.device.Scan == wire.ScanOK && w.device.ScanAt.After(t)
}

func (w *weighing) busyWith(id patch.ID) bool {
	if !w.inFlight() {
		return false
	}
	for _, item := range w.device.Order.Items {
		if item == id {
			return true
		}
	}
	return false
}

// refused asks everyone who may say no: policy, the device's administrator,
// the distributor, a hold.
func (w *weighing) refused(d ItemDecision, item Item, m *Missing) (ItemDecision, bool) {
	class := patch.Unknown
	if m != nil {
		class = m.Class
	}
	switch o := w.verdict(item.Key, class); o.Verdict {
	case policy.Declined:
		d.Reason = fault.Because(fault.PatchDeclined, "by", o.Decision.Actor, "reason", o.Decision.Reason, "until", until(o.Until))
		return d, true
	case policy.Delayed:
		d.Reason, d.Next = fault.Because(fault.PatchDelayed, "until", rfc(o.Until)), o.Until
		w.lookAt(o.Until)
		return d, true
	case policy.Pending:
		// It was approved when the content was sealed; only a hand can have
		// approved it, and the hand was taken back.
		d.Reason = fault.Because(fault.PatchPending)
		return d, true
	}
	if m != nil && m.State == wire.PatchHeld {
		d.Counted, d.Reason = true, fault.Because(fault.HeldOnDevice, "packages", names(m.Packages))
		return d, true
	}
	if h, code, held := heldBy(w.scene.Holds, w.scene.Campaign, w.ring().Name, string(item.ID), string(w.device.ID)); held && code == fault.ItemHeld {
		d.Counted, d.State, d.Reason = true, patch.Waiting, h.because(code)
		return d, true
	}
	return d, false
}

// attempt: what is left may be tried, unless it has been tried enough.
func (w *weighing) attempt(d ItemDecision, p *Progress) ItemDecision {
	d.Counted = true
	switch {
	case w.busyWith(d.Item):
		d.State, d.Reason, d.Next = StateOf(w.device.Order.Step), w.orderReason(), w.device.Order.Next
	case p == nil:
		d.Reason = fault.Reason{}
	case p.NoEffects >= Quarantine:
		d.State, d.Reason = patch.Failed, fault.Because(fault.Quarantined, "attempts", strconv.Itoa(p.NoEffects))
	case p.State == patch.Failed && p.Attempts >= w.scene.Terms.Attempts:
		d.State = patch.Failed // its own cause says more than a count would
	case p.State == patch.Failed && w.now.Before(p.Next):
		d.Next = p.Next
		w.lookAt(p.Next)
	case p.State == patch.Waiting && w.now.Before(p.Next):
		d.Next = p.Next
		w.lookAt(p.Next)
	case p.State != patch.Failed:
		d.State, d.Reason = patch.Applicable, fault.Reason{} // its order ended without it, or it is missing again
	}
	return d
}

// add weighs a decision on the device and, if nothing stands against it, puts
// the item in the next order.
func (w *weighing) add(d ItemDecision, item Item, packages []wire.Change) {
	w.items = append(w.items, d)
	if !d.Counted {
		w.excuse(d)
		return
	}
	switch {
	case d.State == patch.RolledBack:
		w.exempt = orElse(w.exempt, d.Reason)
	case d.Reason.Code == fault.HeldOnDevice || d.Reason.Code == fault.LocalVeto:
		w.exempt = orElse(w.exempt, d.Reason)
	case d.State == patch.Superseded:
		w.failed = orElse(w.failed, d.Reason)
	case d.State == patch.Failed:
		w.failed = orElse(w.failed, d.Reason)
		if w.retries(d) {
			w.propose(item, packages)
		}
	case d.State == patch.Waiting && d.Reason.Code == fault.ItemHeld:
		w.wait(d.Reason)
	case d.State.Settled():
	case d.State == patch.InstalledPendingReboot:
		w.wait(d.Reason)
	default:
		w.propose(item, packages)
	}
}

// retries tells whether a failed item is due for another attempt.
func (w *weighing) retries(d ItemDecision) bool {
	p := w.progress(d.Item)
	return p != nil && p.NoEffects < Quarantine && p.Attempts < w.scene.Terms.Attempts && !w.now.Before(p.Next)
}

// propose: an item without packages in the last scan has nothing to name yet;
// the next scan will say.
func (w *weighing) propose(item Item, packages []wire.Change) {
	if len(packages) == 0 {
		w.wait(fault.Because(fault.AwaitingVerify))
		return
	}
	w.eligible = append(w.eligible, wire.Item{
		ID: string(item.ID), Provider: item.Key.Provider, Name: item.Key.Name, Version: item.Key.Version, Packages: packages,
	})
	w.wait(w.blocked)
}

// excuse: a declined or delayed patch is left out by a person's decision. It
// shows on the device only if nothing else does.
func (w *weighing) excuse(d ItemDecision) {
	switch d.Reason.Code {
	case fault.PatchDeclined, fault.PatchDelayed, fault.PatchPending:
		if !d.State.Settled() {
			w.exempt = orElse(w.exempt, d.Reason)
		}
	}
}

// deviceBlock is what stops the whole device, whatever the item.
func (w *weighing) deviceBlock() fault.Reason {
	ring := w.ring()
	h, code, held := heldBy(w.scene.Holds, w.scene.Campaign, ring.Name, "", string(w.device.ID))
	switch {
	case !w.scene.State.Active():
		return inactive(w.scene.State)
	case held && code == fault.DeviceHeld:
		w.exempt = h.because(code)
		return w.exempt
	case held:
		return h.because(code)
	case !ring.State.Opened():
		return fault.Because(fault.RingNotOpen, "ring", ring.Name, "opens", rfc(ring.Opens))
	case !ring.Stopped.IsZero() && !w.hasFailed():
		return ring.Stopped
	}
	return fault.Reason{}
}

// hasFailed: the breaker stops others from meeting a failure, not the device
// that has it from trying again.
func (w *weighing) hasFailed() bool {
	for _, p := range w.device.Progress {
		if p.State == patch.Failed {
			return true
		}
	}
	return false
}

func (w *weighing) ring() RingView { return w.scene.Rings[w.device.Position] }

func orElse(a, b fault.Reason) fault.Reason {
	if a.IsZero() {
		return b
	}
	return a
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return rfc(t)
}

func names(changes []wire.Change) string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.Name
	}
	return strings.Join(list, " ")
}
