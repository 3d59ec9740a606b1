package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) feedbackClose() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "close ID --reason TEXT", short: "Mark what was said to be broken as dealt with", args: 1,
		long:    "It leaves today's list. If somebody says again that it is broken, it comes back.",
		example: `  patchring feedback close 0195e1c4 --reason "driver put back, the till prints"`,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, path("feedback", args[0], "close"), body{"reason": reason}, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "how, for the register")
	return cmd
}
