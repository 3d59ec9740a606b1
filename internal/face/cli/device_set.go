package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/face/lang"
	"patchring/internal/service/roster"
)

type deviceSetOptions struct {
	name, kind, reason string
	tags, untag        []string
}

func (c *cli) deviceSet() *cobra.Command {
	var o deviceSetOptions
	cmd := c.verb(verb{
		use: "set DEVICE", short: "Change a device's name, kind or tags", args: 1,
		long: `What is not given stays as it was. Rings of campaigns that are not sealed yet
follow the change; in a sealed campaign the device keeps its ring, and the
answer says so: "campaign expedite --device" moves it there.`,
		example: `  patchring device set FIN-PC-01 --tag department=sales --tag site=lyon
  patchring device set FIN-PC-01 --kind critical --untag owner --reason "now runs the till"`,
		run: func(ctx context.Context, api *client, args []string) error { return o.run(ctx, c, api, args[0]) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", "", "the name it is shown by")
	flags.StringVar(&o.kind, "kind", "", "workstation, server or critical")
	flags.StringArrayVar(&o.tags, "tag", nil, "key=value, in place of the same key's; may be repeated")
	flags.StringSliceVar(&o.untag, "untag", nil, "key of a tag to take away; may be repeated")
	flags.StringVar(&o.reason, "reason", "", "why, for the register")
	return cmd
}

func (o deviceSetOptions) run(ctx context.Context, c *cli, api *client, device string) error {
	in := body{}.set("name", o.name).set("kind", o.kind).set("reason", o.reason)
	tags, err := tagsOf(o.tags)
	if err != nil {
		return err
	}
	if len(tags) > 0 {
		in["tags"] = tags
	}
	if len(o.untag) > 0 {
		in["untag"] = o.untag
	}
	var out roster.Changed
	if err := api.post(ctx, path("devices", device, "describe"), in, &out); err != nil {
		return err
	}
	return c.emit(out, func() error { return c.sayChanged(out) })
}

func (c *cli) sayChanged(out roster.Changed) error {
	w := c.words()
	err := c.fields("col.device", out.After.Name, "col.kind", w.Word(lang.Kind, string(out.After.Kind)), "col.tags", tagText(out.After.Tags))
	if err != nil {
		return err
	}
	for _, p := range out.Places {
		if err := c.say(w.T(placeID(p), "campaign", p.Name, "from", p.From, "to", p.To)); err != nil {
			return err
		}
	}
	return nil
}

// placeID is the sentence of what became of the device in a campaign.
func placeID(p campaign.Place) string {
	switch {
	case p.Follows && p.From == "":
		return "place.follows_in"
	case p.Follows && p.To == "":
		return "place.follows_out"
	case p.Follows:
		return "place.follows"
	case p.From == "":
		return "place.stays_in"
	case p.To == "":
		return "place.stays_out"
	}
	return "place.stays"
}

// tagsOf reads --tag key=value.
func tagsOf(list []string) (fleet.Tags, error) {
	tags := fleet.Tags{}
	for _, t := range list {
		key, value, err := fleet.ParseTag(t)
		if err != nil {
			return nil, usage{err}
		}
		tags[key] = value
	}
	return tags, nil
}
