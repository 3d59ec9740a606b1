package executor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/provider"
	"patchring/wire"
)

func TestAHoldStoredBeforeTheRebootStopsIt(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	held := false
	w.exec.Signals = func(ctx context.Context) ([]wire.RebootSignal, error) {
		if !held {
			held = true
			w.hold(1, wire.Hold{ID: "late"})
		}
		return w.signals(ctx)
	}
	w.send(w.order(1, "a"))
	for range 200 {
		w.tick()
	}
	if !held || w.reboots != 0 {
		t.Errorf("held %v, %d reboots: rebooted under a hold", held, w.reboots)
	}
	w.hold(2)
	w.finish(48 * time.Hour)
	if r := w.result("o1"); !r.Rebooted {
		t.Error("never rebooted after the hold was lifted")
	}
}

func TestNothingBeginsWhileTheDeviceGoesDown(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	asked := 0
	w.exec.Reboot = func(context.Context) error { asked++; return nil } // and it takes its time
	w.send(w.order(1, "a"))
	second := w.order(2, "b")
	second.Campaign, second.Reboot = "emergency", wire.RebootNever
	for asked == 0 {
		w.tick()
	}
	w.send(second)
	for range 9 {
		w.tick()
	}
	if len(w.installs) != 1 {
		t.Fatalf("%d installs while the device goes down", len(w.installs))
	}
	for range 30 { // it does not go down
		w.tick()
	}
	if w.packages["b"] != "2" || asked != maxBootsOfOrder {
		t.Errorf("b at %s, asked %d times, want the rest to go on and two requests", w.packages["b"], asked)
	}
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemClaimed})
}

func TestADatabaseThatCannotBeRepairedEndsTheOrder(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.killHalf = true
	for len(w.half) == 0 {
		w.tick()
	}
	w.broken = fault.New(fault.DpkgBroken, "packages", "x")
	w.finish(70 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemFailed})
	if codeOf(r.Outcomes[0].Cause) != fault.DpkgBroken {
		t.Errorf("cause %v, want dpkg_broken", r.Outcomes[0].Cause)
	}
}

func TestARecoveryThatCannotRunYetIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.killHalf = true
	for len(w.half) == 0 {
		w.tick()
	}
	w.broken = fault.Again(fault.LockHeld, "holder", "apt")
	for range 30 {
		w.tick()
	}
	if w.done() {
		t.Error("the order ended although its transaction may be going on")
	}
	w.broken = nil
	w.finish(48 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
}

func TestSignalsThatCannotBeReadAreNoReasonToSayVerified(t *testing.T) {
	w := newWorld(t)
	w.exec.Signals = func(context.Context) ([]wire.RebootSignal, error) { return nil, errors.New("unreadable") }
	w.send(w.order(1, "a"))
	w.finish(20 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemClaimed})
}

func TestAnItemOfAProviderThatIsNotHereFailsAlone(t *testing.T) {
	w := newWorld(t)
	o := w.order(1, "a", "b")
	o.Items[1].Provider = "dnf"
	w.send(o)
	w.finish(6 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemFailed})
	if codeOf(outcomeOf(r.Outcomes, "item-b").Cause) != fault.NotFound {
		t.Errorf("cause %v", outcomeOf(r.Outcomes, "item-b").Cause)
	}
}

func TestTwoProvidersAreTwoTransactionsOfOneOrder(t *testing.T) {
	w := newWorld(t)
	o := w.order(1, "a", "b", "c")
	o.Items[1].Provider = "other"
	w.exec.Providers["other"] = apt{w}
	w.send(o)
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{
		"item-a": wire.ItemVerified, "item-b": wire.ItemVerified, "item-c": wire.ItemVerified,
	})
	if order, err := w.journal.Order(1); err != nil || order.Installs != 2 {
		t.Errorf("%d transactions, error %v, want 2", order.Installs, err)
	}
}

// stopping is an apt that is asked to install while the agent is asked to stop.
type stopping struct {
	apt
	stop context.CancelFunc
}

func (s stopping) Install(ctx context.Context, items []wire.Item, l provider.Limits, p provider.Progress) (provider.Log, []wire.Outcome, error) {
	s.stop()
	return s.apt.Install(ctx, items, l, p)
}

func TestStoppingFinishesTheTransactionAndGivesBackTheQuiet(t *testing.T) {
	w := newWorld(t)
	o := w.order(1, "a")
	o.Windows = []wire.Interval{w.window(0, 3*time.Hour)}
	w.send(o)
	ctx, stop := context.WithCancel(t.Context())
	w.exec.Providers["apt"] = stopping{apt{w}, stop}
	if err := w.exec.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if w.packages["a"] != "2" || w.quiet != 0 {
		t.Errorf("a at %s, quiet %d, want the transaction finished and the quiet given back", w.packages["a"], w.quiet)
	}
	w.restart(false)
	w.finish(time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
	if len(w.installs) != 1 {
		t.Errorf("%d installs", len(w.installs))
	}
}

func TestRunIsWokenByANewOrder(t *testing.T) {
	w := newWorld(t)
	done := make(chan struct{}, 1)
	w.exec.Ended = func() { done <- struct{}{} }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.exec.Run(ctx) }()
	o := w.order(1, "a")
	o.Windows = []wire.Interval{w.window(0, 3*time.Hour)}
	w.windows = o.Windows
	if err := w.exec.Accept(w.seal(o)); err != nil {
		t.Fatal(err)
	}
	<-done
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if w.packages["a"] != "2" {
		t.Errorf("a at %s", w.packages["a"])
	}
	if w.exec.Doing() != "" {
		t.Errorf("still says it does %q", w.exec.Doing())
	}
}

func TestAStallIsToldOnceAndLeftAlone(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{Journal: w.journal, Now: time.Now, Changed: func() {}, Log: w.exec.Log})
		watch := e.watch(journal.Order{Order: wire.Order{ID: "o"}, Step: wire.StepInstall})
		stalls := func() (n int) {
			synctest.Wait()
			for _, event := range w.events() {
				if codeOf(event.Cause) == fault.Stalled && event.Kind == wire.EventWaiting && event.Step == wire.StepInstall {
					n++
				}
			}
			return n
		}
		for _, c := range []struct {
			pass time.Duration
			says string
			want int
		}{
			{14 * time.Minute, "Unpacking", 0}, {14 * time.Minute, "", 0}, {2 * time.Minute, "", 1},
			{3 * time.Hour, "Setting up", 1}, {16 * time.Minute, "", 2},
		} {
			<-time.After(c.pass)
			if n := stalls(); n != c.want {
				t.Errorf("%d stalls told after another %s, want %d", n, c.pass, c.want)
			}
			if c.says != "" {
				watch.progress(c.says)
			}
		}
		watch.stop()
	})
}

// The last moment at which a hold can come: after everything was read, before
// the install step is written.
func TestAHoldStoredWhileTheSceneIsReadStopsTheInstall(t *testing.T) {
	w := newWorld(t)
	reads := 0
	w.exec.Local = func() (local.Rules, error) {
		if w.quiet == 1 { // the hooks have run: this is the last look
			if reads++; reads == 1 {
				w.hold(1, wire.Hold{ID: "late"})
			}
		}
		return w.rules, nil
	}
	w.send(w.order(1, "a"))
	for range 120 {
		w.tick()
	}
	if reads == 0 || len(w.installs) != 0 {
		t.Errorf("%d looks, %d installs: installed under a hold that was stored first", reads, len(w.installs))
	}
}

func TestBlockedHoursAreWaitedFor(t *testing.T) {
	w := newWorld(t) // noon; windows open at 13:00 today, tomorrow and the day after
	file := filepath.Join(w.dir, "local.json")
	if err := os.WriteFile(file, []byte(`{"blocked_hours": [{"from": "08:00", "to": "14:30"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := local.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	w.rules = rules
	w.send(w.order(1, "a"))
	w.finish(24 * time.Hour)
	if at := w.installs[0].at; at.Hour() != 14 || at.Minute() < 30 {
		t.Errorf("installed at %s, want from 14:30 on", at)
	}
	waits := w.waits("o1")
	if waits[len(waits)-1] != fault.LocalVeto {
		t.Errorf("waited for %v, want local_veto in the end", waits)
	}
}

// dying is an apt that takes the agent with it at each install, and whose
// database cannot be repaired.
type dying struct{ apt }

func (dying) Install(context.Context, []wire.Item, provider.Limits, provider.Progress) (provider.Log, []wire.Outcome, error) {
	panic(killed{})
}

func TestAnInstallThatKillsTheAgentEachTimeIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.broken = fault.New(fault.DpkgBroken, "packages", "x")
	w.send(w.order(1, "a"))
	deaths := 0
	for range 10_000 {
		w.exec.Providers["apt"] = dying{apt{w}}
		if !w.tick() {
			deaths++
		}
		if w.done() {
			break
		}
	}
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemFailed})
	if deaths != maxInstalls || codeOf(r.Outcomes[0].Cause) != fault.DpkgBroken {
		t.Errorf("%d deaths, cause %v, want %d and dpkg_broken", deaths, r.Outcomes[0].Cause, maxInstalls)
	}
}
