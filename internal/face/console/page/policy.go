package page

import (
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
)

// Policy is one version of the policy.
type Policy struct {
	PolicyVersion
	File     *policy.Policy // as read; nil: there is none, or this program cannot read it any more
	Text     string         // as it was applied; empty: no policy was ever put in force
	SHA256   string
	Versions []PolicyVersion // newest first
	Logo     bool            // the tenant has one
	ForAll   *PolicyForAll   // nil: there is none
}

// PolicyForAll is the provider's policy, which stands under every tenant's own.
type PolicyForAll struct {
	PolicyVersion
	File *policy.Policy // nil: this program cannot read it any more
	Text string
}

// PolicyVersion is a version with who put it in force, and when.
type PolicyVersion struct {
	Number int64
	Name   string
	By     string
	At     time.Time
}

// TimeZone is where the policy's times are told.
func (p Policy) TimeZone() string {
	if p.File == nil {
		return ""
	}
	return p.File.Zone.String()
}

// inForce tells whether this is the version in force.
func (p Policy) inForce() bool { return len(p.Versions) > 0 && p.Versions[0].Number == p.Number }

// PolicyEdit is the editor with what was said of its text.
type PolicyEdit struct {
	Text     string
	Problems []manifest.Problem // why it is no policy
	Error    string             // why it was not put in force
	Sound    bool               // it was checked, and no problem was found
	Warnings []manifest.Problem
	Starved  []policy.Starved
	Diff     *PolicyDiff
	Confirm  *PolicyConfirm // it is to be put in force, if that is confirmed
	Devices  []policy.Field
	Patches  []policy.Field
}

// PolicyConfirm is exactly what was shown when somebody was asked: the text, by
// its hash, against which version.
type PolicyConfirm struct {
	SHA256 string
	Base   int64
}

// PolicyDiff is what a policy would change.
type PolicyDiff struct {
	Devices  int64
	Changed  int64
	Verdicts []PolicyMoved
	Settings []PolicyResettled
	More     int64 // lines that are not shown
}

// PolicyMoved is a patch whose verdict changes.
type PolicyMoved struct {
	Patch, Name, Version string
	Before, After        PolicySaid
	Devices              int64
	Examples             []string
}

// PolicySaid is a verdict with its rule.
type PolicySaid struct {
	Verdict         policy.Verdict
	Rule, Safeguard string
	Until, Last     time.Time // the delay ends between the two, by device
}

// PolicyResettled is a change of profiles or settings.
type PolicyResettled struct {
	Parts         []policy.Part
	Before, After []string
	Devices       int64
	Examples      []string
}

// DevicePolicy is what policies say of one device.
type DevicePolicy struct {
	Profiles []PolicyProfile
	Windows  []PolicyWindow // none: the procedure's
	Frozen   *PolicyFreeze
	Freezes  []PolicyFreeze // to come
	Limits   []string
}

// PolicyProfile names a profile.
type PolicyProfile struct{ Name, Title string }

// PolicyWindow is a window with its next opening.
type PolicyWindow struct {
	Name       string
	Start, End time.Time
}

// PolicyFreeze is a freeze as a device meets it.
type PolicyFreeze struct {
	Name, Reason string
	From, Until  time.Time
}

// PatchRule is a rule that speaks of a patch.
type PatchRule struct {
	Rule    string
	Verdict policy.Verdict
	Delay   time.Duration
	Until   time.Time
	Profile string // title of the profile; empty: every device
	Devices string // its condition
}

// PatchGuard is a safeguard that holds a patch back.
type PatchGuard struct{ Name, Devices, Reason string }

// precedence are the places of a verdict, the strongest first.
var precedence = []string{"hand", "profile", "tenant", "class", "global"}

func (d PolicyDiff) nothing() bool { return len(d.Verdicts)+len(d.Settings) == 0 }

func ruleVerdict(f ui.Frame, r policy.Rule) string {
	word := f.Word(lang.Verdict, string(r.Verdict))
	switch {
	case r.Verdict == policy.Delayed:
		return f.T("policy.delayed_by", "d", f.Duration(r.Delay))
	case !r.Until.IsZero():
		return word + " " + f.T("policy.until", "date", f.DateShort(lastDay(r.Until)))
	}
	return word
}

func patchRuleVerdict(f ui.Frame, r PatchRule) string {
	return ruleVerdict(f, policy.Rule{Verdict: r.Verdict, Delay: r.Delay, Until: r.Until})
}

// lastDay is in the last day that an end leaves: one at midnight is told by the
// day before, as it was written.
func lastDay(end time.Time) time.Time { return end.Add(-time.Second) }

func saidWords(f ui.Frame, s PolicySaid) string {
	text := f.Word(lang.Verdict, string(s.Verdict))
	switch {
	case !s.Last.IsZero():
		text += " " + f.T("policy.until_between", "first", f.DateShort(lastDay(s.Until)), "last", f.DateShort(lastDay(s.Last)))
	case !s.Until.IsZero():
		text += " " + f.T("policy.until", "date", f.DateShort(lastDay(s.Until)))
	}
	return text
}

func partWords(f ui.Frame, parts []policy.Part) string {
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = f.Word(lang.Part, string(p))
	}
	return f.List(words)
}

func profileWords(f ui.Frame, names []string) string {
	if len(names) == 0 {
		return f.T("policy.no_profile")
	}
	return strings.Join(names, ", ")
}

// windowWords is the rule of a window.
func windowWords(f ui.Frame, w calendar.Window) string {
	if len(w.Closed) > 0 {
		hours := make([]string, len(w.Closed))
		for i, h := range w.Closed {
			hours[i] = dayWords(f, h.Days) + " " + h.Start.String() + "–" + h.End.String()
		}
		return f.T("policy.closed", "hours", f.List(hours))
	}
	when := dayWords(f, w.Days)
	if w.Rule != nil {
		when = f.T("policy.by_rule", "rule", w.Rule.String())
	}
	if w.Duration > 0 {
		return f.T("policy.window_for", "days", when, "start", w.Start.String(), "d", f.Duration(w.Duration))
	}
	return when + ", " + w.Start.String() + "–" + w.End.String()
}

func dayWords(f ui.Frame, days []time.Weekday) string {
	if len(days) == 7 {
		return f.T("policy.every_day")
	}
	words := make([]string, len(days))
	for i, d := range days {
		words[i] = f.WeekdayFull(d)
	}
	return f.List(words)
}

// opens is the next opening of a window, without freezes.
func opens(f ui.Frame, w calendar.Window) (calendar.Interval, bool) {
	return calendar.Next([]calendar.Window{w}, f.Now)
}

func limitWords(f ui.Frame, l policy.Limit) string {
	most := f.Percent(float64(l.AtMostPc))
	if l.AtMost > 0 {
		most = f.Number(int64(l.AtMost))
	}
	text := f.T("policy.limit", "most", most)
	if l.Each != "" {
		text += " " + f.T("policy.limit_each", "tag", l.Each)
	}
	if l.StopAfter > 0 {
		text += " · " + f.N("policy.stop_after", int64(l.StopAfter))
	}
	return text
}

func bandwidthWords(f ui.Frame, b policy.Bandwidth) string {
	text := f.T("policy.bandwidth", "rate", f.Bytes(b.BytesPerS))
	if b.Each != "" {
		text += " " + f.T("policy.limit_each", "tag", b.Each)
	}
	return text
}

func peopleWords(f ui.Frame, p *policy.People) string {
	return f.T("policy.people_are", "postpones", f.N("policy.postpones", int64(p.Postpones)), "deadline", f.Duration(p.Deadline),
		"notice", f.Duration(p.Notice), "countdown", f.Duration(p.Countdown))
}

// own is what an operator wrote in two languages, or else its name.
func own(f ui.Frame, t manifest.Text, otherwise string) string {
	if said := t.In(string(f.Lang())); said != "" {
		return said
	}
	return otherwise
}

func lineOf(p manifest.Problem) string { return strconv.Itoa(p.Line) }

func versionPath(n int64) string { return ui.With("/policy", "version", strconv.FormatInt(n, 10)) }

func editPath(n int64) string { return ui.With("/policy/edit", "version", strconv.FormatInt(n, 10)) }
