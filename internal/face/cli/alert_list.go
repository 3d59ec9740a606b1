package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

// alert is the group of verbs about alerts.
func (c *cli) alert() *cobra.Command {
	return c.group("alert", "Alerts: what is wrong now, who must act, and who is told",
		c.alertList(), c.alertShow(), c.alertAck(), c.alertAct(), c.alertSilence(), c.alertUnsilence(), c.alertTest(), c.alertOutputs(), c.alertDeliveries(), c.alertRetry(),
		c.group("rule", "The rules of alerts and their outputs", c.alertRuleApply(), c.alertRuleCheck(), c.alertRuleDiff(), c.alertRuleList(), c.alertRuleShow()),
		c.group("feed", "Links to the calendar and to the feed of alerts", c.alertFeedCreate(), c.alertFeedList(), c.alertFeedRevoke()),
	)
}

type alertListOptions struct {
	which, severity, rule, device, campaign string
	silences                                bool
	limit                                   int
}

func (c *cli) alertList() *cobra.Command {
	var o alertListOptions
	cmd := c.verb(verb{
		use: "list", short: "List open alerts, the gravest first",
		run: func(ctx context.Context, api *client, _ []string) error {
			if o.silences {
				return c.silences(ctx, api)
			}
			list, more, err := rows[view.AlertRow](ctx, api, "/alerts",
				filters("which", o.which, "severity", o.severity, "rule", o.rule, "device", o.device, "campaign", o.campaign), o.limit)
			if err != nil {
				return err
			}
			defer c.more(more)
			return c.emit(list, func() error { return c.alertTable(list) })
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&o.which, "which", "", "open, firing, acknowledged, resolved or all")
	flags.StringVar(&o.severity, "severity", "", "info, warning or critical")
	flags.StringVar(&o.rule, "rule", "", "only of this rule")
	flags.StringVar(&o.device, "device", "", "only on this device")
	flags.StringVar(&o.campaign, "campaign", "", "only in this campaign")
	flags.BoolVar(&o.silences, "silences", false, "the silences in force, in place of alerts")
	limitFlag(cmd, &o.limit)
	return cmd
}

func (c *cli) alertTable(list []view.AlertRow) error {
	w := c.words()
	out := make([][]string, 0, len(list))
	for _, a := range list {
		m := a.Message()
		out = append(out, []string{
			a.ID, w.Word(lang.AlertSeverity, string(a.Severity)), alertState(w, a), a.Title.In(string(w.Lang())), w.AlertWhere(m), w.AlertWhat(m), w.Role(a.Who), when(w, a.Fired),
		})
	}
	return c.table([]string{"col.id", "col.severity", "col.state", "col.alert", "col.where", "col.what", "col.who", "col.since"}, out)
}

// alertState is where an alert stands, with its silence.
func alertState(w lang.Words, a view.AlertRow) string {
	state := w.Word(lang.AlertState, string(a.State))
	if !a.SilentUntil.IsZero() {
		state += " (" + w.T("alert.silent_until", "until", w.Brief(a.SilentUntil)) + ")"
	}
	return state
}

func (c *cli) silences(ctx context.Context, api *client) error {
	var list []view.SilenceRow
	if err := api.get(ctx, "/alert-silences", nil, &list); err != nil {
		return err
	}
	return c.emit(list, func() error {
		w := c.words()
		out := make([][]string, 0, len(list))
		for _, s := range list {
			about := s.About
			if s.Device != nil {
				about = s.Device.Name
			}
			out = append(out, []string{s.ID, s.Rule, about, when(w, s.Until), w.Actor(s.By), s.Reason})
		}
		return c.table([]string{"col.id", "col.rule", "col.where", "col.until", "col.by", "col.reason"}, out)
	})
}

func (c *cli) alertShow() *cobra.Command {
	return c.verb(verb{
		use: "show ID", short: "Show an alert, and what can be done from it", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			var a view.AlertRow
			if err := api.get(ctx, path("alerts", args[0]), nil, &a); err != nil {
				return err
			}
			return c.emit(a, func() error { return c.say(alertLines(c.words(), a)...) })
		},
	})
}

func alertLines(w lang.Words, a view.AlertRow) []string {
	m := a.Message()
	out := []string{
		strings.ToUpper(w.Word(lang.AlertSeverity, string(a.Severity))) + w.T("alert.colon") + a.Title.In(string(w.Lang())),
		w.AlertWhere(m), w.AlertWhat(m), alertState(w, a) + ", " + w.T("letter.since", "since", when(w, a.Since)), w.T("alert.acts", "who", w.Role(a.Who)),
	}
	if did := w.AlertDid(m); did != "" {
		out = append(out, did+" ("+when(w, a.DidAt)+", "+a.DidID+")")
	}
	if !a.Acked.IsZero() {
		out = append(out, w.T("alert.acked", "by", w.Actor(a.AckedBy), "at", when(w, a.Acked), "why", a.AckedWhy))
	}
	if !a.Ended.IsZero() {
		out = append(out, w.T("alert.ended", "at", when(w, a.Ended), "why", w.Word(lang.AlertEnd, a.EndedWhy)))
	}
	for _, do := range a.Can {
		out = append(out, "  --do "+string(do)+"  "+w.Word(lang.AlertDo, string(do)))
	}
	return out
}
