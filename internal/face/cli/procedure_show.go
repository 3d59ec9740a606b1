package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

func (c *cli) procedureShow() *cobra.Command {
	var version int64
	cmd := c.verb(verb{
		use: "show NAME", short: "Write the text of a procedure, as it was applied", args: 1,
		example: `  patchring procedure show postes-france | patchring calendar -f - --from 2026-01`,
		run: func(ctx context.Context, api *client, args []string) error {
			query := filters()
			if version > 0 {
				query.Set("version", fmt.Sprint(version))
			}
			var p view.ProcedureDetail
			if err := api.get(ctx, path("procedures", args[0]), query, &p); err != nil {
				return err
			}
			return c.emit(p, func() error {
				_, err := fmt.Fprint(c.Out, p.Body)
				return err
			})
		},
	})
	cmd.Flags().Int64Var(&version, "version", 0, "this version (default: the latest)")
	return cmd
}
