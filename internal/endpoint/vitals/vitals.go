// Package vitals measures the device: one Reading after another, each a few
// dozen small files and a question or two to the service manager. It decides
// nothing and keeps nothing but the counters that the next reading is compared
// with.
//
// What cannot be read is absent, never zero, and why is logged once for as long
// as it stays the same. A Sampler is for one goroutine.
package vitals

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"patchring/wire"
)

// Reading is one look at the device.
type Reading struct {
	Values map[wire.Measure]float64
	Down   []string // names what MeasureUnits and MeasureDown count, wire.MaxDown at most
}

// source reads some of the measures into a reading.
type source struct {
	name string
	read func(ctx context.Context, r *Reading) error
}

// errAbsent tells that a device has no such thing: nothing to be logged.
var errAbsent = errors.New("this device has none")

// Sampler takes readings.
type Sampler struct {
	sources []source
	log     *slog.Logger
	told    map[string]string // why a source says nothing, as it was last logged
}

func newSampler(log *slog.Logger, sources []source) *Sampler {
	return &Sampler{sources: sources, log: log, told: map[string]string{}}
}

// Read looks once. What is measured between two looks (processor, disks,
// crashes) is absent from the first.
func (s *Sampler) Read(ctx context.Context) Reading {
	r := Reading{Values: map[wire.Measure]float64{}}
	for _, from := range s.sources {
		err := from.read(ctx, &r)
		if ctx.Err() != nil {
			return r // what was cut short says nothing of the device
		}
		s.tell(from.name, err)
	}
	for m, v := range r.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			delete(r.Values, m) // JSON has no such number
			continue
		}
		r.Values[m] = short(v)
	}
	if len(r.Down) > wire.MaxDown {
		r.Down = r.Down[:wire.MaxDown]
	}
	return r
}

func (s *Sampler) tell(source string, err error) {
	why := ""
	if err != nil && !errors.Is(err, errAbsent) {
		why = err.Error()
	}
	if why == s.told[source] {
		return
	}
	s.told[source] = why
	if why == "" {
		s.log.Info("measured again", "source", source)
	} else {
		s.log.Warn("not measured", "source", source, "err", err)
	}
}

// short keeps four digits: no measure is known better, and each costs a byte in
// every sample.
func short(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if scale < 1 {
		return math.Round(v)
	}
	return math.Round(v*scale) / scale
}

func percent(part, whole float64) float64 { return min(max(100*part/whole, 0), 100) }

// now and then asks a dear source at most so often, and says its last answer
// until then.
type seldom struct {
	every time.Duration
	next  time.Duration // by the time since the start
	last  map[wire.Measure]float64
	err   error
}

// read asks f when it is time; uptime is monotonic.
func (s *seldom) read(uptime time.Duration, r *Reading, f func() (map[wire.Measure]float64, error)) error {
	if uptime >= s.next {
		s.next = uptime + s.every
		s.last, s.err = f()
	}
	for m, v := range s.last {
		r.Values[m] = v
	}
	return s.err
}
