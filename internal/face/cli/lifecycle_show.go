package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/service/survey"
)

func (c *cli) lifecycleShow() *cobra.Command {
	var state string
	var limit int
	cmd := c.verb(verb{
		use: "show", short: "Say which devices are too old to be patched, and what to do",
		long: `The systems of the fleet with the last day of their support, and the devices to
upgrade or to replace. What no imported table knows is unknown, never supported.`,
		example: `  patchring lifecycle show
  patchring lifecycle show --state unknown`,
		run: func(ctx context.Context, api *client, _ []string) error {
			query := filters("state", state)
			var all survey.Lifecycle
			for {
				want := pageRows
				if limit > 0 {
					want = min(want, limit-len(all.Rows))
				}
				query.Set("limit", fmt.Sprint(want))
				var page survey.Lifecycle
				if err := api.get(ctx, "/lifecycle", query, &page); err != nil {
					return err
				}
				page.Rows = append(all.Rows, page.Rows...)
				all = page
				if all.Next == "" || limit > 0 && len(all.Rows) >= limit {
					break
				}
				query.Set("cursor", all.Next)
			}
			defer c.more(all.Next != "")
			return c.emit(all, func() error { return c.lifecycle(all) })
		},
	})
	cmd.Flags().StringVar(&state, "state", "", "ended, ends_soon, unknown or supported (default: all that need somebody)")
	limitFlag(cmd, &limit)
	return cmd
}

func (c *cli) lifecycle(l survey.Lifecycle) error {
	w := c.words()
	lines := []string{w.T("lifecycle.summary", "devices", w.Number(int64(l.Devices)), "upgrade", w.Number(int64(l.Upgrade)), "replace", w.Number(int64(l.Replace)))}
	if len(l.Tables) == 0 {
		lines = append(lines, w.T("lifecycle.no_table"), "    patchring lifecycle import -f debian.json --product debian")
	}
	if err := c.say(append(lines, "")...); err != nil {
		return err
	}
	var systems, devices [][]string
	for _, s := range l.Systems {
		systems = append(systems, []string{
			systemName(w, s.System), w.Word(lang.Lifecycle, string(s.State)), w.Day(s.Day), w.Number(int64(s.Devices)), w.Number(int64(s.Upgrade)), w.Number(int64(s.Replace)),
		})
	}
	if err := c.table([]string{"col.os", "col.state", "col.last_day", "col.devices", "col.upgrade", "col.replace"}, systems); err != nil {
		return err
	}
	for _, d := range l.Rows {
		why := d.Reason
		if d.Short != nil {
			why = d.Short
		}
		devices = append(devices, []string{d.Name, systemName(w, d.System), w.Word(lang.Lifecycle, string(d.State)), because(w, why), advice(w, d)})
	}
	if err := c.say(""); err != nil {
		return err
	}
	return c.table([]string{"col.device", "col.os", "col.state", "col.why", "col.advice"}, devices)
}

func systemName(w lang.Words, name string) string {
	if name == "" {
		return w.T("lifecycle.said_nothing")
	}
	return name
}

func advice(w lang.Words, d survey.Aged) string {
	text := w.Word(lang.Advice, string(d.Advice))
	if d.To != "" {
		text += " " + w.T("lifecycle.to", "to", d.To)
	}
	return text
}
