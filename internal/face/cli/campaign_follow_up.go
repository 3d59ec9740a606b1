package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/service/desk"
)

type followUpOptions struct {
	catchUp                                        bool
	tasks, exceptions, windows                     []string
	owner, escalateTo, due, reason, control, until string
}

func (c *cli) campaignFollowUp() *cobra.Command {
	var o followUpOptions
	cmd := c.verb(verb{
		use: "follow-up CAMPAIGN", short: "Make the catch-up, tasks and exceptions of what a campaign left undone", args: 1, asks: true,
		long: `Choose what is to come of the devices that are missing: an emergency campaign that
catches up, a manual task for each of some, exceptions for what others lack. The plan
is shown first. Asking twice makes nothing twice.`,
		example: `  patchring campaign follow-up 2026-11 --catch-up --reason "left by 2026-11"
  patchring campaign follow-up 2026-11 --tasks failed,unreachable --owner it --due 2026-12-04
  patchring campaign follow-up 2026-11 --exceptions failed --owner dsi --until 2026-12-31 \
    --reason "printer driver" --control "isolated network"`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args[0]) },
	})
	flags := cmd.Flags()
	flags.BoolVar(&o.catchUp, "catch-up", false, "an emergency campaign for what they lack")
	flags.StringArrayVar(&o.windows, "window", nil, "START/END in RFC 3339, in place of the devices' windows; may be repeated")
	flags.StringSliceVar(&o.tasks, "tasks", nil, "a manual task for devices of these: failed,not_reached,unreachable")
	flags.StringSliceVar(&o.exceptions, "exceptions", nil, "leave out what devices of these lack: failed,not_reached,unreachable")
	flags.StringVar(&o.owner, "owner", "", "of the tasks and the exceptions: an account, or a role")
	flags.StringVar(&o.escalateTo, "escalate-to", "", "who is told when its owner does not act: an account, or a role")
	flags.StringVar(&o.due, "due", "", "of the tasks: a date 2026-12-31, or an instant")
	flags.StringVar(&o.reason, "reason", "", "of the catch-up and the exceptions")
	flags.StringVar(&o.control, "control", "", "what protects meanwhile")
	flags.StringVar(&o.until, "until", "", "end of the exceptions: a date 2026-12-31, or an instant")
	return cmd
}

func (o followUpOptions) run(ctx context.Context, c *cli, api *client, name string) error {
	windows, err := windowsOf(o.windows)
	if err != nil {
		return usage{err}
	}
	in := body{"catch_up": o.catchUp, "plan": true, "lang": string(c.words().Lang())}.set("owner", o.owner).set("escalate_to", o.escalateTo).set("due", o.due).
		set("reason", o.reason).set("control", o.control).set("until", o.until)
	if len(windows) > 0 {
		in["windows"] = windows
	}
	if len(o.tasks) > 0 {
		in["tasks"] = o.tasks
	}
	if len(o.exceptions) > 0 {
		in["exceptions"] = o.exceptions
	}
	var plan, done desk.FollowedUp
	where := path("campaigns", name, "follow-up")
	if err := api.post(ctx, where, in, &plan); err != nil {
		return err
	}
	w := c.words()
	if err := c.confirm(w.FollowUp(followUpPlan(plan))); err != nil {
		return err
	}
	in["plan"] = false
	if err := api.post(ctx, where, in, &done); err != nil {
		return err
	}
	return c.emit(done, func() error { return c.say(w.T("follow_up.done")) })
}

// followUpPlan is what would be made.
func followUpPlan(f desk.FollowedUp) lang.FollowUpPlan {
	p := lang.FollowUpPlan{Missing: f.Missing, Tasks: f.Tasks.Make, KnownTasks: f.Tasks.Known, Exceptions: f.Exceptions.Make, KnownExceptions: f.Exceptions.Known, Patches: -1}
	if f.CatchUp != nil {
		p.Patches, p.Refused = f.CatchUp.Patches, f.CatchUp.Refused
	}
	return p
}
