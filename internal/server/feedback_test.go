package server_test

import (
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	core "patchring/internal/core/incident"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/infra/view"
	"patchring/internal/service/incident"
	"patchring/internal/service/personal"
)

func (w *world) complains(d *fakeDevice, c campaign.ID, about patch.ID, words string) {
	w.t.Helper()
	w.says(d, personal.Feedback{Campaign: string(c), Patch: about, Says: personal.Broken, Words: words})
}

// says is what a user says of an update on the device's own page.
func (w *world) says(d *fakeDevice, f personal.Feedback) {
	w.t.Helper()
	page := identity.Page{Device: identity.Device{Tenant: "main", ID: d.id}}
	w.must(w.srv.Personal.Say(w.t.Context(), page, f))
}

// said is a world in which two pilots have a campaign's patches, and its
// procedure answers feedback so.
func (w *world) said(t *testing.T, answer string) (one, two *fakeDevice, c campaign.ID) {
	t.Helper()
	one = w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	two = w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	c = w.campaignBy(t, procedureText+"on_feedback: "+answer+"\n", "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	return one, two, c
}

func TestBrokenFeedbackMakesOneIncidentOfAPatch(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		one, two, c := w.said(t, "incident")
		nginx := w.patchID("nginx", "2")
		w.probeSays(one, "intranet", "down")
		w.complains(one, c, nginx, "the proxy asks for a password")
		w.complains(two, c, nginx, "me too")
		w.complains(two, c, w.patchID("openssl", "2"), "another thing")
		list, err := w.srv.View.Incidents(t.Context(), "main", view.IncidentQuery{Campaign: string(c)})
		w.must(err)
		if len(list.Rows) != 2 {
			t.Fatalf("%d incidents, want one for each patch", len(list.Rows))
		}
		first := w.incident(list.Rows[1].ID)
		if first.Severity != procedure.Minor || first.Origin != core.Feedback || first.Devices != 2 || first.Title != "the proxy asks for a password" || len(first.Notes) != 1 || first.Notes[0].Text != "me too" {
			t.Errorf("the first is %+v", first)
		}
		said, err := w.srv.View.Feedback(t.Context(), "main", view.FeedbackQuery{Device: one.id})
		w.must(err)
		detail, err := w.srv.View.FeedbackDetail(t.Context(), "main", said.Rows[0].ID)
		w.must(err)
		d := detail.Diagnosis
		if d == nil || len(d.Patches) != 2 || d.Patches[0].State != string(patch.Verified) || len(d.Patches[0].Packages) == 0 || len(d.Events) == 0 || len(d.Events) > core.MostEvents {
			t.Fatalf("known of the device: %+v", d)
		}
		if len(d.Probes) != 1 || d.Probes[0].Name != "intranet" || d.Probes[0].State != "down" || d.Sample != nil {
			t.Errorf("probes %+v, sample %+v", d.Probes, d.Sample)
		}
		if detail.Incident == nil || detail.Incident.ID != first.ID {
			t.Errorf("its incident is %+v, want %s", detail.Incident, first.ID)
		}
		w.must(w.srv.Incidents.Do(t.Context(), "main", w.by, incident.Do{Incident: first.ID, Say: core.Say{Act: core.Close, Cause: "the proxy", Correction: "put back"}}))
		w.complains(one, c, nginx, "it is back")
		list, err = w.srv.View.Incidents(t.Context(), "main", view.IncidentQuery{Which: "all"})
		w.must(err)
		if len(list.Rows) != 3 {
			t.Errorf("%d incidents after it was said again, want another one", len(list.Rows))
		}
		w.verifyRegister()
	})
}

func TestBrokenFeedbackMakesOneTaskOrNothing(t *testing.T) {
	for answer, want := range map[string]int{"task": 1, "none": 0} {
		w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
		one, two, c := w.said(t, answer)
		for _, d := range []*fakeDevice{one, two} {
			w.complains(d, c, w.patchID("nginx", "2"), "the proxy asks for a password")
		}
		tasks, err := w.srv.View.Tasks(t.Context(), "main", view.TaskQuery{Campaign: string(c)})
		w.must(err)
		if len(tasks.Rows) != want || len(w.entries(register.IncidentOpened)) != 0 {
			t.Errorf("%s: %d tasks and %d incidents", answer, len(tasks.Rows), len(w.entries(register.IncidentOpened)))
		}
		if want == 1 && (tasks.Rows[0].Owner != "operator" || tasks.Rows[0].Title != "the proxy asks for a password" || tasks.Rows[0].Ring != "") {
			t.Errorf("the task is %+v", tasks.Rows[0])
		}
	}
}
