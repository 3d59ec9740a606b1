package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/face/api"
	"patchring/internal/face/paper"
	"patchring/internal/infra/keys"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/catalogue"
	"patchring/internal/service/cleaner"
	"patchring/internal/service/conductor"
	"patchring/internal/service/desk"
	"patchring/internal/service/dossier"
	"patchring/internal/service/foresight"
	"patchring/internal/service/passport"
	"patchring/internal/service/personal"
	"patchring/internal/service/roster"
	"patchring/internal/service/rulebook"
	"patchring/wire"
)

var update = flag.Bool("update", false, "write openapi.yaml")

// site is the API of a real site: SQLite, keys and services, served over TLS.
type site struct {
	t         *testing.T
	db        *store.DB
	access    *access.Service
	conductor *conductor.Conductor
	server    *httptest.Server
	token     string // of the administrator
	now       time.Time
	changed   chan struct{}
	decided   int // how often campaigns were told to decide again
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 1, 14, 9, 0, 0, 0, time.UTC), changed: make(chan struct{}, 1)}
	clock := func() time.Time { return s.now }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	k, err := keys.Open(t.TempDir(), s.now)
	must(err)
	s.db, err = store.Open(t.Context(), store.Options{URL: filepath.Join(t.TempDir(), "site.db"), Notary: func(tenant string, c register.Checkpoint) (string, error) {
		key, err := k.RegisterKey(fleet.TenantID(tenant))
		if err != nil {
			return "", err
		}
		return c.Sign(key.Signer)
	}})
	must(err)
	t.Cleanup(func() { must(s.db.Close()) })
	s.access, err = access.New(access.Options{DB: s.db, Keys: k, Clock: clock, Random: rand.Reader, Brokers: []string{"tls://127.0.0.1:4222"}, CheckinS: 60})
	must(err)
	first, _, err := s.access.FirstRun(t.Context(), "admin")
	must(err)
	admin, err := s.access.Login(t.Context(), "admin", first.Password)
	must(err)
	token, err := s.access.CreateToken(t.Context(), admin, "test", 30*24*time.Hour)
	must(err)
	s.token = token.Text
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	s.conductor = conductor.New(conductor.Options{DB: s.db, Clock: clock, Log: log, OrderKey: k.OrderKey,
		Publish: func(context.Context, fleet.TenantID, string, []byte) error { return nil }})
	reader := view.NewReader(s.db.Pool(), view.Options{Clock: clock})
	handler := api.New(api.Options{
		Access: s.access, Sessions: s.access.Sessions(), View: reader,
		Dossiers: dossier.New(dossier.Options{DB: s.db, View: reader, Clock: clock, Writer: paper.Writer{}, Key: func(t fleet.TenantID) (string, error) {
			key, err := k.RegisterKey(t)
			return key.Verifier, err
		}}),
		Conductor: s.conductor, Roster: roster.New(roster.Options{DB: s.db, Clock: clock, Replace: s.conductor.Replace, Wake: s.conductor.Wake}),
		Rulebook:  rulebook.New(rulebook.Options{DB: s.db, Clock: clock, Changed: func() { s.decided++ }}),
		Desk:      desk.New(desk.Options{DB: s.db, Clock: clock, Log: log, Wake: s.conductor.Wake}),
		Cleaner:   cleaner.New(cleaner.Options{DB: s.db, Clock: clock, Log: log, OrderKey: k.OrderKey, Policies: s.conductor.Policies}),
		Foresight: foresight.New(foresight.Options{DB: s.db, Clock: clock, Rules: s.conductor.Rules}),
		Catalogue: catalogue.New(catalogue.Options{DB: s.db, Clock: clock, Log: log, Changed: func() { s.decided++ }}),
		Personal:  personal.New(personal.Options{DB: s.db, Clock: clock, Base: func() string { return "https://patchring.example" }, OrderKey: k.OrderKey}),
		Passport:  passport.New(passport.Options{DB: s.db, Clock: clock, Key: k.RegisterKey}),
		Listen:    func(fleet.TenantID, campaign.ID) (<-chan struct{}, func()) { return s.changed, func() {} },
		Backup:    func(_ context.Context, w io.Writer) error { _, err := w.Write([]byte("SQLite format 3")); return err },
		Clock:     clock, Log: log, Version: "test",
	})
	s.server = httptest.NewTLSServer(handler)
	t.Cleanup(s.server.Close)
	return s
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) problem(t *testing.T) api.Refusal {
	t.Helper()
	var p api.Refusal
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("status %d: not a problem: %s", a.status, a.body)
	}
	return p
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if a.status >= 300 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("decode %s: %v", a.body, err)
	}
	return v
}

func (s *site) do(method, path, token string, body any, header ...string) answer {
	s.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+path, content)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := s.server.Client().Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, raw}
}

func (s *site) get(path string) answer { return s.do(http.MethodGet, api.Prefix+path, s.token, nil) }
func (s *site) post(path string, body any) answer {
	return s.do(http.MethodPost, api.Prefix+path, s.token, body)
}

// tokenOf makes somebody with these roles, and a token for them.
func (s *site) tokenOf(name string, roles ...string) string {
	s.t.Helper()
	made := decode[access.Credentials](s.t, s.post("/users", api.CreateUser{Name: name, Roles: roles}))
	return decode[access.NewToken](s.t, s.do(http.MethodPost, api.Prefix+"/login", "", api.Login{Name: name, Password: made.Password, Token: "test"})).Text
}

func (s *site) wantProblem(what string, a answer, status int, code fault.Code) api.Refusal {
	s.t.Helper()
	p := a.problem(s.t)
	if a.status != status || p.Code != code || p.Status != status {
		s.t.Errorf("%s: %d %s, want %d %s", what, a.status, a.body, status, code)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		s.t.Errorf("%s: content type %q", what, got)
	}
	return p
}

// device adds a device past enrolment.
func (s *site) device(id, name string) {
	s.t.Helper()
	err := s.db.Write(s.t.Context(), func(tx *store.Tx) error {
		return tx.AddDevice(s.t.Context(), gen.AddDeviceParams{Tenant: "main", ID: id, Name: name, Kind: "workstation", Tags: "{}",
			EnrolledUs: s.now.UnixMicro(), SeenUs: s.now.UnixMicro()})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) applyExample() {
	s.t.Helper()
	text, err := os.ReadFile("../../../examples/procedures/postes-france.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	decode[conductor.Applied](s.t, s.post("/procedures", api.ApplyProcedure{File: "postes-france.yaml", Text: string(text)}))
}

func (s *site) campaign() api.Made {
	s.t.Helper()
	s.applyExample()
	return decode[api.Made](s.t, s.post("/campaigns", api.CreateCampaign{Procedure: "postes-france", Name: "trial", Now: true, Day: "1m"}))
}

func TestContractIsTheCommittedOne(t *testing.T) {
	got := newSite(t).get("/openapi.yaml")
	if *update {
		if err := os.WriteFile("openapi.yaml", got.body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.body, want) {
		t.Error("openapi.yaml is not what the server says: go test ./internal/face/api -update, and review the difference")
	}
}

func TestNothingIsAnsweredToStrangers(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/devices", "/today", "/register/export", "/backup", "/campaigns/x/watch", "/users"} {
		s.wantProblem(path, s.do(http.MethodGet, api.Prefix+path, "", nil), http.StatusUnauthorized, fault.Unauthorized)
		s.wantProblem(path, s.do(http.MethodGet, api.Prefix+path, "prt_mistyped", nil), http.StatusUnauthorized, fault.TokenInvalid)
	}
	if a := s.do(http.MethodGet, api.Prefix+"/openapi.yaml", "", nil); a.status != http.StatusOK {
		t.Errorf("the contract: %d", a.status)
	}
}

// TestEveryRouteAsksForItsAct walks the contract itself, so a route added
// without a check fails here.
func TestEveryRouteAsksForItsAct(t *testing.T) {
	s := newSite(t)
	nobody := s.tokenOf("guest-1", "guest")
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Description string `json:"description"`
			Security    *[]any `json:"security"`
		} `json:"paths"`
	}
	contract := s.get("/openapi.json")
	if err := json.Unmarshal(contract.body, &doc); err != nil || len(doc.Paths) < 30 {
		t.Fatalf("read the contract: %v, %d paths", err, len(doc.Paths))
	}
	checked := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.Security != nil || strings.Contains(op.Description, "Needs: see.") {
				continue
			}
			checked++
			target := api.Prefix + strings.NewReplacer("{campaign}", "x", "{device}", "x", "{name}", "x", "{id}", "x", "{patch}", "x", "{feed}", "kev").Replace(path)
			a := s.do(strings.ToUpper(method), target, nobody, bodyFor(op.OperationID))
			if p := a.problem(t); a.status != http.StatusForbidden || p.Code != fault.Forbidden {
				t.Errorf("%s %s by a guest: %d %s, want forbidden", method, path, a.status, a.body)
			}
		}
	}
	if checked < 20 {
		t.Errorf("checked %d routes, want the 20 and more that need a role", checked)
	}
}

// bodyFor is a body that fits the route's schema.
func bodyFor(operation string) any {
	bodies := map[string]any{
		"create-user": api.CreateUser{Name: "x", Roles: []string{"it"}}, "set-roles": api.SetRoles{Roles: []string{"it"}},
		"create-enrollment": api.Invite{}, "revoke-device-links": api.RevokeLinks{Reason: "x"}, "close-feedback": api.CloseFeedback{Reason: "x"}, "put-logo": api.PutLogo{File: []byte("x")}, "retire-device": api.Retire{Reason: "x"}, "allow-reboot": api.AllowReboot{Reason: "x"}, "put-group": api.PutGroup{}, "describe-device": api.Describe{},
		"import-feed": "x",
		"set-group":   api.SetMembers{Devices: []string{"x"}}, "import-lifecycle": api.ImportLifecycle{Product: "debian", File: "f", Text: "[]"},
		"add-to-group": api.Members{Devices: []string{"x"}}, "remove-from-group": api.Members{Devices: []string{"x"}},
		"decide": api.Decide{Patch: "x", Verdict: "approved"}, "apply-procedure": api.ApplyProcedure{File: "x", Text: "x"}, "apply-policy": api.PolicyFile{File: "x", Text: "x"},
		"start-emergency": api.StartEmergency{Reason: "x"}, "create-campaign": api.CreateCampaign{Procedure: "x", Now: true}, "evaluate-campaign": api.Evaluate{}, "hold-campaign": api.Hold{Reason: "x"}, "incident-campaign": api.Incident{Severity: "minor", What: "x"}, "resume-campaign": api.Resume{},
		"expedite-campaign": api.Expedite{Ring: "R0", Reason: "x"}, "withdraw-campaign": api.Withdraw{Patch: "x", Reason: "x"},
		"amend-campaign": api.Amend{Patches: []string{"x"}, Reason: "x"}, "rollback-campaign": api.Rollback{}, "close-campaign": api.CloseCampaign{},
		"open-incident": api.OpenIncident{Severity: "minor"}, "note-incident": api.NoteIncident{}, "correct-incident": api.CorrectIncident{}, "close-incident": api.CorrectIncident{},
		"reopen-incident": api.ReopenIncident{}, "test-tickets": api.TestTickets{},
		"place-freeze": api.PlaceFreeze{To: "x", Reason: "x"}, "end-freeze": api.EndFreeze{Reason: "x"}, "make-tasks": api.MakeTasks{Owner: "x"},
		"check-policy-for-all": api.PolicyFile{File: "x", Text: "x"}, "diff-policy-for-all": api.PolicyFile{File: "x", Text: "x"}, "apply-policy-for-all": api.PolicyFile{File: "x", Text: "x"},
		"approve-clean-up": api.ApproveCleanUp{Item: "x", Fingerprint: "x"}, "revoke-clean-up": api.RevokeCleanUp{Item: "x"}, "grant-exception": api.GrantException{}, "end-exception": api.EndException{Reason: "x"}, "open-task": api.OpenTask{}, "reopen-task": api.ReopenTask{Reason: "x"},
		"apply-alert-rules": api.AlertBookFile{File: "x", Text: "x"}, "place-silence": api.PlaceSilence{Until: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		"issue-dossier": api.IssueDossier{Lang: "fr"}, "follow-up": api.FollowUp{},
		"act-on-alert": api.ActOnAlert{Do: "hold"}, "make-feed-link": api.MakeFeedLink{Kind: "alerts", Name: "x"},
	}
	return bodies[operation]
}

func TestLoginGivesAToken(t *testing.T) {
	s := newSite(t)
	token := s.tokenOf("bob", "operator")
	me := decode[api.Me](t, s.do(http.MethodGet, api.Prefix+"/me", token, nil))
	if me.Name != "bob" || len(me.May) == 0 {
		t.Errorf("me: %+v", me)
	}
	s.wantProblem("a wrong password", s.do(http.MethodPost, api.Prefix+"/login", "", api.Login{Name: "bob", Password: "wrong", Token: "x"}), http.StatusUnauthorized, fault.Unauthorized)
}

func TestRefusalsHaveOneShape(t *testing.T) {
	s := newSite(t)
	s.wantProblem("no such device", s.get("/devices/nobody"), http.StatusNotFound, fault.NotFound)
	s.wantProblem("a field out of range", s.get("/devices?limit=100000"), http.StatusUnprocessableEntity, fault.InvalidField)
	s.wantProblem("an unknown parameter", s.get("/devices?colour=red"), http.StatusUnprocessableEntity, fault.InvalidField)
	s.wantProblem("no JSON", s.post("/groups/x/add", "{"), http.StatusBadRequest, fault.InvalidField)
	s.wantProblem("an unknown field", s.post("/users", map[string]any{"name": "x", "roles": []string{"it"}, "admin": true}), http.StatusUnprocessableEntity, fault.InvalidField)
	s.wantProblem("a bad cursor", s.get("/devices?cursor=zzz"), http.StatusUnprocessableEntity, fault.InvalidField)
	p := s.wantProblem("a bad procedure", s.post("/procedures", api.ApplyProcedure{File: "p.yaml", Text: "procedure: x\ncolour: red\n"}), http.StatusUnprocessableEntity, fault.InvalidField)
	if len(p.Problems) < 2 || p.Problems[0].Line == 0 {
		t.Errorf("problems of a procedure: %+v, want each with its line", p.Problems)
	}
	big := strings.Repeat("x", 2<<20)
	if a := s.post("/procedures", api.ApplyProcedure{File: "p.yaml", Text: big}); a.status != http.StatusRequestEntityTooLarge && a.status != http.StatusUnprocessableEntity {
		t.Errorf("2 MiB: %d, want it refused", a.status)
	}
}

func TestAnOutageIsNoRefusal(t *testing.T) {
	s := newSite(t)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	p := s.wantProblem("without its database", s.get("/devices"), http.StatusInternalServerError, fault.Internal)
	if !p.Retry || strings.Contains(p.Detail, "sql") {
		t.Errorf("problem: %+v, want retry and no inner text", p)
	}
}

func TestListsPageThroughTheAPI(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"a", "b", "c"} {
		s.device("id-"+name, name)
	}
	var names []string
	for cursor := ""; ; {
		page := decode[view.DevicePage](t, s.get("/devices?limit=2&cursor="+cursor))
		for _, d := range page.Rows {
			names = append(names, d.Name)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if got := strings.Join(names, ""); got != "abc" {
		t.Errorf("devices %q, want abc", got)
	}
	if d := decode[view.DeviceDetail](t, s.get("/devices/b")); d.ID != "id-b" {
		t.Errorf("by name: %+v", d)
	}
}

func TestGroupsThroughTheAPI(t *testing.T) {
	s := newSite(t)
	s.device("1", "pc-1")
	for _, a := range []answer{
		s.do(http.MethodPut, api.Prefix+"/groups/it-pilots", s.token, api.PutGroup{Title: "Pilots"}),
		s.post("/groups/it-pilots/add", api.Members{Devices: []string{"pc-1"}}),
	} {
		if a.status != http.StatusNoContent {
			t.Fatalf("status %d: %s", a.status, a.body)
		}
	}
	groups := decode[view.GroupPage](t, s.get("/groups"))
	if len(groups.Rows) != 1 || groups.Rows[0].Devices != 1 {
		t.Errorf("groups: %+v", groups)
	}
	s.wantProblem("a device nobody knows", s.post("/groups/it-pilots/add", api.Members{Devices: []string{"pc-2"}}), http.StatusNotFound, fault.NotFound)
	if a := s.post("/groups/it-pilots/remove", api.Members{Devices: []string{"pc-1"}}); a.status != http.StatusNoContent {
		t.Errorf("remove: %d %s", a.status, a.body)
	}
}

func TestCampaignThroughTheAPI(t *testing.T) {
	s := newSite(t)
	made := s.campaign()
	board := decode[view.Board](t, s.get("/campaigns/trial"))
	if board.Campaign.ID != made.ID || len(board.Amendments) != 1 || len(board.Amendments[0].Rings) != 3 || board.Campaign.DayS != 60 {
		t.Errorf("board: %+v", board.Campaign)
	}
	s.wantProblem("a hold without a reason", s.post("/campaigns/trial/hold", api.Hold{}), http.StatusUnprocessableEntity, fault.ReasonRequired)
	hold := decode[api.Made](t, s.post("/campaigns/trial/hold", api.Hold{Ring: "R1", Reason: "strike"}))
	board = decode[view.Board](t, s.get("/campaigns/trial"))
	if len(board.Holds) != 1 || board.Holds[0].ID != hold.ID || !board.Amendments[0].Rings[1].Held {
		t.Errorf("holds: %+v", board.Holds)
	}
	if n := decode[api.Counted](t, s.post("/campaigns/trial/resume", api.Resume{Hold: hold.ID})); n.Count != 1 {
		t.Errorf("lifted %d, want 1", n.Count)
	}
	s.wantProblem("a sign-off by who lacks the role", s.post("/campaigns/trial/sign", api.Sign{Ring: "R0", Role: "it", Yes: true}), http.StatusForbidden, fault.Forbidden)
	it := s.tokenOf("carl", "it")
	s.wantProblem("a sign-off of a ring that is not open", s.do(http.MethodPost, api.Prefix+"/campaigns/trial/sign", it, api.Sign{Ring: "R0", Role: "it", Yes: true}), http.StatusConflict, fault.Conflict)
	plan := decode[api.RollbackPlan](t, s.post("/campaigns/trial/rollback", api.Rollback{Plan: true}))
	if plan.Devices != 0 || plan.Impossible == nil {
		t.Errorf("plan: %+v", plan)
	}
	if a := s.post("/campaigns/trial/close", api.CloseCampaign{Reason: "over"}); a.status != http.StatusNoContent {
		t.Errorf("close: %d %s", a.status, a.body)
	}
	s.wantProblem("a closed campaign", s.post("/campaigns/trial/hold", api.Hold{Reason: "x"}), http.StatusConflict, fault.CampaignClosed)
	events := decode[view.EventPage](t, s.get("/campaigns/trial/events"))
	if len(events.Rows) < 4 || events.Rows[0].Kind != register.CampaignClosed || events.Rows[0].Actor != "user:admin" {
		t.Errorf("events: %+v", events.Rows)
	}
}

func TestRepeatedWriteActsOnce(t *testing.T) {
	s := newSite(t)
	s.applyExample()
	ask := api.CreateCampaign{Procedure: "postes-france", Name: "once", Now: true}
	first := s.do(http.MethodPost, api.Prefix+"/campaigns", s.token, ask, "Idempotency-Key", "k")
	again := s.do(http.MethodPost, api.Prefix+"/campaigns", s.token, ask, "Idempotency-Key", "k")
	if first.status != http.StatusCreated || again.status != first.status || !bytes.Equal(first.body, again.body) || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %d %s, again %d %s; want the same answer", first.status, first.body, again.status, again.body)
	}
	ask.Name = "other"
	s.wantProblem("the key for another request", s.do(http.MethodPost, api.Prefix+"/campaigns", s.token, ask, "Idempotency-Key", "k"), http.StatusUnprocessableEntity, fault.InvalidField)
	if page := decode[view.CampaignPage](t, s.get("/campaigns")); len(page.Rows) != 1 {
		t.Errorf("%d campaigns, want 1", len(page.Rows))
	}
}

func TestRepeatedWriteWithoutAnAnswerActsOnceToo(t *testing.T) {
	s := newSite(t)
	s.campaign()
	for i := range 2 {
		a := s.do(http.MethodPost, api.Prefix+"/campaigns/trial/close", s.token, api.CloseCampaign{}, "Idempotency-Key", "k")
		if a.status != http.StatusNoContent {
			t.Errorf("try %d: %d %s, want the same answer without a body", i, a.status, a.body)
		}
	}
}

func TestWatchSendsTheBoardWhenItChanges(t *testing.T) {
	s := newSite(t)
	s.campaign()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+api.Prefix+"/campaigns/trial/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	response, err := s.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %q", got)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	next := func() view.Board {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var b view.Board
				if err := json.Unmarshal([]byte(data), &b); err != nil {
					t.Fatal(err)
				}
				return b
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return view.Board{}
	}
	if b := next(); len(b.Holds) != 0 {
		t.Errorf("first board: %+v", b.Holds)
	}
	decode[api.Made](t, s.post("/campaigns/trial/hold", api.Hold{Reason: "strike"}))
	s.changed <- struct{}{}
	if b := next(); len(b.Holds) != 1 || !b.Campaign.Held {
		t.Errorf("after a hold: %+v", b.Holds)
	}
	s.post("/campaigns/trial/close", api.CloseCampaign{})
	s.changed <- struct{}{}
	if b := next(); b.Campaign.State != string(campaign.Closed) {
		t.Errorf("last board: %s", b.Campaign.State)
	}
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data:") {
			t.Error("something follows the closed board")
		}
	}
}

func TestEnrolmentSpeaksToStrangersWithTokens(t *testing.T) {
	s := newSite(t)
	invite := decode[access.NewEnrollment](t, s.post("/enrollments", api.Invite{Groups: []string{"it-pilots"}}))
	a := s.do(http.MethodPost, wire.EnrollPath, "", wire.EnrollRequest{Token: invite.Text, CSR: "nonsense", Name: "pc"})
	var refused wire.Error
	if err := json.Unmarshal(a.body, &refused); err != nil || a.status != http.StatusUnprocessableEntity || refused.Code != string(fault.InvalidField) {
		t.Errorf("without a request: %d %s", a.status, a.body)
	}
	a = s.do(http.MethodPost, wire.EnrollPath, "", wire.EnrollRequest{Token: "pre_x", Name: "pc"})
	if err := json.Unmarshal(a.body, &refused); err != nil || a.status != http.StatusUnauthorized || refused.Code != string(fault.TokenInvalid) {
		t.Errorf("a mistyped token: %d %s", a.status, a.body)
	}
	if a := s.do(http.MethodPost, wire.EnrollPath, "", strings.Repeat("x", 64<<10)); a.status != http.StatusBadRequest {
		t.Errorf("64 KiB: %d", a.status)
	}
}

func TestRegisterIsExportedAndVerified(t *testing.T) {
	s := newSite(t)
	s.device("d1", "pc-1")
	head := decode[passport.Head](t, s.get("/register"))
	export := s.get("/register/export")
	result, err := register.Verify(bytes.NewReader(export.body), register.Trust{Key: head.Key})
	if err != nil || result.Entries != head.Size+1 {
		t.Errorf("export: %+v, %v", result, err)
	}
	if a := s.get("/devices/pc-1/passport"); a.status != http.StatusOK || !bytes.Contains(a.body, []byte(`"form":"passport"`)) {
		t.Errorf("passport: %d %s", a.status, a.body)
	}
	s.wantProblem("of nobody", s.get("/devices/nobody/passport"), http.StatusNotFound, fault.NotFound)
	if v := decode[passport.Verified](t, s.post("/register/verify", nil)); !v.OK || v.Size == 0 {
		t.Errorf("verify: %+v", v)
	}
}

func TestWhySaysThatNothingCarriesAPatch(t *testing.T) {
	s := newSite(t)
	s.device("d1", "pc-1")
	why := decode[view.Why](t, s.get("/devices/pc-1/why"))
	if why.Device.Name != "pc-1" || why.State != fleet.NotReady || why.Reason == nil || why.Reason.Code != fault.NeverScanned {
		t.Errorf("why: %+v", why)
	}
}

func TestBrowsersOfOtherSitesCannotWrite(t *testing.T) {
	s := newSite(t)
	a := s.do(http.MethodPost, api.Prefix+"/tokens", s.token, api.CreateToken{Name: "x"}, "Sec-Fetch-Site", "cross-site")
	s.wantProblem("a cross-site write", a, http.StatusForbidden, fault.Forbidden)
}
