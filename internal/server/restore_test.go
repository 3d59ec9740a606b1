package server_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/journal"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/server"
	"patchring/wire"
)

// witness gives a device the real agent's judgement of orders, with its real
// journal: what it remembers of the register outlives any server.
func (w *world) witness(d *fakeDevice) {
	w.t.Helper()
	j, err := journal.Open(w.t.TempDir())
	w.must(err)
	w.t.Cleanup(func() {
		if err := j.Close(); err != nil {
			w.t.Error(err)
		}
	})
	order, err := w.srv.Keys.OrderKey("main")
	w.must(err)
	key, err := w.srv.Keys.RegisterKey("main")
	w.must(err)
	public, ok := order.Public().(ed25519.PublicKey)
	if !ok {
		w.t.Fatal("no public order key")
	}
	d.journal = j
	start := w.now
	d.agent = executor.New(executor.Options{
		Tenant: "main", Device: string(d.id), Keys: []wire.Key{{ID: wire.KeyID(public), Public: public}}, RegisterKey: key.Verifier,
		Journal: j, Now: func() time.Time { return w.now }, Uptime: func() time.Duration { return w.now.Sub(start) },
		BootID: func() (string, error) { return "boot", nil }, Disk: func() error { return nil }, Changed: func() {}, Ended: func() {}, Log: quiet(),
	})
}

// accepts lets the real agent judge an order, and sends what it says of it.
func (w *world) accepts(d *fakeDevice, e wire.Envelope) bool {
	w.t.Helper()
	err := d.agent.Accept(e)
	if err != nil {
		d.refusals = append(d.refusals, err)
	}
	w.flush(d)
	return err == nil
}

// flush delivers the spool.
func (w *world) flush(d *fakeDevice) {
	w.t.Helper()
	events, err := d.journal.Pending(wire.MaxEventsPerSend, 1<<20)
	w.must(err)
	if len(events) == 0 {
		return
	}
	reply := report[wire.EventsReply](w, d, wire.ReportEvents, wire.Events{Events: events})
	if last := events[len(events)-1].Seq; reply.Error != nil || reply.UpTo != last {
		w.t.Fatalf("events up to %d: acknowledged up to %d, error %v", last, reply.UpTo, reply.Error)
	}
	w.must(d.journal.Ack(reply.UpTo))
}

// entries are the register's, from a place on.
func (w *world) entries(kind register.Kind) (list []register.Entry) {
	w.t.Helper()
	for row, err := range w.srv.DB.RegisterEntries(w.t.Context(), "main") {
		w.must(err)
		e, err := register.Decode(row.Raw)
		w.must(err)
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// lostMonth is a month half done on three real witnesses: a backup, then a part that
// a restore will lose.
type lostMonth struct {
	*world
	campaign           campaign.ID
	backup             string
	pilot, still, user *fakeDevice
	lost               wire.Order // accepted by user, and in no backup
}

func newLostMonth(t *testing.T) lostMonth {
	t.Helper()
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	m := lostMonth{world: w, backup: filepath.Join(t.TempDir(), "backup.db")}
	m.pilot = w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	m.still = w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	m.user = w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	w.device("srv-1", fleet.Server, "", versions("1"), versions("2"))
	for _, d := range w.devices {
		w.witness(d)
	}
	m.campaign = w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	if m.pilot.packages["openssl"] != "2" || m.still.packages["openssl"] != "2" {
		t.Fatalf("R0 before the backup: %v, %v", m.pilot.packages, m.still.packages)
	}
	w.must(w.srv.DB.Backup(t.Context(), m.backup))

	w.sign(m.campaign, "R0", "it", 1)
	m.pilot.packages["curl"], m.pilot.offers["curl"] = "1", "2"
	w.scan(m.pilot)
	w.settle()
	_, err := w.srv.Conductor.Amend(t.Context(), "main", w.by, campaign.Amend{
		Campaign: string(m.campaign), Patches: []patch.ID{w.patchID("curl", "2")}, Reason: "exploited",
	})
	w.must(err)
	w.until(time.Date(2026, 1, 15, 19, 0, 0, 0, paris), time.Hour)
	if m.pilot.packages["curl"] != "2" || len(m.user.orders) != 1 {
		t.Fatalf("after the backup: pilot %v, %d orders of the user's device; want curl 2 and one order", m.pilot.packages, len(m.user.orders))
	}
	for _, m.lost = range m.user.orders {
	}
	_, err = w.srv.Conductor.Hold(t.Context(), "main", w.by, campaign.PlaceHold{Campaign: string(m.campaign), Reason: "payroll week"})
	w.must(err)
	w.settle()
	if len(m.user.holds.Holds) != 1 {
		t.Fatalf("the hold did not reach the device: %+v", m.user.holds)
	}
	return m
}

// A month is half done, a backup taken, more is done, and the backup restored.
// The same agents go on with it, and say what they had seen.
func TestAgentsGoOnAfterARestoreAndTestify(t *testing.T) {
	m := newLostMonth(t)
	w := m.world
	before, err := w.srv.DB.Register(t.Context(), "main")
	w.must(err)
	w.stop()
	w.now = time.Date(2026, 1, 15, 20, 30, 0, 0, paris)
	done, err := server.RestoreBackup(t.Context(), w.config(), m.backup, w.now)
	w.must(err)
	if !done.Compared || len(done.Losses) != 1 || done.Losses[0].From+done.Losses[0].Entries != before.Tree.Size() {
		t.Fatalf("restored: %+v; want the lost end of %d entries told", done, before.Tree.Size())
	}
	if again := done.Losses[0].Again; len(again) != 1 || again[0].Kind != register.HoldPlaced {
		t.Errorf("to be done again: %+v, want the hold", again)
	}
	w.serve()

	// What the device did for an order that the server has lost is kept.
	delete(m.user.orders, m.lost.ID)
	w.carryOut(m.user, m.lost)
	wantLostReport(t, w.entries(register.DeviceEvent), m.lost.ID)
	w.settle()
	if len(m.user.holds.Holds) != 0 {
		t.Errorf("holds of the lost part are still in force: %+v", m.user.holds)
	}

	w.sign(m.campaign, "R0", "it", 1)
	w.until(time.Date(2026, 1, 19, 9, 0, 0, 0, paris), time.Hour)
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(m.campaign), Reason: "the backup came back"}))

	for _, name := range w.order {
		w.devices[name].offers = versions("3")
		w.scan(w.devices[name])
	}
	c := w.campaign(t, "2026-02")
	w.until(time.Date(2026, 2, 12, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 2, 14, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R1", "business", 0)
	w.until(time.Date(2026, 2, 20, 9, 0, 0, 0, paris), time.Hour)
	for _, name := range w.order {
		d := w.devices[name]
		if d.packages["openssl"] != "3" || len(d.refusals) > 0 {
			t.Errorf("%s after the next campaign: %v, refused %v", name, d.packages, d.refusals)
		}
	}
	for _, ring := range []string{"R0", "R1", "GLOBAL"} {
		if r := w.ring(c, 0, ring); r.State != "done" {
			t.Errorf("%s of the next campaign is %s", ring, r.State)
		}
	}
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(c)}))
	m.wantTestimony(done)
	w.verifyRegister()
}

// wantTestimony: who had seen the lost part says so, in the register and at the
// device; who had seen nothing of it followed with proof.
func (m lostMonth) wantTestimony(done register.Restoration) {
	m.t.Helper()
	said := map[string]fault.Reason{}
	for _, e := range m.entries(register.DeviceEvent) {
		if e.Detail["event"] == string(wire.EventRestored) {
			said[e.Device] = e.Reason
		}
	}
	held := done.Losses[0].From
	for name, want := range map[string]struct {
		code     fault.Code
		seenLost bool
	}{
		"it-1":  {fault.RegisterRestored, true},
		"it-2":  {fault.RegisterRestored, false},
		"fin-1": {fault.RegisterRestoredUnproven, true},
	} {
		d := m.devices[name]
		kept, err := d.journal.Abandoned()
		m.must(err)
		reason := said[string(d.id)]
		if len(kept) != 1 || kept[0].RestoredUS != done.AtUS || kept[0].Backup != held || kept[0].Seen > held != want.seenLost {
			m.t.Errorf("%s keeps %+v; want the restore to %d entries, the lost part seen: %t", name, kept, held, want.seenLost)
			continue
		}
		if reason.Code != want.code || reason.Args["seen"] != fmt.Sprint(kept[0].Seen) {
			m.t.Errorf("%s testified %+v, want %s with %d seen", name, reason, want.code, kept[0].Seen)
		}
	}
	if len(said) != 3 {
		m.t.Errorf("%d devices testified, want the three that had seen a register", len(said))
	}
}

func wantLostReport(t *testing.T, entries []register.Entry, order string) {
	t.Helper()
	told := map[any]bool{}
	for _, e := range entries {
		if e.Detail["order"] != order {
			continue
		}
		told[e.Detail["event"]] = true
		if e.Detail["event"] == string(wire.EventResult) {
			if outcomes, ok := e.Detail["outcomes"].([]any); !ok || len(outcomes) != 2 {
				t.Errorf("the result of the lost order is kept as %+v, want its two outcomes", e.Detail)
			}
		}
	}
	if !told[string(wire.EventStep)] || !told[string(wire.EventResult)] {
		t.Errorf("the register tells %v of the lost order, want its steps and its result", told)
	}
}

// PostgreSQL is restored by its own tools; the site then adopts what they made.
func TestAPostgresThatItsOwnToolsRestoredIsAdopted(t *testing.T) {
	url := storetest.PostgresURL(t)
	w := worldOn(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris), url, nil)
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.witness(pilot)
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 22, 0, 0, 0, paris), time.Hour)
	w.stop()
	backup := storetest.CopyPostgres(t, url)
	w.serve()
	w.sign(c, "R0", "it", 1)
	pilot.packages["curl"], pilot.offers["curl"] = "1", "2"
	w.scan(pilot)
	w.settle()
	_, err := w.srv.Conductor.Amend(t.Context(), "main", w.by, campaign.Amend{
		Campaign: string(c), Patches: []patch.ID{w.patchID("curl", "2")}, Reason: "exploited",
	})
	w.must(err)
	w.until(time.Date(2026, 1, 14, 22, 0, 0, 0, paris), time.Hour)
	if pilot.packages["curl"] != "2" {
		t.Fatalf("after the backup: %v", pilot.packages)
	}
	w.stop()
	w.database = backup
	done, err := server.AdoptRestored(t.Context(), w.config(), w.now)
	w.must(err)
	if done.Compared || done.Aside != "" || done.AtUS != w.now.UnixMicro() {
		t.Errorf("adopted: %+v", done)
	}
	w.serve()
	pilot.packages["openssl"] = "1" // something for the next order to mend
	w.scan(pilot)
	w.until(time.Date(2026, 1, 15, 22, 0, 0, 0, paris), time.Hour)
	kept, err := pilot.journal.Abandoned()
	w.must(err)
	if len(pilot.refusals) > 0 || len(kept) != 1 || pilot.packages["openssl"] != "2" {
		t.Errorf("the device refused %v, keeps %+v, has %v", pilot.refusals, kept, pilot.packages)
	}
	w.verifyRegister()
}

// The same backup put in place by hand, which says nothing of it, is refused by
// a device that it cannot prove anything to: it may as well be a rewritten past.
func TestARegisterThatShrinksWithoutAWordIsRefused(t *testing.T) {
	m := newLostMonth(t)
	w := m.world
	w.stop()
	path := filepath.Join(w.data, "patchring.db")
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(m.backup)
	w.must(err)
	w.must(os.WriteFile(path, text, 0o600))
	w.serve()
	m.user.orders = map[string]wire.Order{} // it never came to it
	w.settle()
	w.sign(m.campaign, "R0", "it", 1)
	w.until(time.Date(2026, 1, 19, 9, 0, 0, 0, paris), time.Hour)
	forked := false
	for _, err := range m.user.refusals {
		forked = forked || fault.CodeOf(err) == fault.RegisterForked
	}
	kept, err := m.user.journal.Abandoned()
	w.must(err)
	if !forked || m.user.packages["nginx"] != "1" || len(kept) > 0 {
		t.Errorf("refusals %v, %v, given up %v; want register_forked and nothing installed", m.user.refusals, m.user.packages, kept)
	}
}

// Two restores of one backup: the second one's numbers are beyond those that
// the first one gave out, also when the database set aside cannot tell.
func TestTheSameBackupTwice(t *testing.T) {
	m := newLostMonth(t)
	w := m.world
	w.stop()
	var last register.Restoration
	for i := range 3 {
		w.now = w.now.Add(time.Hour)
		if i == 1 { // the disk is broken
			w.must(os.WriteFile(filepath.Join(w.data, "patchring.db"), []byte(strings.Repeat("broken", 1000)), 0o600))
		}
		at := w.now
		if i == 2 { // the clock is days behind
			at = at.Add(-72 * time.Hour)
		}
		done, err := server.RestoreBackup(t.Context(), w.config(), m.backup, at)
		w.must(err)
		if done.AtUS <= last.AtUS {
			t.Errorf("restore %d is at %d, not later than the one before at %d", i, done.AtUS, last.AtUS)
		}
		if done.Compared == (i == 1) || (done.Problem != "") != (i == 1) {
			t.Errorf("restore %d: compared %t, %q", i, done.Compared, done.Problem)
		}
		last = done
		w.serve()
		m.pilot.packages["nginx"], m.pilot.offers["nginx"] = "1", fmt.Sprint(3+i)
		w.scan(m.pilot)
		w.settle()
		_, err = w.srv.Conductor.Amend(t.Context(), "main", w.by, campaign.Amend{
			Campaign: string(m.campaign), Patches: []patch.ID{w.patchID("nginx", fmt.Sprint(3+i))}, Reason: "exploited",
		})
		w.must(err)
		w.until(w.now.Add(24*time.Hour), time.Hour)
		if m.pilot.packages["nginx"] != fmt.Sprint(3+i) || len(m.pilot.refusals) > 0 {
			t.Errorf("after restore %d: %v, refused %v", i, m.pilot.packages, m.pilot.refusals)
		}
		w.verifyRegister()
		w.stop()
	}
	w.serve()
}
