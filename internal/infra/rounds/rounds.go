// Package rounds looks at the devices that policies speak of, when they are due:
// again when a policy changes, when a device enrols, and now and then at all of
// them. What is decided of a device is its user's: this package owns only when.
//
// It is level-triggered: what is due stands in the store, a round that fails is
// made again, and several servers may make them, because a Work claims by lease.
//
// Run belongs to one goroutine; every other method is safe from any.
package rounds

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
)

// Work is what rounds are made for. Each device has a row that says when it is
// to be looked at; a tenant whose policies never asked for the work has none.
type Work interface {
	// Wants tells whether any of a tenant's policies asks for the work.
	Wants(policy.Policies) bool
	// Planned tells whether any device of a tenant has a row.
	Planned(ctx context.Context, tenant string) (bool, error)
	// Enlist gives devices that arrived after a place a row, due now.
	Enlist(ctx context.Context, tx *store.Tx, tenant string, after int64) error
	// Touch makes every row of a tenant due now.
	Touch(ctx context.Context, tx *store.Tx, tenant string) error
	// Due is the earliest instant, in µs since 1970, at which a row is due; Never
	// when none is.
	Due(ctx context.Context) (int64, error)
	// Decide decides a batch of what is due, and tells how many devices it
	// claimed and whether anything waits in the outbox.
	Decide(ctx context.Context) (claimed int, sent bool, err error)
}

// Options of rounds.
type Options struct {
	Work  Work
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Policies are those in force for a tenant.
	Policies func(ctx context.Context, r store.Reads, tenant string) (policy.Policies, error)
	// Sent tells that something waits in the outbox.
	Sent func()
	// What the rounds do, for the log.
	What string
	// LongestSleep is until a round looks for what another server has planned.
	LongestSleep time.Duration
}

// Rounds over all tenants' devices.
type Rounds struct {
	o        Options
	wake     chan struct{}
	enrolled atomic.Bool
	followed map[string]followed // of Run alone: what each tenant's looks were planned by
}

// followed is by which policies a tenant's devices were last looked at.
type followed struct {
	provider, own int64
	arrival       int64 // devices that enrolled after it have no row yet
	at            time.Time
}

// New makes rounds; Run starts them.
func New(o Options) *Rounds {
	return &Rounds{o: o, wake: make(chan struct{}, 1), followed: map[string]followed{}}
}

const (
	// fullPassEvery looks at every device again: groups, tags and facts choose
	// what a policy asks of it, and nobody tells of each change.
	fullPassEvery = time.Hour
	retryAfter    = 2 * time.Second
	shortestSleep = 10 * time.Millisecond
)

// Never is the instant of what is not due until something changes.
const Never = int64(1<<63 - 1)

// Wake makes Run look now. It never blocks.
func (r *Rounds) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Enlist makes Run look for devices that have just enrolled.
func (r *Rounds) Enlist() {
	r.enrolled.Store(true)
	r.Wake()
}

// Run works until ctx ends.
func (r *Rounds) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		busy, err := r.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.o.Log.Error("round failed", "what", r.o.What, "err", err)
			r.sleep(ctx, retryAfter)
		case !busy:
			r.sleep(ctx, r.untilDue(ctx))
		}
	}
	return nil
}

// Step makes one round of what is due, and tells whether there was any.
func (r *Rounds) Step(ctx context.Context) (busy bool, err error) {
	if err := r.follow(ctx); err != nil {
		return false, err
	}
	due, err := r.o.Work.Due(ctx)
	if err != nil {
		return false, fmt.Errorf("look for what is due: %w", err)
	}
	if due > r.o.Clock().UnixMicro() {
		return false, nil
	}
	n, sent, err := r.o.Work.Decide(ctx)
	if err != nil {
		return false, fmt.Errorf("%s: %w", r.o.What, err)
	}
	if sent {
		r.o.Sent()
	}
	return n > 0, nil
}

func (r *Rounds) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.wake:
	case <-timer.C:
	}
}

func (r *Rounds) untilDue(ctx context.Context) time.Duration {
	due, err := r.o.Work.Due(ctx)
	if err != nil {
		return retryAfter
	}
	until := r.o.LongestSleep
	if d := time.UnixMicro(due).Sub(r.o.Clock()); due < Never && d < until {
		until = d
	}
	return max(until, shortestSleep)
}

// follow plans looks where policies have changed, where devices have enrolled,
// and now and then everywhere.
func (r *Rounds) follow(ctx context.Context) error {
	tenants, err := r.o.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	provider, err := r.o.DB.Read().PolicyHead(ctx, store.Provider)
	if err != nil {
		return fmt.Errorf("read the provider's policy: %w", err)
	}
	enrolled := r.enrolled.Swap(false)
	for _, t := range tenants {
		if err := r.followTenant(ctx, t.ID, provider, enrolled); err != nil {
			r.enrolled.Store(enrolled)
			return fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return nil
}

func (r *Rounds) followTenant(ctx context.Context, tenant string, provider int64, enrolled bool) error {
	own, err := r.o.DB.Read().PolicyHead(ctx, tenant)
	if err != nil {
		return fmt.Errorf("read the policy's version: %w", err)
	}
	now, last := r.o.Clock(), r.followed[tenant]
	again := last.at.IsZero() || last.own != own || last.provider != provider || now.Sub(last.at) >= fullPassEvery || now.Before(last.at)
	if !again && !enrolled {
		return nil
	}
	wants, err := r.wants(ctx, tenant)
	if err != nil {
		return err
	}
	after := last.arrival
	if again {
		after = -1
	}
	if last.arrival, err = r.plan(ctx, tenant, wants, after); err != nil {
		return fmt.Errorf("plan looks: %w", err)
	}
	if again {
		last.provider, last.own, last.at = provider, own, now
	}
	r.followed[tenant] = last
	return nil
}

func (r *Rounds) wants(ctx context.Context, tenant string) (wants bool, err error) {
	err = r.o.DB.Snapshot(ctx, func(reads store.Reads) error {
		policies, err := r.o.Policies(ctx, reads, tenant)
		wants = err == nil && r.o.Work.Wants(policies)
		return err
	})
	return wants, err
}

// plan gives the devices that enrolled after a place a row; before every place,
// it lets all of them be looked at now. It gives the last place it has seen, and
// writes nothing for a tenant that has never wanted the work.
func (r *Rounds) plan(ctx context.Context, tenant string, wants bool, after int64) (arrival int64, err error) {
	if !wants {
		planned, err := r.o.Work.Planned(ctx, tenant)
		if err != nil || !planned {
			return 0, err
		}
	}
	err = r.o.DB.Write(ctx, func(tx *store.Tx) (err error) {
		if arrival, err = tx.LastArrival(ctx, tenant); err != nil {
			return err
		}
		if wants {
			if err := r.o.Work.Enlist(ctx, tx, tenant, after); err != nil {
				return err
			}
		}
		if after >= 0 {
			return nil
		}
		return r.o.Work.Touch(ctx, tx, tenant)
	})
	return arrival, err
}
