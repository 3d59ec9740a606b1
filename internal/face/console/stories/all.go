package stories

import (
	"time"

	"github.com/a-h/templ"

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
	op := Operator()
	return []Story{
		{Name: "today", Section: ui.Today, Title: "nav.today", Account: op, Page: show(page.TodayPage, Today())},
		{Name: "today-quiet", Section: ui.Today, Title: "nav.today", Account: Reader(), Page: show(page.TodayPage, QuietToday())},
		{Name: "campaigns", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.CampaignsPage, Campaigns())},
		{Name: "board", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Page: show(page.BoardPage, Board())},
		{Name: "board-closed", Section: ui.Campaigns, Title: "nav.campaigns", Account: Reader(), Page: show(page.BoardPage, ClosedBoard())},
		{Name: "board-new", Section: ui.Campaigns, Title: "nav.campaigns", Account: op, Flash: true, Page: show(page.BoardPage, NewBoard())},
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
		{Name: "register", Section: ui.Campaigns, Title: "register.title", Account: op, Page: show(page.RegisterPage, Register())},
		{Name: "search", Title: "frame.search", Account: op, Page: show(page.SearchPage, Search())},
		{Name: "login", Title: "login.title", Page: show(page.LoginPage, page.Login{Back: "/"})},
		{Name: "login-refused", Title: "login.title", Page: show(page.LoginPage, page.Login{Name: "exploitation", Error: "—"})},
		{Name: "act-sign", Section: ui.Campaigns, Title: "act_sign.open", Account: op, Page: show(page.ActPage, SignForm())},
		{Name: "act-rollback", Section: ui.Campaigns, Title: "act_rollback.open", Account: op, Page: show(page.ActPage, RollbackForm())},
		{Name: "problem", Title: "problem_page.title", Account: op, Page: show(page.ProblemPage, page.Problem{Status: 404, Text: "—"})},
	}
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
		Account: s.Account, Asset: files.URL,
	}
	if s.Flash {
		f.Flash = &ui.Flash{Good: true, Text: w.T("done.sign")}
	}
	return f, nil
}
