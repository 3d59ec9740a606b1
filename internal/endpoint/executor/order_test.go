package executor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/wire"
)

func wantStates(t *testing.T, r wire.Result, want map[string]wire.ItemState) {
	t.Helper()
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("item states (-want +got):\n%s", diff)
	}
}

// waits lists the causes an order waited for, in order.
func (w *world) waits(id string) (list []fault.Code) {
	for _, e := range w.events() {
		if e.Kind == wire.EventWaiting && e.Order == id {
			list = append(list, codeOf(e.Cause))
		}
	}
	return list
}

func TestAnOrderWaitsForItsWindowAndIsVerified(t *testing.T) {
	w := newWorld(t)
	opens := w.wall.Add(time.Hour)
	w.send(w.order(1, "a", "b"))
	w.finish(6 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemVerified})
	if w.packages["a"] != "2" || w.packages["b"] != "2" || w.packages["c"] != "1" {
		t.Errorf("packages %v", w.packages)
	}
	if first := w.installs[0].at; first.Before(opens) || first.After(opens.Add(2*time.Minute)) {
		t.Errorf("installed at %s, window opens at %s", first, opens)
	}
	if got := w.waits("o1"); len(got) != 1 || got[0] != fault.OutsideWindow {
		t.Errorf("waited for %v, want outside_window once", got)
	}
	change := r.Outcomes[0].Packages[0]
	if change.From != "1" || change.To != "2" || change.Rollback != "ready" {
		t.Errorf("change %+v, want 1 to 2 with its rollback ready", change)
	}
	if r.LogSHA256 != "hash" || r.RebootPending || r.Rebooted {
		t.Errorf("result %+v", r)
	}
	if w.quiet != 0 {
		t.Error("what the hooks quieted was not given back")
	}
}

func TestEachStepIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.finish(6 * time.Hour)
	var got []wire.Step
	for _, e := range w.events() {
		if e.Kind == wire.EventStep {
			got = append(got, e.Step)
		}
	}
	want := []wire.Step{"accepted", "preflight", "preserve", "download", "wait", "quiesce", "install", "settle", "verify"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestWhatNeedsNothingOrCannotBeIsTakenOutAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t)
	w.packages["b"] = "2"
	w.bad["c"] = true
	w.send(w.order(1, "a", "b", "c", "gone"))
	w.finish(6 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{
		"item-a": wire.ItemVerified, "item-b": wire.ItemNotApplicable, "item-c": wire.ItemFailed, "item-gone": wire.ItemFailed,
	})
	for item, code := range map[string]fault.Code{"item-c": fault.PackageFailed, "item-gone": fault.VersionGone} {
		if got := codeOf(outcomeOf(r.Outcomes, item).Cause); got != code {
			t.Errorf("%s failed for %q, want %s", item, got, code)
		}
	}
}

func TestWhatIsFurtherThanOrderedIsLeftAsItIs(t *testing.T) {
	w := newWorld(t)
	w.packages["b"] = "3"
	w.send(w.order(1, "a", "b"))
	w.finish(6 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemNotApplicable})
	if codeOf(outcomeOf(r.Outcomes, "item-b").Cause) != fault.Superseded {
		t.Errorf("cause %v, want the provider's own", outcomeOf(r.Outcomes, "item-b").Cause)
	}
}

func TestAnInstallWithoutEffectIsSaidToHaveNone(t *testing.T) {
	w := newWorld(t)
	w.lying["a"] = true
	w.send(w.order(1, "a"))
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemNoEffect})
}

func TestRollbackIsTheSameMachine(t *testing.T) {
	w := newWorld(t)
	w.packages["a"] = "2"
	o := w.order(1, "a", "b")
	o.Kind = wire.OrderRollback
	for i := range o.Items {
		o.Items[i].Packages[0] = wire.Change{Name: o.Items[i].Name, From: "2", To: "1"}
	}
	w.send(o)
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemRolledBack, "item-b": wire.ItemNotApplicable})
	if w.packages["a"] != "1" {
		t.Errorf("a is at %s", w.packages["a"])
	}
}

func TestRebootIsAskedForOnALiveSignalAndSeenByTheBootID(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	w.send(w.order(1, "a"))
	w.finish(6 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemVerified})
	if !r.Rebooted || r.RebootPending || w.boots != 2 {
		t.Errorf("rebooted %v, pending %v, %d boots; want one reboot", r.Rebooted, r.RebootPending, w.boots)
	}
	rebooted := 0
	for _, e := range w.events() {
		if e.Kind == wire.EventRebooted {
			rebooted++
			if e.BootID != "boot-2" {
				t.Errorf("rebooted into %s", e.BootID)
			}
		}
	}
	if rebooted != 1 {
		t.Errorf("%d rebooted events, want 1", rebooted)
	}
}

func TestNoSignalNoReboot(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.finish(6 * time.Hour)
	if w.reboots != 0 {
		t.Error("rebooted without a reason")
	}
}

func TestARebootOneFailureAmongManyDoesNotPrevent(t *testing.T) {
	w := newWorld(t)
	w.signal, w.bad["b"] = "a", true
	w.send(w.order(1, "a", "b"))
	w.finish(6 * time.Hour)
	if w.boots != 2 {
		t.Error("the required reboot was left out because one item failed")
	}
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemFailed})
}

func TestAForbiddenRebootLeavesAClaimThatALaterBootVerifies(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(*world, *wire.Order)
		cause   fault.Code
	}{
		"by the order":      {func(_ *world, o *wire.Order) { o.Reboot = wire.RebootNever }, fault.RebootPendingNow},
		"by the local file": {func(w *world, _ *wire.Order) { w.rules.NeverReboot = true }, fault.LocalVeto},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.signal = "a"
			o := w.order(1, "a")
			c.arrange(w, &o)
			w.send(o)
			w.finish(6 * time.Hour)
			r := w.result("o1")
			wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemClaimed})
			if !r.RebootPending || w.reboots != 0 || codeOf(r.Outcomes[0].Cause) != c.cause {
				t.Errorf("pending %v, %d reboots, cause %v, want %s", r.RebootPending, w.reboots, r.Outcomes[0].Cause, c.cause)
			}
			w.restart(true) // a person reboots
			w.tick()
			results := w.results("o1")
			if len(results) != 2 {
				t.Fatalf("%d results after the boot, want a second one", len(results))
			}
			wantStates(t, results[1], map[string]wire.ItemState{"item-a": wire.ItemVerified})
			w.restart(true)
			w.tick()
			if n := len(w.results("o1")); n != 2 {
				t.Errorf("%d results after another boot, want no more", n)
			}
		})
	}
}

func TestARebootWaitsForTheNextWindowWhenThisOneIsTooShort(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	w.lockFor = 55 * time.Second
	o := w.order(1, "a")
	// The install fits by seconds; after it the margin is gone.
	o.Windows = []wire.Interval{w.window(0, 10*time.Minute+40*time.Second), w.window(25*time.Hour, 27*time.Hour)}
	w.send(o)
	w.finish(48 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemVerified})
	if len(w.installs) != 1 || w.boots != 2 {
		t.Errorf("%d installs, %d boots", len(w.installs), w.boots)
	}
}

func TestARebootLoopIsStopped(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	w.exec.Signals = w.alwaysPending
	w.send(w.order(1, "a"))
	for range 400 {
		boots := w.boots
		w.tick()
		if w.boots != boots {
			w.exec.Signals = w.alwaysPending
		}
		if w.done() {
			break
		}
	}
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemClaimed})
	if w.boots != 3 || codeOf(r.Outcomes[0].Cause) != fault.RebootLoop {
		t.Errorf("%d boots, cause %v, want two reboots and then reboot_loop", w.boots, r.Outcomes[0].Cause)
	}
}

func TestARefusedRebootIsToldAndEnds(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	w.exec.Reboot = func(_ context.Context) error { return errors.New("inhibited by a person") }
	w.send(w.order(1, "a"))
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemClaimed})
	refused := 0
	for _, code := range w.waits("o1") {
		if code == fault.RebootRefused {
			refused++
		}
	}
	if refused != maxBootsOfOrder {
		t.Errorf("%d refusals told, want %d", refused, maxBootsOfOrder)
	}
}

func TestAHoldStopsWhatHasNotBegun(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.hold(1, wire.Hold{ID: "h1", Campaign: "2026-12", By: "ada", Reason: "incident"})
	for range 300 { // past the first window
		w.tick()
	}
	if len(w.installs) != 0 {
		t.Fatal("installed under a hold")
	}
	waits := w.waits("o1")
	if waits[len(waits)-1] != fault.CampaignHeld {
		t.Errorf("waits for %v, want campaign_held", waits)
	}
	w.hold(2)
	w.finish(48 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
}

func TestARollbackGoesOnUnderAHold(t *testing.T) {
	w := newWorld(t)
	w.packages["a"] = "2"
	o := w.order(1, "a")
	o.Kind = wire.OrderRollback
	o.Items[0].Packages[0] = wire.Change{Name: "a", From: "2", To: "1"}
	w.send(o)
	w.hold(1, wire.Hold{ID: "h1", Campaign: "2026-12"})
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemRolledBack})
}

func TestAHoldOnOneItemLetsTheRestGoOn(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a", "b"))
	w.hold(1, wire.Hold{ID: "h1", Item: "item-b"})
	w.finish(6 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemSkipped})
	if got := codeOf(outcomeOf(r.Outcomes, "item-b").Cause); got != fault.ItemHeld {
		t.Errorf("b skipped for %s, want item_held", got)
	}
}

func TestHoldsForOthersStopNothing(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.hold(1, wire.Hold{ID: "1", Campaign: "2026-11"}, wire.Hold{ID: "2", Ring: "R1"}, wire.Hold{ID: "3", Device: "d2"},
		wire.Hold{ID: "4", Campaign: "2026-12", Ring: "GLOBAL"}, wire.Hold{ID: "5", Item: "item-z"})
	w.holds = nil // none of them concerns this order
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
}

// A hold that arrives while the hooks run, after the gate was passed.
func TestAHoldStoredBeforeTheInstallStepStopsIt(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.exec.Hooks = func(ctx context.Context, phase local.Phase, o wire.Order) error {
		if phase == local.PreInstall {
			w.hold(1, wire.Hold{ID: "late"})
		}
		return w.hooks(ctx, phase, o)
	}
	for range 120 {
		w.tick()
	}
	if len(w.installs) != 0 {
		t.Error("installed under a hold that was stored before the install step")
	}
	if w.quiet != 0 {
		t.Error("the hooks' quiet was not given back")
	}
}

func TestCancelDropsWhatHasNotBegun(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.tick()
	if err := w.exec.Cancel("o1", "unknown"); err != nil {
		t.Fatal(err)
	}
	w.finish(time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemSkipped})
	if codeOf(r.Outcomes[0].Cause) != fault.OrderCancelled || len(w.installs) != 0 {
		t.Errorf("cause %v, %d installs", r.Outcomes[0].Cause, len(w.installs))
	}
}

func TestANewerOrderOfTheCampaignReplacesTheOlder(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.tick()
	w.send(w.order(2, "a", "b"))
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemSkipped})
	if code := codeOf(w.result("o1").Outcomes[0].Cause); code != fault.Superseded {
		t.Errorf("cause %s, want superseded", code)
	}
	wantStates(t, w.result("o2"), map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemVerified})
}

func TestAReplacedOrderIsForgottenWhenItsEndIsKnown(t *testing.T) {
	w := newWorld(t)
	first := w.order(1, "a")
	w.send(first)
	w.tick()
	w.send(w.order(2, "a"))
	w.tick()
	w.tick()
	if kept, err := w.journal.Orders(); err != nil || len(kept) != 2 {
		t.Fatalf("%d orders, error %v, want both: the end of the first is still on its way", len(kept), err)
	}
	if err := w.journal.Ack(w.events()[len(w.events())-1].Seq); err != nil {
		t.Fatal(err)
	}
	w.tick()
	if kept, err := w.journal.Orders(); err != nil || len(kept) != 1 || kept[0].Order.Serial != 2 {
		t.Errorf("%d orders, error %v, want only the second", len(kept), err)
	}
	if err := w.exec.Accept(w.seal(first)); fault.CodeOf(err) != fault.OrderStale {
		t.Errorf("a late copy: %v, want order_stale", err)
	}
}

func TestOrdersOfTwoCampaignsRunOneAfterTheOther(t *testing.T) {
	w := newWorld(t)
	second := w.order(2, "b")
	second.Campaign = "emergency"
	w.send(w.order(1, "a"))
	w.send(second)
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
	wantStates(t, w.result("o2"), map[string]wire.ItemState{"item-b": wire.ItemVerified})
}

func TestAnExpiredOrderEndsWithoutTouchingAnything(t *testing.T) {
	w := newWorld(t)
	o := w.order(1, "a")
	o.Windows = nil
	w.send(o)
	w.finish(80 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemSkipped})
	if codeOf(r.Outcomes[0].Cause) != fault.OrderExpired {
		t.Errorf("cause %v, want order_expired", r.Outcomes[0].Cause)
	}
	if got := w.waits("o1"); len(got) != 1 || got[0] != fault.NoWindow {
		t.Errorf("waited for %v, want no_window", got)
	}
}

func TestAnOutageIsWaitedOut(t *testing.T) {
	w := newWorld(t)
	w.refuse = 4
	w.send(w.order(1, "a"))
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
	seen := 0
	for _, e := range w.events() {
		if e.Kind == wire.EventWaiting && codeOf(e.Cause) == fault.RepositoryDown {
			seen++
			if e.NextUS <= e.AtUS {
				t.Errorf("waits for the repository without a next attempt: %+v", e)
			}
		}
	}
	if seen != 4 {
		t.Errorf("%d waits for the repository told, want 4", seen)
	}
}

func TestALockNeverGivenBackEndsInABoundedNumberOfTries(t *testing.T) {
	w := newWorld(t)
	w.lockFor = time.Hour
	w.send(w.order(1, "a"))
	w.finish(60 * time.Hour)
	r := w.result("o1")
	wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemFailed})
	if codeOf(r.Outcomes[0].Cause) != fault.LockHeld || w.packages["a"] != "1" {
		t.Errorf("cause %v, a at %s", r.Outcomes[0].Cause, w.packages["a"])
	}
	if w.quiet != 0 {
		t.Error("the hooks' quiet was not given back")
	}
}

func TestADownloadIsAsSlowAsItsOrderSays(t *testing.T) {
	w := newWorld(t)
	o := w.order(1, "a")
	o.DownloadBytesPerS = 25_000
	w.send(o)
	w.finish(48 * time.Hour)
	if wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified}); w.rate != 25_000 {
		t.Errorf("downloaded at %d bytes a second at most, want 25000", w.rate)
	}
}

func TestTheLockIsNotWaitedForPastTheWindow(t *testing.T) {
	w := newWorld(t)
	w.lockFor = 10 * time.Minute
	o := w.order(1, "a")
	o.LockWaitS, o.MarginS = 3600, 60
	o.Windows = []wire.Interval{w.window(0, 5*time.Minute), w.window(24*time.Hour, 26*time.Hour)}
	w.send(o)
	w.finish(48 * time.Hour) // the world checks that no transaction begins outside a window
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
}

func TestTheLockIsNotWaitedForUntilTheVeryEnd(t *testing.T) {
	w := newWorld(t)
	w.lockFor = 5 * time.Minute // it comes free as the window ends
	o := w.order(1, "a")
	o.LockWaitS, o.MarginS = 3600, 0
	o.Windows = []wire.Interval{w.window(0, 5*time.Minute), w.window(24*time.Hour, 26*time.Hour)}
	w.send(o)
	w.finish(48 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
}

func TestAHookThatSaysNotNowPutsItOff(t *testing.T) {
	w := newWorld(t)
	w.hookSays = fault.Again(fault.HookFailed, "hook", "backup", "exit", "1")
	w.send(w.order(1, "a"))
	for range 90 {
		w.tick()
	}
	if len(w.installs) != 0 || w.quiet != 0 {
		t.Fatalf("%d installs, quiet %d, want none and all given back", len(w.installs), w.quiet)
	}
	w.hookSays = nil
	w.finish(30 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
}

func TestTheLocalFileForbids(t *testing.T) {
	t.Run("packages", func(t *testing.T) {
		w := newWorld(t)
		w.rules.NeverPackages = []string{"b*"}
		w.send(w.order(1, "a", "b"))
		w.finish(6 * time.Hour)
		r := w.result("o1")
		wantStates(t, r, map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemSkipped})
		if codeOf(outcomeOf(r.Outcomes, "item-b").Cause) != fault.LocalVeto {
			t.Errorf("cause %v", outcomeOf(r.Outcomes, "item-b").Cause)
		}
	})
	t.Run("a file that cannot be read", func(t *testing.T) {
		w := newWorld(t)
		w.rulesErr = errors.New("unknown field")
		w.send(w.order(1, "a"))
		for range 200 {
			w.tick()
		}
		if len(w.installs) != 0 {
			t.Error("acted although what the administrator forbids is not known")
		}
		w.rulesErr = nil
		w.finish(48 * time.Hour)
	})
}

func TestAFullDiskIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.diskErr = fault.Again(fault.DiskFull, "mount", "/var")
	for range 100 {
		w.tick()
	}
	if got := w.waits("o1"); len(w.installs) != 0 || got[len(got)-1] != fault.DiskFull {
		t.Errorf("%d installs, waits for %v", len(w.installs), got)
	}
	if err := w.exec.Accept(w.seal(w.order(2, "b"))); fault.CodeOf(err) != fault.DiskFull || !fault.CanRetry(err) {
		t.Errorf("a new order on a full disk: %v, want disk_full for now", err)
	}
	w.diskErr = nil
	w.finish(48 * time.Hour)
}

func TestAJumpedClockStopsEverythingUntilTheServerAgrees(t *testing.T) {
	w := newWorld(t)
	w.send(w.order(1, "a"))
	w.tick()
	w.wall, w.skew = w.wall.Add(90*time.Minute), 90*time.Minute // into the window, says the clock
	for range 60 {
		w.tick()
	}
	if got := w.waits("o1"); len(w.installs) != 0 || got[len(got)-1] != fault.ClockJumped {
		t.Fatalf("%d installs, waits for %v, want clock_jumped", len(w.installs), got)
	}
	if err := w.exec.ServerTime(w.truth()); err != nil { // the server does not agree either
		t.Fatal(err)
	}
	w.tick()
	if len(w.installs) != 0 {
		t.Fatal("installed although the server's clock differs")
	}
	w.wall, w.skew = w.truth(), 0 // somebody sets it right
	if err := w.exec.ServerTime(w.truth()); err != nil {
		t.Fatal(err)
	}
	w.finish(30 * time.Hour)
}

func TestADoneOrderIsForgottenAfterItExpiredAndNotBefore(t *testing.T) {
	w := newWorld(t)
	o := w.order(1, "a")
	w.send(o)
	w.finish(6 * time.Hour)
	w.tick()
	if err := w.exec.Accept(w.seal(o)); err != nil {
		t.Errorf("a late copy is %v, want known and ignored", err)
	}
	if n := len(w.results("o1")); n != 1 {
		t.Errorf("%d results, want no second while the first is on its way", n)
	}
	if err := w.journal.Ack(w.events()[len(w.events())-1].Seq); err != nil {
		t.Fatal(err)
	}
	if err := w.exec.Accept(w.seal(o)); err != nil { // the server lost it, from a backup
		t.Fatal(err)
	}
	if n := len(w.results("o1")); n != 1 {
		t.Errorf("%d results, want it again for a server that lost it", n)
	}
	w.pass(100 * time.Hour)
	w.tick()
	if list, err := w.exec.Status(); err != nil || len(list) != 0 {
		t.Errorf("status %v, error %v, want nothing left that the server may ask for", list, err)
	}
	if w.kept["a"] == "" {
		t.Error("what a rollback needs was forgotten with the order just over")
	}
	w.pass(61 * 24 * time.Hour)
	w.tick()
	if kept, err := w.journal.Orders(); err != nil || len(kept) != 0 || w.kept["a"] != "" {
		t.Errorf("%d orders, error %v, kept %v, want all of it forgotten", len(kept), err, w.kept)
	}
}

func TestWhatAnotherOrderDidMeanwhileIsNotDoneAgain(t *testing.T) {
	w := newWorld(t)
	second := w.order(2, "a")
	second.Campaign = "emergency"
	w.send(w.order(1, "a"))
	w.send(second)
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
	wantStates(t, w.result("o2"), map[string]wire.ItemState{"item-a": wire.ItemNotApplicable})
	if order, err := w.journal.Order(2); err != nil || order.Installs != 0 {
		t.Errorf("%d transactions of the second order, error %v, want none", order.Installs, err)
	}
}
