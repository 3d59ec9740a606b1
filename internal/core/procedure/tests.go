package procedure

import (
	"fmt"

	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
)

// TestRule is a checklist that a gate asks for: functional tests of the pilots,
// business tests of a department. Its items are ticked one by one, or it is
// automatic: a probe that must be green on the devices it is about.
type TestRule struct {
	Name       string // once in a gate
	Title      manifest.Text
	Department string // the value of the devices' tag department; empty: every one
	Group      string // in place of a department
	Items      []manifest.Text
	Assigned   string   // an account's name or a role
	Severity   Severity // of the incident that a failed item makes; NoSeverity: it is offered
	Probe      string   // of an automatic one; then it has no items
}

// departmentTag is how devices say which department is theirs.
const departmentTag = "department"

// About are the devices that the test is about, within its ring.
func (t TestRule) About() fleet.Selector {
	switch {
	case t.Group != "":
		return fleet.Selector{Groups: []string{t.Group}}
	case t.Department != "":
		return fleet.Selector{Tags: []fleet.Tags{{departmentTag: t.Department}}}
	}
	return fleet.Selector{All: true}
}

// Width is how many items must be ok: an automatic test has one.
func (t TestRule) Width() int { return max(1, len(t.Items)) }

const maxTestItems = 50

func readTests(o manifest.Object) []TestRule {
	var out []TestRule
	lines := map[string]int{}
	o.List("tests", func(at manifest.Place) {
		rule := readTest(o.Reader, at)
		if first := lines[rule.Name]; first != 0 && rule.Name != "" {
			o.Reader.Refuse(at, fmt.Sprintf("test %s is already on line %d", rule.Name, first), "give each test of a gate its own name")
		}
		lines[rule.Name] = at.Line()
		out = append(out, rule)
	})
	return out
}

func readTest(r *manifest.Reader, at manifest.Place) TestRule {
	o := r.Object(at, "name", "title", "department", "group", "items", "assigned", "severity", "automatic")
	o.Need("name", "name it with lower-case letters, digits and dashes, for example name: office")
	o.Need("title", "say what is tested, for example title: {fr: Bureautique, en: Office}")
	t := TestRule{
		Name: o.Identifier("name"), Title: o.Words("title"), Department: o.Text("department"), Group: o.Text("group"), Items: o.WordLists("items"),
		Assigned: o.Text("assigned"), Severity: manifest.Choice(o, "severity", NoSeverity, Severities()),
	}
	if o.Has("automatic") {
		in := r.Object(o.Field("automatic"), "probe")
		in.Need("probe", "name a probe of the policy, for example probe: intranet")
		t.Probe = in.Text("probe")
	}
	switch {
	case o.Has("department") && o.Has("group"):
		r.Refuse(o.Field("group"), "stands beside department", "keep one of the two")
	case o.Has("automatic") && o.Has("items"):
		r.Refuse(o.Field("items"), "stands beside automatic", "keep one of the two: what a probe says, nobody ticks")
	case o.Has("automatic") && o.Has("assigned"):
		r.Refuse(o.Field("assigned"), "stands beside automatic", "take it out: what a probe says, nobody ticks")
	case !o.Written("automatic") && !o.Written("items"):
		r.Refuse(at, "tests nothing", "list items to tick, or write automatic: {probe: intranet}")
	case o.Has("items") && o.Field("items").Empty():
		r.Refuse(o.Field("items"), "is empty", "list at least one item to tick")
	case len(t.Items) > maxTestItems:
		r.Refuse(o.Field("items"), fmt.Sprintf("has %d items", len(t.Items)), fmt.Sprintf("write at most %d, or make two tests of it", maxTestItems))
	case o.Written("items") && !o.Written("assigned"):
		r.Refuse(at, "is assigned to nobody", "name an account or a role, for example assigned: business")
	}
	return t
}

// OnFeedback is what a procedure makes by itself of what somebody says an
// update broke.
type OnFeedback string

// Answers to feedback. Of one patch only one is open at a time.
const (
	FeedbackNone     OnFeedback = "none"
	FeedbackTask     OnFeedback = "task"     // for the procedure's operators, on the ring
	FeedbackIncident OnFeedback = "incident" // a minor one: a person judges it
)

// OnFeedbacks lists them.
func OnFeedbacks() []OnFeedback { return []OnFeedback{FeedbackNone, FeedbackTask, FeedbackIncident} }

// MaxIncidents is how many incidents of a severity may be open when the gate
// passes. What the file leaves out is at its strictest, but for minor ones,
// which are recorded and stop nothing.
func (g Gate) MaxIncidents(s Severity) (most int, limited bool) {
	if most, written := g.Incidents[s]; written {
		return most, true
	}
	return 0, s != Minor
}

func readMaxIncidents(o manifest.Object) map[Severity]int {
	if !o.Has("max_incidents") {
		return nil
	}
	in := o.Reader.Object(o.Field("max_incidents"), string(Critical), string(Major), string(Minor))
	out := map[Severity]int{}
	for _, s := range Severities() {
		if in.Has(string(s)) {
			out[s] = in.Integer(string(s), 0, manifest.Limits{Low: 0, High: 1000})
		}
	}
	return out
}
