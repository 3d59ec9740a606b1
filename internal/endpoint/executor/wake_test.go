package executor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/wire"
)

// neighbours is the network that a device is on.
type neighbours struct {
	packets []string // that were sent
	cut     error
}

func (n *neighbours) sendPacket(_ context.Context, mac net.HardwareAddr, prefix netip.Prefix) error {
	if n.cut == nil {
		n.packets = append(n.packets, mac.String()+" "+prefix.String())
	}
	return n.cut
}

func (w *world) rouse(t *testing.T, ask wire.Wake) error {
	t.Helper()
	if ask.Device == "" {
		ask.Device = w.exec.Device
	}
	if ask.ExpiresUS == 0 {
		ask.ExpiresUS = us2(w.wall.Add(time.Minute))
	}
	if ask.MAC == "" {
		ask.MAC = "02:00:5e:10:00:01"
	}
	ask.Tenant, ask.Prefix = w.exec.Tenant, "192.0.2.0/24"
	envelope, err := wire.Seal(wire.EnvelopeWake, ask, w.key)
	if err != nil {
		t.Fatal(err)
	}
	return w.exec.Rouse(t.Context(), envelope)
}

// woke is what came of each, by id.
func (w *world) woke() map[string]string {
	out := map[string]string{}
	for _, e := range w.events() {
		if e.Kind != wire.EventWoke {
			continue
		}
		out[e.Woke.ID] = "sent"
		if !e.Woke.Sent {
			out[e.Woke.ID] = e.Cause.Args["why"]
		}
	}
	return out
}

func TestANeighbourIsWokenOnceForEachAsking(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"w1", "w1", "w2", "w1"} {
		if err := w.rouse(t, wire.Wake{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"02:00:5e:10:00:01 192.0.2.0/24", "02:00:5e:10:00:01 192.0.2.0/24"}
	if got := w.woke(); !slices.Equal(w.packets, want) || len(got) != 2 || got["w1"] != "sent" || len(w.events()) != 2 {
		t.Errorf("sent %v, told %v", w.packets, got)
	}
}

func TestNeighboursThatAreNotWoken(t *testing.T) {
	for why, c := range map[string]struct {
		ask  wire.Wake
		make func(*world)
	}{
		wakeForbidden: {make: func(w *world) { w.rules = local.Rules{NeverWake: true} }},
		wakeTooOld:    {ask: wire.Wake{ExpiresUS: 1}},
		wakeMalformed: {ask: wire.Wake{MAC: "nobody"}},
		wakeNotSent:   {make: func(w *world) { w.cut = errors.New("no such network") }},
	} {
		w := newWorld(t)
		if c.make != nil {
			c.make(w)
		}
		c.ask.ID = "w1"
		if err := w.rouse(t, c.ask); err != nil {
			t.Fatal(err)
		}
		if len(w.packets) != 0 || w.woke()["w1"] != why {
			t.Errorf("%s: sent %v, told %v", why, w.packets, w.woke())
		}
		if e := w.events(); len(e) != 1 || fault.Code(e[0].Cause.Code) != fault.WakeRefused {
			t.Errorf("%s: told %+v", why, e)
		}
	}
}

func TestALocalFileThatCannotBeReadForbidsWaking(t *testing.T) {
	w := newWorld(t)
	w.rulesErr = errors.New("after the object")
	if err := w.rouse(t, wire.Wake{ID: "w1"}); err != nil || len(w.packets) != 0 || w.woke()["w1"] != wakeForbidden {
		t.Errorf("sent %v, told %v, error %v", w.packets, w.woke(), err)
	}
}

func TestWhatIsForAnotherOrForgedWakesNobody(t *testing.T) {
	w := newWorld(t)
	if err := w.rouse(t, wire.Wake{ID: "w1", Device: "d2"}); err == nil {
		t.Error("what is asked of another device was taken")
	}
	forged, err := wire.Seal(wire.EnvelopeSaid, wire.Wake{ID: "w2", Tenant: w.exec.Tenant, Device: w.exec.Device}, w.key)
	if err != nil {
		t.Fatal(err)
	}
	forged.Kind = wire.EnvelopeWake // signed as something else
	if err := w.exec.Rouse(t.Context(), forged); !errors.Is(err, wire.ErrBadSignature) {
		t.Errorf("forged: %v", err)
	}
	if len(w.packets)+len(w.events()) != 0 {
		t.Errorf("sent %v, told %v", w.packets, w.woke())
	}
}

func TestNobodyMakesADeviceFloodItsNetwork(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		if err := w.rouse(t, wire.Wake{ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.packets) != mostWakes || w.woke()["99"] != wakeTooMany {
		t.Fatalf("%d packets in one moment", len(w.packets))
	}
	w.uptime += wakesSpan
	if err := w.rouse(t, wire.Wake{ID: "later"}); err != nil || w.woke()["later"] != "sent" {
		t.Errorf("a minute later: %v, error %v", w.woke()["later"], err)
	}
}
