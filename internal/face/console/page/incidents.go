package page

import (
	"strconv"

	"patchring/internal/core/checklist"
	"patchring/internal/core/incident"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/wire"
)

// Incidents is the list of what went wrong.
type Incidents struct {
	Query IncidentQuery
	Rows  []view.IncidentRow
	Next  string
	Dead  []view.TicketRow // tickets that were given up, the first few
}

// IncidentQuery is which of them are asked for.
type IncidentQuery struct {
	Which    string // of IncidentFilters
	Campaign string // id
	Device   string // id
	After    string
}

// IncidentFilters are the tabs of the list.
var IncidentFilters = view.IncidentFilters()

func (q IncidentQuery) address() string {
	which := q.Which
	if which == IncidentFilters[0] {
		which = ""
	}
	return ui.With("/incidents", "which", which, "campaign", q.Campaign, "device", q.Device, "after", q.After)
}

func (q IncidentQuery) tab(which string) string {
	q.Which, q.After = which, ""
	return q.address()
}

func (v Incidents) first() string {
	if v.Query.After == "" {
		return ""
	}
	return v.Query.tab(v.Query.Which)
}

func (v Incidents) next() string {
	if v.Next == "" {
		return ""
	}
	v.Query.After = v.Next
	return v.Query.address()
}

// Incident is one with all that was said and done.
type Incident struct{ view.IncidentDetail }

// Heading names the page.
func (i Incident) Heading() string { return i.Title }

func incidentPath(id string, more ...string) string {
	return ui.Path(append([]string{"incidents", id}, more...)...)
}

// IncidentPath is the address of the incident's page.
func (i Incident) IncidentPath() string { return incidentPath(i.ID) }

func gravityTone(s procedure.Severity) ui.Tone {
	switch s {
	case procedure.Critical:
		return ui.Bad
	case procedure.Major:
		return ui.Warn
	}
	return ui.Busy
}

func incidentTone(i view.IncidentRow) ui.Tone {
	switch i.State {
	case incident.Closed:
		return ui.Idle
	case incident.Corrected:
		return ui.Good
	}
	return gravityTone(i.Severity)
}

func ticketTone(t view.TicketRow) ui.Tone {
	switch {
	case t.Dead:
		return ui.Bad
	case t.Waiting > 0:
		return ui.Warn
	case t.Done:
		return ui.Good
	}
	return ui.Busy
}

// Tests is what is to be tested: what can be ticked now, or of one campaign.
type Tests struct {
	Campaign string // id; empty: of every open campaign
	Name     string
	Mine     bool
	Rows     []view.RingTests
	// MayTick tells whether the reader may tick a test that is assigned so.
	MayTick func(assigned string) bool
}

// Heading names the page of one campaign.
func (t Tests) Heading() string { return t.Name }

func (t Tests) self() string {
	if t.Campaign != "" {
		return ui.Path("campaigns", t.Campaign, "tests")
	}
	return ui.With("/tests", "which", map[bool]string{false: "all"}[t.Mine])
}

func testTone(s checklist.State) ui.Tone {
	switch s {
	case checklist.OK:
		return ui.Good
	case checklist.Failed:
		return ui.Bad
	}
	return ui.Idle
}

func tickable(t Tests, r view.RingTests, p view.TestProgress) bool {
	open := r.State == "open" || r.State == "soaking" || r.State == "gate"
	return open && p.Probe == "" && t.MayTick != nil && t.MayTick(p.Assigned)
}

func tickPath(r view.RingTests, p view.TestProgress, i view.TestItem, back string) string {
	return ui.With(ui.Path("campaigns", r.Campaign.ID, "tick"), "ring", r.Ring, "amendment", nonzero(r.Amendment), "test", p.Name, "item", strconv.Itoa(i.Number), "back", back)
}

func nonzero(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// FeedbackOne is what somebody said, with what was known of the device then.
type FeedbackOne struct {
	FeedbackLine
	view.FeedbackDetail
}

// PatchOf is the patch that it is about; empty: all that the campaign brought.
func PatchOf(f FeedbackOne) patch.ID { return patch.ID(f.FeedbackLine.Patch) }

// Heading names the page.
func (f FeedbackOne) Heading() string { return f.DeviceName }

// measured is one value of a sample.
type measured struct{ name, value string }

// measuresOf are the values of a sample, in words.
func measuresOf(f ui.Frame, s *wire.Sample) []measured {
	var out []measured
	for _, m := range wire.Measures() {
		if v, known := s.Values[m]; known {
			out = append(out, measured{f.Word(lang.Measure, string(m)), f.Measured(m, v)})
		}
	}
	return out
}
