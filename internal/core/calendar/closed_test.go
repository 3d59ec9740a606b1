package calendar_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/calendar"

	"pgregory.net/rapid"
)

var workDays = []time.Weekday{1, 2, 3, 4, 5}

// dstZones change their clocks in the years from 2025 to 2034, each in its own
// way: the 167 zones that do have no others.
func dstZones() []string {
	return []string{
		"Africa/Cairo", "Africa/Casablanca", "Europe/Paris", "America/Adak", "America/Anchorage", "America/Denver", "America/Chicago",
		"America/New_York", "America/Los_Angeles", "America/Halifax", "America/Nuuk", "America/Havana", "America/Miquelon",
		"America/Santiago", "America/St_Johns", "Australia/Sydney", "Pacific/Auckland", "Antarctica/Troll", "Asia/Beirut",
		"Europe/Athens", "Asia/Gaza", "Asia/Jerusalem", "Atlantic/Azores", "Europe/London", "Australia/Adelaide",
		"Australia/Lord_Howe", "Pacific/Easter", "Europe/Chisinau", "Pacific/Chatham", "Pacific/Norfolk",
	}
}

// changes are the instants at which the clocks of a zone change in those years.
func changes(zone *time.Location) []time.Time {
	var out []time.Time
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).In(zone)
	for {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.Year() > 2034 {
			return out
		}
		at = end
		out = append(out, at)
	}
}

func office(t testing.TB, zoneName string) calendar.Window {
	t.Helper()
	return calendar.Window{Name: "w", Zone: zone(t, zoneName), Closed: []calendar.Hours{
		{Days: workDays, Start: mustClock(t, "08:00"), End: mustClock(t, "19:00"), Except: calendar.PublicHolidaysFR},
	}}
}

func TestOpenWheneverNobodyIsAtWork(t *testing.T) {
	w := []calendar.Window{office(t, "Europe/Paris")}
	for at, want := range map[string]string{
		"2026-01-13T12:00:00+01:00": "closed",                                              // a Tuesday
		"2026-01-13T19:00:00+01:00": "2026-01-13T19:00:00+01:00 2026-01-14T08:00:00+01:00", // the night after it
		"2026-01-13T07:59:59+01:00": "2026-01-12T19:00:00+01:00 2026-01-13T08:00:00+01:00",
		"2026-01-17T12:00:00+01:00": "2026-01-16T19:00:00+01:00 2026-01-19T08:00:00+01:00", // a weekend
		"2026-07-14T12:00:00+02:00": "2026-07-13T19:00:00+02:00 2026-07-15T08:00:00+02:00", // a Tuesday, and a holiday
		"2026-03-29T12:00:00+02:00": "2026-03-27T19:00:00+01:00 2026-03-30T08:00:00+02:00", // 60 hours, not 61
	} {
		got := "closed"
		if i, ok := calendar.Open(w, instant(t, at)); ok {
			got = i.Start.Format(time.RFC3339) + " " + i.End.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", at, got, want)
		}
	}
	next, ok := calendar.Next(w, instant(t, "2026-01-13T12:00:00+01:00"))
	if !ok || next.Start.Format(time.RFC3339) != "2026-01-13T19:00:00+01:00" {
		t.Errorf("after noon on a Tuesday: got %v, %t", next, ok)
	}
	if i, ok := w[0].On(mustDate(t, "2026-01-17")); ok {
		t.Errorf("it starts on no date of its own: got %v", i)
	}
	if w[0].Holidays() != calendar.PublicHolidaysFR {
		t.Errorf("got holidays %q", w[0].Holidays())
	}
}

func TestMorningsAndAfternoonsUnite(t *testing.T) {
	w := calendar.Window{Zone: zone(t, "Europe/Paris"), Closed: []calendar.Hours{
		{Days: workDays, Start: mustClock(t, "08:00"), End: mustClock(t, "12:00")},
		{Days: workDays, Start: mustClock(t, "14:00"), End: mustClock(t, "18:00")},
	}}
	got := calendar.Intervals([]calendar.Window{w}, instant(t, "2026-01-13T08:00:00+01:00"), instant(t, "2026-01-13T20:00:00+01:00"))
	want := []calendar.Interval{
		{Start: instant(t, "2026-01-13T12:00:00+01:00"), End: instant(t, "2026-01-13T14:00:00+01:00")},
		{Start: instant(t, "2026-01-13T18:00:00+01:00"), End: instant(t, "2026-01-13T20:00:00+01:00")},
	}
	if !slices.EqualFunc(got, want, func(a, b calendar.Interval) bool { return a.Start.Equal(b.Start) && a.End.Equal(b.End) }) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestClosedAroundTheClock(t *testing.T) {
	w := calendar.Window{Zone: zone(t, "Europe/Paris"), Closed: []calendar.Hours{{Days: everyDay, End: calendar.EndOfDay}}}
	now := instant(t, "2026-01-13T12:00:00+01:00")
	if i, ok := calendar.Next([]calendar.Window{w}, now); ok {
		t.Errorf("it never opens, got %v", i)
	}
	w.Closed[0].Except = calendar.PublicHolidaysFR
	i, ok := calendar.Next([]calendar.Window{w}, now)
	if !ok || i.Start.Format(time.RFC3339) != "2026-04-06T00:00:00+02:00" || i.Length() != 24*time.Hour {
		t.Errorf("Easter Monday is the next holiday: got %v, %t", i, ok)
	}
	// Another window opens before.
	lunch := window(t, "Europe/Paris", "12:00", "13:00", time.Wednesday)
	if i, ok := calendar.Next([]calendar.Window{w, lunch}, now); !ok || i.Start.Format(time.RFC3339) != "2026-01-14T12:00:00+01:00" {
		t.Errorf("got %v, %t", i, ok)
	}
}

// highest walks minute by minute and says the furthest that the wall clock has
// shown so far, as if it were UTC: people have lived through the hour that
// comes twice when it comes the first time.
type highest struct {
	at, shown time.Time
	zone      *time.Location
}

func newHighest(from time.Time, zone *time.Location) *highest {
	h := &highest{at: from.Add(-48 * time.Hour), zone: zone}
	h.shown = wall(h.at, zone)
	for h.at.Before(from) {
		h.step()
	}
	return h
}

func (h *highest) step() {
	h.at = h.at.Add(time.Minute)
	if shown := wall(h.at, h.zone); shown.After(h.shown) {
		h.shown = shown
	}
}

// atWork says the rule again on what the wall shows, without an interval.
func atWork(hours []calendar.Hours, shown time.Time) bool {
	return slices.ContainsFunc(hours, func(h calendar.Hours) bool {
		today := shown.Truncate(24 * time.Hour)
		for _, day := range []time.Time{today, today.Add(-24 * time.Hour)} {
			date := calendar.DateOf(day, time.UTC)
			start, end := day.Add(time.Duration(h.Start)*time.Minute), day.Add(time.Duration(h.End)*time.Minute)
			if h.End <= h.Start {
				end = end.Add(24 * time.Hour)
			}
			if shown.Before(start) || !shown.Before(end) || !slices.Contains(h.Days, date.Weekday()) {
				continue
			}
			if _, holiday := h.Except.Holiday(date); !holiday {
				return true
			}
		}
		return false
	})
}

// againstTheWall compares a window with the oracle at each minute. from must
// show whole minutes.
func againstTheWall(fail func(string, ...any), w calendar.Window, from, to time.Time) {
	open := calendar.Intervals([]calendar.Window{w}, from, to)
	for h := newHighest(from, w.Zone); h.at.Before(to); h.step() {
		for len(open) > 0 && !h.at.Before(open[0].End) {
			open = open[1:]
		}
		got := len(open) > 0 && open[0].Contains(h.at)
		if want := !atWork(w.Closed, h.shown); got != want {
			fail("%s in %+v: open %t, want %t", h.at.In(w.Zone), w.Closed, got, want)
			return
		}
	}
}

func anyHours(rt *rapid.T) calendar.Hours {
	h := calendar.Hours{
		Days:   rapid.SliceOfNDistinct(rapid.SampledFrom(everyDay), 1, 7, rapid.ID).Draw(rt, "days"),
		Start:  anyClock(rt),
		End:    anyClock(rt),
		Except: rapid.SampledFrom(append(calendar.HolidaySets(), calendar.NoHolidays)).Draw(rt, "except"),
	}
	if h.End == h.Start {
		h.End = calendar.EndOfDay
	}
	return h
}

// Around the changes of clocks of every zone that has them, where mistakes are.
func TestClosedHoursAreClosedMinuteByMinute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		z := zone(t, rapid.SampledFrom(dstZones()).Draw(rt, "zone"))
		w := calendar.Window{Zone: z}
		for range rapid.IntRange(1, 3).Draw(rt, "entries") {
			w.Closed = append(w.Closed, anyHours(rt))
		}
		from := rapid.SampledFrom(changes(z)).Draw(rt, "change").Add(-time.Duration(rapid.IntRange(0, 6*24*60).Draw(rt, "before")) * time.Minute)
		againstTheWall(rt.Fatalf, w, from, from.Add(8*24*time.Hour))
	})
}

func TestTenYearsOfAnOfficeMinuteByMinute(t *testing.T) {
	w := office(t, "Europe/Paris")
	againstTheWall(t.Errorf, w, instant(t, "2025-01-01T00:00:00+01:00"), instant(t, "2035-01-01T00:00:00+01:00"))
}

func TestEveryZoneThatChangesItsClocks(t *testing.T) {
	for _, name := range dstZones() {
		z := zone(t, name)
		list := changes(z)
		if len(list) < 4 {
			t.Errorf("%s changes its clocks %d times in ten years", name, len(list))
		}
		w := office(t, name)
		// A night shift that ends, and another that begins, in the hours that
		// are skipped or come twice.
		w.Closed = append(w.Closed,
			calendar.Hours{Days: everyDay, Start: mustClock(t, "22:30"), End: mustClock(t, "02:30")},
			calendar.Hours{Days: everyDay, Start: mustClock(t, "02:45"), End: mustClock(t, "03:15")})
		for _, at := range list[:min(len(list), 6)] {
			againstTheWall(t.Errorf, w, at.Add(-36*time.Hour), at.Add(36*time.Hour))
		}
	}
}

func BenchmarkClosed(b *testing.B) {
	w := []calendar.Window{office(b, "Europe/Paris")}
	now := instant(b, "2026-01-13T12:00:00+01:00")
	b.Run("72h", func(b *testing.B) {
		for b.Loop() {
			calendar.Intervals(w, now, now.Add(72*time.Hour))
		}
	})
	b.Run("ten years", func(b *testing.B) {
		for b.Loop() {
			calendar.Intervals(w, now, now.AddDate(10, 0, 0))
		}
	})
}
