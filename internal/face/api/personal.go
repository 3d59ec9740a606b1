package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"patchring/internal/core/fault"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/personal"
)

// RevokeLinks makes the links to a device's page open nothing.
type RevokeLinks struct {
	Reason string `json:"reason,omitempty" maxLength:"4000" doc:"needed"`
}

// FeedbackList are the parameters of the list of what people said.
type FeedbackList struct {
	Paged
	Which    string `query:"which" enum:"open,broken,works,all" doc:"open when not given: broken and not dealt with"`
	Campaign string `query:"campaign" maxLength:"100" doc:"name or id"`
	Device   string `query:"device" maxLength:"260" doc:"id, or a name that only one device has"`
}

// OneFeedback names what was said.
type OneFeedback struct {
	Feedback string `path:"feedback" maxLength:"100"`
}

// CloseFeedback says how it was dealt with.
type CloseFeedback struct {
	Reason string `json:"reason,omitempty" maxLength:"4000" doc:"needed"`
}

// PutLogo changes the logo.
type PutLogo struct {
	File []byte `json:"file" doc:"PNG or JPEG, at most 2 MiB, in base64; it is drawn again, at most 320 × 96"`
}

// maxLogo bounds the request: the file in base64, and a little around it.
const maxLogo = personal.MaxUpload*4/3 + 4<<10

func (a *API) registerPersonal() {
	const devices, tag, policies = "devices", "feedback", "policies"
	handle(a, operation{method: http.MethodGet, path: "/devices/{device}/link", id: "device-link", summary: "A link to the device's page, to be printed or sent", tag: devices, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *OneDevice) (personal.Link, error) {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return personal.Link{}, err
			}
			return a.Personal.Link(ctx, p.Tenant, d.ID)
		})
	do(a, operation{method: http.MethodPost, path: "/devices/{device}/link/revoke", id: "revoke-device-links", summary: "Make every link to the device's page open nothing", tag: devices, act: access.FleetAct},
		func(ctx context.Context, p access.Principal, in *struct {
			OneDevice
			Body RevokeLinks
		}) error {
			d, err := a.View.FindDevice(ctx, p.Tenant, in.Device)
			if err != nil {
				return err
			}
			return a.Personal.Revoke(ctx, p.Tenant, p.Actor(), d.ID, in.Body.Reason)
		})
	handle(a, operation{method: http.MethodGet, path: "/feedback", id: "list-feedback", summary: "What people say of the updates on their devices' pages", tag: tag, act: access.See}, a.listFeedback)
	handle(a, operation{method: http.MethodGet, path: "/feedback/{feedback}", id: "show-feedback", summary: "What somebody said, with what was known of the device then", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneFeedback) (view.FeedbackDetail, error) {
			return a.View.FeedbackDetail(ctx, p.Tenant, in.Feedback)
		})
	do(a, operation{method: http.MethodPost, path: "/feedback/{feedback}/close", id: "close-feedback", summary: "Somebody has dealt with what was said to be broken", tag: tag, act: access.TaskAct},
		func(ctx context.Context, p access.Principal, in *struct {
			OneFeedback
			Body CloseFeedback
		}) error {
			return a.Personal.Close(ctx, p.Tenant, p.Actor(), in.Feedback, in.Body.Reason)
		})
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/feedback", id: "campaign-feedback", summary: "How many devices of a campaign work, as people say", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *struct {
			Campaign string `path:"campaign" maxLength:"100" doc:"name or id"`
		}) (view.FeedbackTally, error) {
			c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
			if err != nil {
				return view.FeedbackTally{}, err
			}
			return a.View.FeedbackTally(ctx, p.Tenant, c.ID)
		})
	do(a, operation{method: http.MethodPut, path: "/logo", id: "put-logo", summary: "Change the logo that people see", tag: policies, act: access.Policies, maxBody: maxLogo},
		func(ctx context.Context, p access.Principal, in *asked[PutLogo]) error {
			return a.Personal.SetLogo(ctx, p.Tenant, p.Actor(), in.Body.File)
		})
	do(a, operation{method: http.MethodDelete, path: "/logo", id: "remove-logo", summary: "Remove the logo", tag: policies, act: access.Policies},
		func(ctx context.Context, p access.Principal, _ *struct{}) error {
			return a.Personal.RemoveLogo(ctx, p.Tenant, p.Actor())
		})
	a.registerLogo(policies)
}

func (a *API) listFeedback(ctx context.Context, p access.Principal, in *FeedbackList) (view.FeedbackPage, error) {
	q := view.FeedbackQuery{Paging: in.paging(), Which: in.Which}
	device, _, err := a.named(ctx, p, in.Device, "")
	if err != nil {
		return view.FeedbackPage{}, err
	}
	q.Device = device
	if in.Campaign != "" {
		c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
		if err != nil {
			return view.FeedbackPage{}, err
		}
		q.Campaign = c.ID
	}
	return a.View.Feedback(ctx, p.Tenant, q)
}

// registerLogo serves the logo as this server has drawn it.
func (a *API) registerLogo(tag string) {
	op := operation{method: http.MethodGet, path: "/logo", id: "show-logo", summary: "The logo that people see", tag: tag, act: access.See}
	spec := op.huma()
	spec.Responses = map[string]*huma.Response{"200": {
		Description: "The logo.", Content: map[string]*huma.MediaType{"image/png": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
	huma.Register(a.huma, spec, func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
		p := principalIn(ctx)
		if err := p.Need(op.act); err != nil {
			return nil, a.problem(ctx, err)
		}
		body, err := a.Personal.Logo(ctx, p.Tenant)
		if err == nil && body == nil {
			err = fault.New(fault.NotFound, "what", "logo", "name", "")
		}
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			hctx.SetHeader("Content-Type", "image/png")
			hctx.SetHeader("X-Content-Type-Options", "nosniff")
			if _, err := hctx.BodyWriter().Write(body); err != nil {
				a.Log.Debug("answer", "err", err)
			}
		}}, nil
	})
}
