// Package conductor carries campaigns out: it claims what is due, reads,
// lets core/campaign decide, and writes state, counters, register entries and
// orders in one transaction. It also takes what operators ask of campaigns.
//
// It is level-triggered and idempotent. A lost wake-up costs latency, deciding
// twice changes nothing, and a periodic full pass repairs both. Several
// servers may run one each on the same PostgreSQL: claims are leases.
//
// Run belongs to one goroutine; every other method is safe from any.
package conductor

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/patch"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// Options of a conductor.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// OrderKey signs a tenant's orders and holds.
	OrderKey func(fleet.TenantID) (ed25519.PrivateKey, error)
	// Publish sends an envelope to a tenant's agents; an error leaves it in the
	// outbox.
	Publish func(ctx context.Context, tenant fleet.TenantID, subject string, payload []byte) error
	// Link is the address of a device's page, as it goes with an order.
	Link func(ctx context.Context, q *gen.Queries, d identity.Device, expires time.Time) (string, error)
	// OpenAgain excepts what a rollback leaves open, in its transaction.
	OpenAgain func(ctx context.Context, tx *store.Tx, ask Covered) error
	// Verified hears which patches were found verified on devices: what a rollback
	// had left open may be mended by one.
	Verified func(ctx context.Context, tx *store.Tx, tenant string, patches []patch.ID) error
	// Changed tells the faces that a campaign has something new to show.
	Changed func(fleet.TenantID, campaign.ID)
}

// Conductor of all tenants' campaigns.
type Conductor struct {
	Options
	wake     chan struct{}
	enrolled atomic.Bool
	scenes   scenes
}

// New makes a conductor; Run starts it.
func New(o Options) *Conductor {
	if o.Changed == nil {
		o.Changed = func(fleet.TenantID, campaign.ID) {}
	}
	return &Conductor{Options: o, wake: make(chan struct{}, 1), scenes: newScenes()}
}

// Wake makes Run look now. It never blocks.
func (c *Conductor) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Enlist makes the next look give rings to devices that have just enrolled.
func (c *Conductor) Enlist() {
	c.enrolled.Store(true)
	c.Wake()
}

const (
	fullPassEvery = 10 * time.Minute
	longestSleep  = time.Minute
	retryAfter    = 2 * time.Second
	// lease is how long another server waits for what this one claimed: far
	// longer than a batch takes, short enough that a crash is soon repaired.
	lease       = 30 * time.Second
	deviceBatch = 500
)

// Run works until ctx ends.
func (c *Conductor) Run(ctx context.Context) error {
	nextFull := c.Clock() // the first pass repairs what a crash left
	for ctx.Err() == nil {
		if now := c.Clock(); !now.Before(nextFull) {
			if err := errors.Join(c.Plan(ctx), c.touchAll(ctx)); err != nil {
				c.Log.Error("full pass", "err", err)
			}
			nextFull = now.Add(fullPassEvery)
		}
		busy, err := c.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			c.Log.Error("conduct campaigns", "err", err)
			c.sleep(ctx, retryAfter)
		case !busy:
			c.sleep(ctx, c.untilDue(ctx, nextFull))
		}
	}
	return nil
}

// Step does one round of what is due, and tells whether there was any.
func (c *Conductor) Step(ctx context.Context) (busy bool, err error) {
	if c.enrolled.Swap(false) {
		if err := c.touchCampaigns(ctx); err != nil {
			return false, err
		}
	}
	decided, err := c.stepDue(ctx)
	if err != nil {
		return false, err
	}
	sent, err := c.flush(ctx)
	return decided+sent > 0, err
}

// stepDue asks with a read first: a round in which nothing is due costs no
// write.
func (c *Conductor) stepDue(ctx context.Context) (int, error) {
	due, err := c.DB.Read().NextDue(ctx)
	if err != nil {
		return 0, fmt.Errorf("look for what is due: %w", err)
	}
	if due > c.Clock().UnixMicro() {
		return 0, nil
	}
	campaigns, err := c.stepCampaigns(ctx)
	if err != nil {
		return 0, err
	}
	devices, err := c.stepDevices(ctx)
	if err != nil {
		return 0, err
	}
	reboots, err := c.stepReboots(ctx)
	return campaigns + devices + reboots, err
}

func (c *Conductor) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.wake:
	case <-timer.C:
	}
}

// untilDue is how long nothing will be due; never so long that a clock set
// back, or another server's writes, go unnoticed for more than a minute.
func (c *Conductor) untilDue(ctx context.Context, nextFull time.Time) time.Duration {
	now := c.Clock()
	until := min(longestSleep, nextFull.Sub(now))
	due, err := c.DB.Read().NextDue(ctx)
	if err != nil {
		return retryAfter
	}
	if d := time.UnixMicro(due).Sub(now); due < never && d < until {
		until = d
	}
	return max(until, 10*time.Millisecond)
}

// never is the due time of what waits for a touch.
const never = int64(1<<63 - 1)

func due(look time.Time) int64 {
	if look.IsZero() {
		return never
	}
	return look.UnixMicro()
}

func (c *Conductor) touchCampaigns(ctx context.Context) error {
	err := c.DB.Write(ctx, func(tx *store.Tx) error { return tx.TouchAllCampaigns(ctx) })
	if err != nil {
		return fmt.Errorf("touch every open campaign: %w", err)
	}
	return nil
}

func (c *Conductor) touchAll(ctx context.Context) error {
	err := c.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.TouchAllCampaigns(ctx); err != nil {
			return err
		}
		if _, err := tx.TouchActiveDevices(ctx); err != nil {
			return err
		}
		return tx.TouchAllPendingReboots(ctx)
	})
	if err != nil {
		return fmt.Errorf("touch every open campaign: %w", err)
	}
	return nil
}

const outboxBatch = 200

// flush sends the outbox. Crash story: dying between the send and the delete
// sends a message again; envelopes carry serials, so that changes nothing.
func (c *Conductor) flush(ctx context.Context) (int, error) {
	messages, err := c.DB.Read().Outbox(ctx, outboxBatch)
	if err != nil {
		return 0, fmt.Errorf("read the outbox: %w", err)
	}
	if len(messages) == 0 {
		return 0, nil
	}
	for _, m := range messages {
		if err := c.Publish(ctx, fleet.TenantID(m.Tenant), m.Subject, m.Payload); err != nil {
			return 0, fmt.Errorf("publish to %s: %w", m.Subject, err)
		}
	}
	err = c.DB.Write(ctx, func(tx *store.Tx) error {
		for _, m := range messages {
			if err := tx.DropOutbox(ctx, m.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("drop what was sent from the outbox: %w", err)
	}
	return len(messages), nil
}

// seal signs a message with the tenant's order key.
func (c *Conductor) seal(tenant fleet.TenantID, kind wire.EnvelopeKind, v any) (wire.Envelope, error) {
	key, err := c.OrderKey(tenant)
	if err != nil {
		return wire.Envelope{}, fmt.Errorf("open the order key of %s: %w", tenant, err)
	}
	return wire.Seal(kind, v, key)
}
