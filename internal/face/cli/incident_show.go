package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

func (c *cli) incidentShow() *cobra.Command {
	return c.verb(verb{
		use: "show ID", short: "Show an incident with all that was said and done", args: 1,
		run: func(ctx context.Context, api *client, args []string) error {
			var i view.IncidentDetail
			if err := api.get(ctx, path("incidents", args[0]), nil, &i); err != nil {
				return err
			}
			return c.emit(i, func() error { return c.showIncident(i) })
		},
	})
}

func (c *cli) showIncident(i view.IncidentDetail) error {
	w := c.words()
	in, about := "", ""
	if i.Campaign != nil {
		in = strings.TrimSpace(i.Campaign.Name + " " + i.Ring)
	}
	if i.Patch != nil {
		about = strings.TrimSpace(i.Patch.Name + " " + i.Patch.Version)
	}
	var on []string
	for _, d := range i.On {
		on = append(on, d.Name)
	}
	err := c.fields("col.incident", i.Title, "col.id", i.ID, "col.severity", w.Word(lang.Severity, string(i.Severity)), "col.state", w.Word(lang.IncidentState, string(i.State)),
		"incident.what", i.What, "col.campaign", in, "col.patch", about, "col.devices", strings.Join(on, ", "), "col.whom", w.Role(i.Owner),
		"incident.origin", w.Word(lang.IncidentOrigin, string(i.Origin)), "incident.response", w.Word(lang.Response, string(i.Response)),
		"col.opened", when(w, i.Opened), "col.by", w.Actor(i.OpenedBy), "incident.cause", i.Cause, "incident.correction", i.Correction,
		"incident.corrected", when(w, i.Corrected), "col.closed", when(w, i.Closed))
	if err != nil {
		return err
	}
	for _, t := range i.Tickets {
		if err := c.say(ticketLine(w, t)); err != nil {
			return err
		}
	}
	for _, n := range i.Notes {
		line := w.Brief(n.At) + " " + w.Actor(n.Actor) + ": " + w.Word(lang.IncidentAct, string(n.Act))
		if n.Text != "" {
			line += ": " + n.Text
		}
		if err := c.say(line); err != nil {
			return err
		}
	}
	return nil
}

func ticketLine(w lang.Words, t view.TicketRow) string {
	line := t.Connector + ": " + orElse(t.Key, w.T("ticket.not_yet"))
	for _, part := range []string{t.Status, t.URL, t.Error} {
		if part != "" {
			line += " · " + part
		}
	}
	if t.Dead {
		line += " · " + w.T("ticket.dead")
	}
	return line
}
