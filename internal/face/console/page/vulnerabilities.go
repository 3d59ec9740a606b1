package page

import (
	"slices"
	"strings"

	"patchring/internal/core/feed"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
)

// Vulnerabilities is what known patches mend, the worst first.
type Vulnerabilities struct {
	view.VulnerabilityPage
	Query VulnerabilityQuery
	Title string
}

// VulnerabilityQuery is what the list is asked for.
type VulnerabilityQuery struct {
	Text      string
	Severity  policy.Severity
	Exploited bool
	Open      bool // only those that a device has now
	After     string
}

// Heading names the page.
func (v Vulnerabilities) Heading() string { return v.Title }

// Vulnerability is one, with what mends it.
type Vulnerability struct{ view.Vulnerability }

// Heading names the page.
func (v Vulnerability) Heading() string { return v.CVE }

const vulnerabilitiesPath = "/vulnerabilities"

func vulnerabilityPath(cve string) string { return ui.Path("vulnerabilities", cve) }

// grades from the worst.
var grades = []policy.Severity{policy.SeverityCritical, policy.SeverityHigh, policy.SeverityMedium, policy.SeverityLow, policy.SeverityUnknown}

func ofGrade(s policy.Severity) ui.Tone {
	switch s {
	case policy.SeverityCritical:
		return ui.Bad
	case policy.SeverityHigh, policy.SeverityMedium:
		return ui.Warn
	default:
		return ui.Idle
	}
}

func (q VulnerabilityQuery) address() string {
	return ui.With(vulnerabilitiesPath, "text", q.Text, "severity", string(q.Severity), "exploited", flag(q.Exploited), "open", flag(q.Open), "after", q.After)
}

func (q VulnerabilityQuery) narrow() bool {
	q.After = ""
	return q != VulnerabilityQuery{}
}

func (v Vulnerabilities) first() string {
	if v.Query.After == "" {
		return ""
	}
	v.Query.After = ""
	return v.Query.address()
}

func (v Vulnerabilities) next() string {
	if v.Next == "" {
		return ""
	}
	v.Query.After = v.Next
	return v.Query.address()
}

// blind tells that no list can be made: the tracker says which version mends
// what, and the other feeds only how bad it is.
func blind(feeds []view.Feed) bool {
	for _, f := range feeds {
		if f.Name == feed.Debian {
			return false
		}
	}
	return true
}

func exploited(f ui.Frame, due string) string {
	if due == "" {
		return f.T("vulnerability.exploited")
	}
	return f.T("vulnerability.exploited") + ", " + f.T("vulnerability.due", "day", f.Day(due))
}

// mendsShown bounds the card of a patch's page: a kernel mends hundreds, and the
// worst come first.
const mendsShown = 15

// told joins what is known, each thing once.
func told(parts ...string) string {
	return strings.Join(slices.Compact(slices.DeleteFunc(parts, func(p string) bool { return p == "" })), " · ")
}

func graded(f ui.Frame, m view.Mending) string {
	text := f.Word(lang.Grade, string(m.Severity))
	if m.By != "" {
		text += " (" + f.Word(lang.GradedBy, string(m.By)) + ")"
	}
	return text
}
