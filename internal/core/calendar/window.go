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
//
// With Closed it is the other way round: it is open at all times but the closed
// hours, and nothing else but the name and the zone is read.
type Window struct {
	Name     string
	Days     []time.Weekday
	Rule     *Rule // in place of Days
	Start    Clock
	End      Clock         // read when Duration is zero; at or before Start means the next day
	Duration time.Duration // elapsed time; zero means that End decides
	Zone     *time.Location
	Except   HolidaySet // dates on which the window does not start
	Closed   []Hours    // in place of everything above but Name and Zone
}

// Hours are those in which people are at work, so that nothing may be
// installed: from Start to End as wall clocks show them, on some days of the
// week. Like those of a window they belong to the date they start on: hours
// that start the evening before a holiday last until their end.
type Hours struct {
	Days       []time.Weekday
	Start, End Clock      // End at or before Start means the next day
	Except     HolidaySet // dates on which nobody is at work
}

// MaxDuration is the longest window: a week. What is longer is no window.
const MaxDuration = 7 * 24 * time.Hour

// Holidays are the public holidays the window knows of.
func (w Window) Holidays() HolidaySet {
	for _, h := range w.Closed {
		if h.Except != NoHolidays {
			return h.Except
		}
	}
	return w.Except
}

// On is the interval of the window that starts on date, and whether there is
// one. A window with closed hours starts on no date of its own.
func (w Window) On(date Date) (Interval, bool) {
	if len(w.dates(date, date)) == 0 {
		return Interval{}, false
	}
	return w.starting(date)
}

// starting is the interval that starts on one of the window's dates.
func (w Window) starting(date Date) (Interval, bool) {
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

// dates are those on which the rule of the window lets it start.
func (w Window) dates(from, to Date) []Date {
	var out []Date
	if w.Rule != nil {
		out = w.Rule.Dates(from, to)
	} else {
		for date := from; date.Compare(to) <= 0; date = date.AddDays(1) {
			if slices.Contains(w.Days, date.Weekday()) {
				out = append(out, date)
			}
		}
	}
	return slices.DeleteFunc(out, func(date Date) bool {
		_, off := w.Except.Holiday(date)
		return off
	})
}

// reach is how many days before an instant a window may have started and still
// be open: one, and one for a date that a change of clocks moved.
func (w Window) reach() int { return 2 + int(w.Duration/dayLength) }

// within is when the window is open inside an interval.
func (w Window) within(bounds Interval) []Interval {
	if len(w.Closed) > 0 {
		return Subtract([]Interval{bounds}, w.closed(bounds))
	}
	var out []Interval
	for _, date := range w.dates(DateOf(bounds.Start, w.Zone).AddDays(-w.reach()), DateOf(bounds.End, w.Zone)) {
		if i, ok := w.starting(date); ok {
			out = append(out, i.Intersect(bounds))
		}
	}
	return out
}

func (w Window) closed(bounds Interval) []Interval {
	var out []Interval
	for _, h := range w.Closed {
		hours := Window{Days: h.Days, Start: h.Start, End: h.End, Except: h.Except, Zone: w.Zone}
		out = append(out, hours.within(bounds)...)
	}
	return out
}

// Intervals are the instants between from and to at which at least one of the
// windows is open, sorted and disjoint.
func Intervals(windows []Window, from, to time.Time) []Interval {
	var out []Interval
	for _, w := range windows {
		out = append(out, w.within(Interval{from, to})...)
	}
	return Union(out...)
}
