package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/google/go-cmp/cmp"
)

var postesFrance = filepath.Join("..", "..", "..", "examples", "procedures", "postes-france.yaml")

// runCalendar gives what the verb writes, its warnings and its error.
func runCalendar(stdin string, args ...string) (out, warnings string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := NewCalendar(&stdout)
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetErr(&stderr)
	err = cmd.Execute()
	return stdout.String(), stderr.String(), err
}

func mustRunCalendar(t *testing.T, args ...string) string {
	t.Helper()
	out, warnings, err := runCalendar("", append([]string{"-f", postesFrance}, args...)...)
	if err != nil || warnings != "" {
		t.Fatalf("got error %v, warnings %q", err, warnings)
	}
	return out
}

func TestCalendarJSONIsTheContract(t *testing.T) {
	got := mustRunCalendar(t, "--from", "2026-03", "--to", "2026-03", "--json")
	want := `[{"campaign":"2026-03","patch_tuesday":"2026-03-10","rings":[
		{"ring":"R0","opens":"2026-03-10T18:00:00+01:00","closes":"2026-03-11T23:59:00+01:00"},
		{"ring":"R1","opens":"2026-03-12T00:00:00+01:00","closes":"2026-03-17T09:00:00+01:00"},
		{"ring":"GLOBAL","opens":"2026-03-17T09:00:00+01:00","closes":"2026-03-19T09:00:00+01:00"}],
		"verification":"2026-03-19"}]`
	var compact, wanted bytes.Buffer
	if err := errors.Join(json.Compact(&compact, []byte(got)), json.Compact(&wanted, []byte(want))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted.String(), compact.String()); diff != "" {
		t.Errorf("keys, their order and values are the contract: %s", diff)
	}
}

func TestCalendarOfThreeYears(t *testing.T) {
	var months []struct {
		Campaign, Verification string
		PatchTuesday           string `json:"patch_tuesday"`
	}
	if err := json.Unmarshal([]byte(mustRunCalendar(t, "--from", "2026-01", "--to", "2028-12", "--json")), &months); err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(`01-13 02-10 03-10 04-14 05-12 06-09 07-14 08-11 09-08 10-13 11-10 12-08
		01-12 02-09 03-09 04-13 05-11 06-08 07-13 08-10 09-14 10-12 11-09 12-14
		01-11 02-08 03-14 04-11 05-09 06-13 07-11 08-08 09-12 10-10 11-14 12-12`)
	var got []string
	for _, m := range months {
		got = append(got, m.PatchTuesday[len("2026-"):])
		if m.Campaign != m.PatchTuesday[:len("2026-01")] {
			t.Errorf("campaign %s has its Patch Tuesday on %s", m.Campaign, m.PatchTuesday)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := months[35].Verification; got != "2028-12-21" {
		t.Errorf("the last verification: got %s, want 2028-12-21", got)
	}
}

func TestCalendarTable(t *testing.T) {
	for lang, want := range map[string]string{
		"fr": `Mise à jour mensuelle des postes et des serveurs (Europe/Paris)

Campagne   Patch Tuesday   R0                          R1                          GLOBAL                      Vérification
2026-06    mar. 09/06      09/06 19:00 → 10/06 23:59   11/06 00:00 → 16/06 09:00   16/06 09:00 → 18/06 09:00   jeu. 18/06
2026-07    mar. 14/07      14/07 19:00 → 15/07 23:59   16/07 00:00 → 21/07 09:00   21/07 09:00 → 23/07 09:00   jeu. 23/07
`,
		"en": `Monthly update of workstations and servers (Europe/Paris)

Campaign   Patch Tuesday   R0                            R1                            GLOBAL                        Verification
2026-06    Tue 09 Jun      09 Jun 19:00 → 10 Jun 23:59   11 Jun 00:00 → 16 Jun 09:00   16 Jun 09:00 → 18 Jun 09:00   Thu 18 Jun
2026-07    Tue 14 Jul      14 Jul 19:00 → 15 Jul 23:59   16 Jul 00:00 → 21 Jul 09:00   21 Jul 09:00 → 23 Jul 09:00   Thu 23 Jul
`,
	} {
		got := mustRunCalendar(t, "--from", "2026-06", "--to", "2026-07", "--lang", lang)
		table, notes := strings.Builder{}, []string{}
		for _, line := range strings.SplitAfter(got, "\n") {
			if strings.HasPrefix(line, "  ") {
				notes = append(notes, line)
				continue
			}
			table.WriteString(line)
		}
		if diff := cmp.Diff(want, table.String()); diff != "" {
			t.Errorf("%s: %s", lang, diff)
		}
		// July 2026: verified on the 23rd, the 3rd Thursday being the 16th, and the 14th is a holiday.
		if len(notes) != 2 || !strings.Contains(notes[0], "16") || !strings.Contains(notes[1], "Fête Nationale") {
			t.Errorf("%s: got notes %q", lang, notes)
		}
	}
}

func TestCalendarNotesStandUnderTheirMonth(t *testing.T) {
	lines := strings.Split(mustRunCalendar(t, "--from", "2026-03", "--to", "2026-04", "--lang", "en"), "\n")
	if len(lines) != 8 || !strings.HasPrefix(lines[3], "2026-03") || !strings.Contains(lines[4], "18:00") || !strings.HasPrefix(lines[5], "2026-04") || !strings.Contains(lines[6], "3rd Thursday") {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
}

func TestCalendarFollowsTheTerminalsLanguage(t *testing.T) {
	t.Setenv("LC_ALL", "")
	t.Setenv("LC_MESSAGES", "")
	t.Setenv("LANG", "fr_FR.UTF-8")
	if got := mustRunCalendar(t, "--from", "2026-06", "--to", "2026-06"); !strings.Contains(got, "Vérification") {
		t.Errorf("LANG=fr_FR.UTF-8: got\n%s", got)
	}
	if got := mustRunCalendar(t, "--from", "2026-06", "--to", "2026-06", "--lang", "en"); !strings.Contains(got, "Verification") {
		t.Errorf("--lang en decides over LANG: got\n%s", got)
	}
}

func TestCalendarGivesAYearByDefault(t *testing.T) {
	got := mustRunCalendar(t, "--from", "2026-06", "--lang", "en")
	if !strings.Contains(got, "\n2027-05") || strings.Contains(got, "\n2027-06") {
		t.Errorf("a year from June 2026 ends in May 2027, got\n%s", got)
	}
}

func TestCalendarICS(t *testing.T) {
	read := func() (map[string]*ics.VEvent, string) {
		text := mustRunCalendar(t, "--from", "2026-10", "--to", "2026-11", "--ics", "--lang", "fr")
		cal, err := ics.ParseCalendar(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		events := map[string]*ics.VEvent{}
		for _, e := range cal.Events() {
			events[e.Id()] = e
		}
		return events, text
	}
	events, text := read()
	again, _ := read()
	if len(events) != 8 || len(again) != 8 {
		t.Fatalf("got %d events, then %d, want 8: three rings and a verification in each month", len(events), len(again))
	}
	for uid := range events {
		if again[uid] == nil {
			t.Errorf("UID %s is not stable", uid)
		}
	}
	global := events["2026-10.ring-GLOBAL.postes-france@patchring"]
	if global == nil {
		t.Fatalf("GLOBAL is missing:\n%s", text)
	}
	start, err := global.GetStartAt()
	if want := time.Date(2026, 10, 20, 7, 0, 0, 0, time.UTC); err != nil || !start.Equal(want) {
		t.Errorf("GLOBAL starts %s, %v, want %s", start, err, want)
	}
	end, err := global.GetEndAt()
	if want := time.Date(2026, 10, 22, 7, 0, 0, 0, time.UTC); err != nil || !end.Equal(want) {
		t.Errorf("GLOBAL ends %s, %v, want %s", end, err, want)
	}
	if d := global.GetProperty(ics.ComponentPropertyDescription); d == nil || !strings.Contains(d.Value, "3e jeudi") {
		t.Errorf("GLOBAL of October says nothing of the 3rd Thursday: %+v", d)
	}
	day, err := events["2026-11.verification.postes-france@patchring"].GetAllDayStartAt()
	if err != nil || day.Format(time.DateOnly) != "2026-11-19" {
		t.Errorf("November's verification: got %s, %v, want 2026-11-19", day, err)
	}
	if strings.Count(text, "\n") != strings.Count(text, "\r\n") {
		t.Error("RFC 5545 wants CRLF")
	}
}

func TestCalendarReadsStandardInputAndWarns(t *testing.T) {
	text, err := os.ReadFile(postesFrance)
	if err != nil {
		t.Fatal(err)
	}
	noWindow := string(text[:bytes.Index(text, []byte("\nwindows:"))])
	out, warnings, err := runCalendar(noWindow, "-f", "-", "--from", "2026-01", "--json")
	if err != nil || !json.Valid([]byte(out)) {
		t.Errorf("got %v and\n%s", err, out)
	}
	if !strings.Contains(warnings, "nothing will ever be installed") {
		t.Errorf("got warnings %q", warnings)
	}
}

func TestCalendarExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("procedure: a b\nowner: IT\nownr: IT\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, "name its file with -f", []string{"--from", "2026-01"}},
		{2, `--from "" is not a month`, []string{"-f", postesFrance}},
		{2, `--from "2026-13" is not a month`, []string{"-f", postesFrance, "--from", "2026-13"}},
		{2, `--to "soon" is not a month`, []string{"-f", postesFrance, "--from", "2026-01", "--to", "soon"}},
		{2, "is before --from", []string{"-f", postesFrance, "--from", "2026-02", "--to", "2026-01"}},
		{2, "more than 120 months", []string{"-f", postesFrance, "--from", "2026-01", "--to", "2036-01"}},
		{2, "exclude each other", []string{"-f", postesFrance, "--from", "2026-01", "--json", "--ics"}},
		{2, `--lang "de" is not fr or en`, []string{"-f", postesFrance, "--from", "2026-01", "--lang", "de"}},
		{2, "unknown flag: --until", []string{"-f", postesFrance, "--until", "2026-01"}},
		{3, "no such file", []string{"-f", bad + ".gone", "--from", "2026-01"}},
		{3, bad + ":3:1: ownr: is not a field", []string{"-f", bad, "--from", "2026-01"}},
		{3, bad + ":1:12: procedure: \"a b\" is not an identifier", []string{"-f", bad, "--from", "2026-01"}},
	} {
		out, _, err := runCalendar("", c.args...)
		var coded interface{ ExitCode() int }
		if !errors.As(err, &coded) || coded.ExitCode() != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v\n got %v\nwant exit %d and %q", c.args, err, c.code, c.says)
		}
		if out != "" {
			t.Errorf("%v: wrote %q before it failed", c.args, out)
		}
	}
}

func TestCalendarSaysWhenItCannotWrite(t *testing.T) {
	gone := errors.New("pipe gone")
	cmd := NewCalendar(brokenPipe{gone})
	cmd.SetArgs([]string{"-f", postesFrance, "--from", "2026-01"})
	if err := cmd.Execute(); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}

// brokenPipe is what remains when the reader has left.
type brokenPipe struct{ err error }

func (b brokenPipe) Write([]byte) (int, error) { return 0, b.err }
