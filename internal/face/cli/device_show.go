package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) deviceShow() *cobra.Command {
	return c.verb(verb{
		use: "show DEVICE", short: "Show a device: facts, missing patches, campaigns, holds", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			var d view.DeviceDetail
			if err := api.get(ctx, path("devices", args[0]), nil, &d); err != nil {
				return err
			}
			return c.emit(d, func() error { return c.showDevice(d) })
		},
	})
}

func (c *cli) showDevice(d view.DeviceDetail) error {
	w := c.words()
	state := w.Word(lang.DeviceState, string(d.State))
	if d.Reason != nil {
		state += ": " + w.Reason(*d.Reason)
	}
	order := ""
	if d.Order != nil {
		order = w.Word(lang.Goal, string(d.Order.Kind)) + ", " + w.Word(lang.Step, string(d.Order.Step))
	}
	hardware := ""
	if d.Facts != nil {
		hardware = strings.TrimSpace(d.Facts.Hardware.Vendor + " " + d.Facts.Hardware.Model)
	}
	err := c.fields("col.device", d.Name, "col.id", string(d.ID), "col.state", state, "col.kind", w.Word(lang.Kind, string(d.Kind)), "col.os", d.OSName,
		"fact.model", hardware, "fact.agent", d.AgentVersion, "fact.groups", strings.Join(d.Groups, ", "), "col.tags", tagText(d.Tags),
		"col.seen", when(w, d.Seen), "device.scanned", when(w, d.Scanned), "fact.lists", when(w, d.Lists), "fact.booted", when(w, d.Booted), "thing.order", order)
	if err != nil {
		return err
	}
	for _, h := range d.Holds {
		if err := c.say(w.Actor(h.Actor) + ": " + w.Given(h.Reason)); err != nil {
			return err
		}
	}
	if len(d.Patches) == 0 {
		return nil
	}
	out := make([][]string, 0, len(d.Patches))
	for _, m := range d.Patches {
		in := ""
		if m.Campaign != nil {
			in = m.Campaign.Name
		}
		out = append(out, []string{m.Patch.Name, m.Patch.Version, w.Word(lang.Class, string(m.Class)), in, w.Word(lang.PatchState, string(m.State)), because(w, m.Reason), when(w, m.Next)})
	}
	if err := c.say(""); err != nil {
		return err
	}
	return c.table([]string{"col.patch", "col.version", "col.class", "col.campaign", "col.state", "col.why", "col.next"}, out)
}
