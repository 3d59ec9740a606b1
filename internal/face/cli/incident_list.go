package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) incidentList() *cobra.Command {
	var which, campaign, device string
	var limit int
	cmd := c.verb(verb{
		use: "list", short: "List incidents that are not closed, the latest first",
		example: `  patchring incident list
  patchring incident list --which all --campaign 2026-12`,
		run: func(ctx context.Context, api *client, _ []string) error {
			if !slices.Contains(view.IncidentFilters(), which) {
				return usage{fmt.Errorf("--which %q: write %s", which, strings.Join(view.IncidentFilters(), ", "))}
			}
			list, more, err := rows[view.IncidentRow](ctx, api, "/incidents", filters("which", which, "campaign", campaign, "device", device), limit)
			if err != nil {
				return err
			}
			defer c.more(more)
			return c.emit(list, func() error { return c.incidentTable(list) })
		},
	})
	cmd.Flags().StringVar(&which, "which", "open", "open, closed or all")
	cmd.Flags().StringVar(&campaign, "campaign", "", "only of this campaign")
	cmd.Flags().StringVar(&device, "device", "", "only of this device")
	limitFlag(cmd, &limit)
	return cmd
}

func (c *cli) incidentTable(list []view.IncidentRow) error {
	w := c.words()
	out := make([][]string, 0, len(list))
	for _, i := range list {
		in, about := "", ""
		if i.Campaign != nil {
			in = strings.TrimSpace(i.Campaign.Name + " " + i.Ring)
		}
		if i.Patch != nil {
			about = strings.TrimSpace(i.Patch.Name + " " + i.Patch.Version)
		}
		out = append(out, []string{
			i.ID, when(w, i.Opened), w.Word(lang.Severity, string(i.Severity)), w.Word(lang.IncidentState, string(i.State)), i.Title, in, about,
			strconv.FormatInt(i.Devices, 10), w.Role(i.Owner),
		})
	}
	return c.table([]string{"col.id", "col.opened", "col.severity", "col.state", "col.incident", "col.campaign", "col.patch", "col.devices", "col.whom"}, out)
}
