// Package waker has devices woken that sleep before their maintenance window: it
// reads those that have an order waiting, lets core/wake decide, and writes where
// each stands, the register entry and what neighbours are asked in one
// transaction. It gives no orders, and wakes nothing itself.
//
// It is level-triggered: what it does not do now it does a little later. Several
// servers may run one each; the version of a device's row decides who did it.
//
// Run belongs to one goroutine; Step is for it and for tests.
package waker

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/register"
	"patchring/internal/core/wake"
	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of a waker.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// OrderKey signs what devices of a tenant are asked.
	OrderKey func(fleet.TenantID) (ed25519.PrivateKey, error)
	// Policies are those in force for a tenant.
	Policies func(ctx context.Context, r store.Reads, tenant string) (policy.Policies, error)
	// Sent tells that something waits in the outbox.
	Sent func()
	// CheckinEvery is the heartbeat asked of agents.
	CheckinEvery time.Duration
}

// Waker of all tenants' devices.
type Waker struct{ Options }

// New makes a waker; Run starts it.
func New(o Options) *Waker { return &Waker{o} }

const (
	// every is how often it looks: well below the lead of a window.
	every = 30 * time.Second
	batch = 200
	// asksKept is how long what neighbours were asked is kept beside the register.
	asksKept = 7 * 24 * time.Hour
	// refusedFor is how long a device that refused to wake others is not asked.
	refusedFor = 24 * time.Hour
)

var actor = register.System("waker")

// Run looks again and again until ctx ends.
func (w *Waker) Run(ctx context.Context) error {
	return rounds.Every(ctx, every, w.Log, "wake devices", w.Step)
}

// Step looks once at every tenant.
func (w *Waker) Step(ctx context.Context) error {
	tenants, err := w.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	for _, t := range tenants {
		if err := w.tenant(ctx, t.ID); err != nil {
			return fmt.Errorf("tenant %s: %w", t.ID, err)
		}
	}
	return nil
}

// tenant notes who was heard of again, then decides batch by batch: what is
// decided is not due any more, so each batch is another one.
func (w *Waker) tenant(ctx context.Context, tenant string) error {
	if err := w.hear(ctx, tenant); err != nil {
		return err
	}
	for {
		n, asked, err := w.decideDue(ctx, tenant)
		if asked {
			w.Sent()
		}
		if err != nil || n < batch {
			return err
		}
	}
}

// hear notes the devices that were heard of after a neighbour was asked.
func (w *Waker) hear(ctx context.Context, tenant string) error {
	woken, err := w.DB.Read().Awoken(ctx, tenant)
	if err != nil {
		return fmt.Errorf("look for who woke: %w", err)
	}
	if len(woken) == 0 {
		return nil
	}
	return w.DB.Write(ctx, func(tx *store.Tx) error {
		for _, d := range woken {
			n, err := tx.HeardAgain(ctx, gen.HeardAgainParams{Tenant: tenant, Device: d.Device, AskedUs: d.AskedUs, HeardUs: d.SeenUs})
			if err != nil {
				return fmt.Errorf("note that %s woke: %w", d.Device, err)
			}
			if n > 0 {
				tx.Record(register.Entry{
					Tenant: tenant, AtUS: w.Clock().UnixMicro(), Actor: actor, Kind: register.DeviceWoken, Device: d.Device,
					Detail: map[string]any{"asked": d.AskedUs, "heard": d.SeenUs, "neighbours": d.AskedOf},
				})
			}
		}
		return nil
	})
}

// decideDue decides a batch of sleeping devices, in one transaction with what
// their neighbours are asked.
//
// Crash story: before the commit nobody was asked; after it the askings are in
// the outbox, and go with the neighbours' check-ins too.
func (w *Waker) decideDue(ctx context.Context, tenant string) (n int, asked bool, err error) {
	if wants, err := w.wants(ctx, tenant); err != nil || !wants {
		return 0, false, err
	}
	err = w.DB.Write(ctx, func(tx *store.Tx) error {
		now := w.Clock()
		due, err := tx.Sleepers(ctx, gen.SleepersParams{
			Tenant: tenant, GoneUs: now.Add(-wake.Gone).UnixMicro(), AsleepUs: now.Add(-wake.AsleepAfter(w.CheckinEvery)).UnixMicro(),
			NowUs: now.UnixMicro(), Max: batch,
		})
		if err != nil {
			return fmt.Errorf("look for who sleeps: %w", err)
		}
		n, asked = len(due), false
		if n == 0 {
			return nil
		}
		r, err := w.round(ctx, tx, tenant, due)
		if err != nil {
			return err
		}
		for _, row := range due {
			if err := r.decide(ctx, row); err != nil {
				return fmt.Errorf("device %s: %w", row.ID, err)
			}
		}
		asked = r.asked
		_, err = tx.DropOldWakeAsks(ctx, tenant, now.Add(-asksKept).UnixMicro())
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("decide on who is woken: %w", err)
	}
	return n, asked, nil
}

func (w *Waker) wants(ctx context.Context, tenant string) (wants bool, err error) {
	err = w.DB.Snapshot(ctx, func(r store.Reads) error {
		p, err := w.Policies(ctx, r, tenant)
		wants = p.HaveWakes()
		return err
	})
	return wants, err
}
