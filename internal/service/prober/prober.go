// Package prober tells devices what to measure: it works out of the policies in
// force which probes each device makes and how often it takes a sample, signs
// that, and has it delivered. It keeps no result: the gateway does.
//
// It is level-triggered and idempotent, as the conductor is: devices that are
// due are claimed by lease, a batch is one transaction, and a device that is
// told what it was told already is told nothing. What a device is told goes
// through the conductor's outbox at once, and with its check-ins until it has
// it. Several servers may run one each.
//
// Run belongs to one goroutine; every other method is safe from any.
package prober

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a prober.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// OrderKey signs what devices of a tenant are told.
	OrderKey func(fleet.TenantID) (ed25519.PrivateKey, error)
	// Policies are those in force for a tenant.
	Policies func(ctx context.Context, r store.Reads, tenant string) (policy.Policies, error)
	// Sent tells that something waits in the outbox.
	Sent func()
}

// Prober of all tenants' devices.
type Prober struct {
	Options
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

// New makes a prober; Run starts it.
func New(o Options) *Prober {
	return &Prober{Options: o, wake: make(chan struct{}, 1), followed: map[string]followed{}}
}

// Wake makes Run look now. It never blocks.
func (p *Prober) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Enlist makes Run look for devices that have just enrolled.
func (p *Prober) Enlist() {
	p.enrolled.Store(true)
	p.Wake()
}

const (
	// fullPassEvery looks at every device again: groups and tags choose its
	// probes, and nobody tells of each change.
	fullPassEvery = time.Hour
	longestSleep  = 10 * time.Second
	retryAfter    = 2 * time.Second
	lease         = 30 * time.Second
	deviceBatch   = 200
	never         = int64(1<<63 - 1)
)

// Run works until ctx ends.
func (p *Prober) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		busy, err := p.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			p.Log.Error("tell devices what to measure", "err", err)
			p.sleep(ctx, retryAfter)
		case !busy:
			p.sleep(ctx, p.untilDue(ctx))
		}
	}
	return nil
}

// Step does one round of what is due, and tells whether there was any.
func (p *Prober) Step(ctx context.Context) (busy bool, err error) {
	if err := p.follow(ctx); err != nil {
		return false, err
	}
	due, err := p.DB.Read().NextWatch(ctx)
	if err != nil {
		return false, fmt.Errorf("look for what is due: %w", err)
	}
	if due > p.Clock().UnixMicro() {
		return false, nil
	}
	n, sent, err := p.decideDue(ctx)
	if sent {
		p.Sent()
	}
	return n > 0, err
}

func (p *Prober) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-p.wake:
	case <-timer.C:
	}
}

func (p *Prober) untilDue(ctx context.Context) time.Duration {
	due, err := p.DB.Read().NextWatch(ctx)
	if err != nil {
		return retryAfter
	}
	until := longestSleep
	if d := time.UnixMicro(due).Sub(p.Clock()); due < never && d < until {
		until = d
	}
	return max(until, 10*time.Millisecond)
}

// follow plans looks where policies have changed, where devices have enrolled,
// and now and then everywhere.
func (p *Prober) follow(ctx context.Context) error {
	tenants, err := p.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	provider, err := p.DB.Read().PolicyHead(ctx, store.Provider)
	if err != nil {
		return fmt.Errorf("read the provider's policy: %w", err)
	}
	enrolled := p.enrolled.Swap(false)
	for _, t := range tenants {
		if err := p.followTenant(ctx, t.ID, provider, enrolled); err != nil {
			p.enrolled.Store(enrolled)
			return fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return nil
}

func (p *Prober) followTenant(ctx context.Context, tenant string, provider int64, enrolled bool) error {
	own, err := p.DB.Read().PolicyHead(ctx, tenant)
	if err != nil {
		return fmt.Errorf("read the policy's version: %w", err)
	}
	now, last := p.Clock(), p.followed[tenant]
	again := last.at.IsZero() || last.own != own || last.provider != provider || now.Sub(last.at) >= fullPassEvery || now.Before(last.at)
	if !again && !enrolled {
		return nil
	}
	wants, err := p.wants(ctx, tenant)
	if err != nil {
		return err
	}
	after := last.arrival
	if again {
		after = -1
	}
	if last.arrival, err = p.plan(ctx, tenant, wants, after); err != nil {
		return fmt.Errorf("plan looks: %w", err)
	}
	if again {
		last.provider, last.own, last.at = provider, own, now
	}
	p.followed[tenant] = last
	return nil
}

// wants tells whether any policy in force tells devices what to measure.
func (p *Prober) wants(ctx context.Context, tenant string) (wants bool, err error) {
	err = p.DB.Snapshot(ctx, func(r store.Reads) error {
		policies, err := p.Policies(ctx, r, tenant)
		wants = policies.HaveProbes()
		return err
	})
	return wants, err
}

// plan gives the devices that enrolled after a place a row; before every place,
// it lets all of them be looked at now. It gives the last place it has seen, and
// writes nothing for a tenant that has never had a probe.
func (p *Prober) plan(ctx context.Context, tenant string, wants bool, after int64) (arrival int64, err error) {
	if !wants {
		known, err := p.DB.Read().AnyWatch(ctx, tenant)
		if err != nil || len(known) == 0 {
			return 0, err
		}
	}
	err = p.DB.Write(ctx, func(tx *store.Tx) (err error) {
		if arrival, err = tx.LastArrival(ctx, tenant); err != nil {
			return err
		}
		if wants {
			if _, err := tx.EnlistWatches(ctx, tenant, after); err != nil {
				return err
			}
		}
		if after >= 0 {
			return nil
		}
		_, err = tx.TouchWatches(ctx, tenant)
		return err
	})
	return arrival, err
}

// decideDue decides a batch of devices, in one transaction with what they are
// told.
//
// Crash story: before the commit nobody was told anything, and the lease lets
// another round do it; after it the envelopes are in the outbox, and go with the
// devices' check-ins too.
func (p *Prober) decideDue(ctx context.Context) (n int, sent bool, err error) {
	err = p.DB.Write(ctx, func(tx *store.Tx) error {
		now := p.Clock()
		claimed, err := tx.ClaimWatches(ctx, gen.ClaimWatchesParams{LeaseUs: now.Add(lease).UnixMicro(), NowUs: now.UnixMicro(), Max: deviceBatch})
		if err != nil {
			return err
		}
		n, sent = len(claimed), false
		tenants := map[string][]gen.DeviceWatch{}
		for _, row := range claimed {
			tenants[row.Tenant] = append(tenants[row.Tenant], row)
		}
		for tenant, rows := range tenants {
			told, err := p.decide(ctx, tx, tenant, rows)
			if err != nil {
				return fmt.Errorf("tenant %s: %w", tenant, err)
			}
			sent = sent || told
		}
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("decide on what devices measure: %w", err)
	}
	return n, sent, nil
}
