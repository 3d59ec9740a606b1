package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"

	"patchring/internal/core/fault"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/service/access"
)

// visit is one request of one person.
type visit struct {
	*http.Request
	w     http.ResponseWriter
	who   access.Principal
	words lang.Words
}

func (v visit) viewer() source.Viewer {
	return source.Viewer{Tenant: v.who.Tenant, Names: v.who.Names(), Roles: v.who.Roles, Words: v.words}
}

// member lets only people who are logged in through. Whoever is not is sent to
// the door, and comes back after; a database that does not answer is not a
// refusal.
func (c *Console) member(h func(visit)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visit{Request: r, w: w, words: c.words(r, "")}
		who, err := c.Accounts.Of(r.Context(), c.Sessions)
		switch {
		case err == nil:
			v.who, v.words = who, c.words(r, who.Lang)
			h(v)
		case !errors.Is(err, fault.New(fault.Unauthorized)):
			c.problem(v, err)
		case r.Method == http.MethodGet && !strings.Contains(r.Header.Get("Accept"), "text/event-stream") && r.Header.Get("HX-Request") == "":
			http.Redirect(w, r, ui.With("/login", "back", r.URL.RequestURI()), http.StatusSeeOther)
		default:
			c.problem(v, err)
		}
	})
}

// words chooses the language: what this browser was switched to, then what the
// account prefers, then what the browser asks for.
func (c *Console) words(r *http.Request, account string) lang.Words {
	chosen := ""
	if cookie, err := r.Cookie(langCookie); err == nil {
		chosen = cookie.Value
	}
	return lang.For(chosen, account, r.Header.Get("Accept-Language")).In(c.Zone)
}

func (c *Console) frame(v visit, section ui.Section, title string) ui.Frame {
	theme := ui.ThemeSystem
	if cookie, err := v.Cookie(themeCookie); err == nil {
		theme = ui.ParseTheme(cookie.Value)
	}
	f := ui.Frame{
		Words: v.words, Now: c.Clock(), Theme: theme, Title: title, Section: section,
		Path: v.URL.RequestURI(), Asset: c.files.URL,
	}
	if v.who.Account != "" {
		f.Account = account(v.who)
		c.countAlerts(v, &f)
	}
	return f
}

func account(p access.Principal) *ui.Account {
	return &ui.Account{Name: p.Name, Roles: p.Roles, May: ui.May{
		Run: p.May(access.RunAct), Decide: p.May(access.DecideAct), Fleet: p.May(access.FleetAct),
		Except: p.May(access.ExceptAct), Tasks: p.May(access.TaskAct), Policies: p.May(access.Policies), Freeze: p.May(access.FreezeAct), Alerts: p.May(access.AlertAct), Incidents: p.May(access.Incidents),
	}}
}

// zoned views tell their times in a zone of their own.
type zoned interface{ TimeZone() string }

func inZone(f ui.Frame, view any) ui.Frame {
	z, ok := view.(zoned)
	if !ok || z.TimeZone() == "" {
		return f
	}
	// A zone this machine does not know leaves the console's own, which the
	// foot of the page names.
	if zone, err := time.LoadLocation(z.TimeZone()); err == nil {
		f.Words = f.Words.In(zone)
	}
	return f
}

// show writes a page.
func (c *Console) show(v visit, status int, body templ.Component) {
	secure(v.w.Header())
	v.w.WriteHeader(status)
	if err := body.Render(v.Context(), v.w); err != nil && v.Context().Err() == nil {
		c.Log.Error("render page", "path", v.URL.Path, "err", err)
	}
}

// problem shows why there is no page. What is not a fault is ours: its text
// goes to the log only.
func (c *Console) problem(v visit, err error) {
	status := statusOf(err)
	if status == http.StatusInternalServerError && v.Context().Err() == nil {
		c.Log.Error("console", "path", v.URL.Path, "err", err)
	}
	f := c.frame(v, ui.NoSection, v.words.T("problem_page.title"))
	c.show(v, status, page.ProblemPage(f, page.Problem{Status: status, Text: v.words.Error(err)}))
}

// statusOf is the HTTP status of a refusal.
func statusOf(err error) int {
	switch fault.CodeOf(err) {
	case fault.Internal:
		return http.StatusInternalServerError
	case fault.NotFound, fault.DeviceUnknown:
		return http.StatusNotFound
	case fault.Unauthorized:
		return http.StatusUnauthorized
	case fault.Forbidden, fault.NoSuchRole:
		return http.StatusForbidden
	case fault.TooManyTries:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Conflict, fault.AlreadyExists, fault.CampaignClosed, fault.NothingToDo:
		return http.StatusConflict
	default:
		return http.StatusBadRequest
	}
}

func (c *Console) nothing(v visit) {
	c.problem(v, fault.New(fault.NotFound, "what", "page", "name", v.URL.Path))
}
