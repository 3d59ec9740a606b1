package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) userClose() *cobra.Command {
	return c.verb(verb{
		use: "close NAME", short: "Close an account", args: 1, asks: true,
		long: "Its sessions and API tokens end at once. The name stays taken, because the register speaks of it.",
		run: func(ctx context.Context, api *client, args []string) error {
			if err := c.confirm(c.words().T("cli.user_close_plan", "name", args[0])); err != nil {
				return err
			}
			if err := api.send(ctx, http.MethodDelete, path("users", args[0]), nil, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
}
