package source

import (
	"context"

	"patchring/internal/core/fleet"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

// deadShown bounds the tickets that were given up beside the incidents.
const deadShown = 10

// Incidents fills the list of what went wrong.
func (s *Source) Incidents(ctx context.Context, who Viewer, q page.IncidentQuery) (page.Incidents, error) {
	list, err := s.View.Incidents(ctx, who.Tenant, view.IncidentQuery{
		Which: q.Which, Campaign: q.Campaign, Device: fleet.DeviceID(q.Device), Paging: view.Paging{Cursor: q.After},
	})
	if err != nil {
		return page.Incidents{}, err
	}
	dead, err := s.View.Tickets(ctx, who.Tenant, view.TicketQuery{Which: "dead", Paging: view.Paging{Limit: deadShown}})
	return page.Incidents{Query: q, Rows: list.Rows, Next: list.Next, Dead: dead.Rows}, err
}

// Incident fills the page of one.
func (s *Source) Incident(ctx context.Context, who Viewer, id string) (page.Incident, error) {
	i, err := s.View.Incident(ctx, who.Tenant, id)
	return page.Incident{IncidentDetail: i}, err
}

// FeedbackDetail fills the page of what somebody said.
func (s *Source) FeedbackDetail(ctx context.Context, who Viewer, id string) (page.FeedbackOne, error) {
	f, err := s.View.FeedbackDetail(ctx, who.Tenant, id)
	if err != nil {
		return page.FeedbackOne{}, err
	}
	return page.FeedbackOne{FeedbackLine: feedback([]view.FeedbackRow{f.FeedbackRow})[0], FeedbackDetail: f}, nil
}

// Tests fills the page of a campaign's tests, or of those that can be ticked now.
func (s *Source) Tests(ctx context.Context, who Viewer, campaign string, mine bool) (page.Tests, error) {
	out := page.Tests{Campaign: campaign, Mine: mine}
	q := view.TestsQuery{Campaign: campaign}
	if mine {
		q.Mine = who.Names
	}
	if campaign != "" {
		c, err := s.View.FindCampaign(ctx, who.Tenant, campaign)
		if err != nil {
			return out, err
		}
		out.Name = c.Name
	}
	var err error
	out.Rows, err = s.View.Tests(ctx, who.Tenant, q)
	return out, err
}
