package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
)

// screens are all addresses one can look at.
func (c *Console) screens() map[string]http.Handler {
	return map[string]http.Handler{
		"/{$}":                         screen(c, ui.Today, page.TodayPage, c.today),
		"/campaigns/rehearse":          screen(c, ui.Campaigns, page.RehearsalPage, c.rehearsal),
		"/campaigns":                   screen(c, ui.Campaigns, page.CampaignsPage, c.campaigns),
		"/campaigns/{id}":              screen(c, ui.Campaigns, page.BoardPage, c.board),
		"/campaigns/{id}/rings/{ring}": screen(c, ui.Campaigns, page.RingPage, c.ring),
		"/campaigns/{id}/suspects":     screen(c, ui.Campaigns, page.SuspectsPage, c.suspects),
		"/campaigns/{id}/evidence":     screen(c, ui.Campaigns, page.GateProofPage, c.gateProof),
		"/campaigns/{id}/register":     screen(c, ui.Campaigns, page.RegisterPage, c.campaignRegister),
		"/campaigns/{id}/verification": screen(c, ui.Campaigns, page.VerificationPage, c.verification),
		"/campaigns/{id}/dossier":      c.member(c.document(c.dossierFile)),
		"/campaigns/{id}/missing.csv":  c.member(c.document(c.missingFile)),
		"/reports/monthly":             screen(c, ui.Campaigns, page.MonthPage, c.month),
		"/reports/monthly/file":        c.member(c.document(c.monthFile)),
		"/rollbacks":                   screen(c, ui.NoSection, page.ImpossiblePage, c.impossible),
		"/devices":                     screen(c, ui.Fleet, page.FleetPage, c.fleet),
		"/devices/{id}":                screen(c, ui.Fleet, page.DevicePage, c.device),
		"/devices/{id}/why":            screen(c, ui.Fleet, page.WhyPage, c.why),
		"/devices/{id}/register":       screen(c, ui.Fleet, page.RegisterPage, c.deviceRegister),
		"/patches":                     screen(c, ui.Patches, page.PatchesPage, c.patches),
		"/patches/{id}":                screen(c, ui.Patches, page.PatchPage, c.patch),
		"/vulnerabilities":             screen(c, ui.Patches, page.VulnerabilitiesPage, c.vulnerabilities),
		"/vulnerabilities/{cve}":       screen(c, ui.Patches, page.VulnerabilityPage, c.vulnerability),
		"/calendar":                    screen(c, ui.Calendar, page.CalendarPage, c.calendar),
		"/clean-ups":                   screen(c, ui.CleanUps, page.CleanUpsPage, c.cleanUps),
		"/devices/{id}/measures":       screen(c, ui.Fleet, page.MeasuresPage, c.measures),
		"/campaigns/{id}/measures":     screen(c, ui.Campaigns, page.CampaignMeasuresPage, c.campaignMeasures),
		"/probes":                      screen(c, ui.Probes, page.ProbesPage, c.probes),
		"/exceptions":                  screen(c, ui.Exceptions, page.ExceptionsPage, c.exceptions),
		"/tasks":                       screen(c, ui.Tasks, page.TasksPage, c.tasks),
		"/incidents":                   screen(c, ui.Incidents, page.IncidentsPage, c.incidents),
		"/incidents/{id}":              screen(c, ui.Incidents, page.IncidentPage, c.incident),
		"/tests":                       screen(c, ui.Tests, page.TestsPage, c.tests),
		"/campaigns/{id}/tests":        screen(c, ui.Campaigns, page.TestsPage, c.campaignTests),
		"/feedback/{id}":               screen(c, ui.Today, page.FeedbackOnePage, c.feedbackOne),
		"/tasks/{id}":                  screen(c, ui.Tasks, page.TaskPage, c.task),
		"/tasks/{id}/proofs/{proof}":   c.member(c.proofFile),
		"/procedures":                  screen(c, ui.Procedures, page.ProceduresPage, c.procedures),
		"/procedures/{name}":           screen(c, ui.Procedures, page.ProcedurePage, c.procedure),
		"/policy":                      screen(c, ui.Policies, page.PolicyPage, c.policy),
		"/policy/edit":                 screen(c, ui.Policies, page.PolicyEditPage, c.policyEdit),
		"/procedures/{name}/pilots":    screen(c, ui.Procedures, page.PilotsPage, c.pilots),
		"/devices/{id}/page":           screen(c, ui.Fleet, page.DeviceLinkPage, c.deviceLink),
		"/feedback":                    screen(c, ui.Today, page.FeedbackPage, c.feedback),
		"/policy/logo.png":             c.member(c.logo),
		"/readiness":                   screen(c, ui.Today, page.ReadinessPage, c.readiness),
		"/lifecycle":                   screen(c, ui.Today, page.LifecyclePage, c.lifecycle),
		"/register":                    screen(c, ui.NoSection, page.RegisterPage, c.wholeRegister),
		"/alerts":                      screen(c, ui.Alerts, page.AlertsPage, c.alerts),
		"/alerts/{id}":                 screen(c, ui.Alerts, page.AlertPage, c.alert),
		"/alerts/rules":                screen(c, ui.Alerts, page.AlertRulesPage, c.alertRules),
		"/alerts/feeds":                screen(c, ui.Alerts, page.AlertFeedsPage, c.alertFeeds),
		"/search":                      screen(c, ui.NoSection, page.SearchPage, c.search),
	}
}

// screen is one page: what it reads, and the markup that shows it. The title
// is the section's unless the view has a name of its own.
func screen[V any](c *Console, section ui.Section, show func(ui.Frame, V) templ.Component, read func(visit) (V, error)) http.Handler {
	return c.member(func(v visit) {
		view, err := read(v)
		if err != nil {
			c.problem(v, err)
			return
		}
		f := inZone(c.frame(v, section, title(v, section, view)), view)
		f.Flash = c.flash(v)
		c.show(v, http.StatusOK, show(f, view))
	})
}

// titled views name their page.
type titled interface{ Heading() string }

func title(v visit, section ui.Section, view any) string {
	if t, ok := view.(titled); ok && t.Heading() != "" {
		return t.Heading()
	}
	if _, is := view.(page.Impossible); is {
		return v.words.T("impossible.title")
	}
	if section == ui.NoSection {
		return v.words.T("frame.search")
	}
	return v.words.T("nav." + string(section))
}

func (c *Console) today(v visit) (page.Today, error) { return c.Reader.Today(v.Context(), v.viewer()) }

func (c *Console) suspects(v visit) (page.Suspects, error) {
	return c.Reader.Suspects(v.Context(), v.viewer(), v.PathValue("id"))
}

func (c *Console) gateProof(v visit) (page.GateProof, error) {
	return c.Reader.GateProof(v.Context(), v.viewer(), v.PathValue("id"))
}

func (c *Console) campaigns(v visit) (page.Campaigns, error) {
	return c.Reader.Campaigns(v.Context(), v.viewer(), page.CampaignQuery{
		State: campaign.State(v.FormValue("state")), After: v.FormValue("after"),
	})
}

func (c *Console) rehearsal(v visit) (page.Rehearsal, error) {
	return c.Reader.Rehearsal(v.Context(), v.viewer(), page.RehearsalQuery{
		Procedure: v.FormValue("procedure"), When: v.FormValue("when"), Ring: v.FormValue("ring"),
		Bucket: campaign.Bucket(v.FormValue("bucket")), Reason: fault.Code(v.FormValue("reason")), After: v.FormValue("after"),
	})
}

func (c *Console) board(v visit) (page.Board, error) {
	return c.Reader.Board(v.Context(), v.viewer(), v.PathValue("id"))
}

func (c *Console) ring(v visit) (page.RingDevices, error) {
	n, err := whole(v.FormValue("amendment"), "amendment")
	if err != nil {
		return page.RingDevices{}, err
	}
	return c.Reader.Ring(v.Context(), v.viewer(), v.PathValue("id"), page.RingQuery{
		Ring: v.PathValue("ring"), Amendment: n, Bucket: campaign.Bucket(v.FormValue("bucket")), After: v.FormValue("after"),
	})
}

func (c *Console) fleet(v visit) (page.Fleet, error) {
	q := page.FleetQuery{
		Name: v.FormValue("name"), Filter: v.FormValue("filter"), Tag: v.FormValue("tag"),
		Group: v.FormValue("group"), Kind: fleet.Kind(v.FormValue("kind")), After: v.FormValue("after"),
	}
	return c.Reader.Fleet(v.Context(), v.viewer(), q)
}

func (c *Console) device(v visit) (page.Device, error) {
	return c.Reader.Device(v.Context(), v.viewer(), v.PathValue("id"))
}

func (c *Console) impossible(v visit) (page.Impossible, error) {
	return c.Reader.Impossible(v.Context(), v.viewer(), page.ImpossibleQuery{Campaign: v.FormValue("campaign"), After: v.FormValue("after")})
}

func (c *Console) why(v visit) (page.Why, error) {
	return c.Reader.Explain(v.Context(), v.viewer(), v.PathValue("id"), v.FormValue("patch"))
}

func (c *Console) patches(v visit) (page.Patches, error) {
	return c.Reader.Patches(v.Context(), v.viewer(), page.PatchQuery{
		Name: v.FormValue("name"), Class: patch.Class(v.FormValue("class")), Verdict: policy.Verdict(v.FormValue("verdict")),
		Exploited: v.FormValue("exploited") == "1", Severity: policy.Severity(v.FormValue("severity")),
		Missing: v.FormValue("missing") == "1", Sort: orElse(v.FormValue("sort"), "recent"), After: v.FormValue("after"),
	})
}

func (c *Console) vulnerabilities(v visit) (page.Vulnerabilities, error) {
	return c.Reader.Vulnerabilities(v.Context(), v.viewer(), page.VulnerabilityQuery{
		Text: v.FormValue("text"), Severity: policy.Severity(v.FormValue("severity")),
		Exploited: v.FormValue("exploited") == "1", Open: v.FormValue("open") == "1", After: v.FormValue("after"),
	})
}

func (c *Console) vulnerability(v visit) (page.Vulnerability, error) {
	return c.Reader.Vulnerability(v.Context(), v.viewer(), v.PathValue("cve"))
}

func (c *Console) patch(v visit) (page.Patch, error) {
	return c.Reader.Patch(v.Context(), v.viewer(), v.PathValue("id"), page.PatchDeviceQuery{
		Which: orElse(v.FormValue("which"), page.Whiches[0]), Campaign: v.FormValue("campaign"), After: v.FormValue("after"),
	})
}

func (c *Console) calendar(v visit) (page.Calendar, error) {
	q := page.CalendarQuery{Procedure: v.FormValue("procedure"), Device: strings.TrimSpace(v.FormValue("device"))}
	if from := v.FormValue("from"); from != "" {
		t, err := time.Parse("2006-01", from)
		if err != nil {
			return page.Calendar{}, invalid("from", "not_a_month", "2026-01")
		}
		q.Year, q.Month = t.Year(), t.Month()
	}
	return c.Reader.Calendar(v.Context(), v.viewer(), q)
}

func (c *Console) procedures(v visit) (page.Procedures, error) {
	return c.Reader.Procedures(v.Context(), v.viewer())
}

func (c *Console) procedure(v visit) (page.Procedure, error) {
	version, err := whole(v.FormValue("version"), "version")
	if err != nil {
		return page.Procedure{}, err
	}
	return c.Reader.Procedure(v.Context(), v.viewer(), v.PathValue("name"), version)
}

func (c *Console) campaignRegister(v visit) (page.Register, error) {
	return c.Reader.Register(v.Context(), v.viewer(), page.RegisterQuery{Campaign: v.PathValue("id"), After: v.FormValue("after")})
}

func (c *Console) deviceRegister(v visit) (page.Register, error) {
	return c.Reader.Register(v.Context(), v.viewer(), page.RegisterQuery{Device: v.PathValue("id"), After: v.FormValue("after")})
}

func (c *Console) wholeRegister(v visit) (page.Register, error) {
	return c.Reader.Register(v.Context(), v.viewer(), page.RegisterQuery{After: v.FormValue("after")})
}

// found is how many of each kind a search shows.
const found = 8

func (c *Console) search(v visit) (page.Search, error) {
	out := page.Search{Word: v.FormValue("q")}
	if out.Word == "" {
		return out, nil
	}
	devices, err := c.Reader.Fleet(v.Context(), v.viewer(), page.FleetQuery{Name: out.Word})
	if err != nil {
		return out, err
	}
	patches, err := c.Reader.Patches(v.Context(), v.viewer(), page.PatchQuery{Name: out.Word, Sort: "name"})
	if err != nil {
		return out, err
	}
	campaigns, err := c.Reader.Campaigns(v.Context(), v.viewer(), page.CampaignQuery{})
	if err != nil {
		return out, err
	}
	out.Devices = devices.Devices[:min(found, len(devices.Devices))]
	out.Patches = patches.Patches[:min(found, len(patches.Patches))]
	out.Campaigns = named(campaigns.Campaigns, out.Word)
	return out, nil
}

func whole(text, field string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid(field, "not_a_number", "0")
	}
	return n, nil
}

func invalid(field, problem, fix string) *fault.Error {
	return fault.New(fault.InvalidField, "field", field, "problem", problem, "fix", fix)
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
