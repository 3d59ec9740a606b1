package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) campaignWithdraw() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "withdraw CAMPAIGN PATCH --reason TEXT", short: "Take one patch out; the others go on", args: 2, asks: true,
		long: `What is installed stays: "campaign rollback --patch" puts it back.`,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := c.confirm(c.words().T("cli.withdraw_plan", "patch", args[1], "campaign", args[0])); err != nil {
				return err
			}
			if err := api.post(ctx, path("campaigns", args[0], "withdraw"), body{"patch": args[1], "reason": reason}, nil); err != nil {
				return err
			}
			return c.done(args[1])
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
