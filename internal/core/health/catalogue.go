// Package health judges what agents measured: whether devices are better, the
// same or worse since they were patched, or whether that cannot be said yet.
//
// Each device is compared with its own past, at the same hours and weekdays; the
// changes of patched devices are compared with the changes of devices not yet
// patched over the same hours. What a slow Monday does to all of them is no
// change. It owns which measures are judged, what difference matters, how much
// past is needed and what a verdict asks for; the arithmetic is core/chance. It
// refuses to call a difference worse that is only significant, or only large,
// and never takes missing data for good data.
//
// Pure values; safe from any goroutine. A device is summed up by Movement before
// the next is read, so that a fleet's series need never be in memory together.
package health

import (
	"math"

	"patchring/wire"
)

// Rule is how one measure is judged.
type Rule struct {
	Measure wire.Measure
	// Ratio: changes are compared as ratios of the value with Offset added; else
	// as differences.
	Ratio  bool
	Offset float64
	// Lower: less is worse.
	Lower bool
	// Matters is the smallest change for the worse that matters: a ratio or a
	// difference.
	Matters float64
	// Shift: it is asked whether patched devices moved as a whole. Share: whether
	// more of them moved each by itself. Of counts only the latter.
	Shift, Share bool
	Unit         string // as values carry it in a reason's arguments
}

// Rules are what is judged, of everything that agents measure. MeasureUse is
// neither good nor bad, and MeasureUnsynced is what MeasureClock tells better.
func Rules() []Rule {
	return []Rule{
		{Measure: wire.MeasureCPU, Matters: 10, Shift: true, Share: true, Unit: "%"},
		{Measure: wire.MeasureLoad, Ratio: true, Offset: 0.2, Matters: 2, Shift: true, Share: true},
		{Measure: wire.MeasureMemory, Matters: 10, Shift: true, Share: true, Unit: "%"},
		{Measure: wire.MeasureDisk, Ratio: true, Offset: 1, Matters: 2, Shift: true, Share: true, Unit: "ms"},
		{Measure: wire.MeasureFree, Lower: true, Matters: 5, Shift: true, Share: true, Unit: "%"},
		{Measure: wire.MeasureBoot, Ratio: true, Offset: 5, Matters: 1.5, Shift: true, Unit: "s"},
		{Measure: wire.MeasureLogin, Ratio: true, Offset: 2, Matters: 1.5, Shift: true, Unit: "s"},
		{Measure: wire.MeasureUnits, Matters: 0.5, Share: true},
		{Measure: wire.MeasureDown, Matters: 0.5, Share: true},
		{Measure: wire.MeasureCrashes, Matters: 0.125, Share: true}, // three a day, as a mean of hours
		{Measure: wire.MeasureErrors, Ratio: true, Offset: 1, Matters: 3, Shift: true, Share: true, Unit: "/min"},
		{Measure: wire.MeasurePorts, Lower: true, Matters: 0.5, Share: true},
		{Measure: wire.MeasureClock, Ratio: true, Offset: 100, Matters: 5, Shift: true, Unit: "ms"},
		{Measure: wire.MeasureUnguarded, Matters: 0.5, Share: true},
		{Measure: wire.MeasureProbesDown, Matters: 0.5, Share: true},
	}
}

// scaled is a value as it is compared: worse is higher.
func (r Rule) scaled(v float64) float64 {
	if r.Ratio {
		v = math.Log(max(0, v) + r.Offset)
	}
	if r.Lower {
		return -v
	}
	return v
}

// raw is the inverse of scaled.
func (r Rule) raw(s float64) float64 {
	if r.Lower {
		s = -s
	}
	if r.Ratio {
		return math.Exp(s) - r.Offset
	}
	return s
}

// matters is the smallest change that matters, as changes are compared.
func (r Rule) matters() float64 {
	if r.Ratio {
		return math.Log(r.Matters)
	}
	return r.Matters
}
