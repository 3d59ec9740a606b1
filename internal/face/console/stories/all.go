package stories

import (
	"slices"

	"time"

	"github.com/a-h/templ"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/face/console/assets"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
)

// Story is one page in one situation.
type Story struct {
	Name    string
	Section ui.Section
	Title   string // key of its word
	Account *ui.Account
	Flash   bool
	Page    func(ui.Frame) templ.Component
}

// All lists the storybook.
func All() []Story {
	return slices.Concat(ofEveryDay(), ofWatching(), ofPeople())
}

func ofEveryDay() []Story {
	op := Operator()
	return []Story{
		{Name: "today", Section: ui.Today, Title: "nav.today", Account: op, Page: show(page.TodayPage, Today())},
		{Name: "today-quiet", Section: ui.Today, Title: "nav.today", Account: Reader(), Page: show(page.TodayPage, QuietToday())},
		{Name: "campaigns", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.CampaignsPage, Campaigns())},
		{Name: "board", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.BoardPage, Board())},
		{Name: "board-closed", Section: ui.Campaigns, Title: "nav.campaigns", Account: Reader(), Page: show(page.BoardPage, ClosedBoard())},
		{Name: "board-new", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Flash: true, Page: show(page.BoardPage, NewBoard())},
		{Name: "board-rollback", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.BoardPage, RollbackBoard())},
		{Name: "board-emergency", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.BoardPage, EmergencyBoard())},
		{Name: "suspects", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.SuspectsPage, Suspects())},
		{Name: "suspects-none", Section: ui.Campaigns, Title: "nav.campaigns", Account: Reader(), Page: show(page.SuspectsPage, page.Suspects{Campaign: "c1", Name: "2026-01"})},
		{Name: "proof", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.GateProofPage, GateProof())},
		{Name: "verification", Section: ui.Campaigns, Title: "verification.open", Account: op, Page: show(page.VerificationPage, Verified())},
		{Name: "verification-none", Section: ui.Campaigns, Title: "verification.open", Account: Reader(), Page: show(page.VerificationPage, VerifiedNone())},
		{Name: "monthly", Section: ui.Campaigns, Title: "monthly.campaigns", Account: op, Page: show(page.MonthPage, MonthReport())},
		{Name: "monthly-none", Section: ui.Campaigns, Title: "monthly.campaigns", Account: Reader(), Page: show(page.MonthPage, page.MonthReport{Last: "2025-12", Heads: "2026-01"})},
		{Name: "rehearsal", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.RehearsalPage, Rehearsal())},
		{Name: "rehearsal-new", Section: ui.Campaigns, Title: "nav.campaigns", Account: Reader(), Page: show(page.RehearsalPage, NewRehearsal())},
		{Name: "rehearsal-kept", Section: ui.Campaigns, Title: "nav.campaigns", Account: Reader(), Page: show(page.RehearsalPage, KeptRehearsal())},
		{Name: "ring", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.RingPage, RingDevices())},
		{Name: "impossible", Title: "impossible.title", Account: op, Page: show(page.ImpossiblePage, Impossible())},
		{Name: "fleet", Section: ui.Fleet, Title: "nav.fleet", Account: op, Page: show(page.FleetPage, Fleet())},
		{Name: "fleet-empty", Section: ui.Fleet, Title: "nav.fleet", Account: op, Page: show(page.FleetPage, EmptyFleet())},
		{Name: "device", Section: ui.Fleet, Title: "nav.fleet", Account: op, Page: show(page.DevicePage, Device())},
		{Name: "why", Section: ui.Fleet, Title: "nav.fleet", Account: op, Page: show(page.WhyPage, Why())},
		{Name: "patches", Section: ui.Patches, Title: "nav.patches", Account: op, Page: show(page.PatchesPage, Patches())},
		{Name: "patch", Section: ui.Patches, Title: "nav.patches", Account: op, Page: show(page.PatchPage, Patch())},
		{Name: "calendar", Section: ui.Calendar, Title: "nav.calendar", Account: op, Page: show(page.CalendarPage, Calendar())},
		{Name: "procedures", Section: ui.Procedures, Title: "nav.procedures", Account: op, Page: show(page.ProceduresPage, Procedures())},
		{Name: "procedure", Section: ui.Procedures, Title: "nav.procedures", Account: op, Page: show(page.ProcedurePage, Procedure())},
		{Name: "policy", Section: ui.Policies, Title: "nav.policy", Account: op, Page: show(page.PolicyPage, Policy())},
		{Name: "policy-old", Section: ui.Policies, Title: "nav.policy", Account: Reader(), Page: show(page.PolicyPage, OldPolicy())},
		{Name: "policy-none", Section: ui.Policies, Title: "nav.policy", Account: op, Page: show(page.PolicyPage, page.Policy{})},
		{Name: "policy-problems", Section: ui.Policies, Title: "policy.edit", Account: op, Page: show(page.PolicyEditPage, PolicyProblems())},
		{Name: "policy-confirm", Section: ui.Policies, Title: "policy.edit", Account: op, Page: show(page.PolicyEditPage, PolicyConfirm())},
		{Name: "policy-weighed", Section: ui.Policies, Title: "policy.edit", Account: Reader(), Page: show(page.PolicyEditPage, PolicyWeighed())},
		{Name: "exceptions", Section: ui.Exceptions, Title: "nav.exceptions", Account: op, Page: show(page.ExceptionsPage, Exceptions())},
		{Name: "exceptions-ended", Section: ui.Exceptions, Title: "nav.exceptions", Account: op, Page: show(page.ExceptionsPage, EndedExceptions())},
		{Name: "exceptions-none", Section: ui.Exceptions, Title: "nav.exceptions", Account: Reader(), Page: show(page.ExceptionsPage, page.Exceptions{Query: page.ExceptionQuery{Which: "expiring"}})},
		{Name: "tasks", Section: ui.Tasks, Title: "nav.tasks", Account: op, Page: show(page.TasksPage, Tasks())},
		{Name: "tasks-closed", Section: ui.Tasks, Title: "nav.tasks", Account: op, Page: show(page.TasksPage, ClosedTasks())},
		{Name: "tasks-none", Section: ui.Tasks, Title: "nav.tasks", Account: Reader(), Page: show(page.TasksPage, page.Tasks{Query: page.TaskQuery{Which: "overdue"}})},
		{Name: "task", Section: ui.Tasks, Title: "nav.tasks", Account: op, Page: show(page.TaskPage, Task())},
		{Name: "task-new", Section: ui.Tasks, Title: "nav.tasks", Account: Reader(), Page: show(page.TaskPage, NewTask())},
		{Name: "task-closed", Section: ui.Tasks, Title: "nav.tasks", Account: op, Page: show(page.TaskPage, ClosedTask())},
		{Name: "act-except", Section: ui.Exceptions, Title: "act_except.open", Account: op, Page: worded(ExceptForm)},
		{Name: "act-close-task", Section: ui.Tasks, Title: "act_close_task.open", Account: op, Page: worded(CloseTaskForm)},
		{Name: "readiness", Section: ui.Today, Title: "readiness.title", Account: op, Page: show(page.ReadinessPage, Readiness())},
		{Name: "readiness-all", Section: ui.Today, Title: "readiness.title", Account: Reader(), Page: show(page.ReadinessPage, AllReady())},
		{Name: "pilots", Section: ui.Procedures, Title: "pilots.open", Account: op, Page: show(page.PilotsPage, Pilots())},
		{Name: "lifecycle", Section: ui.Today, Title: "lifecycle.title", Account: op, Page: show(page.LifecyclePage, Lifecycle())},
		{Name: "lifecycle-none", Section: ui.Today, Title: "lifecycle.title", Account: Reader(), Page: show(page.LifecyclePage, NoTable())},
		{Name: "vulnerabilities", Section: ui.Patches, Title: "vulnerability.title", Account: op, Page: show(page.VulnerabilitiesPage, Vulnerabilities())},
		{Name: "vulnerabilities-none", Section: ui.Patches, Title: "vulnerability.title", Account: Reader(), Page: show(page.VulnerabilitiesPage, page.Vulnerabilities{})},
		{Name: "vulnerability", Section: ui.Patches, Title: "vulnerability.title", Account: op, Page: show(page.VulnerabilityPage, Vulnerability())},
		{Name: "clean-ups", Section: ui.CleanUps, Title: "nav.clean_ups", Account: op, Page: show(page.CleanUpsPage, CleanUps())},
		{Name: "clean-ups-none", Section: ui.CleanUps, Title: "nav.clean_ups", Account: Reader(), Page: show(page.CleanUpsPage, page.CleanUps{})},
		{Name: "register", Section: ui.Campaigns, Title: "register.title", Account: op, Page: show(page.RegisterPage, Register())},
		{Name: "search", Title: "frame.search", Account: op, Page: show(page.SearchPage, Search())},
		{Name: "login", Title: "login.title", Page: show(page.LoginPage, page.Login{Back: "/"})},
		{Name: "login-refused", Title: "login.title", Page: show(page.LoginPage, page.Login{Name: "exploitation", Error: "—"})},
		{Name: "act-sign", Section: ui.Campaigns, Title: "act_sign.open", Account: op, Page: show(page.ActPage, SignForm())},
		{Name: "act-rollback", Section: ui.Campaigns, Title: "act_rollback.open", Account: op, Page: show(page.ActPage, RollbackForm())},
		{Name: "act-describe", Section: ui.Fleet, Title: "act_describe.open", Account: op, Page: describeAct},
		{Name: "problem", Title: "problem_page.title", Account: op, Page: show(page.ProblemPage, page.Problem{Status: 404, Text: "—"})},
	}
}

// describeAct is the form of a device's description, in the reader's words.
func describeAct(f ui.Frame) templ.Component {
	d := Device()
	kinds := ui.Field{Name: "kind", Kind: ui.Select, Label: f.T("col.kind"), Value: string(d.Kind), Required: true}
	for _, k := range fleet.Kinds() {
		kinds.Options = append(kinds.Options, ui.Option{Value: string(k), Label: f.Word(lang.Kind, string(k))})
	}
	return page.ActPage(f, ui.Form{
		Title: f.T("act_describe.title"), Subject: d.Name, Consequence: f.T("act_describe.consequence"), Submit: f.T("act_describe.open"),
		Back: ui.Path("devices", d.ID), Action: ui.Path("devices", d.ID, "describe"),
		Fields: []ui.Field{
			{Name: "name", Kind: ui.Text, Label: f.T("col.name"), Value: d.Name, Required: true}, kinds,
			{Name: "tags", Kind: ui.Area, Label: f.T("col.tags"), Hint: f.T("act_describe.tags_hint"), Value: "department=finance\nsite=paris"},
			{Name: "reason", Kind: ui.Area, Label: f.T("field.reason"), Hint: f.T("field.reason_hint"), Required: true},
		},
	})
}

// worded is the form of an act, in the reader's words.
func worded(form func(ui.Frame) ui.Form) func(ui.Frame) templ.Component {
	return func(f ui.Frame) templ.Component { return page.ActPage(f, form(f)) }
}

// show binds a page to its view.
func show[V any](page func(ui.Frame, V) templ.Component, view V) func(ui.Frame) templ.Component {
	return func(f ui.Frame) templ.Component { return page(f, view) }
}

// Frame is the frame of a story in a language and a theme.
func (s Story) Frame(l lang.Lang, theme ui.Theme, files *assets.Store) (ui.Frame, error) {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		return ui.Frame{}, err
	}
	w := lang.For(string(l)).In(zone)
	f := ui.Frame{
		Words: w, Now: Now, Theme: theme, Title: w.T(s.Title), Section: s.Section, Path: "/",
		Account: s.Account, Asset: files.URL, Firing: 3, Grave: true,
	}
	if s.Flash {
		f.Flash = &ui.Flash{Good: true, Text: w.T("done.sign")}
	}
	return f, nil
}

// ofWatching are the screens of what is measured, and of alerts.
func ofWatching() []Story {
	op := Operator()
	return []Story{
		{Name: "measures", Section: ui.Fleet, Title: "measures.title", Account: op, Page: show(page.MeasuresPage, Measures(1))},
		{Name: "measures-none", Section: ui.Fleet, Title: "measures.title", Account: Reader(), Page: show(page.MeasuresPage, NoMeasures())},
		{Name: "measures-campaign", Section: ui.Campaigns, Title: "measures.compare", Account: op, Page: show(page.CampaignMeasuresPage, CampaignMeasures())},
		{Name: "probes", Section: ui.Probes, Title: "nav.probes", Account: op, Page: show(page.ProbesPage, Probes())},
		{Name: "probes-none", Section: ui.Probes, Title: "nav.probes", Account: Reader(), Page: show(page.ProbesPage, page.Probes{})},
		{Name: "alerts", Section: ui.Alerts, Title: "nav.alerts", Account: op, Page: show(page.AlertsPage, Alerts())},
		{Name: "alerts-resolved", Section: ui.Alerts, Title: "nav.alerts", Account: Reader(), Page: show(page.AlertsPage, ResolvedAlerts())},
		{Name: "alerts-none", Section: ui.Alerts, Title: "nav.alerts", Account: Reader(), Page: show(page.AlertsPage, page.Alerts{})},
		{Name: "alert", Section: ui.Alerts, Title: "nav.alerts", Account: op, Page: show(page.AlertPage, OneAlert())},
		{Name: "alert-acted", Section: ui.Alerts, Title: "nav.alerts", Account: op, Page: show(page.AlertPage, ActedAlert())},
		{Name: "alert-rules", Section: ui.Alerts, Title: "alerts.rules", Account: op, Page: show(page.AlertRulesPage, AlertRules())},
		{Name: "alert-rules-acting", Section: ui.Alerts, Title: "alerts.rules", Account: op, Page: show(page.AlertRulesPage, ActingAlertRules())},
		{Name: "alert-rules-confirm", Section: ui.Alerts, Title: "alerts.rules", Account: op, Page: show(page.AlertRulesPage, AlertRulesConfirm())},
		{Name: "alert-rules-wrong", Section: ui.Alerts, Title: "alerts.rules", Account: Reader(), Page: show(page.AlertRulesPage, DefaultAlertRules())},
		{Name: "alert-feeds", Section: ui.Alerts, Title: "alerts.feeds", Account: op, Page: show(page.AlertFeedsPage, AlertFeeds())},
	}
}

// ofPeople are what people at devices see and say, and what comes of it.
func ofPeople() []Story {
	op := Operator()
	return []Story{
		{Name: "personal", Title: "personal.title", Page: show(page.PersonalPage, Personal())},
		{Name: "personal-away", Title: "personal.title", Page: show(page.PersonalPage, PersonalAway())},
		{Name: "personal-refused", Title: "personal.title", Page: show(page.PersonalPage, PersonalRefused())},
		{Name: "personal-empty", Title: "personal.title", Flash: true, Page: show(page.PersonalPage, page.Personal{Token: Token, Device: "compta-07", Seen: Now})},
		{Name: "personal-gone", Title: "personal.gone", Page: show(page.PersonalGonePage, fault.Because(fault.LinkExpired, "at", "2026-01-01T00:00:00Z"))},
		{Name: "device-link", Section: ui.Fleet, Title: "nav.fleet", Account: op, Page: show(page.DeviceLinkPage, DeviceLink())},
		{Name: "feedback", Section: ui.Today, Title: "feedback.title", Account: op, Page: show(page.FeedbackPage, Feedback())},
		{Name: "feedback-none", Section: ui.Today, Title: "feedback.title", Account: Reader(), Page: show(page.FeedbackPage, page.FeedbackList{Query: page.FeedbackQuery{Which: "open"}})},
		{Name: "incidents", Section: ui.Incidents, Title: "nav.incidents", Account: op, Page: show(page.IncidentsPage, Incidents())},
		{Name: "incidents-none", Section: ui.Incidents, Title: "nav.incidents", Account: Reader(), Page: show(page.IncidentsPage, page.Incidents{Query: page.IncidentQuery{Which: "closed", After: "i-0"}})},
		{Name: "incident", Section: ui.Incidents, Title: "nav.incidents", Account: op, Page: show(page.IncidentPage, Incident())},
		{Name: "incident-closed", Section: ui.Incidents, Title: "nav.incidents", Account: op, Page: show(page.IncidentPage, ClosedIncident())},
		{Name: "tests", Section: ui.Tests, Title: "nav.tests", Account: op, Page: show(page.TestsPage, Tests())},
		{Name: "tests-campaign", Section: ui.Campaigns, Title: "nav.tests", Account: Reader(), Page: show(page.TestsPage, CampaignTests())},
		{Name: "tests-none", Section: ui.Tests, Title: "nav.tests", Account: Reader(), Page: show(page.TestsPage, page.Tests{})},
		{Name: "feedback-one", Section: ui.Today, Title: "feedback.title", Account: op, Page: show(page.FeedbackOnePage, FeedbackOne())},
	}
}
