package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/service/rulebook"
)

func (c *cli) policyList() *cobra.Command {
	var all bool
	return forAllTenants(c.verb(verb{
		use: "list", short: "List the versions of the policy, the one in force first",
		run: func(ctx context.Context, api *client, _ []string) error {
			var list []rulebook.PolicyVersion
			if err := api.get(ctx, policies(all), nil, &list); err != nil {
				return err
			}
			return c.emit(list, func() error {
				w := c.words()
				out := make([][]string, 0, len(list))
				for _, v := range list {
					out = append(out, []string{w.Number(v.Version), v.Name, when(w, v.At), w.Actor(v.By)})
				}
				return c.table([]string{"col.version", "col.policy", "col.applied", "col.by"}, out)
			})
		},
	}), &all)
}
