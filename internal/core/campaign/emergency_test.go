package campaign_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/wire"
)

func TestApproval(t *testing.T) {
	at := time.Date(2026, 1, 22, 10, 0, 0, 0, time.UTC)
	yes := func(role, by string, minute int) campaign.SignOff {
		return campaign.SignOff{Role: role, Yes: true, Actor: by, At: at.Add(time.Duration(minute) * time.Minute)}
	}
	no := func(role, by string, minute int) campaign.SignOff {
		s := yes(role, by, minute)
		s.Yes = false
		return s
	}
	tests := []struct {
		name  string
		said  []campaign.SignOff
		frost bool
		want  []fault.Code
	}{
		{"nobody has spoken", nil, false, []fault.Code{fault.GateSignOffMissing, fault.GateSignOffMissing}},
		{"one of two", []campaign.SignOff{yes("it", "user:a", 0)}, false, []fault.Code{fault.GateSignOffMissing}},
		{"both", []campaign.SignOff{yes("it", "user:a", 0), yes("security", "user:a", 0)}, false, nil},
		{"a later no", []campaign.SignOff{yes("it", "user:a", 0), yes("security", "user:b", 0), no("it", "user:c", 1)}, false, []fault.Code{fault.GateSignOffRefused}},
		{"a yes after the no", []campaign.SignOff{no("it", "user:a", 0), yes("security", "user:b", 0), yes("it", "user:a", 1)}, false, nil},
		{"a freeze, by the one who asked", []campaign.SignOff{yes("it", "user:a", 0), yes("security", "user:a", 0)}, true, []fault.Code{fault.SecondPersonMissing}},
		{"a freeze, with a second person", []campaign.SignOff{yes("it", "user:a", 0), yes("security", "user:b", 0)}, true, nil},
		{"a second person who took it back", []campaign.SignOff{yes("it", "user:a", 0), yes("security", "user:b", 0), yes("security", "user:a", 1)}, true, []fault.Code{fault.SecondPersonMissing}},
		{"a role that is not asked for", []campaign.SignOff{yes("it", "user:a", 0), yes("security", "user:a", 0), yes("finance", "user:b", 0)}, true, []fault.Code{fault.SecondPersonMissing}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := campaign.Approval{Rules: []procedure.SignOffRule{{Role: "it"}, {Role: "security"}}, SignOffs: tt.said, StartedBy: "user:a", ThroughFreeze: tt.frost}
			var got []fault.Code
			for _, r := range a.Missing() {
				got = append(got, r.Code)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("missing %v, want %v", got, tt.want)
			}
		})
	}
}

func TestADraftStandsStill(t *testing.T) {
	at := time.Date(2026, 1, 22, 10, 0, 0, 0, time.UTC)
	if state, look := campaign.DecideState(at, campaign.Draft, at.Add(-time.Hour), at.Add(-time.Minute)); state != campaign.Draft || !look.IsZero() {
		t.Errorf("past its dates it is %s, looks at %s", state, look)
	}
	d := campaign.DecideRing(at, campaign.Ring{State: campaign.Draft, Ring: campaign.RingPending, First: true, Opens: at.Add(-time.Hour)})
	if d.State != campaign.RingPending || d.Reasons[0].Code != fault.CampaignDraft {
		t.Errorf("its first ring: %+v", d)
	}
}

// An order of an emergency takes the place of one that has not begun, and of no
// other.
func TestAnEmergencyOverAnotherOrder(t *testing.T) {
	for _, tt := range []struct {
		urgent, yields, ordered bool
	}{{false, true, false}, {true, false, false}, {true, true, true}} {
		s := aSituation()
		s.OtherCampaign, s.OtherYields, s.Rules.Urgent = "c0", tt.yields, tt.urgent
		d := s.decide()
		if (d.Order != nil) != tt.ordered || d.Order != nil && !d.Order.Preempts {
			t.Errorf("urgent %t, yields %t: %+v", tt.urgent, tt.yields, d.Order)
		}
	}
}

func TestRenewed(t *testing.T) {
	key := func(name, version string) patch.Key {
		return patch.Key{Provider: "apt", Name: name, Version: version, Suite: "s"}
	}
	candidate := func(name, version string) campaign.Candidate {
		k := key(name, version)
		return campaign.Candidate{ID: k.ID(), Patch: policy.Patch{Key: k}}
	}
	candidates := []campaign.Candidate{candidate("a", "1"), candidate("a", "2"), candidate("b", "3"), candidate("b", "1"), candidate("c", "9")}
	got := campaign.Renewed([]patch.Key{key("a", "1"), key("b", "2")}, candidates)
	want := []patch.ID{key("a", "1").ID(), key("b", "2").ID(), key("b", "3").ID()}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: the newer one only where the named one is gone", got, want)
	}
}

// An order is written again when its device may act at more times than it says,
// now or later, and left alone when the time is the same.
func TestAnOrderThatIsTooNarrow(t *testing.T) {
	day := func(n int) calendar.Interval {
		return calendar.Interval{Start: noon.AddDate(0, 0, n), End: noon.AddDate(0, 0, n).Add(2 * time.Hour)}
	}
	for _, tt := range []struct {
		name         string
		ordered, may []calendar.Interval
		again        bool
	}{
		{"the same", []calendar.Interval{day(1), day(3)}, []calendar.Interval{day(1), day(3)}, false},
		{"one more before", []calendar.Interval{day(3)}, []calendar.Interval{day(1), day(3)}, true},
		{"one more between", []calendar.Interval{day(1), day(3)}, []calendar.Interval{day(1), day(2), day(3)}, true},
		{"one more after", []calendar.Interval{day(1)}, []calendar.Interval{day(1), day(3)}, false},
	} {
		s := aSituation()
		s.Windows = tt.may
		s.ordered(wire.StepWait, openssl).Windows = tt.ordered
		s.Order.Expires = tt.ordered[len(tt.ordered)-1].End
		if got := s.decide(); got.Cancel != tt.again {
			t.Errorf("%s: taken back %t", tt.name, got.Cancel)
		}
	}
}
