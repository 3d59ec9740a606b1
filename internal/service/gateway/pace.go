package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"patchring/internal/core/pace"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// learn keeps how long an order took, for each patch that it installed and for
// the reboot, on the device's model and on all of them. What went back, or
// failed, teaches nothing.
func (g *Gateway) learn(ctx context.Context, tx *store.Tx, d gen.Device, row gen.DeviceOrder, r wire.Result) error {
	sample := pace.Sample{
		Device: d.ID, Download: milliseconds(r.DownloadMS), Install: milliseconds(r.InstallMS), Reboot: milliseconds(r.RebootMS),
	}
	if wire.OrderKind(row.Kind) == wire.OrderRollback || sample.Download+sample.Install+sample.Reboot == 0 {
		return nil
	}
	var done []patch.ID
	for _, o := range r.Outcomes {
		if o.State == wire.ItemVerified || o.State == wire.ItemClaimed {
			done = append(done, patch.ID(wire.Clean(o.Item, 64)))
		}
	}
	model, err := modelOf(ctx, tx, d)
	if err != nil {
		return err
	}
	for _, id := range done {
		if err := g.addSample(ctx, tx, d.Tenant, pace.Key{Patch: id, Model: model}, sample.Share(len(r.Outcomes))); err != nil {
			return err
		}
	}
	return g.addSample(ctx, tx, d.Tenant, pace.Key{Model: model}, pace.Sample{Device: d.ID, Reboot: sample.Reboot})
}

// tookEach is the share of an order's time that each of its patches took: with
// its reboot, for that is what people wait for.
func tookEach(r wire.Result) time.Duration {
	all := milliseconds(r.DownloadMS) + milliseconds(r.InstallMS)
	if all == 0 { // not measured apart
		all = milliseconds(min(r.DurationS, pace.Longest.Milliseconds()) * 1000)
	}
	return all/time.Duration(max(1, len(r.Outcomes))) + milliseconds(r.RebootMS)
}

func milliseconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), pace.Longest.Milliseconds()+1)) * time.Millisecond
}

func modelOf(ctx context.Context, tx *store.Tx, d gen.Device) (string, error) {
	text, err := tx.TraitsOfDevice(ctx, d.Tenant, d.ID)
	if store.IsNone(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read traits of %s: %w", d.ID, err)
	}
	var traits policy.Traits
	if err := json.Unmarshal([]byte(text), &traits); err != nil {
		return "", fmt.Errorf("read traits of %s: %w", d.ID, err)
	}
	return traits.Model, nil
}

func (g *Gateway) addSample(ctx context.Context, tx *store.Tx, tenant string, key pace.Key, s pace.Sample) error {
	keys := []pace.Key{{Patch: key.Patch}}
	if key.Model != "" {
		keys = append(keys, key)
	}
	for _, k := range keys {
		if err := tx.AddPace(ctx, tenant, k, s, g.nowUS()); err != nil {
			return err
		}
	}
	return nil
}
