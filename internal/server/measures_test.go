package server_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/infra/view"
	"patchring/wire"
)

// measured is a report of a sample taken now and of points at instants of the
// device's clock, which is wrong by off.
func (w *world) measured(off time.Duration, cpu float64, at ...time.Time) wire.MeasuresReport {
	now := w.now.Add(off).UnixMicro()
	m := wire.MeasuresReport{NowUS: now, Sample: &wire.Sample{AtUS: now, Values: map[wire.Measure]float64{wire.MeasureCPU: cpu}}}
	for _, a := range at {
		m.Points = append(m.Points, wire.Point{AtUS: a.Add(off).UnixMicro(), N: 5, Mean: map[wire.Measure]float64{wire.MeasureCPU: cpu}})
	}
	return m
}

func (w *world) measures(d *fakeDevice, m wire.MeasuresReport) wire.MeasuresReply {
	w.t.Helper()
	reply := report[wire.MeasuresReply](w, d, wire.ReportMeasures, m)
	if reply.Error != nil {
		w.t.Fatalf("measures of %s: %v", d.id, reply.Error)
	}
	return reply
}

// series is what is kept of one measure of a device.
func (w *world) series(d *fakeDevice, m wire.Measure) []series.Slot {
	w.t.Helper()
	all, err := w.srv.DB.Series(w.t.Context(), "main", []fleet.DeviceID{d.id}, series.Ask{ToUS: w.now.Add(time.Hour).UnixMicro(), Measures: []wire.Measure{m}})
	w.must(err)
	return all[d.id][m]
}

// told writes what a device was told to make.
func (w *world) told(d *fakeDevice, probes string) {
	w.t.Helper()
	w.ask(func() error {
		return w.srv.DB.Write(w.t.Context(), func(tx *store.Tx) error {
			return tx.PutWatch(w.t.Context(), gen.PutWatchParams{Tenant: "main", Device: string(d.id), DueUs: 1 << 62, Serial: 1, Probes: probes})
		})
	})
}

var measureStart = time.Date(2026, 3, 10, 9, 2, 0, 0, paris)

func measuringWorlds(t *testing.T, f func(*testing.T, *world)) {
	t.Run("sqlite", func(t *testing.T) { f(t, newWorld(t, measureStart)) })
	t.Run("postgres", func(t *testing.T) { f(t, worldOn(t, measureStart, storetest.PostgresURL(t), nil)) })
}

func TestMeasuresAreKeptOnceAndOutliveTheServer(t *testing.T) {
	measuringWorlds(t, func(t *testing.T, w *world) {
		d, other := w.device("pc", fleet.Workstation, "", nil, nil), w.device("other", fleet.Workstation, "", nil, nil)
		var heard []wire.Sample
		w.srv.Gateway.Sampled = func(tenant fleet.TenantID, device fleet.DeviceID, s wire.Sample) {
			if tenant != "main" || device != d.id {
				t.Errorf("heard of %s of %s", device, tenant)
			}
			heard = append(heard, s)
		}
		slot := w.now.Truncate(5 * time.Minute)
		m := w.measured(0, 42, slot.Add(-5*time.Minute), slot.Add(-10*time.Minute))
		m.Sample.Values["made_up"], m.Sample.Values[wire.MeasureLoad] = 1, -1
		for range 2 {
			if reply := w.measures(d, m); reply.UpToUS != slot.Add(-5*time.Minute).UnixMicro() {
				t.Fatalf("acknowledged up to %s", time.UnixMicro(reply.UpToUS))
			}
		}
		if len(heard) != 2 || heard[0].AtUS != w.now.UnixMicro() || len(heard[0].Values) != 1 || heard[0].Values[wire.MeasureCPU] != 42 {
			t.Errorf("heard %+v", heard)
		}
		w.stop()
		w.serve()
		got := w.series(d, wire.MeasureCPU)
		if len(got) != 2 || got[0].AtUS != slot.Add(-10*time.Minute).UnixMicro() || got[1].N != 5 || got[1].Mean != 42 {
			t.Errorf("kept %+v", got)
		}
		if left := w.series(other, wire.MeasureCPU); len(left) != 0 {
			t.Errorf("another device has %+v", left)
		}
	})
}

// Whatever its clock says, nothing of a device is of the future, and what comes
// again a little later meets itself.
func TestMeasuresOfAWrongClock(t *testing.T) {
	for _, off := range []time.Duration{0, 90 * time.Second, -149 * time.Second, 3 * time.Hour, -3 * time.Hour, 400 * 24 * time.Hour, -20 * 365 * 24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			w := newWorld(t, measureStart)
			d := w.device("pc", fleet.Workstation, "", nil, nil)
			taken := w.now.Add(off).Truncate(5 * time.Minute).Add(-off) // a multiple by the device's clock
			m := w.measured(off, 7, taken.Add(-5*time.Minute), taken.Add(-10*time.Minute))
			random := rand.New(rand.NewPCG(1, uint64(off)))
			for range 10 {
				w.measures(d, m)
				w.now = w.now.Add(time.Duration(random.Int64N(int64(2 * time.Second)))) // the message takes its time
				m.NowUS = w.now.Add(off).UnixMicro() - random.Int64N(2_000_000)
			}
			got := w.series(d, wire.MeasureCPU)
			if len(got) != 2 {
				t.Fatalf("kept %d points of two: %+v", len(got), got)
			}
			for i, want := range []time.Time{taken.Add(-10 * time.Minute), taken.Add(-5 * time.Minute)} {
				if wrong := time.UnixMicro(got[i].AtUS).Sub(want).Abs(); wrong > 225*time.Second || got[i].AtUS > w.now.UnixMicro() {
					t.Errorf("point %d is wrong by %s", i, wrong)
				}
			}
		})
	}
}

func TestMeasuresFromBeforeTheClockWasSet(t *testing.T) {
	w := newWorld(t, measureStart)
	d := w.device("pc", fleet.Workstation, "", nil, nil)
	future := w.now.Add(48 * time.Hour).Truncate(5 * time.Minute)
	if reply := w.measures(d, w.measured(0, 7, future, w.now.Add(-30*24*time.Hour))); reply.UpToUS != future.UnixMicro() {
		t.Errorf("acknowledged up to %s: the device would send it for ever", time.UnixMicro(reply.UpToUS))
	}
	if got := w.series(d, wire.MeasureCPU); len(got) != 0 {
		t.Errorf("kept %+v", got)
	}
}

func TestAReportOfTooManyPointsIsTakenInParts(t *testing.T) {
	w := newWorld(t, measureStart)
	d := w.device("pc", fleet.Workstation, "", nil, nil)
	var at []time.Time
	for i := range 2 * wire.MaxPointsPerSend {
		at = append(at, w.now.Truncate(5*time.Minute).Add(-time.Duration(i+1)*5*time.Minute))
	}
	if reply := w.measures(d, w.measured(0, 7, at...)); reply.UpToUS != at[wire.MaxPointsPerSend].UnixMicro() {
		t.Errorf("acknowledged up to %s", time.UnixMicro(reply.UpToUS))
	}
	if got := w.series(d, wire.MeasureCPU); len(got) != wire.MaxPointsPerSend {
		t.Errorf("kept %d", len(got))
	}
}

func TestMeasuresOfARetiredDeviceAndNumbersThatAreNone(t *testing.T) {
	w := newWorld(t, measureStart)
	d := w.device("pc", fleet.Workstation, "", nil, nil)
	out, err := w.srv.Gateway.Handle(t.Context(), "main", d.id, wire.ReportMeasures, []byte(`{"now_us":1,"sample":{"at_us":1,"v":{"cpu_percent":1e999}}}`))
	if err != nil || !strings.Contains(string(out), string(fault.InvalidField)) {
		t.Errorf("answered %s, %v", out, err)
	}
	out, err = w.srv.Gateway.Handle(t.Context(), "other", d.id, wire.ReportMeasures, []byte(`{"now_us":1}`))
	if err != nil || !strings.Contains(string(out), string(fault.DeviceUnknown)) {
		t.Errorf("of another tenant: %s, %v", out, err)
	}
}

// A commit that fails loses no point and doubles none.
func TestMeasuresSurviveFailingCommits(t *testing.T) {
	for _, stored := range []bool{false, true} {
		n := 0
		w := faultyWorld(t, measureStart, func(after bool) error {
			if n++; after == stored && n%3 == 0 {
				return errCommit
			}
			return nil
		})
		d := w.device("pc", fleet.Workstation, "", nil, nil)
		slot := w.now.Truncate(5 * time.Minute)
		for i := range 12 {
			w.measures(d, w.measured(0, float64(i), slot.Add(-time.Duration(12-i)*5*time.Minute)))
		}
		if got := w.series(d, wire.MeasureCPU); len(got) != 12 || got[11].Mean != 11 {
			t.Errorf("stored %t: kept %+v", stored, got)
		}
	}
}

func (w *world) probes(d *fakeDevice) map[string]gen.DeviceProbe {
	w.t.Helper()
	rows, err := w.srv.DB.Read().ProbesOfDevice(w.t.Context(), "main", string(d.id))
	w.must(err)
	out := map[string]gen.DeviceProbe{}
	for _, r := range rows {
		out[r.Name] = r
	}
	return out
}

func TestProbesOfASampleAreKept(t *testing.T) {
	measuringWorlds(t, func(t *testing.T, w *world) {
		d := w.device("srv", fleet.Server, "", nil, nil)
		w.told(d, `[{"name":"web"},{"name":"db"}]`)
		since := w.now.Add(-time.Hour)
		say := func(state string, since time.Time, cause *wire.Cause) {
			m := w.measured(0, 1)
			m.Sample.Probes = []wire.ProbeState{
				{Name: "web", State: state, AtUS: w.now.UnixMicro(), SinceUS: since.UnixMicro(), MS: 12, Cause: cause},
				{Name: "db", State: "perhaps"}, {Name: "not-told", State: wire.ProbeDown},
			}
			w.measures(d, m)
		}
		say(wire.ProbeUp, since, nil)
		w.now = w.now.Add(time.Minute)
		say(wire.ProbeUp, since.Add(300*time.Millisecond), nil) // told as an age, after a slow message
		got := w.probes(d)
		if p := got["web"]; len(got) != 1 || p.State != wire.ProbeUp || p.SinceUs != since.UnixMicro() || p.Ms != 12 || p.Cause != "" {
			t.Fatalf("kept %+v", got)
		}
		w.now = w.now.Add(time.Minute)
		say(wire.ProbeDown, w.now, &wire.Cause{Code: "probe_refused", Args: map[string]string{"target": "127.0.0.1:80"}})
		p := w.probes(d)["web"]
		if reason, err := store.ReasonFrom(p.Cause); p.State != wire.ProbeDown || p.SinceUs != w.now.UnixMicro() || err != nil || reason.Code != "probe_refused" {
			t.Errorf("kept %+v, %v", p, err)
		}
		down := w.now
		w.now = w.now.Add(-90 * time.Second)
		say(wire.ProbeUp, since, nil) // a report that was late
		w.now = down.Add(6 * time.Minute)
		say(wire.ProbeDown, down, &wire.Cause{Code: "probe_refused", Args: map[string]string{"target": "127.0.0.1:80"}})
		if p := w.probes(d)["web"]; p.State != wire.ProbeDown || p.SinceUs != down.UnixMicro() || p.AtUs != w.now.UnixMicro() {
			t.Errorf("after a late report: %+v", p)
		}
	})
}

// What devices send is merged and dropped while the server runs, as configured.
func TestMeasuresAreKeptAsLongAsConfigured(t *testing.T) {
	w := newWorld(t, measureStart)
	d := w.device("pc", fleet.Workstation, "", nil, nil)
	w.measures(d, w.measured(0, 42, w.now.Truncate(5*time.Minute).Add(-5*time.Minute)))
	for _, at := range []struct {
		after time.Duration
		step  int64
	}{{time.Hour, wire.PointS}, {60 * time.Hour, 3600}, {35 * 24 * time.Hour, 3600}, {43 * 24 * time.Hour, 0}} {
		w.now = measureStart.Add(at.after)
		w.must(w.srv.Archive.Step(t.Context()))
		var step int64
		for _, slot := range w.series(d, wire.MeasureCPU) {
			step = slot.StepS
		}
		if step != at.step {
			t.Errorf("after %s: slots of %d s, want %d", at.after, step, at.step)
		}
	}
}

// What a person reads of a device, of a campaign's devices and of probes, on
// both databases and of one tenant only.
func TestMeasuresAreRead(t *testing.T) {
	measuringWorlds(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		pc, srv := w.device("pc", fleet.Workstation, "desks", nil, nil), w.device("srv", fleet.Server, "", nil, nil)
		for _, d := range []*fakeDevice{pc, srv} {
			w.told(d, `[{"name":"web"}]`)
		}
		m := w.measured(0, 42, w.now.Truncate(5*time.Minute).Add(-5*time.Minute), w.now.Truncate(5*time.Minute).Add(-20*time.Minute))
		m.Sample.Down = []string{"cups.service"}
		m.Sample.Probes = []wire.ProbeState{{Name: "web", State: wire.ProbeDown, AtUS: m.NowUS, SinceUS: m.NowUS, Cause: &wire.Cause{Code: "probe_refused"}}}
		w.measures(pc, m)
		m.Sample.Probes[0].State = wire.ProbeUp
		w.measures(srv, m)
		got, err := w.srv.View.Measured(ctx, "main", pc.id, view.MeasureQuery{})
		w.must(err)
		if len(got.Measures) != 1 || len(got.Measures[0].Points) != 2 || got.Measures[0].Points[0].Seconds != wire.PointS || got.Sample == nil || got.Sample.Values[wire.MeasureCPU] != 42 ||
			len(got.Sample.Down) != 1 || len(got.Probes) != 1 || got.Probes[0].Cause == nil || got.Device.Name != "pc" {
			t.Errorf("a device: %+v", got)
		}
		if _, err := w.srv.View.Measured(ctx, "other", pc.id, view.MeasureQuery{}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("of another tenant: %v", err)
		}
		for _, q := range []view.MeasureQuery{{Measures: []wire.Measure{"made_up"}}, {From: w.now.Add(time.Hour)}, {From: w.now.Add(-63 * 24 * time.Hour)}} {
			if _, err := w.srv.View.Measured(ctx, "main", pc.id, q); fault.CodeOf(err) != fault.InvalidField {
				t.Errorf("%+v: %v", q, err)
			}
		}
		for group, want := range map[string]view.ProbeSum{"": {Name: "web", Devices: 2, Up: 1, Down: 1}, "desks": {Name: "web", Devices: 1, Down: 1}} {
			if sums, err := w.srv.View.Probes(ctx, "main", group); err != nil || len(sums) != 1 || sums[0] != want {
				t.Errorf("probes of %q: %+v, %v", group, sums, err)
			}
		}
		first, err := w.srv.View.ProbeDevices(ctx, "main", view.ProbeQuery{Name: "web", Paging: view.Paging{Limit: 1}})
		w.must(err)
		second, err := w.srv.View.ProbeDevices(ctx, "main", view.ProbeQuery{Name: "web", Paging: view.Paging{Limit: 1, Cursor: first.Next}})
		w.must(err)
		if len(first.Rows) != 1 || first.Rows[0].Device.Name != "pc" || len(second.Rows) != 1 || second.Rows[0].Device.Name != "srv" || second.Next != "" {
			t.Errorf("devices of a probe: %+v, then %+v", first, second)
		}
		if sums, err := w.srv.View.Probes(ctx, "other", ""); err != nil || len(sums) > 0 {
			t.Errorf("probes of another tenant: %+v, %v", sums, err)
		}
	})
}
