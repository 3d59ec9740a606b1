package document_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"patchring/internal/core/document"
)

func TestSpreadOfWhatTookHours(t *testing.T) {
	for _, c := range []struct {
		name              string
		cells             []document.Cell
		n                 int64
		mean, median, p90 time.Duration
	}{
		{"nothing", nil, 0, 0, 0, 0},
		{"one", []document.Cell{{Hours: 5, N: 1}}, 1, 5, 5, 5},
		{"a late one moves the mean and not the median", []document.Cell{{Hours: 100, N: 1}, {Hours: 1, N: 9}}, 10, 11, 1, 1},
		{"an even number takes the lower middle", []document.Cell{{Hours: 1, N: 1}, {Hours: 3, N: 1}}, 2, 2, 1, 3},
		{"before its clock counts as none", []document.Cell{{Hours: -3, N: 2}}, 2, 0, 0, 0},
	} {
		got := document.SpreadOf(c.cells)
		if got.N != c.n || got.Mean != c.mean*time.Hour || got.Median != c.median*time.Hour || got.P90 != c.p90*time.Hour {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

func TestSpreadStaysWithinItsCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) document.Cell {
			return document.Cell{Hours: rapid.Int64Range(0, 5000).Draw(t, "hours"), N: rapid.Int64Range(1, 100).Draw(t, "n")}
		}), 1, 30).Draw(t, "cells")
		low, high, n := int64(5000), int64(0), int64(0)
		for _, c := range cells {
			low, high, n = min(low, c.Hours), max(high, c.Hours), n+c.N
		}
		s := document.SpreadOf(cells)
		for _, d := range []time.Duration{s.Mean, s.Median, s.P90} {
			if d < time.Duration(low)*time.Hour || d > time.Duration(high)*time.Hour {
				t.Fatalf("%s is not between %d h and %d h", d, low, high)
			}
		}
		if s.N != n || s.Median > s.P90 {
			t.Fatalf("got %+v of %d", s, n)
		}
	})
}

func TestAPromiseCountsWhatIsStillOpen(t *testing.T) {
	day := int64(24)
	done := []document.Cell{{Hours: day, N: 8}, {Hours: 7 * day, N: 1}, {Hours: 20 * day, N: 1}}
	open := []document.Cell{{Hours: 6 * day, N: 2}, {Hours: 9 * day, N: 3}}
	p := document.Judge("critical", 7*24*time.Hour, done, open, 4)
	if p.InTime != 8 || p.Late != 2 || p.Running != 2 || p.Overdue != 3 || p.Exempt != 4 {
		t.Errorf("got %+v; want 8 in time, 2 late (the limit itself is too late), 2 running, 3 overdue", p)
	}
	if kept, of := p.Kept(); kept != 8 || of != 13 {
		t.Errorf("kept %d of %d, want 8 of 13: what runs is not decided", kept, of)
	}
	if kept, of := document.Judge("low", 0, done, open, 0).Kept(); kept != 0 || of != 0 {
		t.Errorf("kept %d of %d where nothing was promised", kept, of)
	}
	if sum := p.Add(document.Promise{Limit: 3 * 24 * time.Hour, Late: 1}); sum.Late != 3 || sum.Limit != 3*24*time.Hour {
		t.Errorf("the sum is %+v, want 3 late and the stricter limit", sum)
	}
}

func TestPunctuality(t *testing.T) {
	planned := time.Date(2026, 11, 17, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		happened, now time.Time
		want          document.Punctuality
	}{
		{time.Time{}, planned.Add(-time.Hour), document.Ahead},
		{time.Time{}, planned.Add(30 * time.Minute), document.Ahead},
		{time.Time{}, planned.Add(2 * time.Hour), document.Missed},
		{planned.Add(5 * time.Minute), planned.Add(48 * time.Hour), document.OnTime},
		{planned.Add(-time.Minute), planned, document.Early},
		{planned.Add(2 * time.Hour), planned.Add(48 * time.Hour), document.Late},
	} {
		if got := document.Punctual(planned, c.happened, c.now); got != c.want {
			t.Errorf("happened %s, now %s: %s, want %s", c.happened, c.now, got, c.want)
		}
	}
}
