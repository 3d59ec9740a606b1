package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) deviceAllowReboot() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "allow-reboot DEVICE --reason TEXT", short: "Let a device reboot again whose reboots did not help", args: 1,
		long: `A device that still asks for a reboot after two of them is left alone. This
forgets them: it reboots again by its profile, in its windows, as long as it
asks for it.`,
		run: func(ctx context.Context, api *client, args []string) error {
			if err := api.post(ctx, path("devices", args[0], "allow-reboot"), body{"reason": reason}, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
