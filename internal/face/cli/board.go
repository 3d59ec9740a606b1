package cli

import (
	"fmt"
	"image/color"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

// boardText lays a board out in lines: for show and for watch alike.
type boardText struct {
	words   lang.Words
	now     time.Time
	content bool // the items too
	over    bool // the campaign is closed: nothing is going to happen any more
	events  int  // so many of the latest
	width   int  // of the terminal; 0 is not known
}

const (
	barWidth  = 32
	nameWidth = 10
)

// The colours of the five numbers, from the terminal's own sixteen, so that
// they fit its theme.
func colours() map[string]color.Color {
	return map[string]color.Color{
		"done": lipgloss.Green, "failed": lipgloss.Red, "not_reached": lipgloss.BrightBlack, "unreachable": lipgloss.Yellow, "exempt": lipgloss.Blue,
	}
}

func (t boardText) render(b view.Board) string {
	var out strings.Builder
	t.over = b.Campaign.State == "closed"
	bold := lipgloss.NewStyle().Bold(true)
	fmt.Fprintf(&out, "%s  %s  %s\n", bold.Render(b.Campaign.Name), b.Title.In(string(t.words.Lang())), t.state(b))
	for _, h := range b.Holds {
		fmt.Fprintf(&out, "%s %s\n", lipgloss.NewStyle().Foreground(lipgloss.Yellow).Render("⏸ "+t.holdSubject(h)), t.words.Actor(h.Actor)+": "+t.words.Given(h.Reason))
	}
	if b.Emergency != nil {
		t.emergency(&out, b.Emergency)
	}
	t.rollback(&out, b)
	for _, a := range b.Amendments {
		if a.Number > 0 {
			fmt.Fprintf(&out, "\n%s  %s\n", bold.Render(t.words.T("board.amendment", "n", t.words.Number(a.Number))), a.Reason)
		}
		for _, r := range a.Rings {
			t.ring(&out, r)
		}
		if t.content {
			t.items(&out, a)
		}
	}
	t.latest(&out, b)
	return out.String()
}

func (t boardText) state(b view.Board) string {
	text := stateText(t.words, b.Campaign)
	if b.Campaign.DayS != 24*60*60 {
		id := "board.compressed"
		if b.Emergency != nil {
			id = "board.emergency_day"
		}
		text += " · " + t.words.T(id, "day", t.words.Duration(time.Duration(b.Campaign.DayS)*time.Second))
	}
	return faintStyle().Render(text)
}

func (t boardText) holdSubject(h view.HoldRow) string {
	switch {
	case h.Device != nil:
		return t.words.T("hold.device", "name", h.Device.Name)
	case h.Patch != nil:
		return t.words.T("hold.item", "name", h.Patch.Name)
	case h.Ring != "":
		return t.words.T("hold.ring", "name", h.Ring)
	}
	return t.words.T("hold.campaign")
}

// ring is one ring: its bar, the five numbers, and what it waits for.
func (t boardText) ring(out *strings.Builder, r view.BoardRing) {
	w := t.words
	fmt.Fprintf(out, "\n%-*s %s  %s\n", nameWidth, r.Ring, bar(r.Numbers), t.ringState(r))
	fmt.Fprintf(out, "%*s %s\n", nameWidth, "", t.numbers(r.Numbers))
	indent := strings.Repeat(" ", nameWidth+1)
	for _, reason := range r.Reasons {
		fmt.Fprintf(out, "%s%s\n", indent, w.Reason(reason))
	}
	if r.State == "gate" || r.State == "soaking" {
		for _, e := range r.Evidence {
			title, asked, found := w.Evidence(e.Name, e.Need, e.Have)
			mark := "✓"
			switch {
			case e.Unknown:
				mark, found = "?", w.T("board.unknown")
			case !e.OK:
				mark = "✗"
			}
			fmt.Fprintf(out, "%s%s %s %s: %s\n", indent, mark, title, asked, found)
		}
	}
	if r.RollbackImpossible > 0 {
		fmt.Fprintf(out, "%s%s\n", indent, lipgloss.NewStyle().Foreground(lipgloss.Yellow).Render("↩ "+w.N("board.impossible", r.RollbackImpossible)))
	}
	t.signOffs(out, indent, r.SignOffs)
}

func (t boardText) signOffs(out *strings.Builder, indent string, slots []view.SignOffSlot) {
	w := t.words
	for _, s := range slots {
		given := w.T("board.visa_awaited")
		if s.Unheld && s.Given == nil {
			given = w.T("board.visa_unheld", "role", s.Role)
		}
		if s.Given != nil {
			given = w.Actor(s.Given.Actor) + ": " + w.T(answerID(s.Given.Yes))
		}
		fmt.Fprintf(out, "%s%s: %s\n", indent, w.T("board.visa", "title", s.Title.In(string(w.Lang()))), given)
	}
}

func answerID(yes bool) string {
	if yes {
		return "answer.yes"
	}
	return "answer.no"
}

func (t boardText) ringState(r view.BoardRing) string {
	w := t.words
	text := w.Word(lang.RingState, r.State)
	if r.Verdict != "" {
		text += " — " + w.Word(lang.Gate, r.Verdict)
	}
	switch {
	case t.over:
	case r.State == "pending":
		text += ", " + w.Ago(r.Opens, t.now)
	case r.State == "soaking" && !r.SoakUntil.IsZero():
		text += ", " + w.Ago(r.SoakUntil, t.now)
	}
	return text
}

// bar is the ring's devices as one line of blocks. Every number that is not
// zero shows, however small its share is.
func bar(n view.Numbers) string {
	total := n.Total()
	if total == 0 {
		return faintStyle().Render(strings.Repeat("·", barWidth))
	}
	parts := []struct {
		name  string
		count int64
	}{{"done", n.Done}, {"failed", n.Failed}, {"unreachable", n.Unreachable}, {"exempt", n.Exempt}, {"not_reached", n.NotReached}}
	cells := make([]int, len(parts))
	used := 0
	for i, p := range parts {
		cells[i] = int(p.count * barWidth / total)
		if p.count > 0 && cells[i] == 0 {
			cells[i] = 1
		}
		used += cells[i]
	}
	largest := 0
	for i := range cells {
		if cells[i] > cells[largest] {
			largest = i
		}
	}
	cells[largest] += barWidth - used
	var out strings.Builder
	for i, p := range parts {
		block := "█"
		if p.name == "not_reached" {
			block = "░"
		}
		out.WriteString(lipgloss.NewStyle().Foreground(colours()[p.name]).Render(strings.Repeat(block, max(0, cells[i]))))
	}
	return out.String()
}

func (t boardText) numbers(n view.Numbers) string {
	w := t.words
	parts := []struct {
		name  string
		count int64
	}{{"done", n.Done}, {"failed", n.Failed}, {"not_reached", n.NotReached}, {"unreachable", n.Unreachable}, {"exempt", n.Exempt}}
	out := make([]string, 0, len(parts))
	for _, p := range parts {
		text := w.Number(p.count) + " " + w.Word(lang.Bucket, p.name)
		style := faintStyle()
		if p.count > 0 {
			style = lipgloss.NewStyle().Foreground(colours()[p.name])
		}
		out = append(out, style.Render(text))
	}
	return strings.Join(out, "  ")
}

func (t boardText) items(out *strings.Builder, a view.BoardAmendment) {
	w := t.words
	fmt.Fprintf(out, "\n%s (%s)\n", w.T("board.content"), w.Number(int64(len(a.Items))))
	for _, it := range a.Items {
		line := "  " + it.Patch.Name + " " + it.Patch.Version + " → " + it.Ring
		if back := t.wayBack(it); back != "" {
			line += "  ↩ " + back
		}
		if it.Withdrawn != nil {
			line = faintStyle().Render("  "+it.Patch.Name+" "+it.Patch.Version) + "  " + w.T("board.withdrawn", "by", w.Actor(it.Withdrawn.By), "reason", it.Withdrawn.Reason)
		}
		out.WriteString(line + "\n")
	}
}

func (t boardText) latest(out *strings.Builder, b view.Board) {
	if t.events == 0 || len(b.Events) == 0 {
		return
	}
	out.WriteString("\n")
	for _, e := range b.Events[:min(t.events, len(b.Events))] {
		line := t.event(e)
		if t.width > 0 {
			line = lipgloss.NewStyle().MaxWidth(t.width).Render(line)
		}
		out.WriteString(line + "\n")
	}
}

// event is one register entry on a line.
func (t boardText) event(e view.Event) string {
	w := t.words
	parts := []string{w.Word(lang.Act, string(e.Kind))}
	if e.Ring != "" {
		parts = append(parts, e.Ring)
	}
	if e.Device != nil {
		parts = append(parts, e.Device.Name)
	}
	if e.Patch != nil {
		parts = append(parts, strings.TrimSpace(e.Patch.Name+" "+e.Patch.Version))
	}
	if e.Reason != nil {
		parts = append(parts, w.Reason(*e.Reason))
	}
	return faintStyle().Render(w.ClockSeconds(e.At)) + "  " + strings.Join(parts, " · ")
}
