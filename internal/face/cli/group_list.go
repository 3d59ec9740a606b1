package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

func (c *cli) groupList() *cobra.Command {
	return c.verb(verb{
		use: "list", short: "List groups", long: `The devices of one: patchring device list --group NAME.`,
		run: func(ctx context.Context, api *client, _ []string) error {
			groups, _, err := rows[view.GroupRow](ctx, api, "/groups", nil, 0)
			if err != nil {
				return err
			}
			return c.emit(groups, func() error {
				w := c.words()
				out := make([][]string, 0, len(groups))
				for _, g := range groups {
					out = append(out, []string{g.Name, g.Title, w.Number(g.Devices)})
				}
				return c.table([]string{"col.name", "col.title", "col.devices"}, out)
			})
		},
	})
}
