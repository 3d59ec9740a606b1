package trial

import (
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"patchring/internal/core/health"
	"patchring/wire"
)

func runs(t *testing.T, n int, f Fleet) (worse int, of map[wire.Measure]int) {
	t.Helper()
	of = map[wire.Measure]int{}
	for seed := range n {
		f.Event = seed%2 == 0
		o := Run(rand.New(rand.NewPCG(uint64(seed), uint64(f.Devices))), f)
		if o.Worse >= 0 {
			worse++
			of[o.Measure]++
		}
	}
	return worse, of
}

// A judge that keeps its word holds at most three campaigns of a hundred, of
// three rings each, without a reason. More than chance can make of that fails.
func TestCampaignsWithoutARegressionAreNotHeld(t *testing.T) {
	for devices, n := range map[int]int{5: 200, 50: 40, 300: 6} {
		worse, of := runs(t, n, Fleet{Devices: devices})
		bound := distuv.Binomial{N: float64(n), P: 3 * health.Alpha}
		if worse > 0 && 1-bound.CDF(float64(worse-1)) < 0.001 {
			t.Errorf("%d devices: %d of %d campaigns held without a regression: %v", devices, worse, n, of)
		}
	}
}

func TestRegressionsOfTheirSizeAreFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		devices int
		harm    Harm
		runs    int
		least   int
	}{
		{"CPU of all, a few devices", 5, Harm{Measure: wire.MeasureCPU, Add: 25, Share: 1}, 40, 20},
		{"CPU of all, a fleet", 50, Harm{Measure: wire.MeasureCPU, Add: 25, Share: 1}, 12, 11},
		// Of such 53 of 60 are found.
		{"CPU of a fifth of a fleet, far", 50, Harm{Measure: wire.MeasureCPU, Add: 50, Share: 0.2}, 12, 8},
		// Of such 11 of 12 are found.
		{"CPU of a fifth", 1000, Harm{Measure: wire.MeasureCPU, Add: 25, Share: 0.2}, 5, 4},
		{"a service on a fifth", 1000, Harm{Measure: wire.MeasureDown, Add: 1, Share: 0.2}, 3, 3},
		{"starts half as long again", 1000, Harm{Measure: wire.MeasureBoot, Times: 1.7, Share: 1}, 3, 3},
	} {
		harm := c.harm
		worse, of := runs(t, c.runs, Fleet{Devices: c.devices, Harm: &harm})
		if worse < c.least || of[harm.Measure] < worse-1 {
			t.Errorf("%s: held %d of %d, want %d; for %v", c.name, worse, c.runs, c.least, of)
		}
	}
}
