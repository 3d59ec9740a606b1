package campaign

import (
	"strconv"
	"time"

	"patchring/internal/core/checklist"
	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
)

// RingState is where one ring stands, for the sealed content or for one amendment.
type RingState string

// Ring states.
const (
	RingPending  RingState = "pending"
	RingOpen     RingState = "open"
	RingSoaking  RingState = "soaking"
	RingGate     RingState = "gate"
	RingPromoted RingState = "promoted" // its gate passed
	RingDone     RingState = "done"     // and nobody is left to reach
)

// Opened tells whether devices of the ring may receive orders.
func (s RingState) Opened() bool { return s != RingPending && s != "" }

// Passed tells whether the next ring may open.
func (s RingState) Passed() bool { return s == RingPromoted || s == RingDone }

// Ring is all that is decided on for one ring.
type Ring struct {
	Campaign  ID
	State     State // of the campaign
	Name      string
	Ring      RingState
	Verdict   Verdict // of the gate, as last decided
	Opens     time.Time
	Closes    time.Time
	Opened    time.Time // when it really opened; zero: not yet, or not known
	SoakUntil time.Time
	Soak      time.Duration
	Expedited bool
	Gate      procedure.Gate
	Counters  Counters
	SignOffs  []SignOff
	Holds     []Hold
	Seen      Seen
	OpenTasks int // manual tasks bound to the ring that nobody has closed
	Tests     checklist.Tally
	Incidents map[procedure.Severity]int // of the ring or of the whole campaign, not closed
	First     bool
	Previous  Before
	// Undo: it is a ring of a rollback. One without anything to undo is passed.
	Undo bool
	// Rehearsals of rollbacks that its gate waits for.
	Rehearsals Rehearsals
}

// Before is what a ring needs to know of the one before it.
type Before struct {
	Name  string
	State RingState
}

// RingDecision is what happens to a ring now.
type RingDecision struct {
	State     RingState
	Verdict   Verdict
	Reasons   []fault.Reason
	Evidence  []Evidence
	SoakUntil time.Time
	// Look is when to decide again; zero: only when something changes.
	Look time.Time
}

// DecideRing gives the ring's next state. Deciding twice on the same values
// changes nothing, and a decision moves at most one step: the caller decides
// again while the state changes.
func DecideRing(now time.Time, r Ring) RingDecision {
	d := RingDecision{State: r.Ring, Verdict: r.Verdict, SoakUntil: r.SoakUntil, Evidence: r.evidence()}
	if why := r.standsStill(); !why.IsZero() {
		d.Reasons = because(why)
		return d
	}
	switch r.Ring {
	case RingPending:
		return decidePending(now, r, d)
	case RingOpen:
		return decideOpen(now, r, d)
	case RingSoaking:
		return decideSoaking(now, r, d)
	case RingGate:
		return decideGate(r, d)
	case RingPromoted, RingDone:
		return decidePassed(r, d)
	default:
		return d
	}
}

// standsStill: nothing moves a ring before its campaign runs, after its end, or
// under a hold. A gate that has passed is not taken back.
func (r Ring) standsStill() fault.Reason {
	switch r.State {
	case Closed:
		return fault.Because(fault.CampaignClosed)
	case Running, Verifying:
	case Draft:
		return fault.Because(fault.CampaignDraft)
	default:
		return fault.Because(fault.CampaignNotOpen)
	}
	if h, held := heldBy(r.Holds, r.Campaign, r.Name, ""); held && !r.Ring.Passed() {
		return h.because()
	}
	return fault.Reason{}
}

func decidePending(now time.Time, r Ring, d RingDecision) RingDecision {
	switch {
	case !r.First && !r.Previous.State.Passed() && (!r.Undo || !r.Expedited):
		d.Reasons = because(fault.Because(fault.RingWaitsPrevious, "ring", r.Previous.Name))
	case now.Before(r.Opens) && !r.Expedited:
		d.Reasons = because(fault.Because(fault.RingWaitsCalendar, "opens", rfc(r.Opens)))
		d.Look = r.Opens
	default:
		d.State = RingOpen
	}
	return d
}

// closes: a ring that opened late, or early, stays open as long as it should
// have.
func (r Ring) closes() time.Time {
	if r.Opened.IsZero() {
		return r.Closes
	}
	return r.Closes.Add(r.Opened.Sub(r.Opens))
}

// decideOpen: the ring is watched from when everyone has an outcome, or enough
// of them for its gate, or from when it closes. One device that is away does
// not keep the others from being watched.
func decideOpen(now time.Time, r Ring, d RingDecision) RingDecision {
	if now.Before(r.closes()) && r.Counters.NotReached > 0 && !r.enough() {
		d.Reasons = because(fault.Because(fault.RingRunning, "not_reached", strconv.Itoa(r.Counters.NotReached)))
		if stopped := r.Breaker(); !stopped.IsZero() {
			d.Reasons = append(d.Reasons, stopped)
		}
		d.Look = r.closes()
		return d
	}
	d.State = RingSoaking
	d.SoakUntil = now
	if !r.Expedited {
		d.SoakUntil = now.Add(r.Soak)
	}
	return d
}

func decideSoaking(now time.Time, r Ring, d RingDecision) RingDecision {
	if now.Before(r.SoakUntil) && !r.Expedited {
		d.Reasons = because(fault.Because(fault.RingSoaking, "until", rfc(r.SoakUntil)))
		d.Look = r.SoakUntil
		return d
	}
	d.State = RingGate
	return d
}

func decideGate(r Ring, d RingDecision) RingDecision {
	d.Verdict, d.Evidence, d.Reasons = r.Judge()
	if d.Verdict == Pass {
		d.State = RingPromoted
	}
	return d
}

// decidePassed: the ring is done while nobody is left to reach; a device that
// joins it later is somebody.
func decidePassed(r Ring, d RingDecision) RingDecision {
	d.State, d.Verdict, d.Reasons = RingDone, Pass, because(fault.Because(fault.GatePassed))
	if r.Counters.NotReached+r.Counters.Unreachable > 0 {
		d.State = RingPromoted
	}
	return d
}

func because(r fault.Reason) []fault.Reason { return []fault.Reason{r} }
