package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) cleanUpList() *cobra.Command {
	return c.verb(verb{
		use: "list", short: "List what each item of clean-up counted and freed",
		run: func(ctx context.Context, api *client, _ []string) error {
			list, err := cleanUps(ctx, api)
			if err != nil {
				return err
			}
			return c.emit(list, func() error {
				w := c.words()
				out := make([][]string, 0, len(list))
				for _, s := range list {
					out = append(out, []string{
						s.Item, cleanUpState(w, s), w.Number(s.Devices), w.Number(s.Counted), w.Bytes(s.CountedBytes), cleanUpFreed(w, s.FreedBytes, s.AtLeast), w.Number(s.Stopped),
					})
				}
				return c.table([]string{"col.item", "col.state", "col.devices", "col.counted", "col.would_free", "col.freed", "col.stopped"}, out)
			})
		},
	})
}

func cleanUps(ctx context.Context, client *client) ([]view.CleanUpSum, error) {
	var list struct {
		Rows []view.CleanUpSum `json:"rows"`
	}
	err := client.get(ctx, "/clean-ups", nil, &list)
	return list.Rows, err
}

// cleanUpState is where an item stands over the fleet.
func cleanUpState(w lang.Words, s view.CleanUpSum) string {
	switch {
	case s.Fingerprint == "":
		return w.Word(lang.CleanUpState, "withdrawn")
	case s.Approved:
		return w.T("clean_up.approved_by", "by", w.Actor(s.ApprovedBy))
	case s.Awaiting > 0:
		return w.N("clean_up.awaiting", s.Awaiting)
	case s.Singly > 0:
		return w.N("clean_up.singly", s.Singly)
	case s.Let > 0:
		return w.T("clean_up.by_policy")
	}
	return w.Word(lang.CleanUpState, "awaiting_dry_run")
}

func cleanUpFreed(w lang.Words, n int64, atLeast bool) string {
	if atLeast {
		return w.T("clean_up.at_least", "size", w.Bytes(n))
	}
	return w.Bytes(n)
}

func (c *cli) cleanUpShow() *cobra.Command {
	var device, state string
	var limit int
	cmd := c.verb(verb{
		use: "show [ITEM]", short: "Show where clean-ups stand on each device", optional: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			item := strings.Join(args, "")
			list, more, err := rows[view.CleanUpRow](ctx, api, "/clean-ups/devices", filters("item", item, "device", device, "state", state), limit)
			if err != nil {
				return err
			}
			defer c.more(more)
			return c.emit(list, func() error { return c.cleanUpTable(list) })
		},
	})
	cmd.Flags().StringVar(&device, "device", "", "only on this device")
	cmd.Flags().StringVar(&state, "state", "", "awaiting_dry_run, awaiting_approval, approved, ordered, resting or withdrawn")
	limitFlag(cmd, &limit)
	return cmd
}

func (c *cli) cleanUpTable(list []view.CleanUpRow) error {
	w := c.words()
	out := make([][]string, 0, len(list))
	for _, r := range list {
		why := ""
		switch {
		case r.Cause != nil:
			why = w.Reason(*r.Cause)
		case r.Reason != nil:
			why = w.Reason(*r.Reason)
		}
		var places []string
		for _, p := range r.Places {
			places = append(places, p.Path+" "+w.Bytes(p.Bytes))
		}
		out = append(out, []string{
			r.Device.Name, r.Item, w.Word(lang.CleanUpState, string(r.State)), w.Bytes(r.CountedBytes), cleanUpFreed(w, r.FreedBytes, r.AtLeast), when(w, r.Next), why, strings.Join(places, ", "),
		})
	}
	return c.table([]string{"col.device", "col.item", "col.state", "col.would_free", "col.freed", "col.next", "col.why", "col.places"}, out)
}
