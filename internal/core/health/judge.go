package health

import (
	"math"
	"slices"

	"patchring/internal/core/chance"
	"patchring/wire"
)

// Alpha is how often the looks at one ring of one campaign, all measures
// together, may call it worse by chance: one ring in a hundred.
const Alpha = 0.01

// Compared are the movements of one measure.
type Compared struct {
	Patched, Control []Movement
	Gaps             map[Gap]int // patched devices that could not be compared
}

// Ask is one look at a ring.
type Ask struct {
	Look     int // counted from 1: each may use less than the one before
	Patched  int // devices looked at
	Measures map[wire.Measure]*Compared
}

// Health of a ring, as one look found it.
type Health struct {
	Verdict  Verdict   `json:"verdict"`
	Look     int       `json:"look"`
	Patched  int       `json:"patched"`
	Findings []Finding `json:"findings"` // the worst first
}

// What a verdict asks for beside significance.
const (
	level      = 0.95 // of the intervals
	fewestOut  = 2    // devices of which each is worse by itself
	leastShare = 0.01 // more of them than among the others
	sameShare  = 0.10 // up to so many more may be worse, for "same"
	// fewestOthers: fewer are no group; their changes are taken off the patched
	// ones' and the days before say how much that usually is.
	fewestOthers = 3
	// reach is by how much the smallest probability that groups of a size can
	// give must be below what is asked for, for them to be compared as groups.
	reach = 20
	// guarded is up to how many patched devices the days before must not have had
	// as much: a few devices of one room move together.
	guarded = 40
	// fewestHours is how long a few devices must have been measured: one bad hour
	// of one device is not a change.
	fewestHours = 3
	// alone is how much more a change must be where everyone is patched: what
	// happened to all of them at once looks like the patch.
	alone = 1.5
	// far is at how many times what matters a device is far worse.
	far = 2.5
	// calm: however quiet the days before were, a change of a third of what
	// matters is taken as usual.
	calm = 1.0 / 3
	// shown is at how many times what matters an interval without an end is cut.
	shown = 10
)

// question is one test that Judge asks of a measure.
type question struct {
	Finding
	rule     Rule
	days     int
	p        float64 // of being worse by chance, before the correction
	pBetter  float64
	soon     bool // too few hours for so few devices
	large    bool // the effect is large enough to matter
	improved bool
	same     bool
}

// Judge looks at a ring once. All questions of all measures share what the look
// may use, by Holm's correction.
func Judge(a Ask) Health {
	h := Health{Look: a.Look, Patched: a.Patched}
	may := chance.Spend(Alpha, a.Look)
	var asked []question
	for _, rule := range Rules() {
		c := a.Measures[rule.Measure]
		if c == nil || len(c.Patched)+c.Gaps[NoValues]+c.Gaps[NoPast] == 0 {
			continue // nobody measures it
		}
		if f, enough := thin(rule, c, a.Patched); !enough {
			h.Findings = append(h.Findings, f)
			continue
		}
		if rule.Shift {
			asked = append(asked, askShift(rule, c, may))
		}
		if rule.Share {
			asked = append(asked, askShare(rule, c, may))
		}
		if rule.Shift && rule.Share && len(c.Patched) <= guarded {
			asked = append(asked, askFar(rule, c, may))
		}
	}
	h.Findings = append(h.Findings, answer(asked, may)...)
	slices.SortStableFunc(h.Findings, func(x, y Finding) int { return rank(x.Verdict) - rank(y.Verdict) })
	h.Verdict = overall(h.Findings)
	return h
}

func rank(v Verdict) int {
	return slices.Index([]Verdict{Worse, Insufficient, Better, Same}, v)
}

// overall: one measure that is worse makes the ring worse, and one of which
// nothing is known leaves it unknown.
func overall(findings []Finding) Verdict {
	if len(findings) == 0 {
		return Insufficient
	}
	switch findings[0].Verdict {
	case Better:
		return Same
	default:
		return findings[0].Verdict
	}
}

// thin refuses to judge by a minority: half of the devices looked at must have
// been measured, now and before.
func thin(r Rule, c *Compared, patched int) (Finding, bool) {
	if len(c.Patched) > 0 && 2*len(c.Patched) >= patched {
		return Finding{}, true
	}
	f := Finding{Measure: r.Measure, Verdict: Insufficient, Patched: len(c.Patched), Control: len(c.Control), P: 1, Matters: r.Matters, Ratio: r.Ratio}
	why := string(NoValues)
	if c.Gaps[NoPast] > c.Gaps[NoValues] {
		why = string(NoPast)
	}
	f.because(r, 0, why)
	return f, false
}

// asGroups tells whether groups of these sizes can at all give a probability as
// small as is asked for. It looks at sizes only: choosing the test by what it
// finds would find too much.
func asGroups(n, m int, may float64) bool {
	questions := 2 * float64(len(Rules()))
	return m >= fewestOthers && chance.Choose(n+m, n) >= math.Log(reach*questions/may)
}

func newQuestion(r Rule, c *Compared, may float64) question {
	q := question{rule: r, Finding: Finding{Measure: r.Measure, Patched: len(c.Patched), Control: len(c.Control), Ratio: r.Ratio, Matters: r.Matters, Against: OwnPast, Level: may}}
	switch {
	case asGroups(q.Patched, q.Control, may):
		q.Against = Others
	case q.Control == 0:
		q.Against = NoOther
	}
	q.Before, q.After = medianOf(c.Patched, before), medianOf(c.Patched, after)
	q.Out = outs(c.Patched, c.bar(r))
	q.soon = (q.Against != Others || q.Patched <= guarded) && medianOf(c.Patched, hours) < fewestHours
	if q.Control > 0 {
		q.ControlBefore, q.ControlAfter, q.ControlOut = medianOf(c.Control, before), medianOf(c.Control, after), outs(c.Control, c.bar(r))
	}
	return q
}

// askShift asks whether patched devices moved as a whole.
func askShift(r Rule, c *Compared, may float64) question {
	q := newQuestion(r, c, may)
	contrast, days := contrasts(c)
	q.days = len(days)
	matters := r.matters()
	var i chance.Interval
	switch q.Against {
	case Others:
		x, y := changes(c.Patched), changes(c.Control)
		q.p, q.pBetter, i = chance.RankSum(x, y), chance.RankSum(y, x), chance.Shift(x, y, level)
	case NoOther:
		matters *= alone
		fallthrough
	default:
		q.p, i = chance.Past(contrast, days, calm*r.matters(), level)
		q.pBetter, _ = chance.Past(-contrast, days, calm*r.matters(), level)
	}
	q.large, q.improved = i.Estimate >= matters, i.Estimate <= -matters
	if q.Against != Others || q.Patched <= guarded {
		q.large = q.large && len(days) >= MinPastDays && contrast > slices.Max(days)
		q.improved = q.improved && len(days) >= MinPastDays && contrast < slices.Min(days)
	}
	q.same = i.Low > -r.matters() && i.High < r.matters()
	q.Effect, q.Low, q.High = shownAs(r, i)
	return q
}

// shownAs gives the interval in the rule's own terms, cut where nobody can see
// how far it goes.
func shownAs(r Rule, i chance.Interval) (effect, low, high float64) {
	end := shown * r.matters()
	out := [3]float64{i.Estimate, max(-end, i.Low), min(end, i.High)}
	if r.Ratio {
		for k := range out {
			out[k] = math.Exp(out[k])
		}
	}
	return out[0], out[1], out[2]
}

// answer corrects for all questions and makes one finding of each measure's.
func answer(asked []question, may float64) []Finding {
	worse, better := make([]float64, len(asked)), make([]float64, len(asked))
	for i, q := range asked {
		worse[i], better[i] = q.p, q.pBetter
	}
	worse, better = chance.Holm(worse), chance.Holm(better)
	var out []Finding
	for i := 0; i < len(asked); i++ {
		q := asked[i].answered(worse[i], better[i], may)
		for i+1 < len(asked) && asked[i+1].Measure == q.Measure {
			i++
			q = q.with(asked[i].answered(worse[i], better[i], may))
		}
		q.because(q.rule, q.days, uncertainty(q))
		out = append(out, q.Finding)
	}
	return out
}

func uncertainty(q question) string {
	switch {
	case q.soon:
		return tooSoon
	case q.Patched+q.Control < 4:
		return tooFew
	}
	return uncertain
}

func (q question) answered(worse, better, may float64) question {
	q.P, q.Verdict = worse, Insufficient
	switch {
	case q.soon:
	case worse <= may && q.large:
		q.Verdict = Worse
	case better <= may && q.improved:
		q.Verdict, q.P = Better, better
	case q.same:
		q.Verdict = Same
	}
	return q
}

// with takes the worse of two answers of a measure; it is the same, or better,
// only if no device says otherwise.
func (q question) with(other question) question {
	if rank(other.Verdict) < rank(q.Verdict) {
		return other
	}
	return q
}

func before(m Movement) float64 { return m.Before }
func after(m Movement) float64  { return m.After }
func change(m Movement) float64 { return m.Change }
func hours(m Movement) float64  { return float64(m.Hours) }

func changes(list []Movement) []float64 {
	out := make([]float64, len(list))
	for i, m := range list {
		out[i] = m.Change
	}
	return out
}

func medianOf(list []Movement, of func(Movement) float64) float64 {
	values := make([]float64, len(list))
	for i, m := range list {
		values[i] = of(m)
	}
	return median(values)
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[n/2] + values[(n-1)/2]) / 2
}

// contrasts are by how much patched devices moved more than the others, now and
// on each day before.
func contrasts(c *Compared) (now float64, days []float64) {
	now = medianOf(c.Patched, change)
	if len(c.Control) > 0 {
		now -= medianOf(c.Control, change)
	}
	for d := range longest(c.Patched) {
		patched, control := onDay(c.Patched, d), onDay(c.Control, d)
		if 2*len(patched) < len(c.Patched) || 2*len(control) < len(c.Control) {
			continue // a day off for most of them
		}
		v := median(patched)
		if len(control) > 0 {
			v -= median(control)
		}
		days = append(days, v)
	}
	return now, days
}

func longest(list []Movement) int {
	n := 0
	for _, m := range list {
		n = max(n, len(m.Days))
	}
	return n
}

func onDay(list []Movement, d int) []float64 {
	var out []float64
	for _, m := range list {
		if d < len(m.Days) && !math.IsNaN(m.Days[d]) {
			out = append(out, m.Days[d])
		}
	}
	return out
}
