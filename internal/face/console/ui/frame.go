// Package ui is what all pages of the console are made of: the frame around
// them, icons, badges, the five numbers as a drawing, tables' paging, forms.
// It knows words and shapes; it knows no campaign rule and reads nothing.
//
// Every component is a pure function of its arguments, safe from any goroutine.
package ui

import (
	"net/url"
	"time"

	"patchring/internal/face/lang"
)

// May is what an account is allowed to do, for pages to offer it; the act
// itself checks again.
type May struct {
	Run    bool // campaigns: hold, resume, expedite, withdraw, amend, roll back, close
	Decide bool // approve, delay, decline patches
	Fleet  bool // retire devices, let clean-ups go
	// Policies: put one in force. Everybody may look and weigh.
	Policies bool
	Freeze   bool // place and end freezes by hand
	Except   bool // grant and end exceptions
	Tasks    bool // open and reopen manual tasks
	Alerts   bool // acknowledge and silence any, rules, tests, links to feeds
	// Incidents: open, note, correct, close and reopen them.
	Incidents bool
}

// Account is who looks at the page.
type Account struct {
	Name  string
	Roles []string // a gate's sign-off is offered to those who hold its role
	May   May
}

// Theme is light, dark, or what the system says.
type Theme string

// Themes.
const (
	ThemeSystem Theme = "system"
	ThemeLight  Theme = "light"
	ThemeDark   Theme = "dark"
)

// ParseTheme reads a cookie; anything else is the system's.
func ParseTheme(s string) Theme {
	if t := Theme(s); t == ThemeLight || t == ThemeDark {
		return t
	}
	return ThemeSystem
}

// Next is what the theme button changes to.
func (t Theme) Next() Theme {
	switch t {
	case ThemeSystem:
		return ThemeLight
	case ThemeLight:
		return ThemeDark
	default:
		return ThemeSystem
	}
}

// Section is the part of the navigation a page belongs to.
type Section string

// Sections.
const (
	NoSection  Section = ""
	Today      Section = "today"
	Campaigns  Section = "campaigns"
	Fleet      Section = "fleet"
	Patches    Section = "patches"
	Calendar   Section = "calendar"
	Procedures Section = "procedures"
	Policies   Section = "policy"
	Tasks      Section = "tasks"
	Exceptions Section = "exceptions"
	CleanUps   Section = "clean_ups"
	Probes     Section = "probes"
	Alerts     Section = "alerts"
	Incidents  Section = "incidents"
	Tests      Section = "tests"
)

// Flash is what the last act of this person led to, told once.
type Flash struct {
	Good bool
	Text string
}

// Frame is what every page needs beside its own view.
type Frame struct {
	lang.Words
	Now     time.Time
	Theme   Theme
	Title   string
	Section Section
	Path    string // path and query of the page: where the switches return to
	Account *Account
	Flash   *Flash
	// Firing is how many alerts nobody has acknowledged; Grave, that one of them is
	// critical.
	Firing int64
	Grave  bool
	Asset  func(name string) string
}

type navigation struct {
	section         Section
	path, icon, key string
}

var sections = []navigation{
	{Today, "/", "house", "t"},
	{Alerts, "/alerts", "siren", "a"},
	{Campaigns, "/campaigns", "rocket", "c"},
	{Fleet, "/devices", "monitor", "f"},
	{Patches, "/patches", "package", "p"},
	{Calendar, "/calendar", "calendar-days", "k"},
	{Procedures, "/procedures", "file-text", "o"},
	{Policies, "/policy", "milestone", "y"},
	{Incidents, "/incidents", "siren", "i"},
	{Tests, "/tests", "circle-check", "e"},
	{Tasks, "/tasks", "list-checks", "m"},
	{Exceptions, "/exceptions", "shield-alert", "x"},
	{CleanUps, "/clean-ups", "archive", "n"},
	{Probes, "/probes", "radio", "b"},
}

// With is an address with query values; pairs with an empty value are left out.
func With(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// Path joins address segments, each escaped: names come from devices and
// people.
func Path(segments ...string) string {
	out := ""
	for _, s := range segments {
		out += "/" + url.PathEscape(s)
	}
	return out
}
