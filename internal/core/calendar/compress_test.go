package calendar_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/calendar"

	"pgregory.net/rapid"
)

func TestADayLastsAMinute(t *testing.T) {
	now := instant(t, "2026-11-21T10:00:00Z")
	c := calendar.Compress{From: epoch, To: now, Day: time.Minute}
	if got := c.Instant(epoch.Add(7 * 24 * time.Hour)); !got.Equal(now.Add(7 * time.Minute)) {
		t.Errorf("a week later: got %s, want seven minutes later", got)
	}
	if got := c.Duration(12 * time.Hour); got != 30*time.Second {
		t.Errorf("half a day: got %s, want 30s", got)
	}
	if got := c.Instant(epoch.Add(-24 * time.Hour)); !got.Equal(now.Add(-time.Minute)) {
		t.Errorf("the day before: got %s, want a minute before", got)
	}
	real := func(from, to time.Time) []calendar.Interval {
		return calendar.Intersect([]calendar.Interval{hours(12, 14), hours(36, 38)}, []calendar.Interval{{Start: from, End: to}})
	}
	got := c.Intervals(now.Add(31*time.Second), now.Add(5*time.Minute), real)
	want := []calendar.Interval{{Start: now.Add(31 * time.Second), End: now.Add(35 * time.Second)}, {Start: now.Add(90 * time.Second), End: now.Add(95 * time.Second)}}
	if !slices.EqualFunc(got, want, func(a, b calendar.Interval) bool { return a.Start.Equal(b.Start) && a.End.Equal(b.End) }) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheZeroCompressionChangesNothing(t *testing.T) {
	var c calendar.Compress
	if c.Instant(epoch) != epoch || c.Source(epoch) != epoch || c.Duration(time.Hour) != time.Hour {
		t.Error("the zero value must change nothing")
	}
}

func TestADayIsNeverShorterThanASecond(t *testing.T) {
	c := calendar.Compress{From: epoch, To: epoch, Day: time.Nanosecond}
	if got := c.Duration(24 * time.Hour); got != time.Second {
		t.Errorf("got %s, want 1s", got)
	}
}

func TestCompressionKeepsOrderAndComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := calendar.Compress{From: epoch, To: epoch.AddDate(1, 0, 0), Day: time.Duration(rapid.Int64Range(int64(time.Second), int64(48*time.Hour)).Draw(rt, "day"))}
		a := epoch.Add(time.Duration(rapid.Int64Range(-int64(400*24*time.Hour), int64(400*24*time.Hour)).Draw(rt, "a")))
		b := a.Add(time.Duration(rapid.Int64Range(int64(time.Minute), int64(400*24*time.Hour)).Draw(rt, "later")))
		if !c.Instant(a).Before(c.Instant(b)) {
			rt.Fatalf("%s and %s change places", a, b)
		}
		if back := c.Source(c.Instant(a)).Sub(a).Abs(); back > time.Millisecond {
			rt.Fatalf("%s comes back %s away", a, back)
		}
	})
}

func TestWhatDoesNotFitSaturates(t *testing.T) {
	c := calendar.Compress{From: epoch, To: epoch, Day: 48 * time.Hour}
	if got := c.Duration(1<<63 - 1); got != 1<<63-1 {
		t.Errorf("got %s, want the longest duration", got)
	}
	if got := c.Duration(-1 << 62); got >= 0 {
		t.Errorf("got %s, want a negative duration", got)
	}
}
