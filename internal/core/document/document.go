// Package document owns what a dossier and a monthly report work out before
// anybody writes a word of them: how long patches took, whether a promise was
// kept, whether a ring kept its date.
//
// It refuses to round in anybody's favour: what is still open counts, what
// nobody promised is not called kept, and of nothing there is no mean. Values
// in, values out; safe from any goroutine.
package document

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Cell is how many device × patch took the same whole hours.
type Cell struct {
	Hours int64 `json:"hours"`
	N     int64 `json:"n"`
}

// Spread is how long something took: the mean alone hides the late ones.
type Spread struct {
	N      int64         `json:"n"`
	Mean   time.Duration `json:"mean"`
	Median time.Duration `json:"median"`
	P90    time.Duration `json:"p90"`
}

// SpreadOf sums cells up, to the hour. A time before the clock started counts
// as none.
func SpreadOf(cells []Cell) Spread {
	sorted := slices.Clone(cells)
	for i := range sorted {
		sorted[i].Hours = max(sorted[i].Hours, 0)
	}
	slices.SortFunc(sorted, func(a, b Cell) int { return cmp.Compare(a.Hours, b.Hours) })
	var s Spread
	total := 0.0
	for _, c := range sorted {
		s.N += c.N
		total += float64(c.Hours) * float64(c.N)
	}
	if s.N == 0 {
		return Spread{}
	}
	s.Mean = time.Duration(math.Round(total/float64(s.N))) * time.Hour
	s.Median = at(sorted, (s.N+1)/2)
	s.P90 = at(sorted, (s.N*9+9)/10)
	return s
}

// at is the time of the n-th, counted from 1.
func at(sorted []Cell, n int64) time.Duration {
	for _, c := range sorted {
		if n -= c.N; n <= 0 {
			return time.Duration(c.Hours) * time.Hour
		}
	}
	return 0
}

// Promise is what was promised of one severity, and what came of it. Limit 0:
// nothing was promised; then there is neither kept nor broken.
type Promise struct {
	Severity string        `json:"severity"`
	Limit    time.Duration `json:"limit"`
	InTime   int64         `json:"in_time"` // installed and confirmed within the limit
	Late     int64         `json:"late"`    // confirmed after it
	Running  int64         `json:"running"` // not installed, the limit not reached
	Overdue  int64         `json:"overdue"` // not installed, the limit passed
	Exempt   int64         `json:"exempt"`  // left out by an exception
}

// Judge measures a promise: done are the hours that installs took, open how
// long what is missing has been.
func Judge(severity string, limit time.Duration, done, open []Cell, exempt int64) Promise {
	p := Promise{Severity: severity, Limit: limit, Exempt: exempt}
	hours := int64(limit / time.Hour)
	for _, c := range done {
		if limit == 0 || c.Hours < hours {
			p.InTime += c.N
		} else {
			p.Late += c.N
		}
	}
	for _, c := range open {
		if limit == 0 || c.Hours < hours {
			p.Running += c.N
		} else {
			p.Overdue += c.N
		}
	}
	return p
}

// Kept is the part that was kept of what has been decided: what is still
// running in time is neither. No part of nothing.
func (p Promise) Kept() (kept, of int64) {
	if p.Limit == 0 {
		return 0, 0
	}
	return p.InTime, p.InTime + p.Late + p.Overdue
}

// Add sums promises of one severity over campaigns with the same limit; with
// another limit, what each of them made of it still counts.
func (p Promise) Add(q Promise) Promise {
	p.InTime, p.Late, p.Running, p.Overdue, p.Exempt = p.InTime+q.InTime, p.Late+q.Late, p.Running+q.Running, p.Overdue+q.Overdue, p.Exempt+q.Exempt
	if p.Limit == 0 || q.Limit > 0 && q.Limit < p.Limit {
		p.Limit = q.Limit
	}
	return p
}

// Punctuality says whether something happened on its planned instant.
type Punctuality string

// Punctualities.
const (
	OnTime Punctuality = "on_time"
	Early  Punctuality = "early"
	Late   Punctuality = "late"
	Ahead  Punctuality = "ahead"   // its instant is still to come
	Missed Punctuality = "overdue" // its instant has passed, and it has not happened
)

// grace is what a step that opens something may take and still be on time: a
// server that restarts is no calendar that was not kept.
const grace = time.Hour

// Punctual compares what happened with what was planned; happened is zero when
// it has not.
func Punctual(planned, happened, now time.Time) Punctuality {
	switch {
	case happened.IsZero() && now.Before(planned.Add(grace)):
		return Ahead
	case happened.IsZero():
		return Missed
	case happened.Before(planned):
		return Early
	case happened.After(planned.Add(grace)):
		return Late
	}
	return OnTime
}
