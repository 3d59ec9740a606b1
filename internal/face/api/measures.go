package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/sampler"
	"patchring/wire"
)

// OneProbe names a probe of the policy.
type OneProbe struct {
	Probe string `path:"probe" maxLength:"64" doc:"its name in the policy"`
}

// ProbeList are the parameters of the list of probes.
type ProbeList struct {
	Group string `query:"group" maxLength:"64" doc:"counted over the devices of this group only"`
	Down  bool   `query:"down" doc:"only those that are down somewhere"`
}

// Probes are all probes of a fleet, with how many devices say what: a policy has
// a few, so one page.
type Probes struct {
	Rows []view.ProbeSum `json:"rows"`
}

// ProbeDetail is one probe: what it looks at, and what came of it.
type ProbeDetail struct {
	Defined []sampler.Defined `json:"defined"` // by the policies in force; none: it is on its way out
	Sum     view.ProbeSum     `json:"sum"`
}

// ProbeDevices are the parameters of the devices of a probe.
type ProbeDevices struct {
	OneProbe
	Paged
	Group string           `query:"group" maxLength:"64"`
	State fleet.ProbeState `query:"state" enum:"down,unknown,too_old,vetoed,up"`
}

// DeviceProbes are the probes of one device.
type DeviceProbes struct {
	Rows []view.ProbeRow `json:"rows"`
}

// MeasuresOf are the parameters of a device's measures.
type MeasuresOf struct {
	OneDevice
	MeasureTime
}

// MeasureTime chooses measures and time.
type MeasureTime struct {
	Measure string    `query:"measure" maxLength:"40" doc:"one measure, for example cpu_percent; all when not given"`
	Since   time.Time `query:"since" doc:"a day ago when not given; 62 days at most"`
	Until   time.Time `query:"until" doc:"now when not given"`
	Hourly  bool      `query:"hourly" doc:"in hours, also where five minutes are kept"`
}

func (m MeasureTime) query() view.MeasureQuery {
	q := view.MeasureQuery{From: m.Since, To: m.Until, Hourly: m.Hourly}
	if m.Measure != "" {
		q.Measures = []wire.Measure{wire.Measure(m.Measure)}
	}
	return q
}

// CampaignMeasures are the parameters of a campaign's measures.
type CampaignMeasures struct {
	OneCampaign
	MeasureTime
	Ring string `query:"ring" maxLength:"64" doc:"its patched devices; those of every ring when not given"`
}

func (a *API) registerMeasures() {
	const tag = "measures"
	handle(a, operation{method: http.MethodGet, path: "/devices/{device}/measures", id: "device-measures", summary: "What a device measured, with its last sample, its probes and its installs", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *MeasuresOf) (view.Measured, error) {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return view.Measured{}, err
			}
			return a.View.Measured(ctx, p.Tenant, d.ID, in.query())
		})
	handle(a, operation{method: http.MethodGet, path: "/devices/{device}/probes", id: "device-probes", summary: "The probes of a device", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneDevice) (DeviceProbes, error) {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return DeviceProbes{}, err
			}
			list, err := a.View.DeviceProbes(ctx, p.Tenant, d.ID)
			return DeviceProbes{list}, err
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/measures", id: "campaign-measures", summary: "Patched devices against those of the campaign that are not yet patched, hour by hour", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *CampaignMeasures) (view.CampaignMeasures, error) {
			c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
			if err != nil {
				return view.CampaignMeasures{}, err
			}
			return a.View.CompareMeasures(ctx, p.Tenant, view.CompareQuery{MeasureQuery: in.query(), Campaign: campaign.ID(c.ID), Ring: in.Ring})
		})
	handle(a, operation{method: http.MethodGet, path: "/probes", id: "list-probes", summary: "Probes, with how many devices say what", tag: tag, act: access.See}, a.listProbes)
	handle(a, operation{method: http.MethodGet, path: "/probes/{probe}", id: "show-probe", summary: "What a probe looks at, and what came of it", tag: tag, act: access.See}, a.showProbe)
	handle(a, operation{method: http.MethodGet, path: "/probes/{probe}/devices", id: "probe-devices", summary: "The devices that make a probe, those where it is down first", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *ProbeDevices) (view.ProbePage, error) {
			return a.View.ProbeDevices(ctx, p.Tenant, view.ProbeQuery{Paging: in.paging(), Name: in.Probe, Group: in.Group, State: in.State})
		})
}

func (a *API) listProbes(ctx context.Context, p access.Principal, in *ProbeList) (Probes, error) {
	list, err := a.View.Probes(ctx, p.Tenant, in.Group)
	if in.Down {
		list = slices.DeleteFunc(list, func(s view.ProbeSum) bool { return s.Down == 0 })
	}
	return Probes{list}, err
}

func (a *API) showProbe(ctx context.Context, p access.Principal, in *OneProbe) (ProbeDetail, error) {
	out := ProbeDetail{Defined: []sampler.Defined{}, Sum: view.ProbeSum{Name: in.Probe}}
	defined, err := a.Sampler.Defined(ctx, p.Tenant)
	if err != nil {
		return out, err
	}
	for _, d := range defined {
		if d.Name == in.Probe {
			out.Defined = append(out.Defined, d)
		}
	}
	sums, err := a.View.Probes(ctx, p.Tenant, "")
	if err != nil {
		return out, err
	}
	at := slices.IndexFunc(sums, func(s view.ProbeSum) bool { return s.Name == in.Probe })
	if at >= 0 {
		out.Sum = sums[at]
	}
	if at < 0 && len(out.Defined) == 0 {
		return out, fault.New(fault.NotFound, "what", "probe", "name", in.Probe)
	}
	return out, nil
}
