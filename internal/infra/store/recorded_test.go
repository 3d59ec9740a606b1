package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
)

func TestARecordedFleetIsReadPageByPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		write(t, db, func(tx *store.Tx) error {
			for i, tenant := range []string{"acme", "acme", "acme", "other"} {
				id := fmt.Sprintf("d%d", i)
				if err := tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: tenant, ID: id, Name: "pc-" + id, Kind: "server", Tags: "{}", CertSerial: id, SeenUs: 7}); err != nil {
					return err
				}
				if err := tx.PutMissing(ctx, gen.PutMissingParams{Tenant: tenant, Device: id, Patch: "p", State: "offered", Packages: "[]", ExposedUs: int64(i)}); err != nil {
					return err
				}
			}
			return tx.PutDeviceTraits(ctx, gen.PutDeviceTraitsParams{Tenant: "acme", Device: "d1", Traits: `{"os":"debian"}`})
		})
		var seen []string
		err := db.Snapshot(ctx, func(r store.Reads) error {
			after := ""
			for {
				page, err := r.Recorded(ctx, "acme", after, 2)
				if err != nil || len(page.Devices) == 0 {
					return err
				}
				for _, d := range page.Devices {
					m := page.Missing[d.ID]
					seen = append(seen, fmt.Sprintf("%s %d %s %d %s %d", d.Name, d.SeenUs, d.Traits, len(m), m[0].Patch, m[0].ExposedUs))
					after = d.ID
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"pc-d0 7  1 p 0", `pc-d1 7 {"os":"debian"} 1 p 1`, "pc-d2 7  1 p 2"}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestTheLastResultsAreTheNewestOfTheTenant(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		write(t, db, func(tx *store.Tx) error {
			for i := range 4 {
				tx.Record(register.Entry{Tenant: "acme", AtUS: int64(i + 1), Actor: register.System("test"), Kind: register.OrderResult, Device: fmt.Sprint(i)})
				tx.Record(register.Entry{Tenant: "acme", AtUS: int64(i + 1), Actor: register.System("test"), Kind: register.OrderIssued})
				tx.Record(register.Entry{Tenant: "other", AtUS: int64(i + 1), Actor: register.System("test"), Kind: register.OrderResult, Device: "no"})
			}
			return nil
		})
		bodies, err := db.Read().LastResults(ctx, gen.LastResultsParams{Tenant: "acme", Idx: 2, Max: 2})
		if err != nil {
			t.Fatal(err)
		}
		var devices []string
		for _, b := range bodies {
			e, err := register.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			devices = append(devices, e.Device)
		}
		if diff := cmp.Diff([]string{"3", "2"}, devices); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
