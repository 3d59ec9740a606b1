package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) exceptionEnd() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "end ID --reason TEXT", short: "End an exception before its time", args: 1,
		long: `What it left out is decided again at once.`,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, path("exceptions", args[0], "end"), body{"reason": reason}, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
