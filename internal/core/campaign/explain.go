package campaign

import (
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// Check is one link of the chain that leads to an install: what was asked, and
// what stands in the way if it did not hold.
type Check struct {
	Name   CheckName    `json:"check"`
	OK     bool         `json:"ok"`
	Reason fault.Reason `json:"reason"` // zero when there is nothing to add
	Next   time.Time    `json:"next"`   // when this link may change by itself; zero: not known
}

// CheckName is what a link of the chain asks.
type CheckName string

// The links, in the order they are asked.
const (
	CheckCampaign   CheckName = "campaign"   // is it running
	CheckContent    CheckName = "content"    // is the patch in it, and not withdrawn or going back
	CheckVerdict    CheckName = "verdict"    // does policy approve
	CheckPromotion  CheckName = "promotion"  // has the patch been promoted to the device's ring
	CheckRing       CheckName = "ring"       // is the ring open, and not stopped
	CheckHold       CheckName = "hold"       // does nothing hold it
	CheckScan       CheckName = "scan"       // is the last scan good enough
	CheckApplicable CheckName = "applicable" // does the device miss it
	CheckReachable  CheckName = "reachable"  // has the device been heard of
	CheckAttempts   CheckName = "attempts"   // may it be tried (again)
	CheckWindow     CheckName = "window"     // when may the device act
	CheckLimit      CheckName = "limit"      // are too many others down, or is it not its turn
	CheckOrder      CheckName = "order"      // where the order stands
)

// Explain gives the whole chain for one patch on one device, by the same rules
// that decide.
func Explain(now time.Time, s Scene, d Device, key patch.Key) []Check {
	s = s.Prepared(now)
	w := weigh(now, &s, &d)
	decision := DecideDevice(now, s, d)
	item, in := s.Content.Item(key.ID())
	var on *ItemDecision
	for i := range decision.Items {
		if decision.Items[i].Item == key.ID() {
			on = &decision.Items[i]
		}
	}
	chain := []Check{w.checkCampaign(), w.checkContent(item, in, on), w.checkVerdict(key)}
	if in {
		chain = append(chain, w.checkPromotion(item))
	}
	chain = append(append(chain, w.checkRing(key)), w.checkHold(key)...)
	return append(chain, w.checkScan(), w.checkApplicable(key, on), w.checkReachable(), w.checkAttempts(on), w.checkWindow(on), w.checkLimit(), w.checkOrder(decision))
}

// Blocking is the link that answers "why not": the first that does not hold.
func Blocking(chain []Check) (Check, bool) {
	for _, c := range chain {
		if !c.OK {
			return c, true
		}
	}
	return Check{}, false
}

// link holds when there is no reason why not.
func link(name CheckName, why fault.Reason) Check {
	return Check{Name: name, OK: why.IsZero(), Reason: why}
}

func (w *weighing) checkCampaign() Check {
	switch {
	case w.device.Retired:
		return link(CheckCampaign, fault.Because(fault.DeviceRetired, "device", string(w.device.ID)))
	case w.scene.State.Active():
		return link(CheckCampaign, fault.Reason{})
	default:
		c := link(CheckCampaign, w.stop.reason)
		if w.scene.State == Scheduled {
			c.Next = w.scene.Rings[0].Opens
		}
		return c
	}
}

func (w *weighing) checkContent(item Item, in bool, on *ItemDecision) Check {
	switch {
	case w.undo:
		return link(CheckContent, Asked(item.By, item.Why))
	case !in || item.Amendment != w.scene.Amendment:
		return link(CheckContent, fault.Because(fault.NotInContent, "campaign", string(w.scene.Campaign)))
	case on != nil && on.Reason.Code == fault.RollbackAsked:
		return link(CheckContent, on.Reason)
	case item.Withdrawn:
		return link(CheckContent, fault.Because(fault.ItemWithdrawn, "by", item.By, "reason", item.Why))
	default:
		return link(CheckContent, fault.Reason{})
	}
}

// checkVerdict: an item of the content was approved when it was sealed.
func (w *weighing) checkVerdict(key patch.Key) Check {
	m := w.listed(key.ID())
	at, in := w.contentAt(key.ID())
	var o policy.Outcome
	switch {
	case in:
		o = w.scene.sheet.Judge(at, w.holder(m), w.now)
	case m != nil:
		o = w.scene.Rules.Judge(&m.Patch, w.holder(m), w.now)
	default:
		o = w.scene.Rules.Judge(&policy.Patch{Key: key, Class: patch.Unknown}, w.holder(nil), w.now)
	}
	if in && m == nil && o.Verdict == policy.Pending {
		o.Verdict = policy.Approved
	}
	c := link(CheckVerdict, verdictReason(o))
	c.Next = o.Until
	return c
}

func (w *weighing) listed(id patch.ID) *Missing {
	for i := range w.device.Missing {
		if w.device.Missing[i].ID == id {
			return &w.device.Missing[i]
		}
	}
	return nil
}

func (w *weighing) checkPromotion(item Item) Check {
	if item.Promoted >= w.device.Position {
		return link(CheckPromotion, fault.Reason{})
	}
	return link(CheckPromotion, fault.Because(fault.ItemNotPromoted, "ring", w.scene.Rings[item.Promoted].Name))
}

// checkRing: a stopped ring stops what would be ordered.
func (w *weighing) checkRing(key patch.Key) Check {
	switch {
	case !w.ring.State.Opened():
		c := link(CheckRing, fault.Because(fault.RingNotOpen, "ring", w.ring.Name, "opens", rfc(w.ring.Opens)))
		c.Next = w.ring.Opens
		return c
	case w.broken() && (w.proposed(key.ID()) || w.rehearses(key.ID())):
		return link(CheckRing, w.ring.Stopped)
	default:
		return link(CheckRing, fault.Reason{})
	}
}

// checkHold is one link a hold in force: on everything here, and on the patch.
func (w *weighing) checkHold(key patch.Key) []Check {
	var links []Check
	if h, held := heldBy(w.scene.Holds, w.scene.Campaign, w.ring.Name, string(w.device.ID)); held {
		links = append(links, link(CheckHold, h.because()))
	}
	if at, in := w.contentAt(key.ID()); in {
		if g := w.scene.sheet.Safeguard(at, w.holder(nil)); g != nil {
			links = append(links, link(CheckHold, guardedBy(g)))
		}
	}
	if h, held := itemHeldBy(w.scene.Holds, w.scene.Campaign, w.ring.Name, string(w.device.ID), string(key.ID())); held {
		links = append(links, link(CheckHold, h.because()))
	}
	if links == nil {
		links = append(links, link(CheckHold, fault.Reason{}))
	}
	return links
}

func (w *weighing) checkScan() Check {
	if w.needsScan() {
		return link(CheckScan, w.scanReason())
	}
	return link(CheckScan, fault.Reason{})
}

func (w *weighing) checkApplicable(key patch.Key, on *ItemDecision) Check {
	m := w.listed(key.ID())
	switch {
	case m == nil && (on == nil || on.Reason.IsZero()):
		return link(CheckApplicable, fault.Because(fault.NotApplicable))
	case m != nil && m.State == wire.PatchHeld:
		return link(CheckApplicable, fault.Because(fault.HeldOnDevice, "packages", names(m.Packages)))
	case on == nil:
		return link(CheckApplicable, fault.Reason{})
	case !w.busyWith(on.Item) && (on.State == patch.InstalledPendingReboot || on.State == patch.Rebooting):
		return link(CheckApplicable, on.Reason)
	}
	switch on.Reason.Code {
	case fault.AwaitingVerify, fault.OtherOrder, fault.RollbackRehearsal, fault.RebootPendingNow:
		if !w.busyWith(on.Item) {
			return link(CheckApplicable, on.Reason)
		}
	case fault.VersionGone, fault.NotApplicable, fault.ScanStale, fault.ScanRefused, fault.NeverScanned:
		return link(CheckApplicable, on.Reason)
	}
	return link(CheckApplicable, fault.Reason{})
}

func (w *weighing) checkReachable() Check {
	if w.reachable() {
		return link(CheckReachable, fault.Reason{})
	}
	return link(CheckReachable, w.unreachable())
}

// checkAttempts: what failed says so even while it is tried again.
func (w *weighing) checkAttempts(on *ItemDecision) Check {
	if on == nil {
		return link(CheckAttempts, fault.Reason{})
	}
	p := w.progress(on.Item)
	switch {
	case p != nil && p.Rehearsal.Stage == RehearsalFailed:
		item, _ := w.scene.Content.Item(on.Item)
		return link(CheckAttempts, p.rehearsalFailure(&item))
	case on.State == patch.Failed:
		return Check{Name: CheckAttempts, OK: w.proposed(on.Item), Reason: on.Reason, Next: on.Next}
	case p.owes():
		return Check{Name: CheckAttempts, OK: true, Reason: p.failure(w.scene.Terms)}
	case p != nil && w.now.Before(p.Next):
		return Check{Name: CheckAttempts, Reason: on.Reason, Next: on.Next}
	default:
		return link(CheckAttempts, fault.Reason{})
	}
}

// proposed tells that the item goes into the next order.
func (w *weighing) proposed(id patch.ID) bool {
	for i := range w.eligible {
		if w.eligible[i].ID == string(id) {
			return true
		}
	}
	return false
}

func (w *weighing) rehearses(id patch.ID) bool {
	return slices.ContainsFunc(w.rehearse, func(i wire.Item) bool { return i.ID == string(id) })
}

func (w *weighing) checkWindow(on *ItemDecision) Check {
	if on != nil && (on.Reason.Code == fault.WindowNever || on.Reason.Code == fault.NeedsWindows) {
		return link(CheckWindow, on.Reason)
	}
	windows := Ahead(w.device.Windows, w.now)
	if len(windows) == 0 {
		return link(CheckWindow, w.closed())
	}
	c := Check{Name: CheckWindow, OK: windows[0].Contains(w.now), Next: windows[0].Start}
	if !c.OK {
		c.Reason = orElse(w.device.Frozen, fault.Because(fault.OutsideWindow, "next", rfc(windows[0].Start)))
	}
	return c
}

func (w *weighing) checkLimit() Check {
	if w.busy {
		return link(CheckLimit, fault.Reason{})
	}
	for _, c := range w.device.Crowds {
		if r := c.stops(); !r.IsZero() {
			return link(CheckLimit, r)
		}
	}
	return link(CheckLimit, fault.Reason{})
}

func (w *weighing) checkOrder(decision DeviceDecision) Check {
	switch {
	case decision.Cancel:
		return link(CheckOrder, fault.Because(fault.OrderCancelled))
	case w.busy:
		return Check{Name: CheckOrder, OK: true, Reason: w.ordered, Next: w.device.Order.Next}
	case w.device.Rebooting:
		return link(CheckOrder, fault.Because(fault.RebootOrdered))
	case len(w.rehearse) > 0 && len(w.eligible) == 0 && w.device.RebootPending:
		return link(CheckOrder, fault.Because(fault.RebootPendingNow))
	case w.otherFirst():
		return link(CheckOrder, fault.Because(fault.OtherOrder, "campaign", w.device.OtherCampaign))
	default:
		return link(CheckOrder, fault.Reason{})
	}
}
