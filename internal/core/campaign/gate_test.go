package campaign_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
)

// theGate asks for two outcomes, 95 % done, at most one failure, at most 5 %
// unreachable and at most 10 % not reached.
var theGate = procedure.Gate{MinDevices: 2, MinDonePercent: 95, MaxFailed: 1, MaxUnreachablePercent: 5, MaxNotReachedPercent: 10}

func TestJudge(t *testing.T) {
	tests := []struct {
		name    string
		numbers campaign.Counters
		verdict campaign.Verdict
		codes   []fault.Code
	}{
		{"all done", campaign.Counters{Done: 20}, campaign.Pass, []fault.Code{fault.GatePassed}},
		{"exactly 95 %, exactly one failed", campaign.Counters{Done: 19, Failed: 1}, campaign.Pass, []fault.Code{fault.GatePassed}},
		{"exactly 5 % unreachable", campaign.Counters{Done: 19, Unreachable: 1}, campaign.Pass, []fault.Code{fault.GatePassed}},
		{"just below 95 %", campaign.Counters{Done: 18, Failed: 1}, campaign.Stop, []fault.Code{fault.GateDoneTooLow}},
		{"two failed of many", campaign.Counters{Done: 98, Failed: 2}, campaign.Stop, []fault.Code{fault.GateFailedTooMany}},
		{"above 5 % unreachable", campaign.Counters{Done: 18, Unreachable: 1}, campaign.Stop, []fault.Code{fault.GateDoneTooLow, fault.GateUnreachable}},
		{"everything is wrong", campaign.Counters{Done: 2, Failed: 2, NotReached: 2, Unreachable: 2}, campaign.Stop,
			[]fault.Code{fault.GateDoneTooLow, fault.GateFailedTooMany, fault.GateUnreachable, fault.GateNotReached}},
		{"exempt are of no percentage", campaign.Counters{Done: 19, Failed: 1, Exempt: 100}, campaign.Pass, []fault.Code{fault.GatePassed}},
		{"an empty ring", campaign.Counters{}, campaign.InsufficientEvidence, []fault.Code{fault.GateEmptyRing}},
		{"only exempt", campaign.Counters{Exempt: 3}, campaign.InsufficientEvidence, []fault.Code{fault.GateEmptyRing}},
		{"one outcome of the two it wants", campaign.Counters{Done: 1}, campaign.InsufficientEvidence, []fault.Code{fault.GateTooFew}},
		{"nobody reached", campaign.Counters{NotReached: 10}, campaign.InsufficientEvidence, []fault.Code{fault.GateTooFew}},
		{"two outcomes are enough", campaign.Counters{Done: 1, Failed: 1}, campaign.Stop, []fault.Code{fault.GateDoneTooLow}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			verdict, evidence, reasons := campaign.Ring{Gate: theGate, Counters: tt.numbers}.Judge()
			if verdict != tt.verdict || !slices.Equal(reasonCodes(reasons), tt.codes) {
				t.Errorf("got %s %v, want %s %v", verdict, reasons, tt.verdict, tt.codes)
			}
			allOK := !slices.ContainsFunc(evidence, func(e campaign.Evidence) bool { return !e.OK })
			if allOK != (verdict == campaign.Pass) || len(evidence) != 5 {
				t.Errorf("verdict %s on evidence %+v", verdict, evidence)
			}
		})
	}
}

func TestTooFewCanBeEnoughToCallItBad(t *testing.T) {
	verdict, _, reasons := campaign.Ring{Gate: procedure.Gate{MinDevices: 5}, Counters: campaign.Counters{Failed: 1, NotReached: 9}}.Judge()
	want := []fault.Code{fault.GateTooFew, fault.GateFailedTooMany}
	if verdict != campaign.InsufficientEvidence || !slices.Equal(reasonCodes(reasons), want) {
		t.Errorf("got %s %v, want insufficient_evidence %v", verdict, reasons, want)
	}
}

func TestAGateThatAsksForNothingAsksForOne(t *testing.T) {
	verdict, _, reasons := campaign.Ring{Counters: campaign.Counters{NotReached: 1}, Gate: procedure.Gate{MaxNotReachedPercent: 100}}.Judge()
	if verdict != campaign.InsufficientEvidence {
		t.Errorf("got %s %v: no data is never a pass", verdict, reasons)
	}
}

func TestEvidenceIsMeasuredBesideWhatIsAsked(t *testing.T) {
	_, got, reasons := campaign.Ring{Gate: theGate, Counters: campaign.Counters{Done: 1899, Failed: 1, NotReached: 101, Exempt: 7}}.Judge()
	want := []campaign.Evidence{
		{Name: "devices", Have: "1900", Need: ">= 2", OK: true},
		{Name: "done_percent", Have: "94.9", Need: ">= 95"}, // 94.9025, never shown as 95
		{Name: "failed", Have: "1", Need: "<= 1", OK: true},
		{Name: "unreachable_percent", Have: "0", Need: "<= 5", OK: true},
		{Name: "not_reached_percent", Have: "5.1", Need: "<= 10", OK: true}, // 5.047
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(reasons) != 1 || reasons[0].Args["have"] != "94.9" || reasons[0].Args["need"] != "95" {
		t.Errorf("reasons %v", reasons)
	}
}

func TestEvidenceOfNobodyIsUnknown(t *testing.T) {
	_, got, _ := campaign.Ring{Gate: theGate, Counters: campaign.Counters{Exempt: 2}}.Judge()
	for _, e := range got[1:] {
		if !e.Unknown || e.OK || e.Have != "" {
			t.Errorf("%+v, want unknown", e)
		}
	}
}

func TestSharesAreShownAsTheyAre(t *testing.T) {
	r := campaign.Ring{Gate: procedure.Gate{MinDonePercent: 94.3}, Counters: campaign.Counters{Done: 943, NotReached: 57}}
	_, got, _ := r.Judge()
	if e := got[1]; e.Have != "94.3" || e.Need != ">= 94.3" || !e.OK {
		t.Errorf("943 of 1000: %+v", e)
	}
}

func TestSignOffs(t *testing.T) {
	at := func(h int) time.Time { return monday.Add(time.Duration(h) * time.Hour) }
	yes := func(role string, h int) campaign.SignOff { return campaign.SignOff{Role: role, Yes: true, At: at(h)} }
	no := func(role string, h int) campaign.SignOff {
		return campaign.SignOff{Role: role, Actor: "user:bob", Comment: "printing is broken", At: at(h)}
	}
	tests := []struct {
		name  string
		given []campaign.SignOff
		codes []fault.Code
	}{
		{"nobody has signed", nil, []fault.Code{fault.GateSignOffMissing, fault.GateSignOffMissing}},
		{"one of two", []campaign.SignOff{yes("it", 1)}, []fault.Code{fault.GateSignOffMissing}},
		{"both", []campaign.SignOff{yes("business", 2), yes("it", 1)}, []fault.Code{fault.GatePassed}},
		{"of a role nobody asked", []campaign.SignOff{yes("it", 1), yes("boss", 1)}, []fault.Code{fault.GateSignOffMissing}},
		{"refused", []campaign.SignOff{yes("it", 1), no("business", 2)}, []fault.Code{fault.GateSignOffRefused}},
		{"refused, then accepted", []campaign.SignOff{yes("it", 1), no("business", 2), yes("business", 3)}, []fault.Code{fault.GatePassed}},
		{"accepted, then refused, in whatever order they are read", []campaign.SignOff{no("business", 3), yes("it", 1), yes("business", 2)},
			[]fault.Code{fault.GateSignOffRefused}},
		{"at the same instant the last one counts", []campaign.SignOff{yes("it", 1), yes("business", 2), no("business", 2)}, []fault.Code{fault.GateSignOffRefused}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := campaign.Ring{
				Gate:     procedure.Gate{MinDonePercent: 100, SignOffs: []procedure.SignOffRule{{Role: "it"}, {Role: "business"}}},
				Counters: campaign.Counters{Done: 1}, SignOffs: tt.given,
			}
			verdict, _, reasons := r.Judge()
			if !slices.Equal(reasonCodes(reasons), tt.codes) || (verdict == campaign.Pass) != (tt.codes[0] == fault.GatePassed) {
				t.Errorf("got %s %v, want %v", verdict, reasons, tt.codes)
			}
			if tt.codes[0] == fault.GateSignOffRefused && (reasons[0].Args["by"] != "user:bob" || reasons[0].Args["comment"] == "") {
				t.Errorf("refused by nobody: %v", reasons[0])
			}
		})
	}
}

func TestAGateWaitsForOpenTasks(t *testing.T) {
	r := campaign.Ring{Gate: theGate, Counters: campaign.Counters{Done: 20}, OpenTasks: 2}
	verdict, _, reasons := r.Judge()
	if verdict != campaign.Stop || len(reasons) != 1 || reasons[0].Code != fault.GateTaskOpen || reasons[0].Args["count"] != "2" {
		t.Errorf("got %s %v, want a stop for two tasks", verdict, reasons)
	}
	r.Counters = campaign.Counters{Done: 1}
	if verdict, _, reasons := r.Judge(); verdict != campaign.InsufficientEvidence || !slices.Equal(reasonCodes(reasons), []fault.Code{fault.GateTooFew, fault.GateTaskOpen}) {
		t.Errorf("got %s %v, want too few devices, and the tasks beside it", verdict, reasons)
	}
	r.OpenTasks, r.Counters = 0, campaign.Counters{Done: 20}
	if verdict, _, _ := r.Judge(); verdict != campaign.Pass {
		t.Errorf("with every task closed the gate says %s", verdict)
	}
}

func TestBreaker(t *testing.T) {
	r := campaign.Ring{Gate: procedure.Gate{MaxFailed: 1}, Counters: campaign.Counters{Failed: 1}}
	if why := r.Breaker(); !why.IsZero() {
		t.Errorf("as many failures as allowed stop the ring: %s", why)
	}
	r.Counters.Failed = 2
	if why := r.Breaker(); why.Code != fault.GateFailedTooMany || why.Args["have"] != "2" || why.Args["max"] != "1" {
		t.Errorf("two failures of one allowed: %s", why)
	}
}

func TestCounters(t *testing.T) {
	var c campaign.Counters
	for i, b := range []campaign.Bucket{campaign.Done, campaign.Failed, campaign.NotReached, campaign.Unreachable, campaign.Exempt} {
		c.Add(b, i+1)
	}
	c.Add(campaign.Exempt, -1)
	if want := (campaign.Counters{Done: 1, Failed: 2, NotReached: 3, Unreachable: 4, Exempt: 4}); c != want || c.Total() != 14 || c.Expected() != 10 {
		t.Errorf("got %+v, %d of which %d expected", c, c.Total(), c.Expected())
	}
}
