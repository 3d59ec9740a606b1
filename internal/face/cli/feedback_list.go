package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

type feedbackListOptions struct {
	which, campaign, device string
	limit                   int
}

func (c *cli) feedbackList() *cobra.Command {
	var o feedbackListOptions
	cmd := c.verb(verb{
		use: "list", short: "List what people say is broken and nobody has dealt with, the latest first",
		example: `  patchring feedback list
  patchring feedback list --which all --campaign 2026-12`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	cmd.Flags().StringVar(&o.which, "which", "open", "open, broken, works or all")
	cmd.Flags().StringVar(&o.campaign, "campaign", "", "only of this campaign")
	cmd.Flags().StringVar(&o.device, "device", "", "only of this device")
	limitFlag(cmd, &o.limit)
	return cmd
}

func (o feedbackListOptions) run(ctx context.Context, c *cli, api *client) error {
	if !slices.Contains(view.FeedbackFilters(), o.which) {
		return usage{fmt.Errorf("--which %q: write %s", o.which, strings.Join(view.FeedbackFilters(), ", "))}
	}
	list, more, err := rows[view.FeedbackRow](ctx, api, "/feedback", filters("which", o.which, "campaign", o.campaign, "device", o.device), o.limit)
	if err != nil {
		return err
	}
	defer c.more(more)
	return c.emit(list, func() error {
		w := c.words()
		out := make([][]string, 0, len(list))
		for _, f := range list {
			name := ""
			if f.Patch != nil {
				name = strings.TrimSpace(f.Patch.Name + " " + f.Patch.Version)
			}
			out = append(out, []string{f.ID, when(w, f.At), f.Device.Name, strings.TrimSpace(f.Campaign.Name + " " + f.Ring), name, w.Word(lang.Feedback, f.Says), f.Words})
		}
		return c.table([]string{"col.id", "col.when", "col.device", "col.campaign", "col.patch", "col.state", "col.why"}, out)
	})
}
