package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) taskReopen() *cobra.Command {
	var reason, due string
	cmd := c.verb(verb{
		use: "reopen ID --reason TEXT", short: "Open a closed task again: its proof did not hold", args: 1,
		long: `Its proofs stay. A new date is needed when the old one is past.`,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, path("tasks", args[0], "reopen"), body{"reason": reason}.set("due", due), nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	cmd.Flags().StringVar(&due, "due", "", "when it must be done: a date 2026-12-31, or an instant")
	return cmd
}
