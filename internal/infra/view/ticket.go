package view

import (
	"context"
	"database/sql"
	"time"

	"patchring/internal/core/fleet"
)

// TicketQuery chooses tickets, the latest first.
type TicketQuery struct {
	Paging
	Which string // all (default), waiting: something is still to be told; dead: given up
}

// TicketRow is an incident in somebody else's tool.
type TicketRow struct {
	ID        string      `json:"id"`
	Incident  IncidentRef `json:"incident"`
	Connector string      `json:"connector"`
	Key       string      `json:"key,omitempty"` // as people there call it; empty: not made yet
	URL       string      `json:"url,omitempty"`
	Status    string      `json:"status,omitempty"` // as they call it
	Done      bool        `json:"done"`             // solved or closed there
	Created   time.Time   `json:"created"`
	Checked   time.Time   `json:"checked,omitzero"`
	Waiting   int64       `json:"waiting"` // what is still to be told
	Tries     int64       `json:"tries,omitempty"`
	Next      time.Time   `json:"next,omitzero"` // try
	Error     string      `json:"error,omitempty"`
	Dead      bool        `json:"dead"` // given up; "ticket retry" tries again
}

// IncidentRef names an incident.
type IncidentRef struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// TicketPage is a page of tickets.
type TicketPage = Page[TicketRow]

// TicketFilters are the values of TicketQuery.Which.
func TicketFilters() []string { return []string{"all", "waiting", "dead"} }

const ticketHead = `SELECT t.id, t.incident, coalesce(i.title, ''), t.connector, t.external_key, t.url, t.status, t.done, t.created_us, t.checked_us,
  (SELECT count(*) FROM ticket_outbox n WHERE n.tenant = t.tenant AND n.ticket = t.id), coalesce(o.tries, 0), coalesce(o.next_us, 0), coalesce(o.error, ''), coalesce(o.dead_us, 0)
FROM ticket t
LEFT JOIN incident i ON i.tenant = t.tenant AND i.id = t.incident
LEFT JOIN ticket_outbox o ON o.tenant = t.tenant AND o.ticket = t.id AND o.id = (SELECT min(e.id) FROM ticket_outbox e WHERE e.tenant = t.tenant AND e.ticket = t.id)`

func scanTicket(rows *sql.Rows) (TicketRow, error) {
	var t TicketRow
	var done, createdUS, checkedUS, nextUS, deadUS int64
	err := rows.Scan(&t.ID, &t.Incident.ID, &t.Incident.Title, &t.Connector, &t.Key, &t.URL, &t.Status, &done, &createdUS, &checkedUS,
		&t.Waiting, &t.Tries, &nextUS, &t.Error, &deadUS)
	t.Done, t.Dead, t.Created, t.Checked = done == 1, deadUS > 0, instant(createdUS), instant(checkedUS)
	if !t.Dead {
		t.Next = instant(nextUS)
	}
	return t, err
}

// Tickets lists tickets.
func (r *Reader) Tickets(ctx context.Context, tenant fleet.TenantID, q TicketQuery) (TicketPage, error) {
	which, err := oneOf("which", q.Which, TicketFilters())
	if err != nil {
		return TicketPage{}, err
	}
	after, err := q.cursorFor(which)
	if err != nil {
		return TicketPage{}, err
	}
	var b builder
	b.and("t.tenant = ?", tenant)
	switch which {
	case "waiting":
		b.and("EXISTS (SELECT 1 FROM ticket_outbox w WHERE w.tenant = t.tenant AND w.ticket = t.id)")
	case "dead":
		b.and("EXISTS (SELECT 1 FROM ticket_outbox w WHERE w.tenant = t.tenant AND w.ticket = t.id AND w.dead_us > 0)")
	}
	if after != nil {
		b.and("(t.created_us, t.id) < (?, ?)", after.N, after.ID)
	}
	rows, err := all(ctx, r, b.list("tickets", ticketHead, "t.created_us DESC, t.id DESC", q.limit()), scanTicket)
	if err != nil {
		return TicketPage{}, err
	}
	return pageOf(rows, q.limit(), func(t TicketRow) cursor { return cursor{Sort: which, N: t.Created.UnixMicro(), ID: t.ID} }), nil
}

func (r *Reader) ticketsOf(ctx context.Context, tenant fleet.TenantID, incident string) ([]TicketRow, error) {
	return all(ctx, r, ask("tickets of an incident", ticketHead+" WHERE t.tenant = $1 AND t.incident = $2 ORDER BY t.connector", tenant, incident), scanTicket)
}
