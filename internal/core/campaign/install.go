package campaign

import (
	"strconv"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// install weighs every content item that the device's last scan, or the
// campaign's own memory of the device, speaks of. What neither mentions does
// not apply to the device.
func (w *weighing) install() {
	var few [16]uint64 // on the stack for most campaigns
	seen := marksFor(few[:], len(w.scene.Content.items))
	w.items = make([]ItemDecision, 0, min(max(len(w.device.Missing), len(w.device.Progress)), len(w.scene.Content.items)))
	for i := range w.device.Missing {
		m := &w.device.Missing[i]
		if at, ok := w.contentAt(m.ID); ok {
			seen.set(at)
			w.weigh(at, m, w.progress(m.ID))
		}
	}
	for i := range w.device.Missing {
		w.otherVersion(&w.device.Missing[i], seen)
	}
	for i := range w.device.Progress {
		p := &w.device.Progress[i]
		if at, ok := w.contentAt(p.Item); ok && !seen.has(at) {
			w.weigh(at, nil, p)
		}
	}
}

// marks is a set of places in the content.
type marks []uint64

func marksFor(few []uint64, n int) marks {
	if words := n/64 + 1; words > len(few) {
		return make(marks, words)
	}
	return few
}

func (m marks) set(i int)      { m[i/64] |= 1 << (i % 64) }
func (m marks) has(i int) bool { return m[i/64]&(1<<(i%64)) != 0 }

// contentAt is the place of an item of this amendment.
func (w *weighing) contentAt(id patch.ID) (int, bool) {
	at, ok := w.scene.Content.byID[id]
	return at, ok && w.scene.Content.items[at].Amendment == w.scene.Amendment
}

func (w *weighing) progress(id patch.ID) *Progress {
	for i := range w.device.Progress {
		if w.device.Progress[i].Item == id {
			return &w.device.Progress[i]
		}
	}
	return nil
}

// weigh says where one item stands on the device, and what that means for it.
// m is nil when the last scan does not offer it.
func (w *weighing) weigh(at int, m *Missing, p *Progress) {
	item := &w.scene.Content.items[at]
	p = w.restored(p)
	d := ItemDecision{Item: item.ID, State: patch.Applicable}
	if p != nil {
		d.State, d.Reason = p.State, p.Reason
	}
	switch {
	case w.undone(&d, item, p), w.excluded(&d, item), w.rehearsing(&d, item, m, p):
	case w.settled(&d, item, m, p):
		w.rehearsed(&d, at, p)
	case w.refused(&d, at, m):
	case !w.busyWith(item.ID) && (w.guarded(&d, at, m) || w.stopsItem(&d, item, m)):
		if p.owes() { // stopping it does not undo its failure
			d.State, d.Reason = patch.Failed, p.failure(w.scene.Terms)
			w.fail(d.Reason)
		}
	default:
		w.attempt(&d, item, m, p)
	}
	w.items = append(w.items, d)
}

// excluded: the item is not, or not yet, for this device's ring.
func (w *weighing) excluded(d *ItemDecision, item *Item) bool {
	switch {
	case item.Withdrawn:
		d.Reason = fault.Because(fault.ItemWithdrawn, "by", item.By, "reason", item.Why)
	case item.Promoted < w.device.Position:
		d.Reason = fault.Because(fault.ItemNotPromoted, "ring", w.scene.Rings[item.Promoted].Name)
	default:
		return false
	}
	return true
}

// settled recognises what needs nothing more, or only a scan: verified and
// still there, installed and waiting for its reboot, or no longer
// applicable. A scan from before the last word on the item says nothing of it.
func (w *weighing) settled(d *ItemDecision, item *Item, m *Missing, p *Progress) bool {
	if p == nil || w.busyWith(p.Item) {
		return false
	}
	d.Counted = true
	newer := w.device.ScanAt.After(p.Updated)
	if p.State == patch.InstalledPendingReboot {
		newer = newer && !w.device.ScanAt.Before(w.device.Booted)
	}
	switch {
	case p.State == patch.InstalledPendingReboot && w.device.RebootPending:
		d.Reason = orElse(p.Reason, fault.Because(fault.RebootPendingNow))
		w.wait(d.Reason)
	case m != nil && newer && p.claims():
		w.contradict(d, item, p)
	case p.State == patch.InstalledPendingReboot && newer && w.device.Scan == wire.ScanOK:
		d.State, d.Reason, w.verified = patch.Verified, fault.Reason{}, true
	case p.State == patch.InstalledPendingReboot:
		d.Reason = fault.Because(fault.AwaitingVerify)
		w.wait(d.Reason)
		w.rescan = !newer && w.device.Scan != wire.ScanFailed
	case p.State == patch.Verified:
		d.Reason, w.verified = fault.Reason{}, true
	case p.State == patch.NotApplicable && (m == nil || !newer):
	case m == nil && p.State == patch.Failed && afterInstall(p.Reason.Code):
		// It was installed and failed afterwards, at its service for example:
		// that no scan lists it any more is no recovery.
		d.State, d.Reason = patch.Failed, p.failure(w.scene.Terms)
		w.fail(d.Reason)
	case m == nil && newer && w.device.Scan == wire.ScanOK:
		// Someone else installed or removed it.
		d.State, d.Reason = patch.NotApplicable, fault.Because(fault.NotApplicable)
	default:
		d.Counted = false
		return false
	}
	return true
}

// afterInstall tells causes that say nothing of the package, which may well be
// at its new version.
func afterInstall(code fault.Code) bool { return code == fault.ToolFailed || code == fault.HookFailed }

// claims tells that the device said that nothing more is to be done. One that
// found nothing to do counts only if an order had asked it to look.
func (p *Progress) claims() bool {
	switch p.State {
	case patch.Verified, patch.InstalledPendingReboot:
		return true
	case patch.NotApplicable:
		return len(p.Packages) > 0
	}
	return false
}

// contradict: the device said it was done and its own scan offers it again.
func (w *weighing) contradict(d *ItemDecision, item *Item, p *Progress) {
	why := fault.Because(fault.NoEffect, "package", item.Key.Name, "version", item.Key.Version)
	after := p.Contradict(why, w.scene.Terms, w.now)
	d.State, d.Reason, d.NoEffect = patch.Failed, why, true
	switch {
	case after.NoEffects >= Quarantine:
		d.Reason = quarantined(after.NoEffects)
	case after.Attempts < w.scene.Terms.Attempts:
		d.Next = after.Next
	}
	w.fail(d.Reason)
	w.lookAt(d.Next)
}

func quarantined(times int) fault.Reason {
	return fault.Because(fault.Quarantined, "attempts", strconv.Itoa(times))
}

// refused: policy says no. An item that the device does not list was approved
// when the content was sealed, so that nothing has decided on it since is no
// refusal.
func (w *weighing) refused(d *ItemDecision, at int, m *Missing) bool {
	o := w.scene.sheet.Judge(at, w.holder(m), w.now)
	w.lookAt(o.Until)
	why := verdictReason(o)
	if why.IsZero() || o.Verdict == policy.Pending && m == nil {
		return false
	}
	d.Reason = why
	if o.Verdict == policy.Delayed {
		d.Next = o.Until
	}
	if o.Exception.ID != "" {
		d.Counted = true
		w.exempt = orElse(w.exempt, why)
		return true
	}
	w.excused = orElse(w.excused, why)
	return true
}

// verdictReason is zero when the patch is approved.
func verdictReason(o policy.Outcome) fault.Reason {
	switch {
	case o.Verdict == policy.Approved:
		return fault.Reason{}
	case o.Exception.ID != "":
		return fault.Because(fault.ExceptionInForce, "exception", o.Exception.ID, "owner", o.Exception.Owner, "reason", o.Exception.Reason, "until", until(o.Until))
	case o.Verdict == policy.Declined && o.Decision.Actor == "":
		return fault.Because(fault.DeclinedByRule, "rule", o.Rule, "until", until(o.Until))
	case o.Verdict == policy.Declined:
		return fault.Because(fault.PatchDeclined, "by", o.Decision.Actor, "reason", o.Decision.Reason, "until", until(o.Until))
	case o.Verdict == policy.Delayed && o.Decision.Actor == "":
		return fault.Because(fault.DelayedByRule, "rule", o.Rule, "until", until(o.Until))
	case o.Verdict == policy.Delayed:
		return fault.Because(fault.PatchDelayed, "until", until(o.Until))
	default:
		return fault.Because(fault.PatchPending)
	}
}

// guarded: a safeguard of the policy holds the item back from devices like this.
func (w *weighing) guarded(d *ItemDecision, at int, m *Missing) bool {
	guard := w.scene.sheet.Safeguard(at, w.holder(m))
	if guard == nil {
		return false
	}
	d.Counted, d.State = true, patch.Waiting
	d.Reason = guardedBy(guard)
	w.wait(d.Reason)
	return true
}

func guardedBy(g *policy.Safeguard) fault.Reason {
	return fault.Because(fault.SafeguardHold, "safeguard", g.Name, "reason_fr", g.Reason.FR, "reason_en", g.Reason.EN)
}

// stopsItem asks the others who may say no: the device's administrator, the
// distributor, a hold.
func (w *weighing) stopsItem(d *ItemDecision, item *Item, m *Missing) bool {
	hold, held := itemHeldBy(w.scene.Holds, w.scene.Campaign, w.ring.Name, string(w.device.ID), string(item.ID))
	switch {
	case m != nil && m.State == wire.PatchHeld:
		d.Reason = fault.Because(fault.HeldOnDevice, "packages", names(m.Packages))
		w.exempt = orElse(w.exempt, d.Reason)
	case m != nil && m.State == wire.PatchPhased:
		// Not offered to this device yet, so not missing on it.
		d.State, d.Reason = patch.NotApplicable, fault.Because(fault.NotApplicable)
	case held && hold.Device != "":
		d.State, d.Reason = patch.Waiting, hold.because()
		w.exempt = orElse(w.exempt, d.Reason)
	case held:
		d.State, d.Reason = patch.Waiting, hold.because()
		w.wait(d.Reason)
	default:
		return false
	}
	d.Counted = true
	return true
}

// attempt: what is left may be tried, unless it has been tried enough.
func (w *weighing) attempt(d *ItemDecision, item *Item, m *Missing, p *Progress) {
	d.Counted = true
	if p.owes() {
		d.State, d.Reason = patch.Failed, p.failure(w.scene.Terms)
		if p.NoEffects >= Quarantine {
			d.Reason = quarantined(p.NoEffects)
		}
		w.fail(d.Reason)
	}
	switch {
	case w.busyWith(item.ID):
		w.inOrder(d)
	case p != nil && (p.NoEffects >= Quarantine || p.Attempts >= w.scene.Terms.Attempts):
	case p != nil && w.now.Before(p.Next):
		d.Next = p.Next
		w.lookAt(p.Next)
		w.pause(d, p)
	default:
		if !p.owes() {
			d.State, d.Reason = patch.Applicable, fault.Reason{}
		}
		w.propose(d, item, m, p)
	}
}

// pause: not before p.Next. A veto of the device's own administrator leaves the
// patch out there, however often it is asked about.
func (w *weighing) pause(d *ItemDecision, p *Progress) {
	switch {
	case p.owes():
	case p.Reason.Code == fault.LocalVeto:
		w.exempt = orElse(w.exempt, d.Reason)
	default:
		w.wait(d.Reason)
	}
}

// propose puts an item in the next order, if nothing stands against that. What
// the last scan does not list has no packages to name: the next scan will say.
func (w *weighing) propose(d *ItemDecision, item *Item, m *Missing, p *Progress) {
	switch {
	case m == nil || len(m.Packages) == 0:
		d.Reason = orElse(d.Reason, w.scanReason())
		w.wait(d.Reason)
		w.rescan = w.rescan || w.device.Scan != wire.ScanFailed && p != nil && !w.device.ScanAt.After(p.Updated)
	case !w.stop.reason.IsZero():
		w.wait(w.stop.reason)
	default:
		if w.eligible == nil {
			w.eligible = make([]wire.Item, 0, cap(w.items))
		}
		w.eligible = append(w.eligible, wire.Item{
			ID: string(item.ID), Provider: item.Key.Provider, Name: item.Key.Name, Version: item.Key.Version, Packages: m.Packages,
		})
	}
}

func (w *weighing) fail(r fault.Reason) { w.failed = orElse(w.failed, r) }

// otherVersion: the scan offers another version of something in the content. It
// is never installed in its place: what no ring has seen must pass as an
// amendment. A newer one means that the sealed version is gone, which someone
// must settle; an older one that the device's source has not got it yet.
func (w *weighing) otherVersion(m *Missing, seen marks) {
	if _, ok := w.contentAt(m.ID); ok {
		return
	}
	for _, at := range w.scene.Content.byName[nameOf(m.Key)] {
		item := &w.scene.Content.items[at]
		p := w.progress(item.ID)
		if item.Amendment != w.scene.Amendment || seen.has(at) || w.busyWith(item.ID) || p != nil && p.there() {
			continue
		}
		newer := patch.Newer(m.Key, item.Key)
		if newer && (w.replaced(m.Key) || past(item.Key, m)) {
			continue
		}
		seen.set(at)
		w.notOffered(at, m, p, newer)
	}
}

func (w *weighing) notOffered(at int, m *Missing, p *Progress, newer bool) {
	item := &w.scene.Content.items[at]
	d := ItemDecision{Item: item.ID, State: patch.Waiting}
	if !w.excluded(&d, item) && !w.refused(&d, at, nil) {
		d.Counted = true
		d.Reason = fault.Because(fault.VersionGone, "package", item.Key.Name, "version", item.Key.Version, "available", m.Key.Version)
		switch {
		case newer:
			d.State = patch.Superseded
			w.fail(d.Reason)
		case p.owes():
			d.State, d.Reason = patch.Failed, p.failure(w.scene.Terms)
			w.fail(d.Reason)
		default:
			w.wait(d.Reason)
		}
	}
	w.items = append(w.items, d)
}

// there tells that the sealed version was installed here, or needs not be,
// before another one appeared.
func (p *Progress) there() bool {
	switch p.State {
	case patch.Verified, patch.InstalledPendingReboot, patch.NotApplicable, patch.RolledBack:
		return true
	}
	return false
}

// replaced tells that the newer version is itself content, by an amendment:
// then that one is what the device waits for.
func (w *weighing) replaced(newer patch.Key) bool {
	item, ok := w.scene.Content.Item(newer.ID())
	return ok && !item.Withdrawn
}

// past tells that the device already has the sealed version or a later one, and
// is only offered the next. That can be read only where packages carry their
// source's version (perhaps rebuilt: 1.2-3+b1); elsewhere it is not known, and
// not knowing is not having.
func past(sealed patch.Key, m *Missing) bool {
	for _, c := range m.Packages {
		have := sealed
		have.Version = c.From
		if c.From == "" || !strings.HasPrefix(c.To, m.Key.Version) || patch.Newer(sealed, have) {
			return false
		}
	}
	return len(m.Packages) > 0
}

func names(changes []wire.Change) string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.Name
	}
	return strings.Join(list, ",")
}
