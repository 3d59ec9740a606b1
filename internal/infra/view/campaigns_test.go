package view_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/wire"
)

func asFault(err error, target **fault.Error) bool { return errors.As(err, target) }

type ringRow struct{ name, state string }

func ring(name, state string) ringRow { return ringRow{name, state} }

// campaign adds a campaign of the example procedure with these rings.
func (s site) campaign(id, name string, rings ...ringRow) string {
	s.t.Helper()
	body, err := os.ReadFile("../../../examples/procedures/postes-france.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.LatestProcedure(ctx, string(tenant), "postes-france"); store.IsNone(err) {
			err := tx.AddProcedure(ctx, gen.AddProcedureParams{Tenant: string(tenant), Name: "postes-france", Version: 1, Body: string(body), Sha256: "x", Actor: "user:bob", AtUs: 1})
			if err != nil {
				return err
			}
		}
		err := tx.AddCampaign(ctx, gen.AddCampaignParams{Tenant: string(tenant), ID: id, Name: name, ProcedureName: "postes-france", ProcedureVersion: 1,
			State: string(campaign.Running), Origin: string(campaign.ByHand), DayUs: (24 * time.Hour).Microseconds(), StartsUs: now.UnixMicro(),
			VerificationUs: now.Add(72 * time.Hour).UnixMicro(), CreatedUs: now.UnixMicro(), Actor: "user:bob"})
		if err != nil {
			return err
		}
		if err := tx.AddAmendment(ctx, gen.AddAmendmentParams{Tenant: string(tenant), Campaign: id, Number: 0, CreatedUs: now.UnixMicro()}); err != nil {
			return err
		}
		for i, r := range rings {
			err := tx.AddRing(ctx, gen.AddRingParams{Tenant: string(tenant), Campaign: id, Position: int64(i), Ring: r.name, State: r.state,
				OpensUs: now.UnixMicro(), ClosesUs: now.Add(time.Hour).UnixMicro()})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return id
}

// carry puts a patch into the campaign's content and a device's row on it.
func (s site) carry(campaignID string, k patch.Key, deviceID string, position int64, state patch.State, why fault.Reason) {
	s.t.Helper()
	bucket := campaign.NotReached
	switch state {
	case patch.Failed:
		bucket = campaign.Failed
	case patch.Verified:
		bucket = campaign.Done
	}
	s.write(func(ctx context.Context, tx *store.Tx) error {
		items, err := tx.Items(ctx, string(tenant), campaignID)
		if err != nil {
			return err
		}
		known := false
		for _, it := range items {
			known = known || it.CampaignItem.ID == string(k.ID())
		}
		if !known {
			err := tx.AddItem(ctx, gen.AddItemParams{Tenant: string(tenant), Campaign: campaignID, ID: string(k.ID()), Provider: k.Provider, Name: k.Name, Version: k.Version, Suite: k.Suite})
			if err != nil {
				return err
			}
		}
		if _, err := tx.AddCampaignDevice(ctx, gen.AddCampaignDeviceParams{Tenant: string(tenant), Campaign: campaignID, Device: deviceID, Position: position, UpdatedUs: now.UnixMicro()}); err != nil {
			return err
		}
		err = tx.SetCampaignDevice(ctx, gen.SetCampaignDeviceParams{Tenant: string(tenant), Campaign: campaignID, Device: deviceID, Bucket: string(bucket), Reason: s.text(why), UpdatedUs: now.UnixMicro()})
		if err != nil {
			return err
		}
		counts := gen.AddRingCountsParams{Tenant: string(tenant), Campaign: campaignID, Position: position}
		switch bucket {
		case campaign.Failed:
			counts.Failed = 1
		case campaign.Done:
			counts.Done = 1
		default:
			counts.NotReached = 1
		}
		if err := tx.AddRingCounts(ctx, counts); err != nil {
			return err
		}
		return tx.PutDeviceItem(ctx, gen.PutDeviceItemParams{Tenant: string(tenant), Campaign: campaignID, Device: deviceID, Item: string(k.ID()), State: string(state),
			Reason: s.text(why), Attempts: 1, Packages: s.text([]wire.Change{{Name: k.Name}}), UpdatedUs: now.UnixMicro()})
	})
}

func TestBoardShowsRingsGatesHoldsAndEvents(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "d1", name: "pc-1"}, device{id: "d2", name: "pc-2"}, device{id: "d3", name: "pc-3"})
		c := s.campaign("c1", "2026-01", ring("R0", "gate"), ring("R1", "pending"), ring("GLOBAL", "pending"))
		ssl, vim := key("openssl", "3.0.22-1"), key("vim", "9.1")
		s.carry(c, ssl, "d1", 0, patch.Verified, fault.Reason{})
		s.carry(c, ssl, "d2", 0, patch.Failed, fault.Because(fault.PackageFailed, "package", "openssl"))
		s.carry(c, vim, "d3", 1, patch.Applicable, fault.Because(fault.RingNotOpen, "ring", "R1", "opens", "2026-01-15T09:00:00Z"))
		s.write(func(ctx context.Context, tx *store.Tx) error {
			err := tx.SetRing(ctx, gen.SetRingParams{Tenant: string(tenant), Campaign: c, State: "gate", Verdict: string(campaign.Stop),
				Reasons:  s.text([]fault.Reason{fault.Because(fault.GateFailedTooMany, "have", "1", "max", "0")}),
				Evidence: s.text([]campaign.Evidence{{Name: campaign.EvidenceFailed, Have: "1", Need: "<= 0"}})})
			if err != nil {
				return err
			}
			for i, decision := range []string{"yes", "no"} { // the later word counts
				err := tx.AddSignOff(ctx, gen.AddSignOffParams{Tenant: string(tenant), ID: number(i), Campaign: c, Role: "it", Decision: decision, Ticked: "[0,2]", Actor: "user:bob", AtUs: now.UnixMicro() + int64(i)})
				if err != nil {
					return err
				}
			}
			if _, err := tx.WithdrawItem(ctx, gen.WithdrawItemParams{Tenant: string(tenant), Campaign: c, ID: string(vim.ID()), WithdrawnUs: now.UnixMicro(), WithdrawnBy: "user:bob", WithdrawnReason: "crashes"}); err != nil {
				return err
			}
			return tx.AddHold(ctx, gen.AddHoldParams{Tenant: string(tenant), ID: "h1", Campaign: c, Ring: "R1", Reason: "strike", Actor: "user:bob", PlacedUs: 1})
		})
		s.record(register.Entry{Kind: register.CampaignCreated, Campaign: c}, register.Entry{Kind: register.PatchDecided, Campaign: c, Device: "d2", Patch: string(ssl.ID()), Ring: "R0", Reason: fault.Because(fault.PackageFailed, "package", "openssl")})
		b, err := s.Board(t.Context(), tenant, c)
		if err != nil {
			t.Fatal(err)
		}
		if b.Title.EN == "" || b.Zone != "Europe/Paris" || len(b.Amendments) != 1 || len(b.Amendments[0].Rings) != 3 {
			t.Fatalf("board: %+v", b)
		}
		r0, r1 := b.Amendments[0].Rings[0], b.Amendments[0].Rings[1]
		if r0.Numbers != (view.Numbers{Done: 1, Failed: 1}) || r1.Numbers != (view.Numbers{NotReached: 1}) {
			t.Errorf("numbers: R0 %+v, R1 %+v", r0.Numbers, r1.Numbers)
		}
		if len(r0.Evidence) != 1 || r0.Evidence[0].OK || len(r0.Reasons) != 1 || r0.Title.FR != "Pilotes informatiques" {
			t.Errorf("R0's gate: %+v", r0)
		}
		if len(r0.SignOffs) != 1 || r0.SignOffs[0].Given == nil || r0.SignOffs[0].Given.Yes || len(r0.SignOffs[0].Checklist) != 4 ||
			!cmp.Equal(r0.SignOffs[0].Given.Ticked, []int{0, 2}) {
			t.Errorf("R0's sign-off: %+v, want the later no, with its ticks", r0.SignOffs)
		}
		if r0.Held || !r1.Held || b.Campaign.Held {
			t.Errorf("held: R0 %v, R1 %v, campaign %v; want only R1", r0.Held, r1.Held, b.Campaign.Held)
		}
		if len(r0.Devices) != 2 || r0.Devices[0].Device.Name != "pc-2" || code(r0.Devices[0].Reason) != fault.PackageFailed {
			t.Errorf("R0's devices: %+v, want the failed one first", r0.Devices)
		}
		items := b.Amendments[0].Items
		if len(items) != 2 || items[0].Ring != "R0" || items[1].Withdrawn == nil || items[1].Withdrawn.Reason != "crashes" {
			t.Errorf("items: %+v", items)
		}
		if len(b.Events) != 2 || b.Events[0].Device == nil || b.Events[0].Device.Name != "pc-2" || code(b.Events[0].Reason) != fault.PackageFailed {
			t.Errorf("events: %+v, want the newest first with its device's name", b.Events)
		}
	})
}

func TestRingDevicesPageByBucket(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		c := s.campaign("c1", "2026-01", ring("R0", "open"))
		ssl := key("openssl", "3")
		states := []patch.State{patch.Failed, patch.Verified, patch.Applicable, patch.Verified, patch.Failed}
		for i, state := range states {
			s.add(device{id: number(i), name: "pc-" + number(i)})
			s.carry(c, ssl, number(i), 0, state, fault.Reason{})
		}
		names := func(d view.RingDevice) string { return d.Bucket + " " + d.Device.Name }
		got := pages(t, names, func(p view.Paging) (view.RingDevicePage, error) {
			return s.RingDevices(t.Context(), tenant, view.RingDevicesQuery{Paging: p, Campaign: c})
		})
		want := []string{"done pc-001", "done pc-003", "failed pc-000", "failed pc-004", "not_reached pc-002"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
		got = pages(t, names, func(p view.Paging) (view.RingDevicePage, error) {
			return s.RingDevices(t.Context(), tenant, view.RingDevicesQuery{Paging: p, Campaign: c, Bucket: "failed"})
		})
		if diff := cmp.Diff(want[2:4], got); diff != "" {
			t.Errorf("failed (-want +got):\n%s", diff)
		}
	})
}

func TestPatchShowsDecisionsCampaignsAndDevices(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "1", name: "a"}, device{id: "2", name: "b"}, device{id: "3", name: "c"})
		ssl, old := key("openssl", "3.0.22-1"), key("openssl", "3.0.21-1")
		s.addPatch(ssl, patch.Security, now, "1", "2", "3")
		s.addPatch(old, patch.Security, now.Add(-time.Hour))
		c := s.campaign("c1", "2026-01", ring("R0", "open"))
		s.carry(c, ssl, "1", 0, patch.Failed, fault.Because(fault.DiskFull))
		s.carry(c, ssl, "2", 0, patch.Downloading, fault.Reason{})
		s.carry(c, ssl, "3", 0, patch.Verified, fault.Reason{})
		s.write(func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(
				tx.PutDecision(ctx, gen.PutDecisionParams{Tenant: string(tenant), Scope: string(ssl.ID()), Verdict: "approved", Actor: "user:bob", AtUs: 1}),
				tx.PutDecision(ctx, gen.PutDecisionParams{Tenant: string(tenant), Scope: "name:apt/openssl", Verdict: "declined", Reason: "vendor", Actor: "user:bob", AtUs: 1}))
		})
		p, err := s.Patch(t.Context(), tenant, ssl.ID())
		if err != nil {
			t.Fatal(err)
		}
		if p.Decision == nil || p.Decision.Verdict != "declined" || len(p.Decisions) != 2 || p.Devices != 3 {
			t.Errorf("decision: %+v of %+v, want the declined one, which wins", p.Decision, p.Decisions)
		}
		if len(p.Campaigns) != 1 || p.Campaigns[0].Failed != 1 || p.Campaigns[0].Pending != 1 || p.Campaigns[0].Done != 1 {
			t.Errorf("campaigns: %+v", p.Campaigns)
		}
		if len(p.Versions) != 1 || p.Versions[0].Version != "3.0.21-1" {
			t.Errorf("versions: %+v", p.Versions)
		}
		for which, want := range map[string][]string{"missing": {"a", "b", "c"}, "failed": {"a"}, "pending": {"b"}} {
			got := pages(t, func(d view.PatchDevice) string { return d.Device.Name }, func(pg view.Paging) (view.PatchDevicePage, error) {
				return s.PatchDevices(t.Context(), tenant, view.PatchDevicesQuery{Paging: pg, Patch: ssl.ID(), Which: which})
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", which, diff)
			}
		}
	})
}

func TestPatchesPageInEveryOrder(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "1", name: "a"}, device{id: "2", name: "b"})
		s.addPatch(key("vim", "9"), patch.Quality, now.Add(-2*time.Hour), "1", "2")
		s.addPatch(key("openssl", "3"), patch.Security, now, "1")
		s.addPatch(key("bash", "5"), patch.Security, now.Add(-time.Hour))
		for q, want := range map[view.PatchQuery][]string{
			{}:                      {"openssl", "bash", "vim"},
			{Sort: "name"}:          {"bash", "openssl", "vim"},
			{Sort: "devices"}:       {"vim", "openssl", "bash"},
			{Missing: true}:         {"openssl", "vim"},
			{Class: patch.Security}: {"openssl", "bash"},
			{Text: "SSL"}:           {"openssl"},
			{Verdict: "approved"}:   nil,
		} {
			got := pages(t, func(p view.PatchRow) string { return p.Name }, func(pg view.Paging) (view.PatchPage, error) {
				q.Paging = pg
				return s.Patches(t.Context(), tenant, q)
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", q, diff)
			}
		}
	})
}

func TestFindPatchByIDVersionOrName(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "1", name: "a"})
		ssl, old := key("openssl", "3.2"), key("openssl", "3.1")
		s.addPatch(ssl, patch.Security, now, "1")
		s.addPatch(old, patch.Security, now)
		for _, text := range []string{string(ssl.ID()), "openssl 3.2", "openssl"} {
			if got, err := s.FindPatch(t.Context(), tenant, text); err != nil || got.ID != ssl.ID() {
				t.Errorf("%s: %v, %v; want 3.2", text, got, err)
			}
		}
		if _, err := s.FindPatch(t.Context(), tenant, "bash"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("bash: %v, want not_found", err)
		}
	})
}

func TestProceduresShowTheLatestVersion(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.campaign("c1", "2026-01")
		s.write(func(ctx context.Context, tx *store.Tx) error {
			return tx.AddProcedure(ctx, gen.AddProcedureParams{Tenant: string(tenant), Name: "postes-france", Version: 2, Body: "procedure: postes-france", Sha256: "y", Actor: "user:bob", AtUs: 2})
		})
		rows, err := s.Procedures(t.Context(), tenant)
		if err != nil || len(rows) != 1 || rows[0].Version != 2 {
			t.Fatalf("procedures: %+v, %v; want version 2", rows, err)
		}
		first, err := s.Procedure(t.Context(), tenant, "postes-france", 1)
		if err != nil || len(first.Versions) != 2 || len(first.Rings) != 3 || first.Owner != "Direction informatique" {
			t.Errorf("version 1: %+v, %v", first, err)
		}
	})
}

func TestEventsPageNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "d1", name: "pc-1"})
		for range 3 {
			s.record(register.Entry{Kind: register.OrderIssued, Device: "d1", Campaign: "gone"}, register.Entry{Kind: register.HoldPlaced})
		}
		name := func(e view.Event) string { return number(int(e.Index)) }
		got := pages(t, name, func(p view.Paging) (view.EventPage, error) {
			return s.Events(t.Context(), tenant, view.EventQuery{Paging: p})
		})
		if diff := cmp.Diff([]string{"005", "004", "003", "002", "001", "000"}, got); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
		page, err := s.Events(t.Context(), tenant, view.EventQuery{Device: "d1"})
		if err != nil || len(page.Rows) != 3 || page.Rows[0].Campaign.Name != "gone" || page.Rows[0].Device.Name != "pc-1" {
			t.Errorf("of a device: %+v, %v; an id stands for a name that is gone", page, err)
		}
		if page, err := s.Events(t.Context(), other, view.EventQuery{}); err != nil || len(page.Rows) != 0 {
			t.Errorf("another tenant: %+v, %v; want nothing", page, err)
		}
	})
}

func TestTodayCountsWhatItsListsHold(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "1", name: "ok"}, device{id: "2", name: "gone", silent: 100 * time.Hour}, device{id: "3", name: "new", unknown: true},
			device{id: "4", name: "late", missing: 1, failing: 1}, device{id: "5", name: "reboot", reboot: true}, device{id: "6", name: "sold", retired: true, silent: 100 * time.Hour})
		s.addPatch(key("vim", "9"), patch.Quality, now, "4")
		c := s.campaign("c1", "2026-01", ring("R0", "gate"), ring("R1", "pending"))
		s.carry(c, key("openssl", "3"), "4", 0, patch.Failed, fault.Because(fault.Quarantined, "attempts", "2"))
		got, err := s.Today(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]int64{"": got.Devices, "overdue": got.Overdue, "failing": got.Failing, "unreachable": got.Unreachable,
			"pending_reboot": got.PendingReboot, "never_scanned": got.NeverScanned, "duplicate": got.Duplicate}
		for filter, n := range counts {
			page, err := s.Devices(t.Context(), tenant, view.DeviceQuery{Filter: filter})
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(page.Rows)) != n {
				t.Errorf("%q counts %d, its list has %d", filter, n, len(page.Rows))
			}
		}
		if got.Devices != 5 || got.Failing != 1 || got.Undecided != 1 {
			t.Errorf("today: %+v", got)
		}
		if len(got.Gates) != 1 || got.Gates[0].Ring != "R0" || len(got.Gates[0].Missing) != 1 || got.Gates[0].Missing[0].Role != "it" {
			t.Errorf("gates: %+v, want R0 waiting for it", got.Gates)
		}
		if len(got.Quarantined) != 1 || got.Quarantined[0].Reason.Code != fault.Quarantined || got.Quarantined[0].Device.Name != "late" {
			t.Errorf("quarantined: %+v", got.Quarantined)
		}
		if len(got.Campaigns) != 1 || len(got.Campaigns[0].Rings) != 2 {
			t.Errorf("campaigns: %+v", got.Campaigns)
		}
	})
}

// stuck makes the rollback of what carry put on a device impossible.
func (s site) stuck(campaignID string, k patch.Key, deviceID, why string) {
	s.t.Helper()
	s.write(func(ctx context.Context, tx *store.Tx) error {
		before := campaign.Progress{Item: k.ID(), State: patch.Verified}
		after := before
		after.Packages = []wire.Change{{Name: "lib" + k.Name, Rollback: wire.RollbackReady}, {Name: k.Name, Rollback: wire.RollbackImpossible, Why: why}}
		return tx.MoveItem(ctx, gen.CampaignDevice{Tenant: string(tenant), Campaign: campaignID, Device: deviceID}, before, after)
	})
}

func TestWhatCannotBePutBackIsCountedAndListed(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "1", name: "pc-1"}, device{id: "2", name: "pc-2"}, device{id: "3", name: "pc-3"})
		ssl, vim := key("openssl", "3"), key("vim", "9")
		first := s.campaign("c1", "2026-01", ring("R0", "open"), ring("R1", "pending"))
		second := s.campaign("c2", "2026-02", ring("R0", "open"), ring("R1", "pending"))
		s.carry(first, ssl, "1", 0, patch.Verified, fault.Reason{})
		s.carry(first, vim, "1", 0, patch.Verified, fault.Reason{})
		s.carry(first, ssl, "2", 1, patch.Verified, fault.Reason{})
		s.carry(second, ssl, "3", 1, patch.Verified, fault.Reason{})
		s.stuck(first, ssl, "1", "no_old_package")
		s.stuck(first, ssl, "2", "no_old_package")
		s.stuck(second, ssl, "3", "disk_full")
		line := func(i view.ImpossibleRollback) string {
			return i.Campaign.Name + " " + i.Ring + " " + i.Device.Name + " " + i.Patch.Name + " " + i.Reason.Args["package"] + " " + i.Reason.Args["why"]
		}
		want := []string{"2026-01 R0 pc-1 openssl openssl no_old_package", "2026-01 R1 pc-2 openssl openssl no_old_package", "2026-02 R1 pc-3 openssl openssl disk_full"}
		listed := func(campaign string) []string {
			return pages(t, line, func(p view.Paging) (view.ImpossiblePage, error) {
				return s.ImpossibleRollbacks(t.Context(), tenant, view.ImpossibleQuery{Paging: p, Campaign: campaign})
			})
		}
		if diff := cmp.Diff(want, listed("")); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[:2], listed(first)); diff != "" {
			t.Errorf("of one campaign (-want +got):\n%s", diff)
		}
		today, err := s.Today(t.Context(), tenant)
		if err != nil || today.RollbackImpossible != 3 || len(today.Impossible) != 3 {
			t.Errorf("today counts %d and names %d, %v; want 3", today.RollbackImpossible, len(today.Impossible), err)
		}
		board, err := s.Board(t.Context(), tenant, first)
		if err != nil || board.Amendments[0].Rings[0].RollbackImpossible != 1 || board.Amendments[0].Rings[1].RollbackImpossible != 1 {
			t.Errorf("board: %+v, %v; want one in each ring", board.Amendments, err)
		}
		s.write(func(ctx context.Context, tx *store.Tx) error { // put back after all, by hand
			before := campaign.Progress{Item: ssl.ID(), State: patch.Verified, Packages: []wire.Change{{Name: "openssl", Rollback: wire.RollbackImpossible}}}
			after := before
			after.State = patch.RolledBack
			return tx.MoveItem(ctx, gen.CampaignDevice{Tenant: string(tenant), Campaign: first, Device: "1"}, before, after)
		})
		if diff := cmp.Diff(want[1:], listed("")); diff != "" {
			t.Errorf("after one was put back (-want +got):\n%s", diff)
		}
		if today, err = s.Today(t.Context(), tenant); err != nil || today.RollbackImpossible != 2 {
			t.Errorf("after one was put back today counts %d, %v; want 2", today.RollbackImpossible, err)
		}
		if page, err := s.ImpossibleRollbacks(t.Context(), other, view.ImpossibleQuery{}); err != nil || len(page.Rows) != 0 {
			t.Errorf("another tenant: %+v, %v; want nothing", page.Rows, err)
		}
	})
}

func TestARoleThatNobodyHasIsToldBeforeItsGate(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.campaign("c1", "2026-01", ring("R0", "soaking"), ring("R1", "pending"), ring("GLOBAL", "pending"))
		account := func(id, roles string, closed int64) {
			s.write(func(ctx context.Context, tx *store.Tx) error {
				if err := tx.AddAccount(ctx, gen.AddAccountParams{Tenant: string(tenant), ID: id, Name: id, Roles: roles}); err != nil || closed == 0 {
					return err
				}
				_, err := tx.CloseAccount(ctx, gen.CloseAccountParams{Tenant: string(tenant), ID: id, ClosedUs: closed})
				return err
			})
		}
		unheld := func() (out []string) {
			t.Helper()
			today, err := s.Today(t.Context(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range today.Unheld {
				out = append(out, u.Campaign.Name+" "+u.Ring+" "+u.Role)
			}
			return out
		}
		account("first", `["admin","operator"]`, 0)
		account("left", `["it"]`, 1)
		both := unheld()
		if len(both) != 2 || both[0] != "2026-01 R0 it" {
			t.Fatalf("unheld: %q, want the roles of R0 and R1", both)
		}
		board, err := s.Board(t.Context(), tenant, "c1")
		if err != nil || !board.Amendments[0].Rings[0].SignOffs[0].Unheld {
			t.Errorf("R0's sign-off on the board: %+v, %v; want unheld", board.Amendments[0].Rings[0].SignOffs, err)
		}
		account("bob", `["it"]`, 0)
		if left := unheld(); len(left) != 1 || left[0] != both[1] {
			t.Errorf("unheld: %q, want %q alone", left, both[1])
		}
	})
}
