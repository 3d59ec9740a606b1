package campaign_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"patchring/internal/core/campaign"
	"patchring/internal/core/checklist"
	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
)

func goodRing() campaign.Ring {
	return campaign.Ring{
		Campaign: "c", State: campaign.Running, Name: "R0", Ring: campaign.RingGate,
		Gate: procedure.Gate{MinDevices: 1, MinDonePercent: 100}, Counters: campaign.Counters{Done: 3},
	}
}

func TestAGateWaitsForItsTestsAndIncidents(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*campaign.Ring)
		want   []fault.Code
	}{
		"nothing":                  {func(*campaign.Ring) {}, []fault.Code{fault.GatePassed}},
		"all ok":                   {func(r *campaign.Ring) { r.Tests = checklist.Tally{OK: 4} }, []fault.Code{fault.GatePassed}},
		"an open test":             {func(r *campaign.Ring) { r.Tests = checklist.Tally{OK: 3, Open: 1} }, []fault.Code{fault.GateTestOpen}},
		"a failed test":            {func(r *campaign.Ring) { r.Tests = checklist.Tally{OK: 3, Failed: 1} }, []fault.Code{fault.GateTestFailed}},
		"a critical incident":      {incidents(procedure.Critical, 1, nil), []fault.Code{fault.GateIncidentOpen}},
		"a major incident":         {incidents(procedure.Major, 1, nil), []fault.Code{fault.GateIncidentOpen}},
		"minor ones, no limit":     {incidents(procedure.Minor, 9, nil), []fault.Code{fault.GatePassed}},
		"minor ones, under theirs": {incidents(procedure.Minor, 2, map[procedure.Severity]int{procedure.Minor: 2}), []fault.Code{fault.GatePassed}},
		"minor ones, above theirs": {incidents(procedure.Minor, 3, map[procedure.Severity]int{procedure.Minor: 2}), []fault.Code{fault.GateIncidentOpen}},
		"a major one is allowed":   {incidents(procedure.Major, 1, map[procedure.Severity]int{procedure.Major: 1}), []fault.Code{fault.GatePassed}},
	} {
		ring := goodRing()
		c.change(&ring)
		verdict, evidence, reasons := ring.Judge()
		var got []fault.Code
		for _, r := range reasons {
			got = append(got, r.Code)
		}
		passed := c.want[0] == fault.GatePassed
		if !slices.Equal(got, c.want) || (verdict == campaign.Pass) != passed {
			t.Errorf("%s: %s for %v, want %v", name, verdict, got, c.want)
		}
		if bad := slices.ContainsFunc(evidence, func(e campaign.Evidence) bool { return !e.OK }); bad == passed {
			t.Errorf("%s: %s, and the evidence says %+v", name, verdict, evidence)
		}
	}
}

func incidents(s procedure.Severity, n int, limits map[procedure.Severity]int) func(*campaign.Ring) {
	return func(r *campaign.Ring) {
		r.Incidents, r.Gate.Incidents = map[procedure.Severity]int{s: n}, limits
	}
}

// No gate passes with an item that is not ok, or more incidents than it allows,
// whatever else is true.
func TestNoGatePassesWithAnOpenTest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ring := goodRing()
		count := rapid.IntRange(0, 2)
		ring.Tests = checklist.Tally{OK: count.Draw(rt, "ok"), Failed: count.Draw(rt, "failed"), Open: count.Draw(rt, "open")}
		ring.Incidents, ring.Gate.Incidents = map[procedure.Severity]int{}, map[procedure.Severity]int{}
		for _, s := range procedure.Severities() {
			ring.Incidents[s] = count.Draw(rt, "incidents")
			if rapid.Bool().Draw(rt, "limited") {
				ring.Gate.Incidents[s] = count.Draw(rt, "most")
			}
		}
		ring.Counters.Failed = count.Draw(rt, "devices failed")
		verdict, _, _ := ring.Judge()
		bad := ring.Tests.Failed+ring.Tests.Open > 0 || ring.Counters.Failed > 0
		for s, n := range ring.Incidents {
			if most, limited := ring.Gate.MaxIncidents(s); limited && n > most {
				bad = true
			}
		}
		if (verdict == campaign.Pass) == bad {
			rt.Fatalf("%s with %+v, incidents %v of %v", verdict, ring.Tests, ring.Incidents, ring.Gate.Incidents)
		}
	})
}
