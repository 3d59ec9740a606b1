package console

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/readiness"
	"patchring/internal/core/register"
	"patchring/internal/service/desk"
)

func TestAFreezeIsPlacedAndEndedOnTheCalendar(t *testing.T) {
	w, rules := ruled(t)
	v := w.as(t, "exploitation")
	if got := v.get("/calendar"); got.status != http.StatusOK || !strings.Contains(got.body, "No freeze in these months") || !strings.Contains(got.body, "/freezes/new") {
		t.Fatalf("the calendar: status %d", got.status)
	}
	if got := v.get("/freezes/new"); got.status != http.StatusOK || !strings.Contains(got.body, "Europe/Paris") {
		t.Errorf("the form: status %d", got.status)
	}
	if got := v.post("/freezes/new", "to", "2026-01-01", "reason", "storm"); got.status != http.StatusUnprocessableEntity && got.status != http.StatusBadRequest {
		t.Errorf("an end that is past: status %d", got.status)
	}
	got := v.post("/freezes/new", "name", "storm", "to", "2026-01-31", "at", "07:00", "reason", "the power is failing", "back", "/calendar")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/calendar" {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	list, err := rules.Freezes(t.Context(), "main", false)
	if err != nil || len(list) != 1 || list[0].By != "user:exploitation" || list[0].Until.Hour() != 7 {
		t.Fatalf("freezes %+v, %v", list, err)
	}
	shown := v.get("/calendar")
	for _, want := range []string{"The freeze is placed", "<b>storm</b>", "the power is failing", "by hand", "/freezes/storm/end", "Freeze storm"} {
		if !strings.Contains(shown.body, want) {
			t.Errorf("the calendar does not say %q", want)
		}
	}
	reader := w.as(t, "audit")
	if got := reader.get("/calendar"); strings.Contains(got.body, "/freezes/") {
		t.Error("who only looks is offered a freeze")
	}
	for _, path := range []string{"/freezes/new", "/freezes/storm/end", "/readiness/tasks?kind=disk"} {
		if got := reader.get(path); got.status != http.StatusForbidden {
			t.Errorf("who only looks gets %s: %d", path, got.status)
		}
	}
	if got := v.post("/freezes/storm/end", "reason", "repaired"); got.status != http.StatusSeeOther {
		t.Errorf("ended: status %d", got.status)
	}
	if list, err := rules.Freezes(t.Context(), "main", false); err != nil || len(list) != 0 {
		t.Errorf("after its end: %+v, %v", list, err)
	}
}

func TestThePolicyPageShowsWhatIsOverTheTenant(t *testing.T) {
	w, rules := ruled(t)
	v := w.as(t, "audit")
	if got := v.get("/policy"); strings.Contains(got.body, `id="for-all"`) {
		t.Error("a policy for all is shown where there is none")
	}
	text := strings.Replace(firstPolicy, "policy: parc", "policy: msp", 1)
	if _, err := rules.ApplyForAll(t.Context(), register.User("infogerance"), "msp.yaml", []byte(text)); err != nil {
		t.Fatal(err)
	}
	got := v.get("/policy")
	for _, want := range []string{`id="for-all"`, "Of the provider, for all tenants", "Put in force by infogerance", "<b>securite</b>", "policy: msp"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the policy page does not say %q", want)
		}
	}
}

func TestFindingsBecomeTasks(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	page := v.get("/readiness")
	if page.status != http.StatusOK || !strings.Contains(page.body, `action="/readiness/tasks"`) || !strings.Contains(page.body, `name="only"`) {
		t.Fatalf("the page offers no tasks: %d", page.status)
	}
	if got := v.get("/readiness/tasks?kind=disk"); got.status != http.StatusOK || !strings.Contains(got.body, "Every finding of the list") {
		t.Errorf("nothing is ticked: status %d", got.status)
	}
	if got := v.get("/readiness/tasks?only=nonsense"); got.status != http.StatusBadRequest && got.status != http.StatusUnprocessableEntity {
		t.Errorf("nonsense: status %d", got.status)
	}
	if got := v.get("/readiness/tasks?only=d1/disk&only=d2/silent"); got.status != http.StatusOK || !strings.Contains(got.body, "2 findings") || !strings.Contains(got.body, `value="d1/disk d2/silent"`) {
		t.Errorf("the form: status %d", got.status)
	}
	got := v.post("/readiness/tasks", "only", "d1/disk d2/silent", "owner", "it", "due", "2026-01-31", "campaign", "2026-02", "back", "/readiness")
	if got.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	want := desk.OpenFindings{Campaign: "2026-02", Owner: "it", Due: "2026-01-31", Only: []desk.FindingOn{{Device: "d1", Kind: readiness.Disk}, {Device: "d2", Kind: readiness.Silent}}}
	if diff := cmp.Diff(any(want), w.acts.last(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := v.get("/readiness"); !strings.Contains(got.body, "Tasks opened: 2; open already: 1") {
		t.Error("the page does not tell what was done")
	}
	if got := w.as(t, "audit").get("/readiness"); strings.Contains(got.body, `name="only"`) {
		t.Error("who only looks is offered tasks")
	}
}
