package server_test

import (
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/wire"
)

// vetoed is what an agent says of a probe that its administrator forbids.
func vetoed(name string, us int64) wire.ProbeState {
	return wire.ProbeState{Name: name, State: wire.ProbeDown, AtUS: us, SinceUS: us, Cause: &wire.Cause{Code: string(fault.LocalVeto), Args: map[string]string{"rule": "never_probes *"}}}
}

// Its administrator forbids a probe on a server that was just patched: nobody
// reads a no in it, and nobody a yes.
func TestAProbeThatItsDeviceForbidsIsNeitherUpNorDown(t *testing.T) {
	w := newWorld(t, evidenceStart)
	srv := w.device("srv", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.device("pc", fleet.Workstation, "", versions("1"), versions("2"))
	w.told(srv, `[{"name":"web"}]`)
	c := w.campaign(t, "2026-01")
	say := func(state wire.ProbeState) {
		m := w.measured(0, 1, w.now.Truncate(5*time.Minute).Add(-5*time.Minute))
		m.Points[0].Mean[wire.MeasureUse] = 100
		m.Sample.Probes = []wire.ProbeState{state}
		w.measures(srv, m)
	}
	say(wire.ProbeState{Name: "web", State: wire.ProbeUp, AtUS: w.now.UnixMicro(), SinceUS: w.now.UnixMicro()})
	w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), time.Hour)
	if srv.packages["openssl"] != "2" {
		t.Fatalf("not patched: %v", srv.packages)
	}
	w.now = w.now.Add(20 * time.Minute)
	say(vetoed("web", w.now.UnixMicro()))
	w.must(w.srv.Evidence.Step(t.Context()))
	w.settle()
	if held := w.holdsOf(c); len(held) != 0 {
		t.Errorf("held %+v", held)
	}
	e, err := w.srv.View.Evidence(t.Context(), "main", string(c))
	w.must(err)
	if e.Rings[0].Seen.Proven != 1 || len(e.Rings[0].Seen.Probes) != 0 {
		t.Errorf("seen %+v, want the server proven", e.Rings[0].Seen)
	}
	sums, err := w.srv.View.Probes(t.Context(), "main", "")
	w.must(err)
	if len(sums) != 1 || sums[0] != (view.ProbeSum{Name: "web", Devices: 1, Vetoed: 1}) {
		t.Errorf("listed as %+v", sums)
	}
	list, err := w.srv.View.DeviceProbes(t.Context(), "main", srv.id)
	w.must(err)
	if len(list) != 1 || list[0].State != fleet.ProbeVetoed || list[0].Cause == nil || list[0].Cause.Code != fault.LocalVeto {
		t.Errorf("of the device: %+v", list)
	}
	said, err := w.srv.DB.Read().TestReading(t.Context(), gen.TestReadingParams{Probe: "web", Tenant: "main", Campaign: string(c), Department: "", GroupName: ""})
	w.must(err)
	if said != (gen.TestReadingRow{Devices: 1}) {
		t.Errorf("an automatic test reads %+v", said)
	}
	// Told later than a sample, of earlier, it says nothing new; what it was not
	// told to make, it may not speak of.
	late := w.now.Add(-10 * time.Minute).UnixMicro()
	w.result(srv, wire.ProbeState{Name: "web", State: wire.ProbeDown, AtUS: late, SinceUS: late}, wire.ProbeState{Name: "ftp", State: wire.ProbeDown, AtUS: w.now.UnixMicro(), SinceUS: w.now.UnixMicro()})
	if held := w.holdsOf(c); len(held) != 0 {
		t.Errorf("of an old result held %+v", held)
	}
	say(wire.ProbeState{Name: "web", State: wire.ProbeDown, AtUS: w.now.UnixMicro(), SinceUS: w.now.UnixMicro()})
	w.must(w.srv.Evidence.Step(t.Context()))
	w.settle()
	if held := w.holdsOf(c); len(held) != 1 {
		t.Errorf("allowed again and down, held %+v", held)
	}
}

// result is one that comes with what probes found.
func (w *world) result(d *fakeDevice, found ...wire.ProbeState) {
	w.t.Helper()
	w.event(d, wire.Event{Kind: wire.EventResult, Order: "unknown", Step: wire.StepDone, Result: &wire.Result{Probes: found}})
	w.must(w.srv.Evidence.Step(w.t.Context()))
	w.settle()
}

// What the result of the install says of probes holds the ring before any sample
// has said it, and once however often it is said.
func TestProbesOfAResultHoldWithoutWaitingForASample(t *testing.T) {
	w := newWorld(t, evidenceStart)
	srv := w.device("srv", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.device("pc", fleet.Workstation, "", versions("1"), versions("2"))
	w.told(srv, `[{"name":"web"}]`)
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), time.Hour)
	down := wire.ProbeState{Name: "web", State: wire.ProbeDown, AtUS: w.now.UnixMicro(), SinceUS: w.now.UnixMicro(), Cause: &wire.Cause{Code: "probe_refused"}}
	for range 2 {
		w.result(srv, down)
		if held := w.holdsOf(c); len(held) != 1 || !strings.Contains(held[0].Reason, `probes="web"`) {
			t.Fatalf("held %+v", held)
		}
		m := w.measured(0, 1)
		m.Sample.Probes = []wire.ProbeState{down}
		w.measures(srv, m)
	}
	sums, err := w.srv.View.Probes(t.Context(), "main", "")
	w.must(err)
	if len(sums) != 1 || sums[0] != (view.ProbeSum{Name: "web", Devices: 1, Down: 1}) {
		t.Errorf("listed as %+v", sums)
	}
}
