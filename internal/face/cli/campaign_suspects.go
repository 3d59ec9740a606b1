package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/service/survey"
)

func (c *cli) campaignSuspects() *cobra.Command {
	return c.verb(verb{
		use: "suspects CAMPAIGN", short: "Say what devices share on which a patch fails", args: 1,
		long: `A model, a driver, an application's version: what failing devices have in common and
the others have not, beyond chance. Each comes with the safeguard that would hold the
patch back from such devices, to add to the policy.`,
		example: `  patchring campaign suspects 2026-12`,
		run: func(ctx context.Context, api *client, args []string) error {
			var found survey.Suspects
			if err := api.get(ctx, path("campaigns", args[0], "suspects"), nil, &found); err != nil {
				return err
			}
			return c.emit(found, func() error { return c.suspects(found) })
		},
	})
}

func (c *cli) suspects(found survey.Suspects) error {
	w := c.words()
	if len(found.Patches) == 0 {
		return c.say(w.T("suspects.none"))
	}
	for _, p := range found.Patches {
		if err := c.say(p.Name+" "+p.Version, w.T("suspects.looked", "failed", w.Number(int64(p.Failed)), "sound", w.Number(int64(p.Sound)))); err != nil {
			return err
		}
		rows := make([][]string, 0, len(p.Suspects))
		for _, s := range p.Suspects {
			rows = append(rows, []string{s.Condition, w.Share(int64(s.Failed), int64(s.Failed+s.Sound)), w.Share(int64(s.FailedWithout), int64(s.FailedWithout+s.SoundWithout))})
		}
		if err := c.table([]string{"col.shared", "col.fails_with", "col.fails_without"}, rows); err != nil {
			return err
		}
		if err := c.say("", p.Suspects[0].Safeguard); err != nil {
			return err
		}
	}
	return nil
}
