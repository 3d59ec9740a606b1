package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) incidentNote() *cobra.Command {
	var severity, owner string
	cmd := c.verb(verb{
		use: "note ID TEXT", short: "Add words to an incident, judge its severity anew, or name who must act", args: 2,
		long: `A severity that is worse is answered by the campaign, as when the incident was
opened; a milder one lifts no hold.`,
		example: `  patchring incident note 0195e1c4 "two more branches say so" --severity critical --owner it-lead`,
		run: func(ctx context.Context, api *client, args []string) error {
			ask := body{"text": args[1]}.set("severity", severity).set("owner", owner)
			if err := api.post(ctx, path("incidents", args[0], "note"), ask, nil); err != nil {
				return err
			}
			return c.done(args[0])
		},
	})
	cmd.Flags().StringVar(&severity, "severity", "", "minor, major or critical")
	cmd.Flags().StringVar(&owner, "owner", "", "who must act: an account, or a role")
	return cmd
}
