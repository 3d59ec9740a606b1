package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) incidentReopen() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "reopen ID --reason TEXT", short: "Open an incident again: it is not over", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, path("incidents", args[0], "reopen"), body{"reason": reason}, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
