package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) patchShow() *cobra.Command {
	return c.verb(verb{
		use: "show PATCH", short: "Show a patch: decisions, campaigns, devices", args: 1,
		long: `A patch is a name, a name and version in quotes, or an id.`,
		run: func(ctx context.Context, api *client, args []string) error {
			var p view.PatchDetail
			if err := api.get(ctx, path("patches", args[0]), nil, &p); err != nil {
				return err
			}
			return c.emit(p, func() error { return c.showPatch(p) })
		},
	})
}

func (c *cli) showPatch(p view.PatchDetail) error {
	w := c.words()
	err := c.fields("col.patch", p.Name, "col.version", p.Version, "col.id", string(p.ID), "col.suite", p.Suite, "col.origin", p.Origin,
		"col.class", w.Word(lang.Class, string(p.Class)), "col.size", w.Bytes(p.DownloadBytes), "col.first_seen", when(w, p.FirstSeen), "col.devices", w.Number(p.Devices))
	if err != nil {
		return err
	}
	if err := c.mends(p); err != nil {
		return err
	}
	for _, d := range p.Decisions {
		if err := c.say(decisionText(w, &d) + " — " + w.Actor(d.Actor) + ", " + w.Brief(d.At) + ": " + d.Reason); err != nil {
			return err
		}
	}
	if err := c.showPace(p.Pace); err != nil {
		return err
	}
	if len(p.Campaigns) == 0 {
		return c.say(w.T("patch.no_campaign"))
	}
	out := make([][]string, 0, len(p.Campaigns))
	for _, in := range p.Campaigns {
		out = append(out, []string{in.Campaign.Name, w.Word(lang.CampaignState, in.State), in.Item.Ring, w.Number(in.Done), w.Number(in.Failed), w.Number(in.Pending), w.Number(in.RolledBack)})
	}
	return c.table([]string{"col.campaign", "col.state", "col.reached", "bucket.done", "bucket.failed", "which.pending", "col.rollback"}, out)
}

// mends lists what the patch mends, the worst first.
func (c *cli) mends(p view.PatchDetail) error {
	if len(p.Mends) == 0 {
		return nil
	}
	w := c.words()
	rows := make([][]string, 0, len(p.Mends))
	for _, m := range p.Mends {
		exploited := ""
		if m.Exploited {
			exploited = exploitedText(w, &view.Exploited{Due: m.Due})
		}
		rows = append(rows, []string{m.CVE, w.Word(lang.Grade, string(m.Severity)), exploited, m.Fixed, w.Number(m.Devices)})
	}
	if err := c.say(""); err != nil {
		return err
	}
	if err := c.table([]string{"col.cve", "col.grade", "col.exploited", "col.fixed", "col.exposed"}, rows); err != nil {
		return err
	}
	return c.say("")
}

func (c *cli) showPace(list []view.PatchPace) error {
	if len(list) == 0 {
		return nil
	}
	w := c.words()
	took := func(ms int64) string {
		if ms == 0 {
			return "–"
		}
		return w.Duration(time.Duration(ms) * time.Millisecond)
	}
	out := make([][]string, 0, len(list))
	for _, p := range list {
		model := p.Model
		if model == "" {
			model = w.T("patch.pace_all")
		}
		out = append(out, []string{model, w.Number(p.Samples), took(p.DownloadMS), took(p.InstallMS), took(p.RebootMS)})
	}
	if err := c.say("", w.T("patch.pace")+". "+w.T("patch.pace_note")); err != nil {
		return err
	}
	return c.table([]string{"patch.pace_model", "patch.pace_count", "patch.pace_download", "patch.pace_install", "patch.pace_reboot"}, out)
}
