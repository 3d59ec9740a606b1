package executor

import (
	"context"
	"slices"
	"testing"
	"time"

	"patchring/wire"
)

// probing are the probes of the world: each finds its service by the package it
// comes from.
type probing struct {
	probes []string // names of packages
	breaks string   // the version of any of them that does not work
	probed []time.Time
}

func (w *world) Any() bool { return len(w.probes) > 0 }

func (w *world) All(_ context.Context, since time.Time) []wire.ProbeState {
	w.die()
	w.probed = append(w.probed, since)
	var found []wire.ProbeState
	for _, name := range w.probes {
		state := wire.ProbeState{Name: name, State: wire.ProbeUp}
		if w.packages[name] == w.breaks {
			state.State, state.Cause = wire.ProbeDown, &wire.Cause{Code: "probe_refused"}
		}
		found = append(found, state)
	}
	return found
}

func TestTheProbesOfAnOrderThatChangedTheDeviceComeWithItsResult(t *testing.T) {
	w := newWorld(t)
	w.probes, w.breaks = []string{"a", "b"}, "2"
	w.send(w.order(1, "a"))
	w.finish(6 * time.Hour)
	r := w.result("o1")
	if len(r.Probes) != 2 || r.Probes[0].State != wire.ProbeDown || r.Probes[1].State != wire.ProbeUp || len(w.probed) != 1 {
		t.Errorf("the result tells of %+v after %d probings, want a down and b up", r.Probes, len(w.probed))
	}
	if before := w.installs[0].at; w.probed[0].After(before) {
		t.Errorf("probed as of %s, want as of before the install at %s", w.probed[0], before)
	}
	events := w.events()
	at := func(step wire.Step) int {
		return slices.IndexFunc(events, func(e wire.Event) bool { return e.Step == step })
	}
	if at(wire.StepVerify) < 0 || at(wire.StepVerify) >= at(wire.StepProbe) || at(wire.StepProbe) >= at(wire.StepDone) {
		t.Errorf("verify is event %d, probe %d, done %d", at(wire.StepVerify), at(wire.StepProbe), at(wire.StepDone))
	}
}

func TestAnOrderThatChangedNothingProbesNothing(t *testing.T) {
	w := newWorld(t)
	w.probes = []string{"a"}
	w.send(w.order(1, "gone"))
	w.finish(6 * time.Hour)
	if r := w.result("o1"); len(w.probed) != 0 || len(r.Probes) != 0 {
		t.Errorf("probed %d times, told %+v", len(w.probed), r.Probes)
	}
}

func TestAnAgentThatIsKilledWhileItProbesProbesAgain(t *testing.T) {
	w := newWorld(t)
	w.probes, w.breaks = []string{"a"}, "2"
	w.send(w.order(1, "a"))
	for at := 1; len(w.probed) < 2 && at < 200; at++ {
		w.killAt = w.points + 1
		if w.tick(); w.done() {
			break
		}
	}
	w.killAt = 0
	w.finish(6 * time.Hour)
	if r := w.result("o1"); len(r.Probes) != 1 || len(w.installs) != 1 {
		t.Errorf("told %+v after %d installs", r.Probes, len(w.installs))
	}
}
