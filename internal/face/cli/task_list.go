package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

type taskListOptions struct {
	overdue, closed, mine bool
	device, campaign      string
	limit                 int
}

func (c *cli) taskList() *cobra.Command {
	var o taskListOptions
	cmd := c.verb(verb{
		use: "list", short: "List open manual tasks, those due first, first",
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	flags := cmd.Flags()
	flags.BoolVar(&o.overdue, "overdue", false, "only those that should be done")
	flags.BoolVar(&o.closed, "closed", false, "those that are done, the latest first")
	flags.BoolVar(&o.mine, "mine", false, "only those whose turn it is for you or your roles")
	flags.StringVar(&o.device, "device", "", "a device, by its id or its name")
	flags.StringVar(&o.campaign, "campaign", "", "the campaign it is part of")
	limitFlag(cmd, &o.limit)
	return cmd
}

func (o taskListOptions) run(ctx context.Context, c *cli, api *client) error {
	which, mine := "", ""
	switch {
	case o.overdue && o.closed:
		return usage{errors.New("--overdue and --closed exclude each other")}
	case o.overdue:
		which = "overdue"
	case o.closed:
		which = "closed"
	}
	if o.mine {
		mine = "true"
	}
	list, more, err := rows[view.TaskRow](ctx, api, "/tasks", filters("which", which, "mine", mine, "device", o.device, "campaign", o.campaign), o.limit)
	if err != nil {
		return err
	}
	defer c.more(more)
	return c.emit(list, func() error {
		w := c.words()
		out := make([][]string, 0, len(list))
		for _, t := range list {
			where, in := "", ""
			if t.Device != nil {
				where = t.Device.Name
			}
			if t.Campaign != nil {
				in = t.Campaign.Name
			}
			out = append(out, []string{t.ID, t.Title, w.Word(lang.TaskState, string(t.State)), when(w, t.Due), w.Role(orElse(t.Whom, t.Owner)), where, in, t.Ring})
		}
		return c.table([]string{"col.id", "col.title", "col.state", "col.due", "col.whom", "col.device", "col.campaign", "col.ring"}, out)
	})
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
