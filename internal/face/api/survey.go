package api

import (
	"context"
	"net/http"

	"patchring/internal/core/fleet"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/readiness"
	"patchring/internal/service/access"
	"patchring/internal/service/roster"
	"patchring/internal/service/survey"
)

// ReadinessList are the parameters of the list of what is to be put right.
type ReadinessList struct {
	Paged
	Campaign string             `query:"campaign" maxLength:"100" doc:"its devices, rings and windows; name or id"`
	Days     int                `query:"days" minimum:"0" maximum:"90" doc:"how far ahead, without a campaign; 7 when not given"`
	Kind     readiness.Kind     `query:"kind" enum:"silent,broken,stale,disk,window,system,duplicate,certificate,reboot,rollback,exception"`
	Severity readiness.Severity `query:"severity" enum:"blocking,warning"`
}

// ProposePilots asks for the pilots of a ring. Devices are ids, or names that
// only one device has.
type ProposePilots struct {
	Ring          string   `json:"ring,omitempty" maxLength:"63" doc:"R1, or the second ring, when not given"`
	Size          int      `json:"size,omitempty" minimum:"0" maximum:"1000" doc:"50 when not given"`
	Include       []string `json:"include,omitempty" maxItems:"1000" doc:"devices that must be there"`
	Exclude       []string `json:"exclude,omitempty" maxItems:"1000"`
	IncludeGroups []string `json:"include_groups,omitempty" maxItems:"100"`
	ExcludeGroups []string `json:"exclude_groups,omitempty" maxItems:"100"`
	PerDepartment int      `json:"per_department,omitempty" minimum:"0" doc:"at most so many of one department"`
	Day           string   `json:"day,omitempty" maxLength:"10" doc:"YYYY-MM-DD on which they are needed; when the ring opens next, when not given"`
	RareBelow     int      `json:"rare_below,omitempty" minimum:"0" doc:"software on fewer devices is not asked for; 3 when not given"`
	Exactly       []string `json:"exactly,omitempty" maxItems:"1000" doc:"measure these devices in place of choosing"`
}

// SetMembers are all devices that a group is to have.
type SetMembers struct {
	Devices []string `json:"devices" maxItems:"1000"`
}

// ImportLifecycle is a table of how long a product is supported, or of the least
// hardware of versions.
type ImportLifecycle struct {
	Product  string `json:"product,omitempty" maxLength:"64" doc:"as endoflife.date spells it; not with hardware"`
	Hardware bool   `json:"hardware,omitempty" doc:"the table is of the least hardware of versions"`
	Extended bool   `json:"extended,omitempty" doc:"the longer support that the table tells of is yours"`
	File     string `json:"file" maxLength:"255" doc:"the file's name, for the record"`
	Text     string `json:"text" maxLength:"524288"`
}

// LifecycleList are the parameters of the report of systems.
type LifecycleList struct {
	Paged
	State lifecycle.State `query:"state" enum:"ended,ends_soon,unknown,supported" doc:"devices in this state; all that need somebody when not given"`
}

func (a *API) registerSurvey() {
	const tag = "before"
	handle(a, operation{method: http.MethodGet, path: "/readiness", id: "readiness", summary: "What is to be put right before a campaign", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *ReadinessList) (survey.Readiness, error) {
			return a.Survey.Readiness(ctx, p.Tenant, survey.ReadinessAsk{
				Page: survey.Page{Cursor: in.Cursor, Limit: in.Limit}, Campaign: in.Campaign, Days: in.Days, Kind: in.Kind, Severity: in.Severity,
			})
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/suspects", id: "campaign-suspects", summary: "What devices share on which a patch fails", tag: "campaigns", act: access.See},
		func(ctx context.Context, p access.Principal, in *OneCampaign) (survey.Suspects, error) {
			return a.Survey.Suspects(ctx, p.Tenant, in.Campaign)
		})
	handle(a, operation{method: http.MethodPost, path: "/procedures/{name}/pilots", id: "propose-pilots", summary: "Choose the devices of a pilot ring by what they cover; nothing is changed", tag: tag, act: access.See}, a.pilots)
	handle(a, operation{method: http.MethodPost, path: "/groups/{name}/set", id: "set-group", summary: "Give a group exactly these devices, and make it where there is none", tag: "groups", act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *struct {
			ByName
			Body SetMembers
		}) (roster.SetResult, error) {
			return a.Roster.Set(ctx, p.Tenant, p.Actor(), in.Name, in.Body.Devices)
		})
	handle(a, operation{method: http.MethodPost, path: "/lifecycle", id: "import-lifecycle", summary: "Import a table of how long systems are supported, or of the least hardware", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *asked[ImportLifecycle]) (survey.Imported, error) {
			b := in.Body
			return a.Survey.Import(ctx, p.Tenant, p.Actor(), survey.ImportAsk{Product: b.Product, Hardware: b.Hardware, Extended: b.Extended, File: b.File, Text: []byte(b.Text)})
		})
	handle(a, operation{method: http.MethodGet, path: "/lifecycle", id: "lifecycle", summary: "How long the systems of the fleet are supported", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *LifecycleList) (survey.Lifecycle, error) {
			return a.Survey.Lifecycle(ctx, p.Tenant, survey.LifecycleAsk{Page: survey.Page{Cursor: in.Cursor, Limit: in.Limit}, State: in.State})
		})
}

func (a *API) pilots(ctx context.Context, p access.Principal, in *struct {
	ByName
	Body ProposePilots
}) (survey.Pilots, error) {
	b := in.Body
	ask := survey.PilotsAsk{
		Procedure: in.Name, Ring: b.Ring, Size: b.Size, IncludeGroups: b.IncludeGroups, ExcludeGroups: b.ExcludeGroups,
		PerDepartment: b.PerDepartment, Day: b.Day, RareBelow: b.RareBelow,
	}
	for _, list := range []struct {
		from []string
		to   *[]fleet.DeviceID
	}{{b.Include, &ask.Include}, {b.Exclude, &ask.Exclude}, {b.Exactly, &ask.Exactly}} {
		for _, named := range list.from {
			d, err := a.View.FindDevice(ctx, p.Tenant, named)
			if err != nil {
				return survey.Pilots{}, err
			}
			*list.to = append(*list.to, d.ID)
		}
	}
	return a.Survey.Pilots(ctx, p.Tenant, ask)
}
