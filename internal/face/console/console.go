// Package console is the browser's face of Patchring: pages rendered on the
// server that work without script, live fragments over SSE, a form for every
// act. It owns addresses, sessions' use, forms, and what a browser is allowed
// to do.
//
// It reads through Reader and acts through Acts; it decides nothing about
// campaigns and knows no SQL. Who may do what is access's table, asked at every
// act. The handler is safe from any goroutine; live streams end when the
// channels that Listen gives are closed.
package console

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/face/console/assets"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/checklist"
	"patchring/internal/service/cleaner"
	"patchring/internal/service/desk"
	"patchring/internal/service/incident"
	"patchring/internal/service/personal"
	"patchring/internal/service/roster"
	"patchring/internal/service/rulebook"
)

// Reader fills the pages; source.Source does it from the read models, stories
// do it in tests. Every method answers for one tenant and one language; what is
// not there is a fault.NotFound.
type Reader interface {
	Today(ctx context.Context, who source.Viewer) (page.Today, error)
	Campaigns(ctx context.Context, who source.Viewer, q page.CampaignQuery) (page.Campaigns, error)
	Board(ctx context.Context, who source.Viewer, id string) (page.Board, error)
	Rehearsal(ctx context.Context, who source.Viewer, q page.RehearsalQuery) (page.Rehearsal, error)
	Ring(ctx context.Context, who source.Viewer, id string, q page.RingQuery) (page.RingDevices, error)
	Fleet(ctx context.Context, who source.Viewer, q page.FleetQuery) (page.Fleet, error)
	Device(ctx context.Context, who source.Viewer, id string) (page.Device, error)
	Impossible(ctx context.Context, who source.Viewer, q page.ImpossibleQuery) (page.Impossible, error)
	Explain(ctx context.Context, who source.Viewer, device, patch string) (page.Why, error)
	Patches(ctx context.Context, who source.Viewer, q page.PatchQuery) (page.Patches, error)
	Patch(ctx context.Context, who source.Viewer, id string, q page.PatchDeviceQuery) (page.Patch, error)
	Vulnerabilities(ctx context.Context, who source.Viewer, q page.VulnerabilityQuery) (page.Vulnerabilities, error)
	Vulnerability(ctx context.Context, who source.Viewer, cve string) (page.Vulnerability, error)
	Calendar(ctx context.Context, who source.Viewer, q page.CalendarQuery) (page.Calendar, error)
	Procedures(ctx context.Context, who source.Viewer) (page.Procedures, error)
	Procedure(ctx context.Context, who source.Viewer, name string, version int64) (page.Procedure, error)
	Policy(ctx context.Context, who source.Viewer, version int64) (page.Policy, error)
	Register(ctx context.Context, who source.Viewer, q page.RegisterQuery) (page.Register, error)
	CleanUps(ctx context.Context, who source.Viewer, q page.CleanUpQuery) (page.CleanUps, error)
	Measures(ctx context.Context, who source.Viewer, id string, days int) (page.Measures, error)
	CampaignMeasures(ctx context.Context, who source.Viewer, id, ring string) (page.CampaignMeasures, error)
	Probes(ctx context.Context, who source.Viewer, q page.ProbeQuery) (page.Probes, error)
	Exceptions(ctx context.Context, who source.Viewer, q page.ExceptionQuery) (page.Exceptions, error)
	Exception(ctx context.Context, who source.Viewer, id string) (page.Exception, error)
	Tasks(ctx context.Context, who source.Viewer, q page.TaskQuery) (page.Tasks, error)
	Task(ctx context.Context, who source.Viewer, id string) (page.Task, error)
	ProofFile(ctx context.Context, who source.Viewer, task, proof string) (view.StoredFile, error)
	// PatchID is the patch that people name: by its id, its name, or both name
	// and version.
	PatchID(ctx context.Context, who source.Viewer, named string) (patch.ID, error)
	Readiness(ctx context.Context, who source.Viewer, q page.ReadinessQuery) (page.Readiness, error)
	Pilots(ctx context.Context, who source.Viewer, q page.PilotsQuery) (page.Pilots, error)
	Personal(ctx context.Context, who source.Viewer, id fleet.DeviceID) (page.Personal, error)
	Feedback(ctx context.Context, who source.Viewer, q page.FeedbackQuery) (page.FeedbackList, error)
	FeedbackOne(ctx context.Context, who source.Viewer, id string) (page.FeedbackLine, error)
	FeedbackDetail(ctx context.Context, who source.Viewer, id string) (page.FeedbackOne, error)
	Incidents(ctx context.Context, who source.Viewer, q page.IncidentQuery) (page.Incidents, error)
	Incident(ctx context.Context, who source.Viewer, id string) (page.Incident, error)
	Tests(ctx context.Context, who source.Viewer, campaign string, mine bool) (page.Tests, error)
	Lifecycle(ctx context.Context, who source.Viewer, q page.LifecycleQuery) (page.Lifecycle, error)
	Suspects(ctx context.Context, who source.Viewer, campaign string) (page.Suspects, error)
	GateProof(ctx context.Context, who source.Viewer, campaign string) (page.GateProof, error)
	Verification(ctx context.Context, who source.Viewer, campaign string, q page.VerificationQuery) (page.Reached, error)
}

// Acts is what operators ask of campaigns and patches; the conductor does it.
// Each method records who asked, and refuses with a fault.
type Acts interface {
	Sign(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Sign) error
	StartEmergency(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.StartEmergency) (campaign.ID, error)
	Approve(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Sign) error
	SignVerification(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Sign) error
	Hold(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.PlaceHold) (string, error)
	Resume(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Resume) (int, error)
	Expedite(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Expedite) error
	Withdraw(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Withdraw) error
	Amend(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Amend) (int, error)
	PlanRollback(ctx context.Context, tenant fleet.TenantID, ask campaign.Rollback) (campaign.RollbackPlan, error)
	Rollback(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Rollback) (campaign.RollbackPlan, error)
	Close(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Close) error
	Decide(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask campaign.Decide) error
	Evaluate(ctx context.Context, tenant fleet.TenantID, by register.Actor, ref, ring string) ([]campaign.Evaluation, error)
	AllowReboot(ctx context.Context, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID, reason string) error
}

// Accounts is who people are; access.Service knows. Of reads the account again
// at each request, so that closing it or changing its roles takes effect at
// once.
type Accounts interface {
	Login(ctx context.Context, name, password string) (access.Principal, error)
	Of(ctx context.Context, m *scs.SessionManager) (access.Principal, error)
	SetLang(ctx context.Context, p access.Principal, lang string) error
	Retire(ctx context.Context, p access.Principal, device fleet.DeviceID, why string) error
}

// Roster keeps what is said of devices; roster.Roster does.
type Roster interface {
	Describe(ctx context.Context, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID, ask fleet.Describe) (roster.Changed, error)
	Set(ctx context.Context, tenant fleet.TenantID, by register.Actor, group string, devices []string) (roster.SetResult, error)
}

// Rulebook weighs policies and puts them in force; rulebook.Rulebook does.
type Rulebook interface {
	Check(ctx context.Context, tenant fleet.TenantID, file string, text []byte) (rulebook.Checked, error)
	Diff(ctx context.Context, tenant fleet.TenantID, file string, text []byte) (rulebook.Diff, error)
	Apply(ctx context.Context, tenant fleet.TenantID, by register.Actor, file string, text []byte) (rulebook.AppliedPolicy, error)
	PlaceFreeze(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask rulebook.PlaceFreeze) (rulebook.PlacedFreeze, error)
	EndFreeze(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask rulebook.EndFreeze) error
}

// Desk keeps exceptions and manual tasks; desk.Desk does.
type Desk interface {
	Grant(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask desk.Grant) (string, error)
	End(ctx context.Context, tenant fleet.TenantID, by register.Actor, id, reason string) error
	Open(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask desk.Open) (string, error)
	Close(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask desk.Show) error
	Reopen(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask desk.Reopen) error
	OpenFindings(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask desk.OpenFindings) (desk.OpenedFindings, error)
	FollowUp(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask desk.FollowUp) (desk.FollowedUp, error)
}

// Incidents keeps what went wrong; incident.Keeper does.
type Incidents interface {
	Open(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask incident.Open) (incident.Opened, error)
	Do(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask incident.Do) error
}

// Tests takes what testers tick; checklist.Bench does.
type Tests interface {
	Rule(ctx context.Context, tenant fleet.TenantID, campaign, ring, test string) (procedure.TestRule, error)
	Tick(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask checklist.Tick) (checklist.Ticked, error)
}

// Tickets tells tools again; ticket.Clerk does.
type Tickets interface {
	Retry(ctx context.Context, tenant fleet.TenantID, id string) error
}

// Cleaner takes what people approve of clean-ups; cleaner.Cleaner does.
type Cleaner interface {
	Approve(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask cleaner.Approve) error
	Revoke(ctx context.Context, tenant fleet.TenantID, by register.Actor, item string, device fleet.DeviceID) error
}

// Personal is what people may do on a device's page, and what operators do about
// it; personal.Office does.
type Personal interface {
	Open(ctx context.Context, token string) (identity.Page, error)
	Postpone(ctx context.Context, p identity.Page, ask personal.Later) error
	Say(ctx context.Context, p identity.Page, f personal.Feedback) error
	Logo(ctx context.Context, tenant fleet.TenantID) ([]byte, error)
	Close(ctx context.Context, tenant fleet.TenantID, by register.Actor, id, why string) error
	Link(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID) (personal.Link, error)
	Revoke(ctx context.Context, tenant fleet.TenantID, by register.Actor, device fleet.DeviceID, why string) error
	SetLogo(ctx context.Context, tenant fleet.TenantID, by register.Actor, file []byte) error
	RemoveLogo(ctx context.Context, tenant fleet.TenantID, by register.Actor) error
}

// Options of a console.
type Options struct {
	Personal  Personal
	Reader    Reader
	Alerts    Alerts
	Watch     Watch
	Herald    Herald
	Acts      Acts
	Roster    Roster
	Rulebook  Rulebook
	Desk      Desk
	Cleaner   Cleaner
	Accounts  Accounts
	Sessions  *scs.SessionManager
	Incidents Incidents
	Tests     Tests
	Tickets   Tickets
	Dossiers  Dossiers
	// Listen tells that a campaign changed, until stop is called; the channel is
	// closed when the server stops, which ends the stream.
	Listen func(tenant fleet.TenantID, id campaign.ID) (beats <-chan struct{}, stop func())
	Zone   *time.Location // in which times are told where no procedure says another
	Clock  func() time.Time
	Log    *slog.Logger
}

// Console is the handler's state: nothing but its options, the files it serves
// and what live boards share.
type Console struct {
	Options
	files *assets.Store
	live  *boards
	pages pageLimits
}

// New makes the console, to be mounted at /.
func New(o Options) (http.Handler, error) {
	files, err := assets.Load()
	if err != nil {
		return nil, fmt.Errorf("load the console's files: %w", err)
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	c := &Console{Options: o, files: files, live: newBoards(), pages: newPageLimits()}
	mux := http.NewServeMux()
	mux.Handle("GET "+assets.Prefix, files)
	mux.Handle(personal.Path, http.NewCrossOriginProtection().Handler(c.personalRoutes()))
	mux.Handle("/", o.Sessions.LoadAndSave(http.NewCrossOriginProtection().Handler(c.routes())))
	return mux, nil
}

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", c.loginPage)
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("POST /logout", c.logout)
	mux.HandleFunc("POST /preferences", c.preferences)
	for pattern, h := range c.screens() {
		mux.Handle("GET "+pattern, h)
	}
	mux.Handle("POST /policy/edit", c.member(c.weighPolicy))
	mux.Handle("GET /campaigns/{id}/live", c.member(c.stream))
	mux.Handle("GET /alerts/live", c.member(c.alertStream))
	mux.Handle("POST /alerts/rules", c.member(c.weighAlertRules))
	for pattern, a := range acts() {
		mux.Handle("GET "+pattern, c.member(c.ask(a)))
		mux.Handle("POST "+pattern, c.member(c.do(a)))
	}
	mux.Handle("/", c.member(c.nothing))
	return mux
}
