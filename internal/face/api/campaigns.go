package api

import (
	"context"
	"net/http"

	"patchring/internal/infra/view"
	"patchring/internal/service/access"
)

// OneCampaign names a campaign.
type OneCampaign struct {
	Campaign string `path:"campaign" maxLength:"100" doc:"name or id"`
}

// CampaignList are the parameters of the list of campaigns.
type CampaignList struct {
	Paged
	Open  bool   `query:"open" doc:"only those that are not closed"`
	State string `query:"state" enum:"draft,scheduled,running,verifying,closed"`
}

// RingDeviceList are the parameters of the list of a ring's devices.
type RingDeviceList struct {
	OneCampaign
	Paged
	Amendment int64  `query:"amendment" minimum:"0"`
	Position  int64  `query:"position" minimum:"0" doc:"of the ring, from 0"`
	Bucket    string `query:"bucket" enum:"done,failed,not_reached,unreachable,exempt"`
}

// ImpossibleList are the parameters of the list of impossible rollbacks.
type ImpossibleList struct {
	Paged
	Campaign string `query:"campaign" maxLength:"100" doc:"name or id; all that are open when not given"`
}

func (a *API) registerCampaigns() {
	const tag = "campaigns"
	handle(a, operation{method: http.MethodGet, path: "/campaigns", id: "list-campaigns", summary: "Campaigns, newest first", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *CampaignList) (view.CampaignPage, error) {
			return a.View.Campaigns(ctx, p.Tenant, view.CampaignQuery{Paging: in.paging(), Open: in.Open, State: in.State})
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}", id: "show-campaign", summary: "A campaign's board", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneCampaign) (view.Board, error) {
			c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
			if err != nil {
				return view.Board{}, err
			}
			return a.View.Board(ctx, p.Tenant, c.ID)
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/devices", id: "list-ring-devices", summary: "Devices of a ring, by bucket", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *RingDeviceList) (view.RingDevicePage, error) {
			c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
			if err != nil {
				return view.RingDevicePage{}, err
			}
			return a.View.RingDevices(ctx, p.Tenant, view.RingDevicesQuery{Paging: in.paging(), Campaign: c.ID, Amendment: in.Amendment, Position: in.Position, Bucket: in.Bucket})
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/events", id: "campaign-events", summary: "The campaign's register, newest first", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *struct {
			OneCampaign
			Paged
		}) (view.EventPage, error) {
			c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
			if err != nil {
				return view.EventPage{}, err
			}
			return a.View.Events(ctx, p.Tenant, view.EventQuery{Campaign: c.ID, Paging: in.paging()})
		})
	handle(a, operation{method: http.MethodGet, path: "/impossible-rollbacks", id: "list-impossible-rollbacks", summary: "Patches on devices that could not be put back, and why", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *ImpossibleList) (view.ImpossiblePage, error) {
			q := view.ImpossibleQuery{Paging: in.paging()}
			if in.Campaign != "" {
				c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
				if err != nil {
					return view.ImpossiblePage{}, err
				}
				q.Campaign = c.ID
			}
			return a.View.ImpossibleRollbacks(ctx, p.Tenant, q)
		})
	a.registerWatch(tag)
	a.registerRehearse(tag)
}
