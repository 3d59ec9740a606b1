package executor

import (
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/people"
	"patchring/wire"
)

// say sends an answer from the device's page.
func (w *world) say(t *testing.T, said wire.Said) {
	t.Helper()
	if said.Tenant == "" {
		said.Tenant, said.Device = w.exec.Tenant, w.exec.Device
	}
	if said.ExpiresUS == 0 {
		said.ExpiresUS = us2(w.wall.Add(time.Hour))
	}
	envelope, err := wire.Seal(wire.EnvelopeSaid, said, w.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.exec.Hear(t.Context(), envelope); err != nil {
		t.Fatal(err)
	}
}

func TestALaterFromThePageCountsForEverybodyAskedAndOnce(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann", "bob"}
	w.send(w.asking(1, "a"))
	w.until(t, "ann", people.StateAsked)
	w.until(t, "bob", people.StateAsked)
	for range 2 { // the second copy comes by a check-in
		w.say(t, wire.Said{ID: "s1", Serial: 1, Choice: people.Hour})
		w.restart(false)
	}
	told := w.told(wire.NoticePostponed)
	if len(told) != 2 || told[0].Said != "s1" || told[1].Left != 1 || len(w.told(wire.NoticeRefused)) != 0 {
		t.Fatalf("postponed %+v refused %+v, want one later of each, by s1", told, w.told(wire.NoticeRefused))
	}
	if asked := w.told(wire.NoticeAsked); len(asked[0].Offers) == 0 || asked[0].DeadlineUS == 0 {
		t.Fatalf("%+v, want what may be answered, and the deadline", asked[0])
	}
	if w.tick(); w.packages["a"] != "1" {
		t.Fatal("installed although it was postponed")
	}
}

func TestAnswersFromThePageThatAreNotTaken(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann"}
	w.send(w.asking(1, "a"))
	w.until(t, "ann", people.StateAsked)
	for _, c := range []struct {
		said wire.Said
		why  people.Why
	}{
		{wire.Said{ID: "now", Serial: 1, Choice: people.Now}, people.NothingAsked},
		{wire.Said{ID: "order", Serial: 9, Choice: people.Hour}, people.NothingAsked},
		{wire.Said{ID: "old", Serial: 1, Choice: people.Hour, ExpiresUS: 1}, people.TooOld},
	} {
		w.say(t, c.said)
		var got []wire.Event
		for _, e := range w.events() {
			if e.Kind == wire.EventNotice && e.Notice.Said == c.said.ID {
				got = append(got, e)
			}
		}
		if len(got) != 1 || got[0].Notice.What != wire.NoticeRefused || got[0].Cause.Code != string(fault.AnswerNotTaken) || got[0].Cause.Args["why"] != string(c.why) {
			t.Errorf("%s: %+v, want refused because of %s", c.said.ID, got, c.why)
		}
	}
	if w.packages["a"] != "1" {
		t.Error("an answer from the page installs nothing")
	}
}

func TestAForgedAnswerFromThePageIsNotHeard(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann"}
	w.send(w.asking(1, "a"))
	w.until(t, "ann", people.StateAsked)
	good := wire.Said{ID: "s", Tenant: w.exec.Tenant, Device: w.exec.Device, Serial: 1, Choice: people.Hour, ExpiresUS: us2(w.wall.Add(time.Hour))}
	other := good
	other.Device = "another"
	for name, f := range map[string]func() (wire.Envelope, error){
		"another device": func() (wire.Envelope, error) { return wire.Seal(wire.EnvelopeSaid, other, w.key) },
		"another kind":   func() (wire.Envelope, error) { return wire.Seal(wire.EnvelopeHolds, good, w.key) },
		"changed": func() (wire.Envelope, error) {
			e, err := wire.Seal(wire.EnvelopeSaid, good, w.key)
			e.Payload = append([]byte(nil), e.Payload...)
			e.Payload[10] ^= 1
			return e, err
		},
	} {
		envelope, err := f()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.exec.Hear(t.Context(), envelope); err == nil {
			t.Errorf("%s: heard", name)
		}
	}
	if n := w.told(wire.NoticePostponed); len(n) != 0 {
		t.Fatalf("%+v, want nothing", n)
	}
}
