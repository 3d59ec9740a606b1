package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/core/wake"
	"patchring/internal/infra/store"
	"patchring/wire"
)

const wakesAtNight = `
profiles:
  - name: all
    devices: 'true'
    windows: [{name: night, days: [mon, tue, wed, thu, fri, sat, sun], start: '20:00', end: '23:00'}]
    reboot: {mode: if_needed}
    wake: true
`

// in puts a device on a network, with a card that can be woken or not.
func (d *fakeDevice) in(prefix string, host int, armed bool) {
	d.networks = []wire.Interface{{
		Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", host), Addresses: []string{fmt.Sprintf(prefix, host)}, Wakes: armed,
	}}
}

// wakes is what a device does that is asked to wake a neighbour.
func (w *world) wakes(d *fakeDevice, list []wire.Envelope) {
	w.t.Helper()
	for _, e := range list {
		var ask wire.Wake
		w.must(json.Unmarshal(e.Payload, &ask))
		d.woken = append(d.woken, ask)
		event := wire.Event{Kind: wire.EventWoke, Woke: &wire.Woke{ID: ask.ID, Sent: !d.vetoWake}}
		if d.vetoWake {
			event.Cause = &wire.Cause{Code: string(fault.WakeRefused), Args: map[string]string{"why": "local_file"}}
		}
		w.event(d, event)
	}
}

// wakefully lets the waker act at each minute too.
func (w *world) wakefully(end time.Time) {
	w.t.Helper()
	for w.now.Before(end) {
		w.now = w.now.Add(time.Minute)
		w.must(w.srv.Waker.Step(w.t.Context()))
		w.settle()
	}
}

// standsWith is why the device sleeps on.
func (w *world) standsWith(d *fakeDevice) fault.Code {
	w.t.Helper()
	row, err := w.srv.DB.Read().Wake(w.t.Context(), "main", string(d.id))
	if store.IsNone(err) {
		return ""
	}
	w.must(err)
	reason, err := store.ReasonFrom(row.Reason)
	w.must(err)
	return reason.Code
}

// sleeping is a fleet of one network, in which pc sleeps with a reboot to do.
func sleeping(t *testing.T, policy string) (w *world, pc *fakeDevice, others []*fakeDevice, start time.Time) {
	t.Helper()
	w = newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc = w.device("pc", fleet.Workstation, "", versions("1"), versions("1"))
	pc.in("192.0.2.%d/24", 1, true)
	for i := range 4 {
		d := w.device(fmt.Sprint("n", i), fleet.Server, "", versions("1"), versions("1"))
		d.in("192.0.2.%d/24", 10+i, false)
		others = append(others, d)
	}
	others[3].in("198.51.100.%d/24", 3, false)
	w.policy(policy)
	w.settled()
	pc.signal = "kernel_newer"
	w.settled()
	start = time.UnixMicro(onlyOrder(t, pc).Windows[0].StartUS)
	pc.away = true
	w.wakefully(start.Add(-wake.Lead - 2*time.Minute))
	for _, d := range others {
		if len(d.woken) != 0 {
			t.Fatalf("%s was asked at %s", d.id, w.now)
		}
	}
	return w, pc, others, start
}

func TestANeighbourWakesADeviceBeforeItsWindow(t *testing.T) {
	w, pc, others, start := sleeping(t, wakesAtNight)
	w.wakefully(start.Add(-wake.Lead + time.Minute))
	var asked []*fakeDevice
	for _, d := range others {
		if len(d.woken) > 0 {
			asked = append(asked, d)
		}
	}
	if len(asked) != wake.Helpers || slices.Contains(asked, others[3]) || w.standsWith(pc) != fault.WakeAsked {
		t.Fatalf("%d were asked, it stands with %q", len(asked), w.standsWith(pc))
	}
	if a := asked[0].woken[0]; a.MAC != "02:00:00:00:00:01" || a.Prefix != "192.0.2.0/24" || a.Device != string(asked[0].id) || a.Tenant != "main" {
		t.Errorf("asked %+v", a)
	}
	pc.away = false
	w.wakefully(start.Add(10 * time.Minute))
	woken := w.entries(register.DeviceWoken)
	if len(woken) != 1 || woken[0].Device != string(pc.id) || w.standsWith(pc) != "" {
		t.Errorf("register: woken %+v, it stands with %q", woken, w.standsWith(pc))
	}
	if a, s := w.entries(register.WakeAsked), w.entries(register.WakeSent); len(a) != 2 || len(s) != 2 || a[0].Device != string(pc.id) || s[0].Device != string(pc.id) {
		t.Errorf("register: asked %+v, sent %+v", a, s)
	}
	for _, d := range others {
		if len(d.woken) > 1 {
			t.Errorf("%s was asked again of a device that is awake", d.id)
		}
	}
	w.verifyRegister()
}

// Two sites may count their machines in the same private prefix.
func TestANeighbourIsOfTheSameSite(t *testing.T) {
	w, pc, others, start := sleeping(t, wakesAtNight)
	for d, site := range map[*fakeDevice]string{pc: "lyon", others[0]: "paris", others[1]: "paris", others[2]: "lyon"} {
		w.describe(d, fleet.Describe{Tags: fleet.Tags{"site": site}, Reason: "moved"})
	}
	w.wakefully(start.Add(10 * time.Minute))
	if len(others[2].woken) == 0 || len(others[0].woken)+len(others[1].woken) > 0 {
		t.Errorf("asked %d times at its site, %d at another", len(others[2].woken), len(others[0].woken)+len(others[1].woken))
	}
}

func TestADeviceThatDoesNotWakeIsLeftAlone(t *testing.T) {
	w, pc, others, start := sleeping(t, wakesAtNight)
	others[0].vetoWake = true
	w.wakefully(start.Add(20 * time.Minute))
	asked := 0
	for _, d := range others {
		asked += len(d.woken)
	}
	if asked != wake.Tries*wake.Helpers || len(others[0].woken) > 1 || w.standsWith(pc) != fault.WakeUnanswered {
		t.Errorf("%d askings, %d of who refused, it stands with %q", asked, len(others[0].woken), w.standsWith(pc))
	}
}

func TestNobodyIsWokenWhomNoProfileNames(t *testing.T) {
	w, pc, others, start := sleeping(t, wakesAtNight[:len(wakesAtNight)-len("    wake: true\n")])
	w.wakefully(start.Add(10 * time.Minute))
	for _, d := range others {
		if len(d.woken) > 0 || w.standsWith(pc) != "" {
			t.Errorf("%s was asked; it stands with %q", d.id, w.standsWith(pc))
		}
	}
}
