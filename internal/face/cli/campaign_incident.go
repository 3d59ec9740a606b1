package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) campaignIncident() *cobra.Command {
	var s scope
	var severity string
	cmd := c.verb(verb{
		use: "incident CAMPAIGN --severity WORD --reason TEXT", short: "Record an incident, and do what the procedure says of its severity", args: 1,
		long: `The short way of "incident create": the procedure says which severity holds and
which rolls back, in the devices' next windows; a milder one is recorded. With
--patch, what follows is about that patch alone, and with --ring or --device a
rollback stays on that ring.`,
		run: func(ctx context.Context, api *client, args []string) error {
			var made openedIncident
			ask := body{"what": s.reason, "severity": severity}.set("ring", s.ring).set("patch", s.patch).set("device", s.device)
			if err := api.post(ctx, path("campaigns", args[0], "incident"), ask, &made); err != nil {
				return err
			}
			return c.emit(made, func() error { return c.say(made.Response) })
		},
	})
	s.flags(cmd)
	cmd.Flags().StringVar(&severity, "severity", "", "minor, major or critical")
	return cmd
}
