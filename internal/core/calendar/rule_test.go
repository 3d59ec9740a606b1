package calendar_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"patchring/internal/core/calendar"

	"pgregory.net/rapid"
)

func rule(t testing.TB, text, from string) *calendar.Rule {
	t.Helper()
	r, err := parseRule(t, text, from)
	if err != nil {
		t.Fatalf("%s from %q: %v", text, from, err)
	}
	return r
}

func parseRule(t testing.TB, text, from string) (*calendar.Rule, error) {
	t.Helper()
	var date calendar.Date
	if from != "" {
		date = mustDate(t, from)
	}
	return calendar.ParseRule(text, date)
}

// Read off printed calendars, not computed.
func TestDatesOfRules(t *testing.T) {
	for _, c := range []struct{ why, rule, from, since, until, want string }{
		{"second Saturdays", "FREQ=MONTHLY;BYDAY=2SA", "", "2026-01-01", "2026-06-30", "2026-01-10 2026-02-14 2026-03-14 2026-04-11 2026-05-09 2026-06-13"},
		{"in small letters", " freq=monthly;byday=2sa", "", "2026-01-01", "2026-01-31", "2026-01-10"},
		{"last Fridays", "FREQ=MONTHLY;BYDAY=-1FR", "", "2026-01-01", "2026-04-30", "2026-01-30 2026-02-27 2026-03-27 2026-04-24"},
		{"fifth Saturdays skip months", "FREQ=MONTHLY;BYDAY=5SA", "", "2026-01-01", "2026-12-31", "2026-01-31 2026-05-30 2026-08-29 2026-10-31"},
		{"two days after Patch Tuesday", "FREQ=MONTHLY;BYDAY=TH;BYMONTHDAY=10,11,12,13,14,15,16", "", "2026-01-01", "2026-04-30", "2026-01-15 2026-02-12 2026-03-12 2026-04-16"},
		{"the 31st skips short months", "FREQ=MONTHLY;BYMONTHDAY=31", "", "2026-01-01", "2026-06-30", "2026-01-31 2026-03-31 2026-05-31"},
		{"last days of months", "FREQ=MONTHLY;BYMONTHDAY=-1", "", "2028-01-01", "2028-04-30", "2028-01-31 2028-02-29 2028-03-31 2028-04-30"},
		{"last working days", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "", "2026-01-01", "2026-05-31", "2026-01-30 2026-02-27 2026-03-31 2026-04-30 2026-05-29"},
		{"first Sundays of quarters", "FREQ=YEARLY;BYMONTH=1,4,7,10;BYDAY=1SU", "", "2026-01-01", "2026-12-31", "2026-01-04 2026-04-05 2026-07-05 2026-10-04"},
		{"leap days", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "", "2026-01-01", "2036-12-31", "2028-02-29 2032-02-29 2036-02-29"},
		{"the twentieth Monday", "FREQ=YEARLY;BYDAY=20MO", "", "2026-01-01", "2026-12-31", "2026-05-18"},
		{"every other week, asked between", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SA", "2026-01-08", "2026-01-20", "2026-02-08", "2026-01-20 2026-01-24 2026-02-03 2026-02-07"},
		{"not before it counts", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SA", "2026-01-08", "2025-12-01", "2026-01-20", "2026-01-10 2026-01-20"},
		{"every third day over new year", "FREQ=DAILY;INTERVAL=3", "2025-12-30", "2025-12-31", "2026-01-08", "2026-01-02 2026-01-05 2026-01-08"},
		{"every second month over new year", "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=1", "2025-11-15", "2025-01-01", "2026-05-31", "2026-01-01 2026-03-01 2026-05-01"},
		{"every second year", "FREQ=YEARLY;INTERVAL=2;BYMONTH=5;BYMONTHDAY=2", "2025-01-01", "2026-01-01", "2030-01-01", "2027-05-02 2029-05-02"},
		{"daily in August", "FREQ=DAILY;BYMONTH=8;BYDAY=SA", "", "2026-01-01", "2026-12-31", "2026-08-01 2026-08-08 2026-08-15 2026-08-22 2026-08-29"},
		{"a date from which it counts without pauses", "FREQ=MONTHLY;BYDAY=2SA", "2026-02-15", "2026-01-01", "2026-04-30", "2026-03-14 2026-04-11"},
		{"asked backwards", "FREQ=DAILY", "", "2026-01-02", "2026-01-01", ""},
	} {
		var got []string
		for _, date := range rule(t, c.rule, c.from).Dates(mustDate(t, c.since), mustDate(t, c.until)) {
			got = append(got, date.String())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.why, s, c.want)
		}
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ rule, problem, fix string }{
		{"", `"" is not a part of a rule`, "FREQ, INTERVAL, BYDAY"},
		{"monthly", `"MONTHLY" is not a part`, "FREQ"},
		{"FREQ", "FREQ= cannot be read", "FREQ=DAILY"},
		{"FREQ=HOURLY", "FREQ=HOURLY cannot be read", "DAILY, WEEKLY, MONTHLY or YEARLY"},
		{"BYDAY=SA", "BYDAY=SA does not say FREQ", "FREQ=DAILY"},
		{"RRULE:FREQ=DAILY", "begins with RRULE:", "take RRULE: out"},
		{"FREQ=DAILY;", `"" is not a part`, "with ; between"},
		{"FREQ=DAILY;FREQ=WEEKLY", "says FREQ twice", "keep it once"},
		{"FREQ=DAILY;BYEASTER=1", `"BYEASTER" is not a part`, "BYSETPOS"},
		{"FREQ=DAILY;COUNT=3", "COUNT is not read", "take COUNT out"},
		{"FREQ=DAILY;UNTIL=20260101T000000Z", "UNTIL is not read", "freeze"},
		{"FREQ=DAILY;BYHOUR=22", "BYHOUR is not read", `start: "22:00"`},
		{"FREQ=DAILY;BYMINUTE=30", "BYMINUTE is not read", "start:"},
		{"FREQ=DAILY;BYSECOND=0", "BYSECOND is not read", "start:"},
		{"FREQ=YEARLY;BYYEARDAY=1", "BYYEARDAY is not read", "BYMONTHDAY"},
		{"FREQ=YEARLY;BYWEEKNO=1", "BYWEEKNO is not read", "BYDAY"},
		{"FREQ=WEEKLY;BYDAY=SA;WKST=SU", "WKST is not read", "Monday"},
		{"FREQ=DAILY;DTSTART=20260101", "DTSTART is not read", "from: 2026-01-05"},
		{"FREQ=DAILY;INTERVAL=0", "INTERVAL=0 cannot be read", "from 1"},
		{"FREQ=DAILY;INTERVAL=-1", "INTERVAL=-1 cannot be read", "from 1"},
		{"FREQ=DAILY;INTERVAL=367", "INTERVAL=367 is too long with FREQ=DAILY", "366 at most"},
		{"FREQ=WEEKLY;INTERVAL=54;BYDAY=SA", "INTERVAL=54 is too long", "53 at most"},
		{"FREQ=MONTHLY;INTERVAL=13;BYDAY=1SA", "INTERVAL=13 is too long", "12 at most"},
		{"FREQ=YEARLY;INTERVAL=11;BYDAY=1SA", "INTERVAL=11 is too long", "10 at most"},
		{"FREQ=WEEKLY;INTERVAL=2;BYDAY=SA", "does not say what it counts from", "from: 2026-01-05"},
		{"FREQ=MONTHLY", "FREQ=MONTHLY does not say which days", "BYDAY=2SA"},
		{"FREQ=WEEKLY;BYMONTH=3", "does not say which days", "BYDAY"},
		{"FREQ=YEARLY;BYMONTH=3", "does not say which days", "BYMONTHDAY"},
		{"FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY has no meaning with FREQ=WEEKLY", "FREQ=MONTHLY"},
		{"FREQ=WEEKLY;BYDAY=2SA", "BYDAY counts days of a month, and FREQ is WEEKLY", "FREQ=MONTHLY"},
		{"FREQ=MONTHLY;BYDAY=SA,2SU", "BYDAY mixes days with and without a number", "two windows"},
		{"FREQ=MONTHLY;BYDAY=6SA", "BYDAY counts beyond the end", "-5 to 5"},
		{"FREQ=YEARLY;BYMONTH=12;BYDAY=53SA", "BYDAY counts beyond the end", "-5 to 5"},
		{"FREQ=YEARLY;BYDAY=54SA", "BYDAY counts beyond the end", "-53 to 53"},
		{"FREQ=MONTHLY;BYDAY=0SA", "BYDAY=0SA cannot be read", "2SA"},
		{"FREQ=MONTHLY;BYDAY=SAT", "BYDAY=SAT cannot be read", "MO, TU"},
		{"FREQ=MONTHLY;BYMONTHDAY=32", "bymonthday must be between", "RFC 5545"},
		{"FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY=0 cannot be read", "1 to 31"},
		{"FREQ=MONTHLY;BYDAY=1SA;BYMONTH=13", "bymonth must be between", "RFC 5545"},
		{"FREQ=MONTHLY;BYDAY=1SA;BYMONTH=MAR", "BYMONTH=MAR cannot be read", "1 to 12"},
		{"FREQ=MONTHLY;BYDAY=SA;BYSETPOS=0", "BYSETPOS=0 cannot be read", "-1 is the last"},
		{"FREQ=DAILY;BYSETPOS=1", "BYSETPOS has nothing to choose from", "BYDAY"},
		{"FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31", "gives no date in 40 years", "BYMONTHDAY=-1"},
		{"FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2", "gives no date in 40 years", "BYMONTHDAY"},
		{"FREQ=DAILY;BYMONTHDAY=30,31;BYMONTH=2", "gives no date in 40 years", "BYMONTHDAY"},
		{"FREQ=MONTHLY;BYDAY=2SA;BYMONTHDAY=1", "gives no date in 40 years", "BYDAY"},
		{"FREQ=MONTHLY;BYDAY=SA;BYSETPOS=6", "gives no date in 40 years", "BYDAY"},
	} {
		_, err := parseRule(t, c.rule, "")
		var refused *calendar.RuleError
		if !errors.As(err, &refused) {
			t.Errorf("%s: got %v, want it refused", c.rule, err)
			continue
		}
		if !strings.Contains(refused.Problem, c.problem) || !strings.Contains(refused.Fix, c.fix) {
			t.Errorf("%s\n got %v\nwant %s; %s", c.rule, err, c.problem, c.fix)
		}
	}
}

func TestAPauseMayMissEveryDate(t *testing.T) {
	// 2025, 2027, 2029… none of them has a 29 February.
	if _, err := parseRule(t, "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", "2025-01-01"); err == nil {
		t.Error("odd years have no leap day")
	}
	if _, err := parseRule(t, "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", "2026-01-01"); err != nil {
		t.Errorf("even years have some: %v", err)
	}
}

func TestTheLongestWaitBetweenTwoDates(t *testing.T) {
	for text, want := range map[string]int{
		"FREQ=DAILY": 1, "FREQ=WEEKLY;BYDAY=SA": 7, "FREQ=MONTHLY;BYDAY=2SA": 35,
		"FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=2": 366, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29": 1461,
	} {
		if got := rule(t, text, "").LongestWait(); got != want {
			t.Errorf("%s: got %d days, want %d", text, got, want)
		}
	}
}

// anyRule draws a rule that may well be refused, and the date it counts from.
func anyRule(rt *rapid.T) (text string, from calendar.Date) {
	freq := rapid.SampledFrom([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}).Draw(rt, "freq")
	text = "FREQ=" + freq
	list := func(name string, one *rapid.Generator[string]) {
		if rapid.Bool().Draw(rt, name) {
			text += ";" + name + "=" + strings.Join(rapid.SliceOfNDistinct(one, 1, 4, rapid.ID).Draw(rt, name+" values"), ",")
		}
	}
	number := func(low, high int) *rapid.Generator[string] {
		return rapid.Custom(func(rt *rapid.T) string { return fmt.Sprint(rapid.IntRange(low, high).Draw(rt, "number")) })
	}
	day := rapid.SampledFrom(strings.Fields("MO TU WE TH FR SA SU"))
	if rapid.Bool().Draw(rt, "numbered") && (freq == "MONTHLY" || freq == "YEARLY") {
		plain := day
		day = rapid.Custom(func(rt *rapid.T) string {
			return fmt.Sprint(rapid.SampledFrom([]int{-5, -2, -1, 1, 2, 3, 5}).Draw(rt, "nth")) + plain.Draw(rt, "day")
		})
	}
	list("BYDAY", day)
	list("BYMONTHDAY", number(1, 31))
	list("BYMONTH", number(1, 12))
	list("BYSETPOS", rapid.SampledFrom([]string{"1", "2", "-1", "-2"}))
	from = anyDate(rt).AddDays(-400)
	if n := rapid.IntRange(1, 6).Draw(rt, "interval"); n > 1 {
		text += fmt.Sprintf(";INTERVAL=%d", n)
	} else if rapid.Bool().Draw(rt, "without from") {
		from = calendar.Date{}
	}
	return text, from
}

// ruleDates says RFC 5545 again: walk every day, keep those that fit, group
// them by period, choose positions, leave out the pauses.
func ruleDates(text string, from, since, until calendar.Date) []calendar.Date {
	said := map[string][]string{}
	for _, part := range strings.Split(text, ";") {
		key, values, _ := strings.Cut(part, "=")
		said[key] = strings.Split(values, ",")
	}
	origin := from
	if from.IsZero() {
		origin = since
	}
	origin = calendar.Date{Year: origin.Year, Month: 1, Day: 1}.AddDays(-14)
	periods := map[int][]calendar.Date{}
	var order []int
	for d := origin; d.Compare(until.AddDays(366)) <= 0; d = d.AddDays(1) {
		p := periodOf(said["FREQ"][0], d)
		if len(order) == 0 || order[len(order)-1] != p {
			order = append(order, p)
		}
		if fitsRule(said, d) {
			periods[p] = append(periods[p], d)
		}
	}
	interval := 1
	if said["INTERVAL"] != nil {
		fmt.Sscan(said["INTERVAL"][0], &interval)
	}
	var out []calendar.Date
	for _, p := range order {
		if interval > 1 && (p < periodOf(said["FREQ"][0], from) || (p-periodOf(said["FREQ"][0], from))%interval != 0) {
			continue
		}
		for _, d := range positions(periods[p], said["BYSETPOS"]) {
			if d.Compare(since) >= 0 && d.Compare(until) <= 0 && d.Compare(from) >= 0 {
				out = append(out, d)
			}
		}
	}
	return out
}

func periodOf(freq string, d calendar.Date) int {
	days := d.DaysSince(calendar.Date{Year: 1900, Month: 1, Day: 1}) // a Monday
	return map[string]int{"DAILY": days, "WEEKLY": days / 7, "MONTHLY": d.Year*12 + int(d.Month), "YEARLY": d.Year}[freq]
}

func positions(dates []calendar.Date, wanted []string) []calendar.Date {
	if wanted == nil {
		return dates
	}
	var out []calendar.Date
	for i, d := range dates {
		if slices.Contains(wanted, fmt.Sprint(i+1)) || slices.Contains(wanted, fmt.Sprint(i-len(dates))) {
			out = append(out, d)
		}
	}
	return out
}

func fitsRule(said map[string][]string, d calendar.Date) bool {
	if months := said["BYMONTH"]; months != nil && !slices.Contains(months, fmt.Sprint(int(d.Month))) {
		return false
	}
	if days := said["BYMONTHDAY"]; days != nil && !slices.Contains(days, fmt.Sprint(d.Day)) {
		return false
	}
	days := said["BYDAY"]
	if days == nil {
		return true
	}
	name := strings.ToUpper(d.Weekday().String()[:2])
	first, last := calendar.Date{Year: d.Year, Month: d.Month, Day: 1}, calendar.Date{Year: d.Year, Month: d.Month + 1, Day: 1}.AddDays(-1)
	if said["FREQ"][0] == "YEARLY" && said["BYMONTH"] == nil {
		first, last = calendar.Date{Year: d.Year, Month: 1, Day: 1}, calendar.Date{Year: d.Year, Month: 12, Day: 31}
	}
	fromStart, fromEnd := d.DaysSince(first)/7+1, -last.DaysSince(d)/7-1
	return slices.Contains(days, name) || slices.Contains(days, fmt.Sprint(fromStart)+name) || slices.Contains(days, fmt.Sprint(fromEnd)+name)
}

func TestRulesMeanWhatTheRFCSays(t *testing.T) {
	read := 0
	rapid.Check(t, func(rt *rapid.T) {
		text, from := anyRule(rt)
		r, err := calendar.ParseRule(text, from)
		if err != nil {
			return
		}
		read++
		since := anyDate(rt)
		until := since.AddDays(rapid.IntRange(0, 800).Draw(rt, "span"))
		got, want := r.Dates(since, until), ruleDates(text, from, since, until)
		if !slices.Equal(got, want) {
			rt.Fatalf("%s from %s, asked from %s to %s\n got %v\nwant %v", text, from, since, until, got, want)
		}
	})
	if read < 20 {
		t.Errorf("only %d rules were read: the test checks nothing", read)
	}
}

// A Rule is shared by every device of a fleet.
func TestARuleIsAskedFromManyGoroutines(t *testing.T) {
	r := rule(t, "FREQ=MONTHLY;INTERVAL=2;BYDAY=2SA", "2026-01-01")
	want := r.Dates(mustDate(t, "2026-01-01"), mustDate(t, "2030-01-01"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if got := r.Dates(mustDate(t, "2026-01-01"), mustDate(t, "2030-01-01")); !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			}
		})
	}
	all.Wait()
}

func TestAWindowOnTheDatesOfARule(t *testing.T) {
	w := window(t, "Europe/Paris", "22:00", "06:00")
	w.Rule = rule(t, "FREQ=MONTHLY;BYDAY=-1SA", "")
	for saturday, want := range map[string]string{
		"2026-03-28": "2026-03-28T22:00:00+01:00 7h0m0s", // the spring night
		"2026-10-31": "2026-10-31T22:00:00+01:00 8h0m0s",
		"2027-10-30": "2027-10-30T22:00:00+02:00 9h0m0s", // the autumn night
		"2026-03-21": "closed",
	} {
		got := "closed"
		if i, ok := w.On(mustDate(t, saturday)); ok {
			got = i.Start.Format(time.RFC3339) + " " + i.Length().String()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", saturday, got, want)
		}
	}
	// Sunday's small hours belong to Saturday's rule, also in the next month.
	i, ok := calendar.Open([]calendar.Window{w}, instant(t, "2026-11-01T05:00:00+01:00"))
	if !ok || i.Start.Format(time.RFC3339) != "2026-10-31T22:00:00+01:00" {
		t.Errorf("got %v, %t", i, ok)
	}
	holiday := window(t, "Europe/Paris", "12:00", "14:00")
	holiday.Rule, holiday.Except = rule(t, "FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=11,12", ""), calendar.PublicHolidaysFR
	if got := calendar.Intervals([]calendar.Window{holiday}, instant(t, "2026-01-01T00:00:00Z"), instant(t, "2027-01-01T00:00:00Z")); len(got) != 1 || got[0].Start.Day() != 12 {
		t.Errorf("the 11th is a holiday: got %v", got)
	}
	apia := window(t, "Pacific/Apia", "08:00", "18:00")
	apia.Rule = rule(t, "FREQ=MONTHLY;BYMONTHDAY=30", "")
	if i, ok := apia.On(mustDate(t, "2011-12-30")); ok {
		t.Errorf("a date nobody lives through has no window, got %v", i)
	}
}

func TestNextSeesAsFarAsTheRule(t *testing.T) {
	for _, c := range []struct{ rule, now, want string }{
		{"FREQ=MONTHLY;BYDAY=2SA", "2026-01-11T12:00:00+01:00", "2026-02-14"},
		{"FREQ=YEARLY;BYMONTH=5;BYDAY=1SA", "2026-05-03T12:00:00+02:00", "2027-05-01"},
		{"FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=26", "2026-12-27T07:00:00+01:00", "2027-12-26"},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2028-03-01T12:00:00+01:00", "2032-02-29"},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SA", "2070-01-01T12:00:00+01:00", "2076-02-29"},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SA", "2077-01-01T12:00:00+01:00", "2116-02-29"},
	} {
		w := window(t, "Europe/Paris", "22:00", "06:00")
		w.Rule = rule(t, c.rule, "")
		next, ok := calendar.Next([]calendar.Window{w}, instant(t, c.now))
		if want := mustDate(t, c.want).At(w.Start, w.Zone); !ok || !next.Start.Equal(want) || next.Length() != 8*time.Hour {
			t.Errorf("%s after %s: got %v, %t, want %s", c.rule, c.now, next, ok, c.want)
		}
	}
}

func TestNextOfRulesIsOpenNowOrOpensFirst(t *testing.T) {
	all := zones(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := anyWindow(rt, all)
		text, from := anyRule(rt)
		r, err := calendar.ParseRule(text, from)
		if err != nil {
			return
		}
		w.Rule, w.Days, w.Except = r, nil, calendar.NoHolidays
		if w.Duration == 0 && w.End > w.Start {
			w.Duration = time.Hour // it may lie in an hour that its only dates skip
		}
		now := anyDate(rt).At(anyClock(rt), time.UTC)
		next, ok := calendar.Next([]calendar.Window{w}, now)
		if !ok || !next.End.After(now) {
			rt.Fatalf("%s never opens after %s: got %v", text, now, next)
		}
		if before := calendar.Intervals([]calendar.Window{w}, now, next.Start); next.Start.After(now) && len(before) > 0 {
			rt.Fatalf("%v comes before %v", before, next)
		}
	})
}

// A first date soon is no promise of a second: 45 years lie between 2023 and
// 2068, the next year of this count whose third Saturday is the 21st.
func TestARuleThatComesBackTooLateIsRefused(t *testing.T) {
	if _, err := parseRule(t, "FREQ=YEARLY;BYDAY=3SA;BYMONTHDAY=21;INTERVAL=5", "2023-01-01"); err == nil || !strings.Contains(err.Error(), "gives no date in 40 years") {
		t.Errorf("got %v", err)
	}
	if _, err := parseRule(t, "FREQ=YEARLY;BYDAY=3SA;BYMONTHDAY=21", "2023-01-01"); err != nil {
		t.Errorf("of every year: %v", err)
	}
}

// A rule that begins in ten years, and gives its first date long after, opens
// all the same.
func TestNextLooksPastTheBeginningOfARule(t *testing.T) {
	w := window(t, "UTC", "12:00", "14:00")
	w.Rule, w.Days = rule(t, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SA", "2054-03-01"), nil
	if next, ok := calendar.Next([]calendar.Window{w}, instant(t, "2026-01-13T00:00:00Z")); !ok || next.Start.Format(time.DateOnly) != "2080-02-29" && next.Start.Year() < 2055 {
		t.Errorf("opens %v, %t", next, ok)
	}
}

// A set of rules is worked out once for the fleet, three days ahead; a
// rehearsal does so for a year.
func BenchmarkRule(b *testing.B) {
	now := instant(b, "2026-01-13T19:00:00+01:00")
	for _, text := range []string{"FREQ=MONTHLY;BYDAY=2SA", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SA"} {
		w := window(b, "Europe/Paris", "22:00", "06:00")
		w.Rule, w.Except = rule(b, text, ""), calendar.PublicHolidaysFR
		for _, days := range []int{3, 365, 3650} {
			b.Run(fmt.Sprintf("%s/%dd", text, days), func(b *testing.B) {
				for b.Loop() {
					calendar.Intervals([]calendar.Window{w}, now, now.AddDate(0, 0, days))
				}
			})
		}
	}
}

// Rules are compared with all that they hold: when they were read is not in them.
func TestTheSameRuleReadLaterIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := func() *calendar.Rule {
			r, err := calendar.ParseRule("FREQ=MONTHLY;BYDAY=2SA", calendar.Date{})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		before := read()
		<-time.After(90 * time.Second)
		if !reflect.DeepEqual(before, read()) {
			t.Error("it differs")
		}
	})
}
