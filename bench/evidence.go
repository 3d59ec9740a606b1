//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// benchEvidence measures what watching the rings costs every five seconds, once
// so many devices are patched and proven, and what it costs when their hours of
// use are counted again, each beside one bare read of the same devices. No
// measures are kept here: what judging them costs is in the section "measures".
func benchEvidence(ctx context.Context, b *bench) error {
	for _, n := range slices.Compact([]int{min(5_000, b.enrolled), min(50_000, b.enrolled)}) {
		if err := b.watch(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) watch(ctx context.Context, n int) (err error) {
	w, err := b.newWorld(ctx, fmt.Sprintf("evidence-%d", n), n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := errors.Join(w.missPatches(ctx), w.openCampaign(ctx)); err != nil {
		return err
	}
	row, err := w.srv.DB.Read().CampaignByName(ctx, string(tenant), "bench")
	if err != nil {
		return err
	}
	if err := errors.Join(w.finish(ctx, row.ID), w.openRings(ctx, row.ID)); err != nil {
		return err
	}
	bare, err := middle(func() error { return w.countDevices(ctx, row.ID) })
	if err != nil {
		return err
	}
	if err := w.srv.Evidence.Step(ctx); err != nil { // the first finds everything new
		return err
	}
	watched, err := middle(func() error { return w.srv.Evidence.Step(ctx) })
	if err != nil {
		return err
	}
	counted, err := middle(func() error {
		w.advance(proofEvery)
		return w.srv.Evidence.Step(ctx)
	})
	if err != nil {
		return err
	}
	of := fmt.Sprintf("%d patched devices", n-n/missingEach)
	b.add(Figure{Name: "watch the rings of " + of, Value: watched, Unit: "ms", Baseline: "count them by state", Base: bare})
	b.add(Figure{Name: "the same, and count their hours of use", Value: counted, Unit: "ms", Baseline: "count them by state", Base: bare})
	return nil
}

// proofEvery is a little more than how often hours of use are counted.
const proofEvery = 16 * time.Minute

// openRings has every ring watched, as in a campaign near its end, from nothing
// known on.
func (w *world) openRings(ctx context.Context, id string) error {
	rings, err := w.srv.DB.Read().Rings(ctx, string(tenant), id)
	if err != nil {
		return err
	}
	return w.srv.DB.Write(ctx, func(tx *store.Tx) error {
		for _, r := range rings {
			err := tx.PutRingEvidence(ctx, gen.PutRingEvidenceParams{
				Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Position: r.Position, Seen: "{}", Health: "{}", Shared: "[]",
			})
			if err != nil {
				return err
			}
			err = tx.SetRing(ctx, gen.SetRingParams{
				Tenant: r.Tenant, Campaign: r.Campaign, Amendment: r.Amendment, Position: r.Position, State: "open", Reasons: "[]", Evidence: "[]",
				OpenedUs: w.clock().UnixMicro(), DecidedUs: w.clock().UnixMicro(),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
