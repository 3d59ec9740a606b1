package calendar

import (
	"slices"
	"time"
)

// Window is a maintenance window: on which days, from when, until when, read
// on the wall clocks of a zone.
//
// It belongs to the date it starts on: "Saturday 22:00 to 04:00" is Saturday's,
// and at one o'clock on Sunday it is Saturday's rule that decides.
//
// It starts once per local date, whatever the clocks do: a start that is
// skipped in spring is the first instant after the gap, and one that happens
// twice in autumn counts the first time only. A date that a zone skipped
// altogether has no window.
//
// How it ends is the writer's choice. With End it ends when wall clocks show
// that time, so 22:00 to 06:00 lasts seven hours in the spring night and nine
// in the autumn one; an end that happens twice is the first of the two, an end
// that is skipped is the instant of the change, and a window that lies wholly
// in the skipped hour does not happen. With Duration it ends when that much
// time has really passed, whatever the clocks show then.
type Window struct {
	Name     string
	Days     []time.Weekday
	Start    Clock
	End      Clock         // read when Duration is zero; at or before Start means the next day
	Duration time.Duration // elapsed time; zero means that End decides
	Zone     *time.Location
	Except   HolidaySet // dates on which the window does not start
}

// MaxDuration is the longest window: a week. What is longer is no window.
const MaxDuration = 7 * 24 * time.Hour

// horizon is how far Next looks: a weekly window with holidays left out comes
// back within five weeks, whichever day it is on.
const horizon = 60

// On is the interval of the window that starts on date, and whether there is
// one.
func (w Window) On(date Date) (Interval, bool) {
	if !slices.Contains(w.Days, date.Weekday()) {
		return Interval{}, false
	}
	if _, off := w.Except.Holiday(date); off {
		return Interval{}, false
	}
	start := date.At(w.Start, w.Zone)
	// The start may be pushed past midnight by a change of clocks at 23:00 (Nuuk,
	// 30 March 2024); only a date that nobody lives through loses its window.
	if DateOf(start, w.Zone) != date && !date.ExistsIn(w.Zone) {
		return Interval{}, false
	}
	i := Interval{start, w.end(date, start)}
	return i, !i.Empty()
}

func (w Window) end(date Date, start time.Time) time.Time {
	if w.Duration > 0 {
		return start.Add(w.Duration)
	}
	if w.End <= w.Start {
		date = date.AddDays(1)
	}
	return date.At(w.End, w.Zone)
}

// reach is how many days before an instant a window may have started and still
// be open: one, and one for a date that a change of clocks moved.
func (w Window) reach() int { return 2 + int(w.Duration/dayLength) }

// Intervals are the instants between from and to at which at least one of the
// windows is open, sorted and disjoint.
func Intervals(windows []Window, from, to time.Time) []Interval {
	within := Interval{from, to}
	var out []Interval
	for _, w := range windows {
		last := DateOf(to, w.Zone)
		for date := DateOf(from, w.Zone).AddDays(-w.reach()); date.Compare(last) <= 0; date = date.AddDays(1) {
			if i, ok := w.On(date); ok {
				out = append(out, i.Intersect(within))
			}
		}
	}
	return Union(out...)
}

// Open tells whether any of the windows is open at now, and until when: the
// interval is whole, so its start may be in the past. No window means closed.
func Open(windows []Window, now time.Time) (Interval, bool) {
	i, ok := Next(windows, now)
	return i, ok && i.Contains(now)
}

// Next is the interval that is open at now, or else the first one to open
// after. Windows that touch count as one, and one that has no end is cut two
// months from now. It answers false when no window opens until then, which
// only rules that never open do.
func Next(windows []Window, now time.Time) (Interval, bool) {
	// Most answers are near; looking far costs time for every device asked about.
	for _, days := range []int{3, 14, horizon} {
		to := now.Add(time.Duration(days) * dayLength)
		for _, i := range Intervals(windows, now.Add(-MaxDuration), to) {
			if i.End.After(now) && (i.End.Before(to) || days == horizon) {
				return i, true
			}
		}
	}
	return Interval{}, false
}
