package campaign

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// Goal is what a device is being brought to.
type Goal string

// Goals.
const (
	Install  Goal = "install"
	RollBack Goal = "rollback"
)

// Device is all that is decided on for one device of one campaign (and one
// amendment of it).
type Device struct {
	ID       fleet.DeviceID
	Position int // its ring
	Goal     Goal
	Retired  bool
	LastSeen time.Time
	ScanAt   time.Time // zero: never
	Scan     wire.ScanStatus
	ScanWhy  string // the cause's code when Scan is not ok
	// RebootPending is what the device last said; an install that waits for a
	// reboot is verified by a scan made when this is no longer so.
	RebootPending bool
	Missing       []Missing
	Progress      []Progress
	Order         *OpenOrder
	// OtherCampaign names another campaign whose order the device is busy with.
	OtherCampaign string
	// Windows are the intervals from now on in which it may act.
	Windows []calendar.Interval
}

// Missing is one patch its last scan says is applicable.
type Missing struct {
	ID       patch.ID
	Key      patch.Key
	Class    patch.Class
	State    string // wire.PatchOffered, PatchHeld, …
	Packages []wire.Change
}

// Progress is what the campaign knows of one item on the device.
type Progress struct {
	Item      patch.ID
	State     patch.State
	Reason    fault.Reason
	Attempts  int
	NoEffects int // installs that claimed success and changed nothing
	Rollback  bool
	Packages  []wire.Change // as reported: From before, To after, with what is known of the rollback
	Next      time.Time     // no attempt before
	Updated   time.Time
}

// OpenOrder is the order the device has now.
type OpenOrder struct {
	ID      string
	Kind    wire.OrderKind
	Step    wire.Step
	Cause   fault.Reason // why it waits, in the agent's words
	Next    time.Time    // when the agent tries again by itself
	Issued  time.Time
	Expires time.Time
	Items   []patch.ID
}

// Scene is what is the same for every device of a ring.
type Scene struct {
	Campaign ID
	State    State
	Sealed   time.Time
	Rings    []RingView
	Content  Content
	// Amendment limits the decision to its items.
	Amendment int
	Rules     policy.Rules
	Terms     Terms
	Holds     []Hold
}

// RingView is what a device needs to know of a ring.
type RingView struct {
	Name  string
	State RingState
	Opens time.Time
	// Stopped is set while more devices have failed than its gate allows:
	// nobody else receives what fails.
	Stopped fault.Reason
}

// ItemDecision is where one item stands on the device.
type ItemDecision struct {
	Item    patch.ID
	State   patch.State
	Reason  fault.Reason
	Next    time.Time // zero: not known
	Counted bool      // it weighs on the device's bucket
}

// DeviceDecision is what a device gets now.
type DeviceDecision struct {
	Bucket Bucket
	Reason fault.Reason // the one that decided the bucket; zero when done
	Items  []ItemDecision
	Order  *OrderSpec
	Cancel bool // the open order no longer stands
	Rescan bool // its last scan is too old to decide on
	// Look is when to decide again; zero: only when something changes.
	Look time.Time
}

// OrderSpec is an order to be written, signed and sent.
type OrderSpec struct {
	Kind    wire.OrderKind
	Items   []wire.Item
	Windows []calendar.Interval
	Expires time.Time
}

// DecideDevice gives a device's next act. It changes nothing it is given, and
// the same values give the same decision.
func DecideDevice(now time.Time, s Scene, d Device) DeviceDecision {
	if d.Retired {
		return DeviceDecision{Bucket: Exempt, Reason: fault.Because(fault.DeviceRetired, "device", string(d.ID)), Cancel: d.Order != nil}
	}
	w := weighing{now: now, scene: s, device: d}
	if d.Goal == RollBack {
		w.rollback()
	} else {
		w.install()
	}
	return w.decide()
}

// weighing collects what each item means for the device.
type weighing struct {
	now    time.Time
	scene  Scene
	device Device

	items    []ItemDecision
	eligible []wire.Item
	blocked  fault.Reason // the whole device waits for this
	failed   fault.Reason
	waiting  fault.Reason
	exempt   fault.Reason
	look     time.Time
}

// decide turns what was collected into one bucket and at most one order. An
// order in flight is left alone unless nothing of it may happen any more.
func (w *weighing) decide() DeviceDecision {
	out := DeviceDecision{Items: w.items, Look: w.look}
	out.Rescan = w.needsScan()
	busy := w.inFlight()
	switch {
	case busy && w.revoked():
		out.Cancel = true
	case busy:
		w.waiting = w.orderReason()
		w.lookAt(w.device.Order.Expires)
	case len(w.eligible) > 0:
		w.order(&out)
	}
	out.Bucket, out.Reason = w.bucket()
	if out.Bucket == NotReached && !fleet.Reachable(w.device.LastSeen, w.now, w.scene.Terms.UnreachableAfter) {
		out.Bucket = Unreachable
		out.Reason = fault.Because(fault.DeviceUnreachable, "since", rfc(w.device.LastSeen))
	} else if out.Bucket == NotReached {
		w.lookAt(w.device.LastSeen.Add(w.scene.Terms.UnreachableAfter))
	}
	out.Look = w.look
	return out
}

// bucket: a failure shows even while other items wait; what is left out on
// purpose shows only when nothing else is to be said.
func (w *weighing) bucket() (Bucket, fault.Reason) {
	switch {
	case !w.failed.IsZero():
		return Failed, w.failed
	case !w.exempt.IsZero() && w.exempt.Code == fault.DeviceHeld:
		return Exempt, w.exempt
	case !w.waiting.IsZero():
		return NotReached, w.waiting
	case !w.blocked.IsZero():
		return NotReached, w.blocked
	case w.needsScan():
		return NotReached, w.scanReason()
	case !w.exempt.IsZero():
		return Exempt, w.exempt
	default:
		return Done, fault.Reason{}
	}
}

func (w *weighing) order(out *DeviceDecision) {
	kind := wire.OrderInstall
	if w.device.Goal == RollBack {
		kind = wire.OrderRollback
	}
	switch {
	case !w.blocked.IsZero():
		w.wait(w.blocked)
	case w.device.OtherCampaign != "":
		w.wait(fault.Because(fault.OtherOrder, "campaign", w.device.OtherCampaign))
	case len(w.device.Windows) == 0:
		w.wait(fault.Because(fault.NoWindow))
		w.lookAt(w.now.Add(noWindowLook))
	default:
		windows := w.device.Windows
		out.Order = &OrderSpec{Kind: kind, Items: w.eligible, Windows: windows, Expires: windows[len(windows)-1].End}
		w.wait(fault.Because(fault.OrderInFlight, "step", "", "since", rfc(w.now)))
		w.lookAt(out.Order.Expires)
	}
}

// noWindowLook: a device without a window is looked at again daily, in case
// its tags or the procedure's horizon bring one.
const noWindowLook = 24 * time.Hour

func (w *weighing) wait(r fault.Reason) {
	if w.waiting.IsZero() {
		w.waiting = r
	}
}

func (w *weighing) lookAt(t time.Time) {
	if t.After(w.now) && (w.look.IsZero() || t.Before(w.look)) {
		w.look = t
	}
}

// inFlight: the device has an order of this campaign that has not expired.
func (w *weighing) inFlight() bool {
	return w.device.Order != nil && w.now.Before(w.device.Order.Expires)
}

// revoked tells that the open order must not begin: it is of another goal than
// the device's, or an item of it may not be installed any more. An install
// that has begun is left to its end.
func (w *weighing) revoked() bool {
	o := w.device.Order
	if begun(o.Step) {
		return false
	}
	if (o.Kind == wire.OrderRollback) != (w.device.Goal == RollBack) {
		return true
	}
	for _, id := range o.Items {
		item, ok := w.scene.Content.Item(id)
		if !ok || o.Kind == wire.OrderInstall && (item.Withdrawn || w.verdict(item.Key, w.classOf(id)).Verdict != policy.Approved) {
			return true
		}
	}
	return false
}

func begun(step wire.Step) bool {
	switch step {
	case wire.StepInstall, wire.StepSettle, wire.StepReboot, wire.StepVerify, wire.StepProbe, wire.StepReport, wire.StepDone:
		return true
	}
	return false
}

// orderReason: what the agent itself says it waits for, else how far it is.
func (w *weighing) orderReason() fault.Reason {
	o := w.device.Order
	if !o.Cause.IsZero() {
		return o.Cause
	}
	return fault.Because(fault.OrderInFlight, "step", string(o.Step), "since", rfc(o.Issued))
}

// needsScan: "nothing is missing" counts only from a scan that ran, with fresh
// lists, after the content was sealed.
func (w *weighing) needsScan() bool {
	return w.scene.State != Scheduled && w.device.Goal != RollBack &&
		(w.device.Scan != wire.ScanOK || w.device.ScanAt.Before(w.scene.Sealed))
}

func (w *weighing) scanReason() fault.Reason {
	switch {
	case w.device.ScanAt.IsZero():
		return fault.Because(fault.NeverScanned)
	case w.device.Scan == wire.ScanFailed:
		return fault.Because(fault.ScanRefused, "cause", w.device.ScanWhy)
	default:
		return fault.Because(fault.ScanStale, "at", rfc(w.device.ScanAt))
	}
}

func (w *weighing) verdict(key patch.Key, class patch.Class) policy.Outcome {
	return w.scene.Rules.Judge(key, class, w.now)
}

func (w *weighing) classOf(id patch.ID) patch.Class {
	for _, m := range w.device.Missing {
		if m.ID == id {
			return m.Class
		}
	}
	return patch.Unknown
}
