package cli

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/procedure"
	"patchring/internal/core/rehearsal"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/foresight"
)

// shownSites and shownHours are how many a report for people has; --json has
// all of them.
const (
	shownSites = 10
	shownHours = 5
)

// rehearsed writes a rehearsal for people, in the procedure's zone: what happens
// first, then what does not, then what it rests on.
func (c *cli) rehearsed(r foresight.Rehearsal) error {
	w := c.words()
	if zone, err := time.LoadLocation(r.Zone); err == nil {
		w = w.In(zone)
	}
	t := rehearsedText{cli: c, words: w, r: r}
	for _, part := range []func() error{t.head, t.rings, t.days, t.slips, t.late, t.hours, t.sites, t.fates, t.assumed} {
		if err := part(); err != nil {
			return err
		}
	}
	for _, p := range r.Warnings {
		c.tell(p.String() + "\n")
	}
	return nil
}

type rehearsedText struct {
	*cli
	words lang.Words
	r     foresight.Rehearsal
}

func (t rehearsedText) title(id string) error {
	_, err := lipgloss.Fprintln(t.Out, "\n"+lipgloss.NewStyle().Bold(true).Render(t.words.T(id)))
	return err
}

func (t rehearsedText) head() error {
	w, r := t.words, t.r
	name := r.Title.In(string(w.Lang())) + " (" + r.Procedure + ")"
	what := w.T("rehearse.start_now")
	if r.Campaign != "" {
		what = r.Campaign
	}
	policy := r.Policy
	if policy == "" {
		policy = w.T("rehearse.no_policy")
	}
	lines := []string{
		lipgloss.NewStyle().Bold(true).Render(name + "  " + what),
		w.T("rehearse.subject", "devices", w.N("rehearse.devices", int64(r.Devices)), "patches", w.N("rehearse.patches", int64(r.Content.Patches)),
			"bytes", w.Bytes(r.Content.Bytes), "policy", policy),
		w.T("rehearse.outcome", "done", w.Number(int64(r.Judged.Done)), "expected", w.Number(int64(r.Judged.Expected())),
			"share", w.Share(int64(r.Judged.Done), int64(r.Judged.Expected())), "at", w.Brief(r.Verification)),
	}
	if r.Outside > 0 {
		lines = append(lines, w.N("rehearse.outside", int64(r.Outside)))
	}
	_, err := lipgloss.Fprintln(t.Out, strings.Join(lines, "\n"))
	return err
}

func (t rehearsedText) rings() error {
	w := t.words
	never := func(at time.Time) string {
		if at.IsZero() {
			return w.T("rehearse.never")
		}
		return w.Brief(at)
	}
	rows := make([][]string, 0, len(t.r.Rings))
	for _, r := range t.r.Rings {
		rows = append(rows, []string{
			r.Name, w.Number(int64(r.Devices)), never(r.Opens), when(w, r.First), when(w, r.Last), never(r.Passes),
			w.Share(int64(r.Judged.Done), int64(r.Judged.Expected())),
		})
	}
	if err := t.title("rehearse.rings"); err != nil {
		return err
	}
	return t.table([]string{"col.ring", "col.devices", "rehearse.opens", "rehearse.first", "rehearse.last", "rehearse.passes", "rehearse.at_verification"}, rows)
}

// days is the predicted curve: a bar for each day on which anything changes,
// and for the verification's.
func (t rehearsedText) days() error {
	w := t.words
	verification := calendar.DateOf(t.r.Verification, w.Zone())
	var lines [][]string
	var before campaign.Counters
	for _, d := range t.r.Days {
		if d.Ends == before && d.Date != verification && d.Bytes == 0 {
			continue
		}
		before = d.Ends
		installs := 0
		for _, n := range d.Installs {
			installs += n
		}
		var says []string
		if installs > 0 {
			says = append(says, w.N("rehearse.installs", int64(installs)))
		}
		if d.Reboots >= 0.5 {
			says = append(says, w.N("rehearse.reboots", int64(d.Reboots+0.5)))
		}
		if d.Bytes > 0 {
			says = append(says, w.Bytes(d.Bytes))
		}
		if d.Date == verification {
			says = append(says, w.T("board.verification"))
		}
		at := d.Date.At(calendar.EndOfDay/2, w.Zone())
		lines = append(lines, []string{
			w.Weekday(at) + " " + w.DayShort(at), bar(numbersOf(d.Ends)) + " " + w.Share(int64(d.Ends.Done), int64(d.Ends.Expected())), strings.Join(says, ", "),
		})
	}
	if len(lines) == 0 {
		return nil
	}
	if err := t.title("rehearse.curve"); err != nil {
		return err
	}
	width := 0
	for _, l := range lines {
		width = max(width, lipgloss.Width(l[0]))
	}
	for _, l := range lines {
		pad := strings.Repeat(" ", width-lipgloss.Width(l[0]))
		if _, err := lipgloss.Fprintln(t.Out, fmt.Sprintf("%s%s  %s  %s", l[0], pad, l[1], l[2])); err != nil {
			return err
		}
	}
	return nil
}

func numbersOf(c campaign.Counters) view.Numbers {
	return view.Numbers{Done: int64(c.Done), Failed: int64(c.Failed), NotReached: int64(c.NotReached), Unreachable: int64(c.Unreachable), Exempt: int64(c.Exempt)}
}

func (t rehearsedText) slips() error {
	if err := t.title("rehearse.slips"); err != nil {
		return err
	}
	for _, n := range t.r.Notes {
		if err := t.say("• " + noteText(procedure.Note(n), t.words)); err != nil {
			return err
		}
	}
	if len(t.r.Slips) == 0 {
		return t.say(t.words.T("rehearse.kept"))
	}
	for _, s := range t.r.Slips {
		if err := t.say("• " + t.words.Slip(s)); err != nil {
			return err
		}
		for _, why := range s.Reasons {
			if err := t.say("    " + t.words.Reason(why)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t rehearsedText) late() error {
	w := t.words
	if err := t.title("rehearse.late"); err != nil {
		return err
	}
	if len(t.r.Late) == 0 {
		return t.say(w.T("rehearse.everyone"))
	}
	rows := make([][]string, 0, len(t.r.Late))
	for _, l := range t.r.Late {
		later := ""
		if l.Later > 0 {
			later = w.Number(int64(l.Later))
		}
		rows = append(rows, []string{w.Number(int64(l.Devices)), w.Word(lang.Outcome, string(l.Bucket)), w.Late(l), later, string(l.Code), names(l)})
	}
	return t.table([]string{"col.devices", "rehearse.outcome_head", "col.why", "rehearse.later", "rehearse.code", "rehearse.examples"}, rows)
}

func names(l rehearsal.Late) string {
	text := strings.Join(l.Names, ", ")
	if l.Devices > len(l.Names) {
		text += "…"
	}
	return text
}

// hours names those with most restarts, else with most installs.
func (t rehearsedText) hours() error {
	w := t.words
	list := rehearsal.Busiest(t.r.Hours)
	var rows [][]string
	for _, h := range list[:min(shownHours, len(list))] {
		rows = append(rows, []string{w.Brief(h.Start), w.Number(int64(h.Installs)), w.Number(int64(h.Reboots + 0.5))})
	}
	if len(rows) == 0 {
		return nil
	}
	if err := t.title("rehearse.hours"); err != nil {
		return err
	}
	return t.table([]string{"rehearse.hour", "rehearse.installs_head", "rehearse.reboots_head"}, rows)
}

func (t rehearsedText) sites() error {
	w := t.words
	var rows [][]string
	for _, s := range t.r.Sites[:min(shownSites, len(t.r.Sites))] {
		most, any := s.Busiest()
		if !any {
			continue
		}
		name := s.Name
		if name == "" {
			name = w.T("rehearse.no_site")
		}
		at := most.Date.At(calendar.EndOfDay/2, w.Zone())
		rows = append(rows, []string{name, w.Number(int64(s.Devices)), w.Bytes(s.Bytes), w.DayShort(at) + ": " + w.Bytes(most.Bytes)})
	}
	if len(rows) == 0 {
		return nil
	}
	if err := t.title("rehearse.sites"); err != nil {
		return err
	}
	return t.table([]string{"rehearse.site", "col.devices", "rehearse.download", "rehearse.busiest"}, rows)
}

func (t rehearsedText) fates() error {
	w := t.words
	if len(t.r.Fates) == 0 {
		return nil
	}
	if err := t.title("rehearse.listed"); err != nil {
		return err
	}
	rows := make([][]string, 0, len(t.r.Fates))
	for _, f := range t.r.Fates {
		rows = append(rows, []string{f.Name, f.Ring, when(w, f.Starts), when(w, f.Ends), w.Word(lang.Outcome, string(f.Bucket)), w.Reason(f.Reason)})
	}
	if t.r.Next != "" {
		t.tell(w.T("rehearse.more", "after", t.r.Next) + "\n")
	}
	return t.table([]string{"col.device", "col.ring", "rehearse.first", "rehearse.last", "rehearse.outcome_head", "col.why"}, rows)
}

func (t rehearsedText) assumed() error {
	if err := t.title("rehearse.assumed"); err != nil {
		return err
	}
	for _, line := range t.words.Assumed(t.r.Assumed) {
		if err := t.say("• " + line); err != nil {
			return err
		}
	}
	return nil
}
