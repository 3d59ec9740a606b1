package calendar_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/calendar"

	"pgregory.net/rapid"
)

// Read off printed calendars, not computed.
var patchTuesdays = map[int]string{
	2025: "01-14 02-11 03-11 04-08 05-13 06-10 07-08 08-12 09-09 10-14 11-11 12-09",
	2026: "01-13 02-10 03-10 04-14 05-12 06-09 07-14 08-11 09-08 10-13 11-10 12-08",
	2027: "01-12 02-09 03-09 04-13 05-11 06-08 07-13 08-10 09-14 10-12 11-09 12-14",
	2028: "01-11 02-08 03-14 04-11 05-09 06-13 07-11 08-08 09-12 10-10 11-14 12-12",
}

func TestPatchTuesdays(t *testing.T) {
	for year, want := range patchTuesdays {
		var got []string
		for m := time.January; m <= time.December; m++ {
			got = append(got, calendar.PatchTuesday(year, m).String()[len("2026-"):])
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%d\n got %s\nwant %s", year, s, want)
		}
	}
}

func TestPatchTuesdayIsASecondTuesday(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		year, month := rapid.IntRange(2003, 2100).Draw(rt, "year"), time.Month(rapid.IntRange(1, 12).Draw(rt, "month"))
		d := calendar.PatchTuesday(year, month)
		if d.Weekday() != time.Tuesday || d.Day < 8 || d.Day > 14 || d.Month != month || d.Year != year {
			rt.Fatalf("%d-%d: got %s %s", year, month, d.Weekday(), d)
		}
		if eighth := calendar.Day(d, 8); eighth != calendar.NthWeekday(3, time.Tuesday, year, month) {
			rt.Fatalf("day 8 of %s is %s, not the 3rd Tuesday", d, eighth)
		}
		if calendar.Day(d, 1) != d {
			rt.Fatalf("day 1 of %s is %s", d, calendar.Day(d, 1))
		}
	})
}

func TestTwoDaysAfterDayEightIsTheThirdThursdayExceptInTheseMonths(t *testing.T) {
	want := strings.Fields("2025-01 2025-05 2025-10 2026-01 2026-04 2026-07 2026-10 2027-04 2027-07 2027-09 2027-12 2028-03 2028-06 2028-11")
	var got []string
	for year := 2025; year <= 2028; year++ {
		for m := time.January; m <= time.December; m++ {
			verification := calendar.Day(calendar.PatchTuesday(year, m), 10)
			if verification != calendar.NthWeekday(3, time.Thursday, year, m) {
				got = append(got, verification.String()[:len("2026-01")])
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestNthWeekdayBeyondTheMonth(t *testing.T) {
	if got := calendar.NthWeekday(5, time.Tuesday, 2026, time.January).String(); got != "2026-02-03" {
		t.Errorf("the fifth Tuesday of January 2026: got %s, want 2026-02-03", got)
	}
	if got := calendar.NthWeekday(5, time.Tuesday, 2028, time.February).String(); got != "2028-02-29" {
		t.Errorf("the fifth Tuesday of February 2028: got %s, want 2028-02-29", got)
	}
}

func TestReleaseIsAtSevenInParisExceptWhenOnlyAmericaChangedItsClocks(t *testing.T) {
	paris := zone(t, "Europe/Paris")
	odd := map[string]bool{"2025-03-11": true, "2026-03-10": true, "2028-03-14": true}
	for year := 2025; year <= 2028; year++ {
		for m := time.January; m <= time.December; m++ {
			tuesday := calendar.PatchTuesday(year, m)
			got, want := calendar.Release(tuesday).In(paris).Format("2006-01-02 15:04"), tuesday.String()+" 19:00"
			if odd[tuesday.String()] {
				want = tuesday.String() + " 18:00"
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	if got := calendar.Release(calendar.PatchTuesday(2026, time.July)).UTC().Format(time.RFC3339); got != "2026-07-14T17:00:00Z" {
		t.Errorf("July 2026: got %s, want 2026-07-14T17:00:00Z", got)
	}
}

func TestFrenchHolidays(t *testing.T) {
	// The eleven days of the Labour Code, article L3133-1, for 2026 and, where
	// Easter moves them, 2027 and 2028.
	holidays := strings.Fields(`2026-01-01 2026-04-06 2026-05-01 2026-05-08 2026-05-14 2026-05-25 2026-07-14 2026-08-15
		2026-11-01 2026-11-11 2026-12-25 2027-03-29 2027-05-06 2027-05-17 2028-04-17 2028-05-25 2028-06-05`)
	for _, s := range holidays {
		if name, ok := calendar.PublicHolidaysFR.Holiday(mustDate(t, s)); !ok || name == "" {
			t.Errorf("%s is a public holiday in France", s)
		}
	}
	count := 0
	for d := mustDate(t, "2026-01-01"); d.Year == 2026; d = d.AddDays(1) {
		if _, ok := calendar.PublicHolidaysFR.Holiday(d); ok {
			count++
		}
	}
	if count != 11 {
		t.Errorf("2026 has %d public holidays in France, want 11", count)
	}
	if name, ok := calendar.NoHolidays.Holiday(mustDate(t, "2026-12-25")); ok {
		t.Errorf("no holidays were asked for, got %s", name)
	}
	// Patch Tuesdays that are holidays, or the eve of one.
	var on, after []string
	for year := 2025; year <= 2028; year++ {
		for m := time.January; m <= time.December; m++ {
			d := calendar.PatchTuesday(year, m)
			if _, ok := calendar.PublicHolidaysFR.Holiday(d); ok {
				on = append(on, d.String())
			}
			if _, ok := calendar.PublicHolidaysFR.Holiday(d.AddDays(1)); ok {
				after = append(after, d.AddDays(1).String())
			}
		}
	}
	if !slices.Equal(on, []string{"2025-11-11", "2026-07-14"}) || !slices.Equal(after, []string{"2026-11-11", "2027-07-14"}) {
		t.Errorf("Patch Tuesdays on a holiday %v, eves of one %v", on, after)
	}
}
