package alert_test

import (
	"encoding/json"
	"testing"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
)

func TestWhatEntriesMean(t *testing.T) {
	outcome := func(state string) map[string]any {
		return map[string]any{"kind": "install", "outcomes": []any{map[string]any{"patch": "p1", "state": "verified"}, map[string]any{"patch": "p2", "state": state, "cause": "disk_full"}}}
	}
	for _, c := range []struct {
		what  string
		entry register.Entry
		event alert.Event
		key   string
		over  bool
	}{
		{"a failed install", register.Entry{Kind: register.OrderResult, Device: "d", Detail: outcome("failed")}, alert.InstallFailed, "device:d", false},
		{"a good one", register.Entry{Kind: register.OrderResult, Device: "d", Detail: outcome("verified")}, alert.InstallFailed, "device:d", true},
		{"a stopped gate", register.Entry{Kind: register.GateDecided, Campaign: "c", Ring: "R0", Detail: map[string]any{"verdict": "hold"}}, alert.GateStopped, "campaign:c/R0", false},
		{"a passed gate", register.Entry{Kind: register.GateDecided, Campaign: "c", Ring: "R0", Detail: map[string]any{"verdict": "pass"}}, alert.GateStopped, "campaign:c/R0", true},
		{"a hold by hand", register.Entry{Kind: register.HoldPlaced, Actor: "user:a", Campaign: "c", Detail: map[string]any{"hold": "h"}}, alert.HoldPlaced, "hold:h", false},
		{"a hold by itself", register.Entry{Kind: register.HoldPlaced, Actor: "system:conductor", Campaign: "c", Detail: map[string]any{"hold": "h", "why": `breaker_failures have="3"`}}, alert.BreakerTripped, "hold:h", false},
		{"a hold for a service", register.Entry{Kind: register.HoldPlaced, Actor: "system:conductor", Campaign: "c", Detail: map[string]any{"hold": "h", "why": `breaker_service service="cups.service"`}}, alert.BreakerTripped, "hold:h", false},
		{"a hold for a regression", register.Entry{Kind: register.HoldPlaced, Actor: "system:conductor", Campaign: "c", Detail: map[string]any{"hold": "h", "why": `breaker_regressions measures="cpu_percent"`}}, alert.RegressionFound, "hold:h", false},
		{"that one for the breaker", register.Entry{Kind: register.HoldPlaced, Actor: "system:conductor", Campaign: "c", Detail: map[string]any{"hold": "h", "why": `breaker_regressions measures="cpu_percent"`}}, alert.BreakerTripped, "hold:h", false},
		{"that one lifted", register.Entry{Kind: register.HoldLifted, Actor: "user:a", Campaign: "c", Detail: map[string]any{"hold": "h"}}, alert.RegressionFound, "hold:h", true},
		{"a hold for an incident", register.Entry{Kind: register.HoldPlaced, Actor: "system:conductor", Campaign: "c", Detail: map[string]any{"hold": "h", "why": "the printers are dead"}}, alert.HoldPlaced, "hold:h", false},
		{"a lifted hold", register.Entry{Kind: register.HoldLifted, Actor: "user:a", Campaign: "c", Detail: map[string]any{"hold": "h"}}, alert.BreakerTripped, "hold:h", true},
		{"a closed campaign", register.Entry{Kind: register.CampaignClosed, Campaign: "c"}, alert.GateStopped, "campaign:c/", true},
		{"an incident", register.Entry{Kind: register.IncidentOpened, Campaign: "c", Detail: map[string]any{"severity": "critical"}}, alert.IncidentOpened, "campaign:c/", false},
		{"a complaint", register.Entry{Kind: register.FeedbackGiven, Device: "d", Detail: map[string]any{"says": "broken"}}, alert.FeedbackBroken, "device:d", false},
		{"a kind word", register.Entry{Kind: register.FeedbackGiven, Device: "d", Detail: map[string]any{"says": "works"}}, alert.FeedbackBroken, "device:d", true},
		{"a task overdue", register.Entry{Kind: register.TaskReminded, Detail: map[string]any{"task": "t", "state": "overdue"}}, alert.TaskOverdue, "task:t", false},
		{"a task closed", register.Entry{Kind: register.TaskClosed, Detail: map[string]any{"task": "t"}}, alert.TaskOverdue, "task:t", true},
		{"a test due soon", test(register.TestReminded, map[string]any{"state": "due_soon", "whom": "it", "open": json.Number("2")}), alert.TestDue, "test:c/1/R0/pay", false},
		{"a test overdue", test(register.TestReminded, map[string]any{"state": "overdue"}), alert.TestOverdue, "test:c/1/R0/pay", false},
		{"that is not just due any more", test(register.TestReminded, map[string]any{"state": "escalated"}), alert.TestDue, "test:c/1/R0/pay", true},
		{"the last item of a test", test(register.TestTicked, map[string]any{"left": json.Number("0")}), alert.TestOverdue, "test:c/1/R0/pay", true},
		{"the last item of a test that was due", test(register.TestTicked, map[string]any{"left": json.Number("0")}), alert.TestDue, "test:c/1/R0/pay", true},
		{"a forked register", register.Entry{Kind: register.DeviceEvent, Device: "d", Reason: fault.Because(fault.RegisterForked)}, alert.RegisterForked, "device:d", false},
		{"a rollback", register.Entry{Kind: register.RollbackRequested, Campaign: "c"}, alert.RollbackRequested, "campaign:c/", false},
	} {
		found := false
		for _, s := range alert.Read(c.entry) {
			if s.Event == c.event {
				found = true
				if s.Key() != c.key || s.Over != c.over {
					t.Errorf("%s: key %q over %t, want %q %t", c.what, s.Key(), s.Over, c.key, c.over)
				}
			}
		}
		if !found {
			t.Errorf("%s is no %s", c.what, c.event)
		}
	}
	for what, e := range map[string]register.Entry{
		"an item with others left": test(register.TestTicked, map[string]any{"left": json.Number("1")}),
		"an item of an old entry":  test(register.TestTicked, map[string]any{}),
		"a task due soon":          {Kind: register.TaskReminded, Detail: map[string]any{"task": "t", "state": "due_soon"}},
		"a gate that waits":        {Kind: register.GateDecided, Detail: map[string]any{"verdict": "insufficient_evidence"}},
		"a reboot's result":        {Kind: register.OrderResult, Detail: map[string]any{"kind": "reboot", "outcomes": []any{}}},
		"an order given":           {Kind: register.OrderIssued},
		"outcomes of nonsense":     {Kind: register.OrderResult, Detail: map[string]any{"kind": "install", "outcomes": "x"}},
	} {
		if got := alert.Read(e); len(got) > 0 {
			t.Errorf("%s means %+v", what, got)
		}
	}
}

func TestScope(t *testing.T) {
	r := alert.Rule{Devices: fleet.Selector{All: true, Kinds: []fleet.Kind{fleet.Server}}, Sites: []string{"lyon"}, During: alert.DuringCampaign}
	in := fleet.Member{Kind: fleet.Server, Tags: fleet.Tags{"site": "lyon"}}
	for what, c := range map[string]struct {
		member   fleet.Member
		campaign bool
		want     bool
	}{
		"inside": {in, true, true}, "no campaign": {in, false, false}, "another kind": {fleet.Member{Kind: fleet.Workstation, Tags: in.Tags}, true, false},
		"another site": {fleet.Member{Kind: fleet.Server, Tags: fleet.Tags{"site": "paris"}}, true, false},
	} {
		if r.Covers(c.member, c.campaign) != c.want {
			t.Errorf("%s: covered is not %t", what, c.want)
		}
	}
	if r.CoversCampaigns() || !(alert.Rule{Devices: fleet.Selector{All: true}}).CoversCampaigns() {
		t.Error("a rule for some devices is not one for campaigns")
	}
}

// test is an entry about a test.
func test(kind register.Kind, detail map[string]any) register.Entry {
	detail["test"], detail["amendment"] = "pay", json.Number("1")
	return register.Entry{Kind: kind, Campaign: "c", Ring: "R0", Detail: detail}
}
