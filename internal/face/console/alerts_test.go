package console

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/face/console/stories"
	"patchring/internal/infra/view"
	"patchring/internal/service/herald"
	"patchring/internal/service/watch"
)

// sentry tells the stories of alerts, and keeps what is done about them.
type sentry struct {
	mu     sync.Mutex // guards all below
	did    []string
	asked  view.AlertQuery
	quiet  bool // nothing fires
	refuse *fault.Reason

	version int64 // of the rules in force
}

func (s *sentry) note(words ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, strings.Join(words, " "))
}

func (s *sentry) done() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.did, "\n")
}

func (s *sentry) still() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = true
}

func (s *sentry) Alerts(_ context.Context, _ fleet.TenantID, q view.AlertQuery) (view.AlertPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = q
	if s.quiet {
		return view.AlertPage{}, nil
	}
	return view.AlertPage{Rows: stories.AlertRows()}, nil
}

func (s *sentry) Alert(_ context.Context, _ fleet.TenantID, id string) (view.AlertRow, error) {
	for _, a := range stories.AlertRows() {
		if a.ID == id || id == "c1" {
			return a, nil
		}
	}
	return view.AlertRow{}, fault.New(fault.NotFound, "what", "alert", "name", id)
}

func (s *sentry) AlertCount(context.Context, fleet.TenantID) (view.AlertCount, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet {
		return view.AlertCount{}, nil
	}
	return view.AlertCount{Firing: 3, Critical: 1}, nil
}

func (s *sentry) Silences(context.Context, fleet.TenantID) ([]view.SilenceRow, error) {
	return stories.Alerts().Silences, nil
}

func (s *sentry) Deliveries(context.Context, fleet.TenantID, view.DeliveryQuery) (view.Page[view.DeliveryRow], error) {
	return view.Page[view.DeliveryRow]{Rows: stories.Alerts().Dead}, nil
}

func (s *sentry) Acknowledge(_ context.Context, _ fleet.TenantID, by register.Actor, id, why string) error {
	s.note("acknowledge", string(by), id, why)
	return nil
}

func (s *sentry) Silence(_ context.Context, _ fleet.TenantID, _ register.Actor, ask watch.Silence) (string, error) {
	s.note("silence", ask.Alert, ask.Until.Sub(stories.Now).String(), ask.Reason)
	return "s", nil
}

func (s *sentry) EndSilence(_ context.Context, _ fleet.TenantID, _ register.Actor, id string) error {
	s.note("end", id)
	return nil
}

func (s *sentry) Act(_ context.Context, _ fleet.TenantID, _ register.Actor, ask watch.Act) error {
	s.note("act", ask.Alert, string(ask.Do), string(ask.Severity), ask.Reason, ask.Now.String())
	return nil
}

func (s *sentry) Check(file string, text []byte) (watch.CheckedBook, error) {
	b, err := alert.Parse(file, text)
	return watch.CheckedBook{Name: b.Name}, err
}

func (s *sentry) Diff(_ context.Context, _ fleet.TenantID, file string, text []byte) (watch.BookDiff, error) {
	b, err := alert.Parse(file, text)
	if err != nil {
		return watch.BookDiff{}, err
	}
	before, err := alert.Parse(file, []byte(stories.AlertRules().Text))
	s.mu.Lock()
	defer s.mu.Unlock()
	return watch.BookDiff{Changes: alert.Compare(before, b), InForce: before.Name, Version: s.version, Unchanged: string(text) == stories.AlertRules().Text}, err
}

func (s *sentry) Apply(_ context.Context, _ fleet.TenantID, _ register.Actor, file string, text []byte) (watch.AppliedBook, error) {
	checked, err := s.Check(file, text)
	if err == nil {
		s.note("apply", checked.Name)
	}
	return watch.AppliedBook{CheckedBook: checked, Version: 2}, err
}

func (s *sentry) Show(context.Context, fleet.TenantID, int64) (watch.BookVersion, error) {
	return watch.BookVersion{Name: "default", Body: stories.AlertRules().Text}, nil
}

func (s *sentry) Versions(context.Context, fleet.TenantID) ([]watch.BookVersion, error) {
	return nil, nil
}

func (s *sentry) Test(_ context.Context, _ fleet.TenantID, output string) (herald.Tested, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return herald.Tested{Output: output, Way: alert.Mail, Where: "ops@example.org", OK: s.refuse == nil, Cause: s.refuse}, nil
}

func (s *sentry) Revive(_ context.Context, _ fleet.TenantID, id string) error {
	s.note("revive", id)
	return nil
}

func (s *sentry) Dismiss(_ context.Context, _ fleet.TenantID, id string) error {
	s.note("dismiss", id)
	return nil
}

func (s *sentry) Links(context.Context, fleet.TenantID) ([]herald.FeedLink, error) {
	return []herald.FeedLink{{ID: "f1", Kind: herald.CalendarFeed, Name: "Outlook", Path: "/feeds/AbC.ics"}}, nil
}

func (s *sentry) MakeLink(_ context.Context, _ fleet.TenantID, _ register.Actor, ask herald.MakeLink) (herald.FeedLink, error) {
	s.note("make", string(ask.Kind), ask.Name, ask.Lang)
	return herald.FeedLink{}, nil
}

func (s *sentry) RevokeLink(_ context.Context, _ fleet.TenantID, _ register.Actor, id string) error {
	s.note("revoke", id)
	return nil
}

func TestAlertsAreActedOnFromTheirPages(t *testing.T) {
	w := newWorld(t)
	b := w.as(t, "exploitation")
	for _, c := range []struct {
		path string
		form []string
		want string
	}{
		{"/alerts/al-1/acknowledge", []string{"reason", "je regarde"}, "acknowledge user:exploitation al-1 je regarde"},
		{"/alerts/al-1/silence", []string{"for", "2h0m0s", "reason", "travaux"}, "silence al-1 2h0m0s travaux"},
		{"/alerts/al-1/act", []string{"do", "incident", "severity", "critical", "reason", "la paie est arrêtée"}, "act al-1 incident critical la paie est arrêtée 0s"},
		{"/alerts/al-1/act", []string{"do", "roll_back", "when", "4h", "reason", "tout de suite"}, "act al-1 roll_back  tout de suite 4h0m0s"},
		{"/alert-silences/s1/end", nil, "end s1"}, {"/alert-deliveries/l1/retry", nil, "revive l1"}, {"/alert-deliveries/l1/dismiss", nil, "dismiss l1"},
		{"/alerts/feeds/new", []string{"kind", "calendar", "name", "Outlook"}, "make calendar Outlook"},
		{"/alerts/feeds/f1/revoke", nil, "revoke f1"},
	} {
		if status := b.get(c.path).status; status != http.StatusOK {
			t.Errorf("the form of %s: %d", c.path, status)
		}
		if status := b.post(c.path, c.form...).status; status != http.StatusSeeOther || !strings.Contains(w.alerts.done(), c.want) {
			t.Errorf("%s: %d, did\n%s", c.path, status, w.alerts.done())
		}
	}
	if status := b.post("/alerts/al-1/act", "do", "roll_back", "when", "soon", "reason", "x").status; status != http.StatusUnprocessableEntity {
		t.Errorf("a rollback at no time: %d", status)
	}
	if status := b.get("/alerts/al-3/act").status; status == http.StatusOK {
		t.Error("an alert of no campaign offers acts on one")
	}
	if status := b.get("/alerts/nothing").status; status != http.StatusNotFound {
		t.Errorf("an alert that is not there: %d", status)
	}
}

func TestTheListOfAlertsAsksForWhatItsAddressSays(t *testing.T) {
	w := newWorld(t)
	b := w.as(t, "exploitation")
	body := b.get("/alerts?which=resolved&severity=critical&device=d1&campaign=c1&rule=cpu&after=x").body
	want := view.AlertQuery{Which: "resolved", Severity: "critical", Device: "d1", Campaign: "c1", Rule: "cpu", Paging: view.Paging{Cursor: "x"}}
	if w.alerts.asked != want {
		t.Errorf("asked %+v", w.alerts.asked)
	}
	for _, said := range []string{"srv-paie", `id="nav-alerts"`, "astreinte", "intranet, paie", "/alerts/live?"} {
		if !strings.Contains(body, said) {
			t.Errorf("the page does not say %q", said)
		}
	}
}

func TestRulesOfAlertsAreCheckedAndApplied(t *testing.T) {
	w := newWorld(t)
	b := w.as(t, "exploitation")
	text := stories.AlertRules().Text
	if a := b.post("/alerts/rules", "do", "check", "text", "alerts: x\r\n"); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "language") {
		t.Errorf("a wrong text: %d", a.status)
	}
	if a := b.post("/alerts/rules", "do", "check", "text", text); a.status != http.StatusOK || w.alerts.done() != "" {
		t.Errorf("a check: %d, did %s", a.status, w.alerts.done())
	}
	if a := b.post("/alerts/rules", "do", "dance", "text", text); a.status != http.StatusBadRequest || w.alerts.done() != "" {
		t.Errorf("a button that is not there: %d, did %s", a.status, w.alerts.done())
	}
	// The text in force changes nothing, and nothing is asked.
	if a := b.post("/alerts/rules", "do", "apply", "text", text); a.status != http.StatusSeeOther || w.alerts.done() != "apply parc" {
		t.Errorf("applied: %d, did %s", a.status, w.alerts.done())
	}
	why := fault.Because(fault.OutputFailed, "step", "connect", "said", "connection refused")
	w.alerts.refuse = &why
	if a := b.post("/alerts/outputs/exploitation/test"); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "connection refused") {
		t.Errorf("a test that fails: %d", a.status)
	}
	w.alerts.refuse = nil
	if a := b.post("/alerts/outputs/exploitation/test"); a.status != http.StatusSeeOther {
		t.Errorf("a test that arrives: %d", a.status)
	}
}

func TestRulesOfAlertsAreInForceOnceWhatTheyChangeWasSeen(t *testing.T) {
	w := newWorld(t)
	b := w.as(t, "exploitation")
	text := stories.AlertRulesConfirm().Text
	// A browser's line ends.
	sent := strings.ReplaceAll(text, "\n", "\r\n")
	if a := b.post("/alerts/rules", "do", "diff", "text", sent); a.status != http.StatusOK || len(confirmation(a)) != 0 || !strings.Contains(a.body, `id="diff"`) {
		t.Errorf("compared: %d", a.status)
	}
	asked := b.post("/alerts/rules", "do", "apply", "text", sent)
	yes := confirmation(asked)
	if asked.status != http.StatusOK || len(yes) != 4 {
		t.Fatalf("asked: %d, %q", asked.status, yes)
	}
	for _, said := range []string{"added", "removed", "astreinte@exemple.fr", `id="acting"`, "Stop the installs that remain on this device"} {
		if !strings.Contains(asked.body, said) {
			t.Errorf("the question does not say %q", said)
		}
	}
	confirm := func(text string) answer {
		return b.post("/alerts/rules", append([]string{"do", "confirm", "text", text}, yes...)...)
	}
	if a := confirm(sent + "# more\r\n"); a.status != http.StatusOK || len(confirmation(a)) != 4 {
		t.Errorf("another text: %d", a.status)
	}
	w.alerts.version = 1 // somebody else was quicker
	if a := confirm(sent); a.status != http.StatusOK || len(confirmation(a)) != 4 {
		t.Errorf("another version: %d", a.status)
	}
	w.alerts.version = 0
	if did := w.alerts.done(); did != "" {
		t.Fatalf("in force before anybody said yes: %s", did)
	}
	if a := confirm(sent); a.status != http.StatusSeeOther || a.header.Get("Location") != "/alerts/rules" || w.alerts.done() != "apply parc" {
		t.Errorf("confirmed: %d, did %s", a.status, w.alerts.done())
	}
}

func TestTheListOfAlertsIsLive(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	messages := w.as(t, "exploitation").listen(ctx, "/alerts/live")
	first := next(t, messages)
	for _, id := range alertParts() {
		if !strings.Contains(first, `hx-target="#`+id+`"`) {
			t.Errorf("the first message lacks %s", id)
		}
	}
	w.alerts.still()
	w.beat <- struct{}{}
	second := next(t, messages)
	if !strings.Contains(second, `hx-target="#alerts-list"`) || !strings.Contains(second, `hx-target="#nav-alerts"`) || strings.Contains(second, `hx-target="#alerts-dead"`) {
		t.Errorf("the second message is %.300s", second)
	}
}
