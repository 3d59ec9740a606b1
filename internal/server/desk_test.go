package server_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/readiness"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/infra/view"
	"patchring/internal/service/desk"
)

func (w *world) housekeep() {
	w.t.Helper()
	w.must(w.srv.Desk.Housekeep(w.t.Context()))
}

func TestADeviceUnderAnExceptionIsExemptUntilItsEnd(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	spared := w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	id, err := w.srv.Desk.Grant(t.Context(), "main", w.by, desk.Grant{
		Device: "it-2", Owner: "workshop", Reason: "the press is calibrated on Friday", Control: "no way to the internet", Until: "2026-01-16",
	})
	w.must(err)
	w.until(time.Date(2026, 1, 15, 9, 0, 0, 0, paris), time.Hour)
	if len(spared.installs) != 0 {
		t.Fatalf("under an exception, and did %v", spared.installs)
	}
	if r := w.ring(c, 0, "R0"); r.Exempt != 1 || r.Done != 1 {
		t.Errorf("R0 counts %d exempt and %d done, want one each", r.Exempt, r.Done)
	}
	why, err := w.srv.Conductor.Why(t.Context(), "main", spared.id, w.patchID("nginx", "2"))
	w.must(err)
	end := time.Date(2026, 1, 16, 23, 59, 59, 0, paris)
	want := map[string]string{"exception": id, "owner": "workshop", "reason": "the press is calibrated on Friday", "until": end.UTC().Format(time.RFC3339)}
	if len(why) != 1 || why[0].Reason.Code != fault.ExceptionInForce {
		t.Fatalf("why: %+v, want exception_in_force", why)
	}
	for name, value := range want {
		if why[0].Reason.Args[name] != value {
			t.Errorf("why says %s %q, want %q", name, why[0].Reason.Args[name], value)
		}
	}
	w.until(end.Add(-time.Minute), time.Hour)
	w.housekeep()
	if len(spared.installs) != 0 || len(w.entries(register.ExceptionEnded)) != 0 {
		t.Fatal("the exception ended before its last second")
	}
	w.until(time.Date(2026, 1, 18, 9, 0, 0, 0, paris), time.Hour)
	if spared.packages["nginx"] != "2" || spared.packages["openssl"] != "2" {
		t.Errorf("after its end the device has %v", spared.packages)
	}
	for range 2 {
		w.housekeep()
	}
	if ended := w.entries(register.ExceptionEnded); len(ended) != 1 || ended[0].Device != string(spared.id) {
		t.Errorf("its end is in the register as %+v, want once", ended)
	}
	w.verifyRegister()
}

func TestAnExceptionThatEndsEarlyLetsItsGroupGoOnAtOnce(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	spared := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.device("it-2", fleet.Workstation, "", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), 10*time.Minute)
	if len(spared.orders) != 1 {
		t.Fatalf("%d orders wait for the night, want one", len(spared.orders))
	}
	id, err := w.srv.Desk.Grant(t.Context(), "main", w.by, desk.Grant{
		Group: "it-pilots", Patch: w.patchID("nginx", "2"), Every: true, Owner: "it", Reason: "breaks the proxy", Control: "nothing listens", Until: "2026-06-30",
	})
	w.must(err)
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	if spared.packages["nginx"] != "1" || spared.packages["openssl"] != "2" {
		t.Fatalf("with an exception for nginx the device has %v", spared.packages)
	}
	w.must(w.srv.Desk.End(t.Context(), "main", w.by, id, "the vendor has corrected it"))
	w.until(time.Date(2026, 1, 15, 9, 0, 0, 0, paris), time.Hour)
	if spared.packages["nginx"] != "2" {
		t.Errorf("after its early end the device has %v", spared.packages)
	}
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: "2026-01"}))
	w.settle()
	before := w.ring(c, 0, "GLOBAL")
	_, err = w.srv.Desk.Grant(t.Context(), "main", w.by, desk.Grant{Device: "it-2", Owner: "it", Reason: "r", Control: "c", Until: "2026-06-30"})
	w.must(err)
	w.settle()
	if after := w.ring(c, 0, "GLOBAL"); after != before {
		t.Errorf("an exception changes a closed campaign from %+v to %+v", before, after)
	}
	if err := w.srv.Desk.End(t.Context(), "main", w.by, id, "again"); fault.CodeOf(err) != fault.NothingToDo {
		t.Errorf("ended twice: %v", err)
	}
	if ended := w.entries(register.ExceptionEnded); len(ended) != 1 || ended[0].Detail["why"] != "the vendor has corrected it" || ended[0].Actor != w.by {
		t.Errorf("the register says %+v", ended)
	}
}

func TestAGateWaitsForTheTasksOfItsRing(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	open := func(ask desk.Open) string {
		t.Helper()
		id, err := w.srv.Desk.Open(t.Context(), "main", w.by, ask)
		w.must(err)
		return id
	}
	w.settle() // the first scans make the patches known
	look := open(desk.Open{Title: "Start the checkout by hand", Campaign: "2026-01", Ring: "r0", Owner: "it", EscalateTo: "it-lead", Due: "2026-01-14"})
	scan := open(desk.Open{
		Title: "Scan it again", Campaign: string(c), Ring: "R0", Device: "it-1", Patch: w.patchID("nginx", "2"), Owner: "it", Proof: task.Rescan, Due: "2026-01-14",
	})
	rescan := desk.Show{Task: scan, Proof: task.Rescan}
	if err := w.srv.Desk.Close(t.Context(), "main", w.by, rescan); fault.CodeOf(err) != fault.NotRescanned {
		t.Fatalf("closed without a scan: %v", err)
	}
	w.now = w.now.Add(time.Minute)
	w.scan(pilot)
	w.settle()
	if err := w.srv.Desk.Close(t.Context(), "main", w.by, rescan); fault.CodeOf(err) != fault.StillMissing {
		t.Fatalf("closed although the patch is missing: %v", err)
	}
	if err := w.srv.Desk.Close(t.Context(), "main", w.by, desk.Show{Task: scan, Proof: task.Text, Text: "trust me"}); fault.CodeOf(err) != fault.ProofMissing {
		t.Fatalf("closed on another proof: %v", err)
	}
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	w.sign(c, "R0", "it", 1)
	w.until(time.Date(2026, 1, 15, 9, 0, 0, 0, paris), time.Hour)
	r0 := w.ring(c, 0, "R0")
	reasons, err := w.srv.View.Board(t.Context(), "main", string(c))
	w.must(err)
	if got := reasons.Amendments[0].Rings[0].Reasons; r0.State != string(campaign.RingGate) || len(got) != 1 || got[0].Code != fault.GateTaskOpen || got[0].Args["count"] != "2" {
		t.Fatalf("R0 is %s for %+v, want a gate that waits for two tasks", r0.State, got)
	}
	if len(reasons.Tasks) != 2 || reasons.Tasks[0].State != task.Overdue {
		t.Errorf("the board shows the tasks %+v", reasons.Tasks)
	}
	w.must(w.srv.Desk.Close(t.Context(), "main", w.by, rescan))
	w.must(w.srv.Desk.Close(t.Context(), "main", w.by, desk.Show{Task: look, Proof: task.Command, Command: "systemctl status till", Output: "active (running)"}))
	w.settle()
	if r := w.ring(c, 0, "R0"); !campaign.RingState(r.State).Passed() {
		t.Fatalf("with its tasks closed R0 is %s for %s", r.State, r.Reasons)
	}
	later := open(desk.Open{Title: "Call the branch", Campaign: string(c), Owner: "it", Due: "2026-01-30"})
	w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
	if user.packages["nginx"] != "2" {
		t.Errorf("R1 has %v", user.packages)
	}
	w.until(time.Date(2026, 1, 23, 9, 0, 0, 0, paris), time.Hour)
	done := w.entries(register.VerificationDone)
	if len(done) != 1 || fmt.Sprint(done[0].Detail["open_tasks"]) != "1" {
		t.Errorf("the verification says %+v, want one open task", done)
	}
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: string(c)}))
	w.must(w.srv.Desk.Close(t.Context(), "main", w.by, desk.Show{Task: later, Proof: task.Text, Text: "called"}))
	w.verifyRegister()
}

func TestRemindersAreWrittenOnceEach(t *testing.T) {
	start := time.Date(2026, 1, 12, 9, 0, 0, 0, paris)
	t.Run("sqlite", func(t *testing.T) { remindersOnce(t, newWorld(t, start)) })
	t.Run("postgres", func(t *testing.T) { remindersOnce(t, worldOn(t, start, storetest.PostgresURL(t), nil)) })
}

func remindersOnce(t *testing.T, w *world) {
	id, err := w.srv.Desk.Open(t.Context(), "main", w.by, desk.Open{
		Title: "Restart the printer", Owner: "it", EscalateTo: "it-lead", After: 1, Due: "2026-01-14T18:00:00+01:00",
	})
	w.must(err)
	told := func() (whom []string) {
		w.housekeep()
		w.housekeep()
		for _, e := range w.entries(register.TaskReminded) {
			whom = append(whom, e.Detail["whom"].(string)+" "+e.Detail["state"].(string))
		}
		return whom
	}
	due := time.Date(2026, 1, 14, 18, 0, 0, 0, paris)
	want := []string{"it due_soon", "it overdue", "it-lead escalated"}
	for i, at := range []time.Time{due.Add(-24 * time.Hour), due, due.Add(24 * time.Hour)} {
		w.now = at.Add(-time.Second)
		if got := told(); len(got) != i {
			t.Fatalf("just before reminder %d the register has %q", i+1, got)
		}
		w.now = at
		if got := told(); len(got) != i+1 || got[i] != want[i] {
			t.Fatalf("reminder %d: the register has %q", i+1, got)
		}
	}
	// A server that was off for long tells the last one only.
	w.now = due.AddDate(0, 2, 0)
	if got := told(); len(got) != 4 {
		t.Errorf("after two months off: %q", got)
	}
	w.must(w.srv.Desk.Close(t.Context(), "main", w.by, desk.Show{Task: id, Proof: task.File, Name: "../../printer.jpg", File: []byte("JPEG")}))
	w.now = w.now.AddDate(0, 1, 0)
	if got := told(); len(got) != 4 {
		t.Errorf("a closed task was told of: %q", got)
	}
	if err := w.srv.Desk.Reopen(t.Context(), "main", w.by, desk.Reopen{Task: id, Reason: "it is another printer"}); fault.CodeOf(err) != fault.InvalidField {
		t.Errorf("reopened with a date that is past: %v", err)
	}
	w.must(w.srv.Desk.Reopen(t.Context(), "main", w.by, desk.Reopen{Task: id, Reason: "it is another printer", Due: "2026-12-01"}))
	detail, err := w.srv.View.Task(t.Context(), "main", id)
	w.must(err)
	if detail.State != task.Open || len(detail.Proofs) != 1 || detail.Proofs[0].File != "printer.jpg" {
		t.Errorf("reopened: %+v", detail)
	}
	body, err := w.srv.View.ProofFile(t.Context(), "main", id, detail.Proofs[0].ID)
	w.must(err)
	if string(body.Bytes) != "JPEG" {
		t.Errorf("the proof's file says %q", body.Bytes)
	}
	page, err := w.srv.View.Tasks(t.Context(), "main", view.TaskQuery{})
	w.must(err)
	if len(page.Rows) != 1 || page.Rows[0].Next.After(time.Date(2026, 12, 1, 0, 0, 0, 0, paris)) {
		t.Errorf("open tasks: %+v", page.Rows)
	}
	w.verifyRegister()
}

func TestAFailedCommitWritesAReminderOnce(t *testing.T) {
	fail := map[bool]bool{}
	w := faultyWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris), func(stored bool) error {
		if fail[stored] {
			delete(fail, stored)
			return errCommit
		}
		return nil
	})
	_, err := w.srv.Desk.Open(t.Context(), "main", w.by, desk.Open{Title: "Look", Owner: "it", Due: "2026-01-13"})
	w.must(err)
	w.now = time.Date(2026, 1, 14, 12, 0, 0, 0, paris)
	for _, stored := range []bool{false, true} {
		fail[stored] = true
		if err := w.srv.Desk.Housekeep(t.Context()); err == nil {
			t.Fatal("the commit failed, and the pass did not say so")
		}
		w.housekeep()
		if n := len(w.entries(register.TaskReminded)); n != 1 && !stored || n != 2 && stored {
			t.Errorf("stored %t: %d reminders in the register", stored, n)
		}
		w.now = w.now.AddDate(0, 0, 1)
	}
}

// What readiness finds becomes tasks, each once; a task closes when the fleet no
// longer has what was found, and not before.
func TestFindingsBecomeTasksAndCloseByThemselves(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pc := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.campaign(t, "2026-01")
	w.settle()
	w.now = w.now.Add(2 * time.Hour)
	w.must(w.srv.DB.Write(t.Context(), func(tx *store.Tx) error {
		return tx.AddDevice(t.Context(), gen.AddDeviceParams{Tenant: "main", ID: "mute", Name: "mute", Kind: "workstation", Tags: "{}", EnrolledUs: 1})
	}))
	ask := desk.OpenFindings{Kind: readiness.Silent, Owner: "it", Due: "2026-01-20", Words: func(f readiness.Finding) (string, string) { return "wake it", string(f.Kind) }}
	made, err := w.srv.Desk.OpenFindings(t.Context(), "main", w.by, ask)
	w.must(err)
	if len(made.Opened) != 1 || made.Opened[0].Device != "mute" || made.Known != 0 {
		t.Fatalf("opened %+v, want one of the device that never spoke, and none of %s", made, pc.id)
	}
	again, err := w.srv.Desk.OpenFindings(t.Context(), "main", w.by, ask)
	w.must(err)
	if len(again.Opened) != 0 || again.Known != 1 {
		t.Errorf("asked again: %+v", again)
	}
	opened := w.entries(register.TaskOpened)
	if len(opened) != 1 || opened[0].Detail["finding"] != "silent" || opened[0].Actor != w.by || opened[0].Device != "mute" {
		t.Errorf("the register says %+v", opened)
	}
	named := ask
	named.Kind, named.Only = "", []desk.FindingOn{{Device: "mute", Kind: readiness.Silent}, {Device: pc.id, Kind: readiness.Disk}}
	if got, err := w.srv.Desk.OpenFindings(t.Context(), "main", w.by, named); err != nil || got.Known != 1 || got.Gone != 1 || len(got.Opened) != 0 {
		t.Errorf("named: %+v, %v", got, err)
	}
	rescan := desk.Show{Task: made.Opened[0].ID, Proof: task.Rescan}
	if err := w.srv.Desk.Close(t.Context(), "main", w.by, rescan); fault.CodeOf(err) != fault.StillFound {
		t.Errorf("closed although it is still found: %v", err)
	}
	w.must(w.srv.Desk.Housekeep(t.Context()))
	if closed := w.entries(register.TaskClosed); len(closed) != 0 {
		t.Fatalf("closed %+v although it is silent", closed)
	}
	w.must(w.srv.DB.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.TouchDevice(t.Context(), gen.TouchDeviceParams{Tenant: "main", ID: "mute", SeenUs: w.now.UnixMicro()})
		return err
	}))
	w.now = w.now.Add(15 * time.Minute)
	w.must(w.srv.Desk.Housekeep(t.Context()))
	closed := w.entries(register.TaskClosed)
	if len(closed) != 1 || closed[0].Actor != register.System("desk") || closed[0].Detail["proof"] != string(task.Rescan) || closed[0].Detail["text"] != w.now.UTC().Format(time.RFC3339) {
		t.Errorf("the register says %+v", closed)
	}
	// It is found again: another task, and the first is not opened beside it.
	w.must(w.srv.DB.Write(t.Context(), func(tx *store.Tx) error {
		return tx.AddDevice(t.Context(), gen.AddDeviceParams{Tenant: "main", ID: "mute-2", Name: "mute-2", Kind: "workstation", Tags: "{}", EnrolledUs: 1})
	}))
	if got, err := w.srv.Desk.OpenFindings(t.Context(), "main", w.by, ask); err != nil || len(got.Opened) != 1 || got.Opened[0].Device != "mute-2" {
		t.Errorf("the next: %+v, %v", got, err)
	}
	// In a campaign they are due before its first ring, which has opened meanwhile.
	late := desk.OpenFindings{Campaign: "2026-01", Owner: "it", Words: ask.Words}
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), 12*time.Hour)
	var refused *fault.Error
	if _, err := w.srv.Desk.OpenFindings(t.Context(), "main", w.by, late); !errors.As(err, &refused) || refused.Args["problem"] != "first_ring_open" {
		t.Errorf("due before a ring that is open: %v", err)
	}
}
