package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/face/console/stories"
	"patchring/internal/service/personal"
)

// goodToken opens compta-07's page.
const goodToken = stories.Token

// pageLedger keeps what was asked on pages and about them.
type pageLedger struct {
	mu      sync.Mutex // guards the rest
	asked   []string
	refusal error
	logo    []byte
}

func (l *pageLedger) note(format string, args ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusal != nil {
		return l.refusal
	}
	l.asked = append(l.asked, fmt.Sprintf(format, args...))
	return nil
}

func (l *pageLedger) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) == 0 {
		return ""
	}
	return l.asked[len(l.asked)-1]
}

func (l *pageLedger) Open(_ context.Context, token string) (identity.Page, error) {
	switch token {
	case goodToken:
		return identity.Page{Device: identity.Device{Tenant: "main", ID: "d-compta-07"}}, nil
	case "old":
		return identity.Page{}, fault.New(fault.LinkExpired, "at", "2026-01-01T00:00:00Z")
	}
	return identity.Page{}, fault.New(fault.LinkInvalid)
}

func (l *pageLedger) Postpone(_ context.Context, p identity.Page, ask personal.Later) error {
	return l.note("later %s %s %s", p.ID, ask.Order, ask.Choice)
}

func (l *pageLedger) Say(_ context.Context, p identity.Page, f personal.Feedback) error {
	return l.note("say %s %s %s %s %q", p.ID, f.Campaign, f.Patch, f.Says, f.Words)
}

func (l *pageLedger) Logo(context.Context, fleet.TenantID) ([]byte, error) { return l.logo, nil }

func (l *pageLedger) Close(_ context.Context, _ fleet.TenantID, by register.Actor, id, why string) error {
	return l.note("close %s %s %s", by, id, why)
}

func (l *pageLedger) Link(_ context.Context, _ fleet.TenantID, device fleet.DeviceID) (personal.Link, error) {
	return personal.Link{URL: "https://patchring.example/p/" + string(device), Expires: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}, nil
}

func (l *pageLedger) Revoke(_ context.Context, _ fleet.TenantID, by register.Actor, device fleet.DeviceID, why string) error {
	return l.note("revoke %s %s %s", by, device, why)
}

func (l *pageLedger) SetLogo(_ context.Context, _ fleet.TenantID, by register.Actor, file []byte) error {
	return l.note("logo %s %d", by, len(file))
}

func (l *pageLedger) RemoveLogo(_ context.Context, _ fleet.TenantID, by register.Actor) error {
	return l.note("no logo %s", by)
}

func TestADevicesPageNeedsNoLoginAndNoScript(t *testing.T) {
	w := newWorld(t)
	v := w.visitor(t)
	for l, want := range map[string]string{"fr": "Reporter", "en": "Postpone"} {
		got := v.get("/p/"+goodToken, "Accept-Language", l)
		if got.status != http.StatusOK || !strings.Contains(got.body, want) || !strings.Contains(got.body, `<html lang="`+l+`"`) {
			t.Errorf("%s: status %d, want a page that says %q", l, got.status, want)
		}
		if strings.Contains(got.body, "/p//") || strings.Contains(got.body, `href="/devices`) {
			t.Errorf("%s: it leads into the console", l)
		}
		if got.header.Get("X-Robots-Tag") == "" || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: headers %v", l, got.header)
		}
	}
	got := v.post("/p/"+goodToken+"/later", "order", "o-1", "choice", "1h")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/p/"+goodToken+"?done=later" || w.pages.last() != "later d-compta-07 o-1 1h" {
		t.Fatalf("status %d to %s, asked %q", got.status, got.header.Get("Location"), w.pages.last())
	}
	v.post("/p/"+goodToken+"/feedback", "campaign", "c-0", "patch", "p-ssl", "says", "broken", "words", "plus de son")
	if want := `say d-compta-07 c-0 p-ssl broken "plus de son"`; w.pages.last() != want {
		t.Errorf("asked %q, want %q", w.pages.last(), want)
	}
	if got := v.get("/p/"+goodToken+"?done=later", "Accept-Language", "fr"); !strings.Contains(got.body, "est prévenu") {
		t.Error("it does not say that it is noted")
	}
	if got := v.get("/p/"+goodToken+"?done=%3Cscript%3E", "Accept-Language", "fr"); strings.Contains(got.body, "script>alert") || strings.Contains(got.body, "done_") {
		t.Error("it says what the address says")
	}
}

func TestADevicesPageSaysWhyNotAndKeepsTheWords(t *testing.T) {
	w := newWorld(t)
	v := w.visitor(t)
	w.pages.refusal = fault.New(fault.InvalidField, "field", "words", "problem", "too_long", "fix", "≤ 1000")
	got := v.post("/p/"+goodToken+"/feedback", "campaign", "c-0", "says", "broken", "words", "l'imprimante <b>")
	if got.status != http.StatusBadRequest || !strings.Contains(got.body, "imprimante &lt;b&gt;</textarea>") || !strings.Contains(got.body, `role="alert"`) {
		t.Errorf("status %d, want the page with the words and the refusal", got.status)
	}
}

func TestABadLinkOpensNothing(t *testing.T) {
	w := newWorld(t)
	v := w.visitor(t)
	for _, path := range []string{"/p/old", "/p/other", "/p/", "/p/other/logo", "/p/a/b/c"} {
		if got := v.get(path, "Accept-Language", "en"); got.status != http.StatusNotFound || !strings.Contains(got.body, "opens nothing") {
			t.Errorf("%s: status %d, want not found", path, got.status)
		}
	}
	if got := v.post("/p/other/later", "order", "o", "choice", "1h"); got.status != http.StatusNotFound || w.pages.last() != "" {
		t.Errorf("status %d, asked %q", got.status, w.pages.last())
	}
	if got := v.get("/p/" + goodToken + "/logo"); got.status != http.StatusNotFound {
		t.Errorf("a logo that is not there: status %d", got.status)
	}
	w.pages.logo = []byte("\x89PNG")
	if got := v.get("/p/" + goodToken + "/logo"); got.status != http.StatusOK || got.header.Get("Content-Type") != "image/png" {
		t.Errorf("the logo: status %d, %v", got.status, got.header)
	}
}

func TestADevicesPageIsNotUsedFromElsewhereNorTooOften(t *testing.T) {
	w := newWorld(t)
	v := w.visitor(t)
	r, err := http.NewRequest(http.MethodPost, w.URL+"/p/"+goodToken+"/later", strings.NewReader("order=o-1&choice=1h"))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.send(r, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site", "Origin", "https://elsewhere.example"); got.status != http.StatusForbidden {
		t.Errorf("from another site: status %d, want forbidden", got.status)
	}
	refused := false
	for range actsAMinute + 1 {
		refused = v.post("/p/"+goodToken+"/later", "order", "o-1", "choice", "1h").status == http.StatusTooManyRequests
	}
	if !refused {
		t.Errorf("more than %d acts a minute are taken", actsAMinute)
	}
	if got := v.get("/p/" + goodToken); got.status != http.StatusOK {
		t.Errorf("and then it cannot be looked at: status %d", got.status)
	}
}

func TestOperatorsPrintRevokeAndDealWithFeedback(t *testing.T) {
	w := newWorld(t)
	op := w.as(t, "exploitation")
	if got := op.get("/devices/d-compta-07/page"); got.status != http.StatusOK || !strings.Contains(got.body, `class="qr"`) || !strings.Contains(got.body, "https://patchring.example/p/") {
		t.Errorf("status %d, want the link and its code", got.status)
	}
	for path, want := range map[string]string{
		"/devices/d-compta-07/page/revoke": "revoke user:exploitation d-compta-07 perdu",
		"/feedback/f-1/close":              "close user:exploitation f-1 perdu",
	} {
		if got := op.get(path); got.status != http.StatusOK {
			t.Errorf("%s: status %d", path, got.status)
		}
		if got := op.post(path, "reason", "perdu"); got.status != http.StatusSeeOther || w.pages.last() != want {
			t.Errorf("%s: status %d, asked %q, want %q", path, got.status, w.pages.last(), want)
		}
	}
	if got := op.get("/feedback?which=all"); !strings.Contains(got.body, "reçu") {
		t.Error("the list does not say what people said")
	}
	guest := w.as(t, "audit")
	if got := guest.get("/devices/d-compta-07/page"); got.status != http.StatusForbidden {
		t.Errorf("who may only look gets a link: status %d", got.status)
	}
	if got := guest.post("/policy/logo/remove"); got.status != http.StatusForbidden {
		t.Errorf("who may only look removes the logo: status %d", got.status)
	}
}
