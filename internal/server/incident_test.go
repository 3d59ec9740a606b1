package server_test

import (
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	core "patchring/internal/core/incident"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/infra/view"
	"patchring/internal/service/incident"
)

// onBoth runs a story on SQLite and on PostgreSQL.
func onBoth(t *testing.T, story func(t *testing.T, w *world)) {
	start := time.Date(2026, 1, 12, 9, 0, 0, 0, paris)
	t.Run("sqlite", func(t *testing.T) { story(t, newWorld(t, start)) })
	t.Run("postgres", func(t *testing.T) { story(t, worldOn(t, start, storetest.PostgresURL(t), nil)) })
}

func (w *world) incident(id string) view.IncidentDetail {
	w.t.Helper()
	i, err := w.srv.View.Incident(w.t.Context(), "main", id)
	w.must(err)
	return i
}

func (w *world) holdsNow() (out []string) {
	w.t.Helper()
	holds, err := w.srv.View.Holds(w.t.Context(), "main")
	w.must(err)
	for _, h := range holds {
		what := h.Ring
		if h.Patch != nil {
			what = h.Patch.Name
		}
		out = append(out, what)
	}
	return out
}

// A critical incident of a pilot's device, about one patch: the patch goes back
// on the ring of that device, and neither it nor the ring goes on; the other
// rings keep what they have.
func TestACriticalIncidentRollsItsPatchBackOnItsRing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		it := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
		user := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
		last := w.device("all-1", fleet.Workstation, "", versions("1"), versions("2"))
		c := w.campaign(t, "2026-01")
		w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
		w.sign(c, "R0", "it", 1)
		w.until(time.Date(2026, 1, 16, 9, 0, 0, 0, paris), time.Hour)
		if user.packages["nginx"] != "2" || it.packages["nginx"] != "2" {
			t.Fatalf("before: it %v, user %v", it.packages, user.packages)
		}
		opened, err := w.srv.Incidents.Open(t.Context(), "main", w.by, incident.Open{
			Severity: procedure.Critical, What: "the proxy refuses everybody\nsince this morning", Campaign: "2026-01", Patch: w.patchID("nginx", "2"),
			Devices: []fleet.DeviceID{user.id}, Owner: "it",
		})
		w.must(err)
		if opened.Response != campaign.RollsBackAll || opened.Joined {
			t.Fatalf("opened %+v, want a rollback", opened)
		}
		w.until(time.Date(2026, 1, 19, 9, 0, 0, 0, paris), time.Hour)
		if user.packages["nginx"] != "1" || user.packages["openssl"] != "2" || it.packages["nginx"] != "2" || last.packages["nginx"] != "1" {
			t.Errorf("after: it %v, user %v, others %v", it.packages, user.packages, last.packages)
		}
		if got := w.holdsNow(); len(got) != 2 {
			t.Errorf("holds on %q, want the patch and R1", got)
		}
		w.until(time.Date(2026, 1, 22, 9, 0, 0, 0, paris), time.Hour)
		if last.packages["nginx"] != "1" {
			t.Errorf("the next ring got it all the same: %v", last.packages)
		}
		i := w.incident(opened.ID)
		if i.Title != "the proxy refuses everybody" || i.Ring != "R1" || i.State != core.Open || len(i.On) != 1 || i.On[0].Name != "fin-1" || i.Response != campaign.RollsBackAll {
			t.Errorf("kept as %+v", i)
		}
		entries := w.entries(register.IncidentOpened)
		if len(entries) != 1 || entries[0].Device != string(user.id) || entries[0].Ring != "R1" || entries[0].Detail["incident"] != opened.ID {
			t.Errorf("the register says %+v", entries)
		}
		w.onlyInsideWindows()
		w.verifyRegister()
	})
}

func TestAnIncidentsLifeIsKeptAndInTheRegister(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		pc := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
		other := w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
		c := w.campaign(t, "2026-01")
		w.until(time.Date(2026, 1, 13, 19, 30, 0, 0, paris), time.Hour) // its members are known when it is sealed
		ask := incident.Open{
			Severity: procedure.Minor, What: "prints slowly", Campaign: string(c), Devices: []fleet.DeviceID{pc.id}, Origin: core.Alert, OriginID: "a-1", Subject: incident.SubjectOfAlert("a-1"),
		}
		first, err := w.srv.Incidents.Open(t.Context(), "main", w.by, ask)
		w.must(err)
		ask.Devices, ask.What = []fleet.DeviceID{other.id}, "this one too"
		again, err := w.srv.Incidents.Open(t.Context(), "main", w.by, ask)
		w.must(err)
		if !again.Joined || again.ID != first.ID || len(w.holdsNow()) != 0 {
			t.Fatalf("said again: %+v after %+v", again, first)
		}
		do := func(say core.Say, severity procedure.Severity) error {
			return w.srv.Incidents.Do(t.Context(), "main", w.by, incident.Do{Incident: first.ID, Say: say, Severity: severity, Owner: "it"})
		}
		w.now = w.now.Add(time.Minute)
		w.must(do(core.Say{Act: core.Note, Text: "it is worse than that"}, procedure.Critical))
		if got := w.holdsNow(); len(got) != 1 || got[0] != "R0" {
			t.Errorf("a critical incident holds %q, want its ring", got)
		}
		if err := do(core.Say{Act: core.Close, Cause: "the driver"}, ""); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("closed without a correction: %v", err)
		}
		w.must(do(core.Say{Act: core.Correct, Cause: "the driver", Correction: "put back"}, ""))
		w.must(do(core.Say{Act: core.Close}, ""))
		if err := do(core.Say{Act: core.Close}, ""); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("closed twice: %v", err)
		}
		third, err := w.srv.Incidents.Open(t.Context(), "main", w.by, ask)
		w.must(err)
		if third.Joined || third.ID == first.ID {
			t.Errorf("said again after it was closed: %+v", third)
		}
		if err := do(core.Say{Act: core.Reopen, Text: "it is back"}, ""); fault.CodeOf(err) != fault.AlreadyExists {
			t.Errorf("opened again beside another one of the same subject: %v", err)
		}
		w.must(w.srv.Incidents.Do(t.Context(), "main", w.by, incident.Do{Incident: third.ID, Say: core.Say{Act: core.Close, Cause: "the same", Correction: "as before"}}))
		w.must(do(core.Say{Act: core.Reopen, Text: "it is back"}, ""))
		i := w.incident(first.ID)
		if i.State != core.Open || i.Severity != procedure.Critical || i.Owner != "it" || i.Reopened != 1 || i.Cause != "the driver" || i.Devices != 2 || len(i.Notes) != 5 || !i.Closed.IsZero() {
			t.Errorf("kept as %+v", i)
		}
		for kind, want := range map[register.Kind]int{
			register.IncidentOpened: 2, register.IncidentNoted: 2, register.IncidentCorrected: 1, register.IncidentClosed: 2, register.IncidentReopened: 1,
		} {
			if got := w.entries(kind); len(got) != want {
				t.Errorf("%s: %d entries, want %d", kind, len(got), want)
			}
		}
		list, err := w.srv.View.Incidents(t.Context(), "main", view.IncidentQuery{Device: other.id})
		w.must(err)
		if len(list.Rows) != 1 || list.Rows[0].ID != first.ID {
			t.Errorf("of the other device: %+v", list.Rows)
		}
		w.verifyRegister()
	})
}

// Either the incident and its hold are there, or neither.
func TestAFailedCommitLeavesNoHalfOfAnIncident(t *testing.T) {
	fail := map[bool]bool{}
	w := faultyWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris), func(stored bool) error {
		if fail[stored] {
			delete(fail, stored)
			return errCommit
		}
		return nil
	})
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.campaign(t, "2026-01")
	ask := incident.Open{Severity: procedure.Critical, What: "it burns", Campaign: "2026-01", Origin: core.Alert, OriginID: "a", Subject: "alert/a"}
	for _, stored := range []bool{false, true} {
		fail[stored] = true
		if _, err := w.srv.Incidents.Open(t.Context(), "main", w.by, ask); err == nil {
			t.Fatal("the commit failed, and nobody was told")
		}
		list, err := w.srv.View.Incidents(t.Context(), "main", view.IncidentQuery{})
		w.must(err)
		want := 0
		if stored {
			want = 1
		}
		if len(list.Rows) != want || len(w.holdsNow()) != want {
			t.Errorf("stored %t: %d incidents and %d holds", stored, len(list.Rows), len(w.holdsNow()))
		}
	}
	again, err := w.srv.Incidents.Open(t.Context(), "main", w.by, ask)
	w.must(err)
	if !again.Joined || len(w.holdsNow()) != 1 {
		t.Errorf("asked again: %+v with %d holds", again, len(w.holdsNow()))
	}
}

func TestAnIncidentOfAClosedCampaignIsRecorded(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.campaign(t, "2026-01")
	w.must(w.srv.Conductor.Close(t.Context(), "main", w.by, campaign.Close{Campaign: "2026-01"}))
	opened, err := w.srv.Incidents.Open(t.Context(), "main", w.by, incident.Open{Severity: procedure.Critical, What: "seen a week later", Campaign: "2026-01"})
	w.must(err)
	if opened.Response != campaign.RecordOnly || len(w.holdsNow()) != 0 {
		t.Errorf("opened %+v", opened)
	}
	for name, ask := range map[string]incident.Open{
		"severity": {What: "x", Severity: "bad"}, "what": {Severity: procedure.Minor}, "campaign": {What: "x", Severity: procedure.Minor, Ring: "R0"},
		"owner": {What: "x", Severity: procedure.Minor, Owner: "Nobody Known"},
	} {
		if _, err := w.srv.Incidents.Open(t.Context(), "main", w.by, ask); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("%s: %v", name, err)
		}
	}
}
