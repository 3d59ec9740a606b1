package cli

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/service/rulebook"
)

func (c *cli) freezeList() *cobra.Command {
	var past bool
	cmd := c.verb(verb{
		use: "list", short: "List the freezes that are on or to come, of policies and by hand",
		run: func(ctx context.Context, api *client, _ []string) error {
			query := url.Values{}
			if past {
				query.Set("past", "true")
			}
			var list []rulebook.FreezeLine
			if err := api.get(ctx, "/freezes", query, &list); err != nil {
				return err
			}
			return c.emit(list, func() error { return c.freezes(list) })
		},
	})
	cmd.Flags().BoolVar(&past, "past", false, "those that are over, of the last year, the latest first")
	return cmd
}

func (c *cli) freezes(list []rulebook.FreezeLine) error {
	w := c.words()
	out := make([][]string, 0, len(list))
	for _, f := range list {
		devices := f.Devices
		if devices == "" {
			devices = w.T("policy.every_device")
		}
		by := w.Word(lang.FreezeOrigin, string(f.Origin))
		if f.By != "" {
			by += " · " + w.Actor(f.By)
		}
		why := f.Reason.In(string(w.Lang()))
		if f.EndedWhy != "" {
			why += " · " + w.T("freeze.ended_by", "who", w.Actor(f.EndedBy), "why", f.EndedWhy)
		}
		out = append(out, []string{f.Name, w.Word(lang.FreezeState, string(f.State)), when(w, f.From), when(w, f.Until), devices, by, why})
	}
	return c.table([]string{"col.freeze", "col.state", "col.from", "col.until", "col.devices", "col.origin", "col.why"}, out)
}
