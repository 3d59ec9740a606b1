package api

import (
	"context"
	"net/http"

	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/cleaner"
)

// CleanUpList is every item of clean-up over the fleet: a few, so one page.
type CleanUpList struct {
	Rows []view.CleanUpSum `json:"rows"`
}

// CleanUpDevices are the parameters of the list of items on devices.
type CleanUpDevices struct {
	Paged
	Item   string `query:"item" maxLength:"200" doc:"PROFILE/KIND"`
	Device string `query:"device" maxLength:"260" doc:"id, or a name that only one device has"`
	State  string `query:"state" maxLength:"40" doc:"awaiting_dry_run, awaiting_approval, approved, ordered, resting or withdrawn"`
}

// ApproveCleanUp lets an item go as it was when its figures were looked at.
type ApproveCleanUp struct {
	Item        string `json:"item" maxLength:"200" doc:"PROFILE/KIND"`
	Fingerprint string `json:"fingerprint" maxLength:"64" doc:"as the list gives it: a changed item is another one"`
	Device      string `json:"device,omitempty" maxLength:"260" doc:"that device only; every device when not given, each after its own dry run"`
}

// RevokeCleanUp takes approvals of an item back.
type RevokeCleanUp struct {
	Item   string `json:"item" maxLength:"200" doc:"PROFILE/KIND"`
	Device string `json:"device,omitempty" maxLength:"260" doc:"the approval of that device only; all of them when not given"`
}

func (a *API) registerCleanUps() {
	const tag = "clean-ups"
	handle(a, operation{method: http.MethodGet, path: "/clean-ups", id: "list-clean-ups", summary: "Clean-ups: what each item counted and freed over the fleet", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, _ *struct{}) (CleanUpList, error) {
			list, err := a.View.CleanUps(ctx, p.Tenant)
			return CleanUpList{list}, err
		})
	handle(a, operation{method: http.MethodGet, path: "/clean-ups/devices", id: "list-clean-up-devices", summary: "Where each item of clean-up stands on each device", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *CleanUpDevices) (view.CleanUpPage, error) {
			device, _, err := a.named(ctx, p, in.Device, "")
			if err != nil {
				return view.CleanUpPage{}, err
			}
			return a.View.CleanUpDevices(ctx, p.Tenant, view.CleanUpQuery{Paging: in.paging(), Item: in.Item, Device: device, State: in.State})
		})
	do(a, operation{method: http.MethodPost, path: "/clean-ups/approve", id: "approve-clean-up", summary: "Let an item of clean-up go, after its dry run", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *asked[ApproveCleanUp]) error {
			device, _, err := a.named(ctx, p, in.Body.Device, "")
			if err != nil {
				return err
			}
			return a.Cleaner.Approve(ctx, p.Tenant, p.Actor(), cleaner.Approve{Item: in.Body.Item, Fingerprint: in.Body.Fingerprint, Device: device})
		})
	do(a, operation{method: http.MethodPost, path: "/clean-ups/revoke", id: "revoke-clean-up", summary: "Take approvals of an item of clean-up back; what is under way stops at the agent's next check-in", tag: tag, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *asked[RevokeCleanUp]) error {
			device, _, err := a.named(ctx, p, in.Body.Device, "")
			if err != nil {
				return err
			}
			return a.Cleaner.Revoke(ctx, p.Tenant, p.Actor(), in.Body.Item, device)
		})
}
