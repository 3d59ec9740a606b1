// Package series is how measures of a device are kept: points in equal steps,
// to a hundredth, packed in blocks that are merged and summed up. It owns the
// packed form, which is stored and therefore never changes once it was
// released: a new one gets a new version.
//
// It judges nothing, and refuses a body that it did not pack. Pure values; a
// Block belongs to one goroutine.
package series

import (
	"math"
	"slices"

	"patchring/wire"
)

// The two kinds of blocks: five-minute points of six hours, and the hours of
// seven days. Both begin at their multiples in UTC.
const (
	PointUS  = wire.PointS * 1_000_000
	RecentUS = 6 * HourUS
	HourUS   = 3600 * 1_000_000
	PastUS   = 7 * 24 * HourUS
)

// Most is the largest value that is kept. What is below zero, larger or not a
// number was not measured.
const Most = 1e9

// hundredths is the precision of what is kept.
const hundredths = 100

// Slot is what is kept of one measure in one step.
type Slot struct {
	AtUS  int64
	StepS int64
	N     int64 // samples
	Mean  float64
	Worst float64
}

// Series is what is kept of one device, oldest first. Where nothing was
// measured there is no slot.
type Series map[wire.Measure][]Slot

// LowerIsWorse tells of which measures a lower value is worse.
func LowerIsWorse(m wire.Measure) bool { return m == wire.MeasureFree || m == wire.MeasurePorts }

// Adds tells of which measures the values of two steps make their sum, and not
// their mean.
func Adds(m wire.Measure) bool { return m == wire.MeasureCrashes }

// Worse is the worse of two values.
func Worse(m wire.Measure, a, b float64) float64 {
	if LowerIsWorse(m) {
		return min(a, b)
	}
	return max(a, b)
}

// Known tells whether a measure can be kept.
func Known(m wire.Measure) bool { return number(m) >= 0 }

// Sound tells whether a value can be kept.
func Sound(v float64) bool { return v >= 0 && v <= Most } // false for NaN

// cell is one measure in one step, in hundredths.
type cell struct {
	mean, worst int64
	known       bool
}

// Block is a stretch of one device's points in equal steps.
type Block struct {
	FromUS int64
	stepUS int64
	n      []int64 // samples of each step; 0: none
	cells  map[int][]cell
}

// Recent is an empty block of points that holds an instant; Past one of hours.
func Recent(atUS int64) *Block { return empty(floor(atUS, RecentUS), PointUS, RecentUS/PointUS) }

// Past is an empty block of hours that holds an instant.
func Past(atUS int64) *Block { return empty(floor(atUS, PastUS), HourUS, PastUS/HourUS) }

func empty(fromUS, stepUS int64, slots int) *Block {
	return &Block{FromUS: fromUS, stepUS: stepUS, n: make([]int64, slots), cells: map[int][]cell{}}
}

func floor(us, step int64) int64 { return us - ((us%step)+step)%step }

// Nearest is the beginning of the point that is nearest to an instant.
func Nearest(us int64) int64 { return floor(us+PointUS/2, PointUS) }

// EndUS is the first instant after the block.
func (b *Block) EndUS() int64 { return b.FromUS + int64(len(b.n))*b.stepUS }

// Put adds a point of the block's step and tells whether that changed anything.
// A step that is there already is replaced only by one with more samples: a
// point that comes again changes nothing, in whatever order they come.
func (b *Block) Put(p wire.Point) bool {
	slot := int((p.AtUS - b.FromUS) / b.stepUS)
	if p.AtUS < b.FromUS || slot >= len(b.n) || p.N <= 0 || int64(p.N) <= b.n[slot] {
		return false
	}
	b.clear(slot)
	b.n[slot] = int64(p.N)
	for m, mean := range p.Mean {
		number := number(m)
		if number < 0 || !Sound(mean) {
			continue
		}
		worst, given := p.Worst[m]
		if !given || !Sound(worst) {
			worst = mean
		}
		b.column(number)[slot] = cell{mean: toHundredths(mean), worst: toHundredths(worst), known: true}
	}
	return true
}

func (b *Block) clear(slot int) {
	for _, column := range b.cells {
		column[slot] = cell{}
	}
}

func (b *Block) column(number int) []cell {
	if b.cells[number] == nil {
		b.cells[number] = make([]cell, len(b.n))
	}
	return b.cells[number]
}

func toHundredths(v float64) int64   { return int64(math.Round(v * hundredths)) }
func fromHundredths(v int64) float64 { return float64(v) / hundredths }

// Points are the block's steps that have samples, oldest first.
func (b *Block) Points() []wire.Point {
	var out []wire.Point
	for slot, n := range b.n {
		if n == 0 {
			continue
		}
		p := wire.Point{AtUS: b.FromUS + int64(slot)*b.stepUS, N: int(n), Mean: map[wire.Measure]float64{}, Worst: map[wire.Measure]float64{}}
		for number, column := range b.cells {
			if c := column[slot]; c.known {
				p.Mean[measures[number]], p.Worst[measures[number]] = fromHundredths(c.mean), fromHundredths(c.worst)
			}
		}
		out = append(out, p)
	}
	return out
}

// Hours sums the block's points up, hour by hour: means weigh by their samples.
func (b *Block) Hours() []wire.Point {
	hours := map[int64]*sum{}
	for _, p := range b.Points() {
		at := floor(p.AtUS, HourUS)
		if hours[at] == nil {
			hours[at] = newSum(at)
		}
		hours[at].add(p)
	}
	out := make([]wire.Point, 0, len(hours))
	for _, h := range hours {
		out = append(out, h.point())
	}
	slices.SortFunc(out, func(a, b wire.Point) int { return int((a.AtUS - b.AtUS) / HourUS) })
	return out
}

// sum gathers points into one.
type sum struct {
	wire.Point
	samples map[wire.Measure]int
}

func newSum(atUS int64) *sum {
	return &sum{Point: wire.Point{AtUS: atUS, Mean: map[wire.Measure]float64{}, Worst: map[wire.Measure]float64{}}, samples: map[wire.Measure]int{}}
}

func (s *sum) add(p wire.Point) {
	s.N += p.N
	for m, mean := range p.Mean {
		if weight := p.N; Adds(m) {
			s.Mean[m] += mean
		} else {
			s.Mean[m] += mean * float64(weight)
		}
		if worst := p.Worst[m]; s.samples[m] == 0 {
			s.Worst[m] = worst
		} else {
			s.Worst[m] = Worse(m, s.Worst[m], worst)
		}
		s.samples[m] += p.N
	}
}

func (s *sum) point() wire.Point {
	for m, samples := range s.samples {
		if !Adds(m) {
			s.Mean[m] /= float64(samples)
		}
	}
	return s.Point
}

// Ask is what a reader wants to know: the measures of devices between two
// instants, at most in steps of an hour when Hourly.
type Ask struct {
	FromUS, ToUS int64
	Measures     []wire.Measure // none: all
	Hourly       bool
}

// Add appends the part of a block that is asked for. Blocks of hours are added
// first, then those of points, each oldest first. Points of a time of which the
// hours are known came late and wait to be merged: they would count twice.
func (s Series) Add(b *Block, ask Ask) {
	for number, column := range b.cells {
		m := measures[number]
		if len(ask.Measures) > 0 && !slices.Contains(ask.Measures, m) {
			continue
		}
		merged := endOf(s[m])
		if b.stepUS >= HourUS || !ask.Hourly {
			s[m] = slices.Grow(s[m], len(column))
		}
		for slot, c := range column {
			at := b.FromUS + int64(slot)*b.stepUS
			if !c.known || at < ask.FromUS || at >= ask.ToUS || b.stepUS < HourUS && at < merged {
				continue
			}
			one := Slot{AtUS: at, StepS: b.stepUS / 1_000_000, N: b.n[slot], Mean: fromHundredths(c.mean), Worst: fromHundredths(c.worst)}
			if ask.Hourly && b.stepUS < HourUS {
				s[m] = intoHour(m, s[m], one)
				continue
			}
			s[m] = append(s[m], one)
		}
	}
}

// endOf is where a list ends. Blocks are appended as a whole, so what a block of
// points adds is never before the end of the one before.
func endOf(list []Slot) int64 {
	if len(list) == 0 {
		return 0
	}
	last := list[len(list)-1]
	return last.AtUS + last.StepS*1_000_000
}

// intoHour adds a point to the hour at the end of a list.
func intoHour(m wire.Measure, list []Slot, p Slot) []Slot {
	at, last := floor(p.AtUS, HourUS), len(list)-1
	if last < 0 || list[last].AtUS != at {
		p.AtUS, p.StepS = at, HourUS/1_000_000
		return append(list, p)
	}
	h := &list[last]
	if Adds(m) {
		h.Mean += p.Mean
	} else {
		h.Mean = (h.Mean*float64(h.N) + p.Mean*float64(p.N)) / float64(h.N+p.N)
	}
	h.N += p.N
	h.Worst = Worse(m, h.Worst, p.Worst)
	return list
}
