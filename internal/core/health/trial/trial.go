// Package trial makes up fleets to try the judge on: devices whose measures have
// a working week, days that hang together, sudden peaks, nights in which they are
// off, and events that come over all of them; and campaigns on them, with a
// regression or without.
//
// It owns what a made-up fleet looks like and counts what the judge says of it.
// It draws from the randomness it is given, so that the same seed gives the same
// fleet. Tests and the bench use it; nothing else may.
package trial

import (
	"math"
	"time"

	"patchring/internal/core/health"
	"patchring/wire"
)

// Random is what is drawn from.
type Random interface {
	Float64() float64
	NormFloat64() float64
	IntN(n int) int
}

// Harm is a regression that the patch brings.
type Harm struct {
	Measure wire.Measure
	Add     float64 // to the value
	Times   float64 // the value, after; 0: once
	Share   float64 // of the devices
	Devices int     // in place of Share: so many of a ring
}

// Fleet is what a campaign is tried on.
type Fleet struct {
	Devices int
	Harm    *Harm
	Event   bool // a slow day comes over the whole fleet while rings are watched
}

// Rings are the sizes of R0, R1 and the rest.
func (f Fleet) Rings() []int {
	pilots := min(max(1, f.Devices/20), 50)
	users := min(max(1, f.Devices/5), 250)
	return []int{pilots, users, f.Devices - pilots - users}
}

// Most is how many devices of a ring, and how many others, a look looks at.
const Most = 150

// Looked are the hours after the first install at which a ring is looked at.
var looked = []int{1, 2, 4, 8, 16, 32, 64}

const (
	pastHours = health.PastDays * 24
	ringHours = 72 // from one ring's opening to the next
)

// monday is where every made-up campaign begins: a winter's.
var monday = time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)

// Outcome is what the judge said of a campaign's rings, the first that it called
// worse; -1: none.
type Outcome struct {
	Worse   int
	Measure wire.Measure
	// Known counts rings of which the last look knew enough to call them the same.
	Known int
	// Unsure counts, of the last looks, the measures of which too little is known.
	Unsure map[wire.Measure]int
}

// Run tries one campaign.
func Run(r Random, f Fleet) Outcome {
	c := newCampaign(r, f)
	out := Outcome{Worse: -1, Unsure: map[wire.Measure]int{}}
	for ring := range f.Rings() {
		last := health.Insufficient
		for k, after := range looked {
			found := c.look(ring, k+1, after)
			last = found.Verdict
			for _, one := range found.Findings {
				if k+1 == len(looked) && one.Verdict == health.Insufficient {
					out.Unsure[one.Measure]++
				}
			}
			if found.Verdict == health.Worse {
				out.Worse, out.Measure = ring, found.Findings[0].Measure
				return out // the breaker holds
			}
		}
		if last == health.Same {
			out.Known++
		}
	}
	return out
}

// campaign is one on a made-up fleet.
type campaign struct {
	fleet   Fleet
	random  Random
	hours   health.Hours
	event   []float64 // what all devices share, in shares of their usual level
	devices []*device
	rings   []int
}

// device is one of the fleet.
type device struct {
	ring    int
	patched int // hour
	harmed  bool
	always  bool // a server, or a workstation nobody switches off
	begins  int  // hour of the day
	values  map[wire.Measure][]float64
	past    map[wire.Measure]*health.Past
}

func newCampaign(r Random, f Fleet) *campaign {
	hours := pastHours + 3*ringHours
	c := &campaign{fleet: f, random: r, rings: f.Rings()}
	c.hours = health.NewHours(monday, monday.Add(pastHours*time.Hour), monday.Add(time.Duration(hours)*time.Hour), time.UTC)
	c.event = make([]float64, hours)
	for i := 0; i < hours; {
		// Some days are slow for everyone, before the campaign as well.
		slow := r.Float64() < 0.08
		if f.Event && i >= pastHours && (i-pastHours)%ringHours < 24 {
			slow = true
		}
		by := 0.3 + r.Float64()
		for range 24 {
			if slow && i < hours && i%24 >= 8 && i%24 < 18 {
				c.event[i] = by
			}
			i++
		}
	}
	for ring, n := range c.rings {
		harmed := n
		if h := f.Harm; h != nil {
			harmed = int(math.Round(h.Share * float64(n)))
			if h.Devices > 0 {
				harmed = min(n, h.Devices)
			}
		}
		for i := range min(n, Most) {
			c.devices = append(c.devices, c.newDevice(ring, f.Harm != nil && sampled(i, n, harmed)))
		}
	}
	return c
}

// sampled spreads the harmed ones over the ring, so that those looked at have
// their part of them.
func sampled(i, n, harmed int) bool {
	if n <= Most {
		return i < harmed
	}
	return i < harmed*Most/n
}

func (c *campaign) newDevice(ring int, harmed bool) *device {
	r := c.random
	d := &device{
		ring: ring, harmed: harmed, always: r.Float64() < 0.3, begins: 7 + r.IntN(3),
		patched: pastHours + ring*ringHours + r.IntN(12),
		values:  map[wire.Measure][]float64{}, past: map[wire.Measure]*health.Past{},
	}
	on := d.hoursOn(r, c.hours.N)
	for _, rule := range health.Rules() {
		values := c.series(d, rule.Measure, on)
		if h := c.fleet.Harm; h != nil && d.harmed && h.Measure == rule.Measure {
			for i := d.patched; i < len(values); i++ {
				if h.Times > 0 {
					values[i] *= h.Times
				}
				values[i] += h.Add
			}
		}
		d.values[rule.Measure] = values
		d.past[rule.Measure] = c.hours.Past(rule, values, pastHours)
	}
	return d
}

// hoursOn: most workstations are on in working hours, and away on some days.
func (d *device) hoursOn(r Random, n int) []bool {
	on := make([]bool, n)
	for i := 0; i < n; i += 24 {
		away, weekend := r.Float64() < 0.08, (i/24)%7 >= 5
		for h := i; h < min(n, i+24); h++ {
			at := h % 24
			on[h] = d.always || !away && !weekend && at >= d.begins && at < d.begins+9
		}
	}
	return on
}

// noise is what one measure is like.
type noise struct {
	level, spread float64 // of devices
	daily, hourly float64 // of a day, of an hour, in shares of the level
	work          float64 // how much more in working hours
	peaks         float64 // probability of a sudden hour
	shared        float64 // how much of an event it takes
}

var noises = map[wire.Measure]noise{
	wire.MeasureCPU:    {12, 0.5, 0.15, 0.5, 0.8, 0.01, 1},
	wire.MeasureLoad:   {0.3, 0.5, 0.15, 0.5, 0.8, 0.01, 1},
	wire.MeasureMemory: {45, 0.2, 0.05, 0.04, 0.1, 0, 0.1},
	wire.MeasureDisk:   {2, 0.5, 0.2, 0.6, 0.5, 0.02, 1},
	wire.MeasureFree:   {40, 0.3, 0.01, 0.005, 0, 0, 0},
	wire.MeasureErrors: {1.5, 0.8, 0.3, 0.8, 0.5, 0.02, 1},
	wire.MeasureClock:  {3, 0.8, 0.2, 1, 0, 0.02, 0.2},
}

// events are of measures that count: probability an hour that one more begins,
// and how many hours it stays.
var events = map[wire.Measure]struct{ begins, stays float64 }{
	wire.MeasureUnits: {0.0003, 60}, wire.MeasureDown: {0.0003, 30}, wire.MeasureCrashes: {0.002, 1},
	wire.MeasurePorts: {0.0004, 40}, wire.MeasureUnguarded: {0.00005, 20}, wire.MeasureProbesDown: {0.0003, 3},
}

func (c *campaign) series(d *device, m wire.Measure, on []bool) []float64 {
	switch m {
	case wire.MeasureBoot, wire.MeasureLogin:
		return c.steps(d, on)
	}
	if e, counts := events[m]; counts {
		return c.counts(m, e.begins, e.stays, on)
	}
	return c.level(noises[m], on)
}

// level wanders about the device's own level: hours hang together, days too, and
// peaks have a heavy tail.
func (c *campaign) level(n noise, on []bool) []float64 {
	r := c.random
	own := n.level * math.Exp(n.spread*r.NormFloat64())
	out := make([]float64, len(on))
	day, hour := 0.0, 0.0
	for i := range out {
		if i%24 == 0 {
			day = 0.6*day + 0.8*n.daily*r.NormFloat64()
		}
		hour = 0.7*hour + 0.7*n.hourly*r.NormFloat64()
		v := 1 + day + hour + n.shared*c.event[i]
		if at := i % 24; at >= 8 && at < 18 && (i/24)%7 < 5 {
			v += n.work
		}
		if r.Float64() < n.peaks {
			v += math.Pow(1-r.Float64(), -0.7) // Pareto: now and then a very bad hour
		}
		out[i] = math.NaN()
		if on[i] {
			out[i] = max(0, own*v)
			if n.level >= 10 { // shares
				out[i] = min(100, out[i])
			}
		}
	}
	return out
}

func (c *campaign) counts(m wire.Measure, begins, stays float64, on []bool) []float64 {
	r, out, left := c.random, make([]float64, len(on)), 0
	usual := 0.0
	if m == wire.MeasurePorts {
		usual = float64(5 + r.IntN(20))
	}
	for i := range out {
		if left > 0 {
			left--
		} else if r.Float64() < begins {
			left = 1 + int(stays*2*r.Float64())
		}
		switch {
		case !on[i]:
			out[i] = math.NaN()
		case left > 0 && m == wire.MeasurePorts:
			out[i] = usual - 1
		case left > 0:
			out[i] = usual + 1
		default:
			out[i] = usual
		}
	}
	return out
}

// steps stay until the next start: daily of workstations, with the patch of the
// others.
func (c *campaign) steps(d *device, on []bool) []float64 {
	r := c.random
	own := 30 * math.Exp(0.4*r.NormFloat64())
	out, now := make([]float64, len(on)), own*math.Exp(0.15*r.NormFloat64())
	for i := range out {
		if i%24 == d.begins && !d.always || i == d.patched {
			now = own * math.Exp(0.15*r.NormFloat64())
		}
		out[i] = math.NaN()
		if on[i] {
			out[i] = now
		}
	}
	return out
}

// look judges a ring some hours after its first install.
func (c *campaign) look(ring, number, after int) health.Health {
	from := pastHours + ring*ringHours
	to := min(c.hours.N, from+1+after)
	ask := health.Ask{Look: number, Measures: map[wire.Measure]*health.Compared{}}
	shared := make([]float64, c.hours.N)
	var patched, control []*device
	for _, d := range c.devices {
		switch {
		case d.ring == ring && d.patched+1 < to:
			patched = append(patched, d)
			for i := d.patched + 1; i < to; i++ {
				shared[i]++
			}
		case d.ring > ring && len(control) < Most:
			control = append(control, d)
		}
	}
	ask.Patched = len(patched)
	for _, rule := range health.Rules() {
		got := &health.Compared{Gaps: map[health.Gap]int{}}
		for _, d := range patched {
			own := make([]float64, c.hours.N)
			for i := d.patched + 1; i < to; i++ {
				own[i] = 1
			}
			m, gap := d.past[rule.Measure].Move(d.values[rule.Measure], own)
			if gap != health.NoGap {
				got.Gaps[gap]++
				continue
			}
			got.Patched = append(got.Patched, m)
		}
		for _, d := range control {
			if m, gap := d.past[rule.Measure].Move(d.values[rule.Measure], shared); gap == health.NoGap {
				got.Control = append(got.Control, m)
			}
		}
		ask.Measures[rule.Measure] = got
	}
	return health.Judge(ask)
}
