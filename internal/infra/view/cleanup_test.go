package view_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/cleanup"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
)

// cleanUp adds an item to a device, counted.
func (s site) cleanUp(device, item, print, state string, bytes int64) {
	s.t.Helper()
	s.write(func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.EnlistCleanUps(ctx, string(tenant), -1); err != nil {
			return err
		}
		err := tx.PutCleanUpItem(ctx, gen.PutCleanUpItemParams{
			Tenant: string(tenant), Device: device, Item: item, Kind: "journal", Fingerprint: print, OlderThanS: 864000, Paths: `["/var/log/journal"]`, State: state,
		})
		if err != nil {
			return err
		}
		return tx.CountedCleanUp(ctx, gen.CountedCleanUpParams{
			Tenant: string(tenant), Device: device, Item: item, Fingerprint: print, CountedUs: now.UnixMicro(), CountedFiles: 2, CountedBytes: bytes,
			Places: `[{"path":"/var/log/journal","files":2,"bytes":1}]`,
		})
	})
}

func TestCleanUpsAreSummedAndPaged(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "d1", name: "pc-1"}, device{id: "d2", name: "pc-2"}, device{id: "d3", name: "pc-3"})
		s.cleanUp("d1", "pcs/journal", "f1", "awaiting_approval", 100)
		s.cleanUp("d2", "pcs/journal", "f1", "resting", 50)
		s.cleanUp("d3", "pcs/journal", "f2", "awaiting_dry_run", 7)
		s.write(func(ctx context.Context, tx *store.Tx) error {
			for _, device := range []string{"", "d1"} {
				if _, err := tx.AddCleanUpApproval(ctx, gen.AddCleanUpApprovalParams{Tenant: string(tenant), Item: "pcs/journal", Fingerprint: "f1", Device: device, Actor: "user:bob", AtUs: now.UnixMicro()}); err != nil {
					return err
				}
			}
			for range 2 {
				if err := tx.CleanedCleanUp(ctx, gen.CleanedCleanUpParams{Tenant: string(tenant), Device: "d2", Item: "pcs/journal", CleanedUs: now.UnixMicro(), Files: 3, Bytes: 20, AtLeast: 1, Places: "[]", Cause: "stalled"}); err != nil {
					return err
				}
			}
			// A changed item says nothing of what was counted of the old one.
			return tx.PutCleanUpItem(ctx, gen.PutCleanUpItemParams{Tenant: string(tenant), Device: "d3", Item: "pcs/journal", Kind: "journal", Fingerprint: "f3", Paths: "[]", State: "awaiting_dry_run"})
		})
		got, err := s.CleanUps(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		want := []view.CleanUpSum{
			{Item: "pcs/journal", Kind: "journal", Fingerprint: "f3", Paths: []string{}, Devices: 1},
			{Item: "pcs/journal", Kind: "journal", Fingerprint: "f1", OlderDays: 10, Paths: []string{"/var/log/journal"}, Devices: 2, Counted: 2, Awaiting: 1, Let: 1, CountedFiles: 4, CountedBytes: 150,
				Approved: true, ApprovedBy: "user:bob", ApprovedAt: now.UTC(), Singly: 1, Stopped: 1, FreedFiles: 6, FreedBytes: 40, AtLeast: true},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		all := pages(t, func(c view.CleanUpRow) string { return c.Device.Name }, func(p view.Paging) (view.CleanUpPage, error) {
			return s.CleanUpDevices(t.Context(), tenant, view.CleanUpQuery{Paging: p, Item: "pcs/journal"})
		})
		if diff := cmp.Diff([]string{"pc-1", "pc-2", "pc-3"}, all); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
		one, err := s.CleanUpDevices(t.Context(), tenant, view.CleanUpQuery{State: "resting"})
		if err != nil || len(one.Rows) != 1 || one.Rows[0].Device.ID != "d2" || one.Rows[0].State != cleanup.Resting || one.Rows[0].Cause.Code != "stalled" {
			t.Errorf("resting: %+v, %v", one.Rows, err)
		}
		if none, err := s.CleanUps(t.Context(), other); err != nil || len(none) != 0 {
			t.Errorf("another tenant sees %+v, %v", none, err)
		}
		s.write(func(ctx context.Context, tx *store.Tx) error {
			claimed, err := tx.ClaimCleanUps(ctx, gen.ClaimCleanUpsParams{LeaseUs: now.UnixMicro() + 1, NowUs: now.UnixMicro(), Max: 2})
			if err != nil || len(claimed) != 2 {
				t.Errorf("claimed %d, %v; want the two that were asked for", len(claimed), err)
			}
			again, err := tx.ClaimCleanUps(ctx, gen.ClaimCleanUpsParams{LeaseUs: now.UnixMicro() + 1, NowUs: now.UnixMicro(), Max: 5})
			if err != nil || len(again) != 1 {
				t.Errorf("claimed %d more, %v; want the one that is left", len(again), err)
			}
			n, err := tx.DropCleanUpApprovals(ctx, gen.DropCleanUpApprovalsParams{Tenant: string(tenant), Item: "pcs/journal", Device: "d1"})
			if err != nil || n != 1 {
				t.Errorf("dropped %d, %v; want the one of the device", n, err)
			}
			n, err = tx.DropCleanUpApprovals(ctx, gen.DropCleanUpApprovalsParams{Tenant: string(tenant), Item: "pcs/journal", Every: 1})
			if err != nil || n != 1 {
				t.Errorf("dropped %d, %v; want the one that is left", n, err)
			}
			return err
		})
	})
}
