package herald_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/face/letter"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/herald"
	"patchring/internal/service/herald/heraldtest"
)

// site is a herald with a clock, a document and secrets of its own.
type site struct {
	t   *testing.T
	now time.Time
	*herald.Herald
	db      *store.DB
	book    alert.Book
	secrets string
}

func newSite(t *testing.T, db *store.DB, roots *x509.CertPool, outputs string) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 1, 12, 9, 0, 0, 0, time.UTC), db: db, secrets: t.TempDir()}
	var err error
	if s.book, err = alert.Parse("a", []byte("alerts: a\ntitle: A\nlanguage: fr\noutputs:\n"+outputs+"rules: []\n")); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(tx *store.Tx) error {
		for _, id := range []string{"main", "acme"} {
			if err := tx.AddTenant(t.Context(), gen.AddTenantParams{ID: id, Name: id, CreatedUs: 1}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.Herald = herald.New(herald.Options{
		DB: db, Clock: func() time.Time { return s.now }, Log: slog.New(slog.DiscardHandler), Secrets: s.secrets, Roots: roots, Host: "patchring.example.org",
		Book:  func(context.Context, fleet.TenantID) (alert.Book, error) { return s.book, nil },
		Write: letter.Writer{Base: func() string { return "https://patchring.example.org" }, Zone: time.UTC}.Write,
		Env: func(name string) (string, bool) {
			v := map[string]string{"PATCHRING_SECRET_N": "env-token"}[name]
			return v, v != ""
		},
		Key: identity.PageKey{1},
	})
	return s
}

func (s *site) secret(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.secrets, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// test sends a test, and says what came of it.
func (s *site) test(tenant fleet.TenantID, output string) (code fault.Code, step, said string) {
	s.t.Helper()
	got, err := s.Test(s.t.Context(), tenant, output)
	if err != nil {
		s.t.Fatal(err)
	}
	if got.OK != (got.Cause == nil) || got.Output != output || got.Where == "" {
		s.t.Errorf("tested %+v", got)
	}
	if got.Cause == nil {
		return "", "", ""
	}
	return got.Cause.Code, got.Cause.Args["step"] + got.Cause.Args["problem"], got.Cause.Args["said"]
}

// notice leaves something to be told, as the watch does.
func (s *site) notice(tenant, output string, m alert.Message) {
	s.t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.db.Write(s.t.Context(), func(tx *store.Tx) error {
		return tx.AddAlertNotice(s.t.Context(), gen.AddAlertNoticeParams{
			Tenant: tenant, ID: fmt.Sprint(s.now.UnixNano(), m.Alert), Output: output, Alert: m.Alert, Body: string(text), AtUs: s.now.UnixMicro(),
		})
	}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) after(d time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(d)
	for range 2 {
		if err := s.Step(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

const mailOutput = "  - {name: ops, mail: {server: '%s', tls: %s, from: p@example.org, to: [ops@example.org]%s}}\n"

func TestMailByStartTLSAndTLSWithALogin(t *testing.T) {
	for offer, word := range map[heraldtest.Offer]string{heraldtest.StartTLS: "starttls", heraldtest.Implicit: "tls"} {
		smtp := heraldtest.Start(t, offer, "s3cret-word")
		s := newSite(t, storetest.SQLite(t), smtp.Roots, fmt.Sprintf(mailOutput, smtp.Addr, word, ", username: patchring, password: file:smtp"))
		if code, problem, _ := s.test("main", "ops"); code != fault.SecretMissing || problem != "no_file" {
			t.Errorf("%s: without its secret: %s %s", offer, code, problem)
		}
		s.secret("smtp", "wrong-word")
		if code, _, said := s.test("main", "ops"); code != fault.OutputFailed || !strings.Contains(said, "535") || strings.Contains(said, "wrong-word") {
			t.Errorf("%s: with a wrong password: %s %s", offer, code, said)
		}
		s.secret("smtp", "s3cret-word")
		if code, step, said := s.test("main", "ops"); code != "" {
			t.Errorf("%s: %s %s %s", offer, code, step, said)
		}
		got := smtp.Taken()
		if len(got) != 1 || !got[0].TLS || got[0].User != "patchring" || got[0].From != "p@example.org" || got[0].Header("Auto-Submitted") != "auto-generated" {
			t.Errorf("%s: took %+v", offer, got)
		}
	}
}

func TestMailIsNotSentInClearNorToAnUntrustedServer(t *testing.T) {
	plain := heraldtest.Start(t, heraldtest.Plain, "")
	s := newSite(t, storetest.SQLite(t), plain.Roots, fmt.Sprintf(mailOutput, plain.Addr, "starttls", ""))
	if code, _, said := s.test("main", "ops"); code != fault.OutputFailed || len(plain.Taken()) != 0 {
		t.Errorf("a server without STARTTLS: %q %s, and it took %d mails", code, said, len(plain.Taken()))
	}
	unknown := heraldtest.Start(t, heraldtest.StartTLS, "")
	s = newSite(t, storetest.SQLite(t), x509.NewCertPool(), fmt.Sprintf(mailOutput, unknown.Addr, "starttls", ""))
	if code, step, said := s.test("main", "ops"); code != fault.OutputFailed || step != "tls" || len(unknown.Taken()) != 0 {
		t.Errorf("an untrusted certificate: %q at %s: %s", code, step, said)
	}
}

// hooked is a server that keeps what it is sent.
type hooked struct {
	*httptest.Server
	mu     sync.Mutex // guards all below
	status int
	got    []*http.Request
	bodies []string
}

func startHook(t *testing.T) *hooked {
	h := &hooked{status: http.StatusOK}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got, h.bodies = append(h.got, r), append(h.bodies, string(body))
		if h.status == http.StatusTemporaryRedirect {
			w.Header().Set("Location", "https://elsewhere.example.org/")
		}
		w.WriteHeader(h.status)
		fmt.Fprint(w, "no such hook: file-token env-token "+strings.Repeat("x", 5000))
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hooked) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *hooked) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(h.Certificate())
	return pool
}

func fired(id string) alert.Message {
	return alert.Message{
		Kind: alert.Fired, Alert: id, Rule: "cpu", Severity: alert.Critical, Who: "it", State: alert.Firing, Measure: "cpu_percent", Value: 99, Limit: 90,
		Name: "<b>pc</b> @all", At: time.Date(2026, 1, 12, 9, 0, 0, 0, time.UTC),
	}
}

func TestAWebhookIsSignedAndKeepsItsIDWhenItIsSentAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		hook := startHook(t)
		s := newSite(t, db, hook.roots(), "  - {name: siem, webhook: {url: '"+hook.URL+"/x', secret: file:hook}}\n")
		key := []byte("0123456789abcdef0123456789abcdef")
		s.secret("hook", "whsec_"+base64.StdEncoding.EncodeToString(key))
		s.notice("main", "siem", fired("a1"))
		s.notice("main", "siem", fired("a2"))
		s.after(2 * time.Second)
		if len(hook.got) != 0 {
			t.Fatal("it did not wait for what fires with it")
		}
		hook.answer(http.StatusBadGateway)
		s.after(4 * time.Second)
		hook.answer(http.StatusNoContent)
		s.after(time.Second)
		if len(hook.got) != 1 {
			t.Fatalf("sent %d times at once", len(hook.got))
		}
		s.after(time.Minute)
		s.after(10 * time.Hour)
		if len(hook.got) != 2 || hook.got[0].Header.Get("webhook-id") != hook.got[1].Header.Get("webhook-id") {
			t.Fatalf("sent %d times", len(hook.got))
		}
		for i, r := range hook.got {
			mac := hmac.New(sha256.New, key)
			fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), hook.bodies[i])
			if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
				t.Errorf("signed %s, want %s", r.Header.Get("webhook-signature"), want)
			}
			var body herald.Hooked
			if err := json.Unmarshal([]byte(hook.bodies[i]), &body); err != nil || body.Type != "alerts" || len(body.Data.Alerts) != 2 || body.Data.Tenant != "main" {
				t.Errorf("it says %s: %v", hook.bodies[i], err)
			}
		}
	})
}

func TestADeliveryIsGivenUpAndRevived(t *testing.T) {
	hook := startHook(t)
	hook.answer(http.StatusInternalServerError)
	s := newSite(t, storetest.SQLite(t), hook.roots(), "  - {name: siem, webhook: {url: '"+hook.URL+"/x', secret: file:hook}}\n")
	s.secret("hook", "k")
	s.notice("main", "siem", fired("a1"))
	s.after(10 * time.Second)
	for range 30 {
		s.after(time.Hour)
	}
	if len(hook.got) != 10 {
		t.Errorf("tried %d times", len(hook.got))
	}
	id := hook.got[0].Header.Get("webhook-id")
	hook.answer(http.StatusOK)
	if err := s.Revive(t.Context(), "main", id); err != nil {
		t.Fatal(err)
	}
	s.after(time.Second)
	if len(hook.got) != 11 {
		t.Errorf("tried %d times after it was revived", len(hook.got))
	}
	for what, err := range map[string]error{"revive": s.Revive(t.Context(), "main", id), "dismiss": s.Dismiss(t.Context(), "main", id)} {
		if fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%s of what was sent: %v", what, err)
		}
	}
	hook.answer(http.StatusForbidden)
	s.notice("main", "siem", fired("a2"))
	for range 10 {
		s.after(time.Hour)
	}
	if len(hook.got) != 14 {
		t.Errorf("a refusal was tried %d times", len(hook.got)-11)
	}
	if err := s.Dismiss(t.Context(), "main", hook.got[13].Header.Get("webhook-id")); err != nil {
		t.Error(err)
	}
}

func TestAnOutputThatIsGoneIsGivenUpAtOnce(t *testing.T) {
	s := newSite(t, storetest.SQLite(t), nil, "  - {name: n, ntfy: {url: 'https://127.0.0.1:1/x'}}\n")
	s.notice("main", "gone", fired("a1"))
	s.after(10 * time.Second)
	if next, err := s.db.Read().NextDelivery(t.Context()); err != nil || next != 1<<63-1 {
		t.Errorf("it is due at %d: %v", next, err)
	}
	if _, err := s.Test(t.Context(), "main", "gone"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("a test of it: %v", err)
	}
}

func TestChatsAreToldInTheirOwnWayAndNobodyIsMentioned(t *testing.T) {
	hook := startHook(t)
	s := newSite(t, storetest.SQLite(t), hook.roots(), "  - {name: slack, slack: {url: file:hook}}\n  - {name: teams, teams: {url: file:hook}}\n"+
		"  - {name: mattermost, mattermost: {url: file:hook}}\n  - {name: ntfy, ntfy: {url: '"+hook.URL+"/topic', token: env:PATCHRING_SECRET_N}}\n")
	s.secret("hook", hook.URL+"/file-token")
	for i, want := range []struct{ output, body string }{
		{"slack", `&lt;b&gt;pc`}, {"teams", "AdaptiveCard"}, {"mattermost", "@\u200ball"}, {"ntfy", "pc"},
	} {
		s.notice("main", want.output, fired("a1"))
		s.after(10 * time.Second)
		if len(hook.got) != i+1 {
			t.Fatalf("%s: %d requests", want.output, len(hook.got))
		}
		body := hook.bodies[i]
		if want.output != "ntfy" {
			var said any
			if err := json.Unmarshal([]byte(body), &said); err != nil {
				t.Fatal(err)
			}
			body = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(body)
		}
		if !strings.Contains(body, want.body) {
			t.Errorf("%s says %s", want.output, body)
		}
	}
	if r := hook.got[3]; r.Header.Get("Authorization") != "Bearer env-token" || r.Header.Get("Priority") != "high" || !strings.HasPrefix(r.Header.Get("Title"), "=?utf-8?") {
		t.Errorf("ntfy: %v", r.Header)
	}
	hook.answer(http.StatusNotFound)
	for _, output := range []string{"slack", "ntfy"} {
		code, step, said := s.test("main", output)
		if code != fault.OutputFailed || step != "http" || !strings.Contains(said, "404 no such hook") || len(said) > 200 || output == "ntfy" && strings.Contains(said, "env-token") {
			t.Errorf("%s: %s at %s: %s", output, code, step, said)
		}
	}
	hook.answer(http.StatusTemporaryRedirect)
	if code, step, said := s.test("main", "ntfy"); code != fault.OutputFailed || step != "redirect" {
		t.Errorf("a redirect to another host: %s at %s: %s", code, step, said)
	}
}

// What one tenant writes can never send another's secret, or the site's, anywhere.
func TestATenantsSecretsAreItsOwn(t *testing.T) {
	hook := startHook(t)
	s := newSite(t, storetest.SQLite(t), hook.roots(), "  - {name: f, ntfy: {url: '"+hook.URL+"', token: file:smtp}}\n  - {name: e, ntfy: {url: '"+hook.URL+"', token: env:PATCHRING_SECRET_N}}\n")
	s.secret("smtp", "of-main")
	if code, problem, _ := s.test("acme", "f"); code != fault.SecretMissing || problem != "no_directory" {
		t.Errorf("a file of the first tenant: %s %s", code, problem)
	}
	if code, problem, _ := s.test("acme", "e"); code != fault.SecretMissing || problem != "of_site" {
		t.Errorf("a variable: %s %s", code, problem)
	}
	s.secret("acme/other", "x")
	if err := os.Symlink("../smtp", filepath.Join(s.secrets, "acme", "smtp")); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := s.test("acme", "f"); code != fault.SecretMissing {
		t.Errorf("a link out of its directory: %s", code)
	}
	if len(hook.got) != 0 {
		t.Errorf("something was sent: %v", hook.got[0].Header)
	}
}

func TestALinkOpensUntilItIsRevoked(t *testing.T) {
	s := newSite(t, storetest.SQLite(t), nil, "  - {name: n, ntfy: {url: 'https://127.0.0.1:1/x'}}\n")
	ctx := t.Context()
	l, err := s.MakeLink(ctx, "acme", register.User("a"), herald.MakeLink{Kind: herald.CalendarFeed, Name: "Outlook", Lang: "fr"})
	if err != nil || !strings.HasSuffix(l.Path, ".ics") {
		t.Fatalf("%+v, %v", l, err)
	}
	token := strings.TrimSuffix(strings.TrimPrefix(l.Path, herald.FeedPath), ".ics")
	if tenant, got, err := s.OpenLink(ctx, token); err != nil || tenant != "acme" || got.ID != l.ID {
		t.Errorf("opened %+v of %s, %v", got, tenant, err)
	}
	if _, _, err := s.OpenLink(ctx, token[:len(token)-2]+"AA"); fault.CodeOf(err) != fault.LinkInvalid {
		t.Errorf("a forged link: %v", err)
	}
	if err := s.RevokeLink(ctx, "main", register.User("a"), l.ID); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("another tenant's link: %v", err)
	}
	if err := s.RevokeLink(ctx, "acme", register.User("a"), l.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.OpenLink(ctx, token); fault.CodeOf(err) != fault.LinkInvalid {
		t.Errorf("a revoked link: %v", err)
	}
	links, err := s.Links(ctx, "acme")
	if err != nil || len(links) != 1 || links[0].Path != "" || links[0].Revoked.IsZero() {
		t.Errorf("links %+v, %v", links, err)
	}
	for _, bad := range []herald.MakeLink{{Kind: "x", Name: "a", Lang: "fr"}, {Kind: herald.AlertsFeed, Name: " ", Lang: "fr"}, {Kind: herald.AlertsFeed, Name: "a", Lang: "de"}} {
		if _, err := s.MakeLink(ctx, "acme", register.User("a"), bad); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
