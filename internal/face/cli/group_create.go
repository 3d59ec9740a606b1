package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) groupCreate() *cobra.Command {
	var title string
	cmd := c.verb(verb{
		use: "create NAME", short: "Make a group, or give it another title", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.send(ctx, http.MethodPut, path("groups", args[0]), body{}.set("title", title), nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&title, "title", "", "what it is, for people")
	return cmd
}
