package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// RecentKept is for how long five-minute points stay before they are merged
// into hours. A block is six hours long and goes as a whole.
const RecentKept = 48 * time.Hour

// KeepPoints keeps points of one device, whose instants are by our clock. Those
// that are kept already change nothing. It tells when their blocks are to be
// merged; 0: nothing was written.
func (tx *Tx) KeepPoints(ctx context.Context, tenant, device string, points []wire.Point) (dueUS int64, err error) {
	blocks := map[int64][]wire.Point{}
	for _, p := range points {
		from := series.Recent(p.AtUS).FromUS
		blocks[from] = append(blocks[from], p)
	}
	for from, list := range blocks {
		changed, err := tx.keepBlock(ctx, tenant, device, from, list)
		if err != nil {
			return 0, fmt.Errorf("keep measures of %s: %w", device, err)
		}
		if due := mergeDue(from); changed && (dueUS == 0 || due < dueUS) {
			dueUS = due
		}
	}
	return dueUS, nil
}

func mergeDue(fromUS int64) int64 { return fromUS + series.RecentUS + RecentKept.Microseconds() }

func (tx *Tx) keepBlock(ctx context.Context, tenant, device string, fromUS int64, points []wire.Point) (bool, error) {
	block := series.Recent(fromUS)
	bodies, err := tx.RecentBlocks(ctx, gen.RecentBlocksParams{Tenant: tenant, Device: device, FromUs: fromUS})
	if err != nil {
		return false, err
	}
	if changed, err := addTo(block, bodies, points); err != nil || !changed {
		return false, err
	}
	return true, tx.PutRecentBlock(ctx, gen.PutRecentBlockParams{Tenant: tenant, Device: device, FromUs: fromUS, Body: block.Pack()})
}

// addTo reads a block as it is kept, if it is, and adds points.
func addTo(block *series.Block, bodies [][]byte, points []wire.Point) (changed bool, err error) {
	for _, body := range bodies {
		if err := block.Unpack(body); err != nil {
			return false, fmt.Errorf("read block %d: %w", block.FromUS, err)
		}
	}
	for _, p := range points {
		changed = block.Put(p) || changed
	}
	return changed, nil
}

// MergePoints merges a device's blocks of points that are old enough into hours,
// drops the hours that are kept no longer, and plans the next look.
//
// Crash story: hours and the points they were made of change in one
// transaction; an hour that is there already stays, so merging again changes
// nothing.
func (tx *Tx) MergePoints(ctx context.Context, tenant, device string, now time.Time, kept time.Duration) error {
	mergeable := now.Add(-RecentKept).UnixMicro() - series.RecentUS + 1 // the first instant of a block that is too young
	rows, err := tx.RecentBefore(ctx, gen.RecentBeforeParams{Tenant: tenant, Device: device, BeforeUs: mergeable})
	if err != nil {
		return fmt.Errorf("read points of %s: %w", device, err)
	}
	weeks := map[int64][]wire.Point{}
	for _, row := range rows {
		block := series.Recent(row.FromUs)
		if err := block.Unpack(row.Body); err != nil {
			return fmt.Errorf("read points of %s at %d: %w", device, row.FromUs, err)
		}
		from := series.Past(row.FromUs).FromUS
		weeks[from] = append(weeks[from], block.Hours()...)
	}
	for from, hours := range weeks {
		if err := tx.keepHours(ctx, tenant, device, from, hours); err != nil {
			return fmt.Errorf("merge points of %s: %w", device, err)
		}
	}
	expired := now.Add(-kept).UnixMicro() - series.PastUS + 1
	return errors.Join(
		tx.DropRecentBefore(ctx, gen.DropRecentBeforeParams{Tenant: tenant, Device: device, BeforeUs: mergeable}),
		tx.DropPastBefore(ctx, gen.DropPastBeforeParams{Tenant: tenant, Device: device, BeforeUs: expired}),
		tx.planMerge(ctx, tenant, device, kept),
	)
}

func (tx *Tx) keepHours(ctx context.Context, tenant, device string, fromUS int64, hours []wire.Point) error {
	block := series.Past(fromUS)
	bodies, err := tx.PastBlocks(ctx, gen.PastBlocksParams{Tenant: tenant, Device: device, FromUs: fromUS})
	if err != nil {
		return err
	}
	if changed, err := addTo(block, bodies, hours); err != nil || !changed {
		return err
	}
	return tx.PutPastBlock(ctx, gen.PutPastBlockParams{Tenant: tenant, Device: device, FromUs: fromUS, Body: block.Pack()})
}

func (tx *Tx) planMerge(ctx context.Context, tenant, device string, kept time.Duration) error {
	recent, e1 := tx.OldestRecent(ctx, tenant, device)
	past, e2 := tx.OldestPast(ctx, tenant, device)
	if err := errors.Join(e1, e2); err != nil {
		return fmt.Errorf("plan the next look at measures of %s: %w", device, err)
	}
	var due int64
	if recent > 0 {
		due = mergeDue(recent)
	}
	if drop := past + series.PastUS + kept.Microseconds(); past > 0 && (due == 0 || drop < due) {
		due = drop
	}
	return tx.SetMeasuresDue(ctx, gen.SetMeasuresDueParams{Tenant: tenant, Device: device, DueUs: due})
}

// kind of blocks: where they are, and what an empty one is.
type kind struct {
	text  string
	empty func(atUS int64) *series.Block
	span  int64
}

// kinds are the two, oldest first.
func kinds() []kind {
	const where = ` WHERE tenant = $1 AND from_us > $2 AND from_us < $3 AND device IN (`
	return []kind{
		{`SELECT device, from_us, body FROM measure_past` + where, series.Past, series.PastUS},
		{`SELECT device, from_us, body FROM measure_recent` + where, series.Recent, series.RecentUS},
	}
}

// seriesBatch is how many devices one statement names.
const seriesBatch = 500

// Series reads what is kept of some devices of a tenant, in one state of the
// database. See Reads.Series.
func (db *DB) Series(ctx context.Context, tenant fleet.TenantID, devices []fleet.DeviceID, ask series.Ask) (out map[fleet.DeviceID]series.Series, err error) {
	err = db.Snapshot(ctx, func(r Reads) error {
		out, err = r.Series(ctx, tenant, devices, ask)
		return err
	})
	return out, err
}

// Series reads what is kept of some devices of a tenant, oldest first. One
// measure of a device for four weeks is some 30 kB in memory: ask for a few
// hundred devices at a time.
func (r Reads) Series(ctx context.Context, tenant fleet.TenantID, devices []fleet.DeviceID, ask series.Ask) (map[fleet.DeviceID]series.Series, error) {
	out := make(map[fleet.DeviceID]series.Series, len(devices))
	ids := make([]string, 0, len(devices))
	for _, d := range devices {
		out[d], ids = series.Series{}, append(ids, string(d))
	}
	for batch := range slices.Chunk(ids, seriesBatch) {
		for _, k := range kinds() {
			args := []any{string(tenant), ask.FromUS - k.span, ask.ToUS}
			err := r.eachWith(ctx, k.text, " ORDER BY device, from_us", args, batch, func(rows *sql.Rows) error { return k.add(rows, ask, out) })
			if err != nil {
				return nil, fmt.Errorf("read measures of %d devices: %w", len(batch), err)
			}
		}
	}
	return out, nil
}

func (k kind) add(rows *sql.Rows, ask series.Ask, out map[fleet.DeviceID]series.Series) error {
	var device string
	var from int64
	var body []byte
	if err := rows.Scan(&device, &from, &body); err != nil {
		return err
	}
	block := k.empty(from)
	if err := block.UnpackOf(body, ask.Measures); err != nil {
		return fmt.Errorf("block %d of %s: %w", from, device, err)
	}
	out[fleet.DeviceID(device)].Add(block, ask)
	return nil
}
