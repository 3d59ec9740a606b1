package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) campaignResume() *cobra.Command {
	var hold, reason string
	cmd := c.verb(verb{
		use: "resume CAMPAIGN", short: "Lift a hold, or all of the campaign's", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			var lifted struct {
				Count int64 `json:"count"`
			}
			if err := api.post(ctx, path("campaigns", args[0], "resume"), body{}.set("hold", hold).set("reason", reason), &lifted); err != nil {
				return err
			}
			return c.emit(lifted, func() error { return c.say(c.words().N("cli.lifted", lifted.Count)) })
		},
	})
	cmd.Flags().StringVar(&hold, "hold", "", "only this hold, by its id")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
