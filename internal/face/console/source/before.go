package source

import (
	"context"

	"patchring/internal/core/fleet"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
	"patchring/internal/service/desk"
	"patchring/internal/service/survey"
)

// Readiness fills what is to be put right before a campaign.
func (s *Source) Readiness(ctx context.Context, who Viewer, q page.ReadinessQuery) (page.Readiness, error) {
	found, err := s.Survey.Readiness(ctx, who.Tenant, survey.ReadinessAsk{Page: survey.Page{Cursor: q.After}, Campaign: q.Campaign, Kind: q.Kind})
	if err != nil {
		return page.Readiness{}, err
	}
	out := page.Readiness{Readiness: found, Query: q, Title: who.Words.T("readiness.title")}
	open, err := s.View.Campaigns(ctx, who.Tenant, view.CampaignQuery{Open: true})
	if err != nil {
		return page.Readiness{}, err
	}
	for _, c := range open.Rows {
		out.Campaigns = append(out.Campaigns, campaignLine(c))
	}
	tasks, err := s.View.FindingTasks(ctx, who.Tenant)
	if err != nil {
		return page.Readiness{}, err
	}
	out.Open = map[desk.FindingOn]string{}
	for _, t := range tasks {
		out.Open[desk.FindingOn{Device: t.Device, Kind: t.Kind}] = t.ID
	}
	return out, nil
}

// Pilots fills a choice of pilots, or what the reader made of it.
func (s *Source) Pilots(ctx context.Context, who Viewer, q page.PilotsQuery) (page.Pilots, error) {
	ask := survey.PilotsAsk{Procedure: q.Procedure, Ring: q.Ring, Size: q.Size, PerDepartment: q.PerDepartment}
	if q.Measure {
		ask.Exactly = []fleet.DeviceID{}
		for _, id := range q.Devices {
			ask.Exactly = append(ask.Exactly, fleet.DeviceID(id))
		}
		if q.Add != "" {
			d, err := s.View.FindDevice(ctx, who.Tenant, q.Add)
			if err != nil {
				return page.Pilots{}, err
			}
			ask.Exactly = append(ask.Exactly, d.ID)
		}
	}
	p, err := s.Survey.Pilots(ctx, who.Tenant, ask)
	if err != nil {
		return page.Pilots{}, err
	}
	q.Size = p.Size
	return page.Pilots{Pilots: p, Query: q, Title: who.Words.T("pilots.title", "ring", p.Ring)}, nil
}

// Lifecycle fills the report of systems that are too old.
func (s *Source) Lifecycle(ctx context.Context, who Viewer, q page.LifecycleQuery) (page.Lifecycle, error) {
	l, err := s.Survey.Lifecycle(ctx, who.Tenant, survey.LifecycleAsk{Page: survey.Page{Cursor: q.After}, State: q.State})
	return page.Lifecycle{Lifecycle: l, Query: q, Title: who.Words.T("lifecycle.title")}, err
}

// GateProof fills the page of what gates are decided on.
func (s *Source) GateProof(ctx context.Context, who Viewer, id string) (page.GateProof, error) {
	c, err := s.View.FindCampaign(ctx, who.Tenant, id)
	if err != nil {
		return page.GateProof{}, err
	}
	e, err := s.View.Evidence(ctx, who.Tenant, c.ID)
	return page.GateProof{CampaignEvidence: e, Title: who.Words.T("proof.title")}, err
}

// Suspects fills the page of what failing devices of a campaign share.
func (s *Source) Suspects(ctx context.Context, who Viewer, id string) (page.Suspects, error) {
	c, err := s.View.FindCampaign(ctx, who.Tenant, id)
	if err != nil {
		return page.Suspects{}, err
	}
	found, err := s.Survey.Suspects(ctx, who.Tenant, c.ID)
	if err != nil {
		return page.Suspects{}, err
	}
	out := page.Suspects{Campaign: c.ID, Name: c.Name}
	for _, p := range found.Patches {
		patch := page.PatchSuspects{ID: string(p.Patch), Name: p.Name + " " + p.Version, Failed: int64(p.Failed), Sound: int64(p.Sound), Bounded: p.Bounded}
		for _, s := range p.Suspects {
			patch.Suspects = append(patch.Suspects, page.Suspect{
				Condition: s.Condition, Safeguard: s.Safeguard, Failed: int64(s.Failed), With: int64(s.Failed + s.Sound),
				FailedWithout: int64(s.FailedWithout), WithoutCount: int64(s.FailedWithout + s.SoundWithout),
			})
		}
		out.Patches = append(out.Patches, patch)
	}
	return out, nil
}
