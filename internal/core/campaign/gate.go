package campaign

import (
	"fmt"
	"strconv"
	"time"

	"patchring/internal/core/fault"
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
	Name string `json:"name"` // devices, done_percent, failed, unreachable_percent, not_reached_percent
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
	evidence := r.evidence()
	reasons, insufficient := r.missingEvidence()
	if !insufficient {
		reasons = append(reasons, r.failedCriteria()...)
	}
	reasons = append(reasons, r.missingSignOffs()...)
	switch {
	case insufficient:
		return InsufficientEvidence, evidence, reasons
	case len(reasons) > 0:
		return Stop, evidence, reasons
	default:
		return Pass, evidence, because(fault.Because(fault.GatePassed))
	}
}

// missingEvidence: a percentage of nobody, or of fewer outcomes than the gate
// wants to see, says nothing.
func (r Ring) missingEvidence() ([]fault.Reason, bool) {
	c := r.Counters
	if c.Expected() == 0 {
		return because(fault.Because(fault.GateEmptyRing)), true
	}
	if outcomes := c.Done + c.Failed; outcomes < r.minDevices() {
		return because(fault.Because(fault.GateTooFew,
			"have", strconv.Itoa(outcomes), "need", strconv.Itoa(r.minDevices()))), true
	}
	return nil, false
}

func (r Ring) minDevices() int { return max(1, r.Gate.MinDevices) }

func (r Ring) failedCriteria() []fault.Reason {
	var reasons []fault.Reason
	add := func(ok bool, code fault.Code, args ...string) {
		if !ok {
			reasons = append(reasons, fault.Because(code, args...))
		}
	}
	done, unreachable, notReached := r.percent(r.Counters.Done), r.percent(r.Counters.Unreachable), r.percent(r.Counters.NotReached)
	add(done >= r.Gate.MinDonePercent, fault.GateDoneTooLow, "have", number(done), "need", number(r.Gate.MinDonePercent))
	add(r.Counters.Failed <= r.Gate.MaxFailed, fault.GateFailedTooMany,
		"have", strconv.Itoa(r.Counters.Failed), "max", strconv.Itoa(r.Gate.MaxFailed))
	add(unreachable <= r.Gate.MaxUnreachablePercent, fault.GateUnreachable,
		"have", number(unreachable), "max", number(r.Gate.MaxUnreachablePercent))
	add(notReached <= r.Gate.MaxNotReachedPercent, fault.GateNotReached,
		"have", number(notReached), "max", number(r.Gate.MaxNotReachedPercent))
	return reasons
}

// tooManyFailed is the criterion that stops a ring while it is still open.
func (r Ring) tooManyFailed() (fault.Reason, bool) {
	if r.Counters.Failed <= r.Gate.MaxFailed {
		return fault.Reason{}, false
	}
	return fault.Because(fault.GateFailedTooMany,
		"have", strconv.Itoa(r.Counters.Failed), "max", strconv.Itoa(r.Gate.MaxFailed)), true
}

// Breaker is why nobody else of an open ring receives the content for now:
// more have failed than its gate will accept. Zero while all is well.
func (r Ring) Breaker() fault.Reason {
	reason, _ := r.tooManyFailed()
	return reason
}

// missingSignOffs: each role the gate asks for must have said yes, last. A
// later word of the same role replaces its earlier one.
func (r Ring) missingSignOffs() []fault.Reason {
	var reasons []fault.Reason
	for _, rule := range r.Gate.SignOffs {
		latest, signed := r.latest(rule.Role)
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

func (r Ring) latest(role string) (SignOff, bool) {
	var latest SignOff
	found := false
	for _, s := range r.SignOffs {
		if s.Role == role && (!found || !s.At.Before(latest.At)) {
			latest, found = s, true
		}
	}
	return latest, found
}

func (r Ring) evidence() []Evidence {
	c := r.Counters
	unknown := c.Expected() == 0
	percent := func(name string, n int, op string, need float64, ok bool) Evidence {
		e := Evidence{Name: name, Have: number(r.percent(n)), Need: op + " " + number(need), OK: ok && !unknown, Unknown: unknown}
		if unknown {
			e.Have = ""
		}
		return e
	}
	outcomes := c.Done + c.Failed
	return []Evidence{
		{Name: EvidenceDevices, Have: strconv.Itoa(outcomes), Need: fmt.Sprintf(">= %d", r.minDevices()), OK: outcomes >= r.minDevices()},
		percent(EvidenceDone, c.Done, ">=", r.Gate.MinDonePercent, r.percent(c.Done) >= r.Gate.MinDonePercent),
		{Name: EvidenceFailed, Have: strconv.Itoa(c.Failed), Need: fmt.Sprintf("<= %d", r.Gate.MaxFailed), OK: c.Failed <= r.Gate.MaxFailed && !unknown, Unknown: unknown},
		percent(EvidenceUnreachable, c.Unreachable, "<=", r.Gate.MaxUnreachablePercent, r.percent(c.Unreachable) <= r.Gate.MaxUnreachablePercent),
		percent(EvidenceNotReached, c.NotReached, "<=", r.Gate.MaxNotReachedPercent, r.percent(c.NotReached) <= r.Gate.MaxNotReachedPercent),
	}
}

// percent of those expected; 0 when nobody is.
func (r Ring) percent(n int) float64 {
	if r.Counters.Expected() == 0 {
		return 0
	}
	return 100 * float64(n) / float64(r.Counters.Expected())
}

// number writes a percentage with one decimal at most.
func number(f float64) string { return strconv.FormatFloat(float64(int64(f*10+0.5))/10, 'f', -1, 64) }
