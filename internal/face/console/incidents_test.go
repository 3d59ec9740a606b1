package console

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	core "patchring/internal/core/incident"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/face/console/stories"
	"patchring/internal/service/checklist"
	"patchring/internal/service/incident"
)

// incidentLedger keeps what was asked of incidents.
type incidentLedger struct{ *ledger }

func (l incidentLedger) Open(_ context.Context, _ fleet.TenantID, by register.Actor, ask incident.Open) (incident.Opened, error) {
	return incident.Opened{ID: "i-9", Response: campaign.PlacesHold}, l.keep(by, ask.What, ask)
}

func (l incidentLedger) Do(_ context.Context, _ fleet.TenantID, by register.Actor, ask incident.Do) error {
	return l.keep(by, ask.Text+ask.Cause+ask.Correction, ask)
}

// testLedger keeps what was ticked; its one test is of IT.
type testLedger struct{ *ledger }

func (l testLedger) Rule(_ context.Context, _ fleet.TenantID, _, _, test string) (procedure.TestRule, error) {
	if test == "gone" {
		return procedure.TestRule{}, fault.New(fault.NotFound, "what", "test", "name", test)
	}
	return procedure.TestRule{Name: test, Title: manifest.Text{FR: "Bureautique", EN: "Office"}, Items: []manifest.Text{{FR: "Ouvrir", EN: "Open"}, {FR: "Imprimer", EN: "Print"}}, Assigned: "it"}, nil
}

func (l testLedger) Tick(_ context.Context, _ fleet.TenantID, by register.Actor, ask checklist.Tick) (checklist.Ticked, error) {
	return checklist.Ticked{}, l.keep(by, "none needed", ask)
}

// ticketLedger keeps which tickets were tried again.
type ticketLedger struct{ *ledger }

func (l ticketLedger) Retry(_ context.Context, _ fleet.TenantID, id string) error {
	return l.keep("user:any", "none needed", "retry "+id)
}

func TestAnIncidentIsOpenedFromWhereItIsSeen(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	if got := v.get("/incidents/new?campaign=c1"); got.status != http.StatusOK || !strings.Contains(got.body, `name="ring"`) || !strings.Contains(got.body, `value="critical"`) {
		t.Errorf("the form of a campaign's incident: %d", got.status)
	}
	got := v.post("/incidents/new", "what", "it burns", "severity", "critical", "campaign", "c1", "ring", "R1", "device", "compta-02", "patch", "cups", "owner", "it", "back", "/campaigns/c1")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/campaigns/c1" {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	want := incident.Open{Severity: procedure.Critical, What: "it burns", Campaign: "c1", Ring: "R1", Patch: "id-of-cups", Owner: "it", Devices: []fleet.DeviceID{fleet.DeviceID(stories.Device().ID)}}
	if diff := cmp.Diff(any(want), w.acts.last(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := v.get("/incidents"); !strings.Contains(got.body, "holds") {
		t.Error("the page does not tell what the campaign did")
	}
	said := stories.Feedback().Rows[0]
	form := v.get("/incidents/new?feedback=" + said.ID)
	if form.status != http.StatusOK || strings.Contains(form.body, `name="device"`) {
		t.Errorf("the form of what somebody said: %d", form.status)
	}
	v.post("/incidents/new", "what", said.Words, "severity", "minor", "feedback", said.ID)
	ask, ok := w.acts.last(t).(incident.Open)
	if !ok || ask.Origin != core.Feedback || ask.OriginID != said.ID || ask.Campaign != said.Campaign || string(ask.Patch) != said.Patch || len(ask.Devices) != 1 || ask.Subject == "" {
		t.Errorf("of feedback: %+v", ask)
	}
	if got := v.get("/feedback/" + said.ID); got.status != http.StatusOK || !strings.Contains(got.body, "impression") {
		t.Errorf("what was known of the device: %d", got.status)
	}
}

func TestAnIncidentIsCorrectedClosedAndOpenedAgain(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	for path, want := range map[string]incident.Do{
		"/incidents/i-1/note":        {Incident: "i-1", Say: core.Say{Act: core.Note, Text: "more"}, Severity: procedure.Critical, Owner: "it"},
		"/incidents/i-1/correct":     {Incident: "i-1", Say: core.Say{Act: core.Correct, Cause: "driver", Correction: "put back"}},
		"/incidents/i-1/close":       {Incident: "i-1", Say: core.Say{Act: core.Close, Cause: "driver", Correction: "put back"}},
		"/incidents/i-closed/reopen": {Incident: "i-closed", Say: core.Say{Act: core.Reopen, Text: "it is back"}},
	} {
		if got := v.get(path); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
		got := v.post(path, "text", "more", "severity", "critical", "owner", "it", "cause", "driver", "correction", "put back", "reason", "it is back")
		if got.status != http.StatusSeeOther {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if diff := cmp.Diff(any(want), w.acts.last(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if got := v.get("/incidents/i-closed/close"); !strings.Contains(got.body, "Pilote remis en 2.1") {
		t.Error("what was written before is not in the form")
	}
	if got := v.post("/tickets/k-2/retry", "back", "/incidents/i-1"); got.status != http.StatusSeeOther || w.acts.last(t) != any("retry k-2") {
		t.Errorf("retry: %d, %v", got.status, w.acts.last(t))
	}
	reader := w.as(t, "audit")
	for _, path := range []string{"/incidents/new", "/incidents/i-1/close", "/incidents/i-1/note", "/tickets/k-2/retry", "/campaigns/c1/tick?ring=R0&test=bureautique&item=1"} {
		if got := reader.get(path); got.status != http.StatusForbidden {
			t.Errorf("a reader gets %s: %d", path, got.status)
		}
	}
	if got := reader.get("/incidents/i-1"); got.status != http.StatusOK || strings.Contains(got.body, "/incidents/i-1/close") {
		t.Error("a reader is offered what it may not do")
	}
}

func TestATesterTicksOnAPhone(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	page := v.get("/tests")
	if page.status != http.StatusOK || !strings.Contains(page.body, `name="ok" value="1"`) || !strings.Contains(page.body, `name="item" value="2"`) {
		t.Fatalf("the page has nothing to tick: %d", page.status)
	}
	got := v.post("/campaigns/c1/tick", "ring", "R0", "amendment", "", "test", "bureautique", "item", "2", "ok", "1", "back", "/tests")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/tests" {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	want := checklist.Tick{Campaign: "c1", Ring: "R0", Test: "bureautique", Item: 1, OK: true, Lang: "en"}
	if diff := cmp.Diff(any(want), w.acts.last(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	form := v.get("/campaigns/c1/tick?ring=R0&test=bureautique&item=2&back=%2Ftests")
	if !strings.Contains(form.body, `name="remark"`) || !strings.Contains(form.body, "Print") {
		t.Errorf("the form of a failure: %d", form.status)
	}
	v.post("/campaigns/c1/tick", "ring", "R0", "test", "bureautique", "item", "1", "remark", "nothing comes out", "severity", "major")
	want = checklist.Tick{Campaign: "c1", Ring: "R0", Test: "bureautique", Remark: "nothing comes out", Severity: procedure.Major, Lang: "en"}
	if diff := cmp.Diff(any(want), w.acts.last(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := v.get("/campaigns/c1/tick?ring=R0&test=gone&item=1"); got.status != http.StatusNotFound {
		t.Errorf("a test that is not there: %d", got.status)
	}
	if got := v.get("/campaigns/c1/tests"); got.status != http.StatusOK {
		t.Errorf("a campaign's tests: %d", got.status)
	}
}
