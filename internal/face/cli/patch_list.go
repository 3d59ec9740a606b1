package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

type patchListOptions struct {
	class, verdict, text, sort string
	severity                   string
	missing, exploited         bool
	limit                      int
}

func (c *cli) patchList() *cobra.Command {
	var o patchListOptions
	cmd := c.verb(verb{
		use: "list", short: "List the patches that scans have made known",
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.class, "class", "", "security, quality, third-party or unknown")
	flags.StringVar(&o.verdict, "verdict", "", "with this decision given by hand: approved, delayed or declined")
	flags.BoolVar(&o.missing, "missing", false, "only those that a device misses now")
	flags.BoolVar(&o.exploited, "exploited", false, "only those that mend an exploited vulnerability")
	flags.StringVar(&o.severity, "severity", "", "critical, high, medium, low or unknown")
	flags.StringVar(&o.text, "text", "", "with this in the name")
	flags.StringVar(&o.sort, "sort", "", strings.Join(view.PatchSorts(), ", "))
	limitFlag(cmd, &o.limit)
	return cmd
}

func (o patchListOptions) run(ctx context.Context, c *cli, api *client) error {
	query := filters("class", o.class, "verdict", o.verdict, "text", o.text, "sort", o.sort, "severity", o.severity)
	if o.missing {
		query.Set("missing", "true")
	}
	if o.exploited {
		query.Set("exploited", "true")
	}
	patches, more, err := rows[view.PatchRow](ctx, api, "/patches", query, o.limit)
	if err != nil {
		return err
	}
	defer c.more(more)
	return c.emit(patches, func() error {
		w := c.words()
		out := make([][]string, 0, len(patches))
		for _, p := range patches {
			out = append(out, []string{string(p.ID), p.Name, p.Version, w.Word(lang.Class, string(p.Class)), severityText(w, p), p.Suite, w.Number(p.Devices), decisionText(w, p.Decision), when(w, p.FirstSeen)})
		}
		return c.table([]string{"col.id", "col.patch", "col.version", "col.class", "col.grade", "col.suite", "col.devices", "col.verdict", "col.first_seen"}, out)
	})
}

func decisionText(w lang.Words, d *view.Decision) string {
	if d == nil {
		return ""
	}
	text := w.Word(lang.Verdict, string(d.Verdict))
	if !d.Until.IsZero() {
		text += " " + w.T("patch.until", "date", w.Brief(d.Until))
	}
	return text
}

// severityText is how bad what a patch mends is; nothing where it is not known
// to mend anything.
func severityText(w lang.Words, p view.PatchRow) string {
	if len(p.CVEs) == 0 {
		return ""
	}
	text := w.Word(lang.Grade, string(p.Severity))
	if p.Exploited {
		text += ", " + w.T("vulnerability.exploited")
	}
	return text
}
