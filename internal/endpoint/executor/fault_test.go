package executor

import (
	"fmt"
	"testing"
	"time"

	"patchring/wire"
)

// scenario is a story with a known end, told with a failure at each point.
type scenario struct {
	name     string
	arrange  func(*world) wire.Order
	states   map[string]wire.ItemState
	packages map[string]string
	after    func(*testing.T, *world)
	boots    int // at the end; 0: as it comes
}

var scenarios = []scenario{
	{
		name:     "install",
		arrange:  func(w *world) wire.Order { return w.order(1, "a", "b") },
		states:   map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemVerified},
		packages: map[string]string{"a": "2", "b": "2", "c": "1"},
	},
	{
		name: "install that reboots",
		arrange: func(w *world) wire.Order {
			w.signal = "a"
			return w.order(1, "a", "b")
		},
		states:   map[string]wire.ItemState{"item-a": wire.ItemVerified, "item-b": wire.ItemVerified},
		packages: map[string]string{"a": "2", "b": "2", "c": "1"},
	},
	{
		name: "rollback",
		arrange: func(w *world) wire.Order {
			w.packages["a"], w.packages["b"] = "2", "2"
			o := w.order(1, "a", "b")
			o.Kind = wire.OrderRollback
			for i := range o.Items {
				o.Items[i].Packages[0] = wire.Change{Name: o.Items[i].Name, From: "2", To: "1"}
			}
			return o
		},
		states:   map[string]wire.ItemState{"item-a": wire.ItemRolledBack, "item-b": wire.ItemRolledBack},
		packages: map[string]string{"a": "1", "b": "1", "c": "1"},
	},
	{
		name:    "clean-up",
		arrange: func(w *world) wire.Order { return w.cleaning(1) },
		states:  map[string]wire.ItemState{"p/temporary_files": wire.ItemCleaned, "p/journal": wire.ItemCounted},
		after:   mustBeClean,
	},
	{
		name: "reboot",
		arrange: func(w *world) wire.Order {
			w.pending = true
			return w.rebootOrder(1)
		},
		states:   map[string]wire.ItemState{},
		packages: map[string]string{"a": "1", "b": "1", "c": "1"},
		boots:    2,
	},
}

// tell plays a scenario to its end and checks what must always hold: the order
// ends, once, with the packages as ordered; the world itself refuses an
// install outside a window, twice, or without its hooks.
func (s scenario) tell(t *testing.T, harm func(*world)) *world {
	w := newWorld(t)
	o := s.arrange(w)
	harm(w)
	w.send(o)
	w.finish(60 * time.Hour)
	wantStates(t, w.result("o1"), s.states)
	for name, version := range s.packages {
		if w.packages[name] != version {
			t.Errorf("%s is at %s, want %s", name, w.packages[name], version)
		}
	}
	if len(w.half) != 0 || w.quiet != 0 {
		t.Errorf("left in the middle: half configured %v, quiet %d", w.half, w.quiet)
	}
	if s.after != nil {
		s.after(t, w)
	}
	if s.boots != 0 && w.boots != s.boots && !w.powerCut {
		t.Errorf("%d boots, want %d", w.boots, s.boots)
	}
	if w.pending {
		t.Error("a reboot is still pending")
	}
	seen := map[int64]bool{}
	for _, e := range w.events() {
		if seen[e.Seq] {
			t.Errorf("sequence %d was given twice", e.Seq)
		}
		seen[e.Seq] = true
	}
	return w
}

// Each durable write of each story fails: not stored, stored all the same, or
// with the agent's death before or after it.
func TestFaultMatrixOfDurableWrites(t *testing.T) {
	for _, s := range scenarios {
		writes := s.tell(t, func(*world) {}).writes
		if writes < 8 {
			t.Fatalf("%s: only %d durable writes", s.name, writes)
		}
		for _, mode := range failModes {
			for at := 1; at <= writes; at++ {
				t.Run(fmt.Sprintf("%s/write %d %s", s.name, at, mode), func(t *testing.T) {
					s.tell(t, func(w *world) { w.failAt, w.failMode = at, mode })
				})
			}
		}
	}
}

// The agent is killed, and the power cut, at each call of the provider, in the
// middle of each package, in each hook and as the device goes down.
func TestFaultMatrixOfKills(t *testing.T) {
	for _, s := range scenarios {
		points := s.tell(t, func(*world) {}).points
		if points < 8 {
			t.Fatalf("%s: only %d points", s.name, points)
		}
		for _, power := range []bool{false, true} {
			for at := 1; at <= points; at++ {
				t.Run(fmt.Sprintf("%s/point %d power cut %v", s.name, at, power), func(t *testing.T) {
					w := s.tell(t, func(w *world) { w.killAt, w.powerCut = at, power })
					if w.points < at {
						t.Error("the point was never reached")
					}
				})
			}
		}
	}
}

// A kill in the middle of a transaction is told, once.
func TestAnInterruptedInstallIsTold(t *testing.T) {
	for _, power := range []bool{false, true} {
		told := 0
		points := scenarios[0].tell(t, func(*world) {}).points
		for at := 1; at <= points; at++ {
			w := scenarios[0].tell(t, func(w *world) { w.killAt, w.powerCut = at, power })
			n := 0
			for _, e := range w.events() {
				if e.Kind == wire.EventRecovered {
					n++
				}
			}
			if n > 1 {
				t.Errorf("power cut %v at %d: told %d times", power, at, n)
			}
			told += n
		}
		if told < 4 {
			t.Errorf("power cut %v: only %d of %d kills were told as interruptions", power, told, points)
		}
	}
}
