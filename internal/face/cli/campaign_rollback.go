package cli

import (
	"context"
	"maps"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

// rollbackPlan is what a rollback would do, or did.
type rollbackPlan struct {
	Devices    int64 `json:"devices"`
	Items      int64 `json:"items"`
	Impossible []struct {
		Device  view.DeviceRef `json:"device"`
		Package string         `json:"package"`
		Why     string         `json:"why"`
	} `json:"impossible"`
	ExpectedS  int64 `json:"expected_s,omitempty"`
	Exceptions []struct {
		Patch   view.PatchRef `json:"patch"`
		Devices int64         `json:"devices"`
		Until   time.Time     `json:"until"`
	} `json:"exceptions"`
	Campaign *view.CampaignRef `json:"campaign,omitempty"`
}

func (c *cli) campaignRollback() *cobra.Command {
	var s scope
	var now string
	var byRing bool
	cmd := c.verb(verb{
		use: "rollback CAMPAIGN --reason TEXT", short: "Put back the previous versions", args: 1, asks: true,
		long: `Of everything the campaign installed, or of what fits every flag given. First it
says what would be done and what cannot go back. The rollback is a campaign of
its own: rings, progress, verification, register. Devices act in their next
windows, or at once with --now, which opens an emergency window of that length
before them. All rings go back together, unless --by-ring: the next begins when
nobody of the one before has failed. What is open again is under an exception.`,
		example: `  patchring campaign rollback 2026-12 --device pc-17 --reason "printing broken" --now 2h`,
		run: func(ctx context.Context, api *client, args []string) error {
			ask := s.body().set("now", now)
			if byRing {
				ask["by_ring"] = true
			}
			return c.rollback(ctx, api, path("campaigns", args[0], "rollback"), ask)
		},
	})
	s.flags(cmd)
	cmd.Flags().BoolVar(&byRing, "by-ring", false, "begin a ring when the one before it has passed")
	cmd.Flags().StringVar(&now, "now", "", "open an emergency window of this length, for example 2h")
	return cmd
}

func (c *cli) rollback(ctx context.Context, api *client, to string, ask body) error {
	if !c.yes {
		planned := maps.Clone(ask)
		planned["plan"] = true
		var plan rollbackPlan
		if err := api.post(ctx, to, planned, &plan); err != nil {
			return err
		}
		if err := c.confirm(c.planText(plan)); err != nil {
			return err
		}
	}
	var plan rollbackPlan
	if err := api.post(ctx, to, ask, &plan); err != nil {
		return err
	}
	return c.emit(plan, func() error { return c.say(c.planText(plan)) })
}

func (c *cli) planText(p rollbackPlan) string {
	w := c.words()
	text := w.T("detail.rollback", "devices", w.Number(p.Devices), "items", w.Number(p.Items), "impossible", w.Number(int64(len(p.Impossible))))
	for _, i := range p.Impossible {
		text += "\n  ✗ " + i.Device.Name + " " + i.Package + ": " + w.Argument("rollback_impossible", "why", i.Why)
	}
	if p.ExpectedS > 0 {
		text += "\n  " + w.T("detail.rollback_expected", "length", w.Duration(time.Duration(p.ExpectedS)*time.Second))
	}
	if len(p.Exceptions) > 0 {
		var names []string
		for _, e := range p.Exceptions {
			names = append(names, e.Patch.Name+" "+e.Patch.Version)
		}
		text += "\n  " + w.T("detail.rollback_exception", "until", w.Moment(p.Exceptions[0].Until), "names", w.List(names))
	}
	if p.Campaign != nil {
		text += "\n  → " + w.T("detail.rollback_campaign", "name", p.Campaign.Name)
	}
	return text
}
