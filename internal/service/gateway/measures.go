package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

const (
	// oldestPoint is the oldest that is taken: agents keep theirs for a week.
	oldestPoint = 14 * 24 * time.Hour
	// sameShift is by how much two tellings of a device's clock may differ before
	// its points move to other steps: messages take their time, and a point that
	// is sent again must meet itself.
	sameShift = series.PointUS * 3 / 4
	// probeHeard is how often it is written that a probe still finds the same.
	probeHeard = 5 * time.Minute
)

// measures keeps what a device measured, and lets whoever watches hear of it.
func (g *Gateway) measures(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, m wire.MeasuresReport) (any, error) {
	points, upTo := acceptable(m)
	var sample *wire.Sample
	err := g.writer.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err := known(ctx, tx, tenant, device)
		if err != nil {
			return err
		}
		before, err := heardBefore(ctx, tx, d)
		if err != nil {
			return err
		}
		row := before.DeviceSample
		row.ShiftUs = g.shift(row.ShiftUs, m.NowUS)
		if row.DueUs, err = tx.KeepPoints(ctx, d.Tenant, d.ID, g.placed(points, row.ShiftUs)); err != nil {
			return err
		}
		if sample, err = g.heard(ctx, tx, d, m); err != nil {
			return err
		}
		if look, ok := g.lookOf(m, sample); ok {
			if row.ServicesUs, err = keepServices(ctx, tx, d, before, look); err != nil {
				return err
			}
		}
		return keepSample(ctx, tx, row, sample)
	})
	if err != nil {
		return wire.MeasuresReply{}, err
	}
	if sample != nil {
		g.Sampled(tenant, device, *sample)
	}
	return wire.MeasuresReply{UpToUS: upTo}, nil
}

// acceptable are the points of a report that may be kept, oldest first and no
// more than one report may carry, and up to which one all are dealt with. One
// that begins after the device's own now was made before its clock was set: when
// it was is not known.
func acceptable(m wire.MeasuresReport) (list []wire.Point, upToUS int64) {
	points := slices.Clone(m.Points)
	slices.SortStableFunc(points, func(a, b wire.Point) int {
		switch {
		case a.AtUS < b.AtUS:
			return -1
		case a.AtUS > b.AtUS:
			return 1
		}
		return 0
	})
	points = points[:min(len(points), wire.MaxPointsPerSend)]
	for _, p := range points {
		upToUS = p.AtUS
		if p.AtUS > 0 && (m.NowUS == 0 || p.AtUS <= m.NowUS) {
			list = append(list, p)
		}
	}
	return list, upToUS
}

func heardBefore(ctx context.Context, tx *store.Tx, d gen.Device) (gen.HeardRow, error) {
	rows, err := tx.Heard(ctx, d.Tenant, d.ID)
	if err != nil {
		return gen.HeardRow{}, fmt.Errorf("read the last sample of %s: %w", d.ID, err)
	}
	if len(rows) == 0 {
		return gen.HeardRow{DeviceSample: gen.DeviceSample{Tenant: d.Tenant, Device: d.ID}}, nil
	}
	return rows[0], nil
}

// fillWatch sends what the device is to measure, where what it knows is older.
// One that knows better than we do is told again, by a serial later than its
// own: our database was restored.
func (g *Gateway) fillWatch(ctx context.Context, tx *store.Tx, d gen.Device, m wire.Checkin, reply *wire.CheckinReply) error {
	if m.Capability < wire.CapabilityMeasures {
		return nil
	}
	if d.Capability < wire.CapabilityMeasures {
		if _, err := tx.TouchWatch(ctx, d.Tenant, d.ID); err != nil {
			return fmt.Errorf("look again at what %s measures: %w", d.ID, err)
		}
	}
	rows, err := tx.WatchOf(ctx, d.Tenant, d.ID)
	if err != nil {
		return fmt.Errorf("read what %s is to measure: %w", d.ID, err)
	}
	if latest := latestSerial(rows); latest < m.WatchSerial && m.WatchSerial < mostSerial {
		_, err := tx.RaiseWatch(ctx, gen.RaiseWatchParams{Tenant: d.Tenant, Device: d.ID, Serial: m.WatchSerial})
		return err
	}
	for _, row := range rows {
		if row.Serial <= m.WatchSerial || row.Envelope == "" {
			continue
		}
		reply.Watch = new(wire.Envelope)
		if err := json.Unmarshal([]byte(row.Envelope), reply.Watch); err != nil {
			return fmt.Errorf("read what %s is to measure: %w", d.ID, err)
		}
	}
	return nil
}

// mostSerial bounds what a device can have its serial raised to.
const mostSerial = 1 << 53

func latestSerial(rows []gen.DeviceWatch) int64 {
	if len(rows) == 0 {
		return 0
	}
	return rows[0].Serial
}

// shift is by how much points of a device are moved: by nothing while its clock
// is about right, and by the same as before while that is about right.
func (g *Gateway) shift(before, deviceNowUS int64) int64 {
	if deviceNowUS == 0 {
		return before
	}
	off := g.nowUS() - deviceNowUS
	for _, s := range []int64{before, 0} {
		if d := off - s; d >= -sameShift && d <= sameShift {
			return s
		}
	}
	return off
}

// placed moves points to our clock: never into the future, and none that is too
// old to be of use.
func (g *Gateway) placed(points []wire.Point, shiftUS int64) []wire.Point {
	now, out := g.nowUS(), make([]wire.Point, 0, len(points))
	for _, p := range points {
		p.AtUS = min(series.Nearest(p.AtUS+shiftUS), series.Nearest(now-series.PointUS/2))
		if p.AtUS > now-oldestPoint.Microseconds() {
			out = append(out, p)
		}
	}
	return out
}

// heard cleans the latest sample and keeps what its probes found.
func (g *Gateway) heard(ctx context.Context, tx *store.Tx, d gen.Device, m wire.MeasuresReport) (*wire.Sample, error) {
	if m.Sample == nil {
		return nil, nil
	}
	s := wire.Sample{AtUS: g.serverTime(m.Sample.AtUS, m.NowUS), Values: map[wire.Measure]float64{}}
	for name, v := range m.Sample.Values {
		if series.Known(name) && series.Sound(v) {
			s.Values[name] = v
		}
	}
	for _, name := range m.Sample.Down[:min(len(m.Sample.Down), wire.MaxDown)] {
		s.Down = append(s.Down, wire.Clean(name, 128))
	}
	var err error
	s.Probes, err = g.keepProbes(ctx, tx, d, m.NowUS, m.Sample.Probes)
	return &s, err
}

// keepProbes writes the states of probes where they changed. A device speaks of
// the probes that it was told to make, and of no others.
func (g *Gateway) keepProbes(ctx context.Context, tx *store.Tx, d gen.Device, deviceNowUS int64, states []wire.ProbeState) ([]wire.ProbeState, error) {
	if len(states) == 0 {
		return nil, nil
	}
	told, err := toldProbes(ctx, tx, d)
	if err != nil {
		return nil, err
	}
	rows, err := tx.ProbesOfDevice(ctx, d.Tenant, d.ID)
	if err != nil {
		return nil, fmt.Errorf("read probes of %s: %w", d.ID, err)
	}
	var out []wire.ProbeState
	for _, p := range states[:min(len(states), wire.MaxProbes)] {
		if !slices.Contains(told, p.Name) || p.State != wire.ProbeUp && p.State != wire.ProbeDown {
			continue
		}
		p.AtUS, p.SinceUS = g.serverTime(p.AtUS, deviceNowUS), g.serverTime(p.SinceUS, deviceNowUS)
		p.MS, p.Cause = max(0, p.MS), cleanCause(p.Cause)
		if p.State == wire.ProbeUp {
			p.Cause = nil
		} else if p.Cause != nil && p.Cause.Code == string(fault.LocalVeto) {
			p.State = string(fleet.ProbeVetoed) // it was not made: nobody is to read a no in it
		}
		at := slices.IndexFunc(rows, func(r gen.DeviceProbe) bool { return r.Name == p.Name })
		var before gen.DeviceProbe
		if at >= 0 {
			before = rows[at]
		}
		if p, err = g.keepProbe(ctx, tx, d, before, p); err != nil {
			return nil, fmt.Errorf("keep probe %s of %s: %w", p.Name, d.ID, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// toldProbes are the names of the probes that a device was told to make.
func toldProbes(ctx context.Context, tx *store.Tx, d gen.Device) (names []string, err error) {
	rows, err := tx.WatchOf(ctx, d.Tenant, d.ID)
	if err != nil {
		return nil, fmt.Errorf("read what %s was told to measure: %w", d.ID, err)
	}
	for _, row := range rows {
		var probes []wire.Probe
		if err := json.Unmarshal([]byte(row.Probes), &probes); err != nil {
			return nil, fmt.Errorf("read probes told to %s: %w", d.ID, err)
		}
		for _, p := range probes {
			names = append(names, p.Name)
		}
	}
	return names, nil
}

// keepProbe writes a state that differs from the row, or that was not written
// for a while. Since when is told as an age, which is never twice the same: it
// stays as it was unless it moved for good.
func (g *Gateway) keepProbe(ctx context.Context, tx *store.Tx, d gen.Device, before gen.DeviceProbe, p wire.ProbeState) (wire.ProbeState, error) {
	cause, err := causeText(p.Cause)
	if err != nil || p.AtUS < before.AtUs-sameScan.Microseconds() {
		return p, err // an older report that was late changes nothing
	}
	if moved := p.SinceUS - before.SinceUs; before.State == p.State && moved > -sameScan.Microseconds() && moved < sameScan.Microseconds() {
		p.SinceUS = before.SinceUs
	}
	if before.State == p.State && before.SinceUs == p.SinceUS && before.Cause == cause && p.AtUS-before.AtUs < probeHeard.Microseconds() {
		return p, nil
	}
	return p, tx.PutProbe(ctx, gen.PutProbeParams{
		Tenant: d.Tenant, Device: d.ID, Name: p.Name, State: p.State, SinceUs: p.SinceUS, AtUs: p.AtUS, Ms: p.MS, Cause: cause,
	})
}

func keepSample(ctx context.Context, tx *store.Tx, row gen.DeviceSample, s *wire.Sample) error {
	row.AtUs, row.Body = 0, "{}"
	if s != nil {
		text, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode a sample: %w", err)
		}
		row.AtUs, row.Body = s.AtUS, string(text)
	}
	if err := tx.PutDeviceSample(ctx, gen.PutDeviceSampleParams(row)); err != nil {
		return fmt.Errorf("keep the last sample of %s: %w", row.Device, err)
	}
	return nil
}
