package evidence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// useBatch is how many devices' hours of use are read at once.
const useBatch = 250

// enoughUse is for how long use is counted where the gate asks for less.
const enoughUse = 24 * time.Hour

// notMeasured: the agent does not say how much the device is used.
const notMeasured = -1

// prove counts which devices of the ring are proven: verified, no probe that says
// no, no service that stopped, and in use since. It gives the rows that changed. Devices that were in use
// long enough are not read again.
func (w *watched) prove(ctx context.Context, r store.Reads) ([]gen.DeviceEvidence, error) {
	if !w.provingNow() {
		return nil, nil
	}
	patched, err := r.PatchedDevices(ctx, gen.PatchedDevicesParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return nil, fmt.Errorf("read patched devices: %w", err)
	}
	w.row.ProofUs = w.now.UnixMicro()
	known, down, err := w.before(ctx, r)
	if err != nil {
		return nil, err
	}
	w.row.FirstUs, w.gone = 0, gone(known, patched)
	var fresh []gen.DeviceEvidence
	var hours []float64
	w.seen.Proven = 0
	for batch := range slices.Chunk(patched, useBatch) {
		used, err := w.used(ctx, r, batch, known)
		if err != nil {
			return nil, err
		}
		for _, p := range batch {
			d := gen.DeviceEvidence{
				Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Device: p.Device, Position: w.Position,
				PatchedUs: p.PatchedUs, UseS: used[p.Device], ProbesDown: down[p.Device], ServicesDown: w.down[p.Device],
			}
			if w.row.FirstUs == 0 || p.PatchedUs < w.row.FirstUs {
				w.row.FirstUs = p.PatchedUs
			}
			if d.ProbesDown == 0 && d.ServicesDown == 0 && d.UseS > 0 && float64(d.UseS) >= w.rule.Gate.MinHoursOfUse*3600 {
				d.Proven = 1
				w.seen.Proven++
			}
			hours = append(hours, max(0, float64(d.UseS)/3600))
			if known[p.Device] != d {
				fresh = append(fresh, d)
			}
		}
	}
	w.seen.UseHours = median(hours)
	return fresh, nil
}

// gone are devices that were patched and are no longer: what they had was rolled
// back, or they have left the ring.
func gone(known map[string]gen.DeviceEvidence, patched []gen.PatchedDevicesRow) (out []string) {
	still := make(map[string]bool, len(patched))
	for _, p := range patched {
		still[p.Device] = true
	}
	for device := range known {
		if !still[device] {
			out = append(out, device)
		}
	}
	slices.Sort(out)
	return out
}

// provingNow tells whether it is time to count again what changes slowly.
func (w *watched) provingNow() bool {
	return w.row.ProofUs == 0 || w.now.UnixMicro()-w.row.ProofUs >= proofEvery.Microseconds()
}

// before is what was known of devices, and how many of their probes say no now.
func (w *watched) before(ctx context.Context, r store.Reads) (known map[string]gen.DeviceEvidence, down map[string]int64, err error) {
	rows, err := r.DeviceEvidence(ctx, gen.DeviceEvidenceParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return nil, nil, fmt.Errorf("read evidence of devices: %w", err)
	}
	known, down = make(map[string]gen.DeviceEvidence, len(rows)), map[string]int64{}
	for _, d := range rows {
		known[d.Device] = d
	}
	probes, err := r.ProbesDown(ctx, gen.ProbesDownParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return nil, nil, fmt.Errorf("look for probes that say no: %w", err)
	}
	for _, p := range probes {
		down[p.Device]++ // since when does not matter: what is down is not proven
	}
	return known, down, nil
}

// used is for how long devices were in use since they were patched.
func (w *watched) used(ctx context.Context, r store.Reads, batch []gen.PatchedDevicesRow, known map[string]gen.DeviceEvidence) (map[string]int64, error) {
	out := make(map[string]int64, len(batch))
	var ask []fleet.DeviceID
	since := map[string]int64{}
	earliest := w.now.UnixMicro()
	for _, p := range batch {
		if k, ok := known[p.Device]; ok && k.PatchedUs == p.PatchedUs && float64(k.UseS) >= max(enoughUse.Seconds(), w.rule.Gate.MinHoursOfUse*3600) {
			out[p.Device] = k.UseS
			continue
		}
		out[p.Device] = notMeasured
		ask, since[p.Device] = append(ask, fleet.DeviceID(p.Device)), p.PatchedUs
		earliest = min(earliest, p.PatchedUs)
	}
	if len(ask) == 0 {
		return out, nil
	}
	all, err := r.Series(ctx, fleet.TenantID(w.Tenant), ask, series.Ask{FromUS: earliest, ToUS: w.now.UnixMicro(), Measures: []wire.Measure{wire.MeasureUse}})
	if err != nil {
		return nil, err
	}
	for device, s := range all {
		for _, slot := range s[wire.MeasureUse] {
			if slot.AtUS < since[string(device)] {
				continue
			}
			out[string(device)] = max(0, out[string(device)]) + int64(slot.Mean/100*float64(slot.StepS))
		}
	}
	return out, nil
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	n := len(values)
	return (values[n/2] + values[(n-1)/2]) / 2
}
