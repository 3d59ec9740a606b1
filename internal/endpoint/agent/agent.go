// Package agent puts the device's building together: identity, journal,
// providers, facts, executor and link, and the loop that scans. It knows no
// rule of its own but when to scan.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/endpoint/desktop"
	"patchring/internal/endpoint/executor"
	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/journal"
	"patchring/internal/endpoint/link"
	"patchring/internal/endpoint/observer"
	"patchring/internal/endpoint/prober"
	"patchring/internal/endpoint/provider"
	"patchring/internal/endpoint/provider/all"
	"patchring/internal/endpoint/rouse"
	"patchring/internal/endpoint/units"
	"patchring/internal/endpoint/vitals"
	"patchring/wire"
)

// DefaultDir is the agent's own directory.
const DefaultDir = "/var/lib/patchring-agent"

// Device is what an agent works on: this one, or a test's.
type Device struct {
	Host      facts.Host
	Providers []provider.Provider
	LocalFile string // what its administrator forbids
	HooksDir  string
	Uptime    func() time.Duration
	BootID    func() (string, error)
	Reboot    func(context.Context) error
	CleanUp   executor.CleanUp
	Rouse     executor.Send   // wakes neighbours
	Desktop   desktop.Options // whose helper runs people's notices
	// Measure makes what takes samples; nil: nothing is measured.
	Measure func(workstation func() (is, ok bool), log *slog.Logger) *vitals.Sampler
	// Service and Process answer probes.
	Service func(ctx context.Context, name string) (state string, runs bool, err error)
	Process func(name string) (bool, error)
}

// ThisDevice is the one the agent runs on; dir is the agent's directory.
func ThisDevice(dir string) Device {
	services := units.New()
	return Device{
		Measure: func(workstation func() (is, ok bool), log *slog.Logger) *vitals.Sampler {
			return vitals.Here(services, uptime(), workstation, log)
		},
		Service: func(ctx context.Context, name string) (string, bool, error) {
			state, err := services.State(ctx, name)
			return state, units.Runs(state), err
		},
		Process: vitals.Running,
		Host:    facts.This(), Providers: all.Present(dir, time.Now), LocalFile: local.File, HooksDir: local.HooksDir,
		Uptime: uptime(), BootID: bootID, Reboot: reboot, CleanUp: cleanUp(), Rouse: rouse.Send, Desktop: desktop.Options{Helper: helper()},
	}
}

// Options of an agent.
type Options struct {
	Dir     string
	Device  Device
	Version string
	// ScanEvery is how often it scans when nobody asks; zero is four hours.
	ScanEvery time.Duration
	Log       *slog.Logger
}

const (
	defaultScanEvery = 4 * time.Hour
	// needRoom is the least free space for a transaction to begin with.
	needRoom = 100 << 20
	// The agent lives beside whatever the device is for.
	gcPercent   = 40
	memoryLimit = 48 << 20
)

// Agent of one device.
type Agent struct {
	Options
	identity journal.Identity
	journal  *journal.Journal
	facts    *facts.Reader
	executor *executor.Executor
	link     *link.Link
	prober   *prober.Prober
	observer *observer.Observer
	desk     *desk
	logos    *logos
	busy     sync.Mutex // held while a provider or the facts reader is used
	scanNow  chan struct{}
	started  time.Time

	mu   sync.Mutex // guards seen
	seen seen
}

// seen is what the last scan learnt, for check-ins and for people.
type seen struct {
	facts   wire.Facts
	scanned time.Time // of the last scan that looked
	status  wire.ScanStatus
	cause   *wire.Cause
	missing int
	looked  time.Time // from when on other actors are looked for
}

// New opens the agent's state. The device must be enrolled.
func New(o Options) (*Agent, error) {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	if o.ScanEvery == 0 {
		o.ScanEvery = defaultScanEvery
	}
	id, err := journal.ReadIdentity(o.Dir)
	if err != nil {
		return nil, err
	}
	j, err := journal.Open(o.Dir)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		Options: o, identity: id, journal: j, facts: facts.NewReader(o.Device.Host),
		scanNow: make(chan struct{}, 1), started: time.Now(),
	}
	if aside := j.SetAside(); aside != "" {
		o.Log.Error("the journal was broken and a new one was begun", "kept", aside)
	}
	a.seen.looked = a.lastScan()
	a.desk, a.logos = newDesk(a), newLogos(o.Dir, id.CA)
	if err := a.openObserver(); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	a.openExecutor()
	a.link = link.New(link.Options{
		Identity: id, Renewed: func(next journal.Identity) error { return journal.WriteIdentity(o.Dir, next) },
		Journal: j, Executor: a.executor, Observer: a.observer, State: a.state, Scan: a.Scan, Answer: a.answer,
		Changed: a.writeStatus, Now: time.Now, Version: o.Version, Log: o.Log,
	})
	return a, nil
}

func (a *Agent) openExecutor() {
	d := a.Device
	byName := make(map[string]provider.Provider, len(d.Providers))
	for _, p := range d.Providers {
		byName[p.Name()] = p
	}
	a.executor = executor.New(executor.Options{
		Tenant: a.identity.Tenant, Device: a.identity.Device, Keys: a.identity.OrderKeys, RegisterKey: a.identity.RegisterKey,
		Journal: a.journal, Providers: byName, Busy: &a.busy,
		Now: time.Now, Uptime: d.Uptime, BootID: d.BootID,
		Local: func() (local.Rules, error) { return local.Read(d.LocalFile) }, Disk: a.room,
		Hooks: local.Hooks{Dir: d.HooksDir}.Run, Signals: a.signals, Reboot: d.Reboot, CleanUp: d.CleanUp, Send: d.Rouse,
		Present: a.desk.present, Show: a.desk.show, Prober: a.prober,
		Changed: func() { a.link.Poke(); a.writeStatus() }, Ended: a.Scan, Log: a.Log,
	})
}

// Run works until ctx ends. It returns within seconds, but for a package
// transaction in progress, which it says it finishes. Killed before that, the
// transaction runs on by itself and is found again at the next start.
func (a *Agent) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.journal.Close()) }()
	defer a.stopped()
	if len(a.Device.Providers) == 0 {
		a.Log.Warn("no package manager that this agent knows manages this device")
	}
	parts := map[string]func(context.Context) error{
		"measures": a.observer.Run, "probes": a.prober.Run,
		"orders": a.executor.Run, "link": a.link.Run, "scans": a.scans,
		"desktops": a.desk.desktop.Run, "people": a.desk.serve,
		"logos": func(ctx context.Context) error {
			return a.logos.run(ctx, func(err error) { a.Log.Warn("notices have no logo", "err", err) })
		},
	}
	defer context.AfterFunc(ctx, func() {
		if doing := a.executor.Doing(); doing != "" {
			a.Log.Warn("asked to stop: what was begun is finished first", "doing", doing)
		}
	})()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, len(parts))
	for name, run := range parts {
		go func() {
			err := run(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			ended <- err
			stop() // none of them goes on alone
		}()
	}
	var errs []error
	for range parts {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

// Scan asks for a scan soon; asking twice is asking once.
func (a *Agent) Scan() {
	select {
	case a.scanNow <- struct{}{}:
	default:
	}
}

// scans looks at start, when asked, and now and then.
func (a *Agent) scans(ctx context.Context) error {
	for {
		if err := a.scan(ctx); err != nil && ctx.Err() == nil {
			a.Log.Error("scan", "err", err)
		}
		if err := rest(); err != nil {
			a.Log.Warn("memory not given back", "err", err)
		}
		timer := time.NewTimer(a.ScanEvery*9/10 + time.Duration(rand.Int64N(int64(a.ScanEvery/5)+1)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-a.scanNow:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// scan measures every part and keeps what changed.
func (a *Agent) scan(ctx context.Context) error {
	a.busy.Lock()
	s, parts, err := a.measure(ctx)
	a.busy.Unlock()
	if ctx.Err() != nil {
		return nil // what was cut short says nothing
	}
	for _, p := range parts {
		_, keep := a.journal.PutPart(p)
		err = errors.Join(err, keep)
	}
	err = errors.Join(err, a.reportActors(s.looked))
	a.mu.Lock()
	if s.status == wire.ScanFailed {
		s.scanned = a.seen.scanned // the last one that looked is still the last one
	}
	s.looked = time.Now()
	a.seen = s
	a.mu.Unlock()
	a.writeStatus()
	a.link.CheckIn()
	return err
}

// measure reads facts, software and missing patches. The caller holds busy.
func (a *Agent) measure(ctx context.Context) (s seen, parts []wire.Part, err error) {
	a.mu.Lock()
	s.looked = a.seen.looked
	a.mu.Unlock()
	var list []error
	add := func(name wire.PartName, v any, failed error) {
		list = append(list, failed)
		part, err := wire.Pack(name, time.Now().UnixMicro(), v)
		if err != nil {
			list = append(list, err)
			return
		}
		parts = append(parts, part)
	}
	f, failed := a.facts.Read(ctx, true)
	for _, p := range a.Device.Providers {
		f.Providers = append(f.Providers, p.Name())
	}
	s.facts = f
	add(wire.PartFacts, f, failed)
	for _, p := range a.Device.Providers {
		if inventory, failed := p.Inventory(ctx); failed == nil {
			add(wire.PartInventory, inventory, nil)
		} else {
			list = append(list, failed)
		}
		found := p.Scan(ctx, true)
		s.status, s.cause, s.missing, s.scanned = found.Status, found.Cause, len(found.Patches), time.Now()
		add(wire.PartPatches, found, nil)
	}
	return s, parts, errors.Join(list...)
}

// reportActors tells of packages that someone else has changed.
func (a *Agent) reportActors(since time.Time) error {
	others, err := facts.ChangesSince(a.Device.Host.FS, since, time.Local)
	if err != nil {
		return fmt.Errorf("look for other actors: %w", err)
	}
	for _, o := range others {
		event := wire.Event{AtUS: o.At.UnixMicro(), Kind: wire.EventActor, Actor: &wire.Actor{Name: wire.Clean(o.Actor, wire.MaxTextBytes), Active: true}}
		if err := a.journal.Append(event); err != nil {
			return fmt.Errorf("spool what another actor did: %w", err)
		}
	}
	if len(others) > 0 {
		a.link.Poke()
	}
	return nil
}

// lastScan is from when on a new start looks for other actors.
func (a *Agent) lastScan() time.Time {
	part, found, err := a.journal.Part(wire.PartPatches)
	if err != nil || !found {
		return time.Now()
	}
	return time.UnixMicro(part.AtUS)
}

// state is what a check-in says. Before the first scan it asks the device
// itself only for what costs nothing.
func (a *Agent) state() link.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := link.State{
		BootID: a.seen.facts.BootID, BootedUS: a.seen.facts.BootedUS, MachineID: a.seen.facts.MachineID,
		RebootPending: len(a.seen.facts.RebootSignals) > 0,
	}
	if s.BootID == "" {
		if id, err := a.Device.BootID(); err == nil {
			s.BootID = id
		}
	}
	if !a.seen.scanned.IsZero() {
		s.ScannedUS = a.seen.scanned.UnixMicro()
	}
	return s
}

// signals reads the live reasons to reboot. The executor calls it in the middle
// of its work, holding busy.
func (a *Agent) signals(ctx context.Context) ([]wire.RebootSignal, error) {
	f, err := a.facts.Read(ctx, true)
	if err != nil && len(f.RebootSignals) == 0 {
		a.Log.Warn("some facts could not be read", "err", err)
	}
	return f.RebootSignals, nil
}

func (a *Agent) room() error {
	for _, dir := range []string{a.Dir, "/var", "/"} {
		free, err := journal.Free(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if free < needRoom {
			return fault.Again(fault.DiskFull, "mount", dir, "need", fmt.Sprint(needRoom), "free", fmt.Sprint(free))
		}
	}
	return nil
}

// answer answers what an operator may ask the whole fleet, from what the last
// scan found: at once, whatever the package manager is busy with.
func (a *Agent) answer(q wire.Question) wire.Answer {
	switch q.Kind {
	case "ping":
		return wire.Answer{AtUS: time.Now().UnixMicro(), Value: a.Version}
	case "package":
		return a.installed(q.Arg)
	default:
		return wire.Answer{AtUS: time.Now().UnixMicro(), Error: &wire.Error{
			Code: string(fault.InvalidField), Args: map[string]string{"field": "kind", "problem": wire.Clean(q.Kind, 64)},
		}}
	}
}

// installed is a package's version; empty is not installed.
func (a *Agent) installed(name string) wire.Answer {
	part, found, err := a.journal.Part(wire.PartInventory)
	var inventory wire.Inventory
	if err == nil && found {
		err = part.Unpack(&inventory)
	}
	if err != nil || !found {
		return wire.Answer{AtUS: time.Now().UnixMicro(), Error: &wire.Error{
			Code: string(fault.Unavailable), Args: map[string]string{"what": "inventory"}, Retry: true,
		}}
	}
	answer := wire.Answer{AtUS: part.AtUS}
	for _, p := range inventory.Software {
		if p.Name == name {
			answer.Value = p.Version
			break
		}
	}
	return answer
}

// Look scans once for a person at the device, without a server: the facts and
// what is missing.
func Look(ctx context.Context, d Device, refresh bool) (wire.Facts, []wire.Patches, error) {
	f, err := facts.NewReader(d.Host).Read(ctx, true)
	var out []wire.Patches
	for _, p := range d.Providers {
		f.Providers = append(f.Providers, p.Name())
		out = append(out, p.Scan(ctx, refresh))
	}
	return f, out, err
}
