package cli

import (
	"context"

	"github.com/spf13/cobra"
)

type taskOptions struct {
	what, device, campaign, ring, patch, owner, escalate, proof, due string
	after                                                            int
}

func (c *cli) taskCreate() *cobra.Command {
	var o taskOptions
	cmd := c.verb(verb{
		use: "create TITLE --owner WHO --due DATE", short: "Open a manual task: what a person must do", args: 1,
		long: `Its owner, an account or a role, is reminded before it is due, when it is and
each day after; then the one above is. A task bound to a ring of a campaign
keeps the ring's gate from passing. It closes on a proof and on nothing else.`,
		example: `  patchring task create "Restart the till" --device till-3 --owner it --escalate-to it-lead --due 2026-12-15
  patchring task create "Look at the print server" --campaign 2026-12 --ring R0 --owner it --proof file --due 2026-12-10`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args[0]) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.what, "what", "", "what to do, for whoever does it")
	flags.StringVar(&o.device, "device", "", "a device, by its id or its name")
	flags.StringVar(&o.campaign, "campaign", "", "the campaign it is part of")
	flags.StringVar(&o.ring, "ring", "", "the ring whose gate waits for it")
	flags.StringVar(&o.patch, "patch", "", "a patch: name, name and version, or id")
	flags.StringVar(&o.owner, "owner", "", "an account, or a role")
	flags.StringVar(&o.escalate, "escalate-to", "", "who is told when its owner does not act: an account, or a role")
	flags.IntVar(&o.after, "escalate-after", 0, "reminders of an overdue task before that, one a day; 2 when not given")
	flags.StringVar(&o.proof, "proof", "", "what must be shown: text, file, command or rescan; any when not given")
	flags.StringVar(&o.due, "due", "", "when it must be done: a date 2026-12-31, or an instant")
	return cmd
}

func (o taskOptions) run(ctx context.Context, c *cli, api *client, title string) error {
	ask := body{"title": title}.set("what", o.what).set("device", o.device).set("campaign", o.campaign).set("ring", o.ring).set("patch", o.patch).
		set("owner", o.owner).set("escalate_to", o.escalate).set("proof", o.proof).set("due", o.due)
	if o.after != 0 {
		ask["escalate_after"] = o.after
	}
	var made struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := api.post(ctx, "/tasks", ask, &made); err != nil {
		return err
	}
	return c.emit(made, func() error { return c.say(made.ID) })
}
