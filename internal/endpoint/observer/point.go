package observer

import (
	"maps"
	"math"
	"slices"

	"patchring/wire"
)

// slot is a point in the making. Number grows by one a slot for ever, so that
// one which was closed is never closed again.
type slot struct {
	Number int64                    `json:"number"`
	AtUS   int64                    `json:"at_us"`
	N      int                      `json:"n"`
	Sum    map[wire.Measure]float64 `json:"sum"`
	Count  map[wire.Measure]int     `json:"count"`
	Worst  map[wire.Measure]float64 `json:"worst"`
	Probes []wire.ProbeState        `json:"probes,omitempty"`
}

const pointUS = wire.PointS * 1_000_000

// beginning of the point that an instant is in.
func beginning(atUS int64) int64 { return atUS - ((atUS%pointUS)+pointUS)%pointUS }

func newSlot(number, atUS int64) *slot {
	return &slot{
		Number: number, AtUS: atUS, Sum: map[wire.Measure]float64{}, Count: map[wire.Measure]int{}, Worst: map[wire.Measure]float64{},
	}
}

// add takes a sample in.
func (s *slot) add(sample wire.Sample) {
	s.N++
	for m, v := range sample.Values {
		s.Sum[m] += v
		s.Count[m]++
		if have, ok := s.Worst[m]; !ok || worse(m, v, have) {
			s.Worst[m] = v
		}
	}
	s.probed(sample.Probes)
}

// probed takes in what the probes found, also between two samples.
func (s *slot) probed(found []wire.ProbeState) { s.Probes = joinProbes(s.Probes, found) }

// joinProbes keeps the later of each probe, down if either was.
func joinProbes(before, after []wire.ProbeState) []wire.ProbeState {
	joined := slices.Clone(after)
	for _, old := range before {
		at := slices.IndexFunc(joined, func(p wire.ProbeState) bool { return p.Name == old.Name })
		switch {
		case at < 0: // it is not probed any more
			joined = append(joined, old)
		case joined[at].State == wire.ProbeUp && old.State == wire.ProbeDown:
			joined[at] = old
		}
	}
	return joined
}

// worse tells whether a is worse than b.
func worse(m wire.Measure, a, b float64) bool {
	if m == wire.MeasureFree || m == wire.MeasurePorts {
		return a < b
	}
	return a > b
}

// summed are measures that count what happened since the sample before.
func summed(m wire.Measure) bool { return m == wire.MeasureCrashes }

// point is what the samples amount to.
func (s *slot) point() wire.Point {
	p := wire.Point{AtUS: s.AtUS, N: s.N, Mean: map[wire.Measure]float64{}, Worst: map[wire.Measure]float64{}, Probes: s.Probes}
	for m, sum := range s.Sum {
		if summed(m) {
			p.Mean[m] = sum
			continue
		}
		p.Mean[m] = round(sum / float64(s.Count[m]))
		if m != wire.MeasureUse && s.Worst[m] != p.Mean[m] { // use is neither better nor worse
			p.Worst[m] = s.Worst[m]
		}
	}
	return p
}

// round keeps what a mean can say: three digits behind the point.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// join makes one point of two of the same five minutes: the clock went over
// them twice.
func join(a, b wire.Point) wire.Point {
	j := wire.Point{
		AtUS: a.AtUS, N: a.N + b.N, Mean: maps.Clone(a.Mean), Worst: maps.Clone(a.Worst), Probes: joinProbes(a.Probes, b.Probes),
	}
	if j.Worst == nil {
		j.Worst = map[wire.Measure]float64{}
	}
	for m, v := range b.Mean {
		have, both := a.Mean[m]
		switch {
		case !both:
			j.Mean[m] = v
		case summed(m):
			j.Mean[m] = have + v
		default:
			j.Mean[m] = round((have*float64(a.N) + v*float64(b.N)) / float64(max(j.N, 1)))
		}
		if m == wire.MeasureUse || summed(m) {
			continue
		}
		for _, w := range []float64{worstOf(a, m), worstOf(b, m)} {
			if !math.IsNaN(w) && w != j.Mean[m] && (math.IsNaN(worstOf(j, m)) || worse(m, w, worstOf(j, m))) {
				j.Worst[m] = w
			}
		}
	}
	return j
}

// worstOf a point: its mean where that is the worst too; NaN where it has none.
func worstOf(p wire.Point, m wire.Measure) float64 {
	if w, ok := p.Worst[m]; ok {
		return w
	}
	if v, ok := p.Mean[m]; ok {
		return v
	}
	return math.NaN()
}

// PointOf is what the samples of one point amount to, for who simulates devices.
func PointOf(samples []wire.Sample) wire.Point {
	if len(samples) == 0 {
		return wire.Point{}
	}
	s := newSlot(0, beginning(samples[0].AtUS))
	for _, sample := range samples {
		s.add(sample)
	}
	return s.point()
}
