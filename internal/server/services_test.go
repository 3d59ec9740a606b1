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
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/wire"
)

// looks has a device tell which of its services are down.
func (w *world) looks(d *fakeDevice, down ...string) {
	w.t.Helper()
	now := w.now.UnixMicro()
	w.measures(d, wire.MeasuresReport{NowUS: now, BootID: d.bootID(), Sample: &wire.Sample{
		AtUS: now, Values: map[wire.Measure]float64{wire.MeasureUnits: float64(len(down)), wire.MeasureUse: 100}, Down: down,
	}})
}

// minutes go by, in each of which all devices look and the ring is watched.
func (w *world) minutes(n int, down map[string][]string) {
	w.t.Helper()
	for range n {
		w.now = w.now.Add(time.Minute)
		for _, name := range w.order {
			w.looks(w.devices[name], down[name]...)
		}
		w.must(w.srv.Evidence.Step(w.t.Context()))
		w.settle()
	}
}

// serving is a ring of two servers and two workstations, and others, of which
// all services run until the ring is patched. srv-0 gets one patch, the others two.
type serving struct {
	*world
	c campaign.ID
}

// silent has a device look at the very beginning only.
const silent = "silent"

func newServing(t *testing.T, database string, before map[string][]string) serving {
	w := worldOn(t, evidenceStart, database, nil)
	for i := range 2 {
		w.device(fmt.Sprintf("srv-%d", i), fleet.Server, "it-pilots", versions("1"), versions("2"))
		w.device(fmt.Sprintf("pc-%d", i), fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	}
	for i := range 4 {
		w.device(fmt.Sprintf("other-%d", i), fleet.Server, "", versions("1"), versions("2"))
	}
	delete(w.devices["srv-0"].packages, "nginx")
	s := serving{w, w.campaign(t, "2026-01")}
	s.patch("srv-0", before)
	return s
}

// patch goes on until a device is patched; until then all look now and then.
func (s serving) patch(device string, before map[string][]string) {
	s.t.Helper()
	begin := s.now
	for s.devices[device].packages["openssl"] != "2" {
		for _, name := range s.order {
			if s.now.Equal(begin) || !slices.Equal(before[name], []string{silent}) {
				s.looks(s.devices[name], before[name]...)
			}
		}
		s.now = s.now.Add(20 * time.Minute)
		s.settle()
		if s.now.After(begin.Add(24 * time.Hour)) {
			s.t.Fatalf("%s was not patched in a day", device)
		}
	}
}

func (s serving) wantHeld(service string) {
	s.t.Helper()
	var got []string
	for _, h := range s.holdsOf(s.c) {
		if r, ok := fault.ParseReason(h.Reason); ok && r.Code == fault.BreakerService {
			got = append(got, r.Args["service"])
			continue
		}
		s.t.Errorf("held for %s", h.Reason)
	}
	if want := strings.Fields(service); !slices.Equal(got, want) {
		s.t.Fatalf("held for %v, want %v", got, want)
	}
}

func (s serving) seen() campaign.Seen {
	s.t.Helper()
	e, err := s.srv.View.Evidence(s.t.Context(), "main", string(s.c))
	s.must(err)
	return e.Rings[0].Seen
}

func TestAServiceThatStopsOnOneServerWithThePatchHoldsByItsName(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { serviceStops(t, "") })
	t.Run("postgres", func(t *testing.T) { serviceStops(t, storetest.PostgresURL(t)) })
}

func serviceStops(t *testing.T, database string) {
	s := newServing(t, database, map[string][]string{"srv-1": {"old.service"}})
	down := map[string][]string{"srv-0": {"nginx.service"}, "srv-1": {"old.service"}}
	s.minutes(5, down)
	s.wantHeld("") // it may still be starting
	s.minutes(2, down)
	s.wantHeld("nginx.service")
	hold := s.holdsOf(s.c)[0]
	if r, _ := fault.ParseReason(hold.Reason); r.Args["devices"] != "srv-0" || r.Args["servers"] != "1" || r.Args["workstations"] != "0" || r.Args["role"] != "it" {
		t.Errorf("held for %s", hold.Reason)
	}
	if hold.Item == "" || len(s.devices["srv-0"].holds.Holds) != 1 {
		t.Errorf("the only patch of the server is to blame; held %+v, the device was told %+v", hold, s.devices["srv-0"].holds)
	}
	seen := s.seen()
	if len(seen.Services) != 1 || seen.Services[0].Servers.Down != 1 || seen.Services[0].Servers.Patched != 2 || seen.Services[0].Servers.Others != 4 {
		t.Fatalf("seen %+v", seen.Services)
	}
	// Whoever lifts it has read why; of another service nobody has read yet.
	s.ask(func() error {
		_, err := s.srv.Conductor.Resume(t.Context(), "main", s.by, campaign.Resume{Campaign: string(s.c), Reason: "known"})
		return err
	})
	s.minutes(3, down)
	s.wantHeld("")
	down["srv-1"] = append(down["srv-1"], "cron.service")
	s.minutes(10, down)
	s.wantHeld("cron.service")
	if hold := s.holdsOf(s.c)[0]; hold.Item != "" {
		t.Errorf("of two patches %s is to blame", hold.Item)
	}
	// What runs again is forgotten.
	s.minutes(1, nil)
	if seen := s.seen(); len(seen.Services) != 0 {
		t.Errorf("seen %+v, all run again", seen.Services)
	}
	s.verifyRegister()
}

func TestAServiceThatThePatchOnlyRestartsHoldsNothing(t *testing.T) {
	s := newServing(t, "", nil)
	for range 5 {
		s.minutes(3, map[string][]string{"srv-0": {"nginx.service"}, "pc-0": {"cups.service"}, "pc-1": {"cups.service"}})
		s.minutes(1, nil)
	}
	s.wantHeld("")
}

func TestAServiceHasTimeToStartAfterEachBoot(t *testing.T) {
	s := newServing(t, "", nil)
	down := map[string][]string{"srv-0": {"db.service"}}
	s.minutes(4, down)
	s.devices["srv-0"].boots++
	s.minutes(4, down)
	s.wantHeld("")
	s.minutes(3, down)
	s.wantHeld("db.service")
}

func TestAServiceThatWasDownBeforeIsNotThePatchsDoing(t *testing.T) {
	down := map[string][]string{"srv-0": {"nginx.service"}}
	s := newServing(t, "", down)
	s.minutes(10, down)
	s.wantHeld("")
}

func TestAServiceThatNobodySawRunningOfLateIsNotThePatchsDoing(t *testing.T) {
	s := newServing(t, "", map[string][]string{"srv-0": {silent}})
	s.minutes(10, map[string][]string{"srv-0": {"nginx.service"}})
	s.wantHeld("")
}

func TestAServiceThatStopsOnOthersTooIsNotThePatchsDoing(t *testing.T) {
	s := newServing(t, "", nil)
	down := map[string][]string{"srv-0": {"licence.service"}, "other-0": {"licence.service"}}
	s.minutes(10, down)
	s.wantHeld("")
	seen := s.seen()
	if len(seen.Services) != 1 || seen.Services[0].Servers.OthersDown != 1 {
		t.Errorf("it is shown none the less: %+v", seen.Services)
	}
}

func TestAServiceThatStopsOnOneWorkstationHoldsNothingAndOnTwoIt(t *testing.T) {
	s := newServing(t, "", nil)
	down := map[string][]string{"pc-0": {"cups.service"}}
	s.minutes(10, down)
	s.wantHeld("")
	down["pc-1"] = []string{"cups.service"}
	s.minutes(10, down)
	s.wantHeld("cups.service")
}

// A sample that a probe has the agent say again is no second look.
func TestASampleThatIsSaidAgainIsNoSecondLook(t *testing.T) {
	s := newServing(t, "", nil)
	d := s.devices["srv-0"]
	s.minutes(1, map[string][]string{"srv-0": {"nginx.service"}})
	read := s.now.UnixMicro()
	s.now = s.now.Add(8 * time.Minute)
	now := s.now.UnixMicro()
	s.measures(d, wire.MeasuresReport{NowUS: now, BootID: d.bootID(), Sample: &wire.Sample{
		AtUS: now, ReadUS: read, Values: map[wire.Measure]float64{wire.MeasureUnits: 1}, Down: []string{"nginx.service"},
	}})
	s.must(s.srv.Evidence.Step(t.Context()))
	s.settle()
	s.wantHeld("")
}

func TestServicesOfARetiredDeviceAreForgotten(t *testing.T) {
	w := newWorld(t, evidenceStart)
	d := w.device("pc", fleet.Workstation, "", nil, nil)
	w.looks(d, "a.service", "a.service", "")
	rows, err := w.srv.DB.Read().ServicesOfDevice(t.Context(), "main", string(d.id))
	if err != nil || len(rows) != 1 || rows[0].UpUs != 0 {
		t.Fatalf("kept %+v, %v", rows, err)
	}
	w.must(w.srv.Access.Retire(t.Context(), access.Principal{Tenant: "main", Name: "admin", Roles: []string{access.Admin}}, d.id, "sold"))
	if rows, err = w.srv.DB.Read().ServicesOfDevice(t.Context(), "main", string(d.id)); err != nil || len(rows) != 0 {
		t.Errorf("kept %+v, %v", rows, err)
	}
}

// What a full list does not name may be down as well.
func TestAFullListOfServicesSaysNothingOfOthers(t *testing.T) {
	w := newWorld(t, evidenceStart)
	d := w.device("pc", fleet.Workstation, "", nil, nil)
	var many []string
	for i := range wire.MaxDown {
		many = append(many, fmt.Sprintf("s%02d.service", i))
	}
	w.looks(d)
	for i, down := range [][]string{many, append(many[1:], "new.service"), {"new.service"}, {"new.service", "late.service"}} {
		w.now = w.now.Add(time.Minute)
		w.looks(d, down...)
		rows, err := w.srv.DB.Read().ServicesOfDevice(t.Context(), "main", string(d.id))
		w.must(err)
		if len(rows) != len(down) {
			t.Fatalf("look %d: kept %d of %d", i, len(rows), len(down))
		}
		for _, r := range rows {
			if seenUp := r.UpUs > 0; seenUp == (r.Name == "new.service") {
				t.Errorf("look %d: %s was seen running: %t", i, r.Name, seenUp)
			}
		}
	}
}

// What was rolled back, and what failed with nothing installed, is not patched:
// it is not proven, nor compared, nor are its services the patch's doing.
func TestADeviceThatWasRolledBackIsNotPatchedFromThenOn(t *testing.T) {
	w := newWorld(t, evidenceStart)
	good, bad, back := w.device("good", fleet.Server, "it-pilots", versions("1"), versions("2")), w.device("bad", fleet.Server, "it-pilots", versions("1"), versions("2")),
		w.device("back", fleet.Server, "it-pilots", versions("1"), versions("2"))
	w.device("other", fleet.Server, "", versions("1"), versions("2"))
	bad.breaks["openssl2"], bad.breaks["nginx2"] = true, true
	s := serving{w, w.campaign(t, "2026-01")}
	w.until(time.Date(2026, 1, 13, 20, 0, 0, 0, paris), time.Hour)
	at := w.now
	for range 4 {
		w.now = w.now.Add(time.Hour)
		w.settle()
		for _, d := range []*fakeDevice{good, bad, back} {
			m := w.measured(0, 1, w.now.Truncate(time.Hour).Add(-30*time.Minute))
			m.Points[0].Mean[wire.MeasureUse] = 100
			w.measures(d, m)
		}
		w.must(w.srv.Evidence.Step(t.Context()))
	}
	compared := func() view.CampaignMeasures {
		t.Helper()
		m, err := w.srv.View.CompareMeasures(t.Context(), "main", view.CompareQuery{Campaign: s.c, Ring: "R0", MeasureQuery: view.MeasureQuery{From: at.Add(-time.Hour), To: w.now}})
		w.must(err)
		return m
	}
	if m, seen := compared(), s.seen(); m.Patched != 2 || m.Waiting != 1 || seen.Proven != 2 {
		t.Fatalf("%d patched, %d waiting, seen %+v", m.Patched, m.Waiting, seen)
	}
	w.rollBack(t, campaign.Rollback{Campaign: string(s.c), Device: back.id, Now: time.Hour})
	w.settle()
	if back.packages["openssl"] != "1" {
		t.Fatalf("not rolled back: %v", back.packages)
	}
	w.now = w.now.Add(16 * time.Minute)
	w.must(w.srv.Evidence.Step(t.Context()))
	if m, seen := compared(), s.seen(); m.Patched != 1 || m.Waiting != 1 || seen.Proven != 1 {
		t.Errorf("rolled back: %d patched, %d waiting, seen %+v", m.Patched, m.Waiting, seen)
	}
	left, err := w.srv.DB.Read().DeviceEvidence(t.Context(), gen.DeviceEvidenceParams{Tenant: "main", Campaign: string(s.c)})
	w.must(err)
	if len(left) != 1 || left[0].Device != string(good.id) {
		t.Errorf("evidence is left of %+v", left)
	}
}

// The same finding, a service down on one workstation and a probe on another,
// holds nothing in the first ring, and holds the last one.
func TestTheDaysAfterGlobalAreWatchedMoreClosely(t *testing.T) {
	w := newWorld(t, evidenceStart)
	for _, in := range []struct{ ring, group string }{{"r0", "it-pilots"}, {"r1", "pilot-users"}, {"global", ""}} {
		for i := range 2 {
			d := w.device(fmt.Sprintf("%s-%d", in.ring, i), fleet.Workstation, in.group, versions("1"), versions("2"))
			w.told(d, `[{"name":"web"}]`)
		}
	}
	s := serving{w, w.campaign(t, "2026-01")}
	s.patch("r0-0", nil)
	found := func(ring string) (reasons []string) {
		t.Helper()
		d := w.devices[ring+"-1"]
		s.result(d, wire.ProbeState{Name: "web", State: wire.ProbeDown, AtUS: w.now.UnixMicro(), SinceUS: w.now.UnixMicro()})
		s.minutes(8, map[string][]string{ring + "-0": {"cups.service"}})
		for _, h := range s.holdsOf(s.c) {
			r, _ := fault.ParseReason(h.Reason)
			reasons = append(reasons, h.Ring+" "+string(r.Code))
		}
		slices.Sort(reasons)
		s.minutes(1, nil)
		s.result(d, wire.ProbeState{Name: "web", State: wire.ProbeUp, AtUS: w.now.UnixMicro(), SinceUS: w.now.UnixMicro()})
		return reasons
	}
	if got := found("r0"); len(got) != 0 {
		t.Errorf("in R0 held for %v", got)
	}
	s.until(time.Date(2026, 1, 15, 12, 0, 0, 0, paris), time.Hour)
	s.sign(s.c, "R0", "it", 1)
	s.patch("r1-0", nil)
	if got := found("r1"); len(got) != 0 {
		t.Errorf("in R1 held for %v", got)
	}
	s.until(time.Date(2026, 1, 16, 12, 0, 0, 0, paris), time.Hour)
	s.sign(s.c, "R1", "business", 0)
	s.until(time.Date(2026, 1, 20, 12, 0, 0, 0, paris), time.Hour)
	s.patch("global-0", nil)
	if got, want := found("global"), []string{"GLOBAL breaker_probes", "GLOBAL breaker_service"}; !slices.Equal(got, want) {
		t.Errorf("in GLOBAL held for %v, want %v", got, want)
	}
	e, err := s.srv.View.Evidence(t.Context(), "main", string(s.c))
	s.must(err)
	if len(e.Rings) != 3 || e.Rings[0].Tight || e.Rings[1].Tight || !e.Rings[2].Tight {
		t.Fatalf("evidence of %d rings", len(e.Rings))
	}
	for i, want := range []campaign.Limit{{Kind: campaign.TripService, Servers: 1, Workstations: 2}, {Kind: campaign.TripService, Servers: 1, Workstations: 2}, {Kind: campaign.TripService, Servers: 1, Workstations: 1}} {
		if !slices.Contains(e.Rings[i].Limits, want) {
			t.Errorf("%s: limits %+v", e.Rings[i].Ring, e.Rings[i].Limits)
		}
	}
}
