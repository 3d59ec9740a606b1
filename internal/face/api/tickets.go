package api

import (
	"context"
	"net/http"

	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/ticket"
)

// TicketList are the parameters of the list of tickets.
type TicketList struct {
	Paged
	Which string `query:"which" enum:"all,waiting,dead" doc:"all when not given; waiting: something is still to be told; dead: given up"`
}

// OneTicket names a ticket.
type OneTicket struct {
	Ticket string `path:"ticket" maxLength:"100"`
}

// TestTickets says which tool is spoken to.
type TestTickets struct {
	Connector string `json:"connector,omitempty" maxLength:"63" doc:"every one of the tenant when not given"`
}

// TestedList is what tools answered.
type TestedList struct {
	Rows []ticket.Tried `json:"rows"`
}

func (a *API) registerTickets() {
	const tag = "tickets"
	handle(a, operation{method: http.MethodGet, path: "/tickets", id: "list-tickets", summary: "Tickets: incidents in GLPI, Jira or another tool", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *TicketList) (view.TicketPage, error) {
			return a.View.Tickets(ctx, p.Tenant, view.TicketQuery{Paging: in.paging(), Which: in.Which})
		})
	do(a, operation{method: http.MethodPost, path: "/tickets/{ticket}/retry", id: "retry-ticket", summary: "Try again what was given up, or waits", tag: tag, act: access.Incidents},
		func(ctx context.Context, p access.Principal, in *OneTicket) error {
			return a.Tickets.Retry(ctx, p.Tenant, in.Ticket)
		})
	handle(a, operation{method: http.MethodPost, path: "/tickets/test", id: "test-tickets", summary: "Speak to the tools, and change nothing there", tag: tag, act: access.Incidents},
		func(ctx context.Context, p access.Principal, in *asked[TestTickets]) (TestedList, error) {
			rows, err := a.Tickets.Test(ctx, p.Tenant, in.Body.Connector)
			return TestedList{rows}, err
		})
}
