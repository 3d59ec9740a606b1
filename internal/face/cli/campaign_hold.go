package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// scope chooses a part of a campaign.
type scope struct{ ring, patch, device, reason string }

func (s *scope) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.ring, "ring", "", "only this ring")
	cmd.Flags().StringVar(&s.patch, "patch", "", "only this patch: name, name and version, or id")
	cmd.Flags().StringVar(&s.device, "device", "", "only this device: name or id")
	cmd.Flags().StringVar(&s.reason, "reason", "", "why, for the register")
}

func (s scope) body() body {
	return body{"reason": s.reason}.set("ring", s.ring).set("patch", s.patch).set("device", s.device)
}

func (c *cli) campaignHold() *cobra.Command {
	var s scope
	cmd := c.verb(verb{
		use: "hold CAMPAIGN --reason TEXT", short: "Stop a campaign, a ring, a patch or a device", args: 1,
		long: `Agents hear of it within seconds and begin nothing more that fits every flag
given; an install that has begun is left to its end. Lifted by "campaign resume".`,
		run: func(ctx context.Context, api *client, args []string) error {
			var made struct {
				ID string `json:"id"`
			}
			if err := api.post(ctx, path("campaigns", args[0], "hold"), s.body(), &made); err != nil {
				return err
			}
			return c.emit(made, func() error { return c.say(made.ID) })
		},
	})
	s.flags(cmd)
	return cmd
}
