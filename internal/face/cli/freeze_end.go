package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) freezeEnd() *cobra.Command {
	var reason string
	var all bool
	cmd := forAllTenants(c.verb(verb{
		use: "end NAME --reason TEXT", short: "End a freeze that was placed by hand", args: 1,
		long: `Its devices are decided again at once, and may use tonight's window. A freeze of
the policy ends in its file.`,
		run: func(ctx context.Context, api *client, args []string) error {
			ask := body{"reason": reason}
			if all {
				ask["all_tenants"] = true
			}
			if err := api.post(ctx, path("freezes", args[0], "end"), ask, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	}), &all)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
