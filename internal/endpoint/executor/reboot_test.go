package executor

import (
	"context"
	"errors"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/people"
	"patchring/wire"
)

// rebootOrder is an order to reboot in the windows of order.
func (w *world) rebootOrder(serial int64) wire.Order {
	o := w.order(serial)
	o.Kind, o.Campaign, o.Ring, o.LockWaitS = wire.OrderReboot, "", "", 0
	return o
}

// lastCause is the cause that the last result of an order gives.
func (w *world) lastCause(id string) fault.Code {
	code := fault.Code("no result")
	for _, e := range w.events() {
		if e.Kind == wire.EventResult && e.Order == id {
			code = codeOf(e.Cause)
		}
	}
	return code
}

func TestAnOrderToRebootRebootsOnceInItsWindow(t *testing.T) {
	w := newWorld(t)
	w.pending = true
	began := w.wall
	w.send(w.rebootOrder(1))
	w.finish(6 * time.Hour)
	r := w.result("o1")
	if w.boots != 2 || !r.Rebooted || r.RebootPending || w.lastCause("o1") != "" {
		t.Errorf("%d boots, result %+v, cause %q", w.boots, r, w.lastCause("o1"))
	}
	if after := w.wall.Sub(began); after < time.Hour {
		t.Errorf("it rebooted after %s, before its window", after)
	}
	if r.RebootMS < time.Minute.Milliseconds() {
		t.Errorf("the reboot took %d ms, want at least the minute it took", r.RebootMS)
	}
}

func TestAnOrderToRebootDoesNothingWithoutALiveSignal(t *testing.T) {
	w := newWorld(t)
	w.send(w.rebootOrder(1))
	w.finish(6 * time.Hour)
	if r := w.result("o1"); w.boots != 1 || r.Rebooted || r.RebootPending || w.lastCause("o1") != "" {
		t.Errorf("%d boots, result %+v", w.boots, r)
	}
}

func TestAnOrderToRebootSaysWhyItDidNot(t *testing.T) {
	for name, tc := range map[string]struct {
		arrange func(*world, *wire.Order)
		want    fault.Code
		boots   int
	}{
		"the device's administrator forbids it": {func(w *world, _ *wire.Order) { w.rules.NeverReboot = true }, fault.LocalVeto, 1},
		"the signal survives":                   {func(w *world, _ *wire.Order) { w.exec.Signals = w.alwaysPending }, fault.RebootUnhelped, 2},
		"its windows are over":                  {func(w *world, o *wire.Order) { o.Windows = o.Windows[:1]; w.pass(4 * time.Hour) }, fault.NoWindow, 1},
		"the device is refused": {func(w *world, _ *wire.Order) {
			w.exec.Reboot = func(context.Context) error { return errors.New("inhibited") }
		}, fault.RebootLoop, 1},
		"its signals cannot be read": {func(w *world, _ *wire.Order) {
			w.exec.Signals = func(context.Context) ([]wire.RebootSignal, error) { return nil, errors.New("no such file") }
		}, fault.Internal, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pending = true
			o := w.rebootOrder(1)
			tc.arrange(w, &o)
			w.send(o)
			signals := w.exec.Signals
			for range 600 {
				w.tick()
				if w.done() {
					break
				}
				if tc.want == fault.RebootUnhelped {
					w.exec.Signals = signals // also after the boot
				}
			}
			r := w.result("o1")
			if got := w.lastCause("o1"); got != tc.want || !r.RebootPending || w.boots != tc.boots {
				t.Errorf("cause %q, pending %v, %d boots; want %q, pending, %d", got, r.RebootPending, w.boots, tc.want, tc.boots)
			}
		})
	}
}

func TestAnOrderToRebootIsTakenBackUntilItHasAsked(t *testing.T) {
	w := newWorld(t)
	w.pending = true
	w.send(w.rebootOrder(1))
	w.tick()
	if err := w.exec.Cancel("o1"); err != nil {
		t.Fatal(err)
	}
	w.finish(time.Hour)
	if w.boots != 1 || w.lastCause("o1") != fault.OrderCancelled {
		t.Errorf("%d boots, cause %q", w.boots, w.lastCause("o1"))
	}
}

func TestANewerOrderToRebootReplacesTheOlderAndNoInstall(t *testing.T) {
	w := newWorld(t)
	w.pending = true
	w.send(w.order(1, "a"))
	w.send(w.rebootOrder(2))
	w.send(w.rebootOrder(3))
	w.finish(6 * time.Hour)
	wantStates(t, w.result("o1"), map[string]wire.ItemState{"item-a": wire.ItemVerified})
	if w.lastCause("o2") != fault.Superseded || w.boots != 2 {
		t.Errorf("o2 ended with %q, %d boots; want superseded and one reboot", w.lastCause("o2"), w.boots)
	}
}

func TestPeopleAreAskedBeforeAnOrderedReboot(t *testing.T) {
	w := newWorld(t)
	w.pending = true
	w.there = []string{"ann"}
	o := w.rebootOrder(1)
	o.People = &wire.People{Postpones: 1, DeadlineUS: us2(w.wall.Add(60 * time.Hour)), NoticeS: 600, CountdownS: 300}
	w.send(o)
	for w.wall.Before(time.UnixMicro(o.Windows[0].StartUS).Add(time.Minute)) {
		w.tick()
	}
	if w.boots != 1 {
		t.Fatal("it rebooted before anybody answered")
	}
	if err := w.click("ann", people.Now); err != nil {
		t.Fatal(err)
	}
	w.finish(time.Hour)
	asked := 0
	for _, e := range w.events() {
		if e.Kind == wire.EventNotice && e.Notice.Act == wire.ActReboot && e.Notice.What == wire.NoticeAsked {
			asked++
		}
	}
	if w.boots != 2 || asked == 0 {
		t.Errorf("%d boots, asked %d times", w.boots, asked)
	}
}

func TestTheMarginOfARebootIsItsOwn(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	o := w.order(1, "a")
	// The install needs half an hour before the end, the reboot five minutes.
	o.MarginS, o.RebootMarginS = 1800, 300
	o.Windows = []wire.Interval{w.window(0, 30*time.Minute+20*time.Second), w.window(25*time.Hour, 27*time.Hour)}
	w.send(o)
	w.finish(2 * time.Hour)
	if w.boots != 2 {
		t.Errorf("%d boots, want the reboot in the same window", w.boots)
	}
}

func TestResultsSayHowLongTheirPartsTook(t *testing.T) {
	w := newWorld(t)
	w.signal = "a"
	w.lockFor, w.slow = 40*time.Second, 25*time.Second
	w.send(w.order(1, "a"))
	w.finish(6 * time.Hour)
	if r := w.result("o1"); r.DownloadMS != 25_000 || r.InstallMS < 40_000 || r.RebootMS < 60_000 {
		t.Errorf("download %d ms, install %d ms, reboot %d ms; want 25 s, at least 40 s and a minute", r.DownloadMS, r.InstallMS, r.RebootMS)
	}
}
