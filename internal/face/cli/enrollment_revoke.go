package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) enrollmentRevoke() *cobra.Command {
	return c.verb(verb{
		use: "revoke ID", short: "Take away the uses a token has left", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.send(ctx, http.MethodDelete, path("enrollments", args[0]), nil, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
}
