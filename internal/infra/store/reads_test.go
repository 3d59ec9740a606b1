package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
)

func TestASnapshotNeverWaitsForAWriterAndRefusesToWrite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // a wait would end in an error here
		defer cancel()
		device := func(id string) gen.AddDeviceParams {
			return gen.AddDeviceParams{Tenant: "acme", ID: id, Name: id, Kind: "server", Tags: "{}"}
		}
		write(t, db, func(tx *store.Tx) error { return tx.AddDevice(ctx, device("one")) })
		write(t, db, func(tx *store.Tx) error {
			if err := tx.AddDevice(ctx, device("two")); err != nil {
				return err
			}
			return db.Snapshot(ctx, func(r store.Reads) error { // the writer's lock is held meanwhile
				batch, err := r.Batch(ctx, "acme", []string{"one", "two"})
				if err == nil && (len(batch.Devices) != 1 || batch.Devices["one"].Name != "one") {
					err = fmt.Errorf("the snapshot shows %v, want the device that was committed", batch.Devices)
				}
				return err
			})
		})
		err := db.Snapshot(ctx, func(r store.Reads) error {
			_, err := r.WantScan(ctx, "acme", "one")
			return err
		})
		if err == nil {
			t.Error("a snapshot let somebody write")
		}
	})
}
