//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/series"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

const (
	measuredDevices = 100 // with five weeks each
	measuredDays    = 35
	measureReports  = 20_000
	readDevices     = 100 // in one question
)

// benchMeasures measures what a report of measures costs at the gateway, and
// what five weeks of a fleet cost to keep and to read. What it says of a device
// does not depend on the fleet: each row is of one device.
func benchMeasures(ctx context.Context, b *bench) error {
	return errors.Join(b.measureReports(ctx), b.measureHistory(ctx))
}

// measureReports sends a sample and a point of each device, as a fleet does
// every five minutes.
func (b *bench) measureReports(ctx context.Context) error {
	for _, devices := range []int{10_000, b.enrolled} {
		w, err := b.newWorld(ctx, fmt.Sprintf("measures-%d", devices), devices)
		if err != nil {
			return err
		}
		random := rand.New(rand.NewPCG(1, 2))
		now := w.clock()
		point := measuredPoint(now.Add(-5*time.Minute).Truncate(5*time.Minute).UnixMicro(), random)
		text, err := json.Marshal(wire.MeasuresReport{
			NowUS: now.UnixMicro(), Sample: &wire.Sample{AtUS: now.UnixMicro(), Values: point.Mean}, Points: []wire.Point{point},
		})
		if err != nil {
			return err
		}
		n, begun := min(measureReports, devices), time.Now()
		each, err := cpuEach(n, func() error {
			return crowd(n, crowdWorkers, func(_, i int) error {
				out, err := w.srv.Gateway.Handle(ctx, tenant, w.ids[i], wire.ReportMeasures, text)
				var reply wire.MeasuresReply
				if err = errors.Join(err, json.Unmarshal(out, &reply)); err != nil {
					return err
				}
				if reply.Error != nil {
					return fmt.Errorf("measures refused: %s", reply.Error.Code)
				}
				return nil
			})
		})
		took := time.Since(begun)
		if err := errors.Join(err, w.stop()); err != nil {
			return err
		}
		b.add(Figure{Name: fmt.Sprintf("measures of a device in a fleet of %d: processor", devices), Value: each, Unit: "ms"})
		b.add(Figure{Name: fmt.Sprintf("reports of measures a second in a fleet of %d", devices), Value: float64(n) / took.Seconds(), Unit: "/s"})
	}
	return nil
}

// measuredPoint is one of a workstation that is used.
func measuredPoint(atUS int64, random *rand.Rand) wire.Point {
	mean, worst := map[wire.Measure]float64{}, map[wire.Measure]float64{}
	for _, m := range wire.Measures() {
		mean[m] = 3
	}
	for _, m := range []wire.Measure{wire.MeasureCPU, wire.MeasureLoad, wire.MeasureMemory, wire.MeasureDisk, wire.MeasureErrors, wire.MeasureClock} {
		mean[m] = 10 + 10*random.Float64()
		worst[m] = mean[m] + 5*random.Float64()
	}
	return wire.Point{AtUS: atUS, N: 5, Mean: mean, Worst: worst}
}

// measureHistory keeps five weeks of a hundred devices and reads four of them.
func (b *bench) measureHistory(ctx context.Context) (err error) {
	path := filepath.Join(b.temp, "history.db")
	db, err := store.Open(ctx, store.Options{URL: path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	end := time.Now().UTC().Truncate(24 * time.Hour)
	random := rand.New(rand.NewPCG(3, 4))
	var ids []fleet.DeviceID
	for i := range measuredDevices {
		ids = append(ids, fleet.DeviceID(fmt.Sprintf("01900000-0000-7000-8000-%012d", i)))
	}
	for day := measuredDays; day > 0; day-- {
		from := end.Add(-time.Duration(day) * 24 * time.Hour)
		err := db.Write(ctx, func(tx *store.Tx) error {
			for _, id := range ids {
				if err := b.measuredDay(ctx, tx, string(id), from, random); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	wal, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	b.add(Figure{Name: fmt.Sprintf("%d days of measures of a device on disk", measuredDays), Value: float64(info.Size()+wal.Size()) / measuredDevices / 1000, Unit: "kB"})
	begun, ask := time.Now(), series.Ask{FromUS: end.Add(-28 * 24 * time.Hour).UnixMicro(), ToUS: end.UnixMicro(), Measures: []wire.Measure{wire.MeasureCPU}, Hourly: true}
	for range 5000 / readDevices {
		if _, err := db.Series(ctx, tenant, ids[:readDevices], ask); err != nil {
			return err
		}
	}
	b.add(Figure{Name: "read a measure of 5,000 devices × 28 days, in hours", Value: time.Since(begun).Seconds(), Unit: "s"})
	return nil
}

// measuredDay keeps a day of a device and merges what is old enough.
func (b *bench) measuredDay(ctx context.Context, tx *store.Tx, device string, from time.Time, random *rand.Rand) error {
	points := make([]wire.Point, 0, 288)
	for i := range 288 {
		points = append(points, measuredPoint(from.Add(time.Duration(i)*5*time.Minute).UnixMicro(), random))
	}
	due, err := tx.KeepPoints(ctx, string(tenant), device, points)
	if err != nil {
		return err
	}
	if err := tx.PutDeviceSample(ctx, gen.PutDeviceSampleParams{Tenant: string(tenant), Device: device, Body: "{}", DueUs: due}); err != nil {
		return err
	}
	return tx.MergePoints(ctx, string(tenant), device, from.Add(24*time.Hour), measuredDays*24*time.Hour)
}
