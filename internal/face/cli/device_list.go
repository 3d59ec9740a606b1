package cli

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

type deviceListOptions struct {
	filter, kind, group, tag, patch, text, sort string
	limit                                       int
}

func (c *cli) deviceList() *cobra.Command {
	var o deviceListOptions
	cmd := c.verb(verb{
		use: "list", short: "List devices",
		example: `  patchring device list --filter unreachable
  patchring device list --patch openssl --group it-pilots`,
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.StringVar(&o.filter, "filter", "", strings.Join(view.DeviceFilters(), ", "))
	flags.StringVar(&o.kind, "kind", "", "workstation, server or critical")
	flags.StringVar(&o.group, "group", "", "in this group")
	flags.StringVar(&o.tag, "tag", "", "with this tag: key=value")
	flags.StringVar(&o.patch, "patch", "", "that miss this patch: name, name and version, or id")
	flags.StringVar(&o.text, "text", "", "with this in the name")
	flags.StringVar(&o.sort, "sort", "", strings.Join(view.DeviceSorts(), ", "))
	limitFlag(cmd, &o.limit)
	return cmd
}

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", 100, "rows at most; 0 is all")
}

// filters are the parameters that have a value.
func filters(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func (o deviceListOptions) run(ctx context.Context, c *cli, api *client) error {
	query := filters("filter", o.filter, "kind", o.kind, "group", o.group, "tag", o.tag, "patch", o.patch, "text", o.text, "sort", o.sort)
	devices, more, err := rows[view.DeviceRow](ctx, api, "/devices", query, o.limit)
	if err != nil {
		return err
	}
	defer c.more(more)
	return c.emit(devices, func() error {
		w := c.words()
		out := make([][]string, 0, len(devices))
		for _, d := range devices {
			state := w.Word(lang.DeviceState, string(d.State))
			out = append(out, []string{
				d.Name, w.Word(lang.Kind, string(d.Kind)), state, w.Number(d.Missing), w.Number(d.MissingSecurity), w.Number(d.Failing),
				w.Ago(d.Seen, c.Clock()), d.OSName, strings.Join(d.Groups, ", "), tagText(d.Tags),
			})
		}
		return c.table([]string{"col.device", "col.kind", "col.state", "col.missing", "col.security", "col.failing", "col.seen", "col.os", "col.groups", "col.tags"}, out)
	})
}
