//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/observer"
	"patchring/internal/endpoint/prober"
	"patchring/internal/endpoint/units"
	"patchring/internal/endpoint/vitals"
	"patchring/wire"
)

// samplesOfMeasure is a little more than three hours of a device that is sampled
// each minute.
const samplesOfMeasure = 200

// measureVerb makes this program a host's own measurer, for as long as it takes.
const measureVerb = "measure-here"

// cost of a sample, each with all the programs that it starts.
type cost struct {
	Own      float64 `json:"own_ms"`     // processor time of the agent itself
	Started  float64 `json:"started_ms"` // of the programs it started
	Asked    float64 `json:"asked_ms"`   // of the service manager, process 1
	Wall     float64 `json:"wall_ms"`
	Bytes    float64 `json:"bytes"` // on the wire
	Measures int     `json:"measures"`
	Points   int     `json:"points"`
	Point    float64 `json:"point_bytes"`
	Grown    float64 `json:"grown_bytes"` // of the journal, a point
}

func runMeasure() error {
	dir, err := os.MkdirTemp("", "patchring-measure-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	c, err := measureHere(context.Background(), dir)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

// benchMeasure takes real samples of this machine, as the agent does, with its
// points and its journal.
func benchMeasure(ctx context.Context, b *bench) error {
	c, err := measureHere(ctx, filepath.Join(b.temp, "measure"))
	if err == nil {
		b.cost("this machine", c)
	}
	return err
}

func (b *bench) cost(where string, c cost) {
	all := c.Own + c.Started + c.Asked
	b.add(Figure{Name: "a sample of " + where, Value: all, Unit: "CPU-ms", Baseline: "of that the agent itself", Base: c.Own, Note: fmt.Sprintf("%d measures", c.Measures)})
	b.add(Figure{Name: "a sample a minute, of one core", Value: all / 600, Unit: "%", Baseline: "as the clock on the wall would have it", Base: c.Wall / 600, Aim: 0.1})
	b.add(Figure{Name: "a sample on the wire", Value: c.Bytes, Unit: "bytes", Aim: 700})
	b.add(Figure{Name: "a point in the journal", Value: c.Point, Unit: "bytes", Baseline: "the file grew by, of each", Base: c.Grown, Note: fmt.Sprintf("%d points", c.Points)})
}

// measureHere takes the samples, a minute of the sampler's own clock apart.
func measureHere(ctx context.Context, dir string) (c cost, err error) {
	j, err := journal.Open(dir)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	file := filepath.Join(dir, "journal.db")
	empty, err := os.Stat(file)
	if err != nil {
		return c, fmt.Errorf("measure the journal: %w", err)
	}
	clock, up := time.Now(), time.Duration(0)
	o, err := newMeasured(j, &clock, &up)
	if err != nil {
		return c, err
	}
	if err := o.Look(ctx); err != nil { // connects, and learns which units there are
		return c, err
	}
	self, children, first, began := cpuTime(syscall.RUSAGE_SELF), cpuTime(syscall.RUSAGE_CHILDREN), processOne(), time.Now()
	for range samplesOfMeasure {
		clock, up = clock.Add(time.Minute), up+time.Minute
		if err := o.Look(ctx); err != nil {
			return c, err
		}
		text, err := json.Marshal(wire.MeasuresReport{NowUS: clock.UnixMicro(), Sample: o.Last()})
		if err != nil {
			return c, fmt.Errorf("encode a sample: %w", err)
		}
		c.Bytes += float64(len(text)) / samplesOfMeasure
	}
	each := func(d time.Duration) float64 { return d.Seconds() * 1000 / samplesOfMeasure }
	c.Own, c.Started = each(cpuTime(syscall.RUSAGE_SELF)-self), each(cpuTime(syscall.RUSAGE_CHILDREN)-children)
	c.Asked, c.Wall, c.Measures = each(processOne()-first), each(time.Since(began)), len(o.Last().Values)
	points, err := j.Points(samplesOfMeasure)
	if err != nil {
		return c, err
	}
	text, err := json.Marshal(points)
	if err != nil {
		return c, fmt.Errorf("encode points: %w", err)
	}
	full, err := os.Stat(file)
	if err != nil {
		return c, fmt.Errorf("measure the journal: %w", err)
	}
	c.Points = len(points)
	c.Point, c.Grown = float64(len(text))/float64(max(1, c.Points)), float64(full.Size()-empty.Size())/float64(max(1, c.Points))
	return c, nil
}

// processOne is the processor time of the service manager, in hundredths of a
// second; none where process 1 is another.
func processOne() time.Duration {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return 0
	}
	text, err := os.ReadFile("/proc/1/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	words := strings.Fields(rest) // from the third field on
	if len(words) < 13 {
		return 0
	}
	var ticks int64
	for _, word := range words[11:13] {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

func newMeasured(j *journal.Journal, clock *time.Time, up *time.Duration) (*observer.Observer, error) {
	log := slog.New(slog.DiscardHandler)
	now := func() time.Time { return *clock }
	p, err := prober.New(prober.Options{Journal: j, Now: now, Changed: func() {}, Log: log})
	if err != nil {
		return nil, err
	}
	sampler := vitals.Here(units.New(), func() time.Duration { return *up }, func() (bool, bool) { return false, true }, log)
	return observer.New(observer.Options{
		Journal: j, Prober: p, Read: sampler.Read, BootID: func() (string, error) { return "bench", nil }, Now: now, Tell: func() {}, Log: log,
	})
}

// cpuTime is the processor time, in user and kernel, of this process or of those
// it waited for.
func cpuTime(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0 // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
