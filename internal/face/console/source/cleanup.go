package source

import (
	"context"

	"patchring/internal/core/fleet"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

// CleanUps fills the page of clean-ups.
func (s *Source) CleanUps(ctx context.Context, who Viewer, q page.CleanUpQuery) (page.CleanUps, error) {
	sums, err := s.View.CleanUps(ctx, who.Tenant)
	if err != nil {
		return page.CleanUps{}, err
	}
	list, err := s.View.CleanUpDevices(ctx, who.Tenant, view.CleanUpQuery{
		Item: q.Item, Device: fleet.DeviceID(q.Device), State: q.State, Paging: view.Paging{Cursor: q.After},
	})
	return page.CleanUps{Query: q, Sums: sums, Rows: list.Rows, Next: list.Next}, err
}
