package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/conductor"
	"patchring/internal/service/roster"
)

// OneDevice names a device by its id, or by its name when only one has it.
type OneDevice struct {
	Device string `path:"device" maxLength:"260" doc:"id, or a name that only one device has"`
}

// Retire asks to take a device out of the fleet.
type Retire struct {
	Reason string `json:"reason" maxLength:"1000"`
}

// AllowReboot asks to let a device reboot again that was left alone.
type AllowReboot struct {
	Reason string `json:"reason" maxLength:"1000"`
}

// Describe changes what is said of a device. What is not given stays as it was.
// Rings of campaigns that are not sealed follow; what is sealed stays, and the
// answer names it.
type Describe struct {
	Name   string     `json:"name,omitempty" maxLength:"253" doc:"as it is shown"`
	Kind   fleet.Kind `json:"kind,omitempty" doc:"workstation, server or critical"`
	Tags   fleet.Tags `json:"tags,omitempty" doc:"in place of those with the same key"`
	Untag  []string   `json:"untag,omitempty" maxItems:"50" doc:"keys taken away"`
	Reason string     `json:"reason,omitempty" maxLength:"1000"`
}

// PutGroup makes a group.
type PutGroup struct {
	Title string `json:"title,omitempty" maxLength:"200"`
}

// Members are devices by id or name.
type Members struct {
	Devices []string `json:"devices" minItems:"1" maxItems:"1000"`
}

// DeviceList are the parameters of the list of devices.
type DeviceList struct {
	Paged
	Sort   string     `query:"sort" enum:"name,enrolled,seen,missing"`
	Text   string     `query:"text" maxLength:"100" doc:"part of the name"`
	Filter string     `query:"filter" enum:"compliant,overdue,pending_reboot,not_ready,unreachable,retired,failing,never_scanned,duplicate"`
	Kind   fleet.Kind `query:"kind" enum:"workstation,server,critical"`
	Group  string     `query:"group" maxLength:"64"`
	Tag    string     `query:"tag" maxLength:"201" doc:"key=value"`
	Patch  string     `query:"patch" maxLength:"200" doc:"devices that miss it; id, name, or name and version"`
}

func (a *API) registerDevices() {
	const tag, groups = "devices", "groups"
	handle(a, operation{method: http.MethodGet, path: "/today", id: "today", summary: "What needs somebody", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, _ *struct{}) (view.Today, error) {
			t, err := a.View.Today(ctx, p.Tenant)
			if err != nil {
				return t, err
			}
			t.MyTasks, err = a.View.MyTasks(ctx, p.Tenant, p.Names())
			return t, err
		})
	handle(a, operation{method: http.MethodGet, path: "/devices", id: "list-devices", summary: "Devices", tag: tag, act: access.See}, a.listDevices)
	handle(a, operation{method: http.MethodGet, path: "/devices/{device}", id: "show-device", summary: "One device", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneDevice) (view.DeviceDetail, error) {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return view.DeviceDetail{}, err
			}
			return a.View.Device(ctx, p.Tenant, d.ID)
		})
	handle(a, operation{method: http.MethodGet, path: "/devices/{device}/software", id: "list-software", summary: "What is installed on a device", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneDevice) (view.Software, error) {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return view.Software{}, err
			}
			return a.View.Software(ctx, p.Tenant, d.ID)
		})
	handle(a, operation{method: http.MethodGet, path: "/devices/{device}/why", id: "why", summary: "Why a patch is where it is on a device, and when next", tag: tag, act: access.See}, a.why)
	handle(a, operation{method: http.MethodGet, path: "/devices/{device}/events", id: "device-events", summary: "The device's register, newest first", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *struct {
			OneDevice
			Paged
		}) (view.EventPage, error) {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return view.EventPage{}, err
			}
			return a.View.Events(ctx, p.Tenant, view.EventQuery{Device: string(d.ID), Paging: in.paging()})
		})
	do(a, operation{method: http.MethodPost, path: "/devices/{device}/retire", id: "retire-device", summary: "Take a device out of the fleet", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *struct {
			OneDevice
			Body Retire
		}) error {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return err
			}
			return a.Access.Retire(ctx, p, d.ID, in.Body.Reason)
		})
	do(a, operation{method: http.MethodPost, path: "/devices/{device}/allow-reboot", id: "allow-reboot", summary: "Let a device reboot again whose reboots did not help", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *struct {
			OneDevice
			Body AllowReboot
		}) error {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return err
			}
			return a.Conductor.AllowReboot(ctx, p.Tenant, p.Actor(), d.ID, in.Body.Reason)
		})
	handle(a, operation{method: http.MethodPost, path: "/devices/{device}/describe", id: "describe-device", summary: "Change a device's name, kind or tags", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *struct {
			OneDevice
			Body Describe
		}) (roster.Changed, error) {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return roster.Changed{}, err
			}
			b := in.Body
			return a.Roster.Describe(ctx, p.Tenant, p.Actor(), d.ID, fleet.Describe{Name: b.Name, Kind: b.Kind, Tags: b.Tags, Untag: b.Untag, Reason: b.Reason})
		})
	a.registerGroups(groups)
}

func (a *API) listDevices(ctx context.Context, p access.Principal, in *DeviceList) (view.DevicePage, error) {
	q := view.DeviceQuery{Paging: in.paging(), Sort: in.Sort, Text: in.Text, Filter: in.Filter, Kind: in.Kind, Group: in.Group, Tag: in.Tag}
	if in.Patch != "" {
		found, err := a.View.FindPatch(ctx, p.Tenant, in.Patch)
		if err != nil {
			return view.DevicePage{}, err
		}
		q.Patch = found.ID
	}
	return a.View.Devices(ctx, p.Tenant, q)
}

func (a *API) registerGroups(tag string) {
	handle(a, operation{method: http.MethodGet, path: "/groups", id: "list-groups", summary: "Groups", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *Paged) (view.GroupPage, error) {
			return a.View.Groups(ctx, p.Tenant, in.paging())
		})
	do(a, operation{method: http.MethodPut, path: "/groups/{name}", id: "put-group", summary: "Make a group, or give it another title", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *struct {
			ByName
			Body PutGroup
		}) error {
			return a.Roster.Create(ctx, p.Tenant, p.Actor(), in.Name, in.Body.Title)
		})
	do(a, operation{method: http.MethodDelete, path: "/groups/{name}", id: "drop-group", summary: "Drop a group; its devices stay", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *ByName) error {
			return a.Roster.Drop(ctx, p.Tenant, p.Actor(), in.Name)
		})
	do(a, operation{method: http.MethodPost, path: "/groups/{name}/add", id: "add-to-group", summary: "Put devices into a group: all of them or none", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *struct {
			ByName
			Body Members
		}) error {
			return a.Roster.Add(ctx, p.Tenant, p.Actor(), in.Name, in.Body.Devices)
		})
	do(a, operation{method: http.MethodPost, path: "/groups/{name}/remove", id: "remove-from-group", summary: "Take devices out of a group: all of them or none", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *struct {
			ByName
			Body Members
		}) error {
			return a.Roster.Remove(ctx, p.Tenant, p.Actor(), in.Name, in.Body.Devices)
		})
}

// WhyOf asks about one device, or about one patch on it.
type WhyOf struct {
	OneDevice
	Patch string `query:"patch" maxLength:"200" doc:"id, name, or name and version; all when not given"`
}

// why puts together where the device stands (view) and the conductor's chains.
func (a *API) why(ctx context.Context, p access.Principal, in *WhyOf) (view.Why, error) {
	ref, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
	if err != nil {
		return view.Why{}, err
	}
	var only patch.ID
	if in.Patch != "" {
		found, err := a.View.FindPatch(ctx, p.Tenant, in.Patch)
		if err != nil {
			return view.Why{}, err
		}
		only = found.ID
	}
	detail, e1 := a.View.Device(ctx, p.Tenant, ref.ID)
	explained, e2 := a.Conductor.Why(ctx, p.Tenant, ref.ID, only)
	if err := errors.Join(e1, e2); err != nil {
		return view.Why{}, err
	}
	out := view.Why{Device: ref, State: detail.State, Reason: detail.Reason, Reboot: detail.Reboot, Wake: detail.Wake, Patches: []view.WhyPatch{}}
	seen := map[patch.ID]bool{}
	for _, e := range explained {
		seen[e.Patch.ID()] = true
		out.Patches = append(out.Patches, whyOf(e))
	}
	for _, m := range detail.Patches { // missing, and no campaign speaks of it
		if !seen[m.Patch.ID] && (only == "" || m.Patch.ID == only) {
			out.Patches = append(out.Patches, view.WhyPatch{Patch: m.Patch, State: m.State, Reason: m.Reason, Decision: m.Decision, Chain: []view.WhyCheck{}, Next: m.Next})
		}
	}
	for i, w := range out.Patches {
		for _, m := range detail.Patches {
			if m.Patch.ID == w.Patch.ID {
				out.Patches[i].Decision = m.Decision
			}
		}
	}
	return out, nil
}

func whyOf(e conductor.Explanation) view.WhyPatch {
	w := view.WhyPatch{
		Patch: view.PatchRef{ID: e.Patch.ID(), Name: e.Patch.Name, Version: e.Patch.Version}, State: e.State,
		Campaign: &view.CampaignRef{Name: e.Campaign}, Ring: e.Ring, Chain: []view.WhyCheck{}, Next: utc(e.Next),
	}
	if !e.Reason.IsZero() {
		w.Reason = &e.Reason
	}
	for _, c := range e.Chain {
		check := view.WhyCheck{Check: c.Name, OK: c.OK, Next: utc(c.Next)}
		if !c.Reason.IsZero() {
			check.Reason = &c.Reason
		}
		w.Chain = append(w.Chain, check)
	}
	return w
}

// utc keeps the zero instant zero, so that it is left out.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
