package calendar_test

import (
	"testing"
	"time"

	"patchring/internal/core/calendar"

	"pgregory.net/rapid"
)

func TestAtOnNightsWhenClocksChange(t *testing.T) {
	for _, c := range []struct{ why, zone, date, clock, want string }{
		{"an ordinary hour", "Europe/Paris", "2026-01-13", "02:30", "2026-01-13T02:30:00+01:00"},
		{"skipped in spring: the first instant after", "Europe/Paris", "2026-03-29", "02:30", "2026-03-29T03:00:00+02:00"},
		{"the hour of the change itself", "Europe/Paris", "2026-03-29", "02:00", "2026-03-29T03:00:00+02:00"},
		{"twice in autumn: the first", "Europe/Paris", "2026-10-25", "02:30", "2026-10-25T02:30:00+02:00"},
		{"the end of the repeated hour", "Europe/Paris", "2026-10-25", "03:00", "2026-10-25T03:00:00+01:00"},
		{"half an hour skipped", "Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-04T02:30:00+11:00"},
		{"half an hour twice", "Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-05T01:45:00+11:00"},
		{"midnight skipped", "America/Havana", "2026-03-08", "00:00", "2026-03-08T01:00:00-04:00"},
		{"skipped up to the next date", "America/Nuuk", "2024-03-30", "23:30", "2024-03-31T00:00:00-01:00"},
		{"a date nobody had", "Pacific/Apia", "2011-12-30", "12:00", "2011-12-31T00:00:00+14:00"},
		{"the end of a day", "Europe/Paris", "2026-10-25", "24:00", "2026-10-26T00:00:00+01:00"},
		{"far ahead of UTC", "Pacific/Kiritimati", "2026-01-01", "00:00", "2026-01-01T00:00:00+14:00"},
		{"far behind UTC", "Pacific/Pago_Pago", "2026-01-01", "23:59", "2026-01-01T23:59:00-11:00"},
		{"the last day of a leap year, far ahead", "Europe/Paris", "2040-12-31", "12:00", "2040-12-31T12:00:00+01:00"},
		{"its end", "Europe/Paris", "2040-12-31", "24:00", "2041-01-01T00:00:00+01:00"},
		{"the same in summer", "Pacific/Auckland", "2040-12-31", "23:00", "2040-12-31T23:00:00+13:00"},
		{"the day after", "America/Los_Angeles", "2041-01-01", "06:00", "2041-01-01T06:00:00-08:00"},
		{"no change of clocks at all", "UTC", "2026-06-01", "08:00", "2026-06-01T08:00:00Z"},
	} {
		date, clock := mustDate(t, c.date), mustClock(t, c.clock)
		if got := date.At(clock, zone(t, c.zone)).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: %s %s in %s: got %s, want %s", c.why, c.date, c.clock, c.zone, got, c.want)
		}
	}
}

func TestAtIsTheFirstInstantThatShowsTheTimeOrLater(t *testing.T) {
	all := zones(t)
	rapid.Check(t, func(rt *rapid.T) {
		z, date, clock := rapid.SampledFrom(all).Draw(rt, "zone"), anyDate(rt), anyClock(rt)
		at := date.At(clock, z)
		want := time.Date(date.Year, date.Month, date.Day, 0, int(clock), 0, 0, time.UTC)
		if wall(at, z).Before(want) {
			rt.Fatalf("%s %s in %s: %s shows less", date, clock, z, at)
		}
		// Walls fall back, so every instant of the day before is looked at, not
		// only the one just before.
		for before := at.Add(-time.Minute); before.After(at.Add(-24 * time.Hour)); before = before.Add(-7 * time.Minute) {
			if !wall(before, z).Before(want) {
				rt.Fatalf("%s %s in %s: got %s, but %s shows it already", date, clock, z, at, before)
			}
		}
	})
}

func TestAtNeverDecreases(t *testing.T) {
	all := zones(t)
	rapid.Check(t, func(rt *rapid.T) {
		z, date := rapid.SampledFrom(all).Draw(rt, "zone"), anyDate(rt)
		a, b := anyClock(rt), anyClock(rt)
		if a > b {
			a, b = b, a
		}
		if date.At(b, z).Before(date.At(a, z)) {
			rt.Fatalf("%s in %s: %s is before %s", date, z, b, a)
		}
	})
}

func TestDates(t *testing.T) {
	leap := calendar.Date{Year: 2028, Month: time.February, Day: 28}
	if got := leap.AddDays(1).String(); got != "2028-02-29" || leap.AddDays(1).Weekday() != time.Tuesday {
		t.Errorf("the day after 2028-02-28: got %s %s, want Tuesday 2028-02-29", leap.AddDays(1).Weekday(), got)
	}
	if got := leap.AddDays(2).DaysSince(leap); got != 2 {
		t.Errorf("got %d days since, want 2", got)
	}
	if got := leap.DaysSince(leap.AddDays(366)); got != -366 {
		t.Errorf("got %d days since, want -366", got)
	}
	if apia := zone(t, "Pacific/Apia"); mustDate(t, "2011-12-30").ExistsIn(apia) || !mustDate(t, "2011-12-31").ExistsIn(apia) {
		t.Error("Apia had a 31 December 2011 but no 30")
	}
	for _, bad := range []string{"", "2026-02-30", "2026-2-3", "13/01/2026", "2026-01-13T00:00:00Z"} {
		if d, err := calendar.ParseDate(bad); err == nil {
			t.Errorf("date %q was read as %s", bad, d)
		}
	}
	var d calendar.Date
	if err := d.UnmarshalText([]byte("2026-01-13")); err != nil || d.String() != "2026-01-13" {
		t.Errorf("got %s, %v", d, err)
	}
	if err := d.UnmarshalText([]byte("soon")); err == nil || d.String() != "2026-01-13" {
		t.Errorf("a bad date must change nothing: got %s, %v", d, err)
	}
}

func TestClocks(t *testing.T) {
	for text, want := range map[string]calendar.Clock{"00:00": 0, "09:05": 545, "23:59": 1439, "24:00": calendar.EndOfDay} {
		got, err := calendar.ParseClock(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %d (%s), %v, want %d", text, got, got, err, want)
		}
	}
	for _, bad := range []string{"", "9:00", "09h00", "24:01", "23:60", "-1:00", "09:00:00", "９:00", "now"} {
		if c, err := calendar.ParseClock(bad); err == nil {
			t.Errorf("time of day %q was read as %s", bad, c)
		}
	}
}

func wall(at time.Time, z *time.Location) time.Time {
	at = at.In(z)
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
}

// anyDate is in ten years of campaigns.
func anyDate(rt *rapid.T) calendar.Date {
	return calendar.Date{Year: 2025, Month: time.January, Day: 1}.AddDays(rapid.IntRange(0, 3652).Draw(rt, "day"))
}

func anyClock(rt *rapid.T) calendar.Clock {
	return calendar.Clock(rapid.IntRange(0, int(calendar.EndOfDay)-1).Draw(rt, "minute"))
}

func mustDate(t testing.TB, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustClock(t testing.TB, s string) calendar.Clock {
	t.Helper()
	c, err := calendar.ParseClock(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
