package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/service/rulebook"
)

func (c *cli) policyDiff() *cobra.Command {
	var file string
	var all bool
	return forAllTenants(policyFile(c.verb(verb{
		use: "diff -f FILE", short: "Say what a policy file would change, without putting it in force",
		long: `Every device and all that it misses now is decided twice, by the policy in force
and by the file: whose patches get another decision, by which rule instead of
which, whose profiles, windows or freezes change, and what would never have been
let through in twelve months. Classes that a procedure approves are left out:
they differ by campaign.`,
		run: func(ctx context.Context, api *client, _ []string) error {
			name, text, err := readText("policy", file, c.In)
			if err != nil {
				return err
			}
			if all {
				return c.diffForAll(ctx, api, name, text)
			}
			var diff rulebook.Diff
			if err := api.weigh(ctx, "/policies/diff", body{"file": name, "text": text}, &diff); err != nil {
				return inFile(name, err)
			}
			for _, p := range diff.Warnings {
				c.tell(name + ":" + p.String() + "\n")
			}
			return c.emit(diff, func() error { return c.showDiff(diff) })
		},
	}), &file), &all)
}

// diffForAll tells what would change tenant by tenant.
func (c *cli) diffForAll(ctx context.Context, api *client, name, text string) error {
	var diff rulebook.SiteDiff
	if err := api.weigh(ctx, policies(true)+"/diff", body{"file": name, "text": text}, &diff); err != nil {
		return inFile(name, err)
	}
	for _, p := range diff.Warnings {
		c.tell(name + ":" + p.String() + "\n")
	}
	return c.emit(diff, func() error {
		for _, t := range diff.Tenants {
			one := rulebook.Diff{Checked: rulebook.Checked{Name: string(t.Tenant)}, Devices: t.Devices, Changed: t.Changed, Verdicts: t.Verdicts, Settings: t.Settings}
			if err := c.showDiff(one); err != nil {
				return err
			}
			if err := c.say(""); err != nil {
				return err
			}
		}
		return c.showStarved(diff.Checked)
	})
}

func (c *cli) showDiff(d rulebook.Diff) error {
	w := c.words()
	if err := c.say(d.Name + ": " + w.N("policy.changed", int64(d.Devices), "changed", w.Number(int64(d.Changed)))); err != nil {
		return err
	}
	if len(d.Verdicts)+len(d.Settings) == 0 {
		if err := c.say(w.T("policy.nothing")); err != nil {
			return err
		}
	}
	var verdicts, settings [][]string
	for _, m := range d.Verdicts {
		verdicts = append(verdicts, []string{m.Name + " " + m.Version, saidText(w, m.Before), saidText(w, m.After), w.Number(int64(m.Devices)), strings.Join(m.Examples, ", ")})
	}
	for _, s := range d.Settings {
		settings = append(settings, []string{partsText(w, s), profilesText(w, s.Before), profilesText(w, s.After), w.Number(int64(s.Devices)), strings.Join(s.Examples, ", ")})
	}
	if err := c.section(w.T("policy.verdicts"), []string{"col.patch", "col.before", "col.after", "col.devices", "col.examples"}, verdicts); err != nil {
		return err
	}
	if err := c.section(w.T("policy.settings"), []string{"col.changes", "col.profiles_before", "col.profiles_after", "col.devices", "col.examples"}, settings); err != nil {
		return err
	}
	return c.showStarved(d.Checked)
}

func (c *cli) showStarved(checked rulebook.Checked) error {
	if starved := c.starvedLines(checked); len(starved) > 0 {
		return c.say(append([]string{"", c.words().T("policy.never")}, starved...)...)
	}
	return nil
}

// shownLines of a section are read by a person; the rest is for programs.
const shownLines = 50

func (c *cli) section(title string, heads []string, lines [][]string) error {
	if len(lines) == 0 {
		return nil
	}
	if err := c.say("", title); err != nil {
		return err
	}
	more := len(lines) - shownLines
	if err := c.table(heads, lines[:min(len(lines), shownLines)]); err != nil || more <= 0 {
		return err
	}
	return c.say(c.words().N("policy.more_lines", int64(more)))
}

// saidText is a verdict with its end, its rule and what holds it back.
func saidText(w lang.Words, s rulebook.Said) string {
	text := w.Word(lang.Verdict, string(s.Verdict))
	switch {
	case !s.UntilLast.IsZero():
		text += " " + w.T("policy.until_between", "first", w.DateShort(lastDay(s.Until)), "last", w.DateShort(lastDay(s.UntilLast)))
	case !s.Until.IsZero():
		text += " " + w.T("policy.until", "date", w.DateShort(lastDay(s.Until)))
	}
	text += " (" + w.Rule(s.Rule)
	if s.Safeguard != "" {
		text += "; " + w.T("policy.held", "name", s.Safeguard)
	}
	return text + ")"
}

// lastDay is in the last day that an end leaves: one at midnight is told by the
// day before, as it was written.
func lastDay(end time.Time) time.Time { return end.Add(-time.Second) }

func partsText(w lang.Words, s rulebook.Resettled) string {
	var words []string
	for _, p := range s.Parts {
		words = append(words, w.Word(lang.Part, string(p)))
	}
	return w.List(words)
}

func profilesText(w lang.Words, names []string) string {
	if len(names) == 0 {
		return w.T("policy.no_profile")
	}
	return strings.Join(names, ", ")
}
