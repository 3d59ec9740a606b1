package manifest_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"patchring/internal/core/calendar"
	"patchring/internal/core/manifest"
)

func read(t testing.TB, text string) (calendar.Window, *manifest.Reader, error) {
	t.Helper()
	r := &manifest.Reader{What: "procedure", Examples: "examples"}
	at, ok := r.Document([]byte(text))
	if !ok {
		return calendar.Window{}, r, r.Err("w.yaml")
	}
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	w := r.Object(at, manifest.WindowFields()...).Window(paris)
	return w, r, r.Err("w.yaml")
}

// opens lists when a window opens in a month and for how long.
func opens(t testing.TB, text, month string) string {
	t.Helper()
	w, _, err := read(t, text)
	if err != nil {
		t.Fatalf("%s\nrefused:\n%v", text, err)
	}
	first, err := calendar.ParseDate(month + "-01")
	if err != nil {
		t.Fatal(err)
	}
	next := calendar.Date{Year: first.Year, Month: first.Month + 1, Day: 1}
	var out []string
	for _, i := range calendar.Intervals([]calendar.Window{w}, first.At(0, w.Zone), next.At(0, w.Zone)) {
		out = append(out, i.Start.In(w.Zone).Format("02 15:04 ")+i.Length().String())
	}
	return strings.Join(out, ", ")
}

// Each case says something that only the reader of one field can know.
func TestEachFieldOfAWindowIsRead(t *testing.T) {
	const rule = "{name: w, rule: FREQ=MONTHLY;BYDAY=2SA, start: '22:00', end: '06:00'}"
	for _, c := range []struct{ why, text, month, want string }{
		{"days", "{name: w, days: [tue], start: '22:00', end: '23:00'}", "2026-02", "03 22:00 1h0m0s, 10 22:00 1h0m0s, 17 22:00 1h0m0s, 24 22:00 1h0m0s"},
		{"rule", rule, "2026-02", "14 22:00 8h0m0s"},
		{"rule and from", "{name: w, rule: FREQ=WEEKLY;INTERVAL=2;BYDAY=SA, from: 2026-01-10, start: '22:00', end: '06:00'}", "2026-02", "07 22:00 8h0m0s, 21 22:00 8h0m0s"},
		{"rule and another from", "{name: w, rule: FREQ=WEEKLY;INTERVAL=2;BYDAY=SA, from: 2026-01-17, start: '22:00', end: '06:00'}", "2026-02", "01 00:00 6h0m0s, 14 22:00 8h0m0s, 28 22:00 2h0m0s"},
		{"from without an interval", "{name: w, rule: FREQ=WEEKLY;BYDAY=SA, from: 2026-02-15, start: '22:00', end: '23:00'}", "2026-02", "21 22:00 1h0m0s, 28 22:00 1h0m0s"},
		{"from far ahead", "{name: w, rule: FREQ=MONTHLY;BYDAY=1SA, from: 2061-01-10, start: '22:00', end: '23:00'}", "2061-02", "05 22:00 1h0m0s"},
		{"rule and start", strings.Replace(rule, "22:00", "20:00", 1), "2026-02", "14 20:00 10h0m0s"},
		{"rule and duration", strings.Replace(rule, "end: '06:00'", "duration: 3h", 1), "2026-02", "14 22:00 3h0m0s"},
		{"rule and timezone", strings.Replace(rule, "name: w", "name: w, timezone: America/Martinique", 1), "2026-02", "14 22:00 8h0m0s"},
		{"rule and except", "{name: w, rule: 'FREQ=MONTHLY;BYMONTHDAY=11,12', start: '22:00', end: '23:00', except: public-holidays-fr}", "2026-11", "12 22:00 1h0m0s"},
		{"except, in short", "{name: w, rule: 'FREQ=MONTHLY;BYMONTHDAY=11,12', start: '22:00', end: '23:00', except: fr}", "2026-11", "12 22:00 1h0m0s"},
		{"except, of a department", "{name: w, rule: 'FREQ=MONTHLY;BYMONTHDAY=20,21', start: '22:00', end: '23:00', except: fr-la-reunion}", "2026-12", "21 22:00 1h0m0s"},
		{"closed", "{name: w, closed: {days: [mon, tue, wed, thu, fri, sat], start: '08:00', end: '24:00'}}", "2026-02",
			"01 00:00 32h0m0s, " + nights("03 04 05 06 07") + "08 00:00 32h0m0s, " + nights("10 11 12 13 14") + "15 00:00 32h0m0s, " + nights("17 18 19 20 21") + "22 00:00 32h0m0s, " + strings.TrimSuffix(nights("24 25 26 27 28"), ", ")},
		{"closed and except", "{name: w, closed: {days: [mon, tue, wed, thu, fri, sat, sun], start: '00:00', end: '24:00', except: fr}}", "2026-05", "01 00:00 24h0m0s, 08 00:00 24h0m0s, 14 00:00 24h0m0s, 25 00:00 24h0m0s"},
		{"several closed", "{name: w, closed: [{days: [mon, tue, wed, thu, fri, sat, sun], start: '00:00', end: '24:00', except: fr}, {days: [fri], start: '09:00', end: '24:00'}]}", "2026-05", "01 00:00 9h0m0s, 08 00:00 9h0m0s, 14 00:00 24h0m0s, 25 00:00 24h0m0s"},
	} {
		if got := opens(t, c.text, c.month); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.why, got, c.want)
		}
	}
	w, _, err := read(t, "{name: w, timezone: America/Martinique, closed: {days: [mon], start: '08:00', end: '19:00'}}")
	if err != nil || w.Name != "w" || w.Zone.String() != "America/Martinique" {
		t.Errorf("got %q in %s, %v", w.Name, w.Zone, err)
	}
	if w, _, err := read(t, strings.Replace(rule, "name: w", "name: w, timezone: America/Martinique", 1)); err != nil || w.Zone.String() != "America/Martinique" {
		t.Errorf("got %s, %v", w.Zone, err)
	}
}

func nights(days string) string {
	var out string
	for _, day := range strings.Fields(days) {
		out += day + " 00:00 8h0m0s, "
	}
	return out
}

func TestWindowsThatAreRefused(t *testing.T) {
	const hours = "start: '22:00', end: '06:00'"
	for _, c := range []struct{ text, want string }{
		{"{name: w, " + hours + "}", "days: is missing; list the days, for example days: [mon, tue, wed, thu, fri], or write a rule: FREQ=MONTHLY;BYDAY=2SA"},
		{"{name: w, days: [sat], from: 2026-01-01, " + hours + "}", "from: is only read with rule"},
		{"{name: w, days: [sat], rule: FREQ=DAILY, " + hours + "}", "days: is not read with rule"},
		{"{name: w, rule: FREQ=DAILY, from: soon, " + hours + "}", `from: date "soon" is not a day written YYYY-MM-DD`},
		{"{name: w, rule: FREQ=DAILY, from: , " + hours + "}", "from: has no value"},
		{"{name: w, rule: '', " + hours + "}", "rule: is empty"},
		{"{name: w, rule: , " + hours + "}", "rule: has no value"},
		{"{name: w, rule: [FREQ=DAILY], " + hours + "}", "rule: wants one value"},
		{"{name: w, rule: FREQ=DAILY;COUNT=3, " + hours + "}", "rule: COUNT is not read in the rule of a window; take COUNT out"},
		{"{name: w, rule: FREQ=WEEKLY;INTERVAL=2;BYDAY=SA, " + hours + "}", "rule: INTERVAL=2 does not say what it counts from; write the date it counts from beside the rule, for example from: 2026-01-05"},
		{"{name: w, rule: FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31, " + hours + "}", "rule: FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31 gives no date in 40 years"},
		{"{name: w, rule: FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=1, except: fr, " + hours + "}", "rule: leaves no time in which the window is open; choose other dates, or take except out"},
		{"{name: w, rule: FREQ=DAILY, except: de, " + hours + "}", `except: "de" is not known here; write one of: public-holidays-fr, public-holidays-fr-alsace-moselle`},
		{"{name: w, rule: FREQ=DAILY, start: '22:00'}", "has neither end nor duration"},
		{"{name: w, rule: FREQ=DAILY, start: '22:00', end: '22:00'}", "end: is the hour it starts: the window has no length"},
		{"{name: w, rule: FREQ=DAILY, duration: 2h}", "start: is missing"},
		{"{name: w, closed: {days: [mon], " + hours + "}, days: [mon]}", "days: is not read beside closed"},
		{"{name: w, closed: {days: [mon], " + hours + "}, rule: FREQ=DAILY}", "rule: is not read beside closed"},
		{"{name: w, closed: {days: [mon], " + hours + "}, from: 2026-01-01}", "from: is not read beside closed"},
		{"{name: w, closed: {days: [mon], " + hours + "}, start: '08:00'}", "start: is not read beside closed"},
		{"{name: w, closed: {days: [mon], " + hours + "}, end: '08:00'}", "end: is not read beside closed"},
		{"{name: w, closed: {days: [mon], " + hours + "}, duration: 1h}", "duration: is not read beside closed"},
		{"{name: w, closed: {days: [mon], " + hours + "}, except: fr}", "except: is not read beside closed; write it inside closed"},
		{"{name: w, closed: []}", "closed: is empty; write the hours of work"},
		{"{name: w, closed: }", "closed: has no value"},
		{"{name: w, closed: always}", `closed: wants a list, not "always"`},
		{"{name: w, closed: [{days: [mon], " + hours + "}, {days: [lun], " + hours + "}]}", `closed[1].days[0]: "lun" is not known here`},
		{"{name: w, closed: {" + hours + "}}", "closed.days: is missing"},
		{"{name: w, closed: {days: [], " + hours + "}}", "closed.days: is empty"},
		{"{name: w, closed: {days: [mon], end: '19:00'}}", "closed.start: is missing"},
		{"{name: w, closed: {days: [mon], start: '08:00'}}", "closed.end: is missing"},
		{"{name: w, closed: {days: [mon], start: '24:00', end: '19:00'}}", "closed.start: is the end of the day"},
		{"{name: w, closed: {days: [mon], start: '08:00', end: '08:00'}}", "closed.end: is the hour it starts: the stretch of work has no length"},
		{"{name: w, closed: {days: [mon], duration: 8h, " + hours + "}}", "closed.duration: is not a field of a procedure here"},
		{"{name: w, closed: {days: [mon], except: uk, " + hours + "}}", `closed.except: "uk" is not known here`},
		{"{name: w, closed: {days: [mon, tue, wed, thu, fri, sat, sun], start: '00:00', end: '24:00'}}", "closed: leaves no time in which the window is open; leave some hours out of closed"},
	} {
		_, r, err := read(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
			continue
		}
		if n := strings.Count(err.Error(), "\n"); n > 0 {
			t.Errorf("%s: one mistake, %d complaints:\n%v (%v)", c.text, n+1, err, r.Warnings())
		}
	}
}

func TestARareWindowIsAskedAbout(t *testing.T) {
	for text, want := range map[string]string{
		"FREQ=YEARLY;BYMONTH=5;BYDAY=1SA":       "",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29":   "rule: may leave 1461 days between two windows",
		"FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13":   "rule: may leave 427 days between two windows",
		"FREQ=MONTHLY;BYDAY=5SA":                "",
		"FREQ=MONTHLY;BYDAY=SU,SA;BYMONTHDAY=1": "",
	} {
		_, r, err := read(t, "{name: w, rule: '"+text+"', start: '22:00', end: '06:00'}")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got string
		for _, w := range r.Warnings() {
			got += w.String()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

var example = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestTheManualsShowWindowsThatCanBeRead(t *testing.T) {
	for _, file := range []string{"en/windows.md", "fr/fenetres.md"} {
		text, err := os.ReadFile("../../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for _, block := range example.FindAllSubmatch(text, -1) {
			r := &manifest.Reader{What: "procedure", Examples: "examples"}
			at, ok := r.Document([]byte("windows:\n" + string(block[1])))
			if !ok {
				t.Fatalf("%s: %v", file, r.Err(file))
			}
			r.Object(at, "windows").List("windows", func(at manifest.Place) {
				read++
				r.Object(at, manifest.WindowFields()...).Window(time.UTC)
			})
			if err := r.Err(file); err != nil || len(r.Warnings()) > 0 {
				t.Errorf("%s\n%v %v", block[1], err, r.Warnings())
			}
		}
		if read < 6 {
			t.Errorf("%s: only %d windows were read", file, read)
		}
		for _, field := range manifest.WindowFields() {
			if !strings.Contains(string(text), "| `"+field+"` |") {
				t.Errorf("%s says nothing of %s", file, field)
			}
		}
		for _, set := range calendar.HolidaySets() {
			if short := strings.TrimPrefix(string(set), "public-holidays-"); !strings.Contains(string(text), "| `"+short+"` |") {
				t.Errorf("%s says nothing of %s", file, short)
			}
		}
	}
}
