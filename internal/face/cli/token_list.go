package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/service/access"
)

func (c *cli) tokenList() *cobra.Command {
	return c.verb(verb{
		use: "list", short: "List API tokens", long: "Your own, or everybody's for an administrator.",
		run: func(ctx context.Context, api *client, _ []string) error {
			var tokens []access.Token
			if err := api.get(ctx, "/tokens", nil, &tokens); err != nil {
				return err
			}
			return c.emit(tokens, func() error {
				w := c.words()
				out := make([][]string, 0, len(tokens))
				for _, t := range tokens {
					out = append(out, []string{t.ID, t.Name, t.Account, when(w, t.Expires), when(w, t.Used), when(w, t.Revoked)})
				}
				return c.table([]string{"col.id", "col.name", "col.account", "col.expires", "col.used", "col.revoked"}, out)
			})
		},
	})
}
