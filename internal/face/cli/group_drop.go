package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) groupDrop() *cobra.Command {
	return c.verb(verb{
		use: "drop NAME", short: "Drop a group; its devices stay", args: 1, asks: true,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := c.confirm(c.words().T("cli.group_drop_plan", "name", args[0])); err != nil {
				return err
			}
			if err := api.send(ctx, http.MethodDelete, path("groups", args[0]), nil, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
}
