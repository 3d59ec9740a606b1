package calendar

import (
	"slices"
	"time"
)

// Interval is [Start, End): the end is outside.
type Interval struct {
	Start, End time.Time
}

// Empty tells that no instant is inside.
func (i Interval) Empty() bool { return !i.Start.Before(i.End) }

// Length of the interval; zero when it is empty.
func (i Interval) Length() time.Duration {
	if i.Empty() {
		return 0
	}
	return i.End.Sub(i.Start)
}

// Contains tells whether t is inside.
func (i Interval) Contains(t time.Time) bool { return !t.Before(i.Start) && t.Before(i.End) }

// Intersect is what both intervals have in common, possibly empty.
func (i Interval) Intersect(o Interval) Interval {
	if o.Start.After(i.Start) {
		i.Start = o.Start
	}
	if o.End.Before(i.End) {
		i.End = o.End
	}
	return i
}

// Fits tells whether work that lasts need, started at now or as soon as the
// interval opens, is over when it closes.
func Fits(i Interval, now time.Time, need time.Duration) bool {
	start := now
	if i.Start.After(start) {
		start = i.Start
	}
	return start.Before(i.End) && !start.Add(need).After(i.End)
}

// Union is every instant of the given intervals, as sorted disjoint intervals:
// those that overlap or touch become one, empty ones disappear.
func Union(intervals ...Interval) []Interval {
	sorted := slices.DeleteFunc(slices.Clone(intervals), Interval.Empty)
	slices.SortFunc(sorted, func(a, b Interval) int { return a.Start.Compare(b.Start) })
	var out []Interval
	for _, i := range sorted {
		last := len(out) - 1
		switch {
		case last < 0 || i.Start.After(out[last].End):
			out = append(out, i)
		case i.End.After(out[last].End):
			out[last].End = i.End
		}
	}
	return out
}

// Intersect is every instant that is in both a and b, sorted and disjoint.
func Intersect(a, b []Interval) []Interval {
	a, b = Union(a...), Union(b...)
	var out []Interval
	for len(a) > 0 && len(b) > 0 {
		if both := a[0].Intersect(b[0]); !both.Empty() {
			out = append(out, both)
		}
		if a[0].End.Before(b[0].End) {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

// Subtract is every instant of a that is not in b, sorted and disjoint. It is
// how a freeze cuts windows, also one that opened the day before.
func Subtract(a, b []Interval) []Interval {
	holes := Union(b...)
	var out []Interval
	for _, i := range Union(a...) {
		for _, hole := range holes {
			if before := (Interval{i.Start, hole.Start}).Intersect(i); !before.Empty() {
				out = append(out, before)
			}
			if hole.End.After(i.Start) {
				i.Start = hole.End
			}
		}
		if !i.Empty() {
			out = append(out, i)
		}
	}
	return out
}
