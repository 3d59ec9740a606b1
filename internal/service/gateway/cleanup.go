package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"patchring/internal/core/cleanup"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// cleaned keeps what a clean-up order came to, and has the device looked at
// again; why is the cause of an order that was not carried out. A device speaks of the items of its own order only.
func (g *Gateway) cleaned(ctx context.Context, tx *store.Tx, row gen.DeviceOrder, outcomes []wire.Outcome, why *wire.Cause) error {
	o, err := payload(row)
	if err != nil {
		return err
	}
	for _, c := range o.CleanUp {
		end := wire.Outcome{Item: c.ID, State: wire.ItemFailed, Cause: why}
		if at := slices.IndexFunc(outcomes, func(o wire.Outcome) bool { return o.Item == c.ID }); at >= 0 {
			end = cleanOutcome(outcomes[at])
		}
		if err := g.cleanedItem(ctx, tx, row, c, end); err != nil {
			return fmt.Errorf("keep clean-up %s: %w", c.ID, err)
		}
	}
	_, err = tx.TouchCleanUp(ctx, row.Tenant, row.Device)
	return err
}

func (g *Gateway) cleanedItem(ctx context.Context, tx *store.Tx, row gen.DeviceOrder, c wire.CleanUp, end wire.Outcome) error {
	was, err := tx.CleanUpItem(ctx, gen.CleanUpItemParams{Tenant: row.Tenant, Device: row.Device, Item: c.ID})
	if store.IsNone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	cause, err := causeText(end.Cause)
	if err != nil {
		return err
	}
	places, err := placesText(end.Freed)
	if err != nil {
		return err
	}
	if end.State == wire.ItemCounted && c.DryRun && end.Freed != nil {
		return tx.CountedCleanUp(ctx, gen.CountedCleanUpParams{
			Tenant: row.Tenant, Device: row.Device, Item: c.ID, Fingerprint: cleanup.FromWire(c).Fingerprint(),
			CountedUs: g.nowUS(), CountedFiles: end.Freed.Files, CountedBytes: end.Freed.Bytes, Places: places,
		})
	}
	whole := end.State == wire.ItemCleaned && end.Cause == nil
	if end.Freed != nil && !c.DryRun {
		if whole {
			was.CleanedUs = g.nowUS()
		}
		if err := tx.CleanedCleanUp(ctx, gen.CleanedCleanUpParams{
			Tenant: row.Tenant, Device: row.Device, Item: c.ID, CleanedUs: was.CleanedUs, Files: end.Freed.Files, Bytes: end.Freed.Bytes,
			AtLeast: bit(end.Freed.AtLeast), Places: places, Cause: cause,
		}); err != nil {
			return err
		}
	}
	if whole {
		return nil
	}
	return tx.TriedCleanUp(ctx, gen.TriedCleanUpParams{Tenant: row.Tenant, Device: row.Device, Item: c.ID, TriedUs: g.nowUS(), Cause: cause})
}

// most is more than any disk holds: a device may lie of itself, and must not
// make a sum overflow.
const most = 1 << 50

func cleanFreed(f *wire.Freed) *wire.Freed {
	if f == nil {
		return nil
	}
	bound := func(n int64) int64 { return min(max(n, 0), most) }
	out := &wire.Freed{Files: bound(f.Files), Bytes: bound(f.Bytes), AtLeast: f.AtLeast}
	for _, p := range f.Places[:min(len(f.Places), wire.MaxFreedPlaces)] {
		out.Places = append(out.Places, wire.FreedPlace{Path: wire.Clean(p.Path, 256), Files: bound(p.Files), Bytes: bound(p.Bytes)})
	}
	return out
}

func placesText(f *wire.Freed) (string, error) {
	list := []wire.FreedPlace{}
	if f != nil {
		list = append(list, f.Places...)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("encode places: %w", err)
	}
	return string(text), nil
}

func freedText(f *wire.Freed) map[string]any {
	places := make([]any, 0, len(f.Places))
	for _, p := range f.Places {
		places = append(places, map[string]any{"path": p.Path, "files": p.Files, "bytes": p.Bytes})
	}
	return map[string]any{"files": f.Files, "bytes": f.Bytes, "at_least": f.AtLeast, "places": places}
}
