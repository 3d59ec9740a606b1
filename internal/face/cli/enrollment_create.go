package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/service/access"
)

type enrollmentOptions struct {
	kind, life   string
	tags, groups []string
	uses         int64
}

func (c *cli) enrollmentCreate() *cobra.Command {
	var o enrollmentOptions
	cmd := c.verb(verb{
		use: "create", short: "Create a token that lets devices in",
		long: `The token is shown once. What it says of kind, tags and groups is given to every
device that enrols with it: patchring-agent enroll https://SERVER:8443 TOKEN`,
		example: `  patchring enrollment create --kind server --tag department=finance --group it-pilots
  patchring enrollment create --uses 200 --life 168h`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.kind, "kind", "", "workstation (default), server or critical")
	flags.StringArrayVar(&o.tags, "tag", nil, "key=value; may be repeated")
	flags.StringSliceVar(&o.groups, "group", nil, "group; made when it does not exist; may be repeated")
	flags.Int64Var(&o.uses, "uses", 1, "how many devices may use it")
	flags.StringVar(&o.life, "life", "", "how long it lasts (default 24h)")
	return cmd
}

func (o enrollmentOptions) run(ctx context.Context, c *cli, api *client) error {
	in := body{"uses": o.uses}.set("kind", o.kind).set("life", o.life)
	if len(o.groups) > 0 {
		in["groups"] = o.groups
	}
	tags, err := tagsOf(o.tags)
	if err != nil {
		return err
	}
	if len(tags) > 0 {
		in["tags"] = tags
	}
	var made access.NewEnrollment
	if err := api.post(ctx, "/enrollments", in, &made); err != nil {
		return err
	}
	return c.emit(made, func() error {
		w := c.words()
		return c.say(made.Text, "", w.T("cli.enroll", "command", "patchring-agent enroll "+strings.TrimRight(api.base, "/")+" "+made.Text))
	})
}
