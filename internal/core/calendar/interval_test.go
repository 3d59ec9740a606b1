package calendar_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/calendar"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func hours(from, to int) calendar.Interval {
	return calendar.Interval{Start: epoch.Add(time.Duration(from) * time.Hour), End: epoch.Add(time.Duration(to) * time.Hour)}
}

func TestAnIntervalEndsBeforeItsEnd(t *testing.T) {
	i := hours(2, 4)
	if !i.Contains(i.Start) || i.Contains(i.End) || i.Contains(i.Start.Add(-1)) || !i.Contains(i.End.Add(-1)) {
		t.Error("the start is inside and the end is not")
	}
	if i.Length() != 2*time.Hour || hours(4, 2).Length() != 0 || !hours(3, 3).Empty() {
		t.Error("lengths are wrong")
	}
}

func TestFits(t *testing.T) {
	i := hours(2, 4)
	for _, c := range []struct {
		why  string
		now  time.Time
		need time.Duration
		want bool
	}{
		{"the whole window from before", epoch, 2 * time.Hour, true},
		{"longer than the window", epoch, 2*time.Hour + 1, false},
		{"ends with the window", epoch.Add(3 * time.Hour), time.Hour, true},
		{"started at 03:50 in a window that ends at 04:00", epoch.Add(3*time.Hour + 50*time.Minute), 20 * time.Minute, false},
		{"nothing fits a closed window", epoch.Add(4 * time.Hour), 0, false},
	} {
		if got := calendar.Fits(i, c.now, c.need); got != c.want {
			t.Errorf("%s: got %t", c.why, got)
		}
	}
}

func TestUnionJoinsWhatTouches(t *testing.T) {
	got := calendar.Union(hours(5, 6), hours(1, 2), hours(2, 3), hours(9, 9), hours(5, 8), hours(5, 7))
	if want := []calendar.Interval{hours(1, 3), hours(5, 8)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAFreezeCutsAWindowOpenedTheDayBefore(t *testing.T) {
	night, freeze := []calendar.Interval{hours(22, 30)}, []calendar.Interval{hours(24, 48)}
	if got, want := calendar.Subtract(night, freeze), []calendar.Interval{hours(22, 24)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Set operations are checked hour by hour against what they mean.
func TestSetsOfIntervals(t *testing.T) {
	const span = 40
	anySet := func(rt *rapid.T, name string) []calendar.Interval {
		var out []calendar.Interval
		for range rapid.IntRange(0, 6).Draw(rt, name) {
			start := rapid.IntRange(0, span-1).Draw(rt, "start")
			out = append(out, hours(start, start+rapid.IntRange(-2, 9).Draw(rt, "length")))
		}
		return out
	}
	in := func(set []calendar.Interval, at time.Time) bool {
		return slices.ContainsFunc(set, func(i calendar.Interval) bool { return i.Contains(at) })
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := anySet(rt, "a"), anySet(rt, "b")
		union, both, rest := calendar.Union(slices.Concat(a, b)...), calendar.Intersect(a, b), calendar.Subtract(a, b)
		for h := range span + 10 {
			at := epoch.Add(time.Duration(h) * time.Hour)
			inA, inB := in(a, at), in(b, at)
			if in(union, at) != (inA || inB) || in(both, at) != (inA && inB) || in(rest, at) != (inA && !inB) {
				rt.Fatalf("hour %d: a %t, b %t, union %v, both %v, rest %v", h, inA, inB, union, both, rest)
			}
		}
		for _, set := range [][]calendar.Interval{union, both, rest} {
			sortedAndDisjoint(rt, set)
		}
	})
}

func sortedAndDisjoint(rt *rapid.T, set []calendar.Interval) {
	for i, interval := range set {
		if interval.Empty() || i > 0 && !set[i-1].End.Before(interval.Start) {
			rt.Fatalf("not sorted and disjoint: %v", set)
		}
	}
}
