package campaign_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/health"
	"patchring/internal/core/procedure"
)

func TestTheGateAsksForWhatWasSeenSinceTheInstall(t *testing.T) {
	asks := procedure.Gate{MinDevices: 1, MinDonePercent: 100, MinProvenPercent: 80, MinHoursOfUse: 8, HealthRequired: true, MaxComplaints: 1}
	sound := campaign.Seen{Looked: true, Proven: 9, UseHours: 12, Health: health.Same, Complaints: 1}
	with := func(change func(*campaign.Seen)) campaign.Seen {
		s := sound
		change(&s)
		return s
	}
	for _, c := range []struct {
		name    string
		seen    campaign.Seen
		verdict campaign.Verdict
		code    fault.Code
	}{
		{"all is well", sound, campaign.Pass, fault.GatePassed},
		{"nobody has looked", campaign.Seen{}, campaign.InsufficientEvidence, fault.GateUnmeasured},
		{"too few are proven", with(func(s *campaign.Seen) { s.Proven = 7 }), campaign.Stop, fault.GateProvenTooLow},
		{"hardly used", with(func(s *campaign.Seen) { s.UseHours = 7.9 }), campaign.Stop, fault.GateUseTooShort},
		{"two complain", with(func(s *campaign.Seen) { s.Complaints = 2 }), campaign.Stop, fault.GateComplaints},
		{"health is not known", with(func(s *campaign.Seen) { s.Health, s.Unsure = health.Insufficient, []string{"boot_s"} }), campaign.InsufficientEvidence, fault.GateHealthUnknown},
		{"health was never judged", with(func(s *campaign.Seen) { s.Health = "" }), campaign.InsufficientEvidence, fault.GateHealthUnknown},
		{"a measure is worse", with(func(s *campaign.Seen) { s.Health, s.Worse = health.Worse, []string{"cpu_percent"} }), campaign.Stop, fault.GateRegressions},
	} {
		r := campaign.Ring{Ring: campaign.RingGate, Gate: asks, Counters: campaign.Counters{Done: 10}, Seen: c.seen}
		verdict, evidence, reasons := r.Judge()
		if verdict != c.verdict || !slices.Contains(reasonCodes(reasons), c.code) {
			t.Errorf("%s: got %s %v, want %s %s", c.name, verdict, reasons, c.verdict, c.code)
		}
		if allOK := !slices.ContainsFunc(evidence, func(e campaign.Evidence) bool { return !e.OK }); allOK != (verdict == campaign.Pass) {
			t.Errorf("%s: verdict %s on %+v", c.name, verdict, evidence)
		}
	}
}

func TestAGateThatAsksForNothingMoreStillStopsWhatIsWorse(t *testing.T) {
	r := campaign.Ring{Ring: campaign.RingGate, Gate: theGate, Counters: campaign.Counters{Done: 20}}
	r.Seen = campaign.Seen{Looked: true, Health: health.Insufficient, Unsure: []string{"login_s"}}
	if verdict, _, reasons := r.Judge(); verdict != campaign.Pass {
		t.Errorf("health that is not known stops a gate that does not ask: %v", reasons)
	}
	r.Seen.Health, r.Seen.Worse = health.Worse, []string{"cpu_percent"}
	if verdict, _, _ := r.Judge(); verdict != campaign.Stop {
		t.Errorf("a regression gives %s", verdict)
	}
	r.Gate.MaxRegressions = 1
	if verdict, _, reasons := r.Judge(); verdict != campaign.Pass {
		t.Errorf("one regression is allowed: %v", reasons)
	}
}

func TestTrips(t *testing.T) {
	fails := func(devices, everywhere, campaigns int) []campaign.ItemFailures {
		return []campaign.ItemFailures{{ItemCount: campaign.ItemCount{Item: "p1", Devices: devices}, Everywhere: everywhere, Campaigns: campaigns}}
	}
	stops := func(name string, servers, workstations health.Stopped) []campaign.ServiceDown {
		return []campaign.ServiceDown{{Service: name, Servers: servers, Workstations: workstations, Devices: []string{"a", "b"}, Item: "p1"}}
	}
	kind := func(k campaign.TripKind, item string) []string { return []string{string(k) + "/" + item} }
	for _, c := range []struct {
		name     string
		numbers  campaign.Counters
		seen     campaign.Seen
		position int
		want     []string
	}{
		{"quiet", campaign.Counters{Done: 20}, campaign.Seen{Looked: true}, 0, nil},
		{"what the gate accepts", campaign.Counters{Done: 1, Failed: 1}, campaign.Seen{Failures: fails(1, 1, 1)}, 0, nil},
		{"two of two, one patch", campaign.Counters{Failed: 2, NotReached: 9}, campaign.Seen{Failures: fails(2, 2, 1)}, 0, kind(campaign.TripFailures, "p1")},
		{"two of two, not one patch", campaign.Counters{Failed: 2, NotReached: 9}, campaign.Seen{Failures: fails(1, 1, 1)}, 0, kind(campaign.TripFailures, "")},
		{"two of a thousand", campaign.Counters{Done: 998, Failed: 2}, campaign.Seen{Failures: fails(2, 2, 1)}, 2, nil},
		{"the same patch in two campaigns", campaign.Counters{Done: 5, Failed: 1}, campaign.Seen{Failures: fails(1, 3, 2)}, 0, kind(campaign.TripElsewhere, "p1")},
		{"one pilot does not come back", campaign.Counters{Done: 9, NotReached: 1}, campaign.Seen{Unreachable: []string{"pc1"}}, 1, kind(campaign.TripUnreachable, "")},
		{"one of thousands does not", campaign.Counters{Done: 5000}, campaign.Seen{Unreachable: []string{"pc1"}}, 2, nil},
		{"a measure is worse", campaign.Counters{Done: 9}, campaign.Seen{Worse: []string{"cpu_percent"}}, 0, kind(campaign.TripRegression, "")},
		{"a probe on one workstation", campaign.Counters{Done: 9}, campaign.Seen{ProbeWorkstations: 1}, 0, nil},
		{"a probe on two workstations", campaign.Counters{Done: 9}, campaign.Seen{ProbeWorkstations: 2}, 0, kind(campaign.TripProbe, "")},
		{"a probe on one server", campaign.Counters{Done: 9}, campaign.Seen{ProbeServers: 1}, 2, kind(campaign.TripProbe, "")},
		{"a probe on two of many workstations", campaign.Counters{Done: 5000}, campaign.Seen{ProbeWorkstations: 2, PatchedWorkstations: 4900, PatchedServers: 100}, 2, nil},
		{"a probe on ten of many workstations", campaign.Counters{Done: 5000}, campaign.Seen{ProbeWorkstations: 10, PatchedWorkstations: 4900, PatchedServers: 100}, 2, kind(campaign.TripProbe, "")},
		{"a probe on one of few servers", campaign.Counters{Done: 5000}, campaign.Seen{ProbeServers: 1, PatchedWorkstations: 4950, PatchedServers: 50}, 2, kind(campaign.TripProbe, "")},
		{"a probe on one of many servers", campaign.Counters{Done: 5000}, campaign.Seen{ProbeServers: 1, PatchedServers: 1000}, 2, nil},
		{"a service on one workstation", campaign.Counters{Done: 9}, campaign.Seen{Services: stops("cups", health.Stopped{}, health.Stopped{Down: 1, Patched: 9})}, 0, nil},
		{"a service on two workstations", campaign.Counters{Done: 9}, campaign.Seen{Services: stops("cups", health.Stopped{}, health.Stopped{Down: 2, Patched: 9})}, 0, kind(campaign.TripService, "p1")},
		{"a service on one server", campaign.Counters{Done: 9}, campaign.Seen{Services: stops("nginx", health.Stopped{Down: 1, Patched: 9}, health.Stopped{})}, 2, kind(campaign.TripService, "p1")},
		{"a service on the others too", campaign.Counters{Done: 9}, campaign.Seen{Services: stops("nginx", health.Stopped{Down: 1, Patched: 9, OthersDown: 5, Others: 9}, health.Stopped{})}, 2, nil},
		{"two complain about one patch", campaign.Counters{Done: 9}, campaign.Seen{Complained: []campaign.ItemCount{{Item: "p1", Devices: 2}, {Item: "p2", Devices: 1}}}, 0, kind(campaign.TripComplaints, "p1")},
		{"two of thousands complain", campaign.Counters{Done: 5000}, campaign.Seen{Complained: []campaign.ItemCount{{Item: "p1", Devices: 2}}}, 2, nil},
		{"ten of thousands complain", campaign.Counters{Done: 5000}, campaign.Seen{Complained: []campaign.ItemCount{{Item: "p1", Devices: 10}}}, 2, kind(campaign.TripComplaints, "p1")},
	} {
		r := campaign.Ring{Ring: campaign.RingOpen, Gate: theGate, Counters: c.numbers, Seen: c.seen}
		if c.name == "two of two, one patch" || c.name == "two of two, not one patch" {
			r.Gate.MaxFailed = 0
		}
		var got []string
		for _, trip := range r.Trips(procedure.DefaultBreaker(), c.position, "it") {
			got = append(got, string(trip.Kind)+"/"+string(trip.Item))
			if trip.Reason.Args["role"] != "it" {
				t.Errorf("%s: nobody is told to act: %s", c.name, trip.Reason)
			}
			if trip.Kind == campaign.TripService && (trip.Service != c.seen.Services[0].Service || trip.Reason.Args["service"] != trip.Service || trip.Reason.Args["devices"] != "a,b") {
				t.Errorf("%s: it is not named: %+v", c.name, trip)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		r.Ring = campaign.RingPending
		if got := r.Trips(procedure.DefaultBreaker(), c.position, "it"); got != nil {
			t.Errorf("%s: a ring that is not open tripped: %v", c.name, got)
		}
		r.Ring = campaign.RingOpen
		if got := r.Trips(procedure.Breaker{UnreachableAfter: time.Hour}, c.position, "it"); got != nil {
			t.Errorf("%s: a breaker without parts tripped: %v", c.name, got)
		}
	}
}
