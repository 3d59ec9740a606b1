package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

type monthlyOptions struct{ month, format, out string }

func (c *cli) reportMonthly() *cobra.Command {
	var o monthlyOptions
	cmd := c.verb(verb{
		use: "monthly", short: "What the campaigns of a month came to",
		long: `The campaigns that started in the month, their coverage, the promises kept, the
incidents, beside the month before; and how the fleet stands now: exceptions about to
end, systems too old to be patched, overdue tasks. With -o as a document.`,
		example: `  patchring report monthly --month 2026-11
  patchring report monthly --month 2026-11 --format pdf --lang fr -o rapport.pdf`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.month, "month", "", "the month, 2026-11 (default: the one that is)")
	flags.StringVar(&o.format, "format", "pdf", "pdf, html or xlsx")
	flags.StringVarP(&o.out, "output", "o", "", "the file to write")
	return cmd
}

func (o monthlyOptions) run(ctx context.Context, c *cli, api *client) error {
	w := c.words()
	query := filters("month", o.month)
	if o.out != "" {
		query.Set("format", o.format)
		query.Set("lang", string(w.Lang()))
		return c.saved(ctx, api, "/reports/monthly/file?"+query.Encode(), o.out)
	}
	var m view.Monthly
	if err := api.get(ctx, "/reports/monthly", query, &m); err != nil {
		return err
	}
	return c.emit(m, func() error { return c.monthly(m) })
}

func (c *cli) monthly(m view.Monthly) error {
	w := c.words()
	if err := c.say(w.T("monthly.title", "month", w.Month(m.From.Year(), m.From.Month())), ""); err != nil {
		return err
	}
	var out [][]string
	for _, mc := range m.Campaigns {
		n := mc.Numbers
		out = append(out, []string{mc.Name, w.Word(lang.CampaignState, mc.State), w.Number(n.Done), w.Number(n.Failed), w.Number(n.NotReached), w.Number(n.Unreachable), w.Number(n.Exempt), w.Share(n.Done, n.Total()-n.Exempt), w.Number(mc.Incidents)})
	}
	if len(out) == 0 {
		if err := c.say(w.T("monthly.none")); err != nil {
			return err
		}
	} else if err := c.table([]string{"col.campaign", "col.state", "verification.done", "verification.failed", "verification.not_reached", "verification.unreachable", "verification.exempt", "paper.reached", "dossier.incident_count"}, out); err != nil {
		return err
	}
	lines := []string{"", w.T("monthly.promises_kept") + w.T("policy.colon") + " " + w.Share(m.Sum.Kept, m.Sum.Promised) + " (" + w.T("monthly.last") + w.T("policy.colon") + " " + w.Share(m.Before.Kept, m.Before.Promised) + ")",
		w.T("dossier.incident_count") + w.T("policy.colon") + " " + w.Number(m.Sum.Incidents) + "; " + w.T("dossier.rollbacks") + w.T("policy.colon") + " " + w.Number(m.Sum.Rollbacks),
		w.T("monthly.system_ended") + w.T("policy.colon") + " " + w.Number(m.Fleet.SystemEnded),
		w.N("monthly.in_force", m.Exceptions), w.T("monthly.task_counts", "open", w.Number(m.OpenTasks), "late", w.Number(m.LateTasks))}
	for _, clock := range m.Clocks {
		lines = append(lines, w.T("sla_clock."+string(clock)))
	}
	return c.say(lines...)
}
