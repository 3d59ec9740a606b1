package sim

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/observer"
	"patchring/wire"
)

// Harm is what an update does to the devices that it is installed on, until it
// is rolled back.
type Harm struct {
	Package string                   // "*": any that a device's orders install
	Share   float64                  // of the devices, from 0 to 1
	Adds    map[wire.Measure]float64 // to what these devices measure
	Probes  bool                     // their probes say no
	Service string                   // that no longer runs; empty: none
}

// ParseHarm reads PACKAGE[,share=0.5][,probes][,service=NAME][,MEASURE=60]…
func ParseHarm(text string) (Harm, error) {
	words := strings.Split(text, ",")
	h := Harm{Package: words[0], Share: 1, Adds: map[wire.Measure]float64{}}
	if h.Package == "" {
		return h, fmt.Errorf("%w: harm %q names no package (or *)", ErrOptions, text)
	}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		number, err := strconv.ParseFloat(value, 64)
		switch {
		case word == "probes":
			h.Probes = true
		case name == "service" && value != "":
			h.Service = value
		case name == "share" && err == nil && number >= 0 && number <= 1:
			h.Share = number
		case known(wire.Measure(name)) && err == nil:
			h.Adds[wire.Measure(name)] = number
		default:
			return h, fmt.Errorf("%w: harm %q: %q is not share=0..1, probes, service=NAME or MEASURE=NUMBER", ErrOptions, text, word)
		}
	}
	return h, nil
}

func known(m wire.Measure) bool {
	for _, k := range wire.Measures() {
		if k == m {
			return true
		}
	}
	return false
}

// pulse is what a device measures.
type pulse struct {
	watch   wire.Watch
	random  *rand.Rand
	usual   map[wire.Measure]float64 // of this device
	at      time.Time                // of the next sample
	samples []wire.Sample            // of the point in the making
	fresh   bool                     // the last of them was not said
	points  []wire.Point             // not acknowledged
	probes  map[string]wire.ProbeState
	harmed  map[string]bool // packages that orders have brought, and none has taken back
	prone   []bool          // to each harm
	mute    bool            // the server knows no measures
}

// mostPoints a device keeps, as an agent does.
const mostPoints = 7 * 24 * 3600 / wire.PointS

func (d *device) beginPulse() {
	r := d.s.random(d.traits.Number, "measures")
	p := &d.pulse
	p.random, p.probes, p.harmed = r, map[string]wire.ProbeState{}, map[string]bool{}
	p.usual = map[wire.Measure]float64{
		wire.MeasureCPU: 3 + 20*r.Float64(), wire.MeasureLoad: 0.05 + 0.5*r.Float64(), wire.MeasureMemory: 25 + 45*r.Float64(),
		wire.MeasureDisk: 0.3 + 4*r.Float64(), wire.MeasureFree: 15 + 70*r.Float64(), wire.MeasureBoot: 12 + 40*r.Float64(),
		wire.MeasureErrors: 2 * r.Float64(), wire.MeasurePorts: float64(4 + r.IntN(20)), wire.MeasureClock: 3 * r.Float64(),
		wire.MeasureUnits: 0, wire.MeasureDown: 0, wire.MeasureUnsynced: 0, wire.MeasureUnguarded: 0, wire.MeasureCrashes: 0,
		wire.MeasureUse: 100,
	}
	for i, h := range d.s.Harm {
		p.prone = append(p.prone, d.s.random(d.traits.Number, "harm "+strconv.Itoa(i)).Float64() < h.Share)
	}
	if every := d.sampleEvery(); every > 0 { // a fleet does not speak in one second
		p.at = time.Now().Add(time.Duration(r.Float64() * float64(every)))
	}
}

// sampleEvery is zero when this fleet measures nothing.
func (d *device) sampleEvery() time.Duration {
	switch {
	case d.s.Sample < 0 || d.pulse.mute:
		return 0
	case d.s.Sample > 0:
		return d.s.Sample
	case d.pulse.watch.SampleS > 0:
		return time.Duration(d.pulse.watch.SampleS) * time.Second
	}
	return wire.DefaultSampleS * time.Second
}

// measure takes a sample when it is time.
func (d *device) measure(now time.Time) {
	every := d.sampleEvery()
	p := &d.pulse
	if every == 0 || now.Before(p.at) {
		return
	}
	p.at = now.Add(every)
	d.sampled(d.sample(now))
}

// sampled takes a sample into its point, and closes the point before.
func (d *device) sampled(s wire.Sample) {
	p := &d.pulse
	if len(p.samples) > 0 {
		if point := observer.PointOf(p.samples); point.AtUS+wire.PointS*1_000_000 <= s.AtUS {
			p.points = append(p.points[max(0, len(p.points)+1-mostPoints):], point)
			p.samples = nil
		}
	}
	p.samples, p.fresh = append(p.samples, s), true
}

func (d *device) sample(now time.Time) wire.Sample {
	p := &d.pulse
	s := wire.Sample{AtUS: d.own(now), Values: maps.Clone(p.usual)}
	// Offices sleep at night, and no two minutes are alike.
	day := 0.6 + 0.4*math.Sin(float64(now.UTC().Hour()-6)*math.Pi/12)
	for _, m := range []wire.Measure{wire.MeasureCPU, wire.MeasureLoad, wire.MeasureDisk, wire.MeasureErrors} {
		s.Values[m] *= max(0.1, day+0.25*p.random.NormFloat64())
	}
	s.Values[wire.MeasureMemory] += 2 * p.random.NormFloat64()
	for _, h := range d.harms() {
		for m, more := range h.Adds {
			s.Values[m] += more
		}
		if h.Service != "" {
			s.Values[wire.MeasureDown]++
			s.Down = append(s.Down, h.Service)
		}
	}
	for m, v := range s.Values {
		v = max(0, v)
		if strings.HasSuffix(string(m), "_percent") {
			v = min(v, 100)
		}
		s.Values[m] = math.Round(v*100) / 100
	}
	s.Probes = d.probe(now)
	if len(s.Probes) > 0 {
		down := 0.0
		for _, state := range s.Probes {
			if state.State == wire.ProbeDown {
				down++
			}
		}
		s.Values[wire.MeasureProbesDown] = down
	}
	return s
}

// harms are those that this device suffers now.
func (d *device) harms() (list []Harm) {
	for i, h := range d.s.Harm {
		if d.pulse.prone[i] && (d.pulse.harmed[h.Package] || h.Package == "*" && len(d.pulse.harmed) > 0) {
			list = append(list, h)
		}
	}
	return list
}

// probe makes the probes that the device was told.
func (d *device) probe(now time.Time) []wire.ProbeState {
	p := &d.pulse
	state := wire.ProbeUp
	for _, h := range d.harms() {
		if h.Probes {
			state = wire.ProbeDown
		}
	}
	var list []wire.ProbeState
	for _, probe := range p.watch.Probes {
		found := wire.ProbeState{Name: probe.Name, State: state, AtUS: d.own(now), SinceUS: d.own(now), MS: int64(1 + p.random.IntN(20))}
		if before, ok := p.probes[probe.Name]; ok && before.State == state {
			found.SinceUS = before.SinceUS
		}
		if state == wire.ProbeDown {
			found.Cause = causeOf(fault.Because(fault.ProbeRefused, "target", probe.Target))
		}
		p.probes[probe.Name] = found
		list = append(list, found)
	}
	return list
}

// suffer notes what an order has brought, or taken back, and looks at once.
func (d *device) suffer(outcomes []wire.Outcome) {
	for _, out := range outcomes {
		for _, c := range out.Packages {
			switch out.State {
			case wire.ItemVerified:
				d.pulse.harmed[c.Name] = true
			case wire.ItemRolledBack:
				delete(d.pulse.harmed, c.Name)
			}
		}
	}
	if d.sampleEvery() > 0 {
		d.pulse.at = time.Now()
	}
}

func (d *device) takeWatch(e wire.Envelope) {
	var w wire.Watch
	if err := e.Open(wire.EnvelopeWatch, d.s.trust.keys, &w); err != nil || w.Tenant != d.who.tenant || w.Device != d.who.device {
		d.refuse(wire.Order{}, forged(err, "a watch of another device"))
		return
	}
	d.s.counter.change(func(c *Counts) { c.Envelopes++ })
	if w.Serial <= d.pulse.watch.Serial {
		return
	}
	d.pulse.watch = w
	clear(d.pulse.probes)
	if d.sampleEvery() > 0 {
		d.pulse.at = time.Now() // it says at once what its probes find
	}
}

// measures is the report to be sent now; ok is false when there is none.
func (d *device) measures(now time.Time) (m wire.MeasuresReport, ok bool) {
	p := &d.pulse
	m = wire.MeasuresReport{NowUS: d.own(now), BootID: d.bootID, Points: p.points[:min(len(p.points), wire.MaxPointsPerSend)]}
	if p.fresh {
		m.Sample = &p.samples[len(p.samples)-1]
	}
	return m, !p.mute && (p.fresh || len(p.points) > 0)
}

func (d *device) measuresTaken(r wire.MeasuresReply) *wire.Error {
	p := &d.pulse
	p.fresh = false
	if r.Error != nil {
		if !r.Error.Retry {
			p.mute = true // a server of before: that is no reason to leave it
			return nil
		}
		return r.Error
	}
	kept := 0
	for kept < len(p.points) && p.points[kept].AtUS <= r.UpToUS {
		kept++
	}
	p.points = append([]wire.Point(nil), p.points[kept:]...)
	d.s.counter.change(func(c *Counts) { c.Samples++; c.Points += int64(kept) })
	return nil
}
