package campaign

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
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
	CheckContent    CheckName = "content"    // is the patch in it, and not withdrawn
	CheckVerdict    CheckName = "verdict"    // does policy approve
	CheckPromotion  CheckName = "promotion"  // has the patch been promoted to the device's ring
	CheckRing       CheckName = "ring"       // is the ring open, and not stopped
	CheckHold       CheckName = "hold"       // does nothing hold it
	CheckScan       CheckName = "scan"       // is the last scan good enough
	CheckApplicable CheckName = "applicable" // does the device miss it
	CheckReachable  CheckName = "reachable"  // has the device been heard of
	CheckAttempts   CheckName = "attempts"   // may it be tried (again)
	CheckWindow     CheckName = "window"     // when may the device act
	CheckOrder      CheckName = "order"      // where the order stands
)

// Explain gives the whole chain for one patch on one device, by the same rules
// that decide.
func Explain(now time.Time, s Scene, d Device, key patch.Key) []Check {
	w := weighing{now: now, scene: s, device: d}
	decision := DecideDevice(now, s, d)
	chain := []Check{w.checkCampaign()}
	item, ok := s.Content.Item(key.ID())
	chain = append(chain, w.checkContent(item, ok), w.checkVerdict(key))
	if ok {
		chain = append(chain, w.checkPromotion(item))
	}
	chain = append(chain, w.checkRing(), w.checkHold(key), w.checkScan(), w.checkApplicable(key, decision), w.checkReachable())
	chain = append(chain, checkAttempts(key, decision), w.checkWindow(), w.checkOrder())
	return chain
}

func (w *weighing) checkCampaign() Check {
	if w.scene.State.Active() {
		return Check{Name: CheckCampaign, OK: true}
	}
	return Check{Name: CheckCampaign, Reason: inactive(w.scene.State)}
}

func (w *weighing) checkContent(item Item, in bool) Check {
	switch {
	case !in:
		return Check{Name: CheckContent, Reason: fault.Because(fault.NotInContent, "campaign", string(w.scene.Campaign))}
	case item.Withdrawn:
		return Check{Name: CheckContent, Reason: fault.Because(fault.ItemWithdrawn, "by", item.By, "reason", item.Why)}
	default:
		return Check{Name: CheckContent, OK: true}
	}
}

func (w *weighing) checkVerdict(key patch.Key) Check {
	o := w.verdict(key, w.classOf(key.ID()))
	switch o.Verdict {
	case policy.Approved:
		return Check{Name: CheckVerdict, OK: true}
	case policy.Delayed:
		return Check{Name: CheckVerdict, Reason: fault.Because(fault.PatchDelayed, "until", rfc(o.Until)), Next: o.Until}
	case policy.Declined:
		return Check{Name: CheckVerdict, Next: o.Until, Reason: fault.Because(fault.PatchDeclined,
			"by", o.Decision.Actor, "reason", o.Decision.Reason, "until", until(o.Until))}
	default:
		return Check{Name: CheckVerdict, Reason: fault.Because(fault.PatchPending)}
	}
}

func (w *weighing) checkPromotion(item Item) Check {
	if item.Promoted >= w.device.Position {
		return Check{Name: CheckPromotion, OK: true}
	}
	return Check{Name: CheckPromotion, Reason: fault.Because(fault.ItemNotPromoted, "ring", w.scene.Rings[item.Promoted].Name)}
}

func (w *weighing) checkRing() Check {
	ring := w.ring()
	switch {
	case !ring.State.Opened():
		return Check{Name: CheckRing, Reason: fault.Because(fault.RingNotOpen, "ring", ring.Name, "opens", rfc(ring.Opens)), Next: ring.Opens}
	case !ring.Stopped.IsZero():
		return Check{Name: CheckRing, Reason: ring.Stopped}
	default:
		return Check{Name: CheckRing, OK: true}
	}
}

func (w *weighing) checkHold(key patch.Key) Check {
	h, code, held := heldBy(w.scene.Holds, w.scene.Campaign, w.ring().Name, string(key.ID()), string(w.device.ID))
	if held {
		return Check{Name: CheckHold, Reason: h.because(code)}
	}
	return Check{Name: CheckHold, OK: true}
}

func (w *weighing) checkScan() Check {
	if w.needsScan() {
		return Check{Name: CheckScan, Reason: w.scanReason()}
	}
	return Check{Name: CheckScan, OK: true}
}

func (w *weighing) checkApplicable(key patch.Key, decision DeviceDecision) Check {
	for _, d := range decision.Items {
		if d.Item == key.ID() && d.State == patch.Superseded {
			return Check{Name: CheckApplicable, Reason: d.Reason}
		}
	}
	for _, m := range w.device.Missing {
		if m.ID == key.ID() {
			if m.State == wire.PatchHeld {
				return Check{Name: CheckApplicable, Reason: fault.Because(fault.HeldOnDevice, "packages", names(m.Packages))}
			}
			return Check{Name: CheckApplicable, OK: true}
		}
	}
	return Check{Name: CheckApplicable, Reason: fault.Because(fault.NotApplicable)}
}

func (w *weighing) checkReachable() Check {
	if fleet.Reachable(w.device.LastSeen, w.now, w.scene.Terms.UnreachableAfter) {
		return Check{Name: CheckReachable, OK: true}
	}
	return Check{Name: CheckReachable, Reason: fault.Because(fault.DeviceUnreachable, "since", rfc(w.device.LastSeen))}
}

func checkAttempts(key patch.Key, decision DeviceDecision) Check {
	for _, d := range decision.Items {
		if d.Item == key.ID() && d.State == patch.Failed {
			return Check{Name: CheckAttempts, Reason: d.Reason, Next: d.Next}
		}
	}
	return Check{Name: CheckAttempts, OK: true}
}

func (w *weighing) checkWindow() Check {
	if len(w.device.Windows) == 0 {
		return Check{Name: CheckWindow, Reason: fault.Because(fault.NoWindow)}
	}
	next := w.device.Windows[0]
	if next.Contains(w.now) {
		return Check{Name: CheckWindow, OK: true, Next: next.Start}
	}
	return Check{Name: CheckWindow, Reason: fault.Because(fault.OutsideWindow, "next", rfc(next.Start)), Next: next.Start}
}

func (w *weighing) checkOrder() Check {
	switch {
	case w.inFlight():
		return Check{Name: CheckOrder, OK: true, Reason: w.orderReason(), Next: w.device.Order.Next}
	case w.device.OtherCampaign != "":
		return Check{Name: CheckOrder, Reason: fault.Because(fault.OtherOrder, "campaign", w.device.OtherCampaign)}
	default:
		return Check{Name: CheckOrder, OK: true}
	}
}
