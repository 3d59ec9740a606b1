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
	return []Story{
		{Name: "board", Section: ui.Campaigns, Title: "nav.campaigns", Account: Operator(), Page: show(page.BoardPage, Board())},
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
