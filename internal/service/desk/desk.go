// Package desk keeps what people take upon themselves: exceptions, which leave
// a patch, a device or a group out on purpose and never without an end, and
// manual tasks, which close on a proof and on nothing else.
//
// Every act is one transaction with its register entry. It refuses by a fault
// that names the field and the fix. What an exception means for a device is
// core/policy's, what a task's dates mean is core/task's; the conductor reads
// both and is woken when they change.
//
// Run belongs to one goroutine; every other method is safe from any.
package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a desk.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Zone is where a day ends that was given without a time: the site's.
	Zone *time.Location
	// Wake makes the conductor look now.
	Wake func()
	// Look finds what is to be put right before a campaign; without it no task is
	// made of findings, and none is closed for its finding.
	Look Look
	// CatchUp starts the emergency for what a campaign missed.
	CatchUp CatchUp
}

// Desk of all tenants.
type Desk struct {
	Options

	mu     sync.Mutex // guards looked
	looked map[fleet.TenantID]time.Time
}

// New makes a desk; Run does its housekeeping.
func New(o Options) *Desk {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	return &Desk{Options: o, looked: map[fleet.TenantID]time.Time{}}
}

var actor = register.System("desk")

const (
	housekeepEvery = time.Minute
	// batch bounds one transaction of the housekeeping.
	batch = 200
	// never is the instant of what does not come.
	never = int64(1<<63 - 1)
)

// Run keeps house until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	return rounds.Every(ctx, housekeepEvery, d.Log, "desk housekeeping", d.Housekeep)
}

// Housekeep writes the ends of exceptions and the reminders of tasks into the
// register, and closes the tasks whose finding has gone, each once: a second pass, or another server's, finds them written.
//
// Crash story: each transaction is whole by itself, and what it did not reach
// is still owed at the next pass.
func (d *Desk) Housekeep(ctx context.Context) error {
	tenants, err := d.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	var errs []error
	for _, t := range tenants {
		errs = append(errs, d.repeat(ctx, fleet.TenantID(t.ID), d.endExceptions), d.repeat(ctx, fleet.TenantID(t.ID), d.remind), d.closeFound(ctx, fleet.TenantID(t.ID)))
	}
	return errors.Join(errs...)
}

func (d *Desk) repeat(ctx context.Context, tenant fleet.TenantID, pass func(context.Context, fleet.TenantID) (int, error)) error {
	for {
		n, err := pass(ctx, tenant)
		if err != nil || n < batch {
			return err
		}
	}
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return id.String(), nil
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

// words wants a text that says something, and not a novel.
func words(field, text string, most int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return invalid(field, "empty", "write_it")
	case utf8.RuneCountInString(text) > most:
		return invalid(field, "too_long", fmt.Sprintf("≤ %d", most))
	}
	return nil
}

// until reads an instant to come. A date means the end of that day in the
// site's zone: its last second, which reads as that day everywhere.
func (d *Desk) until(field, text string) (time.Time, error) {
	now := d.Clock()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		day, err := calendar.ParseDate(text)
		if err != nil {
			problem := "not_a_date"
			if text == "" {
				problem = "empty"
			}
			return time.Time{}, invalid(field, problem, "2026-12-31")
		}
		at = day.At(calendar.EndOfDay, d.Zone).Add(-time.Second)
	}
	if !at.After(now) {
		return time.Time{}, invalid(field, "past", "give_a_date")
	}
	return at, nil
}

// daysAhead tells how many days of the site's zone at is ahead of now.
func (d *Desk) daysAhead(at time.Time) int {
	return calendar.DateOf(at, d.Zone).DaysSince(calendar.DateOf(d.Clock(), d.Zone))
}

// device finds a device by its id or its name; empty stays empty. Two devices
// of one name are not guessed between, and a retired one is gone.
func device(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	row, err := tx.Device(ctx, string(tenant), ref)
	found := []gen.Device{row}
	if store.IsNone(err) {
		found, err = tx.DevicesByName(ctx, string(tenant), ref)
	}
	if err != nil {
		return "", fmt.Errorf("read device %s: %w", ref, err)
	}
	var live []string
	for _, f := range found {
		if f.RetiredUs == 0 {
			live = append(live, f.ID)
		}
	}
	switch len(live) {
	case 0:
		return "", fault.New(fault.NotFound, "what", "device", "name", ref)
	case 1:
		return live[0], nil
	}
	return "", invalid("device", "several_devices", "use_id")
}
