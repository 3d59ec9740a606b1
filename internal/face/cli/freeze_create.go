package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/service/rulebook"
)

type freezeOptions struct {
	name, devices, from, to, reason string
	all                             bool
}

func (c *cli) freezeCreate() *cobra.Command {
	var o freezeOptions
	cmd := forAllTenants(c.verb(verb{
		use: "create --to WHEN --reason TEXT", short: "Stop every install and reboot of devices for a time, at once",
		long: `Whatever the windows say, and without a change of the policy's file. Orders that
have not begun are taken back at once; an install that has begun is left to its end.
Only an emergency with a second person's sign-off passes a freeze.

WHEN is a date, a date with an hour in the site's zone, or an instant; a date means
the end of that day in --to, and its beginning in --from. 92 days at most.`,
		example: `  patchring freeze create --to "2026-12-11 07:00" --reason "storage is failing"
  patchring freeze create --name payroll --from 2026-12-28 --to 2026-12-31 --devices 'device.department == "finance"' --reason "payroll"`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	}), &o.all)
	flags := cmd.Flags()
	flags.StringVar(&o.to, "to", "", "when it ends: a date 2026-12-31, 2026-12-31T18:00, or an instant")
	flags.StringVar(&o.from, "from", "", "when it begins, written the same (default: now)")
	flags.StringVar(&o.reason, "reason", "", "why, for the register")
	flags.StringVar(&o.devices, "devices", "", "a condition on devices, as in the policy (default: every device)")
	flags.StringVar(&o.name, "name", "", "its name (default: the day it begins)")
	return cmd
}

func (o freezeOptions) run(ctx context.Context, c *cli, api *client) error {
	ask := body{"reason": o.reason}.set("name", o.name).set("devices", o.devices).set("from", o.from).set("to", o.to)
	if o.all {
		ask["all_tenants"] = true
	}
	var placed rulebook.PlacedFreeze
	if err := api.post(ctx, "/freezes", ask, &placed); err != nil {
		return err
	}
	return c.emit(placed, func() error {
		w := c.words()
		return c.say(w.N("freeze.placed", int64(placed.Devices), "name", placed.Name, "from", w.Brief(placed.From), "until", w.Brief(placed.Until), "frozen", w.Number(int64(placed.Frozen))))
	})
}
