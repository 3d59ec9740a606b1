package prober

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// round is a batch of devices of one tenant with all that is read for it.
type round struct {
	*Prober
	tx       *store.Tx
	tenant   fleet.TenantID
	now      time.Time
	batch    store.Batch
	policies policy.Policies
	watches  map[policy.Match]watch // worked out once: most of a fleet has a few matches
	told     bool
}

// watch is what the devices of a match are told.
type watch struct {
	sampleS int64
	probes  []wire.Probe
	text    string // the probes, JSON
	digest  string
}

func (p *Prober) decide(ctx context.Context, tx *store.Tx, tenant string, rows []gen.DeviceWatch) (told bool, err error) {
	r := &round{Prober: p, tx: tx, tenant: fleet.TenantID(tenant), now: p.Clock(), watches: map[policy.Match]watch{}}
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.Device)
	}
	if r.policies, err = p.Policies(ctx, tx.Reads, tenant); err != nil {
		return false, err
	}
	if r.batch, err = tx.SubjectBatch(ctx, tenant, ids); err != nil {
		return false, err
	}
	if r.policies.AskSoftware() {
		if r.batch.Software, err = tx.Software(ctx, tenant, ids); err != nil {
			return false, err
		}
	}
	for _, row := range rows {
		if err := r.device(ctx, row); err != nil {
			return false, fmt.Errorf("device %s: %w", row.Device, err)
		}
	}
	return r.told, nil
}

// device tells one device what to measure, where that is not what it was told.
func (r *round) device(ctx context.Context, row gen.DeviceWatch) error {
	d, known := r.batch.Devices[row.Device]
	if !known || d.RetiredUs > 0 {
		if err := r.tx.DropProbes(ctx, row.Tenant, row.Device); err != nil {
			return err
		}
		return r.tx.DropWatch(ctx, row.Tenant, row.Device)
	}
	w, err := r.watchOf(row.Device)
	if err != nil {
		return err
	}
	if row.Digest != w.digest && d.Capability >= wire.CapabilityMeasures {
		if err := r.tell(ctx, row, w); err != nil {
			return err
		}
	}
	return r.tx.SetWatchDue(ctx, gen.SetWatchDueParams{Tenant: row.Tenant, Device: row.Device, SeenUs: row.DueUs, DueUs: never})
}

func (r *round) watchOf(id string) (watch, error) {
	var match policy.Match
	if r.policies.AskDevices() {
		d, err := store.Subject(r.batch.Devices[id], r.batch.Groups[id], r.batch.Traits[id], r.batch.Software[id])
		if err != nil {
			return watch{}, err
		}
		match = r.policies.Match(&d, r.now)
	}
	w, known := r.watches[match]
	if !known {
		var err error
		if w, err = watchFrom(r.policies.Settings(match)); err != nil {
			return watch{}, err
		}
		r.watches[match] = w
	}
	return w, nil
}

func watchFrom(s policy.Settings) (watch, error) {
	w := watch{sampleS: int64(s.SampleEvery / time.Second), probes: s.Probes}
	if w.sampleS == 0 {
		w.sampleS = wire.DefaultSampleS
	}
	if w.probes == nil {
		w.probes = []wire.Probe{}
	}
	text, err := json.Marshal(w.probes)
	if err != nil {
		return watch{}, fmt.Errorf("encode probes: %w", err)
	}
	w.text = string(text)
	if len(w.probes) == 0 && w.sampleS == wire.DefaultSampleS {
		return w, nil // what a device does that was told nothing has no digest
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", w.sampleS, text))
	w.digest = hex.EncodeToString(sum[:])
	return w, nil
}

// tell signs and sends what the device is to measure, and forgets what probes
// found that it does not make any more, or makes otherwise.
func (r *round) tell(ctx context.Context, row gen.DeviceWatch, w watch) error {
	key, err := r.OrderKey(r.tenant)
	if err != nil {
		return err
	}
	envelope, err := wire.Seal(wire.EnvelopeWatch, wire.Watch{
		Tenant: row.Tenant, Device: row.Device, Serial: row.Serial + 1, SampleS: w.sampleS, Probes: w.probes,
	}, key)
	if err != nil {
		return fmt.Errorf("sign what it measures: %w", err)
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return fmt.Errorf("encode envelope: %w", err)
	}
	if err := r.forget(ctx, row, w.probes); err != nil {
		return err
	}
	n, err := r.tx.SetWatch(ctx, gen.SetWatchParams{
		Tenant: row.Tenant, Device: row.Device, Serial: row.Serial + 1, Probes: w.text, Digest: w.digest, Envelope: string(text), IssuedUs: r.now.UnixMicro(),
	})
	if err != nil || n == 0 {
		return err // raised meanwhile: it is due again
	}
	r.told = true
	return r.tx.Send(ctx, r.tenant, wire.OrderSubject(row.Device), envelope, r.now.UnixMicro())
}

func (r *round) forget(ctx context.Context, row gen.DeviceWatch, now []wire.Probe) error {
	var before []wire.Probe
	if err := json.Unmarshal([]byte(row.Probes), &before); err != nil {
		return fmt.Errorf("read its probes: %w", err)
	}
	for _, p := range before {
		if slices.Contains(now, p) {
			continue
		}
		if err := r.tx.DropProbe(ctx, gen.DropProbeParams{Tenant: row.Tenant, Device: row.Device, Name: p.Name}); err != nil {
			return fmt.Errorf("forget probe %s: %w", p.Name, err)
		}
	}
	return nil
}
