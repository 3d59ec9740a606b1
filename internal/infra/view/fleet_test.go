package view_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/internal/infra/view"
	"patchring/wire"
)

const (
	tenant = fleet.TenantID("acme")
	other  = fleet.TenantID("rival")
)

var now = time.Date(2026, 1, 14, 9, 0, 0, 0, time.UTC)

// each runs f on both databases.
func each(t *testing.T, f func(t *testing.T, s site)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		f(t, site{t: t, db: db, Reader: view.NewReader(db.Pool(), view.Options{Clock: func() time.Time { return now }})})
	})
}

// site writes rows as the services do, and reads them by the views.
type site struct {
	t  *testing.T
	db *store.DB
	*view.Reader
}

func (s site) write(f func(ctx context.Context, tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(s.t.Context(), func(tx *store.Tx) error { return f(s.t.Context(), tx) }); err != nil {
		s.t.Fatal(err)
	}
}

// device is a device in a test's words: healthy unless it says otherwise.
type device struct {
	id, name string
	kind     fleet.Kind
	tags     fleet.Tags
	groups   []string
	silent   time.Duration
	unknown  bool // never scanned
	stale    bool
	reboot   bool
	missing  int64
	failing  int64
	retired  bool
	ends     time.Time // of its system's support
	short    string    // the reason why it is too small
	tenant   fleet.TenantID
}

func (s site) add(devices ...device) {
	s.t.Helper()
	s.write(func(ctx context.Context, tx *store.Tx) error {
		for _, d := range devices {
			if err := addDevice(ctx, tx, d); err != nil {
				return err
			}
		}
		return nil
	})
}

func addDevice(ctx context.Context, tx *store.Tx, d device) error {
	in := string(tenant)
	if d.tenant != "" {
		in = string(d.tenant)
	}
	if d.kind == "" {
		d.kind = fleet.Workstation
	}
	text, err := json.Marshal(d.tags)
	if d.tags == nil {
		text = []byte("{}")
	}
	if err != nil {
		return err
	}
	seen := now.Add(-d.silent).UnixMicro()
	steps := []func() error{
		func() error {
			return tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: in, ID: d.id, Name: d.name, MachineID: "m-" + d.id, Kind: string(d.kind),
				Tags: string(text), CertSerial: "1", EnrolledUs: now.Add(-time.Hour).UnixMicro(), SeenUs: seen})
		},
		func() error {
			_, err := tx.TouchDevice(ctx, gen.TouchDeviceParams{Tenant: in, ID: d.id, SeenUs: seen, RebootPending: flag(d.reboot)})
			return err
		},
		func() error {
			if d.unknown {
				return nil
			}
			status := wire.ScanOK
			if d.stale {
				status = wire.ScanStale
			}
			return tx.SetDeviceScan(ctx, gen.SetDeviceScanParams{Tenant: in, ID: d.id, ScanUs: seen, ScanStatus: string(status),
				Missing: d.missing, MissingSecurity: d.missing, PartHashes: "{}"})
		},
		func() error {
			_, err := tx.SetDeviceSystem(ctx, gen.SetDeviceSystemParams{Tenant: in, ID: d.id, SystemCycle: "debian 12", SystemEndsUs: store.Micros(d.ends), HardwareShort: d.short})
			return err
		},
		func() error {
			return tx.SetDeviceFailing(ctx, gen.SetDeviceFailingParams{Tenant: in, ID: d.id, Failing: d.failing})
		},
		func() error {
			if !d.retired {
				return nil
			}
			_, err := tx.RetireDevice(ctx, gen.RetireDeviceParams{Tenant: in, ID: d.id, RetiredUs: now.UnixMicro(), RetiredWhy: "sold"})
			return err
		},
	}
	for name, value := range d.tags {
		steps = append(steps, func() error {
			return tx.AddDeviceTag(ctx, gen.AddDeviceTagParams{Tenant: in, Device: d.id, Name: name, Value: value})
		})
	}
	for _, g := range d.groups {
		steps = append(steps, func() error {
			if err := tx.AddGroup(ctx, gen.AddGroupParams{Tenant: in, Name: g, Title: "Group " + g, CreatedUs: 1}); err != nil {
				return err
			}
			return tx.AddGroupMember(ctx, gen.AddGroupMemberParams{Tenant: in, GroupName: g, Device: d.id})
		})
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// openssl and its like, as a scan makes them known.
func key(name, version string) patch.Key {
	return patch.Key{Provider: "apt", Name: name, Version: version, Suite: "bookworm-security"}
}

func (s site) addPatch(k patch.Key, class patch.Class, first time.Time, misses ...string) {
	s.t.Helper()
	s.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.PutPatch(ctx, gen.PutPatchParams{Tenant: string(tenant), ID: string(k.ID()), Provider: k.Provider, Name: k.Name, Version: k.Version,
			Suite: k.Suite, Origin: "Debian-Security", Class: string(class), FirstSeenUs: first.UnixMicro(), DownloadBytes: 1000})
		if err != nil {
			return err
		}
		for _, d := range misses {
			packages, err := json.Marshal([]wire.Change{{Name: k.Name, From: "1", To: k.Version}})
			if err != nil {
				return err
			}
			err = tx.PutMissing(ctx, gen.PutMissingParams{Tenant: string(tenant), Device: d, Patch: string(k.ID()), State: wire.PatchOffered,
				Packages: string(packages), SinceUs: first.UnixMicro()})
			if err != nil {
				return err
			}
		}
		return tx.AddPatchDevices(ctx, gen.AddPatchDevicesParams{Tenant: string(tenant), ID: string(k.ID()), Delta: int64(len(misses))})
	})
}

// text is JSON or a test's failure.
func (s site) text(v any) string {
	s.t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

func (s site) record(entries ...register.Entry) {
	s.t.Helper()
	s.write(func(_ context.Context, tx *store.Tx) error {
		for _, e := range entries {
			e.Tenant, e.AtUS = string(tenant), now.UnixMicro()
			if e.Actor == "" {
				e.Actor = register.System("test")
			}
			tx.Record(e)
		}
		return nil
	})
}

// pages walks a whole list and tells its rows, failing on a row seen twice.
func pages[T any](t *testing.T, name func(T) string, read func(view.Paging) (view.Page[T], error)) []string {
	t.Helper()
	var out []string
	seen := map[string]bool{}
	for p := (view.Paging{Limit: 2}); ; {
		page, err := read(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Rows {
			if seen[name(row)] {
				t.Fatalf("row %s comes twice", name(row))
			}
			seen[name(row)] = true
			out = append(out, name(row))
		}
		if page.Next == "" {
			return out
		}
		if len(page.Rows) != 2 {
			t.Fatalf("a page with another behind it has %d rows, want 2", len(page.Rows))
		}
		p.Cursor = page.Next
	}
}

func code(r *fault.Reason) fault.Code {
	if r == nil {
		return ""
	}
	return r.Code
}

func number(i int) string { return fmt.Sprintf("%03d", i) }
