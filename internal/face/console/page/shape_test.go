package page

import (
	"strings"
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/rulebook"
)

func TestEvidenceIsNotAFailureBeforeItCanBeThere(t *testing.T) {
	done := campaign.Evidence{Name: campaign.EvidenceDone, Have: "0", Need: ">= 95"}
	failed := campaign.Evidence{Name: campaign.EvidenceFailed, Have: "3", Need: "<= 1"}
	unknown := campaign.Evidence{Name: campaign.EvidenceDone, Need: ">= 95", Unknown: true}
	for _, c := range []struct {
		state campaign.RingState
		line  campaign.Evidence
		want  ui.Tone
	}{
		{campaign.RingPending, done, ui.Idle}, {campaign.RingPending, failed, ui.Idle},
		{campaign.RingOpen, done, ui.Idle}, {campaign.RingOpen, failed, ui.Bad},
		{campaign.RingSoaking, done, ui.Idle}, {campaign.RingGate, done, ui.Bad},
		{campaign.RingGate, unknown, ui.Idle},
		{campaign.RingGate, campaign.Evidence{Name: campaign.EvidenceDone, OK: true}, ui.Good},
	} {
		if got := (Ring{State: c.state}).judged(c.line); got != c.want {
			t.Errorf("%s of a ring that is %q: %s, want %s", c.line.Name, c.state, got, c.want)
		}
	}
}

func TestASignOffIsOfferedToItsRoleWhileTheGateIsUndecided(t *testing.T) {
	visas := []Visa{{Role: "it", Given: true, Yes: true}, {Role: "business"}}
	for _, c := range []struct {
		state         campaign.RingState
		awaits, signs int
	}{
		{campaign.RingPending, 0, 0}, {campaign.RingOpen, 1, 2}, {campaign.RingGate, 1, 2}, {campaign.RingPromoted, 0, 0}, {campaign.RingDone, 0, 0},
	} {
		r := Ring{State: c.state, Visas: visas}
		if got := len(r.Awaits([]string{"it", "business"})); got != c.awaits {
			t.Errorf("%s: %d awaited, want %d", c.state, got, c.awaits)
		}
		if got := len(r.Signable([]string{"it", "business"})); got != c.signs {
			t.Errorf("%s: %d to sign, want %d", c.state, got, c.signs)
		}
		if got := len(r.Signable([]string{"admin"})); got != 0 {
			t.Errorf("%s: %d offered to a role the gate does not ask for", c.state, got)
		}
	}
}

func TestWhatTheGateShowsIsNotSaidTwice(t *testing.T) {
	r := Ring{Reasons: []fault.Reason{fault.Because(fault.GateFailedTooMany), fault.Because(fault.GateSignOffMissing), fault.Because(fault.GateTooFew)}}
	if got := r.standing(); len(got) != 1 || got[0].Code != fault.GateTooFew {
		t.Errorf("got %v, want gate_too_few alone", got)
	}
}

func TestTheListBehindANumber(t *testing.T) {
	one := Board{ID: "c", Rings: []Ring{{Name: "R0"}, {Name: "R1", Counters: campaign.Counters{Failed: 2}}}}
	if got, want := one.behind(campaign.Failed), "/campaigns/c/rings/R1?bucket=failed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	one.Rings[0].Counters.Failed = 1
	if got := one.behind(campaign.Failed); got != "#board-rings" {
		t.Errorf("got %s, want the rings", got)
	}
}

// The January of 2026: Patch Tuesday on the 13th, verification on the 22nd.
func TestTheGridOfAMonth(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour int) time.Time { return time.Date(2026, 1, day, hour, 0, 0, 0, paris) }
	m := Month{Schedule: procedure.Schedule{
		PatchTuesday: calendar.Date{Year: 2026, Month: time.January, Day: 13}, Verification: at(22, 9),
		Rings: []procedure.RingSpan{
			{Ring: "R0", Opens: at(13, 19), Closes: at(15, 0)}, {Ring: "R1", Opens: at(15, 0), Closes: at(20, 9)},
			{Ring: "GLOBAL", Opens: at(20, 9), Closes: at(22, 9)},
		},
	}}
	v := Calendar{
		Freezes: []rulebook.FreezeLine{{Name: "storm", From: at(14, 18), Until: at(16, 0)}},
		Windows: &rulebook.WindowList{Alike: []rulebook.AlikeDevice{{Open: []rulebook.Stretch{{Start: at(16, 22), End: at(17, 6)}}}}},
	}
	weeks := v.weeks(m, at(16, 12))
	if len(weeks) != 5 || !weeks[0][2].Date.IsZero() || weeks[0][3].Date.Day() != 1 {
		t.Fatalf("%d weeks, the first %+v; want the 1st on a Thursday", len(weeks), weeks[0])
	}
	days := map[int]day{}
	for _, w := range weeks {
		for _, d := range w {
			if !d.Date.IsZero() {
				days[d.Date.Day()] = d
			}
		}
	}
	// A freeze until midnight is not on the day that begins then, and a window
	// belongs to the day that it opens on.
	for number, want := range map[int]string{13: "", 14: "storm", 15: "storm", 16: "", 17: ""} {
		if got := strings.Join(days[number].Freezes, " "); got != want || days[number].Open != (number == 16) {
			t.Errorf("the %dth: frozen by %q, want %q; opens %t", number, got, want, days[number].Open)
		}
	}
	if got := v.freezesIn(m); len(got) != 1 {
		t.Errorf("freezes of the month: %+v", got)
	}
	for number, ring := range map[int]string{12: "", 13: "R0", 14: "R0", 15: "R1", 19: "R1", 20: "GLOBAL", 22: "GLOBAL", 23: ""} {
		if days[number].RingName != ring {
			t.Errorf("the %d is of %q, want %q", number, days[number].RingName, ring)
		}
	}
	if !days[13].PatchTuesday || !days[22].Verification || !days[16].Today || days[17].Today {
		t.Errorf("the 13th %+v, the 22nd %+v, the 16th %+v", days[13], days[22], days[16])
	}
}
