package calendar

import (
	"math/bits"
	"time"
)

// MinDay is the shortest compressed day: below it the steps of a campaign
// would be shorter than the work of one tick.
const MinDay = time.Second

// Compress plays a schedule faster than life, for demonstrations and tests: the
// instant From of the schedule happens at To, and each 24 hours of the schedule
// last Day. The zero value changes nothing.
type Compress struct {
	From, To time.Time
	Day      time.Duration
}

// IsZero tells that nothing is compressed.
func (c Compress) IsZero() bool { return c.Day == 0 }

// Instant is when the schedule's instant t really happens.
func (c Compress) Instant(t time.Time) time.Time {
	if c.IsZero() {
		return t
	}
	return c.To.Add(scale(t.Sub(c.From), c.day(), dayLength)).In(t.Location())
}

// Source is the instant of the schedule that happens at the real instant t.
func (c Compress) Source(t time.Time) time.Time {
	if c.IsZero() {
		return t
	}
	return c.From.Add(scale(t.Sub(c.To), dayLength, c.day())).In(t.Location())
}

// Duration is how long a duration of the schedule really lasts.
func (c Compress) Duration(d time.Duration) time.Duration {
	if c.IsZero() {
		return d
	}
	return scale(d, c.day(), dayLength)
}

// Intervals asks for the schedule's intervals that happen between two real
// instants, and says when they really happen.
func (c Compress) Intervals(from, to time.Time, of func(from, to time.Time) []Interval) []Interval {
	within := Interval{from, to}
	var out []Interval
	for _, i := range of(c.Source(from), c.Source(to)) {
		played := Interval{c.Instant(i.Start), c.Instant(i.End)}.Intersect(within)
		if !played.Empty() {
			out = append(out, played)
		}
	}
	return out
}

const dayLength = 24 * time.Hour

func (c Compress) day() time.Duration { return max(c.Day, MinDay) }

// scale is d × mul ÷ div through 128 bits: ten days times a day, in
// nanoseconds, are more than 64 bits hold. What does not fit saturates.
func scale(d, mul, div time.Duration) time.Duration {
	const longest = time.Duration(1<<63 - 1)
	negative := d < 0
	if negative {
		d = max(-d, 0) // the most negative duration has no opposite; it is nobody's schedule
	}
	high, low := bits.Mul64(uint64(d), uint64(mul))
	scaled := longest
	if high < uint64(div) {
		if q, _ := bits.Div64(high, low, uint64(div)); q < uint64(longest) {
			scaled = time.Duration(q)
		}
	}
	if negative {
		return -scaled
	}
	return scaled
}
