package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) tokenRevoke() *cobra.Command {
	return c.verb(verb{
		use: "revoke ID", short: "Revoke an API token", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.send(ctx, http.MethodDelete, path("tokens", args[0]), nil, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
}
