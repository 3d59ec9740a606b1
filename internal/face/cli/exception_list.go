package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

type exceptionListOptions struct {
	expiring, ended bool
	limit           int
}

func (c *cli) exceptionList() *cobra.Command {
	var o exceptionListOptions
	cmd := c.verb(verb{
		use: "list", short: "List exceptions in force, those that end first, first",
		run: func(ctx context.Context, api *client, _ []string) error { return o.run(ctx, c, api) },
	})
	cmd.Flags().BoolVar(&o.expiring, "expiring", false, "only those whose end is near enough to be announced")
	cmd.Flags().BoolVar(&o.ended, "ended", false, "those that are over, the latest first")
	limitFlag(cmd, &o.limit)
	return cmd
}

func (o exceptionListOptions) run(ctx context.Context, c *cli, api *client) error {
	which := ""
	switch {
	case o.expiring && o.ended:
		return usage{errors.New("--expiring and --ended exclude each other")}
	case o.expiring:
		which = "expiring"
	case o.ended:
		which = "ended"
	}
	list, more, err := rows[view.ExceptionRow](ctx, api, "/exceptions", filters("which", which), o.limit)
	if err != nil {
		return err
	}
	defer c.more(more)
	return c.emit(list, func() error {
		w := c.words()
		out := make([][]string, 0, len(list))
		for _, e := range list {
			out = append(out, []string{e.ID, exceptionSubject(w, e), w.Word(lang.ExceptionState, e.State), when(w, e.Until), e.Owner, e.Reason, e.Control})
		}
		return c.table([]string{"col.id", "col.about", "col.state", "col.until", "col.owner", "col.why", "col.control"}, out)
	})
}

// exceptionSubject is what an exception leaves out.
func exceptionSubject(w lang.Words, e view.ExceptionRow) string {
	var out []string
	switch {
	case e.Patch != nil:
		out = append(out, strings.TrimSpace(e.Patch.Name+" "+e.Patch.Version))
	case e.Name != "":
		out = append(out, w.T("exception.every_version", "name", e.Name))
	}
	switch {
	case e.Device != nil:
		out = append(out, e.Device.Name)
	case e.Group != "":
		out = append(out, w.T("exception.group", "name", e.Group))
	}
	return strings.Join(out, " · ")
}
