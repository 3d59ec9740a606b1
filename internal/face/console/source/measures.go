package source

import (
	"context"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
	"patchring/internal/service/sampler"
)

// Probers tells which probes the policies in force define; sampler.Sampler does.
type Probers interface {
	Defined(ctx context.Context, tenant fleet.TenantID) ([]sampler.Defined, error)
}

// Measures fills the page of a device's measures.
func (s *Source) Measures(ctx context.Context, who Viewer, id string, days int) (page.Measures, error) {
	now := s.Clock()
	m, err := s.View.Measured(ctx, who.Tenant, fleet.DeviceID(id), view.MeasureQuery{
		From: now.Add(-time.Duration(days) * 24 * time.Hour), To: now, Hourly: days > 1,
	})
	return page.Measures{Measured: m, Days: days}, err
}

// CampaignMeasures fills the comparison of a campaign's devices.
func (s *Source) CampaignMeasures(ctx context.Context, who Viewer, id, ring string) (page.CampaignMeasures, error) {
	b, err := s.View.Board(ctx, who.Tenant, id)
	if err != nil {
		return page.CampaignMeasures{}, err
	}
	m, err := s.View.CompareMeasures(ctx, who.Tenant, view.CompareQuery{Campaign: campaign.ID(id), Ring: ring})
	out := page.CampaignMeasures{CampaignMeasures: m, ID: id, Title: b.Campaign.Name}
	for _, a := range b.Amendments {
		for _, r := range a.Rings {
			if a.Number == 0 {
				out.Rings = append(out.Rings, r.Ring)
			}
		}
	}
	return out, err
}

// Probes fills the page of probes.
func (s *Source) Probes(ctx context.Context, who Viewer, q page.ProbeQuery) (page.Probes, error) {
	out := page.Probes{Query: q}
	var err error
	if out.Sums, err = s.View.Probes(ctx, who.Tenant, ""); err != nil {
		return out, err
	}
	if out.Defined, err = s.Probers.Defined(ctx, who.Tenant); err != nil || q.Name == "" {
		return out, err
	}
	list, err := s.View.ProbeDevices(ctx, who.Tenant, view.ProbeQuery{
		Name: q.Name, State: fleet.ProbeState(q.State), Paging: view.Paging{Cursor: q.After},
	})
	out.Rows, out.Next = list.Rows, list.Next
	return out, err
}
