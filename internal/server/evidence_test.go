package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/health"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/wire"
)

var evidenceStart = time.Date(2026, 1, 13, 9, 0, 0, 0, paris)

// lived gives every device four weeks of a quiet life: hours of CPU about 20 and
// no service down.
func (w *world) lived() {
	w.t.Helper()
	for n, name := range w.order {
		d := w.devices[name]
		var points []wire.Point
		for at := w.now.Add(-28 * 24 * time.Hour).Truncate(time.Hour); at.Before(w.now); at = at.Add(time.Hour) {
			points = append(points, pointAt(at, n, 0))
		}
		w.ask(func() error {
			return w.srv.DB.Write(w.t.Context(), func(tx *store.Tx) error {
				_, err := tx.KeepPoints(w.t.Context(), "main", string(d.id), points)
				return err
			})
		})
	}
}

func pointAt(at time.Time, device int, more float64) wire.Point {
	wave := float64((at.Unix()/3600*7+int64(device)*5)%9) - 4
	return wire.Point{AtUS: at.UnixMicro(), N: 5, Mean: map[wire.Measure]float64{
		wire.MeasureCPU: 20 + wave/2 + more, wire.MeasureDown: 0, wire.MeasureMemory: 50 + wave/4, wire.MeasureUse: 100,
	}}
}

// work advances hour by hour: every device tells what it measured, the evidence
// is looked at, and everybody acts. Devices that have the patch burn so much.
func (w *world) work(end time.Time, burns float64) {
	w.t.Helper()
	for w.now.Before(end) {
		for n, name := range w.order {
			d := w.devices[name]
			more := 0.0
			if d.packages["openssl"] == "2" {
				more = burns
			}
			m := wire.MeasuresReport{NowUS: w.now.UnixMicro(), Sample: &wire.Sample{AtUS: w.now.UnixMicro(), Values: map[wire.Measure]float64{wire.MeasureCPU: 20 + more}}}
			for i := 12; i > 0; i-- {
				m.Points = append(m.Points, pointAt(w.now.Truncate(time.Hour).Add(-time.Duration(i)*5*time.Minute), n, more))
			}
			w.measures(d, m)
		}
		w.must(w.srv.Evidence.Step(w.t.Context()))
		w.now = w.now.Add(time.Hour)
		w.settle()
	}
	w.must(w.srv.Evidence.Step(w.t.Context()))
	w.settle()
}

func (w *world) measuredFleet() (pilots []*fakeDevice, c campaign.ID) {
	for i := range 2 {
		pilots = append(pilots, w.device(fmt.Sprintf("it-%d", i), fleet.Workstation, "it-pilots", versions("1"), versions("2")))
	}
	for i := range 6 {
		w.device(fmt.Sprintf("pc-%d", i), fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	}
	w.device("srv", fleet.Server, "", versions("1"), versions("2"))
	w.lived()
	return pilots, w.campaign(w.t, "2026-01")
}

func (w *world) holdsOf(c campaign.ID) []gen.Hold {
	w.t.Helper()
	rows, err := w.srv.DB.Read().HoldsInForce(w.t.Context(), "main")
	w.must(err)
	return slices.DeleteFunc(rows, func(h gen.Hold) bool { return h.Campaign != string(c) })
}

func TestAPatchThatBurnsCPUIsHeldByMeasurement(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { burningPatch(t, newWorld(t, evidenceStart)) })
	t.Run("postgres", func(t *testing.T) { burningPatch(t, worldOn(t, evidenceStart, storetest.PostgresURL(t), nil)) })
}

func burningPatch(t *testing.T, w *world) {
	pilots, c := w.measuredFleet()
	w.work(time.Date(2026, 1, 14, 4, 0, 0, 0, paris), 40)
	if pilots[0].packages["openssl"] != "2" {
		t.Fatalf("R0 was not patched: %v", pilots[0].packages)
	}
	held := w.holdsOf(c)
	if len(held) != 1 || held[0].Ring != "R0" || held[0].Actor != "system:conductor" {
		t.Fatalf("held %+v", held)
	}
	reason, ok := fault.ParseReason(held[0].Reason)
	if !ok || reason.Code != fault.BreakerRegressions || reason.Args["measures"] != string(wire.MeasureCPU) || reason.Args["role"] != "it" {
		t.Errorf("for %s", held[0].Reason)
	}
	if got := pilots[0].holds.Holds; len(got) != 1 || got[0].Ring != "R0" {
		t.Errorf("the device was told %+v", got)
	}
	e, err := w.srv.View.Evidence(t.Context(), "main", string(c))
	w.must(err)
	ring := e.Rings[0]
	if ring.Health == nil || ring.Health.Verdict != health.Worse || ring.Health.Findings[0].Reason.Code != fault.HealthWorsePast || len(ring.Trips) != 1 {
		t.Fatalf("evidence %+v", ring)
	}
	// Whoever lifts it has read why: it is not placed again for the same.
	w.ask(func() error {
		_, err := w.srv.Conductor.Resume(t.Context(), "main", w.by, campaign.Resume{Campaign: string(c), Reason: "known"})
		return err
	})
	w.work(time.Date(2026, 1, 14, 6, 0, 0, 0, paris), 40)
	if held := w.holdsOf(c); len(held) != 0 {
		t.Errorf("held again: %+v", held)
	}
	// The gate does not forget.
	w.sign(c, "R0", "it", 1)
	w.settle()
	if r := w.ring(c, 0, "R0"); r.State != "gate" || !strings.Contains(r.Reasons, string(fault.GateRegressions)) {
		t.Errorf("the gate says %s: %s", r.State, r.Reasons)
	}
	w.verifyRegister()
}

func TestAQuietFleetPassesItsGate(t *testing.T) {
	w := newWorld(t, evidenceStart)
	_, c := w.measuredFleet()
	w.work(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), 0)
	w.sign(c, "R0", "it", 1)
	w.settle()
	if held := w.holdsOf(c); len(held) != 0 {
		t.Fatalf("held without a reason: %+v", held)
	}
	if r := w.ring(c, 0, "R0"); r.State != "done" {
		t.Fatalf("R0 is %s: %s", r.State, r.Reasons)
	}
	e, err := w.srv.View.Evidence(t.Context(), "main", string(c))
	w.must(err)
	ring := e.Rings[0]
	if ring.Health == nil || ring.Health.Verdict == health.Worse || ring.Seen.Proven != 2 || ring.Seen.UseHours < 10 {
		t.Errorf("evidence %+v", ring)
	}
	if len(ring.Evaluations) == 0 || ring.Evaluations[0].Verdict != "pass" {
		t.Fatalf("evaluations %+v", ring.Evaluations)
	}
	// Asking again says the same, and is kept: whoever asked has asked.
	before := len(ring.Evaluations)
	for range 2 {
		w.ask(func() error {
			_, err := w.srv.Conductor.Evaluate(t.Context(), "main", w.by, string(c), "R0")
			return err
		})
	}
	if e, err = w.srv.View.Evidence(t.Context(), "main", string(c)); err != nil || len(e.Rings[0].Evaluations) != before+2 || e.Rings[0].Evaluations[0].Actor != string(w.by) {
		t.Errorf("%d evaluations of %d, %v", len(e.Rings[0].Evaluations), before, err)
	}
}

func TestAProbeThatSaysNoOnAServerHoldsInTheTick(t *testing.T) {
	w := newWorld(t, evidenceStart)
	srv := w.device("srv", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.device("pc", fleet.Workstation, "", versions("1"), versions("2"))
	w.told(srv, `[{"name":"web"},{"name":"old"}]`)
	c := w.campaign(t, "2026-01")
	say := func(web, old string) {
		m := w.measured(0, 1)
		m.Sample.Probes = []wire.ProbeState{
			{Name: "web", State: web, AtUS: w.now.UnixMicro(), SinceUS: w.now.Add(-time.Minute).UnixMicro()},
			{Name: "old", State: old, AtUS: w.now.UnixMicro(), SinceUS: w.now.Add(-20 * time.Hour).UnixMicro()},
		}
		w.measures(srv, m)
	}
	say(wire.ProbeUp, wire.ProbeDown)
	w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), time.Hour)
	if srv.packages["openssl"] != "2" {
		t.Fatalf("not patched: %v", srv.packages)
	}
	w.must(w.srv.Evidence.Step(t.Context()))
	w.settle()
	if held := w.holdsOf(c); len(held) != 0 {
		t.Fatalf("held for a probe that said no before: %+v", held)
	}
	say(wire.ProbeDown, wire.ProbeDown)
	w.must(w.srv.Evidence.Step(t.Context()))
	w.settle()
	held := w.holdsOf(c)
	if len(held) != 1 || !strings.Contains(held[0].Reason, `probes="web"`) || len(srv.holds.Holds) != 1 {
		t.Fatalf("held %+v, the device was told %+v", held, srv.holds)
	}
	e, err := w.srv.View.Evidence(t.Context(), "main", string(c))
	w.must(err)
	if seen := e.Rings[0].Seen; seen.ProbeServers != 1 || seen.PatchedServers != 1 || seen.PatchedWorkstations != 0 {
		t.Errorf("seen %+v, want the probe on one server of one", seen)
	}
}

// What is kept of one ring cannot be read: the breaker of every other goes on.
func TestARingThatCannotBeLookedAtStopsNoOther(t *testing.T) {
	w := newWorld(t, evidenceStart)
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	srv := w.device("srv", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.told(srv, `[{"name":"web"}]`)
	broken := w.campaignBy(t, strings.Replace(procedureText, "[workstation, server]", "[workstation]", 1), "2026-01")
	text := strings.Replace(strings.Replace(procedureText, "procedure: test", "procedure: servers", 1), "[workstation, server]", "[server]", 1)
	w.ask(func() error {
		_, err := w.srv.Conductor.ApplyProcedure(t.Context(), "main", w.by, "servers.yaml", []byte(text))
		return err
	})
	w.ask(func() error {
		_, err := w.srv.Conductor.CreateCampaign(t.Context(), "main", w.by, campaign.Create{Procedure: "servers", Month: "2026-01", Name: "servers"})
		return err
	})
	w.until(time.Date(2026, 1, 13, 21, 0, 0, 0, paris), time.Hour)
	if pc.packages["openssl"] != "2" || srv.packages["openssl"] != "2" {
		t.Fatalf("not patched: %v, %v", pc.packages, srv.packages)
	}
	w.must(w.srv.Evidence.Step(t.Context()))
	w.must(storetest.Exec(w.srv.DB, "UPDATE ring_evidence SET seen = '?' WHERE campaign = '"+string(broken)+"'"))
	m := w.measured(0, 1)
	m.Sample.Probes = []wire.ProbeState{{Name: "web", State: wire.ProbeDown, AtUS: w.now.UnixMicro(), SinceUS: w.now.Add(-time.Minute).UnixMicro()}}
	w.measures(srv, m)
	if err := w.srv.Evidence.Step(t.Context()); err == nil || !strings.Contains(err.Error(), string(broken)) {
		t.Errorf("the ring that cannot be read is not told: %v", err)
	}
	row, err := w.srv.DB.Read().CampaignByName(t.Context(), "main", "servers")
	w.must(err)
	e, err := w.srv.View.Evidence(t.Context(), "main", row.ID)
	w.must(err)
	if seen := e.Rings[0].Seen; seen.ProbeServers != 1 {
		t.Errorf("of the other ring is seen %+v, want its probe", seen)
	}
}
