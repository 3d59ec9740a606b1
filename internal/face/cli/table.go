package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"

	"patchring/internal/core/fault"
	"patchring/internal/face/lang"
)

// table writes rows under heads, which are ids of words: with lines and colours
// on a terminal, and plain columns elsewhere.
func (c *cli) table(heads []string, rows [][]string) error {
	w := c.words()
	titles := make([]string, len(heads))
	for i, h := range heads {
		titles[i] = w.T(h)
	}
	if len(rows) == 0 {
		return c.say(w.T("cli.none"))
	}
	if isTerminal(c.Out) {
		head := lipgloss.NewStyle().Bold(true).Padding(0, 1)
		cell := lipgloss.NewStyle().Padding(0, 1)
		t := table.New().Headers(titles...).Rows(rows...).Border(lipgloss.RoundedBorder()).BorderStyle(faintStyle()).
			StyleFunc(func(row, _ int) lipgloss.Style {
				if row == table.HeaderRow {
					return head
				}
				return cell
			})
		_, err := lipgloss.Fprintln(c.Out, t)
		return err
	}
	return c.columns(append([][]string{titles}, rows...))
}

func faintStyle() lipgloss.Style { return lipgloss.NewStyle().Faint(true) }

// fields writes pairs of a word's id and a value, one a line; empty values are
// left out.
func (c *cli) fields(pairs ...string) error {
	w := c.words()
	var lines [][]string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			lines = append(lines, []string{w.T(pairs[i]), pairs[i+1]})
		}
	}
	return c.columns(lines)
}

// columns aligns cells without lines around them.
func (c *cli) columns(lines [][]string) error {
	tabs := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	for _, cells := range lines {
		if _, err := io.WriteString(tabs, strings.Join(cells, "\t")+"\n"); err != nil {
			return fmt.Errorf("write columns: %w", err)
		}
	}
	return tabs.Flush()
}

// when is an instant in a table; nothing when there is none.
func when(w lang.Words, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return w.Brief(t)
}

func because(w lang.Words, r *fault.Reason) string {
	if r == nil {
		return ""
	}
	return w.Reason(*r)
}

// more says that a list goes on, where it does not disturb a program.
func (c *cli) more(more bool) {
	if more && !c.json {
		c.tell(c.words().T("cli.more") + "\n")
	}
}
