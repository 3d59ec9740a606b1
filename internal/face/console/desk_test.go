package console

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/task"
	"patchring/internal/face/console/page"
	"patchring/internal/service/desk"
)

func TestAnExceptionIsGrantedAndEnded(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	form := v.get("/exceptions/new?device=d-compta-02")
	if form.status != http.StatusOK || !strings.Contains(form.body, "Europe/Paris") || strings.Contains(form.body, `name="group"`) {
		t.Errorf("status %d: the form of a device must name the zone and ask for no group", form.status)
	}
	sent := []string{"patch", "openssl", "scope", "name", "group", "kiosks", "owner", "it", "reason", "breaks the till", "control", "filtered", "until", "2026-03-31", "remind", "7", "back", "/exceptions"}
	if got := v.post("/exceptions/new", sent...); got.status != http.StatusSeeOther || got.header.Get("Location") != "/exceptions" {
		t.Fatalf("status %d to %q: %s", got.status, got.header.Get("Location"), got.body)
	}
	want := desk.Grant{Group: "kiosks", Patch: "id-of-openssl", Every: true, Owner: "it", Reason: "breaks the till", Control: "filtered", Until: "2026-03-31", Remind: 7}
	if diff := cmp.Diff(any(want), w.acts.last(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := v.get("/exceptions"); !strings.Contains(got.body, "The exception is in force") {
		t.Error("the page does not tell that it is done")
	}
	if got := v.post("/exceptions/e-1/end", "reason", ""); got.status != http.StatusBadRequest && got.status != http.StatusUnprocessableEntity {
		t.Errorf("ended without a reason: %d", got.status)
	}
	if got := v.post("/exceptions/e-1/end", "reason", "scrapped"); got.status != http.StatusSeeOther || w.acts.last(t) != any("e-1") {
		t.Errorf("status %d, asked %v", got.status, w.acts.last(t))
	}
	reader := w.as(t, "audit")
	for _, path := range []string{"/exceptions/new", "/exceptions/e-1/end", "/tasks/new", "/tasks/t-1/reopen", "/tasks/t-1/close"} {
		if got := reader.get(path); got.status != http.StatusForbidden {
			t.Errorf("a reader gets %s: %d", path, got.status)
		}
	}
	if got := reader.get("/exceptions"); strings.Contains(got.body, "/exceptions/new") || strings.Contains(got.body, "/end\"") {
		t.Error("a reader is offered what it may not do")
	}
}

func TestATaskIsOpenedAndClosedOnAFile(t *testing.T) {
	w := newWorld(t)
	v := w.as(t, "exploitation")
	if got := v.get("/tasks/new?campaign=c1"); got.status != http.StatusOK || !strings.Contains(got.body, `name="ring"`) {
		t.Fatalf("the form of a campaign's task: %d", got.status)
	}
	got := v.post("/tasks/new", "title", "Look", "owner", "it", "due", "2026-03-29", "at", "18:30", "proof", "file", "campaign", "c1", "ring", "R1")
	if got.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	want := desk.Open{Title: "Look", Owner: "it", Due: "2026-03-29T18:30:00+02:00", Proof: task.File, Campaign: "c1", Ring: "R1"}
	if diff := cmp.Diff(any(want), w.acts.last(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := v.get("/tasks/any/close"); !strings.Contains(got.body, `enctype="multipart/form-data"`) || !strings.Contains(got.body, `type="file"`) {
		t.Error("the form has no place for a file")
	}
	if got := v.upload("/tasks/any/close", "", nil); got.status < 400 {
		t.Errorf("closed on no file: %d", got.status)
	}
	if got := v.upload("/tasks/any/close", "big.jpg", make([]byte, desk.MaxFile+maxForm)); got.status != http.StatusBadRequest {
		t.Errorf("a file that is too large: %d", got.status)
	}
	picture := bytes.Repeat([]byte{0xff, 0xd8}, desk.MaxFile/2)
	if got := v.upload("/tasks/any/close", "page.jpg", picture); got.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	shown, ok := w.acts.last(t).(desk.Show)
	if !ok || shown.Task != "any" || shown.Proof != task.File || shown.Name != "page.jpg" || !bytes.Equal(shown.File, picture) {
		t.Errorf("shown: %v %s %d bytes", shown.Proof, shown.Name, len(shown.File))
	}
	if got := v.post("/tasks/t-1/reopen", "reason", "another printer", "due", "2026-02-01"); got.status != http.StatusSeeOther {
		t.Errorf("reopen: %d", got.status)
	}
}

func TestAProofIsNothingThatABrowserRuns(t *testing.T) {
	v := newWorld(t).as(t, "audit")
	got := v.get("/tasks/t-1/proofs/f-1")
	for name, want := range map[string]string{
		"Content-Type": "application/octet-stream", "Content-Disposition": "attachment; filename=page.html",
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s %q, want %q", name, got.header.Get(name), want)
		}
	}
}

func TestListsOfTheDeskKeepTheirQuestionThroughPages(t *testing.T) {
	v := newWorld(t).as(t, "exploitation")
	for path, link := range map[string]string{
		"/tasks?which=overdue&mine=1&device=d1": "/tasks?after=t-4&amp;device=d1&amp;mine=1&amp;which=overdue",
		"/exceptions?which=expiring":            "/exceptions?after=e-3&amp;which=expiring",
	} {
		if got := v.get(path); !strings.Contains(got.body, `href="`+link+`"`) {
			t.Errorf("%s has no link %s", path, link)
		}
	}
	if page.TaskFilters[0] != "open" || page.ExceptionFilters[0] != "in_force" {
		t.Error("the first tab is not what is asked without one")
	}
}

// upload sends a form with a file.
func (v *visitor) upload(path, name string, content []byte) answer {
	v.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("proof", "file"); err != nil {
		v.t.Fatal(err)
	}
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		v.t.Fatal(err)
	}
	if _, err := part.Write(content); err != nil {
		v.t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		v.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, v.base+path, &body)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.send(r, "Content-Type", form.FormDataContentType(), "Origin", v.base)
}
