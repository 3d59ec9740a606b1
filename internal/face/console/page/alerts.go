package page

import (
	"time"

	"patchring/internal/core/alert"
	"patchring/internal/core/manifest"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/watch"
)

// Alerts is what is wrong now, who must act, and what was not told.
type Alerts struct {
	Query    AlertQuery
	Rows     []view.AlertRow
	Next     string
	Silences []view.SilenceRow
	Dead     []view.DeliveryRow // given up: somebody was not told
}

// AlertQuery narrows the list.
type AlertQuery struct {
	Which    string
	Severity string
	Device   string // id
	Campaign string // id
	Rule     string
	After    string
}

func (q AlertQuery) path(which, severity string) string {
	return ui.With("/alerts", "which", which, "severity", severity, "device", q.Device, "campaign", q.Campaign, "rule", q.Rule)
}

func (q AlertQuery) live() string {
	return ui.With("/alerts/live", "which", q.Which, "severity", q.Severity, "device", q.Device, "campaign", q.Campaign, "rule", q.Rule)
}

func (v Alerts) first() string {
	return firstPage(v.Query.After, "/alerts", "which", v.Query.Which, "severity", v.Query.Severity, "device", v.Query.Device, "campaign", v.Query.Campaign, "rule", v.Query.Rule)
}

func (v Alerts) next() string {
	return nextPage(v.Next, "/alerts", "which", v.Query.Which, "severity", v.Query.Severity, "device", v.Query.Device, "campaign", v.Query.Campaign, "rule", v.Query.Rule)
}

// AlertOne is one alert.
type AlertOne struct{ view.AlertRow }

// Heading is the page's title.
func (a AlertOne) Heading() string { return "" }

// AlertRules is a document of rules with its versions and outputs.
type AlertRules struct {
	Name     string
	Version  int64
	Text     string
	Problems []manifest.Problem
	Warnings []manifest.Problem
	Error    string
	Sound    bool
	Diff     *watch.BookDiff // what Text would change, when that was asked
	Confirm  *PolicyConfirm  // it is to be put in force, if that is confirmed
	Rules    []alert.Rule
	Outputs  []alert.Output
	Versions []AlertVersion
}

// AlertVersion is a version with who put it in force.
type AlertVersion struct {
	PolicyVersion
}

func alertTone(a view.AlertRow) ui.Tone {
	switch {
	case a.State == alert.Resolved:
		return ui.Good
	case !a.SilentUntil.IsZero():
		return ui.Apart
	case a.State == alert.Acknowledged:
		return ui.Busy
	}
	return severityTone(a.Severity)
}

func severityTone(s alert.Severity) ui.Tone {
	switch s {
	case alert.Critical:
		return ui.Bad
	case alert.Warning:
		return ui.Warn
	}
	return ui.Idle
}

func mayAlert(f ui.Frame) bool { return f.Account != nil && f.Account.May.Alerts }

// mayAck: who must act acknowledges too.
func mayAck(f ui.Frame, a view.AlertRow) bool {
	if f.Account == nil || a.State != alert.Firing {
		return false
	}
	if f.Account.May.Alerts || f.Account.Name == a.Who {
		return true
	}
	for _, role := range f.Account.Roles {
		if role == a.Who {
			return true
		}
	}
	return false
}

func alertPath(id string, more ...string) string {
	return ui.Path(append([]string{"alerts", id}, more...)...)
}

// AlertFeeds are the links that programs read.
type AlertFeeds struct{ Links []AlertFeed }

// AlertFeed is one link.
type AlertFeed struct {
	ID, Kind, Name, Path, By string
	Created                  time.Time
}

// ruleAbout says what a rule looks at, for people.
func ruleAbout(f ui.Frame, r alert.Rule) string {
	if r.Event != "" {
		return f.Word(lang.AlertEvent, string(r.Event))
	}
	key := "alerts.rule_above"
	if r.Below {
		key = "alerts.rule_below"
	}
	text := f.T(key, "name", f.Word(lang.Measure, string(r.Measure)), "limit", f.Measured(r.Measure, r.Limit))
	if r.For > 0 {
		text += " · " + f.Duration(r.For)
	}
	return text
}
