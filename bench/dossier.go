//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/wire"
)

// A campaign at its end: one device of twenty is missing, the others have all,
// and nearly all of them are proven.
const (
	missingEach  = 20
	unprovenEach = 50
	departments  = 40
	sites        = 12
	documents    = 3 // of each kind; the median counts
)

// benchDossier measures what the verification of a large campaign costs, beside
// counting its devices and nothing else, and what its documents cost to write.
func benchDossier(ctx context.Context, b *bench) error {
	const small = 5000
	var base documentTimes
	for _, n := range slices.Compact([]int{min(small, b.enrolled), b.enrolled}) {
		t, err := b.documents(ctx, n)
		if err != nil {
			return err
		}
		of := fmt.Sprintf("%d devices", n)
		b.add(Figure{Name: "verification of a campaign of " + of, Value: t.verification, Unit: "ms", Baseline: "count its devices by state", Base: t.count})
		b.add(Figure{Name: fmt.Sprintf("a page of its %d missing devices", n/missingEach), Value: t.page, Unit: "ms"})
		for _, f := range document.Formats() {
			fig := Figure{Name: fmt.Sprintf("dossier of %s as %s", of, f), Value: t.file[f], Unit: "ms", Note: fmt.Sprintf("%s kB, %s MB of memory passed through", number(t.size[f]/1000), number(t.memory[f]/1e6))}
			if base.count > 0 {
				fig.Baseline, fig.Base = fmt.Sprintf("the same of %d devices", small), base.file[f]
			}
			b.add(fig)
		}
		base = t
	}
	return nil
}

// documentTimes are in ms, sizes in bytes.
type documentTimes struct {
	count, verification, page float64
	file, size, memory        map[document.Format]float64
}

func (b *bench) documents(ctx context.Context, n int) (t documentTimes, err error) {
	t = documentTimes{file: map[document.Format]float64{}, size: map[document.Format]float64{}, memory: map[document.Format]float64{}}
	w, err := b.newWorld(ctx, fmt.Sprintf("dossier-%d", n), n)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := errors.Join(w.missPatches(ctx), w.openCampaign(ctx)); err != nil {
		return t, err
	}
	row, err := w.srv.DB.Read().CampaignByName(ctx, string(tenant), "bench")
	if err != nil {
		return t, err
	}
	if err := w.finish(ctx, row.ID); err != nil {
		return t, err
	}
	if t.count, err = middle(func() error { return w.countDevices(ctx, row.ID) }); err != nil {
		return t, err
	}
	if t.verification, err = middle(func() error {
		v, err := w.srv.View.Verification(ctx, tenant, row.ID)
		if err == nil && (v.Total.Total() != int64(n) || v.Proven == nil || *v.Proven == 0) {
			err = fmt.Errorf("the verification counts %+v of %d devices", v.Total, n)
		}
		return err
	}); err != nil {
		return t, err
	}
	if t.page, err = middle(func() error {
		_, err := w.srv.View.Missing(ctx, tenant, view.MissingQuery{Campaign: row.ID})
		return err
	}); err != nil {
		return t, err
	}
	for _, f := range document.Formats() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		t.file[f], err = middle(func() error {
			file, err := w.srv.Dossiers.Draft(ctx, tenant, row.ID, "fr", f)
			t.size[f] = float64(len(file.Body))
			return err
		})
		if err != nil {
			return t, err
		}
		runtime.ReadMemStats(&after)
		t.memory[f] = float64(after.TotalAlloc-before.TotalAlloc) / documents
	}
	return t, nil
}

// middle is the median time of a few, in ms.
func middle(do func() error) (float64, error) {
	var took []time.Duration
	for range documents {
		begun := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took[len(took)/2].Seconds() * 1000, nil
}

// countDevices is the least that a verification could read.
func (w *world) countDevices(ctx context.Context, id string) error {
	rows, err := w.srv.DB.Pool().QueryContext(ctx, "SELECT bucket, count(*) FROM campaign_device WHERE tenant = $1 AND campaign = $2 GROUP BY bucket", string(tenant), id)
	if err != nil {
		return err
	}
	for rows.Next() { //nolint:revive // counted, not read
	}
	return errors.Join(rows.Err(), rows.Close())
}

// finish writes what a campaign leaves behind: what each device has, which are
// missing and why, and what was seen of them since.
func (w *world) finish(ctx context.Context, id string) error {
	now := w.clock()
	why := fault.Because(fault.DeviceUnreachable, "since", now.UTC().Format(time.RFC3339))
	err := w.batches(ctx, w.ids, func(tx *store.Tx, i int) error {
		of := gen.CampaignDevice{Tenant: string(tenant), Campaign: id, Device: string(w.ids[i])}
		tags := errors.Join(
			tx.AddDeviceTag(ctx, gen.AddDeviceTagParams{Tenant: of.Tenant, Device: of.Device, Name: "department", Value: fmt.Sprintf("department-%d", i%departments)}),
			tx.AddDeviceTag(ctx, gen.AddDeviceTagParams{Tenant: of.Tenant, Device: of.Device, Name: "site", Value: fmt.Sprintf("site-%d", i%sites)}))
		if tags != nil {
			return tags
		}
		set := gen.SetCampaignDeviceParams{Tenant: of.Tenant, Campaign: id, Device: of.Device, Bucket: string(campaign.Done), UpdatedUs: now.UnixMicro()}
		if i%missingEach == 0 {
			set.Bucket, set.Reason = string(campaign.Unreachable), string(mustEncode(why))
			return tx.SetCampaignDevice(ctx, set)
		}
		return errors.Join(tx.SetCampaignDevice(ctx, set), w.has(ctx, tx, of, i))
	})
	if err != nil {
		return err
	}
	return w.srv.DB.Write(ctx, func(tx *store.Tx) error {
		for position := range int64(2) {
			err := tx.PutRingEvidence(ctx, gen.PutRingEvidenceParams{
				Tenant: string(tenant), Campaign: id, Position: position, Seen: `{"looked": true}`, Shared: "[]", UpdatedUs: now.UnixMicro(),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// has gives a device every patch of the campaign, verified, and its evidence.
func (w *world) has(ctx context.Context, tx *store.Tx, of gen.CampaignDevice, i int) error {
	for n := range patchesMissing {
		key := missed(n)
		after := campaign.Progress{
			Item: key.ID(), State: patch.Verified, Packages: []wire.Change{{Name: fmt.Sprintf("package-%d", n), From: "1", To: "2", Rollback: wire.RollbackReady}}, Updated: w.clock(),
		}
		if err := tx.MoveItem(ctx, of, campaign.Progress{Item: key.ID(), State: patch.Scheduled}, after); err != nil {
			return err
		}
	}
	if err := tx.DropMissingOfDevice(ctx, of.Tenant, of.Device); err != nil {
		return err
	}
	proven := int64(1)
	if i%unprovenEach == 0 {
		proven = 0
	}
	position := int64(1)
	if i < pilots {
		position = 0
	}
	return tx.PutDeviceEvidence(ctx, gen.PutDeviceEvidenceParams{
		Tenant: of.Tenant, Campaign: of.Campaign, Device: of.Device, Position: position, PatchedUs: w.clock().UnixMicro(), UseS: 90_000, Proven: proven,
	})
}
