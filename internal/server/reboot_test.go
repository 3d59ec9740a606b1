package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/wire"
)

const rebootsOnSunday = `
profiles:
  - name: servers
    devices: device.kind == "server"
    reboot: {mode: window, windows: [{name: sunday, days: [sun], start: "03:00", end: "05:00"}]}
`

var (
	monday      = time.Date(2026, 1, 12, 9, 0, 0, 0, paris)
	afterSunday = time.Date(2026, 1, 18, 12, 0, 0, 0, paris)
)

// pending is why the device's reboot waits; empty when none is pending.
func (w *world) pending(d *fakeDevice) fault.Code {
	w.t.Helper()
	row, err := w.srv.DB.Read().PendingReboot(w.t.Context(), "main", string(d.id))
	if store.IsNone(err) {
		return ""
	}
	w.must(err)
	reason, err := store.ReasonFrom(row.Reason)
	w.must(err)
	return reason.Code
}

func (w *world) settled() {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	w.settle()
}

// A person installed a kernel by hand; no campaign wants anything of the device.
func TestADeviceRebootsInItsWindowWithoutAnyCampaign(t *testing.T) {
	w := newWorld(t, monday)
	srv := w.device("srv", fleet.Server, "", versions("1"), versions("1"))
	w.policy(rebootsOnSunday)
	w.settled()
	srv.signal = "kernel_newer"
	w.until(time.Date(2026, 1, 18, 2, 50, 0, 0, paris), time.Hour)
	if len(srv.reboots) != 0 || w.pending(srv) != fault.OrderInFlight {
		t.Fatalf("before the window: %d reboots, waits for %q", len(srv.reboots), w.pending(srv))
	}
	w.until(afterSunday, 10*time.Minute)
	if len(srv.reboots) != 1 || srv.outside != 0 || w.pending(srv) != "" {
		t.Fatalf("%d reboots, %d outside windows, waits for %q", len(srv.reboots), srv.outside, w.pending(srv))
	}
	if o := srv.reboots[0]; o.Campaign != "" || o.Reboot != wire.RebootWindow || len(o.Items) != 0 {
		t.Errorf("order %+v", o)
	}
	kinds := map[string]int{}
	for _, e := range append(w.entries(register.OrderIssued), w.entries(register.OrderResult)...) {
		if e.Device == string(srv.id) && e.Detail["kind"] == "reboot" {
			kinds[string(e.Kind)]++
		}
	}
	if kinds["order_issued"] == 0 || kinds["order_result"] != 1 {
		t.Errorf("the register has %v", kinds)
	}
	w.verifyRegister()
}

func TestWithoutARuleNothingReboots(t *testing.T) {
	w := newWorld(t, monday)
	srv := w.device("srv", fleet.Server, "", versions("1"), versions("1"))
	never := w.device("never", fleet.Workstation, "", versions("1"), versions("1"))
	w.policy("profiles: [{name: never, devices: 'device.kind == \"workstation\"', reboot: {mode: never}}]")
	w.settled()
	srv.signal, never.signal = "kernel_newer", "kernel_newer"
	w.until(afterSunday, 6*time.Hour)
	if len(srv.reboots)+len(never.reboots) != 0 || w.pending(srv) != fault.RebootNoRule || w.pending(never) != fault.RebootNotHere {
		t.Errorf("%d and %d reboots, %q and %q", len(srv.reboots), len(never.reboots), w.pending(srv), w.pending(never))
	}
}

// Its procedure says how a member reboots that no profile speaks of; that one
// patch failed takes nothing away.
func TestAMemberRebootsByItsProcedureThoughAPatchFailed(t *testing.T) {
	w := newWorld(t, monday)
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	pc.breaks["nginx2"] = true
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 20, 30, 0, 0, paris), 10*time.Minute)
	pc.signal = "reboot_required_file"
	w.until(time.Date(2026, 1, 15, 0, 0, 0, 0, paris), 10*time.Minute)
	if len(pc.reboots) != 1 || pc.outside != 0 {
		t.Errorf("%d reboots, %d outside windows, waits for %q", len(pc.reboots), pc.outside, w.pending(pc))
	}
}

func TestNoRebootInAFreezeNorUnderAnException(t *testing.T) {
	w := newWorld(t, monday)
	srv := w.device("srv", fleet.Server, "", versions("1"), versions("1"))
	w.policy(rebootsOnSunday + "freezes: [{name: closing, from: 2026-01-17, to: 2026-01-18, reason: Closing}]")
	w.settled()
	srv.signal = "kernel_newer"
	w.until(afterSunday, time.Hour)
	if len(srv.reboots) != 0 || w.pending(srv) != fault.OrderInFlight {
		t.Errorf("in the freeze: %d reboots, waits for %q", len(srv.reboots), w.pending(srv))
	}
	w.until(time.Date(2026, 1, 25, 12, 0, 0, 0, paris), 10*time.Minute)
	if len(srv.reboots) != 1 || srv.outside != 0 {
		t.Errorf("the Sunday after: %d reboots, %d outside", len(srv.reboots), srv.outside)
	}
}

func TestASignalThatOutlivesTwoRebootsIsLeftAlone(t *testing.T) {
	w := newWorld(t, monday)
	srv := w.device("srv", fleet.Server, "", versions("1"), versions("1"))
	w.policy("profiles: [{name: all, devices: 'true', windows: [{name: night, days: [mon, tue, wed, thu, fri, sat, sun], start: '22:00', end: '23:00'}], reboot: {mode: if_needed}}]")
	w.settled()
	srv.signal, srv.stubborn = "kernel_newer", true
	w.until(monday.AddDate(0, 0, 8), 20*time.Minute)
	if len(srv.reboots) != 2 || w.pending(srv) != fault.RebootSurvived {
		t.Fatalf("%d reboots in eight days, waits for %q; want 2 and reboot_survived", len(srv.reboots), w.pending(srv))
	}
	err := w.srv.Conductor.AllowReboot(t.Context(), "main", w.by, srv.id, "the boot loader was mended")
	w.must(err)
	srv.stubborn = false
	w.until(monday.AddDate(0, 0, 10), 20*time.Minute)
	if len(srv.reboots) != 3 || w.pending(srv) != "" {
		t.Errorf("after a person allowed it: %d reboots, waits for %q", len(srv.reboots), w.pending(srv))
	}
	if len(w.entries(register.RebootAllowed)) != 1 {
		t.Error("the register does not say who allowed it")
	}
	if err := w.srv.Conductor.AllowReboot(t.Context(), "main", w.by, srv.id, "again"); fault.CodeOf(err) != fault.NothingToDo {
		t.Errorf("with nothing to allow: %v", err)
	}
	// Another signal is another reason.
	srv.signal, srv.stubborn = "reboot_required_file", true
	w.until(monday.AddDate(0, 0, 16), 20*time.Minute)
	if len(srv.reboots) != 5 {
		t.Errorf("%d reboots for a new signal, want 2 more", len(srv.reboots)-3)
	}
}

func TestRebootsOfAGroupAreSpreadAndUnderItsLimit(t *testing.T) {
	w := newWorld(t, monday)
	var names []string
	for i := range 12 {
		w.device(fmt.Sprintf("web-%d", i), fleet.Server, "", versions("1"), versions("1"))
	}
	for i := range 3 {
		name := fmt.Sprintf("sql-%d", i)
		w.device(name, fleet.Critical, "", versions("1"), versions("1"))
		names = append(names, name)
	}
	w.policy(`
limits: [{name: sql, devices: device.kind == "critical", at_most: 1}]
profiles: [{name: all, devices: 'true', reboot: {mode: window, windows: [{name: sunday, days: [sun], start: "03:00", end: "05:00"}]}}]
`)
	w.settled()
	for _, d := range w.devices {
		d.signal = "kernel_newer"
	}
	w.settled()
	w.now = time.Date(2026, 1, 18, 1, 50, 0, 0, paris)
	w.until(time.Date(2026, 1, 18, 5, 0, 0, 0, paris), 5*time.Minute)
	minutes := map[int64]string{}
	for name, d := range w.devices {
		if len(d.reboots) != 1 || d.outside != 0 {
			t.Errorf("%s rebooted %d times, %d outside windows, waits for %q", name, len(d.reboots), d.outside, w.pending(d))
			continue
		}
		at := d.reboots[0].Windows[0].StartUS / 60e6
		if other, taken := minutes[at]; taken && !slices.Contains(names, name) && !slices.Contains(names, other) {
			t.Errorf("%s and %s start in the same minute", name, other)
		}
		minutes[at] = name
	}
	if most := w.downTogether(names...); most != 1 {
		t.Errorf("%d of the group were down together", most)
	}
}

func TestARebootGivesWayToAnInstall(t *testing.T) {
	w := newWorld(t, monday)
	pc := w.device("pc", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.policy("profiles: [{name: all, devices: 'true', windows: [{name: night, days: [mon, tue, wed, thu, fri, sat, sun], start: '20:00', end: '23:00'}], reboot: {mode: if_needed}}]")
	w.settled()
	pc.signal = "kernel_newer"
	w.settled()
	if o := onlyOrder(t, pc); o.Kind != wire.OrderReboot {
		t.Fatalf("order %+v", o)
	}
	pc.away = true // over the first night
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 12, 23, 30, 0, 0, paris), 10*time.Minute)
	pc.away = false
	w.until(time.Date(2026, 1, 13, 19, 40, 0, 0, paris), 10*time.Minute)
	if o := onlyOrder(t, pc); o.Kind != wire.OrderInstall {
		t.Fatalf("the device has the order %+v, want only the install, which reboots by itself", o)
	}
	w.until(time.Date(2026, 1, 14, 23, 0, 0, 0, paris), 10*time.Minute)
	if pc.packages["openssl"] != "2" || len(pc.reboots) != 1 {
		t.Errorf("%v, %d reboots: want the reboot after the install left it pending", pc.packages, len(pc.reboots))
	}
}

func TestADeviceThatCannotOrMustNotIsAskedAgainLater(t *testing.T) {
	w := newWorld(t, monday)
	veto := w.device("veto", fleet.Server, "", versions("1"), versions("1"))
	old := w.device("old", fleet.Server, "", versions("1"), versions("1"))
	old.outdated, veto.vetoes = true, true
	w.policy("profiles: [{name: all, devices: 'true', windows: [{name: night, days: [mon, tue, wed, thu, fri, sat, sun], start: '20:00', end: '23:00'}], reboot: {mode: if_needed}}]")
	w.settled()
	veto.signal, old.signal = "kernel_newer", "kernel_newer"
	w.until(monday.AddDate(0, 0, 3), 10*time.Minute)
	asked := 0
	for _, e := range w.entries(register.OrderIssued) {
		if e.Device == string(veto.id) {
			asked++
		}
		if e.Device == string(old.id) {
			t.Error("an agent that knows no orders to reboot got one")
		}
	}
	if asked < 2 || asked > 4 {
		t.Errorf("asked %d times in three days, want about once a day", asked)
	}
	if w.pending(old) != fault.AgentOutdated || len(veto.reboots) != 0 {
		t.Errorf("waits for %q; %d reboots against the veto", w.pending(old), len(veto.reboots))
	}
}

// What the pilots' installs took is the margin of those that follow.
func TestOrdersKeepTheMarginThatPastInstallsTook(t *testing.T) {
	w := newWorld(t, monday)
	for _, name := range []string{"a", "b", "c"} {
		w.device(name, fleet.Workstation, "it-pilots", versions("1"), versions("2")).took = 80 * time.Minute
	}
	user := w.device("user", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 22, 0, 0, 0, paris), 30*time.Minute)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 15, 19, 30, 0, 0, paris), 30*time.Minute)
	// Two patches shared each install, so together they take as long again.
	if o := onlyOrder(t, user); o.MarginS != int64(80*time.Minute/time.Second) {
		t.Errorf("margin %d s, want the 80 minutes that the pilots took", o.MarginS)
	}
}
