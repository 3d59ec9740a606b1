package cli

import (
	"context"

	"github.com/spf13/cobra"
)

type exceptionOptions struct {
	patch, provider, name, device, group, owner, reason, control, until string
	every                                                               bool
	remind                                                              int
}

func (c *cli) exceptionCreate() *cobra.Command {
	var o exceptionOptions
	cmd := c.verb(verb{
		use: "create --until DATE --owner WHO --reason TEXT --control TEXT", short: "Leave a patch, a device or a group out on purpose, until a date",
		long: `It is about what fits every one of --patch, --device and --group that is given;
--device and --group exclude each other. Its owner, its reason, what protects
meanwhile and its end are all needed. A date means the end of that day in the
site's zone, at most 366 days ahead; the exception ends by itself then.`,
		example: `  patchring exception create --device press-01 --until 2026-12-31 --owner workshop --reason "calibrated" --control "cut off from the network"
  patchring exception create --patch openssl --every-version --group kiosks --until 2026-12-31 --owner it --reason "breaks the till" --control "filtered"`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.patch, "patch", "", "a patch: name, name and version, or id")
	flags.BoolVar(&o.every, "every-version", false, "every version of the patch's name")
	flags.StringVar(&o.name, "name", "", "every version of a name that no scan has shown yet, with --provider")
	flags.StringVar(&o.provider, "provider", "", "provider of --name: apt")
	flags.StringVar(&o.device, "device", "", "a device, by its id or its name")
	flags.StringVar(&o.group, "group", "", "the devices of a group")
	flags.StringVar(&o.owner, "owner", "", "who answers for it")
	flags.StringVar(&o.reason, "reason", "", "why, for the register")
	flags.StringVar(&o.control, "control", "", "what protects meanwhile")
	flags.StringVar(&o.until, "until", "", "its end: a date 2026-12-31, or an instant")
	flags.IntVar(&o.remind, "remind", 0, "days before its end from which on it is announced; 14 when not given")
	return cmd
}

func (o exceptionOptions) run(ctx context.Context, c *cli, api *client) error {
	ask := body{}.set("patch", o.patch).set("provider", o.provider).set("name", o.name).set("device", o.device).set("group", o.group).
		set("owner", o.owner).set("reason", o.reason).set("control", o.control).set("until", o.until)
	if o.every {
		ask["every_version"] = true
	}
	if o.remind != 0 {
		ask["remind_days"] = o.remind
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := api.post(ctx, "/exceptions", ask, &made); err != nil {
		return err
	}
	return c.emit(made, func() error { return c.say(made.ID) })
}
