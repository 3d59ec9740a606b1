package campaign

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
)

// Verdict is what a gate says.
type Verdict string

// Gate verdicts. No data is never a pass: it has a verdict of its own.
const (
	Undecided            Verdict = ""
	Pass                 Verdict = "pass"
	Stop                 Verdict = "hold"
	InsufficientEvidence Verdict = "insufficient_evidence"
)

// Evidence is one measured fact beside what the gate asks for.
type Evidence struct {
	Name string `json:"name"` // devices, done_percent, failed, unreachable_percent, not_reached_percent, rehearsed
	Have string `json:"have"`
	Need string `json:"need"` // with its comparison: ">= 95", "<= 0"
	OK   bool   `json:"ok"`
	// Unknown: there is nothing to measure it on.
	Unknown bool `json:"unknown,omitempty"`
}

// Names of evidence.
const (
	EvidenceDevices     = "devices"
	EvidenceDone        = "done_percent"
	EvidenceFailed      = "failed"
	EvidenceUnreachable = "unreachable_percent"
	EvidenceNotReached  = "not_reached_percent"
	EvidenceRehearsed   = "rehearsed"
	EvidenceProven      = "proven_percent"
	EvidenceUse         = "use_hours"
	EvidenceRegressions = "regressions"
	EvidenceComplaints  = "complaints"
	EvidenceHealth      = "health"
)

// SignOff is a recorded yes or no on a gate.
type SignOff struct {
	Role    string
	Yes     bool
	Actor   string
	Comment string
	At      time.Time
}

// Judge measures the gate: evidence first, then sign-offs. Everything that
// stands in the way is named, not only the first.
func (r Ring) Judge() (Verdict, []Evidence, []fault.Reason) {
	if r.Undo && r.Counters.Expected() == 0 {
		return Pass, r.evidence(), because(fault.Because(fault.GatePassed))
	}
	reasons, insufficient := r.missingEvidence()
	if insufficient {
		if stopped := r.Breaker(); !stopped.IsZero() {
			reasons = append(reasons, stopped) // too few to call it good can be enough to call it bad
		}
	} else {
		reasons = r.failedCriteria()
	}
	reasons = slices.Concat(reasons, r.lacking(), r.Rehearsals.missing(), r.openTasks(), missingSignOffs(r.Gate.SignOffs, r.SignOffs))
	switch {
	case insufficient:
		return InsufficientEvidence, r.evidence(), reasons
	case len(reasons) > 0:
		return Stop, r.evidence(), reasons
	default:
		return Pass, r.evidence(), because(fault.Because(fault.GatePassed))
	}
}

// missingEvidence: a percentage of nobody, or of fewer outcomes than the gate
// wants to see, says nothing.
func (r Ring) missingEvidence() ([]fault.Reason, bool) {
	if r.Counters.Expected() == 0 {
		return because(fault.Because(fault.GateEmptyRing)), true
	}
	if have, need := r.outcomes(), r.minDevices(); have < need {
		return because(fault.Because(fault.GateTooFew, "have", strconv.Itoa(have), "need", strconv.Itoa(need))), true
	}
	if r.Ring != RingGate && r.Ring != RingSoaking {
		return nil, false // what is measured is asked for when the ring has been watched
	}
	unmeasured := r.unmeasured()
	return unmeasured, len(unmeasured) > 0
}

func (r Ring) outcomes() int { return r.Counters.Done + r.Counters.Failed }

func (r Ring) minDevices() int { return max(1, r.Gate.MinDevices) }

// criteria are what the gate compares: all must hold.
func (r Ring) criteria() []criterion {
	c, g := r.Counters, r.Gate
	return []criterion{
		{EvidenceDone, r.percent(c.Done), g.MinDonePercent, true, fault.GateDoneTooLow},
		{EvidenceFailed, float64(c.Failed), float64(g.MaxFailed), false, fault.GateFailedTooMany},
		{EvidenceUnreachable, r.percent(c.Unreachable), g.MaxUnreachablePercent, false, fault.GateUnreachable},
		{EvidenceNotReached, r.percent(c.NotReached), g.MaxNotReachedPercent, false, fault.GateNotReached},
	}
}

type criterion struct {
	name       string
	have, need float64
	atLeast    bool // else at most
	code       fault.Code
}

func (c criterion) holds() bool {
	if c.atLeast {
		return c.have >= c.need
	}
	return c.have <= c.need
}

// slack forgives what binary fractions do to 94.3.
const slack = 1e-6

// shown rounds what was measured away from what is asked, so that what just
// misses never reads as if it fitted.
func (c criterion) shown() string {
	if c.atLeast {
		return number(math.Floor(c.have*10+slack) / 10)
	}
	return number(max(0, math.Ceil(c.have*10-slack)/10)) // and never "-0"
}

func (c criterion) because() fault.Reason {
	limit := "max"
	if c.atLeast {
		limit = "need"
	}
	return fault.Because(c.code, "have", c.shown(), limit, number(c.need))
}

func (r Ring) failedCriteria() []fault.Reason {
	var reasons []fault.Reason
	for _, c := range append(r.criteria(), r.proof()...) {
		if c.holds() {
			continue
		}
		why := c.because()
		if c.code == fault.GateRegressions {
			why.Args["measures"] = strings.Join(r.Seen.Worse, ",")
		}
		reasons = append(reasons, why)
	}
	return reasons
}

// enough tells that so many devices have their outcome that the gate would not
// wait for the others.
func (r Ring) enough() bool {
	if _, insufficient := r.missingEvidence(); insufficient {
		return false
	}
	for _, c := range r.criteria() {
		if c.code != fault.GateFailedTooMany && !c.holds() {
			return false
		}
	}
	return true
}

// Breaker is why nobody else of an open ring receives the content for now:
// more have failed than its gate will accept. Zero while all is well.
func (r Ring) Breaker() fault.Reason {
	if r.Counters.Failed <= r.Gate.MaxFailed {
		return fault.Reason{}
	}
	return fault.Because(fault.GateFailedTooMany, "have", strconv.Itoa(r.Counters.Failed), "max", strconv.Itoa(r.Gate.MaxFailed))
}

// openTasks: what a person still has to do in the ring is not done by waiting.
func (r Ring) openTasks() []fault.Reason {
	if r.OpenTasks == 0 {
		return nil
	}
	return because(fault.Because(fault.GateTaskOpen, "count", strconv.Itoa(r.OpenTasks)))
}

// missingSignOffs: each role that is asked for must have said yes, last. A
// later word of the same role replaces its earlier one.
func missingSignOffs(rules []procedure.SignOffRule, said []SignOff) []fault.Reason {
	var reasons []fault.Reason
	for _, rule := range rules {
		latest, signed := latest(said, rule.Role)
		switch {
		case !signed:
			reasons = append(reasons, fault.Because(fault.GateSignOffMissing, "role", rule.Role))
		case !latest.Yes:
			reasons = append(reasons, fault.Because(fault.GateSignOffRefused,
				"role", rule.Role, "by", latest.Actor, "comment", latest.Comment))
		}
	}
	return reasons
}

func latest(said []SignOff, role string) (SignOff, bool) {
	var latest SignOff
	found := false
	for _, s := range said {
		if s.Role == role && (!found || !s.At.Before(latest.At)) {
			latest, found = s, true
		}
	}
	return latest, found
}

func (r Ring) evidence() []Evidence {
	unknown := r.Counters.Expected() == 0
	out := make([]Evidence, 0, 5)
	out = append(out, Evidence{
		Name: EvidenceDevices, Have: strconv.Itoa(r.outcomes()), Need: ">= " + strconv.Itoa(r.minDevices()), OK: r.outcomes() >= r.minDevices(),
	})
	for _, c := range r.criteria() {
		e := c.evidence()
		if unknown {
			e.Have, e.OK, e.Unknown = "", false, true
		}
		out = append(out, e)
	}
	return slices.Concat(out, r.proofEvidence(), r.lackingEvidence(), r.Rehearsals.evidence())
}

func (c criterion) evidence() Evidence {
	e := Evidence{Name: c.name, Have: c.shown(), Need: "<= " + number(c.need), OK: c.holds()}
	if c.atLeast {
		e.Need = ">= " + number(c.need)
	}
	return e
}

// percent of those expected; 0 when nobody is.
func (r Ring) percent(n int) float64 {
	if r.Counters.Expected() == 0 {
		return 0
	}
	return 100 * float64(n) / float64(r.Counters.Expected())
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
