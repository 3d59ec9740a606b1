package view_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/patch"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/wire"
)

func TestDevicesPageByKeysetInEveryOrder(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(
			device{id: "1", name: "pc-b", missing: 3, silent: 5 * time.Minute},
			device{id: "2", name: "pc-a", missing: 1, silent: 9 * time.Minute},
			device{id: "3", name: "pc-a", missing: 3}, // the same name: two devices all the same
			device{id: "4", name: "srv-c", silent: 7 * time.Minute},
			device{id: "5", name: "pc-z", retired: true},
			device{id: "6", name: "pc-rival", tenant: other},
		)
		tests := map[string][]string{
			"":         {"pc-a 2", "pc-a 3", "pc-b 1", "srv-c 4"},
			"name":     {"pc-a 2", "pc-a 3", "pc-b 1", "srv-c 4"},
			"enrolled": {"pc-b 1", "pc-a 2", "pc-a 3", "srv-c 4"},
			"seen":     {"pc-a 2", "srv-c 4", "pc-b 1", "pc-a 3"},
			"missing":  {"pc-a 3", "pc-b 1", "pc-a 2", "srv-c 4"},
		}
		for sort, want := range tests {
			got := pages(t, func(d view.DeviceRow) string { return d.Name + " " + string(d.ID) }, func(p view.Paging) (view.DevicePage, error) {
				return s.Devices(t.Context(), tenant, view.DeviceQuery{Paging: p, Sort: sort})
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sort %q (-want +got):\n%s", sort, diff)
			}
		}
	})
}

func TestDevicesFilterByStateAsTheRowsSay(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(
			device{id: "1", name: "ok"},
			device{id: "2", name: "gone", silent: 100 * time.Hour, missing: 9, reboot: true},
			device{id: "3", name: "new", unknown: true},
			device{id: "4", name: "stale", stale: true},
			device{id: "5", name: "reboot", reboot: true, missing: 2},
			device{id: "6", name: "late", missing: 2, failing: 1},
			device{id: "7", name: "sold", retired: true},
		)
		want := map[string][]string{
			"compliant": {"ok"}, "unreachable": {"gone"}, "not_ready": {"new", "stale"}, "pending_reboot": {"reboot"},
			"overdue": {"late"}, "retired": {"sold"}, "failing": {"late"}, "never_scanned": {"new"}, "duplicate": nil,
		}
		for _, filter := range view.DeviceFilters() {
			page, err := s.Devices(t.Context(), tenant, view.DeviceQuery{Filter: filter})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range page.Rows {
				got = append(got, d.Name)
				states := map[string]bool{"failing": true, "never_scanned": true, "duplicate": true}
				if string(d.State) != filter && !states[filter] {
					t.Errorf("filter %s lists %s, whose state is %s", filter, d.Name, d.State)
				}
			}
			if diff := cmp.Diff(want[filter], got); diff != "" {
				t.Errorf("filter %s (-want +got):\n%s", filter, diff)
			}
		}
	})
}

func TestDevicesSayWhyTheyAreNotCompliant(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "1", name: "a-gone", silent: 100 * time.Hour}, device{id: "2", name: "b-new", unknown: true},
			device{id: "3", name: "c-stale", stale: true}, device{id: "4", name: "d-reboot", reboot: true}, device{id: "5", name: "e-ok"})
		page, err := s.Devices(t.Context(), tenant, view.DeviceQuery{})
		if err != nil {
			t.Fatal(err)
		}
		want := []fault.Code{fault.DeviceUnreachable, fault.NeverScanned, fault.ScanStale, fault.RebootPendingNow, ""}
		for i, d := range page.Rows {
			if code(d.Reason) != want[i] {
				t.Errorf("%s: reason %q, want %q", d.Name, code(d.Reason), want[i])
			}
		}
	})
}

// A device that nobody mends any more is never compliant, whatever it misses:
// nothing is published for it.
func TestWhatIsTooOldIsNeverCompliant(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		short := `{"code":"hardware_short","args":{"part":"ram"}}`
		s.add(device{id: "1", name: "a-ended", ends: now.Add(-time.Second)}, device{id: "2", name: "b-now", ends: now}, device{id: "3", name: "c-tomorrow", ends: now.Add(time.Second)},
			device{id: "4", name: "d-nobody-knows"}, device{id: "5", name: "e-small", short: short}, device{id: "6", name: "f-over", ends: lifecycle.LongAgo},
			device{id: "7", name: "g-ended-and-stale", ends: now, stale: true}, device{id: "8", name: "h-ended-and-gone", ends: now, silent: 100 * time.Hour})
		page, err := s.Devices(t.Context(), tenant, view.DeviceQuery{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range page.Rows {
			got = append(got, d.Name+" "+string(d.State)+" "+string(code(d.Reason)))
		}
		want := []string{
			"a-ended not_ready system_ended", "b-now not_ready system_ended", "c-tomorrow compliant ", "d-nobody-knows compliant ", "e-small not_ready hardware_short",
			"f-over not_ready system_ended", "g-ended-and-stale not_ready scan_stale", "h-ended-and-gone unreachable device_unreachable",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if day := page.Rows[0].Reason.Args["day"]; day != "2026-01-13" {
			t.Errorf("its last day was %q, want the day before it ended", day)
		}
		if day := page.Rows[5].Reason.Args["day"]; day != "" {
			t.Errorf("nobody says when it ended; told %q", day)
		}
		for filter, n := range map[string]int{"compliant": 2, "not_ready": 5} {
			if listed, err := s.Devices(t.Context(), tenant, view.DeviceQuery{Filter: filter}); err != nil || len(listed.Rows) != n {
				t.Errorf("filter %s lists %d devices (%v), want %d", filter, len(listed.Rows), err, n)
			}
		}
	})
}

func TestDevicesFilterByWhatPeopleAskFor(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(
			device{id: "1", name: "PC-100%", kind: fleet.Workstation, tags: fleet.Tags{"department": "finance"}, groups: []string{"pilots"}},
			device{id: "2", name: "pc-1000", kind: fleet.Server, tags: fleet.Tags{"department": "sales"}},
			device{id: "3", name: "x_y", groups: []string{"pilots", "vip"}},
			device{id: "4", name: "xzy"},
		)
		ssl := key("openssl", "3.0.22-1")
		s.addPatch(ssl, patch.Security, now, "2", "4")
		tests := []struct {
			name string
			q    view.DeviceQuery
			want []string
		}{
			{"text is found anywhere, whatever its case", view.DeviceQuery{Text: "pc-1"}, []string{"PC-100%", "pc-1000"}},
			{"a percent sign is a percent sign", view.DeviceQuery{Text: "100%"}, []string{"PC-100%"}},
			{"and an underscore an underscore", view.DeviceQuery{Text: "x_y"}, []string{"x_y"}},
			{"kind", view.DeviceQuery{Kind: fleet.Server}, []string{"pc-1000"}},
			{"group", view.DeviceQuery{Group: "pilots"}, []string{"PC-100%", "x_y"}},
			{"tag", view.DeviceQuery{Tag: "department=sales"}, []string{"pc-1000"}},
			{"patch it misses", view.DeviceQuery{Patch: ssl.ID()}, []string{"pc-1000", "xzy"}},
			{"both", view.DeviceQuery{Patch: ssl.ID(), Text: "x"}, []string{"xzy"}},
		}
		for _, tt := range tests {
			page, err := s.Devices(t.Context(), tenant, tt.q)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			var got []string
			for _, d := range page.Rows {
				got = append(got, d.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
		page, err := s.Devices(t.Context(), tenant, view.DeviceQuery{Text: "x_y"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"pilots", "vip"}, page.Rows[0].Groups); diff != "" {
			t.Errorf("groups of a row (-want +got):\n%s", diff)
		}
	})
}

func TestListsRefuseWhatTheyDoNotKnow(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		ctx := t.Context()
		_, byName := s.Devices(ctx, tenant, view.DeviceQuery{Paging: view.Paging{Limit: 1}})
		cursorOfOther := "eyJzIjoic2VlbiJ9" // {"s":"seen"}
		refusals := map[string]error{"": byName}
		_, refusals["sort"] = s.Devices(ctx, tenant, view.DeviceQuery{Sort: "name; DROP TABLE device"})
		_, refusals["filter"] = s.Devices(ctx, tenant, view.DeviceQuery{Filter: "1=1"})
		_, refusals["kind"] = s.Devices(ctx, tenant, view.DeviceQuery{Kind: "toaster"})
		_, refusals["tag"] = s.Devices(ctx, tenant, view.DeviceQuery{Tag: "finance"})
		_, refusals["cursor"] = s.Devices(ctx, tenant, view.DeviceQuery{Paging: view.Paging{Cursor: cursorOfOther}})
		for field, err := range refusals {
			var refused *fault.Error
			if field == "" {
				if err != nil {
					t.Errorf("a plain list: %v", err)
				}
				continue
			}
			if !asFault(err, &refused) || refused.Code != fault.InvalidField || refused.Args["field"] != field {
				t.Errorf("%s: got %v, want invalid_field of it", field, err)
			}
		}
	})
}

func TestDeviceShowsFactsPatchesAndOrders(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "d1", name: "pc-1", missing: 2})
		ssl, vim := key("openssl", "3.0.22-1"), key("vim", "9.1")
		s.addPatch(vim, patch.Quality, now, "d1")
		s.addPatch(ssl, patch.Security, now.Add(-time.Hour), "d1")
		c := s.campaign("c1", "2026-01", ring("R0", "gate"), ring("R1", "pending"))
		s.carry(c, ssl, "d1", 0, patch.Waiting, fault.Because(fault.OutsideWindow, "next", "2026-01-14T18:00:00Z"))
		part, err := wire.Pack(wire.PartFacts, now.UnixMicro(), wire.Facts{Hostname: "pc-1", OS: wire.OS{ID: "debian", Name: "Debian 12"}, Hardware: wire.Hardware{CPUs: 4}})
		if err != nil {
			t.Fatal(err)
		}
		s.write(func(ctx context.Context, tx *store.Tx) error {
			err := tx.PutDevicePart(ctx, gen.PutDevicePartParams{Tenant: string(tenant), Device: "d1", Name: string(part.Name), Hash: part.Hash, AtUs: part.AtUS, Body: part.Gzip})
			if err != nil {
				return err
			}
			return tx.AddHold(ctx, gen.AddHoldParams{Tenant: string(tenant), ID: "h1", Device: "d1", Reason: "month end", Actor: "user:bob", PlacedUs: now.UnixMicro()})
		})
		d, err := s.Device(t.Context(), tenant, "d1")
		if err != nil {
			t.Fatal(err)
		}
		if d.Facts == nil || d.Facts.OS.Name != "Debian 12" || d.Facts.Hardware.CPUs != 4 || !d.Facts.Measured.Equal(now) {
			t.Errorf("facts: %+v", d.Facts)
		}
		if len(d.Patches) != 2 || d.Patches[0].Patch.Name != "openssl" || d.Patches[1].State != patch.Applicable {
			t.Fatalf("patches: %+v, want openssl (security) first and vim applicable", d.Patches)
		}
		first := d.Patches[0]
		if first.State != patch.Waiting || code(first.Reason) != fault.OutsideWindow || first.Campaign == nil || first.Campaign.Name != "2026-01" ||
			!first.Next.Equal(time.Date(2026, 1, 14, 18, 0, 0, 0, time.UTC)) {
			t.Errorf("openssl: %+v, want waiting in 2026-01 until 18:00", first)
		}
		if len(d.Campaigns) != 1 || d.Campaigns[0].Ring != "R0" || len(d.Campaigns[0].Items) != 1 {
			t.Errorf("campaigns: %+v", d.Campaigns)
		}
		if len(d.Holds) != 1 || d.Holds[0].Device == nil || d.Holds[0].Device.Name != "pc-1" {
			t.Errorf("holds: %+v", d.Holds)
		}
		if _, err := s.Device(t.Context(), other, "d1"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("another tenant's device: %v, want not_found", err)
		}
	})
}

func TestFindDeviceByNameOnlyWhenItIsOne(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "1", name: "pc"}, device{id: "2", name: "twin"}, device{id: "3", name: "twin"}, device{id: "4", name: "pc", retired: true})
		if got, err := s.FindDevice(t.Context(), tenant, "pc"); err != nil || got.ID != "1" {
			t.Errorf("pc: %v, %v; want device 1, because the other one is retired", got, err)
		}
		if got, err := s.FindDevice(t.Context(), tenant, "4"); err != nil || got.Name != "pc" {
			t.Errorf("by id: %v, %v; want the retired one too", got, err)
		}
		if _, err := s.FindDevice(t.Context(), tenant, "twin"); fault.CodeOf(err) != fault.InvalidField {
			t.Errorf("twin: %v, want a refusal that asks for the id", err)
		}
		if _, err := s.FindDevice(t.Context(), tenant, "nobody"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("nobody: %v, want not_found", err)
		}
	})
}

func TestGroupsCountTheirDevices(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "1", name: "a", groups: []string{"it", "vip"}}, device{id: "2", name: "b", groups: []string{"it"}}, device{id: "3", name: "c", groups: []string{"zoo"}})
		got := pages(t, func(g view.GroupRow) string { return g.Name + " " + number(int(g.Devices)) }, func(p view.Paging) (view.GroupPage, error) {
			return s.Groups(t.Context(), tenant, p)
		})
		if diff := cmp.Diff([]string{"it 002", "vip 001", "zoo 001"}, got); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
	})
}
