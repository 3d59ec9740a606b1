package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/face/console/stories"
)

func TestAnEmergencyIsAskedFor(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	if got := w.as(t, "audit").get("/campaigns/emergency"); got.status != http.StatusForbidden {
		t.Errorf("a reader's form: %d", got.status)
	}
	form := v.get("/campaigns/emergency")
	for _, want := range []string{`name="cve"`, `name="patches"`, `name="when"`, `name="freeze"`, `name="reason"`} {
		if !strings.Contains(form.body, want) {
			t.Errorf("the form lacks %s", want)
		}
	}
	if got := v.post("/campaigns/emergency", "cve", "CVE-2026-1", "when", "soon", "reason", "r"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a length that is none: %d", got.status)
	}
	got := v.post("/campaigns/emergency", "cve", " CVE-2026-1 ", "when", "12h0m0s", "freeze", "1", "reason", "exploited")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/campaigns/c-emergency" {
		t.Errorf("answer %d, to %s", got.status, got.header.Get("Location"))
	}
	ask := w.acts.last(t).(campaign.StartEmergency)
	if ask.CVE != "CVE-2026-1" || !ask.ThroughFreeze || len(ask.Windows) != 1 || ask.Windows[0].Length() != 12*time.Hour || !ask.Windows[0].Start.Equal(stories.Now) {
		t.Errorf("asked %+v", ask)
	}
	missed := v.get("/campaigns/emergency?missed=c1")
	if !strings.Contains(missed.body, `name="missed" value="c1"`) || strings.Contains(missed.body, `name="cve"`) {
		t.Errorf("the form about what a campaign missed asks for more")
	}
	v.post("/campaigns/emergency", "missed", "c1", "reason", "late", "procedure", "postes-france")
	if ask := w.acts.last(t).(campaign.StartEmergency); ask.Missed != "c1" || ask.Procedure != "postes-france" || len(ask.Windows) > 0 || ask.ThroughFreeze {
		t.Errorf("asked %+v", ask)
	}
	v.post("/campaigns/emergency", "patches", "openssl 3\n\nnginx\n", "reason", "r")
	if ask := w.acts.last(t).(campaign.StartEmergency); len(ask.Patches) != 2 {
		t.Errorf("asked for patches %v", ask.Patches)
	}
	v.post("/campaigns/emergency", "patch", "p-openssl", "reason", "r")
	if ask := w.acts.last(t).(campaign.StartEmergency); len(ask.Patches) != 1 || ask.Patches[0] != "p-openssl" {
		t.Errorf("asked for patches %v", ask.Patches)
	}
}

func TestTheStartOfAnEmergencyIsSigned(t *testing.T) {
	w := newWorld(t)
	w.reader.set(stories.EmergencyBoard())
	v := w.as(t, "exploitation")
	if got := v.get("/campaigns/c-emergency/approve?role=security"); got.status != http.StatusForbidden {
		t.Errorf("without the role: %d", got.status)
	}
	if page := v.get("/campaigns/c-emergency"); !strings.Contains(page.body, "/campaigns/c-emergency/approve?role=it") {
		t.Errorf("the board offers no sign-off")
	}
	if got := v.get("/campaigns/c-emergency/approve?role=it"); got.status != http.StatusOK || !strings.Contains(got.body, `name="decision"`) {
		t.Errorf("the form: %d", got.status)
	}
	if got := v.post("/campaigns/c-emergency/approve", "role", "security", "decision", "yes"); got.status != http.StatusForbidden {
		t.Errorf("a word for another role: %d", got.status)
	}
	if got := v.post("/campaigns/c-emergency/approve", "role", "it", "decision", "yes", "comment", "go"); got.status != http.StatusSeeOther {
		t.Errorf("a yes: %d", got.status)
	}
	if sign := w.acts.last(t).(campaign.Sign); sign.Campaign != "c-emergency" || sign.Role != "it" || !sign.Yes || sign.Comment != "go" {
		t.Errorf("signed %+v", sign)
	}
}
