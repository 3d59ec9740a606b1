package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
)

type incidentOptions struct {
	severity, title, campaign, ring, patch, owner, feedback, alert string
	devices                                                        []string
}

func (c *cli) incidentCreate() *cobra.Command {
	var o incidentOptions
	cmd := c.verb(verb{
		use: "create WHAT --severity WORD", short: "Open an incident; its campaign does at once what the procedure says", args: 1,
		long: `With --campaign, the procedure says which severity holds and which rolls back, in
the devices' next windows: the patch that is named, on the ring that is named or
that the first device is in. A critical incident also holds the ring.
What somebody said on a device's page becomes one with --feedback.`,
		example: `  patchring incident create "Payroll does not print" --severity major --campaign 2026-12 --device fin-3 --patch cups --owner it
  patchring incident create "The till does not start" --severity critical --feedback 0195e1c4`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args[0]) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.severity, "severity", "", "minor, major or critical")
	flags.StringVar(&o.title, "title", "", "in a few words; the beginning of WHAT when not given")
	flags.StringVar(&o.campaign, "campaign", "", "the campaign it is part of")
	flags.StringVar(&o.ring, "ring", "", "the ring of the campaign")
	flags.StringVar(&o.patch, "patch", "", "a patch: name, name and version, or id")
	flags.StringArrayVar(&o.devices, "device", nil, "a device, by its id or its name; again for more")
	flags.StringVar(&o.owner, "owner", "", "who must act: an account, or a role")
	flags.StringVar(&o.feedback, "feedback", "", "what somebody said on a device's page, by its id")
	flags.StringVar(&o.alert, "alert", "", "the alert that it is made of, by its id")
	return cmd
}

// openedIncident is the answer to opening one.
type openedIncident struct {
	ID       string `json:"id"`
	Response string `json:"response,omitempty"`
	Joined   bool   `json:"joined,omitempty"`
}

func (o incidentOptions) run(ctx context.Context, c *cli, api *client, what string) error {
	ask := body{"what": what, "severity": o.severity}.set("title", o.title).set("campaign", o.campaign).set("ring", o.ring).set("patch", o.patch).
		set("owner", o.owner).set("feedback", o.feedback).set("alert", o.alert)
	if len(o.devices) > 0 {
		ask["devices"] = o.devices
	}
	var made openedIncident
	if err := api.post(ctx, "/incidents", ask, &made); err != nil {
		return err
	}
	return c.emit(made, func() error { return c.sayOpened(made) })
}

// sayOpened writes the id alone on its line, for scripts, and the rest to whom
// it may concern.
func (c *cli) sayOpened(o openedIncident) error {
	w := c.words()
	if o.Joined {
		c.tell(w.T("incident.joined") + "\n")
	}
	if o.Response != "" {
		c.tell(w.Word(lang.Response, o.Response) + "\n")
	}
	return c.say(o.ID)
}
