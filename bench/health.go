//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"patchring/internal/core/health"
	"patchring/internal/core/health/trial"
	"patchring/wire"
)

// trialSizes are the fleets that the judge is tried on: how many campaigns
// without a regression, and how many with each.
var trialSizes = []struct{ devices, sound, harmed int }{{5, 1000, 300}, {50, 1000, 300}, {5000, 1000, 60}}

// harms are the regressions whose share of missed ones is stated.
func harms() []struct {
	name string
	harm trial.Harm
} {
	cpu := func(add, share float64) trial.Harm {
		return trial.Harm{Measure: wire.MeasureCPU, Add: add, Share: share}
	}
	return []struct {
		name string
		harm trial.Harm
	}{
		{"CPU +5 points on all", cpu(5, 1)}, {"CPU +10 points on all", cpu(10, 1)}, {"CPU +15 points on all", cpu(15, 1)}, {"CPU +25 points on all", cpu(25, 1)},
		{"CPU +10 points on 20 %", cpu(10, 0.2)}, {"CPU +25 points on 20 %", cpu(25, 0.2)}, {"CPU +50 points on 20 %", cpu(50, 0.2)},
		{"a service down on 1 device of each ring", trial.Harm{Measure: wire.MeasureDown, Add: 1, Devices: 1}},
		{"a service down on 2 devices of each ring", trial.Harm{Measure: wire.MeasureDown, Add: 1, Devices: 2}},
		{"a service down on all", trial.Harm{Measure: wire.MeasureDown, Add: 1, Share: 1}},
		{"a service down on 20 %", trial.Harm{Measure: wire.MeasureDown, Add: 1, Share: 0.2}},
		{"boots half as long again on all", trial.Harm{Measure: wire.MeasureBoot, Times: 1.5, Share: 1}},
		{"boots twice as long on all", trial.Harm{Measure: wire.MeasureBoot, Times: 2, Share: 1}},
	}
}

// benchHealth tries the judge of measures on made-up campaigns of a known truth.
// The seed is the campaign's number, so that every run gives the same table.
func benchHealth(ctx context.Context, b *bench) error {
	for _, size := range trialSizes {
		held, known, n, err := tried(ctx, trial.Fleet{Devices: size.devices}, size.sound)
		if err != nil {
			return err
		}
		b.add(Figure{
			Name: fmt.Sprintf("false holds, %d devices", size.devices), Value: percentOf(held, n), Unit: "%", Aim: 100 * 3 * health.Alpha,
			Note: fmt.Sprintf("%d of %d campaigns of three rings; %.0f %% of rings known to be the same", held, n, percentOf(known, 3*n)),
		})
	}
	for _, size := range trialSizes {
		for _, h := range harms() {
			harm := h.harm
			held, _, n, err := tried(ctx, trial.Fleet{Devices: size.devices, Harm: &harm}, size.harmed)
			if err != nil {
				return err
			}
			b.add(Figure{Name: fmt.Sprintf("missed, %d devices: %s", size.devices, h.name), Value: percentOf(n-held, n), Unit: "%", Note: fmt.Sprintf("%d of %d", n-held, n)})
		}
	}
	return nil
}

func percentOf(n, of int) float64 { return 100 * float64(n) / float64(of) }

func tried(ctx context.Context, f trial.Fleet, campaigns int) (held, known, n int, err error) {
	for n = range campaigns {
		if err := ctx.Err(); err != nil {
			return held, known, n, fmt.Errorf("try the judge: %w", err)
		}
		f.Event = n%2 == 0
		o := trial.Run(rand.New(rand.NewPCG(uint64(n), uint64(f.Devices))), f)
		if o.Worse >= 0 {
			held++
		}
		known += o.Known
	}
	return held, known, campaigns, nil
}
