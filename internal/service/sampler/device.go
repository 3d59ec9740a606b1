package sampler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/rounds"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// round is a batch of devices of one tenant with all that is read for it.
type round struct {
	*Sampler
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
	able    bool // the agent knows of measures
}

// ofOld begins the digest of what an agent would be told that is too old for it.
const ofOld = "old:"

// known is the digest that stands for the watch once the device was dealt with.
func (w watch) known() string {
	if w.able || w.digest == "" {
		return w.digest
	}
	return ofOld + w.digest
}

func (s *Sampler) decide(ctx context.Context, tx *store.Tx, tenant string, rows []gen.DeviceWatch) (told bool, err error) {
	r := &round{Sampler: s, tx: tx, tenant: fleet.TenantID(tenant), now: s.Clock(), watches: map[policy.Match]watch{}}
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.Device)
	}
	if r.policies, err = s.Policies(ctx, tx.Reads, tenant); err != nil {
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
	if w.able = d.Capability >= wire.CapabilityMeasures; row.Digest != w.known() {
		if err := r.tell(ctx, row, w); err != nil {
			return err
		}
	}
	return r.tx.SetWatchDue(ctx, gen.SetWatchDueParams{Tenant: row.Tenant, Device: row.Device, SeenUs: row.DueUs, DueUs: rounds.Never})
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

// tell signs and sends what the device is to measure. Of an agent that is too old
// for it, that is noted.
func (r *round) tell(ctx context.Context, row gen.DeviceWatch, w watch) error {
	next := gen.SetWatchParams{
		Tenant: row.Tenant, Device: row.Device, SeenSerial: row.Serial, Serial: row.Serial, Probes: w.text, Digest: w.known(), Envelope: row.Envelope, IssuedUs: row.IssuedUs,
	}
	var envelope wire.Envelope
	if w.able {
		var err error
		if envelope, err = r.seal(row, w); err != nil {
			return err
		}
		text, err := json.Marshal(envelope)
		if err != nil {
			return fmt.Errorf("encode envelope: %w", err)
		}
		next.Serial, next.Envelope, next.IssuedUs = row.Serial+1, string(text), r.now.UnixMicro()
	}
	n, err := r.tx.SetWatch(ctx, next)
	if err != nil || n == 0 {
		return err // raised meanwhile: it is due again
	}
	if err := r.expect(ctx, row, w); err != nil || !w.able {
		return err
	}
	r.told = true
	return r.tx.Send(ctx, r.tenant, wire.OrderSubject(row.Device), envelope, r.now.UnixMicro())
}

func (r *round) seal(row gen.DeviceWatch, w watch) (wire.Envelope, error) {
	key, err := r.OrderKey(r.tenant)
	if err != nil {
		return wire.Envelope{}, err
	}
	envelope, err := wire.Seal(wire.EnvelopeWatch, wire.Watch{
		Tenant: row.Tenant, Device: row.Device, Serial: row.Serial + 1, SampleS: w.sampleS, Probes: w.probes,
	}, key)
	if err != nil {
		return wire.Envelope{}, fmt.Errorf("sign what it measures: %w", err)
	}
	return envelope, nil
}

// expect gives each probe that is new, or looks at something else, a state that
// says that nothing is known of it yet, and forgets those that are no more.
func (r *round) expect(ctx context.Context, row gen.DeviceWatch, w watch) error {
	var before []wire.Probe
	if err := json.Unmarshal([]byte(row.Probes), &before); err != nil {
		return fmt.Errorf("read its probes: %w", err)
	}
	for _, p := range before {
		if slices.ContainsFunc(w.probes, func(now wire.Probe) bool { return now.Name == p.Name }) {
			continue
		}
		if err := r.tx.DropProbe(ctx, gen.DropProbeParams{Tenant: row.Tenant, Device: row.Device, Name: p.Name}); err != nil {
			return fmt.Errorf("forget probe %s: %w", p.Name, err)
		}
	}
	state, wasOld := fleet.ProbeUnknown, strings.HasPrefix(row.Digest, ofOld)
	if !w.able {
		state = fleet.ProbeTooOld
	}
	for _, p := range w.probes {
		if w.able && !wasOld && slices.Contains(before, p) {
			continue
		}
		if err := r.tx.PutProbe(ctx, gen.PutProbeParams{Tenant: row.Tenant, Device: row.Device, Name: p.Name, State: string(state), SinceUs: r.now.UnixMicro()}); err != nil {
			return fmt.Errorf("expect probe %s: %w", p.Name, err)
		}
	}
	return nil
}
