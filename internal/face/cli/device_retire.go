package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

func (c *cli) deviceRetire() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "retire DEVICE --reason TEXT", short: "Take a device out of the fleet", args: 1, asks: true,
		long: "Its certificate opens nothing any more and its orders are cancelled. Its register stays.",
		run: func(ctx context.Context, api *client, args []string) error {
			var d view.DeviceDetail
			if err := api.get(ctx, path("devices", args[0]), nil, &d); err != nil {
				return err
			}
			w := c.words()
			if err := c.confirm(w.T("cli.retire_plan", "name", d.Name, "seen", when(w, d.Seen))); err != nil {
				return err
			}
			if err := api.post(ctx, path("devices", string(d.ID), "retire"), body{"reason": reason}, nil); err != nil {
				return err
			}
			return c.done(d.Name)
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
