package health

import "math"

// Movement is what one measure of one device did: the mean of the hours judged
// against its own past at the same hours and weekdays.
type Movement struct {
	Change float64 // as Rule compares: worse is higher
	Before float64 // what it usually is at those hours, as measured
	After  float64
	Hours  int // judged in which it was measured
	// Most is the largest change for the worse of a single day of its past, at the
	// same hours.
	Most float64
	// Days are the changes of those days, NaN where it was off.
	Days []float64
}

// Why a device's measure cannot be compared.
type Gap string

// Gaps.
const (
	NoGap    Gap = ""
	NoValues Gap = "no_values" // not measured in the hours judged
	NoPast   Gap = "no_past"   // too little of its past is known
)

// Past is what is usual for one measure of one device.
type Past struct {
	rule  Rule
	hours Hours
	days  int                // with values
	level [weekHours]float64 // by hour of the week; NaN: not known
	off   []float64          // by how much each hour of the past was off its level
}

// Past learns from the hours before the given one; values have NaN where nothing
// was measured.
func (h Hours) Past(r Rule, values []float64, before int) *Past {
	before = min(before, h.N)
	p := &Past{rule: r, hours: h, off: make([]float64, before)}
	last := int32(-1)
	for i, v := range values[:before] {
		p.off[i] = r.scaled(v) // of NaN: NaN
		if !math.IsNaN(v) && h.day[i] != last {
			last = h.day[i]
			p.days++
		}
	}
	buffer := make([]float64, 0, fewestClass*weekHours)
	for w := range p.level {
		p.level[w] = h.usual(p.off, int16(w), buffer)
	}
	for i := range p.off {
		p.off[i] -= p.level[h.week[i]]
	}
	return p
}

// Move compares the hours after the past with it. weights say how much each hour
// counts, 0 for those that are not judged.
func (p *Past) Move(values, weights []float64) (Movement, Gap) {
	h, r := p.hours, p.rule
	var change, before, after float64
	var hourOfDay [24]float64
	all, measured, judged := 0.0, false, 0
	for i := len(p.off); i < h.N; i++ {
		if weights[i] == 0 || math.IsNaN(values[i]) {
			continue
		}
		measured = true
		level := p.level[h.week[i]]
		if math.IsNaN(level) {
			continue
		}
		v, w := r.scaled(values[i]), weights[i]
		hourOfDay[h.week[i]%24] += w
		all += w
		judged++
		change += w * (v - level)
		before += w * level
		after += w * v
	}
	switch {
	case !measured:
		return Movement{}, NoValues
	case all == 0 || p.days < MinPastDays:
		return Movement{}, NoPast
	}
	m := Movement{Hours: judged, Change: change / all, Before: r.raw(before / all), After: r.raw(after / all), Days: p.changes(hourOfDay), Most: math.Inf(-1)}
	for _, d := range m.Days {
		if !math.IsNaN(d) {
			m.Most = max(m.Most, d)
		}
	}
	return m, NoGap
}

// changes are what each day of the past did at the hours that are judged. A day
// is part of what it is compared with, which makes its change look smaller by as
// much as its part: that is put back.
func (p *Past) changes(hours [24]float64) []float64 {
	if len(p.off) == 0 {
		return nil
	}
	weeks := max(2, float64(p.days)/7)
	out := make([]float64, p.hours.day[len(p.off)-1]+1)
	weight := make([]float64, len(out))
	for i, off := range p.off {
		if w := hours[p.hours.week[i]%24]; w > 0 && !math.IsNaN(off) {
			out[p.hours.day[i]] += w * off
			weight[p.hours.day[i]] += w
		}
	}
	for d := range out {
		if weight[d] == 0 {
			out[d] = math.NaN()
			continue
		}
		out[d] *= weeks / (weeks - 1) / weight[d]
	}
	return out
}
