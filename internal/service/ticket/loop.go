package ticket

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"strings"
	"time"

	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

const (
	never        = int64(1<<63 - 1)
	longestSleep = time.Minute
	batch        = 20
	// lease is how long another server waits for what this one claimed: longer
	// than a task takes, short enough that a crash is soon repaired.
	lease = 3 * time.Minute
	// An act is given up after maxTries, which is most of a day: by then somebody
	// must look.
	firstWait   = time.Minute
	longestWait = time.Hour
	maxTries    = 24
)

// Run works until ctx ends.
func (c *Clerk) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		busy, err := c.Step(ctx)
		if err != nil && ctx.Err() == nil {
			c.Log.Error("tell tickets", "err", err)
			busy = false
		}
		if !busy {
			c.sleep(ctx)
		}
	}
	return nil
}

func (c *Clerk) sleep(ctx context.Context) {
	wait := longestSleep
	if due, err := c.DB.Read().NextTicketDue(ctx); err == nil && due < never {
		wait = max(10*time.Millisecond, min(wait, time.UnixMicro(due).Sub(c.Clock())))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.wake:
	case <-timer.C:
	}
}

// Step does one round of what is due, and tells whether there was any.
func (c *Clerk) Step(ctx context.Context) (busy bool, err error) {
	now := c.Clock().UnixMicro()
	due, err := c.DB.Read().TicketOutboxDue(ctx, now, batch)
	if err != nil {
		return false, fmt.Errorf("read what tickets are to be told: %w", err)
	}
	var errs []error
	for _, row := range due {
		errs = append(errs, c.carry(ctx, row))
	}
	check, err := c.DB.Read().TicketsToCheck(ctx, now, batch)
	if err != nil {
		return false, errors.Join(append(errs, fmt.Errorf("read tickets to ask for: %w", err))...)
	}
	for _, t := range check {
		errs = append(errs, c.check(ctx, t))
	}
	return len(due)+len(check) > 0, errors.Join(errs...)
}

// carry tells one thing. Crash story: the claim is a lease that ends by itself;
// what was told and not written down is looked for by its reference before a
// ticket is made again, and a note may be there twice.
func (c *Clerk) carry(ctx context.Context, row gen.TicketOutbox) error {
	claimed, err := c.claim(ctx, row)
	if err != nil || !claimed {
		return err
	}
	row.Tries++
	t, err := c.DB.Read().Ticket(ctx, row.Tenant, row.Ticket)
	if err != nil {
		return fmt.Errorf("read ticket %s: %w", row.Ticket, err)
	}
	tool, known := c.tools[t.Connector]
	if !known || string(tool.Tenant) != row.Tenant {
		return c.fail(ctx, row, &refusal{Status: 404, Text: "no connector " + t.Connector + " is configured any more"})
	}
	i, err := c.DB.Read().Incident(ctx, row.Tenant, t.Incident)
	if err != nil {
		return fmt.Errorf("read incident %s: %w", t.Incident, err)
	}
	timed, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	made, err := c.act(timed, tool, t, i, row)
	if err != nil {
		return c.fail(ctx, row, err)
	}
	return c.done(ctx, tool, t, i, row, made)
}

func (c *Clerk) claim(ctx context.Context, row gen.TicketOutbox) (bool, error) {
	n := int64(0)
	err := c.DB.Write(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.ClaimTicketOutbox(ctx, gen.ClaimTicketOutboxParams{
			Tenant: row.Tenant, ID: row.ID, WasUs: row.NextUs, LeaseUs: c.Clock().Add(lease).UnixMicro(),
		})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("claim what ticket %s is told: %w", row.Ticket, err)
	}
	return n > 0, nil
}

// ref is ours: by it a ticket is found again.
func ref(t gen.Ticket) string { return "patchring-" + t.ID }

func (c *Clerk) act(ctx context.Context, tool tool, t gen.Ticket, i gen.Incident, row gen.TicketOutbox) (Remote, error) {
	title, body := c.Say(tool.Language, i, "", "")
	d := Draft{Ref: ref(t), Title: title, Text: body, Severity: i.Severity, URL: c.Link(i.ID)}
	if row.Act == actCreate {
		return c.create(ctx, tool, d)
	}
	d.Text = row.Text
	if row.Act == actNote {
		return Remote{}, tool.note(ctx, t.ExternalID, d)
	}
	if row.Act == actClose {
		return Remote{}, tool.close(ctx, t.ExternalID, d)
	}
	return Remote{}, tool.reopen(ctx, t.ExternalID, d)
}

func (c *Clerk) create(ctx context.Context, tool tool, d Draft) (Remote, error) {
	found, ok, err := tool.find(ctx, d.Ref)
	if ok || err != nil && !errors.Is(err, errNoSearch) {
		return found, err
	}
	return tool.create(ctx, d)
}

// done drops what was told; a ticket that was made is kept with its address, and
// in the register.
func (c *Clerk) done(ctx context.Context, tool tool, t gen.Ticket, i gen.Incident, row gen.TicketOutbox, made Remote) error {
	now := c.Clock()
	soon := checkAt(tool, now.Add(minPoll)) // the tool has rules of its own for what it was told
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.DropTicketOutbox(ctx, row.Tenant, row.ID); err != nil {
			return err
		}
		if row.Act != actCreate {
			return tx.SetTicketStatus(ctx, gen.SetTicketStatusParams{
				Tenant: t.Tenant, ID: t.ID, Status: t.Status, Done: t.Done, CheckedUs: t.CheckedUs, CheckUs: soon,
			})
		}
		tx.Record(register.Entry{
			Tenant: t.Tenant, AtUS: now.UnixMicro(), Actor: actor, Kind: register.TicketOpened, Campaign: i.Campaign, Ring: i.Ring, Patch: i.Patch,
			Detail: map[string]any{"incident": i.ID, "connector": t.Connector, "ticket": made.Key, "url": made.URL},
		})
		return tx.SetTicketMade(ctx, gen.SetTicketMadeParams{
			Tenant: t.Tenant, ID: t.ID, ExternalID: made.ID, ExternalKey: made.Key, Url: made.URL, Status: made.Status, Done: flag(made.Done),
			CheckedUs: now.UnixMicro(), CheckUs: soon,
		})
	})
	if err != nil {
		return fmt.Errorf("keep what ticket %s was told: %w", t.ID, err)
	}
	return nil
}

// checkAt is when to ask for the status; never where the tool tells none.
func checkAt(t tool, at time.Time) int64 {
	if t.Kind == Webhook {
		return never
	}
	return at.UnixMicro()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// fail waits longer each time, or as long as the tool says, and gives up when
// asking again changes nothing.
func (c *Clerk) fail(ctx context.Context, row gen.TicketOutbox, cause error) error {
	now := c.Clock()
	next, dead := now.Add(backoff(row.Tries, cause)).UnixMicro(), int64(0)
	if final(cause) || row.Tries >= maxTries {
		dead = now.UnixMicro()
		c.Log.Error("ticket given up", "tenant", row.Tenant, "ticket", row.Ticket, "act", row.Act, "err", cause)
	}
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		return tx.DelayTicketOutbox(ctx, gen.DelayTicketOutboxParams{Tenant: row.Tenant, ID: row.ID, NextUs: next, Error: shown([]byte(cause.Error())), DeadUs: dead})
	})
	if err != nil {
		return fmt.Errorf("keep why ticket %s was not told: %w", row.Ticket, err)
	}
	return nil
}

func backoff(tries int64, cause error) time.Duration {
	wait := longestWait
	if tries < 7 {
		wait = min(longestWait, firstWait<<max(0, tries-1))
	}
	var r *refusal
	if errors.As(cause, &r) && r.After > wait {
		return r.After
	}
	return wait
}

// check asks for the status of one ticket; what fails is asked again later.
func (c *Clerk) check(ctx context.Context, t gen.Ticket) error {
	now := c.Clock()
	tool, known := c.tools[t.Connector]
	next := never
	if known && t.ExternalID != "" {
		next = checkAt(tool, now.Add(tool.Poll))
		timed, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		is, err := tool.status(timed, t.ExternalID)
		switch {
		case errors.Is(err, errNoStatus):
			next = never
		case err != nil:
			c.Log.Warn("ask for a ticket", "connector", t.Connector, "ticket", t.ExternalKey, "err", err)
			next = now.Add(max(backoff(1, err), tool.Poll)).UnixMicro()
		default:
			t.Status, t.Done, t.CheckedUs = is.Status, flag(is.Done), now.UnixMicro()
			if next, err = c.rests(ctx, t, is, next); err != nil {
				return err
			}
		}
	}
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		return tx.SetTicketStatus(ctx, gen.SetTicketStatusParams{Tenant: t.Tenant, ID: t.ID, Status: t.Status, Done: t.Done, CheckedUs: t.CheckedUs, CheckUs: next})
	})
	if err != nil {
		return fmt.Errorf("keep the status of ticket %s: %w", t.ID, err)
	}
	return nil
}

// rests: what is over on both sides is not asked for again.
func (c *Clerk) rests(ctx context.Context, t gen.Ticket, is Remote, next int64) (int64, error) {
	i, err := c.DB.Read().Incident(ctx, t.Tenant, t.Incident)
	if err != nil {
		return next, fmt.Errorf("read incident %s: %w", t.Incident, err)
	}
	if is.Done && i.State == "closed" {
		return never, nil
	}
	return next, nil
}

// Hook takes a tool's message: signed with the connector's secret, sha256= and
// the HMAC in hexadecimal. It is believed for nothing but which ticket to ask
// for now.
func (c *Clerk) Hook(ctx context.Context, name, signature string, body []byte) error {
	t, known := c.tools[name]
	if !known || t.Hook == "" {
		return ErrSignature
	}
	secret, err := t.Hook.Read()
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(sign(secret, body)), []byte(strings.TrimPrefix(signature, "sha256="))) {
		return ErrSignature
	}
	id := t.hooked(body)
	if id == "" {
		return nil // about something that is no ticket
	}
	err = c.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := tx.TicketOfExternal(ctx, gen.TicketOfExternalParams{Tenant: string(t.Tenant), Connector: name, ExternalID: id})
		if store.IsNone(err) {
			return nil // somebody else's ticket
		}
		if err != nil {
			return fmt.Errorf("read ticket %s of %s: %w", id, name, err)
		}
		return tx.SetTicketStatus(ctx, gen.SetTicketStatusParams{
			Tenant: row.Tenant, ID: row.ID, Status: row.Status, Done: row.Done, CheckedUs: row.CheckedUs, CheckUs: c.Clock().UnixMicro(),
		})
	})
	if err == nil {
		c.Wake()
	}
	return err
}
