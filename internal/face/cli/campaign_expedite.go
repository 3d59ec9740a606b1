package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) campaignExpedite() *cobra.Command {
	var device, reason string
	var amendment int64
	cmd := c.verb(verb{
		use: "expedite CAMPAIGN RING --reason TEXT", short: "Open a ring before its date, or move a device to a ring", args: 2,
		long: `The ring does not wait for its date or its observation. The gate before it still
applies: its evidence and its sign-offs.`,
		run: func(ctx context.Context, api *client, args []string) error {
			in := body{"ring": args[1], "reason": reason, "amendment": amendment}.set("device", device)
			if err := api.post(ctx, path("campaigns", args[0], "expedite"), in, nil); err != nil {
				return err
			}
			return c.done(args[1])
		},
	})
	cmd.Flags().StringVar(&device, "device", "", "move this device to the ring instead")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	cmd.Flags().Int64Var(&amendment, "amendment", 0, "the amendment whose ring it is")
	return cmd
}
