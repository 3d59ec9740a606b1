// Package cleaner has devices cleaned up, apart from every campaign: it claims
// the devices that are due, lets core/cleanup decide, and writes state, register
// entry and order in one transaction. It takes what operators approve.
//
// It is level-triggered and idempotent, as the conductor is. Its orders are of
// no campaign, and the conductor's outbox carries them; patches come first on
// the server and again on the device. Several servers may run one each.
//
// Run belongs to one goroutine; every other method is safe from any.
package cleaner

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a cleaner.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// OrderKey signs a tenant's orders.
	OrderKey func(fleet.TenantID) (ed25519.PrivateKey, error)
	// Policies are those in force for a tenant.
	Policies func(ctx context.Context, r store.Reads, tenant string) (policy.Policies, error)
	// Sent tells that an order waits in the outbox.
	Sent func()
}

// Cleaner of all tenants.
type Cleaner struct {
	Options
	wake     chan struct{}
	enrolled atomic.Bool
	followed map[string]followed // of Run alone: what each tenant's looks were planned by
}

// followed is by which policies a tenant's devices were last looked at.
type followed struct {
	provider, own int64
	arrival       int64 // devices that enrolled after it have no look yet
	at            time.Time
}

// New makes a cleaner; Run starts it.
func New(o Options) *Cleaner {
	if o.Sent == nil {
		o.Sent = func() {}
	}
	return &Cleaner{Options: o, wake: make(chan struct{}, 1), followed: map[string]followed{}}
}

// Wake makes Run look now. It never blocks.
func (c *Cleaner) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Enlist makes Run look for devices that have just enrolled.
func (c *Cleaner) Enlist() {
	c.enrolled.Store(true)
	c.Wake()
}

const (
	// fullPassEvery looks at every device again: groups, tags and facts choose
	// its profile, and nobody tells of each change.
	fullPassEvery = time.Hour
	longestSleep  = time.Minute
	retryAfter    = 2 * time.Second
	lease         = 30 * time.Second
	deviceBatch   = 200
	never         = int64(1<<63 - 1)
)

var actor = register.System("cleaner")

// Run works until ctx ends.
func (c *Cleaner) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		busy, err := c.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			c.Log.Error("decide on clean-ups", "err", err)
			c.sleep(ctx, retryAfter)
		case !busy:
			c.sleep(ctx, c.untilDue(ctx))
		}
	}
	return nil
}

// Step does one round of what is due, and tells whether there was any.
func (c *Cleaner) Step(ctx context.Context) (busy bool, err error) {
	if err := c.follow(ctx); err != nil {
		return false, err
	}
	due, err := c.DB.Read().NextCleanUp(ctx)
	if err != nil {
		return false, fmt.Errorf("look for what is due: %w", err)
	}
	if due > c.Clock().UnixMicro() {
		return false, nil
	}
	n, sent, err := c.decideDue(ctx)
	if sent {
		c.Sent()
	}
	return n > 0, err
}

func (c *Cleaner) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.wake:
	case <-timer.C:
	}
}

func (c *Cleaner) untilDue(ctx context.Context) time.Duration {
	due, err := c.DB.Read().NextCleanUp(ctx)
	if err != nil {
		return retryAfter
	}
	until := longestSleep
	if d := time.UnixMicro(due).Sub(c.Clock()); due < never && d < until {
		until = d
	}
	return max(until, 10*time.Millisecond)
}

// follow plans looks where policies have changed, where devices have enrolled,
// and now and then everywhere.
func (c *Cleaner) follow(ctx context.Context) error {
	tenants, err := c.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	provider, err := c.DB.Read().PolicyHead(ctx, store.Provider)
	if err != nil {
		return fmt.Errorf("read the provider's policy: %w", err)
	}
	enrolled := c.enrolled.Swap(false)
	for _, t := range tenants {
		if err := c.followTenant(ctx, t.ID, provider, enrolled); err != nil {
			c.enrolled.Store(enrolled)
			return fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return nil
}

func (c *Cleaner) followTenant(ctx context.Context, tenant string, provider int64, enrolled bool) error {
	own, err := c.DB.Read().PolicyHead(ctx, tenant)
	if err != nil {
		return fmt.Errorf("read the policy's version: %w", err)
	}
	now, last := c.Clock(), c.followed[tenant]
	again := last.at.IsZero() || last.own != own || last.provider != provider || now.Sub(last.at) >= fullPassEvery || now.Before(last.at)
	if !again && !enrolled {
		return nil
	}
	wants, err := c.wants(ctx, tenant)
	if err != nil {
		return err
	}
	after := last.arrival
	if again {
		after = -1
	}
	if last.arrival, err = c.plan(ctx, tenant, wants, after); err != nil {
		return fmt.Errorf("plan looks: %w", err)
	}
	if again {
		last.provider, last.own, last.at = provider, own, now
	}
	c.followed[tenant] = last
	return nil
}

// wants tells whether any policy in force cleans anything up.
func (c *Cleaner) wants(ctx context.Context, tenant string) (wants bool, err error) {
	err = c.DB.Snapshot(ctx, func(r store.Reads) error {
		p, err := c.Policies(ctx, r, tenant)
		wants = p.HaveCleanUps()
		return err
	})
	return wants, err
}

// plan gives the devices that enrolled after a place a look; before every place,
// it lets all of them be looked at now. It gives the last place it has seen, and
// writes nothing for a tenant that has never had a clean-up.
func (c *Cleaner) plan(ctx context.Context, tenant string, wants bool, after int64) (arrival int64, err error) {
	if !wants {
		n, err := c.DB.Read().CountCleanUpLooks(ctx, tenant)
		if err != nil || n == 0 {
			return 0, err
		}
	}
	err = c.DB.Write(ctx, func(tx *store.Tx) (err error) {
		if arrival, err = tx.LastArrival(ctx, tenant); err != nil {
			return err
		}
		if wants {
			if _, err := tx.EnlistCleanUps(ctx, tenant, after); err != nil {
				return err
			}
		}
		if after >= 0 {
			return nil
		}
		_, err = tx.TouchCleanUps(ctx, tenant)
		return err
	})
	return arrival, err
}

// decideDue decides a batch of devices, in one transaction with their orders.
//
// Crash story: before the commit nothing was decided, and the lease lets
// another round do it; after it the orders are in the outbox.
func (c *Cleaner) decideDue(ctx context.Context) (n int, sent bool, err error) {
	err = c.DB.Write(ctx, func(tx *store.Tx) error {
		now := c.Clock()
		claimed, err := tx.ClaimCleanUps(ctx, gen.ClaimCleanUpsParams{LeaseUs: now.Add(lease).UnixMicro(), NowUs: now.UnixMicro(), Max: deviceBatch})
		if err != nil {
			return err
		}
		n, sent = len(claimed), false
		tenants := map[string][]gen.CleanUpLook{}
		for _, row := range claimed {
			tenants[row.Tenant] = append(tenants[row.Tenant], row)
		}
		for tenant, rows := range tenants {
			g, err := c.group(ctx, tx, tenant, rows)
			if err != nil {
				return fmt.Errorf("tenant %s: %w", tenant, err)
			}
			for _, row := range rows {
				if err := g.decide(ctx, row); err != nil {
					return fmt.Errorf("device %s of %s: %w", row.Device, tenant, err)
				}
			}
			sent = sent || g.sent
		}
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("decide on clean-ups: %w", err)
	}
	return n, sent, nil
}
