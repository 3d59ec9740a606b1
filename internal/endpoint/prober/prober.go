// Package prober makes the probes that a device was told, again and again: each
// reads or connects, and changes nothing.
//
// A probe says down only after it failed twice in a row, two seconds apart: one
// lost packet or one restart in between is no news. It says up at the first
// success. What the device's administrator forbids in the local file is never
// tried: the probe is down and the veto is its cause.
//
// Run belongs to one goroutine; the other methods are safe from any.
package prober

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// Options of a Prober.
type Options struct {
	Journal Journal
	Local   func() (local.Rules, error) // the administrator's own file
	// Service is what a service does (active, failed, …; empty: there is none) and
	// whether that is to run; nil: this device has no service manager known here.
	Service func(ctx context.Context, name string) (state string, runs bool, err error)
	// Process tells whether a process of that name is alive.
	Process func(name string) (bool, error)
	Roots   *x509.CertPool // nil: the system's
	Now     func() time.Time
	Changed func() // a probe says otherwise than before
	Log     *slog.Logger
}

// Journal is where what the probes found survives a restart.
type Journal interface {
	Probed() ([]journal.Probed, error)
	SetProbed([]journal.Probed) error
}

const (
	atOnce  = 4                // probes under way
	confirm = 2 * time.Second  // from a failure to the second look
	settle  = 30 * time.Second // that what was just installed has to come up again
	again   = 3 * time.Second  // between two looks in that time
	// Bounds of what a probe may ask for.
	oftenest       = 5 * time.Second
	seldomest      = 24 * time.Hour
	longestTimeout = time.Minute
	shortTimeout   = time.Second
)

// Prober makes probes.
type Prober struct {
	Options
	places chan struct{} // one for each probe under way
	told   chan struct{} // the probes are others

	confirm, again time.Duration // shorter in tests

	mu     sync.Mutex // guards the rest
	probes []wire.Probe
	states map[string]wire.ProbeState // by name
}

// New makes a Prober with what is remembered of an earlier start.
func New(o Options) (*Prober, error) {
	p := &Prober{Options: o, places: make(chan struct{}, atOnce), told: make(chan struct{}, 1), confirm: confirm, again: again, states: map[string]wire.ProbeState{}}
	list, err := o.Journal.Probed()
	if err != nil {
		return nil, fmt.Errorf("remember probes: %w", err)
	}
	for _, k := range list {
		p.probes = append(p.probes, k.Probe)
		p.states[k.Probe.Name] = k.State
	}
	return p, nil
}

// Once makes one probe, once, and keeps nothing.
func Once(ctx context.Context, o Options, probe wire.Probe) wire.ProbeState {
	p := &Prober{Options: o, places: make(chan struct{}, 1)}
	return p.probe(ctx, probe)
}

// Watch replaces the probes. One that stays as it was keeps what it found.
func (p *Prober) Watch(probes []wire.Probe) {
	probes = slices.Clone(probes[:min(len(probes), wire.MaxProbes)])
	p.mu.Lock()
	states := map[string]wire.ProbeState{}
	for _, probe := range probes {
		if state, known := p.states[probe.Name]; known && slices.Contains(p.probes, probe) {
			states[probe.Name] = state
		}
	}
	p.probes, p.states = probes, states
	p.mu.Unlock()
	select {
	case p.told <- struct{}{}:
	default:
	}
}

// Any tells whether there are probes.
func (p *Prober) Any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.probes) > 0
}

// States is what each probe last found; one that has found nothing yet is absent.
func (p *Prober) States() []wire.ProbeState {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []wire.ProbeState
	for _, probe := range p.probes {
		if state, known := p.states[probe.Name]; known {
			list = append(list, state)
		}
	}
	return list
}

// Run probes until ctx ends.
func (p *Prober) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		turn, stop := context.WithCancel(ctx)
		var running sync.WaitGroup
		p.mu.Lock()
		probes := p.probes
		p.mu.Unlock()
		for _, probe := range probes {
			running.Go(func() { p.repeat(turn, probe) })
		}
		select {
		case <-ctx.Done():
		case <-p.told:
		}
		stop()
		running.Wait()
	}
	return nil
}

// repeat makes one probe until ctx ends: soon after it began, and then as often
// as it says, a tenth early or late, so that a fleet does not ask one address in
// the same second.
func (p *Prober) repeat(ctx context.Context, probe wire.Probe) {
	every := within(probe.EveryS, oftenest, seldomest)
	wait(ctx, time.Duration(rand.Int64N(int64(min(every, 2*time.Second)))))
	for ctx.Err() == nil {
		p.look(ctx, probe)
		wait(ctx, every*9/10+time.Duration(rand.Int64N(int64(every/5)+1)))
	}
}

// within bounds seconds, of which the network may have sent any number.
func within(s int64, least, most time.Duration) time.Duration {
	return max(time.Duration(min(s, int64(most/time.Second)))*time.Second, least)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// look makes a probe and keeps what it found. A failure is news only when a
// second look agrees.
func (p *Prober) look(ctx context.Context, probe wire.Probe) {
	found := p.probe(ctx, probe)
	if found.State == wire.ProbeDown && !p.isDown(probe.Name) && !vetoed(found) {
		wait(ctx, p.confirm)
		found = p.probe(ctx, probe)
	}
	if ctx.Err() == nil { // what was cut short says nothing
		p.keep(probe, found)
	}
}

func (p *Prober) isDown(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[name].State == wire.ProbeDown
}

func vetoed(s wire.ProbeState) bool {
	return s.Cause != nil && s.Cause.Code == string(fault.LocalVeto)
}

// Vetoed tells that a probe is down only because it may not be made here.
func Vetoed(s wire.ProbeState) bool { return vetoed(s) }

// probe makes one probe within its time.
func (p *Prober) probe(ctx context.Context, probe wire.Probe) wire.ProbeState {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return wire.ProbeState{}
	}
	timeout := within(probe.TimeoutS, shortTimeout, longestTimeout)
	began := time.Now() // monotonic: how long it took is no matter of the wall clock
	err := p.try(ctx, probe, timeout)
	found := wire.ProbeState{
		Name: probe.Name, State: wire.ProbeUp, AtUS: p.Now().UnixMicro(), MS: time.Since(began).Milliseconds(),
	}
	if err != nil {
		reason := reasonOf(err)
		found.State, found.Cause = wire.ProbeDown, &wire.Cause{Code: string(reason.Code), Args: clean(reason.Args)}
	}
	return found
}

func clean(args map[string]string) map[string]string {
	for k, v := range args {
		args[k] = wire.Clean(v, maxArgument)
	}
	return args
}

// maxArgument bounds what a stranger's server can write into a cause.
const maxArgument = 200

// keep stores what a probe found, and tells when it is news. A probe that was
// replaced meanwhile says nothing any more.
func (p *Prober) keep(probe wire.Probe, found wire.ProbeState) {
	p.mu.Lock()
	if !slices.Contains(p.probes, probe) {
		p.mu.Unlock()
		return
	}
	before, known := p.states[probe.Name]
	found.SinceUS = found.AtUS
	if known && before.State == found.State {
		found.SinceUS = min(before.SinceUS, found.AtUS) // the clock may have been put back
	}
	p.states[probe.Name] = found
	news := !known || before.State != found.State
	var kept []journal.Probed
	for _, each := range p.probes {
		if state, known := p.states[each.Name]; known {
			kept = append(kept, journal.Probed{Probe: each, State: state})
		}
	}
	p.mu.Unlock()
	if !news {
		return
	}
	p.Log.Info("probe", "probe", probe.Name, "state", found.State, "cause", found.Cause)
	if err := p.Journal.SetProbed(kept); err != nil {
		p.Log.Warn("probes not remembered", "err", err) // they are made again at the next start
	}
	p.Changed()
}

// All makes every probe once, now, and answers what they found: after an order
// changed the device. One that was up before since has half a minute to come up
// again before it is said to be down; one that was down already has not.
func (p *Prober) All(ctx context.Context, since time.Time) []wire.ProbeState {
	p.mu.Lock()
	probes := slices.Clone(p.probes)
	p.mu.Unlock()
	var running sync.WaitGroup
	for _, probe := range probes {
		running.Go(func() { p.insist(ctx, probe, since) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return p.States()
}

func (p *Prober) insist(ctx context.Context, probe wire.Probe, since time.Time) {
	p.mu.Lock()
	before, known := p.states[probe.Name]
	p.mu.Unlock()
	was := known && before.State == wire.ProbeDown && before.SinceUS < since.UnixMicro()
	began := time.Now()
	found := p.probe(ctx, probe)
	for found.State == wire.ProbeDown && !was && !vetoed(found) && time.Since(began) < settle && ctx.Err() == nil {
		wait(ctx, p.again)
		found = p.probe(ctx, probe)
	}
	if ctx.Err() == nil {
		p.keep(probe, found)
	}
}

// try makes the probe, unless the local file forbids it. What a file forbids
// that cannot be read is not known: nothing is tried then.
func (p *Prober) try(ctx context.Context, probe wire.Probe, timeout time.Duration) error {
	rules, err := p.Local()
	if err != nil {
		return fault.New(fault.LocalVeto, "rule", "unreadable: "+err.Error())
	}
	if rule, no := rules.ForbidsProbe(string(probe.Type), probe.Target); no {
		return fault.New(fault.LocalVeto, "rule", "never_probes "+rule)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch probe.Type {
	case wire.ProbeService:
		return p.service(ctx, probe)
	case wire.ProbeProcess:
		return p.process(probe)
	case wire.ProbeTCP:
		return p.tcp(ctx, probe)
	case wire.ProbeHTTP:
		return p.http(ctx, probe)
	case wire.ProbeCertificate:
		return p.certificate(ctx, probe)
	default:
		return fault.New(fault.ProbeUnsupported, "what", strings.ToLower(string(probe.Type)))
	}
}
