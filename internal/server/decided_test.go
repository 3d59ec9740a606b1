package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// lateServers is the test's procedure with a window of their own for servers.
var lateServers = strings.Replace(procedureText, `windows:
  - {name: night, for: {all: true},`, `windows:
  - {name: late, for: {kinds: [server]}, days: [mon, tue, wed, thu, fri, sat, sun], start: "02:00", end: "04:00"}
  - {name: night, for: {kinds: [workstation]},`, 1)

func TestAStoppedRingTakesBackOrdersThatHaveNotBegun(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	broken := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	broken.breaks["nginx2"] = true
	other := w.device("srv-1", fleet.Server, "", versions("1"), versions("2"))
	w.must(w.srv.Roster.Add(t.Context(), "main", w.by, "pilot-users", []string{"srv-1"}))
	w.ask(func() error {
		_, err := w.srv.Conductor.ApplyProcedure(t.Context(), "main", w.by, "test.yaml", []byte(lateServers))
		return err
	})
	c, err := w.srv.Conductor.CreateCampaign(t.Context(), "main", w.by, campaign.Create{Procedure: "test", Month: "2026-01"})
	w.must(err)
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	other.away = true // for the night in which R1 opens
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 15, 9, 0, 0, 0, paris), time.Hour)
	other.away = false
	w.until(time.Date(2026, 1, 15, 19, 0, 0, 0, paris), time.Hour)
	if len(other.orders) != 1 {
		t.Fatalf("%d orders wait for the night, want one", len(other.orders))
	}
	w.until(time.Date(2026, 1, 15, 19, 58, 0, 0, paris), time.Hour)
	w.until(time.Date(2026, 1, 15, 20, 3, 0, 0, paris), 30*time.Second) // heartbeats that wake nothing by themselves
	if len(other.orders) != 0 {
		t.Errorf("R1 has stopped, and the server keeps %d orders", len(other.orders))
	}
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	if len(other.installs) != 0 {
		t.Errorf("R1 has stopped, and the server did %v", other.installs)
	}
	why, err := w.srv.Conductor.Why(t.Context(), "main", other.id, w.patchID("nginx", "2"))
	w.must(err)
	if len(why) != 1 || why[0].Reason.Code != fault.GateFailedTooMany {
		t.Errorf("why: %+v, want gate_failed_too_many", why)
	}
}

func TestWhatWasDelayedLeavesWhenTheNextRingOpens(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 10*time.Minute)
	w.ask(func() error {
		return w.srv.Conductor.Decide(t.Context(), "main", w.by, campaign.Decide{
			Patch: w.patchID("nginx", "2"), Verdict: policy.Delayed, Until: time.Date(2026, 1, 16, 9, 0, 0, 0, paris), Reason: "wait for the vendor",
		})
	})
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	if pilot.packages["openssl"] != "2" || pilot.packages["nginx"] != "1" {
		t.Fatalf("R0 has %v, want openssl 2 and nginx 1", pilot.packages)
	}
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 18, 9, 0, 0, 0, paris), time.Hour)
	if user.packages["openssl"] != "2" || user.packages["nginx"] != "1" {
		t.Errorf("after the delay R1 has %v; nginx was never validated by R0", user.packages)
	}
	why, err := w.srv.Conductor.Why(t.Context(), "main", user.id, w.patchID("nginx", "2"))
	w.must(err)
	if len(why) != 1 || why[0].Reason.Code != fault.ItemWithdrawn || why[0].Reason.Args["reason"] != "wait for the vendor" {
		t.Errorf("why: %+v, want item_withdrawn with its reason", why)
	}
	w.verifyRegister()
}

func TestInstallsWithoutEffectEndInQuarantine(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	liar := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	for day := 13; day < 18; day++ {
		w.until(time.Date(2026, 1, day, 23, 30, 0, 0, paris), time.Hour)
		liar.packages["nginx"] = "1" // it said that it installed 2, and its next scan says otherwise
		w.now = w.now.Add(time.Second)
		w.scan(liar)
		w.settle()
	}
	tries := 0
	for _, i := range liar.installs {
		if i.name == "nginx" && i.kind == wire.OrderInstall {
			tries++
		}
	}
	why, err := w.srv.Conductor.Why(t.Context(), "main", liar.id, w.patchID("nginx", "2"))
	w.must(err)
	if tries != campaign.Quarantine || len(why) != 1 || why[0].Reason.Code != fault.Quarantined {
		t.Errorf("%d tries, why %+v; want %d and quarantined", tries, why, campaign.Quarantine)
	}
	if r := w.ring(c, 0, "R0"); r.Failed != 1 {
		t.Errorf("R0 counts %d failed, want 1", r.Failed)
	}
}

func TestWhyIsAnsweredWhileAWriterIsAtWork(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 10*time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // to wait for the writer would be to fail
	defer cancel()
	w.must(w.srv.DB.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.WantScan(t.Context(), "main", string(pilot.id)); err != nil {
			return err
		}
		why, err := w.srv.Conductor.Why(ctx, "main", pilot.id, w.patchID("nginx", "2"))
		if err == nil && (len(why) != 1 || len(why[0].Chain) == 0) {
			err = fmt.Errorf("why: %+v, want one chain", why)
		}
		return err
	}))
}

// A device is asked once which ring it is in, also when it is in none; what
// the campaign has considered outlives the server.
func TestACampaignConsidersEachDeviceOnce(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	left := func() int {
		t.Helper()
		row, err := w.srv.DB.Read().Campaign(t.Context(), "main", string(c))
		w.must(err)
		page, err := w.srv.DB.Read().DevicesToEnlist(t.Context(), gen.DevicesToEnlistParams{Tenant: "main", Arrival: row.Enlisted, Max: 100})
		w.must(err)
		return len(page)
	}
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 10*time.Minute)
	if n := left(); n != 0 {
		t.Fatalf("%d devices are still to be considered after the start, want none", n)
	}
	w.device("late-1", fleet.Workstation, "", versions("1"), versions("2"))
	w.device("late-2", fleet.Workstation, "", versions("1"), versions("2"))
	if n := left(); n != 2 {
		t.Fatalf("%d devices to consider, want the two that have just enrolled", n)
	}
	w.srv.Conductor.Enlist()
	w.settle()
	if n := left(); n != 0 {
		t.Errorf("%d devices would be considered again", n)
	}
	if n := w.ring(c, 0, "GLOBAL").NotReached; n != 2 {
		t.Errorf("GLOBAL counts %d devices, want the two late ones", n)
	}
}

// An older clock does not hide a device from the campaign.
func TestADeviceThatEnrolsAfterTheClockWentBackGetsItsRing(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 10*time.Minute)
	w.now = w.now.Add(-3 * time.Hour)
	w.device("late-1", fleet.Workstation, "", versions("1"), versions("2"))
	w.now = w.now.Add(3 * time.Hour)
	w.srv.Conductor.Enlist()
	w.settle()
	if n := w.ring(c, 0, "GLOBAL").NotReached; n != 1 {
		t.Errorf("GLOBAL counts %d devices, want the late one", n)
	}
}

func TestWhatPeopleAreToldAndAnswerIsInTheRegister(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	d := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.event(d, wire.Event{Kind: wire.EventNotice, Notice: &wire.Notice{
		What: wire.NoticePostponed, Act: wire.ActInstall, User: "ann", UntilUS: 7, Left: 1,
	}})
	w.verifyRegister()
	stored, err := w.srv.DB.Register(t.Context(), "main")
	w.must(err)
	const want = `"notice":{"act":"install","left":1,"until":7,"user":"ann","what":"postponed"}`
	for row, err := range stored.Entries {
		w.must(err)
		if strings.Contains(string(row.Raw), want) {
			return
		}
	}
	t.Errorf("no entry has %s", want)
}
