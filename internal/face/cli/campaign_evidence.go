package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/core/campaign"
	"patchring/internal/core/health"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) campaignEvidence() *cobra.Command {
	var ring string
	var evaluate bool
	cmd := c.verb(verb{
		use: "evidence CAMPAIGN", short: "Show what gates are decided on, and ask them", args: 1,
		long: `For each ring that has opened: what its gate compares, how many devices are proven,
what the measures of patched devices say beside those not yet patched, what the
breaker held, and what the gate answered before.

With --evaluate the gates are asked now, whatever their date. The answer is kept;
nothing is promoted by asking.`,
		example: `  patchring campaign evidence 2026-12
  patchring campaign evidence 2026-12 --ring R0 --evaluate`,
		run: func(ctx context.Context, api *client, args []string) error {
			var e view.CampaignEvidence
			err := error(nil)
			if evaluate {
				err = api.post(ctx, path("campaigns", args[0], "evaluate"), body{}.set("ring", ring), &e)
			} else {
				err = api.get(ctx, path("campaigns", args[0], "evidence"), filters("ring", ring), &e)
			}
			if err != nil {
				return err
			}
			return c.emit(e, func() error { return c.evidence(e) })
		},
	})
	cmd.Flags().StringVar(&ring, "ring", "", "only this ring")
	cmd.Flags().BoolVar(&evaluate, "evaluate", false, "ask the gates now")
	return cmd
}

func (c *cli) evidence(e view.CampaignEvidence) error {
	w := c.words()
	if len(e.Rings) == 0 {
		return c.say(w.T("proof.none"))
	}
	for i, r := range e.Rings {
		if i > 0 {
			if err := c.say(""); err != nil {
				return err
			}
		}
		if err := c.ringEvidence(r); err != nil {
			return err
		}
	}
	return nil
}

// ringEvidence prefers what the gate answered last to what the ring waits for.
func (c *cli) ringEvidence(r view.RingEvidence) error {
	w := c.words()
	verdict, evidence, reasons := r.Verdict, r.Evidence, r.Reasons
	if len(r.Evaluations) > 0 {
		verdict, evidence, reasons = r.Evaluations[0].Verdict, r.Evaluations[0].Evidence, r.Evaluations[0].Reasons
	}
	lines := []string{w.T("proof.ring", "ring", r.Ring, "state", w.Word(lang.RingState, r.State), "verdict", w.Word(lang.Gate, verdict))}
	for _, why := range reasons {
		lines = append(lines, "  "+w.Reason(why))
	}
	if err := c.say(lines...); err != nil {
		return err
	}
	rows := make([][]string, 0, len(evidence))
	for _, one := range evidence {
		name, asked, found := w.Evidence(one.Name, one.Need, one.Have)
		rows = append(rows, []string{name, found, asked, w.Word(lang.Answer, yesNo(one.OK))})
	}
	if err := c.table([]string{"col.evidence", "col.have", "col.need", "col.ok"}, rows); err != nil {
		return err
	}
	lines = []string{w.T("proof.proven", "proven", w.Number(int64(r.Seen.Proven)), "hours", w.Decimal(r.Seen.UseHours))}
	if len(r.Limits) > 0 {
		id, limits := "proof.limits", make([]string, 0, len(r.Limits))
		if r.Tight {
			id = "proof.limits_tight"
		}
		for _, l := range r.Limits {
			limits = append(limits, w.Limit(l))
		}
		lines = append(lines, w.T("proof.limits_are", "what", w.T(id), "limits", strings.Join(limits, " ; ")))
	}
	for _, s := range r.Seen.Services {
		lines = append(lines, c.stopped(s)...)
	}
	if r.Health == nil {
		lines = append(lines, w.T("proof.unjudged"))
	} else {
		lines = append(lines, w.T("proof.looked", "at", w.Moment(r.Looked), "verdict", w.Word(lang.Health, string(r.Health.Verdict))))
		for _, f := range r.Health.Findings {
			lines = append(lines, "  "+w.Reason(f.Reason))
		}
	}
	for _, s := range r.Shared {
		lines = append(lines, w.T("proof.shared", "condition", s.Condition))
	}
	for _, t := range r.Trips {
		lines = append(lines, w.T("proof.trip", "at", w.Moment(t.At), "reason", w.Given(t.Reason)))
	}
	return c.say(lines...)
}

// stopped is a service that ran before the install and does not since.
func (c *cli) stopped(s campaign.ServiceDown) []string {
	w := c.words()
	lines := []string{w.T("proof.service", "service", s.Service, "at", w.Moment(s.Since), "devices", w.List(s.Devices))}
	for _, one := range []struct {
		key string
		health.Stopped
	}{{"servers", s.Servers}, {"workstations", s.Workstations}} {
		if one.Down > 0 {
			lines = append(lines, "  "+w.T("proof.service_"+one.key, "down", w.Number(int64(one.Down)), "patched", w.Number(int64(one.Patched)),
				"others_down", w.Number(int64(one.OthersDown)), "others", w.Number(int64(one.Others))))
		}
	}
	for _, condition := range s.Shared {
		lines = append(lines, "  "+w.T("proof.shared", "condition", condition))
	}
	return lines
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
