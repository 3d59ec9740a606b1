package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/endpoint/journal"
	"patchring/internal/infra/store/gen"
	"patchring/internal/server"
	"patchring/wire"
)

// ordered is a world in which each of the devices has accepted its first order,
// in no window yet.
func ordered(t *testing.T, names ...string) *world {
	t.Helper()
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	for _, name := range names {
		w.witness(w.device(name, fleet.Workstation, "it-pilots", versions("1"), versions("2")))
	}
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 30*time.Minute)
	for _, name := range names {
		if len(w.devices[name].orders) != 1 {
			t.Fatalf("%s has %d orders, want one", name, len(w.devices[name].orders))
		}
	}
	return w
}

func (d *fakeDevice) order() wire.Order {
	for _, o := range d.orders {
		return o
	}
	return wire.Order{}
}

func (w *world) row(d *fakeDevice) gen.Device {
	w.t.Helper()
	row, err := w.srv.DB.Read().Device(w.t.Context(), "main", string(d.id))
	w.must(err)
	return row
}

// An order is done and its result taken, then a backup of before that is
// restored: the server has the order open again, and gets the result again.
func TestAResultLostWithTheDatabaseComesAgain(t *testing.T) {
	w := ordered(t, "it-1")
	d := w.devices["it-1"]
	o := d.order()
	backup := t.TempDir() + "/backup.db"
	w.must(w.srv.DB.Backup(t.Context(), backup))
	w.until(time.Date(2026, 1, 13, 20, 10, 0, 0, paris), 10*time.Minute)
	if d.packages["openssl"] != "2" {
		t.Fatalf("not installed: %v", d.packages)
	}
	w.must(d.journal.Update(o.Serial, func(_ *journal.Tx, kept *journal.Order) error {
		kept.Step, kept.DoneUS = wire.StepDone, w.now.UnixMicro()
		for _, item := range o.Items {
			kept.Outcomes = append(kept.Outcomes, wire.Outcome{Item: item.ID, State: wire.ItemVerified, Packages: item.Packages})
		}
		return nil
	}))
	w.stop()
	_, err := server.RestoreBackup(t.Context(), w.config(), backup, w.now)
	w.must(err)
	w.serve()
	status, err := d.agent.Status()
	w.must(err)
	reply := report[wire.CheckinReply](w, d, wire.ReportCheckin, wire.Checkin{NowUS: w.now.UnixMicro(), Orders: status})
	if len(reply.Orders) != 1 || len(reply.Cancel) != 0 {
		t.Fatalf("offered %d orders, cancelled %v; want the one whose result is lost", len(reply.Orders), reply.Cancel)
	}
	if !w.accepts(d, reply.Orders[0]) {
		t.Fatalf("refused: %v", d.refusals)
	}
	results := w.entries(register.OrderResult)
	if len(results) != 1 || results[0].Detail["order"] != o.ID {
		t.Errorf("results in the register: %+v, want that of the order", results)
	}
	reply = report[wire.CheckinReply](w, d, wire.ReportCheckin, wire.Checkin{NowUS: w.now.UnixMicro(), Orders: status})
	if len(reply.Orders) != 0 {
		t.Error("offered again after its result")
	}
	if n := len(d.installs); n != 2 {
		t.Errorf("%d installs, want two, once", n)
	}
}

// A device that cannot follow the register from where the server thought it was
// says what it remembers, and the next proof starts there.
func TestARefusalSaysWhereToProveFrom(t *testing.T) {
	for name, c := range map[string]struct {
		code fault.Code
		have string
		want bool
	}{
		"what it remembers":      {fault.RegisterForked, "2", true},
		"more than there is":     {fault.RegisterForked, "1000000", false},
		"nothing":                {fault.RegisterForked, "0", false},
		"nonsense":               {fault.RegisterForked, "x", false},
		"of another refusal":     {fault.OrderStale, "2", false},
		"below nothing, as such": {fault.RegisterForked, "-2", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := ordered(t, "it-1")
			d := w.devices["it-1"]
			before := w.row(d).CheckpointSize
			w.event(d, wire.Event{Kind: wire.EventRefused, Order: d.order().ID, Cause: &wire.Cause{Code: string(c.code), Args: map[string]string{"have": c.have}}})
			want := before
			if c.want {
				want = 2
			}
			if got := w.row(d).CheckpointSize; got != want || before == 2 {
				t.Errorf("the next proof starts at %d, want %d (before: %d)", got, want, before)
			}
		})
	}
}

// What a device says of an order that is another one's moves nothing: neither
// the order, nor what the other device is known to remember.
func TestADeviceMovesNoOrderOfAnother(t *testing.T) {
	w := ordered(t, "it-1", "it-2")
	other, d := w.devices["it-1"], w.devices["it-2"]
	before, rows := w.row(other), openOrders(w, other)
	for _, e := range []wire.Event{
		{Kind: wire.EventStep, Order: other.order().ID, Step: wire.StepInstall},
		{Kind: wire.EventWaiting, Order: other.order().ID, Cause: &wire.Cause{Code: string(fault.DiskFull)}},
		{Kind: wire.EventResult, Order: other.order().ID, Result: &wire.Result{}},
	} {
		w.event(d, e)
	}
	if now := openOrders(w, other); !slices.Equal(rows, now) || w.row(other).CheckpointSize != before.CheckpointSize {
		t.Errorf("the other's order was %v, is %v", rows, now)
	}
	told := 0
	for _, e := range w.entries(register.DeviceEvent) {
		if e.Device == string(d.id) && e.Detail["order"] == other.order().ID {
			told++
		}
	}
	if told != 3 {
		t.Errorf("%d entries of what it said, want three", told)
	}
}

func openOrders(w *world, d *fakeDevice) (list []string) {
	w.t.Helper()
	rows, err := w.srv.DB.Read().OpenOrders(w.t.Context(), "main", string(d.id))
	w.must(err)
	for _, r := range rows {
		list = append(list, fmt.Sprint(r.ID, r.State, r.Step, r.Cause))
	}
	return list
}
