// Package sampler tells devices what to measure: it works out of the policies in
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
package sampler

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a sampler.
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

// Sampler of all tenants' devices.
type Sampler struct {
	Options
	*rounds.Rounds
}

// New makes a sampler; Run starts it.
func New(o Options) *Sampler {
	s := &Sampler{Options: o}
	s.Rounds = rounds.New(rounds.Options{
		Work: work{s}, DB: o.DB, Clock: o.Clock, Log: o.Log, Policies: o.Policies, Sent: o.Sent,
		What: "tell devices what to measure", LongestSleep: 10 * time.Second,
	})
	return s
}

const (
	lease       = 30 * time.Second
	deviceBatch = 200
)

// work is what rounds are made for.
type work struct{ *Sampler }

func (work) Wants(p policy.Policies) bool { return p.HaveProbes() }

func (w work) Planned(ctx context.Context, tenant string) (bool, error) {
	known, err := w.DB.Read().AnyWatch(ctx, tenant)
	return len(known) > 0, err
}

func (work) Enlist(ctx context.Context, tx *store.Tx, tenant string, after int64) error {
	_, err := tx.EnlistWatches(ctx, tenant, after)
	return err
}

func (work) Touch(ctx context.Context, tx *store.Tx, tenant string) error {
	_, err := tx.TouchWatches(ctx, tenant)
	return err
}

func (w work) Due(ctx context.Context) (int64, error) { return w.DB.Read().NextWatch(ctx) }

// Decide decides a batch of devices, in one transaction with what they are
// told.
//
// Crash story: before the commit nobody was told anything, and the lease lets
// another round do it; after it the envelopes are in the outbox, and go with the
// devices' check-ins too.
func (w work) Decide(ctx context.Context) (n int, sent bool, err error) {
	err = w.DB.Write(ctx, func(tx *store.Tx) error {
		now := w.Clock()
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
			told, err := w.decide(ctx, tx, tenant, rows)
			if err != nil {
				return fmt.Errorf("tenant %s: %w", tenant, err)
			}
			sent = sent || told
		}
		return nil
	})
	return n, sent && err == nil, err
}
