package calendar_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/calendar"

	"pgregory.net/rapid"
)

var everyDay = []time.Weekday{0, 1, 2, 3, 4, 5, 6}

func window(t testing.TB, zoneName, start, end string, days ...time.Weekday) calendar.Window {
	t.Helper()
	return calendar.Window{Name: "w", Days: days, Start: mustClock(t, start), End: mustClock(t, end), Zone: zone(t, zoneName)}
}

func TestANightIsAsLongAsTheClocksMakeIt(t *testing.T) {
	byClock := window(t, "Europe/Paris", "22:00", "06:00", time.Saturday)
	lasting := byClock
	lasting.Duration = 8 * time.Hour
	for _, c := range []struct {
		saturday, clockEnd, lastingEnd string
		clockHours                     float64
	}{
		{"2026-01-17", "2026-01-18T06:00:00+01:00", "2026-01-18T06:00:00+01:00", 8},
		{"2026-03-28", "2026-03-29T06:00:00+02:00", "2026-03-29T07:00:00+02:00", 7},
		{"2026-10-24", "2026-10-25T06:00:00+01:00", "2026-10-25T05:00:00+01:00", 9},
	} {
		i, ok := byClock.On(mustDate(t, c.saturday))
		if !ok || i.End.Format(time.RFC3339) != c.clockEnd || i.Length().Hours() != c.clockHours {
			t.Errorf("%s by the clock: got %s – %s (%s), %t", c.saturday, i.Start, i.End, i.Length(), ok)
		}
		i, ok = lasting.On(mustDate(t, c.saturday))
		if !ok || i.End.Format(time.RFC3339) != c.lastingEnd || i.Length() != 8*time.Hour {
			t.Errorf("%s lasting 8 h: got %s – %s (%s), %t", c.saturday, i.Start, i.End, i.Length(), ok)
		}
	}
}

func TestAStartThatClocksSkipOrRepeat(t *testing.T) {
	for _, c := range []struct{ why, zone, date, start, end, opens, closes string }{
		{"skipped", "Europe/Paris", "2026-03-29", "02:30", "04:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"},
		{"twice, once used", "Europe/Paris", "2026-10-25", "02:30", "04:00", "2026-10-25T02:30:00+02:00", "2026-10-25T04:00:00+01:00"},
		{"inside the repeated hour", "Europe/Paris", "2026-10-25", "02:15", "02:45", "2026-10-25T02:15:00+02:00", "2026-10-25T02:45:00+02:00"},
		{"an end that is skipped", "Europe/Paris", "2026-03-28", "22:00", "02:30", "2026-03-28T22:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"pushed past midnight", "America/Nuuk", "2024-03-30", "23:30", "02:00", "2024-03-31T00:00:00-01:00", "2024-03-31T02:00:00-01:00"},
		{"whole day", "Europe/Paris", "2026-10-25", "00:00", "24:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
	} {
		i, ok := window(t, c.zone, c.start, c.end, everyDay...).On(mustDate(t, c.date))
		if !ok || i.Start.Format(time.RFC3339) != c.opens || i.End.Format(time.RFC3339) != c.closes {
			t.Errorf("%s: got %s – %s, %t, want %s – %s", c.why, i.Start.Format(time.RFC3339), i.End.Format(time.RFC3339), ok, c.opens, c.closes)
		}
	}
	if i, ok := window(t, "Europe/Paris", "02:10", "02:50", everyDay...).On(mustDate(t, "2026-03-29")); ok {
		t.Errorf("a window wholly in the skipped hour does not happen, got %v", i)
	}
	if i, ok := window(t, "Pacific/Apia", "08:00", "18:00", everyDay...).On(mustDate(t, "2011-12-30")); ok {
		t.Errorf("a date nobody lives through has no window, got %v", i)
	}
}

func TestASaturdayNightBelongsToSaturday(t *testing.T) {
	w := window(t, "Europe/Paris", "22:00", "04:00", time.Saturday)
	for at, want := range map[string]bool{
		"2026-01-17T21:59:59+01:00": false, "2026-01-17T22:00:00+01:00": true, "2026-01-18T01:00:00+01:00": true,
		"2026-01-18T04:00:00+01:00": false, "2026-01-18T23:00:00+01:00": false, "2026-01-17T01:00:00+01:00": false,
	} {
		if _, got := calendar.Open([]calendar.Window{w}, instant(t, at)); got != want {
			t.Errorf("%s: open %t, want %t", at, got, want)
		}
	}
	over := instant(t, "2026-01-18T04:00:00+01:00")
	if i, ok := calendar.Next([]calendar.Window{w}, over); !ok || i.Start.Format(time.RFC3339) != "2026-01-24T22:00:00+01:00" {
		t.Errorf("when it has just closed the next one is next Saturday's: got %v, %t", i, ok)
	}
	// Asked in another zone on another date: the window's own zone decides.
	auckland := instant(t, "2026-01-18T01:00:00+01:00").In(zone(t, "Pacific/Auckland"))
	if i, ok := calendar.Open([]calendar.Window{w}, auckland); !ok || i.Start.Format(time.RFC3339) != "2026-01-17T22:00:00+01:00" {
		t.Errorf("got %v, %t: the whole window was asked for", i, ok)
	}
}

func TestWindowsStayShutOnHolidays(t *testing.T) {
	w := window(t, "Europe/Paris", "12:00", "14:00", time.Monday, time.Tuesday)
	w.Except = calendar.PublicHolidaysFR
	next, ok := calendar.Next([]calendar.Window{w}, instant(t, "2026-07-13T15:00:00+02:00"))
	if !ok || next.Start.Format(time.RFC3339) != "2026-07-20T12:00:00+02:00" {
		t.Errorf("after Monday 13 July 2026, the 14th being a holiday: got %v, %t", next, ok)
	}
	// Christmas Day 2028 and New Year's Day 2029 are Mondays in a row.
	w.Days = []time.Weekday{time.Monday}
	next, ok = calendar.Next([]calendar.Window{w}, instant(t, "2028-12-18T15:00:00+01:00"))
	if !ok || next.Start.Format(time.RFC3339) != "2029-01-08T12:00:00+01:00" {
		t.Errorf("after Monday 18 December 2028: got %v, %t", next, ok)
	}
}

func TestNoWindowIsClosed(t *testing.T) {
	now := instant(t, "2026-01-17T22:30:00+01:00")
	if i, ok := calendar.Next(nil, now); ok {
		t.Errorf("no window must never open, got %v", i)
	}
	if i, ok := calendar.Open(nil, now); ok {
		t.Errorf("no window must be closed, got %v", i)
	}
	if got := calendar.Intervals(nil, now, now.AddDate(1, 0, 0)); len(got) != 0 {
		t.Errorf("no window must mean no interval, got %v", got)
	}
}

func TestTouchingWindowsAreOne(t *testing.T) {
	noon := window(t, "Europe/Paris", "12:00", "14:00", time.Monday)
	afternoon := window(t, "Europe/Paris", "14:00", "18:00", time.Monday)
	i, ok := calendar.Open([]calendar.Window{afternoon, noon}, instant(t, "2026-01-12T13:00:00+01:00"))
	if !ok || i.Length() != 6*time.Hour {
		t.Errorf("got %v, %t, want one window of six hours", i, ok)
	}
	day := window(t, "Europe/Paris", "22:00", "22:00", time.Monday)
	if i, ok := day.On(mustDate(t, "2026-01-12")); !ok || i.Length() != 24*time.Hour {
		t.Errorf("an end at the hour of the start is the next day's: got %v, %t", i, ok)
	}
	always := window(t, "Europe/Paris", "00:00", "24:00", everyDay...)
	now := instant(t, "2026-03-20T13:00:00+01:00")
	if i, ok := calendar.Open([]calendar.Window{always}, now); !ok || i.End.Sub(now) < 59*24*time.Hour {
		t.Errorf("always open: got %v, %t", i, ok)
	}
}

func TestAWeekLongWindowIsSeenFromItsLastDay(t *testing.T) {
	w := window(t, "Europe/Paris", "20:00", "00:00", time.Friday)
	w.Duration = 6 * 24 * time.Hour
	i, ok := calendar.Open([]calendar.Window{w}, instant(t, "2026-01-15T19:59:00+01:00"))
	if !ok || i.Start.Format(time.RFC3339) != "2026-01-09T20:00:00+01:00" {
		t.Errorf("got %v, %t", i, ok)
	}
}

func anyWindow(rt *rapid.T, all []*time.Location) calendar.Window {
	w := calendar.Window{
		Name:   "w",
		Days:   rapid.SliceOfNDistinct(rapid.SampledFrom(everyDay), 1, 7, rapid.ID).Draw(rt, "days"),
		Start:  anyClock(rt),
		Zone:   rapid.SampledFrom(all).Draw(rt, "zone"),
		Except: rapid.SampledFrom([]calendar.HolidaySet{calendar.NoHolidays, calendar.PublicHolidaysFR}).Draw(rt, "except"),
	}
	if rapid.Bool().Draw(rt, "lasting") {
		w.Duration = time.Duration(rapid.IntRange(1, 7*24*60).Draw(rt, "minutes")) * time.Minute
		return w
	}
	if w.End = anyClock(rt); w.End == w.Start {
		w.End = calendar.EndOfDay
	}
	return w
}

// An instant is inside the rule when some date of the rule started a window
// that has not ended. This says it again, minute by minute and without At.
func insideRule(w calendar.Window, at time.Time) bool {
	for back := 0; back <= 9; back++ {
		date := calendar.DateOf(at, w.Zone).AddDays(-back)
		if !slices.Contains(w.Days, date.Weekday()) {
			continue
		}
		if _, off := w.Except.Holiday(date); off {
			continue
		}
		start := firstShowing(date, w.Start, w.Zone)
		end := start.Add(w.Duration)
		if w.Duration == 0 {
			endDate := date
			if w.End <= w.Start {
				endDate = date.AddDays(1)
			}
			end = firstShowing(endDate, w.End, w.Zone)
		}
		if !at.Before(start) && at.Before(end) {
			return true
		}
	}
	return false
}

// firstShowing steps through the day a quarter of an hour at a time, the grain
// of every zone, then to the minute.
func firstShowing(date calendar.Date, clock calendar.Clock, z *time.Location) time.Time {
	want := time.Date(date.Year, date.Month, date.Day, 0, int(clock), 0, 0, time.UTC)
	at := want.Add(-16 * time.Hour)
	for wall(at.Add(15*time.Minute), z).Before(want) {
		at = at.Add(15 * time.Minute)
	}
	for wall(at, z).Before(want) {
		at = at.Add(time.Minute)
	}
	return at
}

func TestNothingIsEverOpenOutsideItsRule(t *testing.T) {
	all := zones(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := anyWindow(rt, all)
		from := anyDate(rt).At(anyClock(rt), w.Zone)
		to := from.Add(time.Duration(rapid.IntRange(1, 21*24*60).Draw(rt, "span")) * time.Minute)
		got := calendar.Intervals([]calendar.Window{w}, from, to)
		sortedAndDisjoint(rt, got)
		for _, i := range got {
			if i.Start.Before(from) || i.End.After(to) {
				rt.Fatalf("%v is outside %s – %s", i, from, to)
			}
			for _, at := range []time.Time{i.Start, i.End.Add(-time.Minute), i.Start.Add(i.Length() / 2)} {
				if at.Before(i.Start) {
					at = i.Start
				}
				if !insideRule(w, at) {
					rt.Fatalf("%s is in %v and in no window of %+v", at, i, w)
				}
			}
			for _, at := range []time.Time{i.Start.Add(-1), i.End} {
				if !at.Before(from) && at.Before(to) && insideRule(w, at) {
					rt.Fatalf("%s is in a window of %+v and left out", at, w)
				}
			}
		}
	})
}

func TestAWindowStartsOnceOnEachOfItsDates(t *testing.T) {
	all := zones(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := anyWindow(rt, all)
		date := anyDate(rt)
		i, ok := w.On(date)
		_, holiday := w.Except.Holiday(date)
		due := slices.Contains(w.Days, date.Weekday()) && !holiday
		switch {
		case ok && !due:
			rt.Fatalf("%s is not a date of %+v", date, w)
		case !ok && due && w.Duration > 0 && date.ExistsIn(w.Zone):
			rt.Fatalf("%s is a date of %+v", date, w)
		case ok && i.Start.Sub(date.At(0, w.Zone)) > 25*time.Hour:
			rt.Fatalf("%s starts at %s", date, i.Start)
		}
		if next, again := w.On(date.AddDays(1)); ok && again && !i.Start.Before(next.Start) {
			rt.Fatalf("%s and the day after start in the wrong order: %v, %v", date, i, next)
		}
	})
}

func TestNextIsOpenNowOrOpensFirst(t *testing.T) {
	all := zones(t)
	rapid.Check(t, func(rt *rapid.T) {
		var windows []calendar.Window
		for range rapid.IntRange(1, 3).Draw(rt, "windows") {
			windows = append(windows, anyWindow(rt, all))
		}
		now := anyDate(rt).At(anyClock(rt), time.UTC)
		next, ok := calendar.Next(windows, now)
		if !ok {
			rt.Fatalf("%+v never opens after %s", windows, now)
		}
		if !next.End.After(now) || next.Empty() {
			rt.Fatalf("%v is over at %s", next, now)
		}
		if before := calendar.Intervals(windows, now, next.Start); next.Start.After(now) && len(before) > 0 {
			rt.Fatalf("%v comes before %v", before, next)
		}
		open, isOpen := calendar.Open(windows, now)
		if isOpen != next.Contains(now) || open != next {
			rt.Fatalf("open %v %t, next %v", open, isOpen, next)
		}
	})
}

func BenchmarkIntervals(b *testing.B) {
	windows := []calendar.Window{window(b, "Europe/Paris", "12:00", "14:00", 1, 2, 3, 4, 5), window(b, "Europe/Paris", "22:00", "06:00", 6)}
	windows[0].Except = calendar.PublicHolidaysFR
	now := instant(b, "2026-01-13T19:00:00+01:00")
	for b.Loop() {
		calendar.Intervals(windows, now, now.Add(72*time.Hour))
	}
}
