package store_test

import (
	"reflect"
	"testing"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/store/storetest"
	"patchring/wire"
)

const measuredFor = 35 * 24 * time.Hour

// measuring writes a point every five minutes in [from, to), of a device whose
// processor rises by one each hour.
func measuring(t *testing.T, db *store.DB, tenant, device string, from, to time.Time) {
	t.Helper()
	write(t, db, func(tx *store.Tx) error {
		var points []wire.Point
		for at := from; at.Before(to); at = at.Add(5 * time.Minute) {
			v := float64(at.Sub(from) / time.Hour)
			points = append(points, wire.Point{AtUS: at.UnixMicro(), N: 5, Mean: map[wire.Measure]float64{wire.MeasureCPU: v, wire.MeasureCrashes: 1}})
		}
		due, err := tx.KeepPoints(t.Context(), tenant, device, points)
		if err != nil {
			return err
		}
		return tx.PutDeviceSample(t.Context(), gen.PutDeviceSampleParams{Tenant: tenant, Device: device, Body: "{}", DueUs: due})
	})
}

func merge(t *testing.T, db *store.DB, tenant, device string, now time.Time) {
	t.Helper()
	write(t, db, func(tx *store.Tx) error { return tx.MergePoints(t.Context(), tenant, device, now, measuredFor) })
}

func readSeries(t *testing.T, db *store.DB, tenant fleet.TenantID, device fleet.DeviceID, ask series.Ask) series.Series {
	t.Helper()
	all, err := db.Series(t.Context(), tenant, []fleet.DeviceID{device, "unknown"}, ask)
	if err != nil || len(all) != 2 || len(all["unknown"]) != 0 {
		t.Fatalf("series of %d devices, %v", len(all), err)
	}
	return all[device]
}

func due(t *testing.T, db *store.DB, tenant, device string) time.Time {
	t.Helper()
	rows, err := db.Read().DeviceSample(t.Context(), tenant, device)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	return time.UnixMicro(rows[0].DueUs).UTC()
}

// What is read before a merge is what is read after it, in hours.
func TestMeasuresAreMergedAndReadTheSame(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		from := time.Date(2026, 3, 28, 22, 0, 0, 0, time.UTC) // over the hour that Paris has not
		measuring(t, db, "acme", "d1", from, from.Add(30*time.Hour))
		ask := series.Ask{FromUS: from.UnixMicro(), ToUS: from.Add(30 * time.Hour).UnixMicro(), Hourly: true}
		before := readSeries(t, db, "acme", "d1", ask)
		if got := before[wire.MeasureCPU]; len(got) != 30 || got[7].Mean != 7 || got[7].N != 60 || before[wire.MeasureCrashes][0].Mean != 12 {
			t.Fatalf("hours of points: %+v", got)
		}
		if want := from.Add(2*time.Hour + store.RecentKept); !due(t, db, "acme", "d1").Equal(want) {
			t.Fatalf("the first block is due at %s, want %s", due(t, db, "acme", "d1"), want)
		}
		now := from.Add(26*time.Hour + store.RecentKept)
		merge(t, db, "acme", "d1", now)
		merge(t, db, "acme", "d1", now)
		if after := readSeries(t, db, "acme", "d1", ask); !reflect.DeepEqual(after, before) {
			t.Errorf("after the merge: %+v", after)
		}
		ask.Hourly = false
		if got := readSeries(t, db, "acme", "d1", ask)[wire.MeasureCPU]; len(got) != 26+4*12 || got[25].StepS != 3600 || got[26].StepS != wire.PointS {
			t.Errorf("%d slots, want 26 hours and 48 points", len(got))
		}
		if other := readSeries(t, db, "other", "d1", ask); len(other) != 0 {
			t.Errorf("another tenant reads %+v", other)
		}
	})
}

func TestMeasuresThatCameLateAreMergedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		from := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		measuring(t, db, "acme", "d1", from, from.Add(time.Hour))
		now := from.Add(10 * 24 * time.Hour)
		merge(t, db, "acme", "d1", now)
		measuring(t, db, "acme", "d1", from, from.Add(2*time.Hour)) // the answer was lost: the first hour comes again
		ask := series.Ask{FromUS: from.UnixMicro(), ToUS: now.UnixMicro()}
		if due(t, db, "acme", "d1").After(now) {
			t.Errorf("late points are merged at %s", due(t, db, "acme", "d1"))
		}
		merge(t, db, "acme", "d1", now)
		got := readSeries(t, db, "acme", "d1", ask)[wire.MeasureCPU]
		if len(got) != 2 || got[0].N != 60 || got[1].N != 60 || got[1].Mean != 1 {
			t.Errorf("read %+v", got)
		}
	})
}

func TestMeasuresAreDroppedInTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // a Thursday: a week begins
		measuring(t, db, "acme", "d1", from, from.Add(3*time.Hour))
		measuring(t, db, "acme", "d1", from.Add(7*24*time.Hour), from.Add(7*24*time.Hour+time.Hour))
		ask := series.Ask{FromUS: 0, ToUS: from.Add(365 * 24 * time.Hour).UnixMicro()}
		gone := from.Add(7*24*time.Hour + measuredFor)
		merge(t, db, "acme", "d1", gone.Add(-time.Microsecond))
		if got := readSeries(t, db, "acme", "d1", ask)[wire.MeasureCPU]; len(got) != 4 || !due(t, db, "acme", "d1").Equal(gone) {
			t.Errorf("a moment before: %d hours, due at %s, want 4 and %s", len(got), due(t, db, "acme", "d1"), gone)
		}
		merge(t, db, "acme", "d1", gone)
		if got := readSeries(t, db, "acme", "d1", ask)[wire.MeasureCPU]; len(got) != 1 {
			t.Errorf("at the end: %d hours, want 1", len(got))
		}
		merge(t, db, "acme", "d1", gone.Add(7*24*time.Hour))
		if got := readSeries(t, db, "acme", "d1", ask); len(got) != 0 || due(t, db, "acme", "d1").UnixMicro() != 0 {
			t.Errorf("after the end: %+v, due at %s", got, due(t, db, "acme", "d1"))
		}
	})
}
