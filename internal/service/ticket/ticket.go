// Package ticket carries incidents into the tools that an organisation already
// has: GLPI, Jira, or anything that takes a webhook. What happens to an
// incident is written into an outbox in the incident's own transaction; the
// loop tells the tool, in that order, until it has taken it, and asks for the
// ticket's status from time to time or when the tool's signed message says so.
//
// It refuses to decide anything about an incident: a ticket that is closed over
// there closes nothing here. Secrets are references; errors that are shown never
// hold one.
//
// Run belongs to one goroutine; every other method is safe from any.
package ticket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/incident"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a clerk.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Connectors as Check has passed them.
	Connectors []Config
	// Say words what is written into a ticket, in its language.
	Say func(language string, i gen.Incident, act incident.Act, text string) (title, body string)
	// Link is the address of the incident's page.
	Link func(incident string) string
	// Timeout bounds one task of the loop; tests shorten it.
	Timeout time.Duration
}

// Clerk of all tenants' tickets.
type Clerk struct {
	Options
	tools map[string]tool // by the connector's name
	wake  chan struct{}
}

type tool struct {
	Config
	connector
}

// New makes a clerk; Run starts it.
func New(o Options) (*Clerk, error) {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	c := &Clerk{Options: o, tools: map[string]tool{}, wake: make(chan struct{}, 1)}
	for _, config := range o.Connectors {
		w, err := newWire(config, o.Clock)
		if err != nil {
			return nil, err
		}
		t := tool{Config: config}
		switch config.Kind {
		case GLPI:
			t.connector = &glpi{w, config}
		case Jira:
			t.connector = &jira{w, config}
		case Webhook:
			h := &webhook{wire: w, Config: config}
			if config.Body != "" {
				if h.body, err = bodyTemplate(config.Body); err != nil {
					return nil, fmt.Errorf("body of %s: %w", config.Name, err)
				}
			}
			t.connector = h
		}
		c.tools[config.Name] = t
	}
	return c, nil
}

// Wake makes Run look now. It never blocks.
func (c *Clerk) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

var actor = register.System("tickets")

// Acts of the outbox.
const (
	actCreate = "create"
	actNote   = "note"
	actClose  = "close"
	actReopen = "reopen"
)

// outbox is the act that a tool is told of one on an incident.
var outbox = map[incident.Act]string{
	incident.Note: actNote, incident.Join: actNote, incident.Correct: actNote, incident.Close: actClose, incident.Reopen: actReopen,
}

// Tell writes down what the tools of the tenant are to be told, in the
// incident's own transaction: either both are there after a crash, or neither.
// An empty act is the opening.
func (c *Clerk) Tell(ctx context.Context, tx *store.Tx, i gen.Incident, act incident.Act, text string) error {
	for _, t := range c.Connectors {
		if string(t.Tenant) != i.Tenant {
			continue
		}
		made, err := c.ensure(ctx, tx, t, i)
		if err != nil || made || act == "" {
			if err != nil {
				return err
			}
			continue // what is created says all
		}
		if err := c.tellOn(ctx, tx, t, i, act, text); err != nil {
			return err
		}
	}
	return nil
}

// ensure makes the ticket of an incident that is grave enough and has none.
func (c *Clerk) ensure(ctx context.Context, tx *store.Tx, t Config, i gen.Incident) (bool, error) {
	if !procedure.Severity(i.Severity).AtLeast(t.From) || i.State == string(incident.Closed) {
		return false, nil
	}
	id, err := newID()
	if err != nil {
		return false, err
	}
	now := c.Clock().UnixMicro()
	n, err := tx.AddTicket(ctx, gen.AddTicketParams{Tenant: i.Tenant, ID: id, Incident: i.ID, Connector: t.Name, CreatedUs: now})
	if err != nil {
		return false, fmt.Errorf("keep the ticket of %s: %w", t.Name, err)
	}
	if n == 0 {
		return false, nil
	}
	return true, c.put(ctx, tx, gen.Ticket{Tenant: i.Tenant, ID: id}, actCreate, "")
}

func (c *Clerk) tellOn(ctx context.Context, tx *store.Tx, t Config, i gen.Incident, act incident.Act, text string) error {
	tickets, err := tx.TicketsOfIncident(ctx, i.Tenant, i.ID)
	if err != nil {
		return fmt.Errorf("read the tickets of incident %s: %w", i.ID, err)
	}
	for _, row := range tickets {
		if row.Connector != t.Name {
			continue
		}
		_, body := c.Say(t.Language, i, act, text)
		if err := c.put(ctx, tx, row, outbox[act], body); err != nil {
			return err
		}
	}
	return nil
}

func (c *Clerk) put(ctx context.Context, tx *store.Tx, t gen.Ticket, act, text string) error {
	id, err := newID()
	if err != nil {
		return err
	}
	err = tx.AddTicketOutbox(ctx, gen.AddTicketOutboxParams{Tenant: t.Tenant, ID: id, Ticket: t.ID, Act: act, Text: text, CreatedUs: c.Clock().UnixMicro()})
	if err != nil {
		return fmt.Errorf("write down what ticket %s is told: %w", t.ID, err)
	}
	return nil
}

// Retry tries again what was given up, or waits, now.
func (c *Clerk) Retry(ctx context.Context, tenant fleet.TenantID, id string) error {
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Ticket(ctx, string(tenant), id); store.IsNone(err) {
			return fault.New(fault.NotFound, "what", "ticket", "name", id)
		} else if err != nil {
			return fmt.Errorf("read ticket %s: %w", id, err)
		}
		n, err := tx.RetryTicketOutbox(ctx, gen.RetryTicketOutboxParams{Tenant: string(tenant), Ticket: id, NowUs: c.Clock().UnixMicro()})
		if err != nil {
			return fmt.Errorf("try ticket %s again: %w", id, err)
		}
		if n == 0 {
			return fault.New(fault.NothingToDo, "what", "ticket")
		}
		return nil
	})
	if err == nil {
		c.Wake()
	}
	return err
}

// Tried is what a tool answered to a test.
type Tried struct {
	Connector string `json:"connector"`
	Kind      Kind   `json:"kind" enum:"glpi,jira,webhook"`
	OK        bool   `json:"ok"`
	Error     string `json:"error,omitempty"`
}

// Test speaks to a tenant's tools, or to the named one, and changes nothing
// there, but for a webhook, which gets a message that says so.
func (c *Clerk) Test(ctx context.Context, tenant fleet.TenantID, name string) ([]Tried, error) {
	out := []Tried{}
	for _, config := range c.Connectors {
		if config.Tenant != tenant || name != "" && config.Name != name {
			continue
		}
		t := Tried{Connector: config.Name, Kind: config.Kind, OK: true}
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		if err := c.tools[config.Name].test(ctx); err != nil {
			t.OK, t.Error = false, err.Error()
		}
		cancel()
		out = append(out, t)
	}
	if name != "" && len(out) == 0 {
		return nil, fault.New(fault.NotFound, "what", "connector", "name", name)
	}
	return out, nil
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

// ErrSignature is a message of a tool that nobody signed as configured.
var ErrSignature = errors.New("the message is not signed as configured")
