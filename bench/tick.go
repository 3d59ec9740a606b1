//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// A fleet as it is on the first day: the pilots have their orders, everybody
// else waits for their ring.
const (
	pilots         = 100
	patchesMissing = 3
	ticks          = 60
)

const tickProcedure = `
procedure: bench
title: {fr: "Banc", en: "Bench"}
owner: it
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation, server]}
rings:
  - name: R0
    title: {fr: "Pilotes", en: "Pilots"}
    members: {groups: [pilots]}
    opens: {day: 1}
    closes: {day: 2}
    soak: 2h
    gate:
      evidence: {min_devices: 1, min_done_percent: 100, max_failed: 0, max_unreachable_percent: 0, max_not_reached_percent: 0}
  - name: GLOBAL
    title: {fr: "Tous", en: "Everyone"}
    members: {rest: true}
    opens: {day: 8}
    soak: 24h
    gate:
      evidence: {min_devices: 1, min_done_percent: 90, max_failed: 10, max_unreachable_percent: 50, max_not_reached_percent: 50}
windows:
  - {name: always, for: {all: true}, days: [mon, tue, wed, thu, fri, sat, sun], start: "00:00", end: "23:59"}
reboot: never
attempts: 2
retry_after: 4h
unreachable_after: 72h
verification: {days_after_last_ring_opens: 2}
`

// benchTick measures what one report sets off in a campaign, in a small fleet
// and in a large one: the work must follow the report, not the fleet.
func benchTick(ctx context.Context, b *bench) error {
	const small = 1000
	base, err := b.ticks(ctx, small)
	if err != nil {
		return err
	}
	large, err := b.ticks(ctx, b.enrolled)
	if err != nil {
		return err
	}
	in := func(n int) string { return fmt.Sprintf("the same with %d devices", n) }
	b.add(Figure{
		Name: fmt.Sprintf("tick after one report, %d devices in the campaign", b.enrolled), Value: large.median, Unit: "ms",
		Baseline: in(small), Base: base.median, Aim: 50, Note: fmt.Sprintf("slowest of %d: %s ms", ticks, number(large.slowest)),
	})
	b.add(Figure{
		Name: fmt.Sprintf("take up a campaign of %d devices", b.enrolled), Value: large.start.Seconds(), Unit: "s",
		Baseline: fmt.Sprintf("%d times 1000 devices", b.enrolled/small), Base: base.start.Seconds() * float64(b.enrolled) / small,
		Note: "enlist, seal, decide on all, order the pilots",
	})
	return nil
}

type tickTimes struct {
	median, slowest float64 // ms
	start           time.Duration
}

func (b *bench) ticks(ctx context.Context, n int) (out tickTimes, err error) {
	w, err := b.newWorld(ctx, fmt.Sprintf("tick-%d", n), n)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := w.missPatches(ctx); err != nil {
		return out, err
	}
	begun := time.Now()
	if err := w.openCampaign(ctx); err != nil {
		return out, err
	}
	out.start = time.Since(begun)
	var took []time.Duration
	for i := range ticks {
		w.advance(time.Second)
		if err := w.finishOrder(ctx, i); err != nil {
			return out, err
		}
		begun := time.Now()
		if err := w.settle(ctx); err != nil {
			return out, err
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	out.median, out.slowest = took[len(took)/2].Seconds()*1000, took[len(took)-1].Seconds()*1000
	return out, nil
}

func missed(i int) patch.Key {
	return patch.Key{Provider: "apt", Name: fmt.Sprintf("source-%d", i), Version: "2", Suite: "bookworm-security"}
}

// missPatches writes what scans would have: every device misses the same.
func (w *world) missPatches(ctx context.Context) error {
	now := w.clock().UnixMicro()
	err := w.srv.DB.Write(ctx, func(tx *store.Tx) error {
		for i := range patchesMissing {
			key := missed(i)
			_, err := tx.PutPatch(ctx, gen.PutPatchParams{
				Tenant: string(tenant), ID: string(key.ID()), Provider: key.Provider, Name: key.Name, Version: key.Version, Suite: key.Suite,
				Origin: "Debian-Security", Class: string(patch.Security), FirstSeenUs: now,
			})
			if err != nil {
				return err
			}
			if err := tx.AddPatchDevices(ctx, gen.AddPatchDevicesParams{Tenant: string(tenant), ID: string(key.ID()), Delta: int64(len(w.ids))}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	return w.batches(ctx, w.ids, func(tx *store.Tx, d int) error {
		for i := range patchesMissing {
			key := missed(i)
			err := tx.PutMissing(ctx, gen.PutMissingParams{
				Tenant: string(tenant), Device: string(w.ids[d]), Patch: string(key.ID()), State: wire.PatchOffered,
				Packages: fmt.Sprintf(`[{"name":"package-%d","from":"1","to":"2"}]`, i), SinceUs: now,
			})
			if err != nil {
				return err
			}
		}
		return w.scanned(ctx, tx, d)
	})
}

func (w *world) scanned(ctx context.Context, tx *store.Tx, d int) error {
	return tx.SetDeviceScan(ctx, gen.SetDeviceScanParams{
		Tenant: string(tenant), ID: string(w.ids[d]), ScanUs: w.clock().UnixMicro(), ScanStatus: string(wire.ScanOK),
		ListsUs: w.clock().UnixMicro(), Missing: patchesMissing, MissingSecurity: patchesMissing, PartHashes: "{}",
	})
}

// openCampaign starts one now and carries it to where only reports move it.
func (w *world) openCampaign(ctx context.Context) error {
	by := register.User("bench")
	names := make([]string, 0, pilots)
	for i := range pilots {
		names = append(names, fmt.Sprintf("PC-%06d", i))
	}
	if err := errors.Join(w.srv.Roster.Create(ctx, tenant, by, "pilots", "Pilots"), w.srv.Roster.Add(ctx, tenant, by, "pilots", names)); err != nil {
		return err
	}
	if _, err := w.srv.Conductor.ApplyProcedure(ctx, tenant, by, "bench.yaml", []byte(tickProcedure)); err != nil {
		return err
	}
	if _, err := w.srv.Conductor.CreateCampaign(ctx, tenant, by, campaign.Create{Procedure: "bench", Name: "bench", Now: true}); err != nil {
		return err
	}
	if _, err := w.srv.Conductor.Step(ctx); err != nil { // it asks for scans made from now on
		return err
	}
	w.advance(time.Minute)
	if err := w.batches(ctx, w.ids, func(tx *store.Tx, d int) error { return w.scanned(ctx, tx, d) }); err != nil {
		return err
	}
	w.advance(time.Minute)
	if err := w.settle(ctx); err != nil {
		return err
	}
	open, err := w.srv.DB.Read().OpenOrders(ctx, string(tenant), string(w.ids[pilots-1]))
	if err != nil {
		return err
	}
	if len(open) != 1 {
		return fmt.Errorf("the last pilot has %d orders, want one: the campaign is not where it should be", len(open))
	}
	return nil
}

// settle lets the conductor work until nothing is due.
func (w *world) settle(ctx context.Context) error {
	for {
		busy, err := w.srv.Conductor.Step(ctx)
		if err != nil || !busy {
			return err
		}
	}
}

// finishOrder lets a pilot report that its order is done.
func (w *world) finishOrder(ctx context.Context, i int) error {
	device := w.ids[i]
	open, err := w.srv.DB.Read().OpenOrders(ctx, string(tenant), string(device))
	if err != nil {
		return err
	}
	if len(open) != 1 {
		return fmt.Errorf("device %d has %d open orders, want one", i, len(open))
	}
	var envelope wire.Envelope
	var o wire.Order
	if err := errors.Join(json.Unmarshal([]byte(open[0].Envelope), &envelope), json.Unmarshal(envelope.Payload, &o)); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	result := wire.Result{}
	for _, item := range o.Items {
		result.Outcomes = append(result.Outcomes, wire.Outcome{Item: item.ID, State: wire.ItemVerified, Packages: item.Packages})
	}
	at := w.clock().UnixMicro()
	return w.handle(ctx, device, wire.ReportEvents, mustEncode(wire.Events{Events: []wire.Event{
		{Seq: 1, AtUS: at, Kind: wire.EventStep, Order: o.ID, Serial: o.Serial, Step: wire.StepAccepted},
		{Seq: 2, AtUS: at, Kind: wire.EventResult, Order: o.ID, Serial: o.Serial, Step: wire.StepDone, Result: &result},
	}}))
}
