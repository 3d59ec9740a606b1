// Package archive keeps measures bounded: what is old enough is merged from
// five-minute points into hours, and hours are dropped when their time is over.
// It decides nothing, and measures nothing.
//
// It is level-triggered and idempotent: each device says when it is next to be
// looked at, a batch is one transaction, and merging again changes nothing.
// Several servers may run one each.
//
// Run belongs to one goroutine; Step is for it and for tests.
package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Options of an archive.
type Options struct {
	DB    *store.DB
	Clock func() time.Time
	Log   *slog.Logger
	// Kept is for how long hours are kept.
	Kept time.Duration
}

// Archive of all tenants' measures.
type Archive struct{ Options }

// New makes an archive; Run starts it.
func New(o Options) *Archive { return &Archive{o} }

const (
	// every is how often it looks. A merge that is late by that much is read as
	// well as one in time.
	every = time.Minute
	// batch is how many devices one transaction merges: other writers wait for it.
	batch = 50
)

// Run looks again and again until ctx ends.
func (a *Archive) Run(ctx context.Context) error {
	return rounds.Every(ctx, every, a.Log, "merge measures", a.Step)
}

// Step merges all that is due. A tenant that fails keeps no other waiting.
func (a *Archive) Step(ctx context.Context) error {
	tenants, err := a.DB.Read().Tenants(ctx)
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	var errs []error
	for _, t := range tenants {
		for n := batch; n == batch; {
			if n, err = a.merge(ctx, t.ID); err != nil {
				errs = append(errs, fmt.Errorf("tenant %s: %w", t.ID, err))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// merge does one batch. What it has looked at is not due any more, so each
// batch is another one.
func (a *Archive) merge(ctx context.Context, tenant string) (n int, err error) {
	now := a.Clock()
	due := gen.DueMeasuresParams{Tenant: tenant, NowUs: now.UnixMicro(), Max: batch}
	if waiting, err := a.DB.Read().DueMeasures(ctx, due); err != nil || len(waiting) == 0 {
		return 0, err // mostly: no transaction for nothing
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		devices, err := tx.DueMeasures(ctx, due)
		if err != nil {
			return fmt.Errorf("look for what is due: %w", err)
		}
		n = len(devices)
		for _, device := range devices {
			if err := tx.MergePoints(ctx, tenant, device, now, a.Kept); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
