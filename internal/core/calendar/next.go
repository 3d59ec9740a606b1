package calendar

import (
	"slices"
	"time"
)

// horizon is how far Next looks for windows by days of the week, in days: with
// holidays left out they come back within five weeks, whichever day they are
// on. It is also where an interval without end is cut.
const horizon = 60

// yearly is how far Next looks next: a window that opens each year, or on
// holidays only, is back by then.
const yearly = 400

// Open tells whether any of the windows is open at now, and until when: the
// interval is whole, so its start may be in the past. No window means closed.
func Open(windows []Window, now time.Time) (Interval, bool) {
	i, ok := Next(windows, now)
	return i, ok && i.Contains(now)
}

// Next is the interval that is open at now, or else the first one to open
// after. Windows that touch count as one, and one that has no beginning or no
// end is cut two months before and after. It answers false when no window
// opens, which only rules that never open do: for days of the week that is
// known after two months, for other rules 40 years after now, and after they begin.
func Next(windows []Window, now time.Time) (Interval, bool) {
	// Most answers are near; looking far costs time for every device asked about.
	for _, days := range reaches(windows, now) {
		if found := Intervals(windows, now, now.Add(time.Duration(days)*dayLength)); len(found) > 0 {
			return whole(windows, found[0].Start), true
		}
	}
	return Interval{}, false
}

func reaches(windows []Window, now time.Time) []int {
	out := []int{3, 14, horizon}
	if slices.ContainsFunc(windows, func(w Window) bool { return len(w.Closed) > 0 || w.Rule != nil }) {
		out = append(out, yearly)
	}
	if slices.ContainsFunc(windows, func(w Window) bool { return w.Rule != nil }) {
		out = append(out, patience+wait(windows, now))
	}
	return out
}

// wait is in how many days the last of the rules begins; 0 when all have.
func wait(windows []Window, now time.Time) int {
	longest := 0
	for _, w := range windows {
		if w.Rule != nil {
			longest = max(longest, w.Rule.begins().DaysSince(DateOf(now, time.UTC)))
		}
	}
	return longest
}

// whole is the interval that is open at an instant, as far as two months around.
func whole(windows []Window, at time.Time) Interval {
	var found Interval
	for _, around := range []time.Duration{MaxDuration, horizon * dayLength} {
		from, to := at.Add(-around), at.Add(around)
		for _, i := range Intervals(windows, from, to) {
			if i.Contains(at) {
				found = i
			}
		}
		if found.Start.After(from) && found.End.Before(to) {
			break
		}
	}
	return found
}
