package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) campaignAmend() *cobra.Command {
	var reason string
	cmd := c.verb(verb{
		use: "amend CAMPAIGN PATCH... --reason TEXT", short: "Add late patches; they start at the first ring", args: -1,
		run: func(ctx context.Context, api *client, args []string) error {
			var made struct {
				Amendment int64 `json:"amendment"`
			}
			if err := api.post(ctx, path("campaigns", args[0], "amend"), body{"patches": args[1:], "reason": reason}, &made); err != nil {
				return err
			}
			return c.emit(made, func() error {
				w := c.words()
				return c.say(w.T("board.amendment", "n", w.Number(made.Amendment)))
			})
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the register")
	return cmd
}
