package health

import (
	"math"
	"slices"

	"patchring/internal/core/chance"
	"patchring/wire"
)

// askShare asks whether more patched devices than others are worse, each by
// itself. Where groups are too small the days before of the patched ones stand
// in for the others.
func askShare(r Rule, c *Compared, may float64) question {
	q := newQuestion(r, c, may)
	others, ofOthers := q.ControlOut, q.Control
	if q.Against != Others {
		past := daysPast(c.bar(r), c.Patched)
		others, ofOthers, q.days = past.worst, past.all, len(past.out)
	}
	q.ofShares(others, ofOthers)
	q.large = q.Out >= fewestOut && q.Effect >= 100*leastShare && ofOthers > 0
	return q
}

// askFar asks whether some devices of a small ring are far worse, each by itself:
// a patch that does not get on with one model or one application, of which the
// ring has two or three. So few cannot be told from the others of today, but can
// from all the days before of all of them. That several were as far off on one
// such day, or that the others are today, explains them. In a large ring askShare
// sees as much, and a day on which many are slow explains more.
func askFar(r Rule, c *Compared, may float64) question {
	q := newQuestion(r, c, may)
	bar := far * r.matters()
	if q.Control > 0 {
		bar += max(0, medianOf(c.Control, change))
	}
	q.Out, q.ControlOut = outs(c.Patched, bar), outs(c.Control, bar)
	past := daysPast(bar, slices.Concat(c.Patched, c.Control))
	q.days = len(past.out)
	q.ofShares(past.worst, past.all)
	today := chance.Fisher(q.Out, q.Patched-q.Out, q.ControlOut, q.Control-q.ControlOut)
	q.large = q.Out >= fewestOut && q.Out > daysPast(bar, c.Patched).most() && (q.Control == 0 || today <= 1-level)
	if q.Against == Others {
		q.Against = OwnPast
	}
	return q
}

// ofShares compares how many devices are out with how many others are, by what
// the question has counted.
func (q *question) ofShares(others, ofOthers int) {
	q.Share, q.Ratio, q.Matters = true, false, 100*sameShare
	q.pBetter = 1
	q.p = chance.Fisher(q.Out, q.Patched-q.Out, others, ofOthers-others)
	i := chance.ShareDifference(q.Out, q.Patched, others, ofOthers, level)
	q.same = q.Out == 0 || i.High <= sameShare
	q.Effect, q.Low, q.High = 100*i.Estimate, 100*i.Low, 100*i.High
}

// bar is how much one device must have changed to be worse by itself: by what
// matters more than the others usually did.
func (c *Compared) bar(r Rule) float64 {
	if len(c.Control) == 0 {
		return alone * r.matters()
	}
	return r.matters() + medianOf(c.Control, change)
}

// out tells that a device is worse by itself: by more than on any day of its past.
func (m Movement) out(bar float64) bool { return m.Change >= bar && m.Change > m.Most }

// Out tells that a device is worse by itself.
func (c *Compared) Out(measure wire.Measure, m Movement) bool {
	for _, r := range Rules() {
		if r.Measure == measure {
			return m.out(c.bar(r))
		}
	}
	return false
}

func outs(list []Movement, bar float64) int {
	n := 0
	for _, m := range list {
		if m.out(bar) {
			n++
		}
	}
	return n
}

// pastDays are the days before of some devices.
type pastDays struct {
	all int // days of devices on which they were measured
	// worst counts devices of which one day was out, as a device is now: by more
	// than on any other day of it, so that no device has two.
	worst int
	out   []int // devices past the bar, by day
}

func daysPast(bar float64, list []Movement) pastDays {
	p := pastDays{out: make([]int, longest(list))}
	for _, m := range list {
		for d, v := range m.Days {
			if math.IsNaN(v) {
				continue
			}
			p.all++
			if v >= bar {
				p.out[d]++
			}
		}
		if m.Most >= bar {
			p.worst++
		}
	}
	return p
}

// most is how many devices were out on the worst of the days.
func (p pastDays) most() (n int) {
	for _, devices := range p.out {
		n = max(n, devices)
	}
	return n
}
