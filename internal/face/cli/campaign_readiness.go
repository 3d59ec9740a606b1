package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/service/desk"
	"patchring/internal/service/survey"
)

type readinessOptions struct {
	days           int
	kind, severity string
	limit          int
	makeTasks      bool
	owner, due     string
	escalateTo     string
}

func (c *cli) campaignReadiness() *cobra.Command {
	var o readinessOptions
	cmd := c.verb(verb{
		use: "readiness [CAMPAIGN]", short: "Say what is to be put right before a campaign", optional: 1,
		long: `Of the campaign's devices up to its verification; without one, of the whole fleet
in the days to come.

With --make-tasks each finding becomes a manual task of its owner, due before the
campaign's first ring opens: one for each device and kind, and none where one is open
already. A task closes by itself when the fleet no longer has what was found.`,
		example: `  patchring campaign readiness 2026-12
  patchring campaign readiness --days 7 --kind disk
  patchring campaign readiness 2026-12 --kind silent --make-tasks --owner it`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args) },
	})
	flags := cmd.Flags()
	flags.IntVar(&o.days, "days", 0, "how far ahead, without a campaign (default 7)")
	flags.StringVar(&o.kind, "kind", "", "silent, broken, stale, disk, window, system, duplicate, certificate, reboot, rollback, exception")
	flags.StringVar(&o.severity, "severity", "", "blocking or warning")
	flags.BoolVar(&o.makeTasks, "make-tasks", false, "open a manual task for each finding that has none")
	flags.StringVar(&o.owner, "owner", "", "with --make-tasks: an account, or a role")
	flags.StringVar(&o.escalateTo, "escalate-to", "", "who is told when its owner does not act: an account, or a role")
	flags.StringVar(&o.due, "due", "", "with --make-tasks: a date 2026-12-31, or an instant (default: before the first ring)")
	limitFlag(cmd, &o.limit)
	return cmd
}

func (o readinessOptions) run(ctx context.Context, c *cli, api *client, args []string) error {
	switch {
	case o.makeTasks:
		return o.tasks(ctx, c, api, args)
	case o.owner != "" || o.due != "" || o.escalateTo != "":
		return usage{errors.New("--owner, --due and --escalate-to are read with --make-tasks")}
	}
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

// tasks opens the tasks of the findings.
func (o readinessOptions) tasks(ctx context.Context, c *cli, api *client, args []string) error {
	ask := body{}.set("owner", o.owner).set("due", o.due).set("escalate_to", o.escalateTo).set("kind", o.kind).set("severity", o.severity)
	if len(args) == 1 {
		ask["campaign"] = args[0]
	}
	if o.days != 0 {
		ask["days"] = o.days
	}
	var made desk.OpenedFindings
	if err := api.post(ctx, "/readiness/tasks", ask, &made); err != nil {
		return err
	}
	return c.emit(made, func() error {
		w := c.words()
		if err := c.say(w.N("readiness.opened", int64(len(made.Opened)), "known", w.Number(int64(made.Known)), "due", w.Brief(made.Due))); err != nil {
			return err
		}
		var out [][]string
		for _, t := range made.Opened {
			out = append(out, []string{t.ID, t.Name, w.Word(lang.Finding, string(t.Kind))})
		}
		if len(out) == 0 {
			return nil
		}
		return c.table([]string{"col.id", "col.device", "col.finding"}, out)
	})
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
