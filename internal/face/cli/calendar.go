package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/procedure"
	"patchring/internal/face/lang"

	ics "github.com/arran4/golang-ical"
	"github.com/spf13/cobra"
)

// calendarFailure carries the exit code that the help promises.
type calendarFailure struct {
	code int
	error
}

// ExitCode is what the process answers to its caller.
func (f calendarFailure) ExitCode() int { return f.code }

// Unwrap gives the cause.
func (f calendarFailure) Unwrap() error { return f.error }

const (
	calendarBadUsage     = 2
	calendarBadProcedure = 3
)

// The longest calendar: beyond ten years zones change their rules.
const calendarMaxMonths = 120

// calendarOptions are the flags of the verb.
type calendarOptions struct {
	file, from, to, lang string
	json, ics            bool
}

// NewCalendar is the verb that shows what dates a procedure gives. It reads the
// file alone and needs no server, so that a procedure can be discussed before
// it is applied.
func NewCalendar(out io.Writer) *cobra.Command {
	var o calendarOptions
	cmd := &cobra.Command{
		Use:   "calendar -f procedure.yaml --from YYYY-MM [--to YYYY-MM]",
		Short: "Show the dates that a procedure gives to each month",
		Long: `Show the dates that a procedure gives to each month: Patch Tuesday, when each
ring opens and closes, and the verification. Every date is in the procedure's
time zone. Works without a server.

Exit codes:
  0  the calendar was written
  1  it could not be written
  2  the flags make no sense
  3  the procedure cannot be read or is refused; every problem is listed`,
		Example: `  patchring calendar -f postes-france.yaml --from 2026-01 --to 2028-12
  patchring calendar -f postes-france.yaml --from 2026-01 --ics > campaigns.ics
  patchring procedure show postes-france | patchring calendar -f - --from 2026-01 --json`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, out)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return calendarFailure{calendarBadUsage, err} })
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "file", "f", "", "the procedure's file; - reads standard input")
	flags.StringVar(&o.from, "from", "", "first month, YYYY-MM")
	flags.StringVar(&o.to, "to", "", "last month, YYYY-MM (default: a year from the first)")
	flags.BoolVar(&o.json, "json", false, "write JSON")
	flags.BoolVar(&o.ics, "ics", false, "write an iCalendar file")
	flags.StringVar(&o.lang, "lang", "", "fr or en (default: the terminal's language)")
	return cmd
}

func (o calendarOptions) run(cmd *cobra.Command, out io.Writer) error {
	months, err := o.months()
	if err != nil {
		return calendarFailure{calendarBadUsage, err}
	}
	p, err := readProcedure(o.file, cmd.InOrStdin())
	if err != nil {
		return calendarFailure{calendarBadProcedure, err}
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s:%s\n", o.file, w)
	}
	schedules := make([]procedure.Schedule, 0, len(months))
	for _, m := range months {
		schedules = append(schedules, p.Schedule(m.Year(), m.Month()))
	}
	words := lang.For(o.lang, os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG")).In(p.Zone)
	var text []byte
	switch {
	case o.json:
		text, err = calendarJSON(schedules)
	case o.ics:
		text = calendarICS(p, schedules, words, time.Now())
	default:
		text, err = calendarTable(p, schedules, words)
	}
	if err != nil {
		return fmt.Errorf("lay out the calendar: %w", err)
	}
	if _, err := out.Write(text); err != nil {
		return fmt.Errorf("write the calendar: %w", err)
	}
	return nil
}

// months are the first days of the months asked for.
func (o calendarOptions) months() ([]time.Time, error) {
	switch {
	case o.file == "":
		return nil, errors.New("no procedure: name its file with -f")
	case o.json && o.ics:
		return nil, errors.New("--json and --ics exclude each other")
	case o.lang != "" && o.lang != string(lang.French) && o.lang != string(lang.English):
		return nil, fmt.Errorf("--lang %q is not fr or en", o.lang)
	}
	from, err := calendarMonth("--from", o.from)
	if err != nil {
		return nil, err
	}
	to := from.AddDate(0, 11, 0)
	if o.to != "" {
		if to, err = calendarMonth("--to", o.to); err != nil {
			return nil, err
		}
	}
	if to.Before(from) {
		return nil, fmt.Errorf("--to %s is before --from %s", o.to, o.from)
	}
	var months []time.Time
	for m := from; !m.After(to); m = m.AddDate(0, 1, 0) {
		if len(months) == calendarMaxMonths {
			return nil, fmt.Errorf("--from %s --to %s is more than %d months", o.from, o.to, calendarMaxMonths)
		}
		months = append(months, m)
	}
	return months, nil
}

func calendarMonth(flag, text string) (time.Time, error) {
	m, err := time.Parse("2006-01", text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s %q is not a month written YYYY-MM", flag, text)
	}
	return m, nil
}

func readProcedure(file string, stdin io.Reader) (procedure.Procedure, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return procedure.Procedure{}, fmt.Errorf("read procedure: %w", err)
	}
	return procedure.Parse(file, text)
}

// calendarMonthJSON is one month of the --json form.
type calendarMonthJSON struct {
	Campaign     string             `json:"campaign"`
	PatchTuesday calendar.Date      `json:"patch_tuesday"`
	Rings        []calendarRingJSON `json:"rings"`
	Verification calendar.Date      `json:"verification"`
}

type calendarRingJSON struct {
	Ring   string `json:"ring"`
	Opens  string `json:"opens"`
	Closes string `json:"closes"`
}

func calendarJSON(schedules []procedure.Schedule) ([]byte, error) {
	months := make([]calendarMonthJSON, 0, len(schedules))
	for _, s := range schedules {
		m := calendarMonthJSON{Campaign: s.Campaign, PatchTuesday: s.PatchTuesday, Verification: s.VerificationDate()}
		for _, r := range s.Rings {
			m.Rings = append(m.Rings, calendarRingJSON{r.Ring, r.Opens.Format(time.RFC3339), r.Closes.Format(time.RFC3339)})
		}
		months = append(months, m)
	}
	text, err := json.MarshalIndent(months, "", "  ")
	return append(text, '\n'), err
}

// calendarHeads are the column heads and names that only this verb writes.
type calendarHeads struct {
	campaign, verification string
	day                    string // layout of a day in the table; its year is the campaign's
}

func headsIn(l lang.Lang) calendarHeads {
	if l == lang.French {
		return calendarHeads{campaign: "Campagne", verification: "Vérification", day: "02/01"}
	}
	return calendarHeads{campaign: "Campaign", verification: "Verification", day: "02 Jan"}
}

// calendarTable is a row for each month, and under it what is odd about it.
func calendarTable(p procedure.Procedure, schedules []procedure.Schedule, words lang.Words) ([]byte, error) {
	heads := headsIn(words.Lang())
	var table bytes.Buffer
	tabs := tabwriter.NewWriter(&table, 0, 0, 3, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(tabs, strings.Join(cells, "\t")) }
	head := []string{heads.campaign, "Patch Tuesday"}
	for _, ring := range p.Rings {
		head = append(head, ring.Name)
	}
	row(append(head, heads.verification)...)
	for _, s := range schedules {
		cells := []string{s.Campaign, heads.date(s.PatchTuesday, words)}
		for _, r := range s.Rings {
			cells = append(cells, heads.moment(r.Opens)+" → "+heads.moment(r.Closes))
		}
		row(append(cells, heads.date(s.VerificationDate(), words))...)
	}
	if err := tabs.Flush(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s (%s)\n\n", p.Title.In(string(words.Lang())), p.Zone)
	for i, line := range strings.SplitAfter(table.String(), "\n") {
		out.WriteString(line)
		if i >= 1 && i <= len(schedules) {
			for _, n := range schedules[i-1].Notes {
				fmt.Fprintf(&out, "         %s\n", noteText(n, words))
			}
		}
	}
	return out.Bytes(), nil
}

func (h calendarHeads) date(d calendar.Date, words lang.Words) string {
	midday := d.At(calendar.EndOfDay/2, words.Zone())
	return words.Weekday(midday) + " " + midday.Format(h.day)
}

func (h calendarHeads) moment(t time.Time) string { return t.Format(h.day + " 15:04") }

// noteText is the sentence of a note; the dates in it are written as people do.
func noteText(n procedure.Note, words lang.Words) string {
	value := n.Value
	if d, err := calendar.ParseDate(value); err == nil {
		value = words.DateShort(d.At(calendar.EndOfDay/2, words.Zone()))
	}
	return words.T(string(lang.CalendarNote)+"."+string(n.Code), "value", value)
}

// calendarICS is one event for each ring and each verification. Their UIDs are
// made of campaign, ring and procedure, so that importing the file again moves
// events instead of doubling them.
func calendarICS(p procedure.Procedure, schedules []procedure.Schedule, words lang.Words, now time.Time) []byte {
	l := string(words.Lang())
	cal := ics.NewCalendar()
	cal.SetProductId("-//Patchring//calendar//" + strings.ToUpper(l))
	cal.SetMethod(ics.MethodPublish)
	cal.SetXWRCalName(p.Title.In(l))
	cal.SetXWRTimezone(p.Zone.String())
	for _, s := range schedules {
		notes := make([]string, len(s.Notes))
		for i, n := range s.Notes {
			notes[i] = noteText(n, words)
		}
		event := func(name, title string) *ics.VEvent {
			e := cal.AddEvent(fmt.Sprintf("%s.%s.%s@patchring", s.Campaign, name, p.Name))
			e.SetDtStampTime(now)
			e.SetSummary(s.Campaign + " " + title)
			if len(notes) > 0 {
				e.SetDescription(strings.Join(notes, "\n"))
			}
			return e
		}
		for i, r := range s.Rings {
			e := event("ring-"+r.Ring, r.Ring+" – "+p.Rings[i].Title.In(l))
			e.SetStartAt(r.Opens)
			e.SetEndAt(r.Closes)
		}
		day := s.VerificationDate().At(0, time.UTC)
		e := event("verification", headsIn(words.Lang()).verification)
		e.SetAllDayStartAt(day)
		e.SetAllDayEndAt(day.AddDate(0, 0, 1))
	}
	// RFC 5545 wants CRLF on every system.
	return []byte(cal.Serialize(ics.WithNewLineWindows))
}
