// Package observer does what a device was told to watch: it takes a sample now
// and then, makes five-minute points of them, keeps those until the server has
// them, and says the latest sample at once while there is a line.
//
// It refuses a Watch that is not signed with a key pinned at enrolment, or is
// for another device, or is older than the one it has. A sample that could not
// be said is dropped; a point is kept for seven days.
//
// Run belongs to one goroutine; the other methods are safe from any.
package observer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/prober"
	"patchring/internal/endpoint/vitals"
	"patchring/wire"
)

// Journal is where points and the Watch are kept.
type Journal interface {
	Watch() (wire.Watch, error)
	SetWatch(wire.Watch) (newer bool, err error)
	Points(most int) ([]wire.Point, error)
	ClosePoint(number int64, p wire.Point, join func(old, more wire.Point) wire.Point) (dropped int, err error)
	ClosedPoints() (int64, error)
	AckPoints(sent []wire.Point, upTo int64) error
	DropPointsAfter(atUS int64) (dropped int, err error)
	OpenPoint() ([]byte, error)
	SetOpenPoint([]byte) error
}

// Prober makes the probes.
type Prober interface {
	Watch([]wire.Probe)
	States() []wire.ProbeState
}

// Options of an Observer.
type Options struct {
	Tenant, Device string
	Keys           []wire.Key // pinned at enrolment
	Journal        Journal
	Prober         Prober
	Read           func(context.Context) vitals.Reading
	BootID         func() (string, error)
	Now            func() time.Time
	Tell           func() // there is something to say
	Log            *slog.Logger
}

// seldomestS is how seldom a sample may be asked for, in seconds.
const seldomestS = 3600

// Observer watches.
type Observer struct {
	Options
	told chan struct{} // the Watch is another

	mu     sync.Mutex // guards the rest
	every  time.Duration
	open   *slot
	sample *wire.Sample // the latest
	said   bool         // the latest was said
}

// New makes an Observer of what is kept.
func New(o Options) (*Observer, error) {
	s := &Observer{Options: o, told: make(chan struct{}, 1)}
	w, err := s.watch()
	if err != nil {
		return nil, err
	}
	s.apply(w)
	return s, s.reopen()
}

// watch is the one in force.
func (s *Observer) watch() (wire.Watch, error) {
	w, err := s.Journal.Watch()
	if err != nil {
		return w, fmt.Errorf("read what to watch: %w", err)
	}
	if w.Tenant != s.Tenant || w.Device != s.Device {
		return wire.Watch{}, nil // of an earlier enrolment
	}
	return w, nil
}

func (s *Observer) apply(w wire.Watch) {
	every := w.SampleS
	if every <= 0 {
		every = wire.DefaultSampleS
	}
	s.mu.Lock()
	s.every = time.Duration(min(every, seldomestS)) * time.Second
	s.mu.Unlock()
	s.Prober.Watch(w.Probes)
}

// reopen takes up the point that was being made when the agent ended. One that
// was closed before, or cannot be read, is left.
func (s *Observer) reopen() error {
	text, err := s.Journal.OpenPoint()
	if err != nil || len(text) == 0 {
		return err
	}
	last, err := s.Journal.ClosedPoints()
	if err != nil {
		return fmt.Errorf("read which points are closed: %w", err)
	}
	open := newSlot(0, 0)
	if err := json.Unmarshal(text, open); err != nil {
		s.Log.Warn("the open point cannot be read and is given up", "err", err)
		return nil
	}
	if open.Number > last {
		s.open = open
	}
	return nil
}

// Serial is that of the Watch in force, for check-ins.
func (s *Observer) Serial() (int64, error) {
	w, err := s.watch()
	return w.Serial, err
}

// Take takes a Watch. An older one changes nothing.
func (s *Observer) Take(e wire.Envelope) error {
	var w wire.Watch
	if err := e.Open(wire.EnvelopeWatch, s.Keys, &w); err != nil {
		return fault.New(fault.OrderForged, "problem", err.Error())
	}
	if w.Tenant != s.Tenant || w.Device != s.Device {
		return fault.New(fault.OrderForged, "problem", "it is for device "+w.Device+" of "+w.Tenant)
	}
	newer, err := s.Journal.SetWatch(w)
	if err != nil {
		return fmt.Errorf("keep what to watch: %w", err)
	}
	if !newer {
		return nil
	}
	s.Log.Info("watch replaced", "serial", w.Serial, "sample_s", w.SampleS, "probes", len(w.Probes))
	s.apply(w)
	select {
	case s.told <- struct{}{}:
	default:
	}
	return nil
}

// Run takes samples until ctx ends. The first comes after a part of the time
// between two that differs from device to device: a fleet does not speak in one
// second.
func (s *Observer) Run(ctx context.Context) error {
	s.Read(ctx) // what later readings are compared with
	next := s.pause()
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(next))))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.told: // the pace may be another
			timer.Reset(time.Duration(rand.Int64N(int64(s.pause()))))
			continue
		case <-timer.C:
		}
		timer.Reset(s.pause())
		if err := s.Look(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("sample not kept", "err", err)
		}
	}
}

func (s *Observer) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.every
}

// Look takes a sample now.
func (s *Observer) Look(ctx context.Context) error {
	r := s.Read(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	sample := wire.Sample{AtUS: s.Now().UnixMicro(), Values: map[wire.Measure]float64{}, Down: r.Down}
	maps.Copy(sample.Values, r.Values)
	err := s.take(&sample)
	s.Tell()
	return err
}

func (s *Observer) take(sample *wire.Sample) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withProbes(sample)
	s.sample, s.said = sample, false
	return s.count(*sample)
}

// withProbes adds what the probes say. One that may not be made here says
// nothing: it does not count as down.
func (s *Observer) withProbes(sample *wire.Sample) {
	sample.Probes = s.Prober.States()
	delete(sample.Values, wire.MeasureProbesDown)
	if len(sample.Probes) == 0 {
		return
	}
	down := 0
	for _, p := range sample.Probes {
		if p.State == wire.ProbeDown && !prober.Vetoed(p) {
			down++
		}
	}
	sample.Values[wire.MeasureProbesDown] = float64(down)
}

// Probed says at once that a probe has changed: the last sample again, with it.
// What was counted since the sample before is not counted again.
func (s *Observer) Probed() {
	if err := s.takeProbes(); err != nil {
		s.Log.Warn("probe not kept in its point", "err", err)
	}
	s.Tell()
}

func (s *Observer) takeProbes() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := wire.Sample{AtUS: s.Now().UnixMicro(), Values: map[wire.Measure]float64{}}
	if s.sample != nil {
		maps.Copy(now.Values, s.sample.Values)
		now.Down = s.sample.Down
		if now.ReadUS = s.sample.ReadUS; now.ReadUS == 0 {
			now.ReadUS = s.sample.AtUS
		}
		if s.said {
			delete(now.Values, wire.MeasureCrashes)
		}
	}
	s.withProbes(&now)
	s.sample, s.said = &now, false
	if s.open == nil {
		return nil
	}
	s.open.probed(now.Probes)
	return s.keepOpen()
}

// count takes a sample into its point, and closes the point before. The caller
// holds mu.
func (s *Observer) count(sample wire.Sample) error {
	at := beginning(sample.AtUS)
	var errs []error
	if s.open != nil && s.open.AtUS != at {
		if at < s.open.AtUS {
			errs = append(errs, s.wentBack(at))
		}
		errs = append(errs, s.close())
	}
	if s.open == nil {
		last, err := s.Journal.ClosedPoints()
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("number a point: %w", err))...)
		}
		s.open = newSlot(last+1, at)
	}
	s.open.add(sample)
	return errors.Join(append(errs, s.keepOpen())...)
}

// wentBack forgets points of a future that is not to be: the clock was put back.
// What was being made is of no known time, and goes with them.
func (s *Observer) wentBack(at int64) error {
	dropped, err := s.Journal.DropPointsAfter(at)
	if err != nil {
		return fmt.Errorf("forget points of the future: %w", err)
	}
	s.Log.Warn("the clock was put back: points of the future are given up", "points", dropped)
	s.open = newSlot(s.open.Number, at)
	return nil
}

func (s *Observer) close() error {
	if s.open.AtUS > beginning(s.Now().UnixMicro()) || s.open.N == 0 {
		s.open = nil
		return nil
	}
	dropped, err := s.Journal.ClosePoint(s.open.Number, s.open.point(), join)
	if err != nil {
		// It may have been stored all the same. If not it stays, in its file too, and
		// is closed with the next sample or at the next start.
		if last, unread := s.Journal.ClosedPoints(); unread == nil && last >= s.open.Number {
			s.open = nil
		}
		return fmt.Errorf("keep a point: %w", err)
	}
	s.open = nil
	if dropped > 0 {
		s.Log.Warn("points were not delivered for seven days: the oldest are given up", "points", dropped)
	}
	return nil
}

func (s *Observer) keepOpen() error {
	text, err := json.Marshal(s.open)
	if err != nil {
		return fmt.Errorf("encode the open point: %w", err)
	}
	return s.Journal.SetOpenPoint(text)
}

// Last is the latest sample; nil before the first.
func (s *Observer) Last() *wire.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sample
}

// Report is what is to be said now: the latest sample unless it was said or is
// old, and the points that wait. ok is false when there is nothing.
func (s *Observer) Report() (m wire.MeasuresReport, ok bool, err error) {
	if m.Points, err = s.Journal.Points(wire.MaxPointsPerSend); err != nil {
		return m, false, fmt.Errorf("read points: %w", err)
	}
	boot, err := s.BootID()
	if err != nil {
		return m, false, fmt.Errorf("read boot id: %w", err)
	}
	now := s.Now()
	m.NowUS, m.BootID = now.UnixMicro(), boot
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sample != nil && !s.said {
		if age := now.Sub(time.UnixMicro(s.sample.AtUS)); age < 2*s.every && age > -s.every {
			m.Sample = s.sample
		}
	}
	return m, m.Sample != nil || len(m.Points) > 0, nil
}

// Said is called when the server has answered a report. It tells whether there
// is more to be said at once.
func (s *Observer) Said(m wire.MeasuresReport, reply wire.MeasuresReply) (more bool, err error) {
	s.mu.Lock()
	if s.sample == m.Sample {
		s.said = true
	}
	s.mu.Unlock()
	if reply.UpToUS == 0 || len(m.Points) == 0 {
		return false, nil
	}
	if err := s.Journal.AckPoints(m.Points, reply.UpToUS); err != nil {
		return false, fmt.Errorf("forget delivered points: %w", err)
	}
	return len(m.Points) == wire.MaxPointsPerSend && m.Points[len(m.Points)-1].AtUS <= reply.UpToUS, nil
}
