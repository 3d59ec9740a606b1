package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/service/rulebook"
)

type windowOptions struct{ device, group, from, to string }

func (c *cli) windowList() *cobra.Command {
	var o windowOptions
	cmd := c.verb(verb{
		use: "list", short: "Say when devices may install and restart, as campaigns decide it",
		long: `Rules, zones, public holidays and freezes are worked out; each stretch names the
windows it comes from, and each lot of devices the profile, procedure or campaign
that has them. Devices of the same hours are told together; without a window a device
is closed, never open.`,
		example: `  patchring window list --device FIN-PC-01
  patchring window list --group servers --from 2026-12-20 --to 2027-01-05`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.device, "device", "", "only this device: name or id")
	flags.StringVar(&o.group, "group", "", "the devices of a group")
	flags.StringVar(&o.from, "from", "", "from when on: a date 2026-12-31, 2026-12-31T18:00, or an instant (default: now)")
	flags.StringVar(&o.to, "to", "", "up to when; a date means the end of that day (default: two weeks later)")
	return cmd
}

func (o windowOptions) run(ctx context.Context, c *cli, api *client) error {
	var list rulebook.WindowList
	if err := api.get(ctx, "/windows", filters("device", o.device, "group", o.group, "from", o.from, "to", o.to), &list); err != nil {
		return err
	}
	return c.emit(list, func() error { return c.windowLots(list) })
}

func (c *cli) windowLots(list rulebook.WindowList) error {
	w := c.words()
	if err := c.say(w.N("window.between", int64(list.Devices), "from", w.Brief(list.From), "to", w.Brief(list.To))); err != nil {
		return err
	}
	for _, lot := range list.Alike {
		title := w.T("window.of", "what", w.Word(lang.HoursOf, string(lot.Of)), "name", lot.Name)
		if lot.Of == rulebook.OfNothing {
			title = w.Word(lang.HoursOf, string(lot.Of))
		}
		if err := c.say("", title+" — "+w.N("today.devices", int64(lot.Devices))+w.T("policy.colon")+" "+strings.Join(lot.Examples, ", ")); err != nil {
			return err
		}
		for _, f := range lot.Freezes {
			if err := c.say("  " + w.T("window.frozen", "name", f.Name, "from", w.Brief(f.From), "until", w.Brief(f.Until), "origin", w.Word(lang.FreezeOrigin, string(f.Origin)))); err != nil {
				return err
			}
		}
		if len(lot.Open) == 0 {
			if err := c.say("  " + w.T("window.closed")); err != nil {
				return err
			}
			continue
		}
		var out [][]string
		for _, s := range lot.Open {
			out = append(out, []string{w.Brief(s.Start), w.Brief(s.End), strings.Join(s.Windows, ", ")})
		}
		if err := c.table([]string{"col.from", "col.until", "col.window"}, out); err != nil {
			return err
		}
	}
	return nil
}
