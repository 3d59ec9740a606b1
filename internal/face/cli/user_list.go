package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/service/access"
)

func (c *cli) userList() *cobra.Command {
	return c.verb(verb{
		use: "list", short: "List people and their roles",
		run: func(ctx context.Context, api *client, _ []string) error {
			var users []access.Account
			if err := api.get(ctx, "/users", nil, &users); err != nil {
				return err
			}
			return c.emit(users, func() error {
				w := c.words()
				out := make([][]string, 0, len(users))
				for _, u := range users {
					out = append(out, []string{u.Name, strings.Join(u.Roles, ", "), when(w, u.Created), when(w, u.Closed)})
				}
				return c.table([]string{"col.name", "col.roles", "col.created", "col.closed"}, out)
			})
		},
	})
}
