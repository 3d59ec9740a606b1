package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) groupRemove() *cobra.Command {
	return c.verb(verb{
		use: "remove NAME DEVICE...", short: "Take devices out of a group: all of them or none", args: -1,
		run: func(ctx context.Context, api *client, args []string) error {
			return c.members(ctx, api, args, "remove")
		},
	})
}
