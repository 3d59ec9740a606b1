package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"patchring/internal/service/access"
)

func (c *cli) userPassword() *cobra.Command {
	return c.verb(verb{
		use: "password NAME", short: "Give a person a new password", args: 1,
		long: "It is generated and shown once. Your own, or anybody's for an administrator.",
		run: func(ctx context.Context, api *client, args []string) error {
			var made access.Credentials
			if err := api.send(ctx, http.MethodPut, path("users", args[0], "password"), nil, &made); err != nil {
				return err
			}
			return c.credentials(made)
		},
	})
}
