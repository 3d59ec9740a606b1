package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"patchring/internal/service/personal"
)

type deviceLinkOptions struct {
	revoke bool
	reason string
}

func (c *cli) deviceLink() *cobra.Command {
	var o deviceLinkOptions
	cmd := c.verb(verb{
		use: "link DEVICE", short: "Give a link to the device's page, or revoke all of them", args: 1, asks: true,
		long: `The page needs no login: whoever has the link sees what is coming on the device,
may postpone within its limits, and may say whether an update works. The console
shows the link as a QR code to print. With --revoke every link given until now,
printed or in a notice, opens nothing any more.`,
		example: `  patchring device link front-desk-2
  patchring device link front-desk-2 --revoke --reason "the paper was lost"`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args[0]) },
	})
	cmd.Flags().BoolVar(&o.revoke, "revoke", false, "make the links given until now open nothing")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the register")
	return cmd
}

func (o deviceLinkOptions) run(ctx context.Context, c *cli, api *client, device string) error {
	if !o.revoke {
		if o.reason != "" {
			return usage{errors.New("--reason goes with --revoke")}
		}
		var l personal.Link
		if err := api.get(ctx, path("devices", device, "link"), nil, &l); err != nil {
			return err
		}
		return c.emit(l, func() error {
			w := c.words()
			return c.say(l.URL + "\n" + w.T("link.until") + " " + w.Moment(l.Expires) + "\n")
		})
	}
	if err := c.confirm(c.words().T("act_revoke_links.consequence")); err != nil {
		return err
	}
	if err := api.post(ctx, path("devices", device, "link", "revoke"), body{"reason": o.reason}, nil); err != nil {
		return err
	}
	return c.done(device)
}
