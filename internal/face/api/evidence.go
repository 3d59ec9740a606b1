package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
)

// CampaignEvidence are the parameters of the evidence of a campaign.
type CampaignEvidence struct {
	OneCampaign
	Ring string `query:"ring" maxLength:"63" doc:"only this one"`
}

// Evaluate asks gates what they say now; nothing is promoted by asking.
type Evaluate struct {
	Ring string `json:"ring,omitempty" maxLength:"63" doc:"all that have opened when not given"`
}

func (a *API) registerEvidence() {
	const tag = "campaigns"
	handle(a, operation{method: http.MethodGet, path: "/campaigns/{campaign}/evidence", id: "campaign-evidence", summary: "What gates are decided on: proof, measures, and what they answered", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *CampaignEvidence) (view.CampaignEvidence, error) {
			return a.evidence(ctx, p, in.Campaign, in.Ring)
		})
	handle(a, operation{method: http.MethodPost, path: "/campaigns/{campaign}/evaluate", id: "evaluate-campaign", summary: "Ask gates what they say now; the answer is kept, nothing is promoted", tag: tag, act: access.RunAct},
		func(ctx context.Context, p access.Principal, in *struct {
			OneCampaign
			Body Evaluate
		}) (view.CampaignEvidence, error) {
			if _, err := a.Conductor.Evaluate(ctx, p.Tenant, p.Actor(), in.Campaign, in.Body.Ring); err != nil {
				return view.CampaignEvidence{}, err
			}
			return a.evidence(ctx, p, in.Campaign, in.Body.Ring)
		})
}

func (a *API) evidence(ctx context.Context, p access.Principal, ref, ring string) (view.CampaignEvidence, error) {
	c, err := a.View.FindCampaign(ctx, p.Tenant, ref)
	if err != nil {
		return view.CampaignEvidence{}, err
	}
	e, err := a.View.Evidence(ctx, p.Tenant, c.ID)
	if err != nil || ring == "" {
		return e, err
	}
	var known []string
	for _, r := range e.Rings {
		known = append(known, r.Ring)
	}
	e.Rings = slices.DeleteFunc(e.Rings, func(r view.RingEvidence) bool { return !strings.EqualFold(r.Ring, ring) })
	if len(e.Rings) == 0 {
		return e, fault.New(fault.InvalidField, "field", "ring", "problem", "not_a_choice", "fix", strings.Join(known, ", "))
	}
	return e, nil
}
