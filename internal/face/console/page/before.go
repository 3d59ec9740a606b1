package page

import (
	"strings"

	"patchring/internal/core/coverage"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/readiness"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/desk"
	"patchring/internal/service/survey"
)

// Readiness is what is to be put right before a campaign.
type Readiness struct {
	survey.Readiness
	Query     ReadinessQuery
	Campaigns []CampaignLine // open ones, to look at instead
	Title     string
	Open      map[desk.FindingOn]string // ids of the tasks that findings have already
}

// ReadinessQuery is what it is asked for.
type ReadinessQuery struct {
	Campaign string // name
	Kind     readiness.Kind
	After    string
}

// Heading names the page.
func (v Readiness) Heading() string { return v.Title }

func (q ReadinessQuery) of(kind readiness.Kind) string {
	return ui.With(readinessPath, "campaign", q.Campaign, "kind", string(kind))
}

const readinessPath, lifecyclePath = "/readiness", "/lifecycle"

// kinds are those of which something was found, and the one that is looked at.
func (v Readiness) kinds() []survey.KindCount {
	var out []survey.KindCount
	for _, c := range v.Counts {
		if c.Blocking+c.Warning > 0 || c.Kind == v.Query.Kind {
			out = append(out, c)
		}
	}
	return out
}

func urgencyTone(s readiness.Severity) ui.Tone {
	if s == readiness.Blocking {
		return ui.Bad
	}
	return ui.Warn
}

// Pilots is a choice of devices for a ring, which its reader may adjust.
type Pilots struct {
	survey.Pilots
	Query PilotsQuery
	Title string
}

// PilotsQuery is what pilots are asked for.
type PilotsQuery struct {
	Procedure     string
	Ring          string
	Size          int
	PerDepartment int
	// Measure keeps Devices and Add in place of choosing anew.
	Measure bool
	Devices []string
	Add     string
	Was     float64 // what the choice before this one reached; 0: none
}

// Heading names the page.
func (v Pilots) Heading() string { return v.Title }

// ids are the chosen devices, for the form that puts them into a group.
func (v Pilots) ids() string {
	var out []string
	for _, id := range v.Devices() {
		out = append(out, string(id))
	}
	return strings.Join(out, ",")
}

func (v Pilots) path() string { return ui.Path("procedures", v.Procedure, "pilots") }

func names(adds []coverage.Feature) string {
	var out []string
	for _, f := range adds {
		out = append(out, f.Value)
	}
	return strings.Join(out, ", ")
}

// Lifecycle is how long the systems of the fleet are supported.
type Lifecycle struct {
	survey.Lifecycle
	Query LifecycleQuery
	Title string
}

// LifecycleQuery is what the report is asked for.
type LifecycleQuery struct {
	State lifecycle.State
	After string
}

// Heading names the page.
func (v Lifecycle) Heading() string { return v.Title }

func lifecycleTone(s lifecycle.State) ui.Tone {
	switch s {
	case lifecycle.Ended:
		return ui.Bad
	case lifecycle.EndsSoon:
		return ui.Warn
	case lifecycle.Supported:
		return ui.Good
	default:
		return ui.Idle
	}
}
