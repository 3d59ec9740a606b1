package cli

import (
	"context"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

func (c *cli) campaignShow() *cobra.Command {
	return c.verb(verb{
		use: "show CAMPAIGN", short: "Show a campaign: rings, gates, content, holds", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			b, err := api.board(ctx, args[0])
			if err != nil {
				return err
			}
			return c.emit(b, func() error {
				_, err := lipgloss.Fprint(c.Out, boardText{words: c.words(), now: c.Clock(), content: true}.render(b))
				return err
			})
		},
	})
}

func (c *client) board(ctx context.Context, campaign string) (view.Board, error) {
	var b view.Board
	err := c.get(ctx, path("campaigns", campaign), nil, &b)
	return b, err
}
