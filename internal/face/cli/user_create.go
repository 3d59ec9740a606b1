package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/service/access"
)

func (c *cli) userCreate() *cobra.Command {
	var roles []string
	cmd := c.verb(verb{
		use: "create NAME --role ROLE...", short: "Create an account", args: 1,
		long: `The password is generated and shown once. admin, operator and auditor grant
acts; any other role is a word of yours, which lets sign the gates that ask for it.`,
		example: `  patchring user create it-lead --role operator --role it`,
		run: func(ctx context.Context, api *client, args []string) error {
			var made access.Credentials
			if err := api.post(ctx, "/users", body{"name": args[0], "roles": roles}, &made); err != nil {
				return err
			}
			return c.credentials(made)
		},
	})
	cmd.Flags().StringSliceVar(&roles, "role", nil, "role; may be repeated")
	return cmd
}

// credentials are shown once.
func (c *cli) credentials(made access.Credentials) error {
	return c.emit(made, func() error { return c.fields("login.name", made.Name, "login.password", made.Password) })
}
