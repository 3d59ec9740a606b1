package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) groupAdd() *cobra.Command {
	return c.verb(verb{
		use: "add NAME DEVICE...", short: "Put devices into a group: all of them or none", args: -1,
		run: func(ctx context.Context, api *client, args []string) error { return c.members(ctx, api, args, "add") },
	})
}

func (c *cli) members(ctx context.Context, api *client, args []string, act string) error {
	if err := api.post(ctx, path("groups", args[0], act), body{"devices": args[1:]}, nil); err != nil {
		return err
	}
	return c.done(args[0])
}
