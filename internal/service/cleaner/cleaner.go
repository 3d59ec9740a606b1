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
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/infra/rounds"
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
	*rounds.Rounds
}

// New makes a cleaner; Run starts it.
func New(o Options) *Cleaner {
	if o.Sent == nil {
		o.Sent = func() {}
	}
	c := &Cleaner{Options: o}
	c.Rounds = rounds.New(rounds.Options{
		Work: work{c}, DB: o.DB, Clock: o.Clock, Log: o.Log, Policies: o.Policies, Sent: o.Sent,
		What: "decide on clean-ups", LongestSleep: time.Minute,
	})
	return c
}

const (
	lease       = 30 * time.Second
	deviceBatch = 200
)

var actor = register.System("cleaner")

// work is what rounds are made for.
type work struct{ *Cleaner }

func (work) Wants(p policy.Policies) bool { return p.HaveCleanUps() }

func (w work) Planned(ctx context.Context, tenant string) (bool, error) {
	n, err := w.DB.Read().CountCleanUpLooks(ctx, tenant)
	return n > 0, err
}

func (work) Enlist(ctx context.Context, tx *store.Tx, tenant string, after int64) error {
	_, err := tx.EnlistCleanUps(ctx, tenant, after)
	return err
}

func (work) Touch(ctx context.Context, tx *store.Tx, tenant string) error {
	_, err := tx.TouchCleanUps(ctx, tenant)
	return err
}

func (w work) Due(ctx context.Context) (int64, error) { return w.DB.Read().NextCleanUp(ctx) }

// Decide decides a batch of devices, in one transaction with their orders.
//
// Crash story: before the commit nothing was decided, and the lease lets
// another round do it; after it the orders are in the outbox.
func (w work) Decide(ctx context.Context) (n int, sent bool, err error) {
	err = w.DB.Write(ctx, func(tx *store.Tx) error {
		now := w.Clock()
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
			g, err := w.group(ctx, tx, tenant, rows)
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
	return n, sent && err == nil, err
}
