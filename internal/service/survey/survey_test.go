package survey_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/coverage"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/policy"
	"patchring/internal/core/readiness"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/service/survey"
	"patchring/wire"
)

const tenant = fleet.TenantID("acme")

var now = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

const plan = `
procedure: monthly
title: {fr: Mensuelle, en: Monthly}
owner: it
timezone: Europe/Paris
anchor: patch-tuesday
perimeter: {kinds: [workstation, server]}
content: {classes: [security]}
rings:
  - {name: R0, title: {fr: R0, en: R0}, members: {groups: [it]}, opens: {day: 1}, gate: {evidence: {min_devices: 1}}}
  - {name: R1, title: {fr: R1, en: R1}, members: {groups: [pilots]}, opens: {day: 3}, gate: {evidence: {min_devices: 1}}}
  - {name: GLOBAL, title: {fr: GLOBAL, en: GLOBAL}, members: {rest: true}, opens: {day: 8, at: "09:00"}, gate: {evidence: {min_devices: 1}}}
windows:
  - {name: noon, for: {kinds: [workstation]}, days: [mon, tue, wed, thu, fri], start: "12:00", end: "14:00"}
reboot: if_needed
verification: {days_after_last_ring_opens: 2}
`

// site is a database with a fleet in it.
type site struct {
	t  *testing.T
	db *store.DB
	*survey.Survey
	now time.Time
}

func each(t *testing.T, f func(t *testing.T, s *site)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := &site{t: t, db: db, now: now}
		s.Survey = survey.New(survey.Options{DB: db, Clock: func() time.Time { return s.now }})
		s.write(func(ctx context.Context, tx *store.Tx) error {
			return tx.AddProcedure(ctx, gen.AddProcedureParams{Tenant: string(tenant), Name: "monthly", Version: 1, Body: plan, Actor: "user:x"})
		})
		f(t, s)
	})
}

func (s *site) write(f func(ctx context.Context, tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(s.t.Context(), func(tx *store.Tx) error { return f(s.t.Context(), tx) }); err != nil {
		s.t.Fatal(err)
	}
}

// pc is a workstation in a test's words: ready unless it says otherwise.
type pc struct {
	id, kind string
	tags     fleet.Tags
	groups   []string
	silent   time.Duration
	traits   policy.Traits
	software []string
	reboot   bool
	scan     wire.ScanStatus
	misses   int64 // bytes
	cert     time.Time
	tenant   fleet.TenantID
}

func (s *site) add(devices ...pc) {
	s.t.Helper()
	for _, d := range devices {
		s.write(func(ctx context.Context, tx *store.Tx) error { return add(ctx, tx, d) })
	}
}

func add(ctx context.Context, tx *store.Tx, d pc) error {
	in := string(tenant)
	if d.tenant != "" {
		in = string(d.tenant)
	}
	if d.kind == "" {
		d.kind = "workstation"
	}
	if d.scan == "" {
		d.scan = wire.ScanOK
	}
	seen := now.Add(-d.silent).UnixMicro()
	tags, e1 := json.Marshal(d.tags)
	if d.tags == nil {
		tags = []byte("{}")
	}
	if d.traits.OS == "" {
		d.traits = policy.Traits{OS: "debian", OSVersion: "12.9", DiskBytes: 50 << 30}
	}
	traits, e2 := json.Marshal(d.traits)
	reboot := int64(0)
	if d.reboot {
		reboot = 1
	}
	e3 := tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: in, ID: d.id, Name: "n-" + d.id, Kind: d.kind, Tags: string(tags), CertSerial: "1", CertExpiresUs: store.Micros(d.cert), SeenUs: seen})
	_, e4 := tx.TouchDevice(ctx, gen.TouchDeviceParams{Tenant: in, ID: d.id, SeenUs: seen, RebootPending: reboot})
	e5 := tx.SetDeviceScan(ctx, gen.SetDeviceScanParams{Tenant: in, ID: d.id, ScanUs: seen, ListsUs: seen, ScanStatus: string(d.scan), ScanCause: `{"code":"dpkg_broken"}`, PartHashes: "{}"})
	e6 := tx.PutDeviceTraits(ctx, gen.PutDeviceTraitsParams{Tenant: in, Device: d.id, Traits: string(traits)})
	err := errors.Join(e1, e2, e3, e4, e5, e6)
	for _, g := range d.groups {
		err = errors.Join(err, tx.AddGroup(ctx, gen.AddGroupParams{Tenant: in, Name: g}), tx.AddGroupMember(ctx, gen.AddGroupMemberParams{Tenant: in, GroupName: g, Device: d.id}))
	}
	if d.software != nil {
		err = errors.Join(err, install(ctx, tx, d.id, d.software))
	}
	if d.misses > 0 {
		_, e := tx.PutPatch(ctx, gen.PutPatchParams{Tenant: in, ID: "p-" + d.id, Provider: "apt", Name: "p-" + d.id, Class: "security", DownloadBytes: d.misses})
		err = errors.Join(err, e, tx.PutMissing(ctx, gen.PutMissingParams{Tenant: in, Device: d.id, Patch: "p-" + d.id, State: wire.PatchOffered, Packages: "[]"}))
	}
	return err
}

func install(ctx context.Context, tx *store.Tx, device string, names []string) error {
	var inventory wire.Inventory
	for _, n := range names {
		inventory.Software = append(inventory.Software, wire.Package{Name: n, Version: "1"})
	}
	part, err := wire.Pack(wire.PartInventory, 1, inventory)
	if err != nil {
		return err
	}
	return tx.PutDevicePart(ctx, gen.PutDevicePartParams{Tenant: string(tenant), Device: device, Name: "inventory", Hash: part.Hash, AtUs: 1, Body: part.Gzip})
}

func TestReadinessCountsWhatItLists(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.add(pc{id: "a"}, pc{id: "b", silent: 100 * time.Hour}, pc{id: "c", scan: wire.ScanFailed}, pc{id: "d", reboot: true, scan: wire.ScanStale},
			pc{id: "e", kind: "server"}, pc{id: "f", traits: policy.Traits{OS: "debian", DiskBytes: 600 << 20}, misses: 300 << 20}, pc{id: "g", cert: now.AddDate(0, 0, 2)},
			pc{id: "z", tenant: "rival", silent: 100 * time.Hour})
		var rows []survey.Found
		var got survey.Readiness
		for ask := (survey.ReadinessAsk{Page: survey.Page{Limit: 3}}); ; ask.Cursor = got.Next {
			var err error
			if got, err = s.Readiness(t.Context(), tenant, ask); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, got.Rows...)
			if got.Next == "" {
				break
			}
		}
		var said []string
		for _, f := range rows {
			said = append(said, fmt.Sprint(f.Device, " ", f.Kind, " ", f.Severity, " ", f.Reason.Code))
		}
		want := []string{
			"b silent blocking device_unreachable", "c broken blocking scan_failed", "d stale blocking scan_stale", "f disk blocking disk_short", "e window blocking no_window_ahead",
			"b stale warning lists_stale", "g certificate warning certificate_ends", "d reboot warning reboot_pending_for",
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got.Devices != 7 || got.Ready != 1 || got.Blocked != 5 || got.Findings != len(want) {
			t.Errorf("%d devices, %d ready, %d blocked, %d findings", got.Devices, got.Ready, got.Blocked, got.Findings)
		}
		for _, n := range got.Counts {
			list, err := s.Readiness(t.Context(), tenant, survey.ReadinessAsk{Kind: n.Kind})
			if err != nil || len(list.Rows) != n.Blocking+n.Warning || list.Findings != len(list.Rows) {
				t.Errorf("%s: %d counted, %d listed (%v)", n.Kind, n.Blocking+n.Warning, len(list.Rows), err)
			}
		}
		if blocking, err := s.Readiness(t.Context(), tenant, survey.ReadinessAsk{Severity: readiness.Blocking}); err != nil || len(blocking.Rows) != 5 {
			t.Errorf("%d block (%v), want 5", len(blocking.Rows), err)
		}
		if why := rows[1].Reason; why.Args["cause"] != string(fault.DpkgBroken) {
			t.Errorf("the scan failed because of %v", why)
		}
	})
}

// What somebody has put right is gone at the next look; the pages of one list
// come from one look all the same.
func TestPagesOfAListComeFromOneLook(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.add(pc{id: "a", kind: "server"}, pc{id: "b", kind: "server"}, pc{id: "c", kind: "server"})
		first, err := s.Readiness(t.Context(), tenant, survey.ReadinessAsk{Page: survey.Page{Limit: 2}})
		if err != nil || first.Next == "" {
			t.Fatal(first, err)
		}
		s.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.RetireDevice(ctx, gen.RetireDeviceParams{Tenant: string(tenant), ID: "c", RetiredUs: 1})
			return err
		})
		next := survey.ReadinessAsk{Page: survey.Page{Limit: 2, Cursor: first.Next}}
		second, err := s.Readiness(t.Context(), tenant, next)
		if err != nil || len(second.Rows) != 1 || !second.At.Equal(first.At) {
			t.Errorf("the second page: %+v (%v), want c of the same look", second.Rows, err)
		}
		if again, err := s.Readiness(t.Context(), tenant, survey.ReadinessAsk{}); err != nil || again.Devices != 2 {
			t.Errorf("a new look sees %d devices (%v), want 2", again.Devices, err)
		}
		s.now = now.Add(2 * time.Minute)
		if late, err := s.Readiness(t.Context(), tenant, next); err != nil || len(late.Rows) != 0 {
			t.Errorf("the second page two minutes later: %+v (%v), want none", late.Rows, err)
		}
	})
}

func TestReadinessRefusesWhatItDoesNotKnow(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		for field, ask := range map[string]survey.ReadinessAsk{
			"kind": {Kind: "odd"}, "severity": {Severity: "odd"}, "days": {Days: 400}, "cursor": {Page: survey.Page{Cursor: "!"}},
		} {
			var refused *fault.Error
			if _, err := s.Readiness(t.Context(), tenant, ask); !errors.As(err, &refused) || refused.Args["field"] != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		if _, err := s.Readiness(t.Context(), tenant, survey.ReadinessAsk{Campaign: "none"}); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("no such campaign: %v", err)
		}
		if got, err := s.Readiness(t.Context(), tenant, survey.ReadinessAsk{}); err != nil || got.Devices != 0 || got.Rows == nil {
			t.Errorf("an empty fleet: %+v (%v)", got, err)
		}
	})
}

func TestExceptionsThatEndSoonAreFound(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.add(pc{id: "a"})
		s.write(func(ctx context.Context, tx *store.Tx) error {
			return tx.AddException(ctx, gen.AddExceptionParams{Tenant: string(tenant), ID: "e", Device: "a", Owner: "anne", FromUs: now.AddDate(0, -1, 0).UnixMicro(), UntilUs: now.AddDate(0, 0, 2).UnixMicro()})
		})
		got, err := s.Readiness(t.Context(), tenant, survey.ReadinessAsk{})
		if err != nil || len(got.Rows) != 1 || got.Rows[0].Kind != readiness.Exception || got.Rows[0].Reason.Args["owner"] != "anne" {
			t.Errorf("got %+v (%v)", got.Rows, err)
		}
	})
}

func TestPilotsOfAProcedure(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.add(
			pc{id: "it", groups: []string{"it"}, software: []string{"word", "mail", "cad"}},
			pc{id: "no", tags: fleet.Tags{"pilot": "no"}, software: []string{"word", "mail", "cad"}},
			pc{id: "away", tags: fleet.Tags{"absent_until": "2026-12-10"}, software: []string{"word", "mail", "cad"}},
			pc{id: "gone", silent: 100 * time.Hour, software: []string{"cad"}},
			pc{id: "machine", kind: "critical", software: []string{"plc"}},
			pc{id: "x", tags: fleet.Tags{"department": "rh"}, software: []string{"word", "mail"}},
			pc{id: "y", tags: fleet.Tags{"department": "rh", "absent_until": "2026-12-09"}, software: []string{"word"}},
			pc{id: "w", tags: fleet.Tags{"department": "it"}, software: []string{"word", "odd"}})
		got, err := s.Pilots(t.Context(), tenant, survey.PilotsAsk{Procedure: "monthly", Size: 2, RareBelow: 2})
		if err != nil {
			t.Fatal(err)
		}
		if got.Ring != "R1" || got.Day != "2026-12-10" {
			t.Errorf("for %s on %s, want R1 on its next opening, 2026-12-10", got.Ring, got.Day)
		}
		if names := got.Devices(); !cmp.Equal(names, []fleet.DeviceID{"x", "w"}) {
			t.Errorf("chose %v, want x (rh, mail) and w (it)", names)
		}
		if got.Fleet != 7 || got.Eligible != 3 || got.Rare.Values != 1 {
			t.Errorf("%d in the perimeter, %d eligible, %d rare", got.Fleet, got.Eligible, got.Rare.Values)
		}
		want := []coverage.Gap{{Feature: coverage.Feature{Kind: coverage.Software, Value: "cad"}, Devices: 4}}
		if diff := cmp.Diff(want, got.Missing); diff != "" {
			t.Errorf("missing (-want +got):\n%s", diff)
		}
		s.write(func(ctx context.Context, tx *store.Tx) error { return install(ctx, tx, "w", []string{"cad"}) })
		again, err := s.Pilots(t.Context(), tenant, survey.PilotsAsk{Procedure: "monthly", RareBelow: 2, Exactly: got.Devices()})
		if err != nil || len(again.Missing) != 0 || len(again.Chosen) != 2 {
			t.Errorf("with cad on w: missing %+v (%v), want none", again.Missing, err)
		}
	})
}

func TestPilotsRefuseWhatMakesNoSense(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		for field, ask := range map[string]survey.PilotsAsk{
			"procedure": {}, "size": {Procedure: "monthly", Size: 1001}, "day": {Procedure: "monthly", Day: "10/12"}, "ring": {Procedure: "monthly", Ring: "R9"},
			"per_department": {Procedure: "monthly", PerDepartment: -1}, "rare_below": {Procedure: "monthly", RareBelow: -1},
		} {
			var refused *fault.Error
			if _, err := s.Pilots(t.Context(), tenant, ask); !errors.As(err, &refused) || refused.Args["field"] != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		if got, err := s.Pilots(t.Context(), tenant, survey.PilotsAsk{Procedure: "monthly"}); err != nil || len(got.Chosen) != 0 {
			t.Errorf("an empty fleet: %+v (%v)", got, err)
		}
	})
}

const debian = `[{"cycle":"13","releaseDate":"2025-08-09","eol":"2028-08-09"},{"cycle":"12","releaseDate":"2023-06-10","eol":"2026-06-10"}]`

func TestImportJudgesTheFleetAndIsRecorded(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.add(pc{id: "a"}, pc{id: "b", traits: policy.Traits{OS: "debian", OSVersion: "13.1"}}, pc{id: "c", traits: policy.Traits{OS: "plan9"}}, pc{id: "z", tenant: "rival"})
		ask := survey.ImportAsk{Product: "debian", File: "debian.json", Text: []byte(debian)}
		first, err := s.Import(t.Context(), tenant, register.User("anne"), ask)
		if err != nil || first.Entries != 2 || first.Unchanged || len(first.SHA256) != 64 {
			t.Fatalf("%+v (%v)", first, err)
		}
		if again, err := s.Import(t.Context(), tenant, register.User("bob"), ask); err != nil || !again.Unchanged || again.By != "user:anne" {
			t.Errorf("the same once more: %+v (%v)", again, err)
		}
		got, err := s.Lifecycle(t.Context(), tenant, survey.LifecycleAsk{})
		if err != nil {
			t.Fatal(err)
		}
		want := []survey.StateCount{{State: lifecycle.Ended, Devices: 1}, {State: lifecycle.EndsSoon}, {State: lifecycle.Unknown, Devices: 1}, {State: lifecycle.Supported, Devices: 1}}
		if diff := cmp.Diff(want, got.Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if len(got.Rows) != 2 || got.Rows[0].Device != "a" || got.Rows[0].To != "debian 13" || got.Rows[1].Advice != lifecycle.Look {
			t.Errorf("rows %+v, want a to upgrade and c to look into", got.Rows)
		}
		kept := map[string]int64{}
		for _, in := range []string{string(tenant), "rival"} {
			for _, id := range []string{"a", "b", "c", "z"} {
				if d, err := s.db.Read().Device(t.Context(), in, id); err == nil {
					kept[id] = d.SystemEndsUs
				}
			}
		}
		if kept["a"] != time.Date(2026, 6, 11, 0, 0, 0, 0, time.UTC).UnixMicro() || kept["b"] == 0 || kept["c"] != 0 || kept["z"] != 0 {
			t.Errorf("kept %v", kept)
		}
		page, err := s.Lifecycle(t.Context(), tenant, survey.LifecycleAsk{Page: survey.Page{Limit: 1}})
		if err != nil || page.Next == "" {
			t.Fatalf("%+v (%v)", page, err)
		}
		if rest, err := s.Lifecycle(t.Context(), tenant, survey.LifecycleAsk{Page: survey.Page{Limit: 1, Cursor: page.Next}}); err != nil || len(rest.Rows) != 1 || rest.Rows[0].Device != "c" || rest.Next != "" {
			t.Errorf("the page after: %+v (%v)", rest.Rows, err)
		}
	})
}

func TestImportRefusesWhatItCannotRead(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.add(pc{id: "a"})
		for name, ask := range map[string]survey.ImportAsk{
			"no product": {Text: []byte(debian)}, "no table": {Product: "debian", Text: []byte("<html>")}, "both": {Hardware: true, Product: "debian", Text: []byte(`[{"product":"debian","cycle":"12","cpus":1}]`)},
		} {
			if _, err := s.Import(t.Context(), tenant, register.User("anne"), ask); fault.CodeOf(err) != fault.InvalidField {
				t.Errorf("%s: %v", name, err)
			}
		}
		got, err := s.Lifecycle(t.Context(), tenant, survey.LifecycleAsk{})
		if err != nil || len(got.Tables) != 0 || got.Rows[0].State != lifecycle.Unknown {
			t.Errorf("after refusals: %+v (%v)", got, err)
		}
	})
}
