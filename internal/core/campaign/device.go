package campaign

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/pace"
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
	Groups   []string     // the explicit groups it is in
	Match    policy.Match // what of the policies it fits
	LastSeen time.Time
	ScanAt   time.Time // of the last scan that learnt something; zero: never
	Scan     wire.ScanStatus
	ScanWhy  string // the cause's code when Scan is not ok
	// RebootPending is what the device last said, and Booted when it last
	// started. An install that waits for a reboot is verified by a scan made
	// after it.
	RebootPending bool
	Booted        time.Time
	Missing       []Missing
	Progress      []Progress
	Order         *OpenOrder
	// OtherCampaign names another campaign whose order the device is busy with.
	OtherCampaign string
	// OtherYields tells that this order has not begun, and is of no emergency: an
	// emergency takes its place.
	OtherYields bool
	// Model is what the machine is, for what past installs took on its like.
	Model string
	// RebootsInside tells that it may reboot in the windows of its installs.
	RebootsInside bool
	// Rebooting tells that an order to reboot is under way on it.
	Rebooting bool
	// Windows are the intervals from now on in which it may act, sorted and
	// disjoint.
	Windows []calendar.Interval
	// Frozen is the freeze that is on now; zero: none. Windows leave it out.
	Frozen fault.Reason
	// Crowds are the limits it is under.
	Crowds []Crowd
}

// Missing is one patch its last scan says is applicable.
type Missing struct {
	policy.Patch
	ID       patch.ID
	State    string // wire.PatchOffered, PatchHeld, …
	Packages []wire.Change
	Exposed  time.Time // since when this patch, or one that it replaces, is missing
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
	Windows []calendar.Interval // as they were ordered
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
	Pace      pace.Learned // how long past installs took
	Rehearse  Rehearse     // on devices of the first ring

	sheet *policy.Sheet
}

// Prepared makes a scene ready for many devices: what policy says of the content
// is worked out once for all that fit the same conditions. It then belongs to
// one goroutine.
func (s Scene) Prepared(now time.Time) Scene {
	if s.sheet == nil || !s.sheet.Current(now) {
		s.sheet = policy.NewSheet(s.Rules, s.Content.patches(), now)
	}
	return s
}

// RingView is what a device needs to know of a ring.
type RingView struct {
	Name  string
	State RingState
	Opens time.Time
	// Stopped is set while more devices have failed than its gate allows:
	// nobody else receives the content, only those that failed go on.
	Stopped fault.Reason
}

// ItemDecision is where one item stands on the device.
type ItemDecision struct {
	Item    patch.ID
	State   patch.State
	Reason  fault.Reason
	Next    time.Time // zero: not known
	Counted bool      // it weighs on the device's bucket
	// NoEffect: a scan contradicts what was claimed. The caller keeps it as one
	// more install without effect, by Progress.Contradict.
	NoEffect bool
	// Rehearsal is the stage that its rollback's rehearsal has come to; empty: as
	// it was.
	Rehearsal RehearsalStage
}

// DeviceDecision is what a device gets now.
type DeviceDecision struct {
	Bucket  Bucket
	Reason  fault.Reason // the one that decided the bucket; zero when done
	Items   []ItemDecision
	Order   *OrderSpec
	Cancel  bool // the open order no longer stands
	Expired bool // the open order's time has run out
	Rescan  bool // its last scan is too old to decide on
	// Look is when to decide again, now at the earliest; zero: only when
	// something changes.
	Look time.Time
}

// OrderSpec is an order to be written, signed and sent.
type OrderSpec struct {
	Kind    wire.OrderKind
	Items   []wire.Item
	Windows []calendar.Interval
	Expires time.Time
	// Preempts: the other campaign's order has to be cancelled for it.
	Preempts bool
	Need     calendar.Needs // what it takes by what is known; 0: nothing is
}

// DecideDevice gives a device's next act. It changes nothing it is given, and
// the same values give the same decision.
func DecideDevice(now time.Time, s Scene, d Device) DeviceDecision {
	if d.Retired {
		return DeviceDecision{Bucket: Exempt, Reason: fault.Because(fault.DeviceRetired, "device", string(d.ID)), Cancel: d.Order != nil}
	}
	s = s.Prepared(now)
	w := weigh(now, &s, &d)
	return w.decide()
}

// weighing collects what each item means for the device.
type weighing struct {
	now    time.Time
	scene  *Scene
	device *Device
	ring   *RingView
	stop   stop
	undo   bool // it is being rolled back
	busy   bool // its order is in flight
	// ordered is where that order stands: the same for all of its items.
	ordered fault.Reason

	items    []ItemDecision
	eligible []wire.Item
	rehearse []wire.Item // to be undone and installed again, once nothing else is left to install
	verified bool        // something of the content is on it, or all that was has gone back
	failed   fault.Reason
	waiting  fault.Reason
	exempt   fault.Reason // left out on this device
	excused  fault.Reason // left out for everyone, by a decision on the patch
	rescan   bool
	look     time.Time
}

// weigh looks at every item.
func weigh(now time.Time, s *Scene, d *Device) weighing {
	w := weighing{now: now, scene: s, device: d, ring: &s.Rings[d.Position], undo: d.Goal == RollBack}
	if w.busy = w.inFlight(); w.busy {
		w.ordered = d.Order.reason()
	}
	w.stop = w.stopped()
	if w.undo {
		w.rollback()
		return w
	}
	w.install()
	return w
}

// holder is the device as policy sees it for a patch that its scan lists (m) or
// does not (nil).
func (w *weighing) holder(m *Missing) policy.Holder {
	h := policy.Holder{Device: w.device.ID, Groups: w.device.Groups, Match: w.device.Match}
	if m != nil {
		h.Exposed = m.Exposed
	}
	return h
}

// stop keeps everything from the device, whatever the patch.
type stop struct {
	reason fault.Reason
	exempt bool // a person left the device out
	early  bool // nothing can have happened here yet
}

// stopped: a rollback is stopped by its end, its ring that is not open yet, and
// by a hold on itself; not by those on others, because a hold is what usually
// comes before it.
func (w *weighing) stopped() stop {
	s := stop{early: w.scene.State == Scheduled || !w.ring.State.Opened()}
	hold, held := heldBy(w.scene.Holds, w.scene.Campaign, w.ring.Name, string(w.device.ID))
	switch {
	case w.scene.State == Closed:
		s.reason = fault.Because(fault.CampaignClosed)
	case w.undo && held && hold.Campaign == w.scene.Campaign:
		s.reason = hold.because()
	case w.undo && s.early:
		s.reason = fault.Because(fault.RingNotOpen, "ring", w.ring.Name, "opens", "")
	case w.undo:
	case w.scene.State == Draft:
		s.reason = fault.Because(fault.CampaignDraft)
	case !w.scene.State.Active():
		s.reason = fault.Because(fault.CampaignNotOpen, "opens", rfc(w.scene.Rings[0].Opens))
	case held && hold.code() == fault.DeviceHeld:
		s.reason, s.exempt = hold.because(), true
	case s.early:
		s.reason = fault.Because(fault.RingNotOpen, "ring", w.ring.Name, "opens", rfc(w.ring.Opens))
	case held:
		s.reason = hold.because()
	}
	return s
}

// decide turns what was collected into one bucket and at most one order. An
// order in flight is left alone unless nothing of it may happen any more.
func (w *weighing) decide() DeviceDecision {
	out := DeviceDecision{Items: w.items, Expired: w.device.Order != nil && !w.busy}
	switch {
	case w.busy && w.revoked():
		out.Cancel = true
		if len(w.eligible)+len(w.rehearse) > 0 || !w.waiting.IsZero() {
			w.waiting = orElse(w.stop.reason, fault.Because(fault.OrderCancelled))
		}
	case w.busy:
		w.waiting = w.ordered
		w.lookAt(w.overdue())
	case len(w.eligible)+len(w.rehearse) > 0 && w.broken():
		w.wait(w.ring.Stopped)
	case len(w.eligible) > 0:
		w.order(&out)
	case len(w.rehearse) > 0:
		w.orderRehearsal(&out)
	}
	out.Bucket, out.Reason = w.bucket()
	if out.Bucket == NotReached && !w.reachable() {
		out.Bucket, out.Reason = Unreachable, w.unreachable()
	} else if out.Bucket == NotReached {
		w.lookAt(w.device.LastSeen.Add(w.scene.Terms.UnreachableAfter))
	}
	out.Look, out.Rescan = w.look, w.rescan || w.mustScan()
	if out.Cancel {
		out.Look = w.now // without that order, something else may be due at once
	}
	return out
}

// bucket: a failure shows whatever else is true of the device, or a hold would
// hide it from the gate. Done needs nothing to be waiting and a scan that can
// be believed; what is left out on purpose shows when nothing else is to be
// said, and a patch left out for everyone only on a device that got nothing.
func (w *weighing) bucket() (Bucket, fault.Reason) {
	switch {
	case w.stop.early && w.stop.exempt:
		return Exempt, w.stop.reason
	case w.stop.early:
		return NotReached, w.stop.reason
	case !w.failed.IsZero():
		return Failed, w.failed
	case w.stop.exempt && (!w.waiting.IsZero() || w.needsScan()):
		return Exempt, w.stop.reason
	case !w.waiting.IsZero() && !w.busy:
		return NotReached, orElse(w.stop.reason, w.waiting)
	case !w.waiting.IsZero():
		return NotReached, w.waiting
	case w.needsScan():
		return NotReached, orElse(w.stop.reason, w.scanReason())
	case !w.exempt.IsZero():
		return Exempt, w.exempt
	case !w.verified && !w.excused.IsZero():
		return Exempt, w.excused
	default:
		return Done, fault.Reason{}
	}
}

func (w *weighing) wait(r fault.Reason) { w.waiting = orElse(w.waiting, r) }

func (w *weighing) lookAt(t time.Time) {
	if t.After(w.now) && (w.look.IsZero() || t.Before(w.look)) {
		w.look = t
	}
}

func (w *weighing) reachable() bool {
	return fleet.Reachable(w.device.LastSeen, w.now, w.scene.Terms.UnreachableAfter)
}

func (w *weighing) unreachable() fault.Reason {
	return fault.Because(fault.DeviceUnreachable, "since", until(w.device.LastSeen))
}

// needsScan: "nothing is missing" counts only from a scan that ran, with fresh
// lists, after the content was sealed.
func (w *weighing) needsScan() bool {
	return !w.undo && (w.device.Scan != wire.ScanOK || w.device.ScanAt.Before(w.scene.Sealed))
}

// mustScan: one is asked for when none was made since the sealing. A scan that
// failed is tried again by the agent in its own time: asking at once would keep
// a device with a broken repository scanning for ever.
func (w *weighing) mustScan() bool {
	return w.scene.State.Active() && w.needsScan() && w.device.Scan != wire.ScanFailed && w.device.ScanAt.Before(w.scene.Sealed)
}

func (w *weighing) scanReason() fault.Reason {
	switch {
	case w.device.Scan == wire.ScanFailed:
		return fault.Because(fault.ScanRefused, "cause", w.device.ScanWhy)
	case w.device.ScanAt.IsZero():
		return fault.Because(fault.NeverScanned)
	default:
		return fault.Because(fault.ScanStale, "at", rfc(w.device.ScanAt))
	}
}

func orElse(a, b fault.Reason) fault.Reason {
	if a.IsZero() {
		return b
	}
	return a
}
