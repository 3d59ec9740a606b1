package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) campaignClose() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "close CAMPAIGN", short: "End a campaign", args: 1, asks: true,
		long: "Open orders are cancelled; what was not reached is recorded as such.",
		run: func(ctx context.Context, api *client, args []string) error {
			b, err := api.board(ctx, args[0])
			if err != nil {
				return err
			}
			plan := boardText{words: c.words(), now: c.Clock()}.render(b)
			if err := c.confirm(plan + "\n" + c.words().T("cli.close_plan", "name", b.Campaign.Name)); err != nil {
				return err
			}
			if err := api.post(ctx, path("campaigns", b.Campaign.ID, "close"), body{}.set("reason", reason), nil); err != nil {
				return err
			}
			return c.done(b.Campaign.Name)
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
