package archive

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/wire"
)

// More devices than one batch, of two tenants, are merged in one round and
// dropped when their time is over; an empty fleet is no error.
func TestStepMergesAllThatIsDue(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, now := t.Context(), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
		a := New(Options{DB: db, Clock: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), Kept: 35 * 24 * time.Hour})
		if err := a.Step(ctx); err != nil {
			t.Fatal(err)
		}
		const devices = 2*batch + 1
		err := db.Write(ctx, func(tx *store.Tx) error {
			for _, tenant := range []string{"acme", "other"} {
				if err := tx.AddTenant(ctx, gen.AddTenantParams{ID: tenant, Name: tenant}); err != nil {
					return err
				}
				for i := range devices {
					p := wire.Point{AtUS: now.UnixMicro(), N: 5, Mean: map[wire.Measure]float64{wire.MeasureCPU: float64(i)}}
					due, err := tx.KeepPoints(ctx, tenant, fmt.Sprint("d", i), []wire.Point{p})
					if err != nil {
						return err
					}
					if err := tx.PutDeviceSample(ctx, gen.PutDeviceSampleParams{Tenant: tenant, Device: fmt.Sprint("d", i), Body: "{}", DueUs: due}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []struct {
			after time.Duration
			steps int64 // length of the slots that are left; 0: none
		}{{time.Hour, wire.PointS}, {60 * time.Hour, 3600}, {43 * 24 * time.Hour, 0}} {
			now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).Add(at.after)
			if err := a.Step(ctx); err != nil {
				t.Fatal(err)
			}
			for _, tenant := range []fleet.TenantID{"acme", "other"} {
				all, err := db.Series(ctx, tenant, []fleet.DeviceID{"d0", "d100"}, series.Ask{ToUS: now.UnixMicro()})
				if err != nil {
					t.Fatal(err)
				}
				for device, s := range all {
					var steps int64
					for _, slot := range s[wire.MeasureCPU] {
						steps += slot.StepS
					}
					if steps != at.steps {
						t.Errorf("%s of %s after %s: slots of %d s, want %d", device, tenant, at.after, steps, at.steps)
					}
				}
			}
		}
	})
}
