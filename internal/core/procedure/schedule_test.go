package procedure_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/procedure"

	"pgregory.net/rapid"
)

// months of the example, read off printed calendars: R0 opens, R1 opens, R1
// closes and GLOBAL opens, verification. Offsets are those of Paris.
var months = `
2026-01 01-13T19:00+01 01-15T00:00+01 01-20T09:00+01 01-22
2026-02 02-10T19:00+01 02-12T00:00+01 02-17T09:00+01 02-19
2026-03 03-10T18:00+01 03-12T00:00+01 03-17T09:00+01 03-19
2026-04 04-14T19:00+02 04-16T00:00+02 04-21T09:00+02 04-23
2026-05 05-12T19:00+02 05-14T00:00+02 05-19T09:00+02 05-21
2026-06 06-09T19:00+02 06-11T00:00+02 06-16T09:00+02 06-18
2026-07 07-14T19:00+02 07-16T00:00+02 07-21T09:00+02 07-23
2026-08 08-11T19:00+02 08-13T00:00+02 08-18T09:00+02 08-20
2026-09 09-08T19:00+02 09-10T00:00+02 09-15T09:00+02 09-17
2026-10 10-13T19:00+02 10-15T00:00+02 10-20T09:00+02 10-22
2026-11 11-10T19:00+01 11-12T00:00+01 11-17T09:00+01 11-19
2026-12 12-08T19:00+01 12-10T00:00+01 12-15T09:00+01 12-17
2027-01 01-12T19:00+01 01-14T00:00+01 01-19T09:00+01 01-21
2027-02 02-09T19:00+01 02-11T00:00+01 02-16T09:00+01 02-18
2027-03 03-09T19:00+01 03-11T00:00+01 03-16T09:00+01 03-18
2027-04 04-13T19:00+02 04-15T00:00+02 04-20T09:00+02 04-22
2027-05 05-11T19:00+02 05-13T00:00+02 05-18T09:00+02 05-20
2027-06 06-08T19:00+02 06-10T00:00+02 06-15T09:00+02 06-17
2027-07 07-13T19:00+02 07-15T00:00+02 07-20T09:00+02 07-22
2027-08 08-10T19:00+02 08-12T00:00+02 08-17T09:00+02 08-19
2027-09 09-14T19:00+02 09-16T00:00+02 09-21T09:00+02 09-23
2027-10 10-12T19:00+02 10-14T00:00+02 10-19T09:00+02 10-21
2027-11 11-09T19:00+01 11-11T00:00+01 11-16T09:00+01 11-18
2027-12 12-14T19:00+01 12-16T00:00+01 12-21T09:00+01 12-23
2028-01 01-11T19:00+01 01-13T00:00+01 01-18T09:00+01 01-20
2028-02 02-08T19:00+01 02-10T00:00+01 02-15T09:00+01 02-17
2028-03 03-14T18:00+01 03-16T00:00+01 03-21T09:00+01 03-23
2028-04 04-11T19:00+02 04-13T00:00+02 04-18T09:00+02 04-20
2028-05 05-09T19:00+02 05-11T00:00+02 05-16T09:00+02 05-18
2028-06 06-13T19:00+02 06-15T00:00+02 06-20T09:00+02 06-22
2028-07 07-11T19:00+02 07-13T00:00+02 07-18T09:00+02 07-20
2028-08 08-08T19:00+02 08-10T00:00+02 08-15T09:00+02 08-17
2028-09 09-12T19:00+02 09-14T00:00+02 09-19T09:00+02 09-21
2028-10 10-10T19:00+02 10-12T00:00+02 10-17T09:00+02 10-19
2028-11 11-14T19:00+01 11-16T00:00+01 11-21T09:00+01 11-23
2028-12 12-12T19:00+01 12-14T00:00+01 12-19T09:00+01 12-21
`

func TestTheMissionsDatesOfThreeYears(t *testing.T) {
	p := example(t, "postes-france.yaml")
	const layout = "01-02T15:04-07"
	year, month := 2026, time.January
	for _, want := range strings.Split(strings.TrimSpace(months), "\n") {
		s := p.Schedule(year, month)
		got := strings.Join([]string{
			s.Campaign, s.Rings[0].Opens.Format(layout), s.Rings[1].Opens.Format(layout),
			s.Rings[2].Opens.Format(layout), s.VerificationDate().String()[len("2026-"):],
		}, " ")
		if got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		if !s.Rings[1].Closes.Equal(s.Rings[2].Opens) || !s.Rings[2].Closes.Equal(s.Verification) {
			t.Errorf("%s: R1 closes when GLOBAL opens, and GLOBAL at the verification: %+v", s.Campaign, s.Rings)
		}
		if got, want := s.Rings[0].Closes.Format("2006-01-02 15:04"), s.PatchTuesday.AddDays(1).String()+" 23:59"; got != want {
			t.Errorf("%s: R0 closes %s, want %s", s.Campaign, got, want)
		}
		if month++; month > time.December {
			year, month = year+1, time.January
		}
	}
	if year != 2029 {
		t.Errorf("stopped at %d-%02d, want three years", year, month)
	}
}

func TestNotes(t *testing.T) {
	p := example(t, "postes-france.yaml")
	want := map[procedure.NoteCode][]string{
		procedure.NoteVerificationNotThirdThursday: {
			"2026-01 2026-01-15", "2026-04 2026-04-16", "2026-07 2026-07-16", "2026-10 2026-10-15", "2027-04 2027-04-15", "2027-07 2027-07-15",
			"2027-09 2027-09-16", "2027-12 2027-12-16", "2028-03 2028-03-16", "2028-06 2028-06-15", "2028-11 2028-11-16",
		},
		procedure.NotePatchTuesdayHoliday: {"2026-07 Fête Nationale"},
		procedure.NoteDayAfterHoliday:     {"2026-11 Armistice de 1918", "2027-07 Fête Nationale"},
		procedure.NoteReleaseHour:         {"2026-03 18:00", "2028-03 18:00"},
	}
	got := map[procedure.NoteCode][]string{}
	for year := 2026; year <= 2028; year++ {
		for m := time.January; m <= time.December; m++ {
			s := p.Schedule(year, m)
			for _, n := range s.Notes {
				got[n.Code] = append(got[n.Code], s.Campaign+" "+n.Value)
			}
		}
	}
	for code := range got {
		if !slices.Equal(got[code], want[code]) {
			t.Errorf("%s\n got %v\nwant %v", code, got[code], want[code])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d kinds of notes, want %d", len(got), len(want))
	}
}

func TestFrenchHolidaysConcernThoseWhoKeepThem(t *testing.T) {
	abroad := strings.Replace(short, "Europe/Paris", "Asia/Tokyo", 1)
	for _, n := range parse(t, abroad).Schedule(2026, time.July).Notes {
		if n.Code == procedure.NotePatchTuesdayHoliday {
			t.Errorf("14 July is no holiday in Tokyo: %+v", n)
		}
	}
	kept := strings.Replace(abroad, "name: lunch", "name: lunch\n    except: public-holidays-fr", 1)
	if notes := parse(t, kept).Schedule(2026, time.July).Notes; !slices.ContainsFunc(notes, func(n procedure.Note) bool { return n.Code == procedure.NotePatchTuesdayHoliday }) {
		t.Errorf("its windows keep French holidays, got %+v", notes)
	}
	closed := abroad[:strings.Index(abroad, "windows:")] + "windows:\n  - {name: w, closed: {days: [mon], start: '08:00', end: '19:00', except: fr}}\n"
	if notes := parse(t, closed).Schedule(2026, time.July).Notes; !slices.ContainsFunc(notes, func(n procedure.Note) bool { return n.Code == procedure.NotePatchTuesdayHoliday }) {
		t.Errorf("its closed hours keep French holidays, got %+v", notes)
	}
}

func TestAnOddReleaseHourIsAskedOfNorthernSummersOnly(t *testing.T) {
	for zone, want := range map[string]string{
		"Europe/London": "2026-03", "Africa/Cairo": "2026-03 2026-04", "America/Montreal": "", "Asia/Tokyo": "", "Pacific/Auckland": "", "America/Phoenix": "",
	} {
		p := parse(t, strings.Replace(short, "Europe/Paris", zone, 1))
		var got []string
		for m := time.January; m <= time.December; m++ {
			s := p.Schedule(2026, m)
			if slices.ContainsFunc(s.Notes, func(n procedure.Note) bool { return n.Code == procedure.NoteReleaseHour }) {
				got = append(got, s.Campaign)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", zone, got, want)
		}
	}
}

func TestAucklandCannotOpenBeforeTheRelease(t *testing.T) {
	auckland := strings.Replace(short, "Europe/Paris", "Pacific/Auckland", 1)
	s := parse(t, auckland).Schedule(2026, time.July)
	// 10:00 in Los Angeles on Tuesday 14 July is 05:00 in Auckland on the 15th.
	if got := s.Rings[0].Opens.Format(time.RFC3339); got != "2026-07-15T05:00:00+12:00" {
		t.Errorf("R0 opens %s, want 2026-07-15T05:00:00+12:00", got)
	}
	if got := s.Rings[1].Opens.Format(time.RFC3339); got != "2026-07-21T09:00:00+12:00" {
		t.Errorf("GLOBAL opens %s: day 8 counts from Patch Tuesday's date", got)
	}
	tooEarly := strings.Replace(auckland, "closes: {day: 2}", "closes: {day: 1}", 1)
	_, err := procedure.Parse("p.yaml", []byte(tooEarly))
	if err == nil || !strings.Contains(err.Error(), "ring R0 of campaign 2026-01 would close at 2026-01-14 00:00, before it can open at 2026-01-14 07:00") {
		t.Errorf("a ring that closes on day 1 in Auckland: got %v", err)
	}
	// An hour that is late enough in January, and too early in northern winter
	// alone, is found by playing the years.
	sometimes := strings.Replace(auckland, "closes: {day: 2}", "closes: {day: 2, at: '06:30'}", 1)
	if _, err := procedure.Parse("p.yaml", []byte(sometimes)); err == nil || !strings.Contains(err.Error(), "before it can open") {
		t.Errorf("a close at 06:30 when the release is at 07:00: got %v", err)
	}
}

func TestACloseLeftOutIsTheNextOpening(t *testing.T) {
	s := parse(t, with(t, "    closes: {day: 2}\n", "")).Schedule(2026, time.May)
	if !s.Rings[0].Closes.Equal(s.Rings[1].Opens) {
		t.Errorf("R0 closes %s, GLOBAL opens %s", s.Rings[0].Closes, s.Rings[1].Opens)
	}
}

func TestTheVerificationCrossesAMonthAndAChangeOfClocks(t *testing.T) {
	text := strings.Replace(short, "opens: {day: 8,", "opens: {day: 16,", 1)
	s := parse(t, text).Schedule(2027, time.March) // GLOBAL on the 24th
	if got := s.Verification.Format(time.RFC3339); got != "2027-03-26T09:00:00+01:00" {
		t.Errorf("got %s, want 2027-03-26T09:00:00+01:00", got)
	}
	text = strings.Replace(text, "owner: IT", "owner: IT\nverification: {days_after_last_ring_opens: 9}", 1)
	s = parse(t, text).Schedule(2027, time.March)
	if got := s.Verification.Format(time.RFC3339); got != "2027-04-02T09:00:00+02:00" {
		t.Errorf("got %s, want 09:00 on the clock, in summer time", got)
	}
}

func TestACompressedCampaign(t *testing.T) {
	p := example(t, "postes-france.yaml")
	start := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	real := p.Schedule(2026, time.January)
	s := real.Compressed(start, time.Minute)
	if !s.Rings[0].Opens.Equal(start) || !s.Release.Equal(start) {
		t.Errorf("R0 opens %s, want %s", s.Rings[0].Opens, start)
	}
	// From 19:00 on day 1 to 09:00 on day 8 are 6 days and 14 hours.
	if got, want := s.Rings[2].Opens.Sub(start), 6*time.Minute+35*time.Second; got != want {
		t.Errorf("GLOBAL opens %s after the start, want %s", got, want)
	}
	if got, want := s.Verification.Sub(s.Rings[2].Opens), 2*time.Minute; got != want {
		t.Errorf("the verification is %s after GLOBAL opens, want %s", got, want)
	}
	if len(s.Notes) != 0 || s.Campaign != "2026-01" || s.Compress.Duration(p.Rings[0].Soak) != time.Minute {
		t.Errorf("got notes %v, campaign %s, soak %s", s.Notes, s.Campaign, s.Compress.Duration(p.Rings[0].Soak))
	}
	if s := real.Compressed(start, 0); s.Rings[2].Opens.Sub(start) < 6*time.Second {
		t.Errorf("a day lasts a second at least, GLOBAL opens %s after the start", s.Rings[2].Opens.Sub(start))
	}
}

func TestRingsOpenAfterTheReleaseAndInOrder(t *testing.T) {
	zones := []string{"UTC", "Europe/Paris", "Pacific/Auckland", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(zones).Draw(rt, "zone")
		p := parse(t, strings.Replace(short, "Europe/Paris", name, 1))
		year, month := rapid.IntRange(2020, 2045).Draw(rt, "year"), time.Month(rapid.IntRange(1, 12).Draw(rt, "month"))
		real := p.Schedule(year, month)
		day := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(rt, "day"))
		for _, s := range []procedure.Schedule{real, real.Compressed(real.Release, day)} {
			for i, r := range s.Rings {
				if r.Opens.Before(s.Release) || !r.Opens.Before(r.Closes) || i > 0 && r.Opens.Before(s.Rings[i-1].Closes) {
					rt.Fatalf("%s %s: %+v, release %s", name, s.Campaign, s.Rings, s.Release)
				}
			}
			if !s.Verification.After(s.Rings[len(s.Rings)-1].Opens) {
				rt.Fatalf("%s: verification %s", s.Campaign, s.Verification)
			}
		}
		if real.PatchTuesday != calendar.PatchTuesday(year, month) {
			rt.Fatalf("got %s", real.PatchTuesday)
		}
	})
}
