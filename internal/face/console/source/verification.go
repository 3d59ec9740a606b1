package source

import (
	"context"
	"time"

	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

// Verification fills the page of what a campaign has reached.
func (s *Source) Verification(ctx context.Context, who Viewer, id string, q page.VerificationQuery) (page.Reached, error) {
	c, err := s.View.FindCampaign(ctx, who.Tenant, id)
	if err != nil {
		return page.Reached{}, err
	}
	v, err := s.View.Verification(ctx, who.Tenant, c.ID)
	if err != nil {
		return page.Reached{}, err
	}
	list, err := s.View.Missing(ctx, who.Tenant, view.MissingQuery{Campaign: c.ID, Bucket: q.Bucket, By: q.By, Value: q.Value, Paging: view.Paging{Cursor: q.After}})
	if err != nil {
		return page.Reached{}, err
	}
	revisions, err := s.View.Revisions(ctx, who.Tenant, c.ID)
	return page.Reached{
		Verification: v, Heads: who.Words.T("verification.title", "name", c.Name), Procedure: v.Title.In(string(who.Words.Lang())),
		Query: q, List: list.Rows, Next: list.Next, Visas: visas(who.Words, v.SignOffs), Revisions: revisions,
	}, err
}

// Month fills the report of a month; it is read by who hands documents out.
func Month(m view.Monthly, who Viewer) page.MonthReport {
	out := page.MonthReport{Monthly: m, Heads: who.Words.T("monthly.title", "month", who.Words.Month(m.From.Year(), m.From.Month())), Last: m.From.AddDate(0, -1, 0).Format("2006-01")}
	if next := m.From.AddDate(0, 1, 0); !next.After(m.At.Add(time.Hour)) {
		out.Following = next.Format("2006-01")
	}
	return out
}
