package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/core/alert"
	"patchring/internal/face/lang"
	"patchring/internal/service/watch"
)

func (c *cli) alertRuleDiff() *cobra.Command {
	var file string
	return rulesFile(c.verb(verb{
		use: "diff -f FILE", short: "Say what a document of alert rules would change, without putting it in force",
		long: `The rules and outputs that it adds, removes and changes, field by field, and every
rule that acts by itself, before and after. What is written otherwise and means the
same is no change.`,
		run: func(ctx context.Context, api *client, _ []string) error {
			name, text, err := readText("document of alert rules", file, c.In)
			if err != nil {
				return err
			}
			diff, err := diffOfRules(ctx, api, name, text)
			if err != nil {
				return err
			}
			c.warnOfRules(name, diff.CheckedBook)
			return c.emit(diff, func() error { return c.rulesDiff(diff) })
		},
	}), &file)
}

func diffOfRules(ctx context.Context, api *client, name, text string) (watch.BookDiff, error) {
	var diff watch.BookDiff
	if err := api.weigh(ctx, "/alert-rules/diff", body{"file": name, "text": text}, &diff); err != nil {
		return diff, inFile(name, err)
	}
	return diff, nil
}

// askOfRules shows what a document changes, and asks; the text in force already
// changes nothing.
func (c *cli) askOfRules(ctx context.Context, api *client, name, text string) error {
	diff, err := diffOfRules(ctx, api, name, text)
	if err != nil || diff.Unchanged {
		return err
	}
	if !c.json {
		if err := c.rulesDiff(diff); err != nil {
			return err
		}
	}
	w := c.words()
	return c.confirm("\n" + w.T("alert.ask", "name", diff.Name, "added", w.Number(count(diff, alert.Added)), "changed", w.Number(count(diff, alert.Changed)), "removed", w.Number(count(diff, alert.Removed))))
}

func count(d watch.BookDiff, kind alert.ChangeKind) (n int64) {
	for _, r := range d.Changes.Rules {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

func (c *cli) rulesDiff(d watch.BookDiff) error {
	w := c.words()
	since := w.T("alert.diff_default")
	if d.Version > 0 {
		since = w.T("alert.diff_since", "name", d.InForce, "version", w.Number(d.Version))
	}
	if err := c.say(since); err != nil {
		return err
	}
	if d.Changes.Nothing() {
		if err := c.say(w.T("alert.diff_nothing")); err != nil {
			return err
		}
	}
	heads := func(first string) []string {
		return []string{"col.change", first, "col.field", "col.before", "col.after"}
	}
	var document [][]string
	for _, f := range d.Changes.Head {
		document = append(document, fieldLine(w, f))
	}
	if err := c.section(w.T("alerts.text"), []string{"col.field", "col.before", "col.after"}, document); err != nil {
		return err
	}
	if err := c.section(w.T("alerts.rules"), heads("col.rule"), changeLines(w, d.Changes.Rules)); err != nil {
		return err
	}
	if err := c.section(w.T("alerts.outputs"), heads("col.output"), changeLines(w, d.Changes.Outputs)); err != nil {
		return err
	}
	var acts [][]string
	for _, a := range d.Changes.Acts {
		acts = append(acts, []string{a.Rule, w.AlertDoes(a.Was), w.AlertDoes(a.Does)})
	}
	if len(acts) == 0 {
		return c.say("", w.T("alert.acts_none"))
	}
	return c.section(w.T("alert.acts_itself"), []string{"col.rule", "col.before", "col.after"}, acts)
}

// changeLines are a line for each field that is changed, and one for a rule or
// an output that comes or goes as a whole.
func changeLines(w lang.Words, list []alert.BookChange) [][]string {
	var out [][]string
	for _, one := range list {
		first := []string{w.Word(lang.AlertChange, string(one.Kind)), one.Name}
		switch one.Kind {
		case alert.Removed:
			out = append(out, append(first, "", "", ""))
		case alert.Added:
			var all []string
			for _, f := range one.Fields {
				all = append(all, string(f.Field)+": "+f.After)
			}
			out = append(out, append(first, "", "", strings.Join(all, ", ")))
		default:
			for _, f := range one.Fields {
				out, first = append(out, append(first, fieldLine(w, f)...)), []string{"", ""}
			}
		}
	}
	return out
}

func fieldLine(w lang.Words, f alert.Turned) []string {
	return []string{w.Word(lang.AlertField, string(f.Field)), w.AlertValue(f.Field, f.Before), w.AlertValue(f.Field, f.After)}
}
