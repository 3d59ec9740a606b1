package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

func (c *cli) procedureList() *cobra.Command {
	return c.verb(verb{
		use: "list", short: "List procedures at their latest version",
		run: func(ctx context.Context, api *client, _ []string) error {
			var list []view.ProcedureRow
			if err := api.get(ctx, "/procedures", nil, &list); err != nil {
				return err
			}
			return c.emit(list, func() error {
				w := c.words()
				out := make([][]string, 0, len(list))
				for _, p := range list {
					out = append(out, []string{p.Name, p.Title.In(string(w.Lang())), w.Number(p.Version), strings.Join(p.Rings, " → "), p.Zone, when(w, p.At), w.Actor(p.Actor)})
				}
				return c.table([]string{"col.procedure", "col.title", "col.version", "procedure.rings", "fact.zone", "col.applied", "col.by"}, out)
			})
		},
	})
}
