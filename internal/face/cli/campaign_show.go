package cli

import (
	"context"
	"net/url"

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
				if _, err := lipgloss.Fprint(c.Out, boardText{words: c.words(), now: c.Clock(), content: true}.render(b)); err != nil {
					return err
				}
				return c.showImpossible(ctx, api, b)
			})
		},
	})
}

// showImpossible names what could not be put back; most campaigns have none.
func (c *cli) showImpossible(ctx context.Context, api *client, b view.Board) error {
	total := int64(0)
	for _, a := range b.Amendments {
		for _, r := range a.Rings {
			total += r.RollbackImpossible
		}
	}
	if total == 0 {
		return nil
	}
	var page view.ImpossiblePage
	if err := api.get(ctx, "/impossible-rollbacks", url.Values{"campaign": {b.Campaign.ID}}, &page); err != nil {
		return err
	}
	w := c.words()
	if err := c.say("", w.T("impossible.title")); err != nil {
		return err
	}
	rows := make([][]string, 0, len(page.Rows))
	for _, i := range page.Rows {
		rows = append(rows, []string{i.Device.Name, i.Ring, i.Patch.Name + " " + i.Patch.Version, w.Reason(i.Reason)})
	}
	c.more(page.Next != "")
	return c.table([]string{"col.device", "col.ring", "col.patch", "col.why"}, rows)
}

func (c *client) board(ctx context.Context, campaign string) (view.Board, error) {
	var b view.Board
	err := c.get(ctx, path("campaigns", campaign), nil, &b)
	return b, err
}
