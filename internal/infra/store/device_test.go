package store_test

import (
	"fmt"
	"sync"
	"testing"

	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
)

// Whoever sees a device's place in the order of enrolment sees every device
// before it: a campaign that remembers one number has missed nobody.
func TestPlacesAreSeenInTheirOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		const writers, each = 6, 20
		var enrolling sync.WaitGroup
		for i := range writers {
			enrolling.Go(func() {
				for n := range each {
					err := db.Write(ctx, func(tx *store.Tx) error {
						return tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: "acme", ID: fmt.Sprintf("%d-%d", i, n), Kind: "server", Tags: "{}"})
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		seen := map[string]bool{}
		for place := int64(0); len(seen) < writers*each && !t.Failed(); {
			page, err := db.Read().DevicesToEnlist(ctx, gen.DevicesToEnlistParams{Tenant: "acme", Arrival: place, Max: 1000})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page {
				if d.Arrival != place+1 {
					t.Fatalf("place %d was seen after place %d", d.Arrival, place)
				}
				place, seen[d.ID] = d.Arrival, true
			}
		}
		enrolling.Wait()
	})
}
