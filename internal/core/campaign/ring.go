package campaign

import (
	"strconv"
	"time"

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
	SoakUntil time.Time
	Soak      time.Duration
	Expedited bool
	Gate      procedure.Gate
	Counters  Counters
	SignOffs  []SignOff
	Holds     []Hold
	First     bool
	Previous  Before
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
	d := RingDecision{State: r.Ring, Verdict: r.Verdict, SoakUntil: r.SoakUntil}
	if !r.State.Active() {
		d.Reasons = because(inactive(r.State))
		return d
	}
	if h, code, held := heldBy(r.Holds, r.Campaign, r.Name, "", ""); held && !r.Ring.Passed() {
		d.Reasons = because(h.because(code))
		d.Evidence = r.evidence()
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
		return decideGate(now, r, d)
	case RingPromoted:
		if r.Counters.NotReached+r.Counters.Unreachable == 0 {
			d.State = RingDone
		}
		d.Verdict = Pass
		d.Evidence = r.evidence()
		return d
	default:
		d.Evidence = r.evidence()
		return d
	}
}

func decidePending(now time.Time, r Ring, d RingDecision) RingDecision {
	switch {
	case !r.First && !r.Previous.State.Passed():
		d.Reasons = because(fault.Because(fault.RingWaitsPrevious, "ring", r.Previous.Name))
	case now.Before(r.Opens) && !r.Expedited:
		d.Reasons = because(fault.Because(fault.RingWaitsCalendar, "opens", rfc(r.Opens)))
		d.Look = r.Opens
	default:
		d.State = RingOpen
	}
	return d
}

// decideOpen: the ring is watched from when everyone has an outcome, or from
// its closing date. An expedited ring does not wait for the date.
func decideOpen(now time.Time, r Ring, d RingDecision) RingDecision {
	d.Evidence = r.evidence()
	reached := r.Counters.NotReached == 0
	if !reached && now.Before(r.Closes) {
		d.Reasons = because(fault.Because(fault.RingRunning, "not_reached", strconv.Itoa(r.Counters.NotReached)))
		if reason, over := r.tooManyFailed(); over {
			d.Reasons = append(d.Reasons, reason)
		}
		d.Look = r.Closes
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
	d.Evidence = r.evidence()
	if now.Before(r.SoakUntil) && !r.Expedited {
		d.Reasons = because(fault.Because(fault.RingSoaking, "until", rfc(r.SoakUntil)))
		d.Look = r.SoakUntil
		return d
	}
	d.State = RingGate
	return d
}

func decideGate(_ time.Time, r Ring, d RingDecision) RingDecision {
	d.Verdict, d.Evidence, d.Reasons = r.Judge()
	if d.Verdict == Pass {
		d.State = RingPromoted
	}
	return d
}

func because(r fault.Reason) []fault.Reason { return []fault.Reason{r} }

func inactive(s State) fault.Reason {
	if s == Closed {
		return fault.Because(fault.CampaignClosed)
	}
	return fault.Because(fault.CampaignNotOpen)
}
