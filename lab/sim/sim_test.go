package sim_test

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/infra/view"
	"patchring/lab/sim"
)

const procedure = `
procedure: sim
title: {fr: "Simulation", en: "Simulation"}
owner: it
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation, server, critical]}
rings:
  - name: R0
    title: {fr: "Pilotes", en: "Pilots"}
    members: {groups: [it-pilots]}
    opens: {day: 1}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 0, max_failed: 100, max_unreachable_percent: 100, max_not_reached_percent: 0}
      sign_offs: [{role: it, title: {fr: "Tests", en: "Tests"}}]
  - name: R1
    title: {fr: "Représentants", en: "Representatives"}
    members: {groups: [pilot-users]}
    opens: {day: 2}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 0, max_failed: 100, max_unreachable_percent: 100, max_not_reached_percent: 0}
  - name: GLOBAL
    title: {fr: "Tous", en: "Everyone"}
    members: {rest: true}
    opens: {day: 3}
    soak: 1h
    gate:
      evidence: {min_devices: 1, min_done_percent: 0, max_failed: 100, max_unreachable_percent: 100, max_not_reached_percent: 0}
windows:
  - {name: night, for: {all: true}, days: [mon, tue, wed, thu, fri, sat, sun], start: "20:00", end: "23:00"}
reboot: never
attempts: 1
retry_after: 1h
unreachable_after: 72h
verification: {days_after_last_ring_opens: 2}
`

// groups of the procedure by the ring that the host table proposes.
var groups = map[string]string{"R0": "it-pilots", "R1": "pilot-users"}

// place puts the enrolled devices into their groups.
func (h *house) place(traits []sim.Traits) {
	h.t.Helper()
	members := map[string][]string{}
	for _, t := range traits {
		if g := groups[string(t.Host.Ring)]; g != "" {
			members[g] = append(members[g], t.Host.Name)
		}
	}
	for g, names := range members {
		ask[struct{}](h, "PUT", "/groups/"+g, map[string]any{"title": g})
		ask[struct{}](h, "POST", "/groups/"+g+"/add", map[string]any{"devices": names})
	}
}

func TestFleetPassesACampaign(t *testing.T) {
	h := newHouse(t)
	o := sim.Options{
		URL: h.url, Token: h.invite(20), Devices: 20, Seed: 7, Pace: 100 * time.Millisecond, ChurnEvery: time.Second, Checkin: time.Second,
		Shares: sim.Shares{DownloadFails: 0.1, InstallFails: 0.15, Slow: 0.05, Duplicate: 0.15, Churns: 0.2},
	}
	traits, err := o.Traits()
	if err != nil {
		t.Fatal(err)
	}
	f := play(t, o)
	f.until("everybody's first report", func(c sim.Counts) bool { return c.Settled == 20 })
	h.place(traits)
	ask[struct{}](h, "POST", "/procedures", map[string]any{"file": "sim.yaml", "text": procedure})
	ask[struct{}](h, "POST", "/campaigns", map[string]any{"procedure": "sim", "name": "run", "now": true, "day": "1s"})
	h.until("R0's gate", func() bool { return h.board("run").Amendments[0].Rings[0].State == "gate" })
	ask[struct{}](h, "PUT", "/users/admin/roles", map[string]any{"roles": []string{"admin", "it"}})
	ask[struct{}](h, "POST", "/campaigns/run/sign", map[string]any{"ring": "R0", "role": "it", "yes": true})

	want := map[string]view.Numbers{}
	causes := map[string]int{}
	for _, d := range traits {
		w := want[string(d.Host.Ring)]
		if d.Fate == sim.Fine {
			w.Done++
		} else {
			w.Failed++
			causes[map[sim.Fate]string{sim.DownloadFails: "download_failed", sim.InstallFails: "package_failed"}[d.Fate]]++
		}
		want[string(d.Host.Ring)] = w
	}
	var rings []view.BoardRing
	h.until("every ring to be done", func() bool {
		rings = h.board("run").Amendments[0].Rings
		for _, r := range rings {
			if r.State != "done" {
				return false
			}
		}
		return true
	})
	for _, r := range rings {
		if got := r.Numbers; got != want[r.Ring] {
			t.Errorf("%s counts %+v, the seed means %+v", r.Ring, got, want[r.Ring])
		}
	}
	end := f.stop()
	if end.Orders.Open != 0 || end.Orders.Done != 20 || len(end.Refused) > 0 || len(end.LeftOut) > 0 {
		t.Errorf("orders %+v, refused %v, left out %v; want 20 done and nothing else", end.Orders, end.Refused, end.LeftOut)
	}
	if len(causes) != 2 {
		t.Fatalf("the seed makes failures of %v only; choose another", causes)
	}
	// A device that cannot download fails in each item, the others in one.
	if causes["package_failed"] != end.Failed["package_failed"] ||
		end.Failed["download_failed"] < causes["download_failed"] {
		t.Errorf("failed items %v on devices %v", end.Failed, causes)
	}
}

func TestHoldReachesAllAndStopsThem(t *testing.T) {
	h := newHouse(t)
	o := sim.Options{URL: h.url, Token: h.invite(6), Devices: 6, Pace: 50 * time.Millisecond, Checkin: time.Minute, Packages: 200}
	f := play(t, o)
	f.until("everybody's first report", func(c sim.Counts) bool { return c.Settled == 6 })
	ask[struct{}](h, "POST", "/procedures", map[string]any{"file": "sim.yaml", "text": procedure})
	ask[struct{}](h, "POST", "/campaigns", map[string]any{"procedure": "sim", "name": "held", "now": true, "day": "1h"})
	ask[struct{}](h, "POST", "/campaigns/held/hold", map[string]any{"reason": "the print server is down"})
	c := f.until("the hold to reach all", func(c sim.Counts) bool { return c.Holds.Devices == 6 })
	if c.Holds.LastUS < c.Holds.FirstUS || c.Holds.FirstUS == 0 {
		t.Errorf("holds came between %d and %d", c.Holds.FirstUS, c.Holds.LastUS)
	}
	if end := f.stop(); end.Orders.Done != 0 || end.Items["verified"] != 0 {
		t.Errorf("installed under a hold: %+v %v", end.Orders, end.Items)
	}
}

func TestSavedFleetReturnsWithoutAToken(t *testing.T) {
	h := newHouse(t)
	o := sim.Options{
		URL: h.url, Token: h.invite(5), Devices: 5, Seed: 3, Checkin: 100 * time.Millisecond, Packages: 200,
		Identities: filepath.Join(t.TempDir(), "fleet.ids"),
	}
	f := play(t, o)
	f.until("everybody's first report", func(c sim.Counts) bool { return c.Settled == 5 })
	f.stop()
	o.Token = ""
	f = play(t, o)
	c := f.until("two check-ins each", func(c sim.Counts) bool { return c.Checkins >= 10 })
	if c.Reused != 5 || c.Enrolled != 0 || c.Connected != 5 {
		t.Errorf("reused %d, enrolled %d, connected %d; want 5, 0, 5", c.Reused, c.Enrolled, c.Connected)
	}
	f.stop()
	o.Seed = 4
	if _, err := sim.Run(t.Context(), o); !errors.Is(err, sim.ErrOptions) {
		t.Errorf("another seed's identities: %v", err)
	}
}

func TestEnrolmentThatIsRefusedEndsTheRun(t *testing.T) {
	h := newHouse(t)
	good := h.invite(2)
	for name, c := range map[string]struct {
		token string
		code  fault.Code
	}{
		"spent":    {good, fault.TokenSpent},
		"mistyped": {strings.Replace(good, "pre_", "pre_x", 1), fault.TokenInvalid},
		"none":     {"", fault.TokenInvalid},
	} {
		_, err := sim.Run(t.Context(), sim.Options{URL: h.url, Token: c.token, Devices: 3})
		if fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	other := newHouse(t)
	if _, err := sim.Run(t.Context(), sim.Options{URL: other.url, Token: h.invite(1), Devices: 1}); fault.CodeOf(err) != fault.TokenInvalid {
		t.Errorf("another site's server: %v, want a refusal before the token is told", err)
	}
}

func TestTraitsFollowFromTheSeed(t *testing.T) {
	o := sim.Options{Devices: 2000, Seed: 1, Spread: time.Minute, Shares: sim.Shares{
		DownloadFails: 0.1, InstallFails: 0.2, ServiceDies: 0.05, Slow: 0.1, Gone: 0.1, Skewed: 0.1, Duplicate: 0.1, Churns: 0.1,
	}}
	first, err := o.Traits()
	if err != nil {
		t.Fatal(err)
	}
	again, err := o.Traits()
	if err != nil {
		t.Fatal(err)
	}
	fates := map[sim.Fate]int{}
	ids := map[string]int{}
	for i, d := range first {
		if d.MachineID != again[i].MachineID || d.Fate != again[i].Fate || d.Skew != again[i].Skew || d.Start != again[i].Start {
			t.Fatalf("device %d: %+v, then %+v", i, d, again[i])
		}
		fates[d.Fate]++
		ids[d.MachineID]++
	}
	for fate, want := range map[sim.Fate]int{sim.DownloadFails: 200, sim.InstallFails: 400, sim.ServiceDies: 100, sim.Fine: 1300} {
		if got := fates[fate]; got < want*8/10 || got > want*12/10 {
			t.Errorf("%d devices of fate %s, want about %d", got, fate, want)
		}
	}
	clones := 0
	for n := range maps.Values(ids) {
		clones = max(clones, n)
	}
	if clones < 160 || clones > 240 || len(ids) != 2000-clones+1 {
		t.Errorf("%d clones among %d machine ids", clones, len(ids))
	}
	// Raising one share leaves everything else as it was.
	o.Shares.Gone = 0.5
	more, err := o.Traits()
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range more {
		d.Gone = first[i].Gone
		if d.Fate != first[i].Fate || d.Speed != first[i].Speed || d.MachineID != first[i].MachineID || first[i].Gone && !more[i].Gone {
			t.Fatalf("device %d changed with the share of others: %+v, %+v", i, d, first[i])
		}
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]sim.Options{
		"no devices":  {},
		"share":       {Devices: 1, Shares: sim.Shares{Slow: 1.5}},
		"fates":       {Devices: 1, Shares: sim.Shares{DownloadFails: 0.6, InstallFails: 0.6}},
		"packages":    {Devices: 1, Packages: 300},
		"negative":    {Devices: 1, Pace: -time.Second},
		"a plain url": {Devices: 1, URL: "http://127.0.0.1", Token: "pre_00000000_" + strings.Repeat("0", 32) + "_" + strings.Repeat("0", 26)},
	} {
		if _, err := sim.Run(t.Context(), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTheFleetSaysWhatItMeasures(t *testing.T) {
	h := newHouse(t)
	fleet := play(t, sim.Options{URL: h.url, Token: h.invite(2), Devices: 2, Seed: 3, Sample: 100 * time.Millisecond})
	defer fleet.stop()
	h.until("samples", func() bool { c := <-fleet.now; return c.Samples >= 4 && c.Refusals == 0 })
}
