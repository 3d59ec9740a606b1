package cli

import (
	"context"

	"github.com/spf13/cobra"

	"patchring/internal/face/api"
	"patchring/internal/infra/view"
)

func (c *cli) probeShow() *cobra.Command {
	var group string
	var down bool
	var limit int
	cmd := c.verb(verb{
		use: "show NAME", short: "Show what a probe looks at, and what it found on each device", args: 1,
		run: func(ctx context.Context, client *client, args []string) error {
			var out struct {
				api.ProbeDetail
				Rows []view.ProbeRow `json:"rows"`
			}
			if err := client.get(ctx, path("probes", args[0]), nil, &out.ProbeDetail); err != nil {
				return err
			}
			state := ""
			if down {
				state = "down"
			}
			var more bool
			var err error
			out.Rows, more, err = rows[view.ProbeRow](ctx, client, path("probes", args[0], "devices"), filters("group", group, "state", state), limit)
			if err != nil {
				return err
			}
			defer c.more(more)
			return c.emit(out, func() error {
				if err := c.sayProbe(out.ProbeDetail); err != nil {
					return err
				}
				return c.probeTable(out.Rows)
			})
		},
	})
	cmd.Flags().StringVar(&group, "group", "", "only devices of this group")
	cmd.Flags().BoolVar(&down, "down", false, "only devices on which it is down")
	limitFlag(cmd, &limit)
	return cmd
}

func (c *cli) sayProbe(p api.ProbeDetail) error {
	w := c.words()
	for _, d := range p.Defined {
		devices := d.Devices
		if devices == "" {
			devices = w.T("probe.every_device")
		}
		if err := c.say(w.Probe(d.Probe) + " (" + devices + ")"); err != nil {
			return err
		}
	}
	return c.probeSums([]view.ProbeSum{p.Sum})
}
