package campaign_test

import (
	"slices"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
)

// The day most of these tests happen on.
var (
	monday = time.Date(2026, 1, 12, 9, 0, 0, 0, time.UTC)
	noon   = monday.Add(3 * time.Hour)
)

// anOpenRing has four devices, asks for all of them, and nobody's signature.
func anOpenRing() campaign.Ring {
	return campaign.Ring{
		Campaign: "c1", State: campaign.Running, Name: "R1", Ring: campaign.RingOpen, Opens: monday, Opened: monday, Closes: monday.Add(48 * time.Hour),
		Soak: 24 * time.Hour, Gate: procedure.Gate{MinDevices: 1, MinDonePercent: 100},
		Counters: campaign.Counters{NotReached: 4}, Previous: campaign.Before{Name: "R0", State: campaign.RingPromoted},
	}
}

func TestDecideRing(t *testing.T) {
	soakUntil := noon.Add(24 * time.Hour)
	tests := []struct {
		name    string
		given   func(*campaign.Ring)
		state   campaign.RingState
		verdict campaign.Verdict
		codes   []fault.Code
		look    time.Time
	}{
		{"waits for the ring before it", func(r *campaign.Ring) {
			r.Ring, r.Opened, r.Previous.State = campaign.RingPending, time.Time{}, campaign.RingGate
		}, campaign.RingPending, "", []fault.Code{fault.RingWaitsPrevious}, time.Time{}},
		{"the first ring waits for nobody", func(r *campaign.Ring) {
			r.Ring, r.Opened, r.First, r.Previous = campaign.RingPending, time.Time{}, true, campaign.Before{}
		}, campaign.RingOpen, "", nil, time.Time{}},
		{"waits for its date", func(r *campaign.Ring) {
			r.Ring, r.Opened, r.Opens = campaign.RingPending, time.Time{}, noon.Add(time.Second)
		}, campaign.RingPending, "", []fault.Code{fault.RingWaitsCalendar}, noon.Add(time.Second)},
		{"opens on its date", func(r *campaign.Ring) {
			r.Ring, r.Opened, r.Opens = campaign.RingPending, time.Time{}, noon
		}, campaign.RingOpen, "", nil, time.Time{}},
		{"opens before its date when expedited", func(r *campaign.Ring) {
			r.Ring, r.Opened, r.Opens, r.Expedited = campaign.RingPending, time.Time{}, noon.Add(72*time.Hour), true
		}, campaign.RingOpen, "", nil, time.Time{}},
		{"is not expedited past the gate before it", func(r *campaign.Ring) {
			r.Ring, r.Opened, r.Expedited, r.Previous.State = campaign.RingPending, time.Time{}, true, campaign.RingSoaking
		}, campaign.RingPending, "", []fault.Code{fault.RingWaitsPrevious}, time.Time{}},

		{"runs while anyone is not reached", func(r *campaign.Ring) { r.Counters = campaign.Counters{Done: 3, NotReached: 1} },
			campaign.RingOpen, "", []fault.Code{fault.RingRunning}, monday.Add(48 * time.Hour)},
		{"says that too many have failed", func(r *campaign.Ring) { r.Counters = campaign.Counters{Failed: 1, NotReached: 3} },
			campaign.RingOpen, "", []fault.Code{fault.RingRunning, fault.GateFailedTooMany}, monday.Add(48 * time.Hour)},
		{"soaks when everyone has an outcome", func(r *campaign.Ring) { r.Counters = campaign.Counters{Done: 3, Failed: 1} },
			campaign.RingSoaking, "", nil, time.Time{}},
		{"does not wait for those that cannot be reached", func(r *campaign.Ring) { r.Counters = campaign.Counters{Done: 3, Unreachable: 1} },
			campaign.RingSoaking, "", nil, time.Time{}},
		{"soaks when enough are done for its gate", func(r *campaign.Ring) {
			r.Counters, r.Gate = campaign.Counters{Done: 3, NotReached: 1}, procedure.Gate{MinDonePercent: 75, MaxNotReachedPercent: 25}
		}, campaign.RingSoaking, "", nil, time.Time{}},
		{"soaks from when it closes, whoever is missing", func(r *campaign.Ring) { r.Closes = noon }, campaign.RingSoaking, "", nil, time.Time{}},
		{"opened late, stays open as long as it should", func(r *campaign.Ring) { r.Opened, r.Closes = noon, noon.Add(-time.Hour) },
			campaign.RingOpen, "", []fault.Code{fault.RingRunning}, noon.Add(2 * time.Hour)},

		{"soaks until the end", func(r *campaign.Ring) { r.Ring, r.SoakUntil = campaign.RingSoaking, noon.Add(time.Second) },
			campaign.RingSoaking, "", []fault.Code{fault.RingSoaking}, noon.Add(time.Second)},
		{"has soaked", func(r *campaign.Ring) { r.Ring, r.SoakUntil = campaign.RingSoaking, noon }, campaign.RingGate, "", nil, time.Time{}},
		{"does not soak when expedited", func(r *campaign.Ring) { r.Ring, r.SoakUntil, r.Expedited = campaign.RingSoaking, soakUntil, true },
			campaign.RingGate, "", nil, time.Time{}},

		{"holds at its gate", func(r *campaign.Ring) { r.Ring, r.Counters = campaign.RingGate, campaign.Counters{Done: 3, Failed: 1} },
			campaign.RingGate, campaign.Stop, []fault.Code{fault.GateDoneTooLow, fault.GateFailedTooMany}, time.Time{}},
		{"has nothing to conclude from", func(r *campaign.Ring) { r.Ring, r.Counters = campaign.RingGate, campaign.Counters{Exempt: 4} },
			campaign.RingGate, campaign.InsufficientEvidence, []fault.Code{fault.GateEmptyRing}, time.Time{}},
		{"passes", func(r *campaign.Ring) { r.Ring, r.Counters = campaign.RingGate, campaign.Counters{Done: 4} },
			campaign.RingPromoted, campaign.Pass, []fault.Code{fault.GatePassed}, time.Time{}},
		{"an expedited ring needs its gate all the same", func(r *campaign.Ring) { r.Ring, r.Expedited = campaign.RingGate, true },
			campaign.RingGate, campaign.InsufficientEvidence, []fault.Code{fault.GateTooFew}, time.Time{}},
		{"is not done while someone is left to reach", func(r *campaign.Ring) {
			r.Ring, r.Counters = campaign.RingPromoted, campaign.Counters{Done: 3, Unreachable: 1}
		},
			campaign.RingPromoted, campaign.Pass, []fault.Code{fault.GatePassed}, time.Time{}},
		{"is done", func(r *campaign.Ring) {
			r.Ring, r.Counters = campaign.RingPromoted, campaign.Counters{Done: 3, Failed: 1}
		},
			campaign.RingDone, campaign.Pass, []fault.Code{fault.GatePassed}, time.Time{}},
		{"is not done any more when someone joins", func(r *campaign.Ring) {
			r.Ring, r.Counters = campaign.RingDone, campaign.Counters{Done: 3, NotReached: 1}
		},
			campaign.RingPromoted, campaign.Pass, []fault.Code{fault.GatePassed}, time.Time{}},

		{"stands still before the campaign runs", func(r *campaign.Ring) { r.Ring, r.State = campaign.RingPending, campaign.Scheduled },
			campaign.RingPending, "", []fault.Code{fault.CampaignNotOpen}, time.Time{}},
		{"stands still when the campaign is closed", func(r *campaign.Ring) {
			r.Ring, r.Counters, r.State = campaign.RingGate, campaign.Counters{Done: 4}, campaign.Closed
		},
			campaign.RingGate, "", []fault.Code{fault.CampaignClosed}, time.Time{}},
		{"of a rollback without anything to undo is passed", func(r *campaign.Ring) {
			r.Ring, r.Counters, r.Undo = campaign.RingGate, campaign.Counters{}, true
		}, campaign.RingPromoted, campaign.Pass, []fault.Code{fault.GatePassed}, time.Time{}},
		{"of a rollback waits for the one before it", func(r *campaign.Ring) {
			r.Ring, r.Undo, r.First, r.Previous = campaign.RingPending, true, false, campaign.Before{Name: "R0", State: campaign.RingOpen}
		}, campaign.RingPending, "", []fault.Code{fault.RingWaitsPrevious}, time.Time{}},
		{"of a rollback is opened by a person all the same", func(r *campaign.Ring) {
			r.Ring, r.Undo, r.First, r.Expedited, r.Previous = campaign.RingPending, true, false, true, campaign.Before{Name: "R0", State: campaign.RingOpen}
		}, campaign.RingOpen, "", nil, time.Time{}},
		{"waits for the rehearsals of its rollbacks, and names what is missing", func(r *campaign.Ring) {
			r.Ring, r.Counters = campaign.RingGate, campaign.Counters{Done: 4}
			r.Rehearsals = campaign.Rehearsals{Asked: true, Done: 1, Need: 2, Missing: []string{"nginx"}}
		}, campaign.RingGate, campaign.Stop, []fault.Code{fault.GateNotRehearsed}, time.Time{}},
		{"passes once they are made", func(r *campaign.Ring) {
			r.Ring, r.Counters, r.Rehearsals = campaign.RingGate, campaign.Counters{Done: 4}, campaign.Rehearsals{Asked: true, Done: 2, Need: 2}
		}, campaign.RingPromoted, campaign.Pass, []fault.Code{fault.GatePassed}, time.Time{}},
		{"goes on after the verification's date", func(r *campaign.Ring) {
			r.Ring, r.Counters, r.State = campaign.RingGate, campaign.Counters{Done: 4}, campaign.Verifying
		}, campaign.RingPromoted, campaign.Pass, []fault.Code{fault.GatePassed}, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := anOpenRing()
			tt.given(&r)
			d := campaign.DecideRing(noon, r)
			if d.State != tt.state || d.Verdict != tt.verdict || !slices.Equal(reasonCodes(d.Reasons), tt.codes) || !d.Look.Equal(tt.look) {
				t.Errorf("got %s %q %v, look %s; want %s %q %v, look %s", d.State, d.Verdict, d.Reasons, d.Look, tt.state, tt.verdict, tt.codes, tt.look)
			}
			if d.State == campaign.RingSoaking && r.Ring == campaign.RingOpen && !d.SoakUntil.Equal(soakUntil) {
				t.Errorf("soaks until %s, want %s", d.SoakUntil, soakUntil)
			}
		})
	}
}

func TestAnExpeditedRingDoesNotSoak(t *testing.T) {
	r := anOpenRing()
	r.Expedited, r.Counters = true, campaign.Counters{Done: 4}
	if d := campaign.DecideRing(noon, r); d.State != campaign.RingSoaking || !d.SoakUntil.Equal(noon) {
		t.Errorf("got %s until %s, want no soak", d.State, d.SoakUntil)
	}
}

func TestHoldsStopRings(t *testing.T) {
	tests := []struct {
		name string
		hold campaign.Hold
		code fault.Code // empty: it does not stop this ring
	}{
		{"of the campaign", campaign.Hold{Campaign: "c1"}, fault.CampaignHeld},
		{"of every campaign", campaign.Hold{}, fault.CampaignHeld},
		{"of the ring", campaign.Hold{Campaign: "c1", Ring: "R1"}, fault.RingHeld},
		{"of another campaign", campaign.Hold{Campaign: "c2"}, ""},
		{"of another ring", campaign.Hold{Campaign: "c1", Ring: "R0"}, ""},
		{"of a device", campaign.Hold{Campaign: "c1", Device: "d1"}, ""},
		{"of a patch", campaign.Hold{Campaign: "c1", Item: "i1"}, ""},
	}
	for _, state := range []campaign.RingState{campaign.RingPending, campaign.RingOpen, campaign.RingSoaking, campaign.RingGate} {
		for _, tt := range tests {
			t.Run(string(state)+" "+tt.name, func(t *testing.T) {
				r := anOpenRing()
				tt.hold.Actor, tt.hold.Reason = "user:admin", "wait"
				r.Ring, r.Counters, r.Holds = state, campaign.Counters{Done: 4}, []campaign.Hold{tt.hold}
				d := campaign.DecideRing(noon, r)
				switch {
				case tt.code == "" && d.State == state:
					t.Errorf("got %s %v, want it to move", d.State, d.Reasons)
				case tt.code != "" && (d.State != state || len(d.Reasons) != 1 || d.Reasons[0].Code != tt.code || d.Reasons[0].Args["by"] != "user:admin"):
					t.Errorf("got %s %v, want %s %s", d.State, d.Reasons, state, tt.code)
				}
			})
		}
	}
}

func TestAHoldDoesNotTakeAGateBack(t *testing.T) {
	r := anOpenRing()
	r.Ring, r.Counters, r.Holds = campaign.RingPromoted, campaign.Counters{Done: 4}, []campaign.Hold{{Campaign: "c1"}}
	if d := campaign.DecideRing(noon, r); d.State != campaign.RingDone || d.Verdict != campaign.Pass {
		t.Errorf("got %s %s, want done pass", d.State, d.Verdict)
	}
}

func TestDecideState(t *testing.T) {
	starts, verification := monday, monday.Add(48*time.Hour)
	tests := []struct {
		name  string
		now   time.Time
		state campaign.State
		next  campaign.State
		look  time.Time
	}{
		{"before it starts", starts.Add(-time.Second), campaign.Scheduled, campaign.Scheduled, starts},
		{"starts", starts, campaign.Scheduled, campaign.Running, verification},
		{"runs", noon, campaign.Running, campaign.Running, verification},
		{"verifies", verification, campaign.Running, campaign.Verifying, time.Time{}},
		{"is taken up after all of it", verification.Add(time.Hour), campaign.Scheduled, campaign.Running, verification.Add(time.Hour)},
		{"goes on verifying", verification.Add(time.Hour), campaign.Verifying, campaign.Verifying, time.Time{}},
		{"stays closed", noon, campaign.Closed, campaign.Closed, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next, look := campaign.DecideState(tt.now, tt.state, starts, verification)
			if next != tt.next || !look.Equal(tt.look) {
				t.Errorf("got %s, look %s; want %s, look %s", next, look, tt.next, tt.look)
			}
		})
	}
}
