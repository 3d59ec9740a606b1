package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"patchring/internal/core/fleet"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) probeList() *cobra.Command {
	var group, device string
	var down bool
	cmd := c.verb(verb{
		use: "list", short: "List probes, and on how many devices each is up or down",
		long: `Probes are defined in the policy. With --device, what each of its probes last
found.`,
		run: func(ctx context.Context, api *client, _ []string) error {
			if device != "" && group != "" {
				return usage{errors.New("--group and --device exclude each other: leave one out")}
			}
			if device != "" {
				return c.probesOfDevice(ctx, api, device, down)
			}
			query := filters("group", group)
			if down {
				query.Set("down", "true")
			}
			var list struct {
				Rows []view.ProbeSum `json:"rows"`
			}
			if err := api.get(ctx, "/probes", query, &list); err != nil {
				return err
			}
			return c.emit(list.Rows, func() error { return c.probeSums(list.Rows) })
		},
	})
	cmd.Flags().StringVar(&group, "group", "", "counted over the devices of this group")
	cmd.Flags().StringVar(&device, "device", "", "the probes of this device")
	cmd.Flags().BoolVar(&down, "down", false, "only those that are down")
	return cmd
}

func (c *cli) probeSums(list []view.ProbeSum) error {
	w, out := c.words(), [][]string{}
	for _, s := range list {
		out = append(out, []string{s.Name, w.Number(s.Devices), w.Number(s.Up), w.Number(s.Down), w.Number(s.Unknown), w.Number(s.TooOld), w.Number(s.Vetoed)})
	}
	return c.table([]string{"col.probe", "col.devices", "probe_state.up", "probe_state.down", "probe_state.unknown", "probe_state.too_old", "probe_state.vetoed"}, out)
}

func (c *cli) probesOfDevice(ctx context.Context, api *client, device string, down bool) error {
	var all struct {
		Rows []view.ProbeRow `json:"rows"`
	}
	if err := api.get(ctx, path("devices", device, "probes"), nil, &all); err != nil {
		return err
	}
	list := []view.ProbeRow{}
	for _, p := range all.Rows {
		if !down || p.State == fleet.ProbeDown {
			list = append(list, p)
		}
	}
	return c.emit(list, func() error { return c.probeTable(list) })
}

func (c *cli) probeTable(list []view.ProbeRow) error {
	w, out := c.words(), [][]string{}
	for _, p := range list {
		out = append(out, []string{p.Device.Name, p.Name, w.Word(lang.ProbeState, string(p.State)), when(w, p.Since), because(w, p.Cause)})
	}
	return c.table([]string{"col.device", "col.probe", "col.state", "col.since", "col.why"}, out)
}
