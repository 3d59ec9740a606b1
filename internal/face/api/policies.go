package api

import (
	"context"
	"net/http"

	"patchring/internal/core/policy"
	"patchring/internal/service/access"
	"patchring/internal/service/rulebook"
)

// PolicyFile is the text of a policy, to put in force or to be weighed.
type PolicyFile struct {
	File string `json:"file" maxLength:"255" doc:"the file's name, for messages"`
	Text string `json:"text" maxLength:"524288"`
}

// OnePolicy names a version.
type OnePolicy struct {
	Version int64 `path:"version" minimum:"0" doc:"0: the one in force"`
}

// PolicyFields are what conditions may ask, for completion.
type PolicyFields struct {
	Devices []policy.Field `json:"devices" doc:"in devices: of profiles, freezes, safeguards and limits"`
	Patches []policy.Field `json:"patches" doc:"in patches: of rules and safeguards"`
}

func (a *API) registerPolicies() {
	const tag = "policies"
	see := func(path, id, summary string) operation {
		return operation{method: http.MethodGet, path: path, id: id, summary: summary, tag: tag, act: access.See}
	}
	weigh := func(verb, summary string) operation {
		return operation{method: http.MethodPost, path: "/policies/" + verb, id: verb + "-policy", summary: summary, tag: tag, act: access.See}
	}
	handle(a, see("/policies", "list-policies", "Versions of the policy, the one in force first"),
		func(ctx context.Context, p access.Principal, _ *struct{}) ([]rulebook.PolicyVersion, error) {
			return a.Rulebook.List(ctx, p.Tenant)
		})
	handle(a, see("/policies/{version}", "show-policy", "One version of the policy with its text"),
		func(ctx context.Context, p access.Principal, in *OnePolicy) (rulebook.PolicyVersion, error) {
			return a.Rulebook.Show(ctx, p.Tenant, in.Version)
		})
	handle(a, see("/policies/fields", "list-policy-fields", "What conditions may ask of devices and of patches"),
		func(context.Context, access.Principal, *struct{}) (PolicyFields, error) {
			return PolicyFields{policy.DeviceFields(), policy.PatchFields()}, nil
		})
	handle(a, weigh("check", "Check a policy file: problems, warnings, and what it would never have let through"),
		func(ctx context.Context, p access.Principal, in *asked[PolicyFile]) (rulebook.Checked, error) {
			return a.Rulebook.Check(ctx, p.Tenant, in.Body.File, []byte(in.Body.Text))
		})
	handle(a, weigh("diff", "Say what a policy file would change for the fleet, without putting it in force"),
		func(ctx context.Context, p access.Principal, in *asked[PolicyFile]) (rulebook.Diff, error) {
			return a.Rulebook.Diff(ctx, p.Tenant, in.Body.File, []byte(in.Body.Text))
		})
	handle(a, operation{method: http.MethodPost, path: "/policies", id: "apply-policy", summary: "Put a policy file in force", tag: tag, act: access.Policies},
		func(ctx context.Context, p access.Principal, in *asked[PolicyFile]) (rulebook.AppliedPolicy, error) {
			return a.Rulebook.Apply(ctx, p.Tenant, p.Actor(), in.Body.File, []byte(in.Body.Text))
		})
	handle(a, see("/devices/{device}/policy", "show-device-policy", "What policies say of a device: profiles, windows, freezes, limits"),
		func(ctx context.Context, p access.Principal, in *OneDevice) (rulebook.Standing, error) {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return rulebook.Standing{}, err
			}
			return a.Rulebook.OfDevice(ctx, p.Tenant, d.ID)
		})
	handle(a, see("/patches/{patch}/policy", "show-patch-policy", "Which rules speak of a patch, and for which profiles"),
		func(ctx context.Context, p access.Principal, in *OnePatch) (rulebook.Spoken, error) {
			found, err := a.View.FindPatch(ctx, p.Tenant, in.Patch)
			if err != nil {
				return rulebook.Spoken{}, err
			}
			return a.Rulebook.OfPatch(ctx, p.Tenant, found.ID)
		})
	a.registerPolicyForAll()
}

// registerPolicyForAll has the paths of the policy for all tenants. Every tenant
// sees what stands over it; what it would change in others is the site's.
func (a *API) registerPolicyForAll() {
	const tag, under = "policies", "/all-tenants/policies"
	handle(a, operation{method: http.MethodGet, path: under, id: "list-policies-for-all", summary: "Versions of the policy for all tenants, the one in force first", tag: tag, act: access.See},
		func(ctx context.Context, _ access.Principal, _ *struct{}) ([]rulebook.PolicyVersion, error) {
			return a.Rulebook.List(ctx, rulebook.ForAll)
		})
	handle(a, operation{method: http.MethodGet, path: under + "/{version}", id: "show-policy-for-all", summary: "One version of the policy for all tenants with its text", tag: tag, act: access.See},
		func(ctx context.Context, _ access.Principal, in *OnePolicy) (rulebook.PolicyVersion, error) {
			return a.Rulebook.Show(ctx, rulebook.ForAll, in.Version)
		})
	handle(a, operation{method: http.MethodPost, path: under + "/check", id: "check-policy-for-all", summary: "Check a policy file for all tenants, with the catalogue of each", tag: tag, act: access.SiteAct},
		func(ctx context.Context, _ access.Principal, in *asked[PolicyFile]) (rulebook.Checked, error) {
			return a.Rulebook.CheckForAll(ctx, in.Body.File, []byte(in.Body.Text))
		})
	handle(a, operation{method: http.MethodPost, path: under + "/diff", id: "diff-policy-for-all", summary: "Say what a policy file for all tenants would change for each", tag: tag, act: access.SiteAct},
		func(ctx context.Context, _ access.Principal, in *asked[PolicyFile]) (rulebook.SiteDiff, error) {
			return a.Rulebook.DiffForAll(ctx, in.Body.File, []byte(in.Body.Text))
		})
	handle(a, operation{method: http.MethodPost, path: under, id: "apply-policy-for-all", summary: "Put a policy in force under every tenant's own", tag: tag, act: access.SiteAct},
		func(ctx context.Context, p access.Principal, in *asked[PolicyFile]) (rulebook.AppliedPolicy, error) {
			return a.Rulebook.ApplyForAll(ctx, p.Actor(), in.Body.File, []byte(in.Body.Text))
		})
}
