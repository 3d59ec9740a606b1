package executor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/people"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// asking is an order with a window each afternoon for a week, and a deadline
// in the third.
func (w *world) asking(serial int64, names ...string) wire.Order {
	o := w.order(serial, names...)
	o.Windows = nil
	for day := range 7 {
		from := time.Duration(day)*24*time.Hour + time.Hour
		o.Windows = append(o.Windows, w.window(from, from+5*time.Hour))
	}
	o.ExpiresUS = us2(w.wall.Add(8 * 24 * time.Hour))
	o.People = &wire.People{Postpones: 2, DeadlineUS: us2(w.wall.Add(51 * time.Hour)), NoticeS: 900, CountdownS: 300}
	return o
}

// until works until something is on a person's screen.
func (w *world) until(t *testing.T, user string, state people.State) Announcement {
	t.Helper()
	for range 20_000 {
		w.tick()
		for _, a := range w.screens {
			if a.User == user && a.State == state {
				return a
			}
		}
	}
	t.Fatalf("nothing %s on the screen of %s: %+v, %v", state, user, w.screens, describe(w.events()))
	return Announcement{}
}

func (w *world) told(what wire.NoticeWhat) (list []wire.Notice) {
	for _, e := range w.events() {
		if e.Kind == wire.EventNotice && e.Notice.What == what {
			list = append(list, *e.Notice)
		}
	}
	return list
}

func TestAPersonPostponesTwiceThenTheDeadlineInstalls(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann"}
	start := w.wall
	o := w.asking(1, "a")
	w.send(o)
	first := w.until(t, "ann", people.StateAsked)
	if early := w.wall.Sub(start); early > 46*time.Minute || len(first.Offers) != 3 {
		t.Fatalf("asked after %s with %+v, want a quarter of an hour before the window, with three choices", early, first.Offers)
	}
	for _, choice := range []people.Choice{people.Hour, people.Tomorrow} { // the evening is after the window
		w.until(t, "ann", people.StateAsked)
		if err := w.click("ann", choice); err != nil {
			t.Fatal(err)
		}
		w.restart(false) // a killed agent forgets nothing
	}
	if last := w.until(t, "ann", people.StateAsked); last.Left != 0 || len(last.Offers) != 1 {
		t.Fatalf("%+v, want no later any more", last)
	}
	if w.packages["a"] != "1" {
		t.Fatal("installed before the deadline")
	}
	warned := w.until(t, "ann", people.StateCountdown)
	if want := time.UnixMicro(o.People.DeadlineUS); warned.At.Sub(want) < 15*time.Minute || warned.At.Sub(want) > 17*time.Minute {
		t.Fatalf("countdown until %s, deadline %s", warned.At, want)
	}
	w.finish(time.Hour)
	if w.packages["a"] != "2" || states(w.result("o1"))["item-a"] != wire.ItemVerified {
		t.Fatalf("%v", w.result("o1"))
	}
	if n := w.told(wire.NoticePostponed); len(n) != 2 || n[0].User != "ann" || n[0].Left != 1 || n[1].Left != 0 {
		t.Fatalf("postponed: %+v, want two, counted down", n)
	}
	if c, d := w.told(wire.NoticeCountdown), w.told(wire.NoticeDeadline); len(c) != 1 || len(d) != 1 || d[0].User != "ann" {
		t.Fatalf("countdown %+v, deadline %+v", c, d)
	}
}

func TestInstallNowIsImmediate(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann", "bob"}
	w.send(w.asking(1, "a"))
	w.until(t, "ann", people.StateAsked)
	w.pass(time.Hour)
	w.until(t, "bob", people.StateAsked)
	for _, name := range w.there {
		if w.packages["a"] != "1" {
			t.Fatal("installed before everybody agreed")
		}
		if err := w.click(name, people.Now); err != nil {
			t.Fatal(err)
		}
		w.tick()
	}
	if w.packages["a"] != "2" {
		t.Fatalf("not installed: %v", describe(w.events()))
	}
	if len(w.told(wire.NoticeDeadline)) != 0 || len(w.told(wire.NoticeAccepted)) != 2 {
		t.Fatal("told otherwise")
	}
}

func TestNobodyThereAndNoTermsAskNothing(t *testing.T) {
	for _, terms := range []bool{true, false} {
		w := newWorld(t)
		o := w.asking(1, "a")
		if !terms {
			o.People = nil
			w.there = []string{"ann"}
		}
		w.send(o)
		w.finish(2 * time.Hour)
		if w.packages["a"] != "2" || len(w.told(wire.NoticeAsked)) != 0 {
			t.Fatalf("terms %v: %v", terms, describe(w.events()))
		}
	}
}

func TestSessionsThatCannotBeReadAreNobodysYes(t *testing.T) {
	w := newWorld(t)
	w.unknown = true
	o := w.asking(1, "a")
	w.send(o)
	for w.wall.Before(time.UnixMicro(o.People.DeadlineUS)) {
		if w.tick(); w.packages["a"] != "1" {
			t.Fatal("installed on somebody unknown before the deadline")
		}
	}
	w.finish(time.Hour)
	if w.packages["a"] != "2" {
		t.Fatal("an outage of logind stops what is due")
	}
}

func TestAHeldOrderDisturbsNobody(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann"}
	w.hold(1, wire.Hold{ID: "all"})
	w.send(w.asking(1, "a"))
	for range 300 {
		if w.tick(); len(w.screens) != 0 {
			t.Fatalf("a held order tells %+v", w.screens)
		}
	}
	w.hold(2)
	w.until(t, "ann", people.StateAsked)
	if err := w.exec.Cancel("o1"); err != nil {
		t.Fatal(err)
	}
	if w.tick(); len(w.screens) != 0 {
		t.Fatalf("a cancelled order tells %+v", w.screens)
	}
}

func TestARebootIsAskedForByItself(t *testing.T) {
	for _, mode := range []wire.RebootMode{wire.RebootIfNeeded, wire.RebootUser} {
		w := newWorld(t)
		w.there, w.signal = []string{"ann"}, "a"
		o := w.asking(1, "a")
		o.Reboot = mode
		w.send(o)
		w.until(t, "ann", people.StateAsked)
		if err := w.click("ann", people.Now); err != nil {
			t.Fatal(err)
		}
		for w.packages["a"] == "1" {
			w.tick()
		}
		a := w.until(t, "ann", people.StateAsked)
		if a.Act != wire.ActReboot || w.reboots != 0 {
			t.Fatalf("%s: %+v, reboots %d", mode, a, w.reboots)
		}
		warned := w.until(t, "ann", people.StateCountdown)
		if warned.Act != wire.ActReboot || w.reboots != 0 {
			t.Fatalf("%s: %+v", mode, warned)
		}
		began := w.wall
		for w.reboots == 0 {
			w.tick()
		}
		if took := w.wall.Sub(began); took < 5*time.Minute {
			t.Fatalf("%s: rebooted %s after the warning", mode, took)
		}
		w.finish(3 * time.Hour)
		if !w.result("o1").Rebooted {
			t.Fatalf("%s: %+v", mode, w.result("o1"))
		}
	}
}

func TestARebootThatIsTheUsersWaitsForThemEvenWhenTheyAreGone(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	o := w.asking(1, "a")
	o.Reboot = wire.RebootUser
	w.send(o)
	deadline := time.UnixMicro(o.People.DeadlineUS)
	for w.wall.Before(deadline) {
		if w.tick(); w.reboots != 0 {
			t.Fatalf("rebooted at %s, before the deadline", w.wall)
		}
	}
	w.finish(3 * time.Hour)
	if !w.result("o1").Rebooted {
		t.Fatalf("%+v", w.result("o1"))
	}
}

func TestARebootWaitsForItsOwnWindows(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	o := w.order(1, "a")
	o.Reboot, o.RebootWindows = wire.RebootWindow, []wire.Interval{w.window(14*time.Hour, 15*time.Hour)}
	w.send(o)
	opens := w.wall.Add(14 * time.Hour)
	w.windows = append(w.windows, o.RebootWindows...)
	for w.reboots == 0 {
		w.tick()
		if w.wall.After(opens.Add(time.Hour)) {
			t.Fatalf("never rebooted: %v", describe(w.events()))
		}
	}
	if w.wall.Before(opens) {
		t.Fatalf("rebooted at %s, before its window", w.wall)
	}
	w.finish(time.Hour)
}

func TestAPendingRebootIsNotSkippedBecauseTheOnlyItemFailed(t *testing.T) {
	w := newWorld(t)
	w.bad["a"], w.pending = true, true
	w.send(w.order(1, "a"))
	w.finish(3 * time.Hour)
	r := w.result("o1")
	if !r.Rebooted || states(r)["item-a"] != wire.ItemFailed {
		t.Fatalf("%+v, want a failure and a reboot all the same", r)
	}
}

func TestANewerOrderOfTheCampaignGoesOnWithTheCount(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann"}
	w.send(w.asking(1, "a"))
	w.until(t, "ann", people.StateAsked)
	if err := w.click("ann", people.Hour); err != nil {
		t.Fatal(err)
	}
	w.send(w.asking(2, "a", "b"))
	if a := w.until(t, "ann", people.StateAsked); a.Serial != 2 || a.Left != 1 {
		t.Fatalf("%+v, want the second order with one postponement left", a)
	}
}

func TestAnAnswerToNothingIsRefused(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann"}
	w.send(w.asking(1, "a"))
	w.tick()
	answer := func(serial int64, user string) people.Why {
		err := w.exec.Answer(context.Background(), serial, people.Reply{User: user, Choice: people.Now})
		var refused *people.Refusal
		if errors.As(err, &refused) {
			return refused.Why
		}
		if err != nil && !errors.Is(err, journal.ErrNoOrder) {
			t.Fatal(err)
		}
		return ""
	}
	if got := answer(1, "ann"); got != people.TooEarly {
		t.Errorf("before it is asked: %q", got)
	}
	if got := answer(1, "eve"); got != people.NotYours {
		t.Errorf("of somebody else: %q", got)
	}
	w.send(w.order(2, "b"))
	if got := answer(2, "ann"); got != people.NothingAsked {
		t.Errorf("to an order that asks nobody: %q", got)
	}
}

// Each durable write around a question and its answers fails in each way: the
// postponement counts once, and the order ends as it does without the failure.
func TestFaultMatrixOfAnswers(t *testing.T) {
	for _, mode := range failModes {
		for at := 1; at <= 12; at++ {
			w := newWorld(t)
			w.there = []string{"ann"}
			o := w.asking(1, "a")
			o.People.DeadlineUS = us2(w.wall.Add(4 * time.Hour))
			w.send(o)
			w.failMode, w.failAt = mode, w.writes+at
			w.until(t, "ann", people.StateAsked)
			for range 3 { // the person clicks until the notice goes away
				if err := w.click("ann", people.Hour); err == nil {
					break
				}
				w.there = []string{"ann"}
			}
			w.until(t, "ann", people.StateAsked)
			kept, err := w.journal.Order(1)
			if err != nil {
				t.Fatal(err)
			}
			if got := kept.Asked.Answers["ann"].Postponed; got != 1 || len(w.told(wire.NoticePostponed)) != 1 {
				t.Fatalf("%s at write %d: postponed %d times, told %+v", mode, at, got, w.told(wire.NoticePostponed))
			}
			w.finish(6 * time.Hour)
			if w.packages["a"] != "2" {
				t.Fatalf("%s at write %d: %v", mode, at, describe(w.events()))
			}
		}
	}
}

func TestWhatIsShownIsTold(t *testing.T) {
	w := newWorld(t)
	w.there = []string{"ann"}
	w.send(w.asking(1, "a"))
	a := w.until(t, "ann", people.StateAsked)
	if !slices.Equal(a.Items, []string{"a"}) || len(w.exec.Announced()) != 1 {
		t.Fatalf("%+v, %+v", a, w.exec.Announced())
	}
	if err := w.exec.Shown(a, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.exec.Shown(a, errors.New("no notification service")); err != nil {
		t.Fatal(err)
	}
	if n := w.told(wire.NoticeShown); len(n) != 1 || n[0].User != "ann" {
		t.Errorf("%+v", n)
	}
	for _, e := range w.events() {
		if e.Notice != nil && e.Notice.What == wire.NoticeUnseen && codeOf(e.Cause) == fault.NoticeNotShown {
			return
		}
	}
	t.Error("a notice that could not be shown is not told")
}
