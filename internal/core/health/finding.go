package health

import (
	"math"
	"strconv"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// Verdict on one measure, or on a ring as a whole.
type Verdict string

// Verdicts. No evidence is a verdict of its own, never a good one.
const (
	Better       Verdict = "better"
	Same         Verdict = "same"
	Worse        Verdict = "worse"
	Insufficient Verdict = "insufficient_evidence"
)

// Against is what patched devices were compared with.
type Against string

// What they can be compared with.
const (
	Others  Against = "others"   // devices not yet patched, over the same hours
	OwnPast Against = "own_past" // the days before, with the few others there are taken off
	NoOther Against = "no_other" // the days before only: everyone is patched
)

// Finding is the verdict on one measure.
type Finding struct {
	Measure wire.Measure `json:"measure"`
	Verdict Verdict      `json:"verdict"`
	Against Against      `json:"against"`
	// Share: the finding is of how many devices changed, each by itself; else of
	// how far they moved as a whole.
	Share   bool `json:"share"`
	Ratio   bool `json:"ratio" doc:"effect, low, high and matters are ratios; else differences, of shares in percent"`
	Patched int  `json:"patched" doc:"devices that could be compared"`
	Control int  `json:"control"`
	// What they usually are at those hours, and were: medians, as measured.
	Before        float64 `json:"before"`
	After         float64 `json:"after"`
	ControlBefore float64 `json:"control_before"`
	ControlAfter  float64 `json:"control_after"`
	Out           int     `json:"out" doc:"patched devices that changed for the worse, each by more than on any day before"`
	ControlOut    int     `json:"control_out"`
	Effect        float64 `json:"effect" doc:"higher is worse"`
	Low           float64 `json:"low" doc:"with high: 95 % interval of the effect, cut at ten times what matters"`
	High          float64 `json:"high"`
	Matters       float64 `json:"matters" doc:"the smallest effect that matters"`
	P             float64 `json:"p" doc:"of chance, corrected for how many measures were asked; compare with level"`
	Level         float64 `json:"level" doc:"what this look may use"`

	Reason fault.Reason `json:"reason"`
}

// Why nothing can be said of a measure, beside the gaps.
const (
	tooFew    = "too_few"
	tooSoon   = "too_soon"
	uncertain = "uncertain"
)

// amount is a measured value as reasons carry it: digits, then the unit.
func amount(v float64, unit string) string {
	digits := 1
	switch a := math.Abs(v); {
	case a >= 10:
		digits = 0
	case a < 1 && a > 0:
		digits = 2
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if text == "-0" || text == "-0.0" || text == "-0.00" {
		text = "0"
	}
	return text + unit
}

// leastP is the smallest probability that is spelt out.
const leastP = 0.0001

func probability(p float64) string {
	if p < leastP {
		return "<" + strconv.FormatFloat(leastP, 'f', -1, 64)
	}
	return strconv.FormatFloat(p, 'g', 1, 64)
}

// because words the finding as a reason.
func (f *Finding) because(r Rule, days int, why string) {
	measure, n := string(f.Measure), strconv.Itoa(f.Patched)
	args := []string{"measure", measure, "count", n, "before", amount(f.Before, r.Unit), "after", amount(f.After, r.Unit)}
	others := []string{"others", strconv.Itoa(f.Control), "others_before", amount(f.ControlBefore, r.Unit), "others_after", amount(f.ControlAfter, r.Unit)}
	p := []string{"p", probability(f.P)}
	past := []string{"days", strconv.Itoa(days)}
	join := func(lists ...[]string) []string {
		var all []string
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	some := []string{"measure", measure, "count", strconv.Itoa(f.Out), "of", n}
	switch {
	case f.Verdict == Insufficient:
		f.Reason = fault.Because(fault.HealthUnsure, "measure", measure, "count", n, "why", why)
	case f.Verdict == Same:
		f.Reason = fault.Because(fault.HealthSame, args...)
	case f.Verdict == Better && f.Against == Others:
		f.Reason = fault.Because(fault.HealthBetter, join(args, others)...)
	case f.Verdict == Better:
		f.Reason = fault.Because(fault.HealthBetterPast, join(args, past)...)
	case f.Share && f.Against == Others:
		f.Reason = fault.Because(fault.HealthWorseSome, join(some, []string{"others", strconv.Itoa(f.ControlOut), "others_of", strconv.Itoa(f.Control)}, p)...)
	case f.Share:
		f.Reason = fault.Because(fault.HealthWorseSomePast, join(some, past, p)...)
	case f.Against == Others:
		f.Reason = fault.Because(fault.HealthWorse, join(args, others, p)...)
	case f.Against == OwnPast:
		f.Reason = fault.Because(fault.HealthWorsePast, join(args, past, p)...)
	default:
		f.Reason = fault.Because(fault.HealthWorseAlone, join(args, past, p)...)
	}
}
