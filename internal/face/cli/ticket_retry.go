package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) ticketRetry() *cobra.Command {
	return c.verb(verb{
		use: "retry ID", short: "Try again what a tool has not taken: given up, or waiting", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, path("tickets", args[0], "retry"), nil, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
}
