package api

import (
	"context"
	"net/http"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/conductor"
)

// PatchList are the parameters of the list of patches.
type PatchList struct {
	Paged
	Sort    string         `query:"sort" enum:"recent,name,devices"`
	Text    string         `query:"text" maxLength:"100" doc:"part of the name"`
	Class   patch.Class    `query:"class" enum:"security,quality,preview,feature,driver,definition,third-party,unknown"`
	Missing bool           `query:"missing" doc:"only those that a device misses now"`
	Verdict policy.Verdict `query:"verdict" enum:"approved,delayed,declined" doc:"only those with this decision given by hand"`

	Exploited bool            `query:"exploited" doc:"only those that mend an exploited vulnerability"`
	Severity  policy.Severity `query:"severity" enum:"critical,high,medium,low,unknown" doc:"only those of this severity"`
}

// OnePatch names a patch.
type OnePatch struct {
	Patch string `path:"patch" maxLength:"300" doc:"id, name and version, or a name of which one version is missing"`
}

// PatchDeviceList are the parameters of the list of a patch's devices.
type PatchDeviceList struct {
	OnePatch
	Paged
	Which    string `query:"which" enum:"missing,failed,pending"`
	Campaign string `query:"campaign" maxLength:"100" doc:"name or id; for failed and pending"`
}

// Decide gives a verdict by hand, on one exact patch or on every version of a
// name.
type Decide struct {
	Patch    string         `json:"patch,omitempty" maxLength:"300" doc:"id, name and version, or a name of which one version is missing"`
	Provider string         `json:"provider,omitempty" maxLength:"50" doc:"with name, in place of patch"`
	Name     string         `json:"name,omitempty" maxLength:"200" doc:"every version of it"`
	Verdict  policy.Verdict `json:"verdict" enum:"approved,delayed,declined"`
	Until    time.Time      `json:"until,omitzero" doc:"end of a delay; of a decline when given"`
	Reason   string         `json:"reason,omitempty" maxLength:"1000"`
}

// ApplyProcedure keeps a procedure file as the next version of its name.
type ApplyProcedure struct {
	File string `json:"file" maxLength:"255" doc:"the file's name, for messages"`
	Text string `json:"text" maxLength:"524288"`
}

// OneProcedure names a procedure and a version.
type OneProcedure struct {
	ByName
	Version int64 `query:"version" minimum:"0" doc:"the latest when not given"`
}

func (a *API) registerPatches() {
	const tag, procedures = "patches", "procedures"
	handle(a, operation{method: http.MethodGet, path: "/patches", id: "list-patches", summary: "Patches that scans have made known", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *PatchList) (view.PatchPage, error) {
			return a.View.Patches(ctx, p.Tenant, view.PatchQuery{Paging: in.paging(), Sort: in.Sort, Text: in.Text, Class: in.Class, Missing: in.Missing, Verdict: in.Verdict,
				Exploited: in.Exploited, Severity: in.Severity})
		})
	handle(a, operation{method: http.MethodGet, path: "/patches/{patch}", id: "show-patch", summary: "One patch", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OnePatch) (view.PatchDetail, error) {
			found, err := a.View.FindPatch(ctx, p.Tenant, in.Patch)
			if err != nil {
				return view.PatchDetail{}, err
			}
			return a.View.Patch(ctx, p.Tenant, found.ID)
		})
	handle(a, operation{method: http.MethodGet, path: "/patches/{patch}/devices", id: "list-patch-devices", summary: "Devices that miss a patch, failed to get it or wait for it", tag: tag, act: access.See}, a.patchDevices)
	do(a, operation{method: http.MethodPost, path: "/decisions", id: "decide", summary: "Approve, delay or decline a patch", tag: tag, act: access.DecideAct}, a.decide)

	handle(a, operation{method: http.MethodGet, path: "/procedures", id: "list-procedures", summary: "Procedures at their latest version", tag: procedures, act: access.See},
		func(ctx context.Context, p access.Principal, _ *struct{}) ([]view.ProcedureRow, error) {
			return a.View.Procedures(ctx, p.Tenant)
		})
	handle(a, operation{method: http.MethodGet, path: "/procedures/{name}", id: "show-procedure", summary: "One version of a procedure with its text", tag: procedures, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneProcedure) (view.ProcedureDetail, error) {
			return a.View.Procedure(ctx, p.Tenant, in.Name, in.Version)
		})
	handle(a, operation{method: http.MethodPost, path: "/procedures", id: "apply-procedure", summary: "Keep a procedure file as the next version of its name", tag: procedures, act: access.Procedures},
		func(ctx context.Context, p access.Principal, in *asked[ApplyProcedure]) (conductor.Applied, error) {
			return a.Conductor.ApplyProcedure(ctx, p.Tenant, p.Actor(), in.Body.File, []byte(in.Body.Text))
		})
}

func (a *API) patchDevices(ctx context.Context, p access.Principal, in *PatchDeviceList) (view.PatchDevicePage, error) {
	found, err := a.View.FindPatch(ctx, p.Tenant, in.Patch)
	if err != nil {
		return view.PatchDevicePage{}, err
	}
	q := view.PatchDevicesQuery{Paging: in.paging(), Patch: found.ID, Which: in.Which}
	if in.Campaign != "" {
		c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
		if err != nil {
			return view.PatchDevicePage{}, err
		}
		q.Campaign = c.ID
	}
	return a.View.PatchDevices(ctx, p.Tenant, q)
}

func (a *API) decide(ctx context.Context, p access.Principal, in *asked[Decide]) error {
	ask := campaign.Decide{Provider: in.Body.Provider, Name: in.Body.Name, Verdict: in.Body.Verdict, Until: in.Body.Until, Reason: in.Body.Reason}
	if (in.Body.Patch == "") == (in.Body.Name == "") {
		return fault.New(fault.InvalidField, "field", "patch", "problem", "patch_or_name", "fix", "patch | provider + name")
	}
	if in.Body.Patch != "" {
		found, err := a.View.FindPatch(ctx, p.Tenant, in.Body.Patch)
		if err != nil {
			return err
		}
		ask.Patch = found.ID
	}
	return a.Conductor.Decide(ctx, p.Tenant, p.Actor(), ask)
}

// patchIDs resolves patches that people name.
func (a *API) patchIDs(ctx context.Context, p access.Principal, named []string) ([]patch.ID, error) {
	var out []patch.ID
	for _, n := range named {
		found, err := a.View.FindPatch(ctx, p.Tenant, n)
		if err != nil {
			return nil, err
		}
		out = append(out, found.ID)
	}
	return out, nil
}
