package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/service/access"
)

func (c *cli) tokenCreate() *cobra.Command {
	var life string
	cmd := c.verb(verb{
		use: "create NAME", short: "Create an API token that acts for you", args: 1,
		long: "The token is shown once. It does what you may do, and ends with your account.",
		run: func(ctx context.Context, api *client, args []string) error {
			var made access.NewToken
			if err := api.post(ctx, "/tokens", body{"name": args[0]}.set("life", life), &made); err != nil {
				return err
			}
			return c.emit(made, func() error {
				return c.say(made.Text)
			})
		},
	})
	cmd.Flags().StringVar(&life, "life", "", "how long it lasts, for example 720h (default: 90 days)")
	return cmd
}
