package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

func (c *cli) ticketList() *cobra.Command {
	var which string
	var limit int
	cmd := c.verb(verb{
		use: "list", short: "List tickets and what is still to be told, the latest first",
		example: "  patchring ticket list --which dead",
		run: func(ctx context.Context, api *client, _ []string) error {
			if !slices.Contains(view.TicketFilters(), which) {
				return usage{fmt.Errorf("--which %q: write %s", which, strings.Join(view.TicketFilters(), ", "))}
			}
			list, more, err := rows[view.TicketRow](ctx, api, "/tickets", filters("which", which), limit)
			if err != nil {
				return err
			}
			defer c.more(more)
			return c.emit(list, func() error { return c.ticketTable(list) })
		},
	})
	cmd.Flags().StringVar(&which, "which", "all", "all, waiting or dead: given up")
	limitFlag(cmd, &limit)
	return cmd
}

func (c *cli) ticketTable(list []view.TicketRow) error {
	w := c.words()
	out := make([][]string, 0, len(list))
	for _, t := range list {
		state := t.Status
		if t.Dead {
			state = w.T("ticket.dead")
		}
		out = append(out, []string{t.ID, t.Connector, orElse(t.Key, w.T("ticket.not_yet")), state, t.Incident.Title, strconv.FormatInt(t.Waiting, 10), when(w, t.Next), t.Error, t.URL})
	}
	return c.table([]string{"col.id", "col.connector", "col.ticket", "col.state", "col.incident", "col.waiting", "col.next", "col.error", "ticket.url"}, out)
}
