package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) userRoles() *cobra.Command {
	var roles []string
	cmd := c.verb(verb{
		use: "roles NAME --role ROLE...", short: "Give a person other roles, in place of those they have", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.send(ctx, http.MethodPut, path("users", args[0], "roles"), body{"roles": roles}, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringSliceVar(&roles, "role", nil, "role; may be repeated")
	return cmd
}

// done answers an act that has nothing to show but itself.
func (c *cli) done(name string) error {
	return c.emit(map[string]string{"done": name}, func() error { return c.say(c.words().T("cli.done", "name", name)) })
}
