package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/service/survey"
)

type readinessOptions struct {
	days           int
	kind, severity string
	limit          int
}

func (c *cli) campaignReadiness() *cobra.Command {
	var o readinessOptions
	cmd := c.verb(verb{
		use: "readiness [CAMPAIGN]", short: "Say what is to be put right before a campaign", optional: 1,
		long: `Of the campaign's devices up to its verification; without one, of the whole fleet
in the days to come.`,
		example: `  patchring campaign readiness 2026-12
  patchring campaign readiness --days 7 --kind disk`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args) },
	})
	flags := cmd.Flags()
	flags.IntVar(&o.days, "days", 0, "how far ahead, without a campaign (default 7)")
	flags.StringVar(&o.kind, "kind", "", "silent, broken, stale, disk, window, system, duplicate, certificate, reboot, rollback, exception")
	flags.StringVar(&o.severity, "severity", "", "blocking or warning")
	limitFlag(cmd, &o.limit)
	return cmd
}

func (o readinessOptions) run(ctx context.Context, c *cli, api *client, args []string) error {
	query := filters("kind", o.kind, "severity", o.severity)
	if len(args) == 1 {
		query.Set("campaign", args[0])
	}
	if o.days != 0 {
		query.Set("days", fmt.Sprint(o.days))
	}
	var all survey.Readiness
	for {
		want := pageRows
		if o.limit > 0 {
			want = min(want, o.limit-len(all.Rows))
		}
		query.Set("limit", fmt.Sprint(want))
		var page survey.Readiness
		if err := api.get(ctx, "/readiness", query, &page); err != nil {
			return err
		}
		page.Rows = append(all.Rows, page.Rows...)
		all = page
		if all.Next == "" || o.limit > 0 && len(all.Rows) >= o.limit {
			break
		}
		query.Set("cursor", all.Next)
	}
	defer c.more(all.Next != "")
	return c.emit(all, func() error { return c.readiness(all) })
}

func (c *cli) readiness(r survey.Readiness) error {
	w := c.words()
	summary := w.T("readiness.summary", "ready", w.Number(int64(r.Ready)), "devices", w.Number(int64(r.Devices)), "blocked", w.Number(int64(r.Blocked)))
	if err := c.say(summary, ""); err != nil {
		return err
	}
	switch {
	case r.Devices == 0:
		return c.say(w.T("readiness.no_device"))
	case r.Ready == r.Devices:
		return c.say(w.T("readiness.none"))
	}
	var counts [][]string
	for _, n := range r.Counts {
		if n.Blocking+n.Warning > 0 {
			counts = append(counts, []string{w.Word(lang.Finding, string(n.Kind)), w.Number(int64(n.Blocking)), w.Number(int64(n.Warning))})
		}
	}
	if err := c.table([]string{"col.finding", "col.blocking", "col.warning"}, counts); err != nil {
		return err
	}
	var out [][]string
	for _, f := range r.Rows {
		out = append(out, []string{f.Name, w.Word(lang.Urgency, string(f.Severity)), w.Reason(f.Reason), w.Word(lang.Fix, string(f.Fix))})
	}
	if err := c.say(""); err != nil {
		return err
	}
	return c.table([]string{"col.device", "col.severity", "col.why", "col.fix"}, out)
}
