package source

import (
	"context"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/rehearsal"
	"patchring/internal/face/console/page"
	"patchring/internal/service/foresight"
)

// Rehearser says what a campaign would do.
type Rehearser interface {
	Rehearse(ctx context.Context, tenant fleet.TenantID, ask foresight.Ask) (foresight.Rehearsal, error)
}

const (
	monthsAhead = 12
	fatesShown  = 100
)

// Rehearsal fills the page of a rehearsal. Nothing is rehearsed before a reader
// has chosen what: a large fleet takes seconds.
func (s *Source) Rehearsal(ctx context.Context, who Viewer, q page.RehearsalQuery) (page.Rehearsal, error) {
	rows, err := s.View.Procedures(ctx, who.Tenant)
	if err != nil {
		return page.Rehearsal{}, err
	}
	out := page.Rehearsal{Query: q}
	for _, p := range rows {
		out.Procedures = append(out.Procedures, p.Name)
	}
	now := s.Clock()
	for i := range monthsAhead {
		out.Months = append(out.Months, time.Date(now.Year(), now.Month()+time.Month(i), 1, 0, 0, 0, 0, time.UTC))
	}
	if q.When == "" || q.Procedure == "" {
		return out, nil
	}
	ask := foresight.Ask{Procedure: q.Procedure, Now: q.When == "now"}
	if !ask.Now {
		ask.Month = q.When
	}
	if q.Lists() {
		ask.Fates = rehearsal.FateQuery{Ring: q.Ring, Bucket: q.Bucket, Code: q.Reason, After: fleet.DeviceID(q.After), Limit: fatesShown}
	}
	told, err := s.Foresight.Rehearse(ctx, who.Tenant, ask)
	if err != nil {
		return page.Rehearsal{}, err
	}
	out.Played, out.Title, out.Version, out.Zone = true, title(who.Words, told.Title, told.Procedure), told.Version, told.Zone
	out.Campaign, out.Policy, out.Told, out.Fates, out.Next = told.Campaign, told.Policy, told.Result, told.Fates, told.Next
	return out, nil
}
