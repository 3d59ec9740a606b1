package api

import (
	"context"
	"net/http"

	"patchring/internal/core/readiness"
	"patchring/internal/face/lang"
	"patchring/internal/service/access"
	"patchring/internal/service/desk"
	"patchring/internal/service/rulebook"
)

// PlaceFreeze places a freeze by hand.
type PlaceFreeze struct {
	Name       string `json:"name,omitempty" maxLength:"63" doc:"of the day it begins, when not given"`
	Devices    string `json:"devices,omitempty" maxLength:"2000" doc:"a condition on devices; every device when not given"`
	From       string `json:"from,omitempty" maxLength:"40" doc:"an instant (RFC 3339), a wall clock or a date of the site's zone; now when not given"`
	To         string `json:"to,omitempty" maxLength:"40" doc:"needed; a date means the end of that day; 92 days at most"`
	Reason     string `json:"reason,omitempty" maxLength:"2000" doc:"needed"`
	AllTenants bool   `json:"all_tenants,omitempty" doc:"needs: site"`
}

// EndFreeze ends one before its time.
type EndFreeze struct {
	Reason     string `json:"reason" maxLength:"2000"`
	AllTenants bool   `json:"all_tenants,omitempty" doc:"one for all tenants; needs: site"`
}

// FreezeList are the parameters of the list of freezes.
type FreezeList struct {
	Past bool `query:"past" doc:"those that are over, of the last year"`
}

// WindowQuery are the parameters of the list of windows.
type WindowQuery struct {
	Device string `query:"device" maxLength:"260" doc:"id, or a name that only one device has"`
	Group  string `query:"group" maxLength:"64"`
	From   string `query:"from" maxLength:"40" doc:"an instant, a wall clock or a date of the site's zone; now when not given"`
	To     string `query:"to" maxLength:"40" doc:"a date means the end of that day; two weeks later when not given, a year at most"`
}

// MakeTasks asks for the tasks of what readiness finds.
type MakeTasks struct {
	Campaign   string             `json:"campaign,omitempty" maxLength:"100" doc:"name or id"`
	Days       int                `json:"days,omitempty" minimum:"0" maximum:"90" doc:"how far ahead, without a campaign; 7 when not given"`
	Kind       readiness.Kind     `json:"kind,omitempty" enum:"silent,broken,stale,disk,window,system,duplicate,certificate,reboot,rollback,exception"`
	Severity   readiness.Severity `json:"severity,omitempty" enum:"blocking,warning"`
	Only       []desk.FindingOn   `json:"only,omitempty" maxItems:"2000" doc:"only these findings; all when not given"`
	Owner      string             `json:"owner,omitempty" maxLength:"800" doc:"an account's name or a role; needed"`
	EscalateTo string             `json:"escalate_to,omitempty" maxLength:"800" doc:"an account's name or a role"`
	Due        string             `json:"due,omitempty" maxLength:"40" doc:"an instant or a date; before the campaign's first ring opens, when not given"`
}

func (a *API) registerFreezes() {
	const tag = "freezes"
	handle(a, operation{method: http.MethodGet, path: "/freezes", id: "list-freezes", summary: "Freezes of the policies and those placed by hand, on or to come", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *FreezeList) ([]rulebook.FreezeLine, error) {
			return a.Rulebook.Freezes(ctx, p.Tenant, in.Past)
		})
	handle(a, operation{method: http.MethodPost, path: "/freezes", id: "place-freeze", summary: "Place a freeze by hand, beside the policy's file", tag: tag, act: access.FreezeAct, status: http.StatusCreated},
		func(ctx context.Context, p access.Principal, in *asked[PlaceFreeze]) (rulebook.PlacedFreeze, error) {
			b := in.Body
			if err := forAll(p, b.AllTenants); err != nil {
				return rulebook.PlacedFreeze{}, err
			}
			return a.Rulebook.PlaceFreeze(ctx, p.Tenant, p.Actor(), rulebook.PlaceFreeze{Name: b.Name, Devices: b.Devices, From: b.From, To: b.To, Reason: b.Reason, ForAll: b.AllTenants})
		})
	do(a, operation{method: http.MethodPost, path: "/freezes/{name}/end", id: "end-freeze", summary: "End a freeze that was placed by hand", tag: tag, act: access.FreezeAct},
		func(ctx context.Context, p access.Principal, in *struct {
			ByName
			Body EndFreeze
		}) error {
			if err := forAll(p, in.Body.AllTenants); err != nil {
				return err
			}
			return a.Rulebook.EndFreeze(ctx, p.Tenant, p.Actor(), rulebook.EndFreeze{Name: in.Name, Reason: in.Body.Reason, ForAll: in.Body.AllTenants})
		})
	handle(a, operation{method: http.MethodGet, path: "/windows", id: "list-windows", summary: "When devices may act: profiles, procedures, holidays and freezes, as campaigns decide", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *WindowQuery) (rulebook.WindowList, error) {
			ask := rulebook.WindowsAsk{Group: in.Group, From: in.From, To: in.To}
			if in.Device != "" {
				d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
				if err != nil {
					return rulebook.WindowList{}, err
				}
				ask.Device = d.ID
			}
			return a.Rulebook.Windows(ctx, p.Tenant, ask)
		})
	handle(a, operation{method: http.MethodPost, path: "/readiness/tasks", id: "make-tasks", summary: "Open the manual tasks of what readiness finds, each once", tag: "before", act: access.TaskAct},
		func(ctx context.Context, p access.Principal, in *asked[MakeTasks]) (desk.OpenedFindings, error) {
			b := in.Body
			return a.Desk.OpenFindings(ctx, p.Tenant, p.Actor(), desk.OpenFindings{
				Campaign: b.Campaign, Days: b.Days, Kind: b.Kind, Severity: b.Severity, Only: b.Only, Owner: b.Owner, EscalateTo: b.EscalateTo, Due: b.Due,
				Words: lang.For(p.Lang).FindingTask,
			})
		})
}

// forAll refuses what reaches beyond the tenant to whoever does not run the site.
func forAll(p access.Principal, all bool) error {
	if !all {
		return nil
	}
	return p.Need(access.SiteAct)
}
