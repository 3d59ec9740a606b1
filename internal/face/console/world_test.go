package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"time"

	"github.com/alexedwards/scs/v2"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/readiness"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/console/stories"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/desk"
	"patchring/internal/service/dossier"
	"patchring/internal/service/roster"
	"patchring/internal/service/rulebook"
)

// world is a console over the storybook: what is read are stories, what is
// done is kept.
type world struct {
	*httptest.Server
	accounts *people
	acts     *ledger
	reader   *storyteller
	pages    *pageLedger
	beat     chan struct{}
	cleaning cleaning
	alerts   sentry
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldWith(t, nil)
}

// worldWith has a rulebook for policies, in place of stories.
func worldWith(t *testing.T, rules *rulebook.Rulebook) *world {
	t.Helper()
	w := &world{pages: &pageLedger{}, accounts: &people{}, acts: &ledger{}, reader: &storyteller{}, beat: make(chan struct{}, 1)}
	if rules != nil {
		w.reader.rules = rules
	}
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := New(Options{
		Reader: w.reader, Acts: w.acts, Roster: w.acts, Rulebook: rules, Desk: deskLedger{w.acts}, Cleaner: &w.cleaning, Dossiers: shelf{w.acts}, Alerts: &w.alerts, Watch: &w.alerts, Herald: &w.alerts, Incidents: incidentLedger{w.acts}, Tests: testLedger{w.acts}, Tickets: ticketLedger{w.acts}, Accounts: w.accounts, Personal: w.pages, Sessions: scs.New(), Zone: zone,
		Listen: func(fleet.TenantID, campaign.ID) (<-chan struct{}, func()) { return w.beat, func() {} },
		Clock:  func() time.Time { return stories.Now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = httptest.NewServer(handler)
	t.Cleanup(w.Close)
	return w
}

// browser is one person's: it keeps cookies and follows no redirect.
type visitor struct {
	t *testing.T
	*http.Client
	base string
}

func (w *world) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: w.URL, Client: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// as logs in.
func (w *world) as(t *testing.T, name string) *visitor {
	t.Helper()
	v := w.visitor(t)
	if got := v.post("/login", "name", name, "password", "secret"); got.status != http.StatusSeeOther {
		t.Fatalf("log in as %s: status %d, want 303", name, got.status)
	}
	return v
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (v *visitor) get(path string, headers ...string) answer {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodGet, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.send(r, headers...)
}

func (v *visitor) post(path string, pairs ...string) answer {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequest(http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	return v.send(r, "Content-Type", "application/x-www-form-urlencoded", "Origin", v.base)
}

func (v *visitor) send(r *http.Request, headers ...string) answer {
	v.t.Helper()
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := v.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// people are three accounts of one tenant, whose password is "secret".
type people struct {
	mu     sync.Mutex // guards all below
	closed bool
	outage error
	lang   string
}

func (p *people) principal(name string) (access.Principal, bool) {
	roles := map[string][]string{"exploitation": {"it", access.Operator}, "audit": {access.Auditor}}[name]
	return access.Principal{Tenant: "main", Account: "id-" + name, Name: name, Roles: roles, Lang: p.lang}, roles != nil
}

func (p *people) Login(_ context.Context, name, password string) (access.Principal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	who, known := p.principal(name)
	if !known || password != "secret" {
		return access.Principal{}, fault.New(fault.Unauthorized)
	}
	return who, p.outage
}

func (p *people) Of(ctx context.Context, m *scs.SessionManager) (access.Principal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outage != nil {
		return access.Principal{}, p.outage
	}
	who, known := p.principal(strings.TrimPrefix(m.GetString(ctx, "account"), "id-"))
	if !known || p.closed {
		return access.Principal{}, fault.New(fault.Unauthorized)
	}
	return who, nil
}

func (p *people) SetLang(_ context.Context, _ access.Principal, lang string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lang = lang
	return nil
}

func (p *people) Retire(_ context.Context, who access.Principal, _ fleet.DeviceID, why string) error {
	if why == "" {
		return fault.New(fault.ReasonRequired)
	}
	return who.Need(access.FleetAct)
}

// ledger keeps what was asked, and refuses what the real one refuses.
type ledger struct {
	mu      sync.Mutex // guards all below
	asked   []any
	by      []register.Actor
	refusal error
}

func (l *ledger) keep(by register.Actor, reason string, ask any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason == "" {
		return fault.New(fault.ReasonRequired)
	}
	if l.refusal != nil {
		return l.refusal
	}
	l.asked, l.by = append(l.asked, ask), append(l.by, by)
	return nil
}

func (l *ledger) Sign(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Sign) error {
	return l.keep(by, "none needed", ask)
}

func (l *ledger) StartEmergency(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.StartEmergency) (campaign.ID, error) {
	return "c-emergency", l.keep(by, ask.Reason, ask)
}

func (l *ledger) SignVerification(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Sign) error {
	return l.keep(by, "sign the verification", ask)
}

func (l *ledger) Approve(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Sign) error {
	return l.keep(by, "-", ask)
}

func (l *ledger) Evaluate(_ context.Context, _ fleet.TenantID, by register.Actor, ref, ring string) ([]campaign.Evaluation, error) {
	return nil, l.keep(by, "-", ref+ring)
}

func (l *ledger) Hold(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.PlaceHold) (string, error) {
	return "hold", l.keep(by, ask.Reason, ask)
}

func (l *ledger) Resume(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Resume) (int, error) {
	return 1, l.keep(by, ask.Reason, ask)
}

func (l *ledger) Expedite(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Expedite) error {
	return l.keep(by, ask.Reason, ask)
}

func (l *ledger) Withdraw(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Withdraw) error {
	return l.keep(by, ask.Reason, ask)
}

func (l *ledger) Amend(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Amend) (int, error) {
	return 1, l.keep(by, ask.Reason, ask)
}

func (l *ledger) PlanRollback(context.Context, fleet.TenantID, campaign.Rollback) (campaign.RollbackPlan, error) {
	return campaign.RollbackPlan{Devices: 56, Items: 301, Expected: 4 * time.Minute, Exceptions: []campaign.OpenAgain{
		{Name: "nginx", Version: "1.22.1-9", Devices: 56, Until: stories.Now.AddDate(0, 0, 30)},
	}, Impossible: []campaign.CannotRollback{{Device: "d-compta-02", Name: "compta-02", Package: "libc6", Why: "no_old_package"}}}, nil
}

func (l *ledger) Rollback(ctx context.Context, t fleet.TenantID, by register.Actor, ask campaign.Rollback) (campaign.RollbackPlan, error) {
	plan, err := l.PlanRollback(ctx, t, ask)
	if err != nil {
		return plan, err
	}
	return plan, l.keep(by, ask.Reason, ask)
}

func (l *ledger) Close(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Close) error {
	return l.keep(by, ask.Reason, ask)
}

func (l *ledger) Decide(_ context.Context, _ fleet.TenantID, by register.Actor, ask campaign.Decide) error {
	return l.keep(by, ask.Reason, ask)
}

func (l *ledger) AllowReboot(_ context.Context, _ fleet.TenantID, by register.Actor, device fleet.DeviceID, reason string) error {
	return l.keep(by, reason, allowedReboot{device})
}

// allowedReboot is what AllowReboot was asked for.
type allowedReboot struct{ device fleet.DeviceID }

func (l *ledger) Describe(_ context.Context, _ fleet.TenantID, by register.Actor, device fleet.DeviceID, ask fleet.Describe) (roster.Changed, error) {
	if err := l.keep(by, ask.Reason, ask); err != nil {
		return roster.Changed{}, err
	}
	return roster.Changed{Device: device, Places: []campaign.Place{{Name: "2026-01", From: "R1", To: "GLOBAL"}}}, nil
}

// deskLedger keeps what was asked of the desk.
type deskLedger struct{ *ledger }

func (l deskLedger) Grant(_ context.Context, _ fleet.TenantID, by register.Actor, ask desk.Grant) (string, error) {
	return "e-9", l.keep(by, ask.Reason, ask)
}

func (l deskLedger) End(_ context.Context, _ fleet.TenantID, by register.Actor, id, reason string) error {
	return l.keep(by, reason, id)
}

func (l deskLedger) Open(_ context.Context, _ fleet.TenantID, by register.Actor, ask desk.Open) (string, error) {
	return "t-9", l.keep(by, "none needed", ask)
}

func (l deskLedger) Close(_ context.Context, _ fleet.TenantID, by register.Actor, ask desk.Show) error {
	if ask.Proof == task.File && len(ask.File) == 0 {
		return fault.New(fault.InvalidField, "field", "file", "problem", "empty", "fix", "name_a_file")
	}
	return l.keep(by, "none needed", ask)
}

func (l deskLedger) Reopen(_ context.Context, _ fleet.TenantID, by register.Actor, ask desk.Reopen) error {
	return l.keep(by, ask.Reason, ask)
}

func (l deskLedger) FollowUp(_ context.Context, _ fleet.TenantID, by register.Actor, ask desk.FollowUp) (desk.FollowedUp, error) {
	if title, what := ask.Words("failed", fault.Because(fault.NoEffect)); title == "" || what == "" {
		return desk.FollowedUp{}, errors.New("a task without words")
	}
	ask.Words = nil // functions do not compare
	plan := desk.FollowedUp{Missing: 242, Tasks: desk.FollowCount{Make: 94, Known: 4}, CatchUp: &desk.CaughtUp{Patches: 3}}
	if ask.Plan {
		return plan, nil
	}
	return plan, l.keep(by, ask.Reason, ask)
}

// shelf hands out documents that say who asked for what.
type shelf struct{ l *ledger }

func (shelf) Draft(_ context.Context, _ fleet.TenantID, campaign, language string, f document.Format) (dossier.File, error) {
	return dossier.File{Name: "dossier." + string(f), Type: f.MediaType(), Body: []byte(campaign + " " + language)}, f.Check()
}

func (shelf) Issued(_ context.Context, _ fleet.TenantID, campaign string, revision int64, f document.Format) (dossier.File, error) {
	return dossier.File{Name: "dossier." + string(f), Type: f.MediaType(), Body: []byte(fmt.Sprint(campaign, " ", revision))}, f.Check()
}

func (s shelf) Issue(_ context.Context, _ fleet.TenantID, by register.Actor, ask dossier.Issue) (view.Revision, error) {
	return view.Revision{Number: 2}, s.l.keep(by, ask.Reason, ask)
}

func (shelf) Missing(_ context.Context, _ fleet.TenantID, q view.MissingQuery, language string) (dossier.File, error) {
	return dossier.File{Name: "missing.csv", Type: "text/csv", Body: []byte(q.Value + language)}, nil
}

func (shelf) Monthly(context.Context, fleet.TenantID, string) (view.Monthly, error) {
	return stories.MonthReport().Monthly, nil
}

func (shelf) MonthlyFile(_ context.Context, _ fleet.TenantID, month, _ string, f document.Format) (dossier.File, error) {
	return dossier.File{Name: "report." + string(f), Type: f.MediaType(), Body: []byte(month)}, f.Check()
}

func (l deskLedger) OpenFindings(_ context.Context, _ fleet.TenantID, by register.Actor, ask desk.OpenFindings) (desk.OpenedFindings, error) {
	if title, what := ask.Words(readiness.Finding{Kind: readiness.Disk, Fix: readiness.FreeDisk, Reason: fault.Because(fault.DiskShort, "need", "2", "free", "1")}); title == "" || what == "" {
		return desk.OpenedFindings{}, errors.New("a task without words")
	}
	ask.Words = nil // functions do not compare
	return desk.OpenedFindings{Opened: make([]desk.FindingTask, 2), Known: 1}, l.keep(by, "none needed", ask)
}

func (l *ledger) Set(_ context.Context, _ fleet.TenantID, by register.Actor, group string, devices []string) (roster.SetResult, error) {
	if group == "bad name" {
		return roster.SetResult{}, fault.New(fault.InvalidField, "field", "name", "problem", "not_a_word", "fix", "A-Z a-z 0-9 . _ -")
	}
	return roster.SetResult{Added: len(devices)}, l.keep(by, "pilots", append([]string{group}, devices...))
}

// last is what was asked last.
func (l *ledger) last(t *testing.T) any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) == 0 {
		t.Fatal("nothing was done")
	}
	return l.asked[len(l.asked)-1]
}

// storyteller answers every question with a story.
type storyteller struct {
	mu     sync.Mutex // guards board
	board  *page.Board
	boards atomic.Int64 // read so far
	rules  source.Rules // nil: policies are stories
}

func (s *storyteller) set(b page.Board) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.board = &b
}

func (s *storyteller) Today(context.Context, source.Viewer) (page.Today, error) {
	return stories.Today(), nil
}

func (s *storyteller) Campaigns(_ context.Context, _ source.Viewer, q page.CampaignQuery) (page.Campaigns, error) {
	out := stories.Campaigns()
	out.Query = q
	return out, nil
}

func (s *storyteller) Board(_ context.Context, _ source.Viewer, id string) (page.Board, error) {
	s.boards.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "nowhere" {
		return page.Board{}, fault.New(fault.NotFound, "what", "campaign", "name", id)
	}
	b := stories.Board()
	switch {
	case s.board != nil:
		b = *s.board
	case id == "c-emergency":
		b = stories.EmergencyBoard()
	}
	b.ID = id
	return b, nil
}

func (s *storyteller) GateProof(context.Context, source.Viewer, string) (page.GateProof, error) {
	return stories.GateProof(), nil
}

func (s *storyteller) Verification(_ context.Context, who source.Viewer, _ string, q page.VerificationQuery) (page.Reached, error) {
	out := stories.Verified()
	out.Query = q
	return out, nil
}

func (s *storyteller) Suspects(context.Context, source.Viewer, string) (page.Suspects, error) {
	return stories.Suspects(), nil
}

func (s *storyteller) Ring(_ context.Context, _ source.Viewer, _ string, q page.RingQuery) (page.RingDevices, error) {
	out := stories.RingDevices()
	out.Query = q
	return out, nil
}

func (s *storyteller) Impossible(_ context.Context, _ source.Viewer, q page.ImpossibleQuery) (page.Impossible, error) {
	out := stories.Impossible()
	out.Campaign = q.Campaign
	return out, nil
}

func (s *storyteller) Fleet(_ context.Context, _ source.Viewer, q page.FleetQuery) (page.Fleet, error) {
	out := stories.Fleet()
	out.Query = q
	return out, nil
}

func (s *storyteller) Device(context.Context, source.Viewer, string) (page.Device, error) {
	return stories.Device(), nil
}

func (s *storyteller) Explain(context.Context, source.Viewer, string, string) (page.Why, error) {
	return stories.Why(), nil
}

func (s *storyteller) Patches(_ context.Context, _ source.Viewer, q page.PatchQuery) (page.Patches, error) {
	out := stories.Patches()
	out.Query = q
	return out, nil
}

func (s *storyteller) Patch(_ context.Context, _ source.Viewer, _ string, q page.PatchDeviceQuery) (page.Patch, error) {
	out := stories.Patch()
	out.Query = q
	return out, nil
}

func (s *storyteller) Rehearsal(_ context.Context, _ source.Viewer, q page.RehearsalQuery) (page.Rehearsal, error) {
	if q.When == "" {
		return stories.NewRehearsal(), nil
	}
	out := stories.Rehearsal()
	out.Query = q
	return out, nil
}

func (s *storyteller) Calendar(ctx context.Context, who source.Viewer, q page.CalendarQuery) (page.Calendar, error) {
	out := stories.Calendar()
	if q.Year != 0 {
		out.Query = q
	}
	if s.rules == nil {
		return out, nil
	}
	var err error
	out.Freezes, err = s.rules.Freezes(ctx, who.Tenant, false)
	return out, err
}

func (s *storyteller) Procedures(context.Context, source.Viewer) (page.Procedures, error) {
	return stories.Procedures(), nil
}

func (s *storyteller) Procedure(context.Context, source.Viewer, string, int64) (page.Procedure, error) {
	return stories.Procedure(), nil
}

// Policy is a story, or what a test's rulebook has.
func (s *storyteller) Policy(ctx context.Context, who source.Viewer, version int64) (page.Policy, error) {
	if s.rules != nil {
		return (&source.Source{Rules: s.rules}).Policy(ctx, who, version)
	}
	return stories.Policy(), nil
}

func (s *storyteller) Readiness(_ context.Context, _ source.Viewer, q page.ReadinessQuery) (page.Readiness, error) {
	out := stories.Readiness()
	out.Query = q
	return out, nil
}

func (s *storyteller) Pilots(_ context.Context, _ source.Viewer, q page.PilotsQuery) (page.Pilots, error) {
	out := stories.Pilots()
	out.Query = q
	return out, nil
}

func (s *storyteller) Vulnerabilities(_ context.Context, _ source.Viewer, q page.VulnerabilityQuery) (page.Vulnerabilities, error) {
	out := stories.Vulnerabilities()
	out.Query = q
	return out, nil
}

func (s *storyteller) Vulnerability(context.Context, source.Viewer, string) (page.Vulnerability, error) {
	return stories.Vulnerability(), nil
}

func (s *storyteller) Personal(_ context.Context, who source.Viewer, id fleet.DeviceID) (page.Personal, error) {
	if who.Tenant != "main" || id != "d-compta-07" {
		return page.Personal{}, fault.New(fault.NotFound, "what", "device", "name", string(id))
	}
	return stories.Personal(), nil
}

func (s *storyteller) Feedback(_ context.Context, _ source.Viewer, q page.FeedbackQuery) (page.FeedbackList, error) {
	out := stories.Feedback()
	out.Query = q
	return out, nil
}

func (s *storyteller) FeedbackOne(_ context.Context, _ source.Viewer, id string) (page.FeedbackLine, error) {
	for _, l := range stories.Feedback().Rows {
		if l.ID == id {
			return l, nil
		}
	}
	return page.FeedbackLine{}, fault.New(fault.NotFound, "what", "feedback", "name", id)
}

func (s *storyteller) FeedbackDetail(ctx context.Context, who source.Viewer, id string) (page.FeedbackOne, error) {
	line, err := s.FeedbackOne(ctx, who, id)
	out := stories.FeedbackOne()
	out.FeedbackLine = line
	return out, err
}

func (s *storyteller) Incidents(_ context.Context, _ source.Viewer, q page.IncidentQuery) (page.Incidents, error) {
	out := stories.Incidents()
	out.Query = q
	return out, nil
}

func (s *storyteller) Incident(_ context.Context, _ source.Viewer, id string) (page.Incident, error) {
	if id == "i-closed" {
		return stories.ClosedIncident(), nil
	}
	return stories.Incident(), nil
}

func (s *storyteller) Tests(_ context.Context, who source.Viewer, campaign string, mine bool) (page.Tests, error) {
	out := stories.Tests()
	out.Campaign, out.Mine = campaign, mine
	return out, nil
}

func (s *storyteller) Lifecycle(_ context.Context, _ source.Viewer, q page.LifecycleQuery) (page.Lifecycle, error) {
	out := stories.Lifecycle()
	out.Query = q
	return out, nil
}

func (s *storyteller) Register(_ context.Context, _ source.Viewer, q page.RegisterQuery) (page.Register, error) {
	out := stories.Register()
	out.Query = q
	return out, nil
}

func (s *storyteller) Exceptions(_ context.Context, _ source.Viewer, q page.ExceptionQuery) (page.Exceptions, error) {
	out := stories.Exceptions()
	out.Query = q
	return out, nil
}

func (s *storyteller) Exception(context.Context, source.Viewer, string) (page.Exception, error) {
	return stories.Exceptions().Rows[0], nil
}

func (s *storyteller) Tasks(_ context.Context, _ source.Viewer, q page.TaskQuery) (page.Tasks, error) {
	out := stories.Tasks()
	out.Query = q
	return out, nil
}

// Task answers with a task of IT; "any" takes any proof.
func (s *storyteller) Task(_ context.Context, _ source.Viewer, id string) (page.Task, error) {
	out := stories.Task()
	out.ID = id
	if id == "any" {
		out.Proof = ""
	}
	return out, nil
}

func (s *storyteller) ProofFile(context.Context, source.Viewer, string, string) (view.StoredFile, error) {
	return view.StoredFile{Name: "page.html", Bytes: []byte("<script>alert(1)</script>")}, nil
}

func (s *storyteller) PatchID(_ context.Context, _ source.Viewer, named string) (patch.ID, error) {
	return patch.ID("id-of-" + named), nil
}
