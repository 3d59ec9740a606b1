package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"patchring/internal/service/rulebook"
)

func (c *cli) policyShow() *cobra.Command {
	var all bool
	return forAllTenants(c.verb(verb{
		use: "show [VERSION]", short: "Write the text of the policy in force, or of a version", optional: 1,
		example: `  patchring policy show > fleet.yaml`,
		run: func(ctx context.Context, api *client, args []string) error {
			version := "0"
			if len(args) > 0 {
				if n, err := strconv.ParseInt(args[0], 10, 64); err != nil || n < 1 {
					return usage{fmt.Errorf("version %q: write a number of \"patchring policy list\"", args[0])}
				}
				version = args[0]
			}
			var p rulebook.PolicyVersion
			if err := api.get(ctx, policies(all)+path(version), nil, &p); err != nil {
				return err
			}
			return c.emit(p, func() error {
				_, err := fmt.Fprint(c.Out, p.Body)
				return err
			})
		},
	}), &all)
}
