// Package watch lets rules look at what devices measure and at what the register
// tells, and keeps the alerts that come of it: it reads, lets core/alert decide,
// and writes the alert, its register entry and what is to be told in one
// transaction. It keeps the documents of rules, acknowledgements and silences,
// and hands what a person does from an alert to who does such things.
//
// It sends nothing: what is to be told waits in a table for the herald. It is
// level-triggered but for the register, of which each entry counts once, by a
// cursor that moves in the same transaction. Several servers may run one each:
// the version of an alert's row decides whose decision stands.
//
// Sampled and the acts are safe from any goroutine. Run belongs to one; Step is
// for it and for tests.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/wire"
)

// Options of a Watch.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Told says that something waits to be sent.
	Told func()
	// Changed says that a tenant's alerts changed.
	Changed func(fleet.TenantID)
	// What a person can do from an alert; the conductor does it.
	Hold     func(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.PlaceHold) (string, error)
	RollBack func(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Rollback) (campaign.RollbackPlan, error)
	Incident func(ctx context.Context, tenant fleet.TenantID, by register.Actor, alert string, ask campaign.Incident) error
	// What a rule does by itself, in the transaction of its alert; done is called
	// after the commit.
	HoldIn func(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask campaign.PlaceHold) (id string, done func(), err error)
	OpenIn func(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask Opening) (id string, done func(), err error)
	// Words puts a reason into words of the language of a tenant's document.
	Words func(language string, r fault.Reason) string
}

// Opening is an incident that a rule opens.
type Opening struct {
	Alert   string // id
	Title   string
	Subject string // of which there is one incident that is not closed
	Owner   string // who must act: a role, or words
	campaign.Incident
}

// Watch of all tenants.
type Watch struct {
	Options
	wake chan struct{}

	mu      sync.Mutex // guards all below
	samples map[origin]wire.Sample
	books   map[fleet.TenantID]kept
	absent  time.Time // the last pass over who fell silent
	whole   time.Time // the last of them that looked at everybody
	cleaned time.Time
}

// origin is whose sample it is.
type origin struct {
	tenant fleet.TenantID
	device fleet.DeviceID
}

// kept is a document as it was read, and when somebody last asked for a newer.
type kept struct {
	version int64
	book    alert.Book
	asked   time.Time
}

// New makes a Watch; Run starts it.
func New(o Options) *Watch {
	return &Watch{Options: o, wake: make(chan struct{}, 1), samples: map[origin]wire.Sample{}, books: map[fleet.TenantID]kept{}}
}

const (
	// every is how often it looks at the register and at what is due: a fired
	// alert is late by no more than this.
	every = 2 * time.Second
	// absentEvery and wholeEvery are how often it looks for who fell silent: of
	// those who did lately, and of all, which repairs what a change of groups or
	// tags made of the others.
	absentEvery = 15 * time.Second
	wholeEvery  = 10 * time.Minute
	batch       = 200
	// forgetAfter is how long what is over stays on the pages; the register keeps it.
	forgetAfter  = 90 * 24 * time.Hour
	cleanUpEvery = time.Hour
)

var actor = register.System("watch")

// Sampled takes a device's latest sample; it is judged by the next Step, which
// it wakes. A newer sample takes the place of one that was not judged yet, so
// that what waits is bounded by the fleet.
func (w *Watch) Sampled(tenant fleet.TenantID, device fleet.DeviceID, s wire.Sample) {
	w.mu.Lock()
	w.samples[origin{tenant, device}] = s
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run looks again and again until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := w.Step(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error("watch for alerts", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-w.wake:
		}
	}
}

// Step looks once at everything. What fails in one part does not keep the others
// from their work.
func (w *Watch) Step(ctx context.Context) error {
	return errors.Join(w.judgeSamples(ctx), w.followRegisters(ctx), w.lookForAbsent(ctx), w.lookAtDue(ctx), w.cleanUp(ctx))
}

// errMoved tells that an alert was changed by somebody else meanwhile: what was
// decided on it is decided again.
var errMoved = errors.New("the alert was changed meanwhile")

// write runs f in a transaction, and tells whoever waits for what it did.
func (w *Watch) write(ctx context.Context, tenant fleet.TenantID, f func(*turn) error) error {
	for attempt := 0; ; attempt++ {
		var t *turn
		err := w.DB.Write(ctx, func(tx *store.Tx) error {
			t = &turn{Watch: w, tx: tx, tenant: tenant, now: w.Clock(), members: map[string]member{}}
			return f(t)
		})
		if errors.Is(err, errMoved) && attempt < 5 {
			continue
		}
		if err != nil {
			return err
		}
		if t.told {
			w.Told()
		}
		if t.changed {
			w.Changed(tenant)
		}
		for _, done := range t.after {
			done()
		}
		return nil
	}
}

// tenants calls f for each one; an error of one does not stop the others.
func (w *Watch) tenants(ctx context.Context, f func(fleet.TenantID) error) error {
	list, err := w.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	var errs []error
	for _, t := range list {
		if err := f(fleet.TenantID(t.ID)); err != nil {
			errs = append(errs, fmt.Errorf("tenant %s: %w", t.ID, err))
		}
	}
	return errors.Join(errs...)
}

// cleanUp forgets what has been over for long.
func (w *Watch) cleanUp(ctx context.Context) error {
	now := w.Clock()
	if !w.turnOf(&w.cleaned, now, cleanUpEvery) {
		return nil
	}
	before := now.Add(-forgetAfter).UnixMicro()
	err := w.DB.Write(ctx, func(tx *store.Tx) error {
		_, alerts := tx.DropOldAlerts(ctx, before)
		_, silences := tx.DropOldSilences(ctx, before)
		return errors.Join(alerts, silences)
	})
	if err != nil {
		return fmt.Errorf("forget old alerts: %w", err)
	}
	return nil
}

// turnOf tells whether it is time again, and notes that it was.
func (w *Watch) turnOf(last *time.Time, now time.Time, every time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(*last) < every && !now.Before(*last) {
		return false
	}
	*last = now
	return true
}
