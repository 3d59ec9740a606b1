package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) campaignList() *cobra.Command {
	var open bool
	var limit int
	cmd := c.verb(verb{
		use: "list", short: "List campaigns, newest first",
		run: func(ctx context.Context, api *client, _ []string) error {
			query := filters()
			if open {
				query.Set("open", "true")
			}
			campaigns, more, err := rows[view.CampaignRow](ctx, api, "/campaigns", query, limit)
			if err != nil {
				return err
			}
			defer c.more(more)
			return c.emit(campaigns, func() error {
				w := c.words()
				out := make([][]string, 0, len(campaigns))
				for _, r := range campaigns {
					out = append(out, []string{r.Name, stateText(w, r), r.Procedure, when(w, r.Starts), ringsText(w, r.Rings)})
				}
				return c.table([]string{"col.campaign", "col.state", "col.procedure", "col.starts", "col.progress"}, out)
			})
		},
	})
	cmd.Flags().BoolVar(&open, "open", false, "only those that are not closed")
	limitFlag(cmd, &limit)
	return cmd
}

func stateText(w lang.Words, c view.CampaignRow) string {
	text := w.Word(lang.CampaignState, c.State)
	if c.Held {
		text += ", " + w.Word(lang.CampaignState, "held")
	}
	return text
}

// ringsText is "R0 promoted 2/2, R1 installing 3/50": done of all.
func ringsText(w lang.Words, rings []view.RingBrief) string {
	out := make([]string, 0, len(rings))
	for _, r := range rings {
		out = append(out, r.Ring+" "+w.Word(lang.RingState, r.State)+" "+w.Number(r.Numbers.Done)+"/"+w.Number(r.Numbers.Total()))
	}
	return strings.Join(out, ", ")
}
