//go:build linux

package vitals

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/units"
	"patchring/wire"
)

// Host is what a Sampler looks at.
type Host struct {
	FS     fs.FS // the root directory
	Statfs func(mount string) (size, free int64, err error)
	CPUs   int
	Uptime func() time.Duration // monotonic
	Clock  func() (offset time.Duration, synced bool, err error)
	Units  Units // nil: there is no service manager
	// Journal counts the errors of the system's log after a cursor, and says the
	// next cursor; nil: there is no such log. An empty cursor counts none.
	Journal func(ctx context.Context, cursor string) (lines int, next string, err error)
	Kernel  *KernelLog // nil: it is not this device's own
	People  func(context.Context) ([]units.Person, error)
	// Workstation tells whether people work at it; ok is false as long as that is
	// not known.
	Workstation func() (is, ok bool)
}

// Units is the part of units.Manager that is asked here.
type Units interface {
	State(ctx context.Context, name string) (string, error)
	Survey(context.Context) (units.Survey, error)
	Boot(ctx context.Context, container bool) (time.Duration, error)
}

// This is the device that the agent runs on.
func This(m *units.Manager, uptime func() time.Duration, workstation func() (is, ok bool)) Host {
	h := Host{
		FS: os.DirFS("/"), Statfs: facts.This().Statfs, CPUs: runtime.NumCPU(), Uptime: uptime, Clock: clock,
		People: units.People, Workstation: workstation,
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		h.Units, h.Journal = m, journalErrors
	}
	if facts.Container(h.FS) == "" {
		h.Kernel = &KernelLog{Path: "/dev/kmsg"}
	}
	return h
}

// Here makes the Sampler of this device.
func Here(m *units.Manager, uptime func() time.Duration, workstation func() (is, ok bool), log *slog.Logger) *Sampler {
	return New(This(m, uptime, workstation), log)
}

// Running tells whether a process of that name is alive.
func Running(name string) (bool, error) { return Alive(os.DirFS("/"), name) }

// New makes a Sampler.
func New(h Host, log *slog.Logger) *Sampler {
	container := facts.Container(h.FS) != ""
	p := &proc{Host: h, container: container}
	return newSampler(log, []source{
		{"processor", p.cpu}, {"load", p.load}, {"memory", p.memory}, {"disk latency", p.latency}, {"disk space", p.space},
		{"listening ports", p.ports}, {"clock", p.clock}, {"services", p.services}, {"boot", p.boot},
		{"crashes", p.crashes}, {"system log", p.errors}, {"security agents", p.guards}, {"people", p.people},
	})
}

// clock asks the kernel what the time service last told it.
func clock() (time.Duration, bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return 0, false, fmt.Errorf("ask the kernel for its clock: %w", err)
	}
	unit := time.Microsecond
	if t.Status&unix.STA_NANO != 0 {
		unit = time.Nanosecond
	}
	return time.Duration(t.Offset) * unit, state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, nil
}

func (p *proc) clock(_ context.Context, r *Reading) error {
	offset, synced, err := p.Clock()
	if err != nil {
		return err
	}
	r.Values[wire.MeasureUnsynced] = 1
	if synced {
		r.Values[wire.MeasureUnsynced] = 0
		r.Values[wire.MeasureClock] = float64(offset.Abs()) / float64(time.Millisecond)
	}
	return nil
}

func (p *proc) services(ctx context.Context, r *Reading) error {
	if p.Units == nil {
		return units.ErrNone
	}
	found, err := p.Units.Survey(ctx)
	if errors.Is(err, units.ErrStarting) {
		return errAbsent
	}
	if err != nil {
		return err
	}
	r.Values[wire.MeasureUnits], r.Values[wire.MeasureDown] = float64(len(found.Failed)), float64(len(found.Down))
	r.Down = append(r.Down, found.Failed...)
	for _, name := range found.Down {
		if !slices.Contains(found.Failed, name) {
			r.Down = append(r.Down, name)
		}
	}
	return nil
}

// boot is asked until it is known: it does not change while this agent runs.
func (p *proc) boot(ctx context.Context, r *Reading) error {
	if p.Units == nil {
		return errAbsent
	}
	if p.booted == 0 {
		took, err := p.Units.Boot(ctx, p.container)
		if err != nil {
			return err
		}
		p.booted = took
	}
	if p.booted > 0 {
		r.Values[wire.MeasureBoot] = p.booted.Seconds()
	}
	return nil
}

// mostLogin is the longest that a login may take and still be one.
const mostLogin = 10 * time.Minute

// people is who uses the device: a server is used while it is up.
func (p *proc) people(ctx context.Context, r *Reading) error {
	workstation, known := p.Workstation()
	if !known {
		return errAbsent
	}
	if !workstation {
		r.Values[wire.MeasureUse] = 100
		return nil
	}
	list, err := p.People(ctx)
	if err != nil {
		return err
	}
	r.Values[wire.MeasureUse] = 0
	var last time.Time
	for _, person := range list {
		if person.Present {
			r.Values[wire.MeasureUse] = 100
		}
		took := person.Desktop.Sub(person.Since)
		if !person.Desktop.IsZero() && person.Since.After(last) && took >= 0 && took <= mostLogin {
			last = person.Since
			r.Values[wire.MeasureLogin] = took.Seconds()
		}
	}
	return nil
}

// guards looks at the security agents that are installed. One of several that
// does not run is told.
func (p *proc) guards(ctx context.Context, r *Reading) error {
	installed, down := false, false
	for _, g := range linuxGuards {
		there, runs, err := p.guard(ctx, g)
		if err != nil {
			return err
		}
		installed, down = installed || there, down || there && !runs
	}
	if !installed {
		return errAbsent
	}
	r.Values[wire.MeasureUnguarded] = 0
	if down {
		r.Values[wire.MeasureUnguarded] = 1
	}
	return nil
}

// unitDirs are where packages and administrators put units.
var unitDirs = []string{"etc/systemd/system/", "usr/lib/systemd/system/", "lib/systemd/system/"}

func (p *proc) guard(ctx context.Context, g guard) (there, runs bool, err error) {
	for _, unit := range g.units {
		if p.Units == nil || !p.hasUnit(unit) {
			continue
		}
		state, err := p.Units.State(ctx, unit)
		if err != nil {
			return false, false, fmt.Errorf("look at %s: %w", g.name, err)
		}
		there, runs = there || state != "", runs || units.Runs(state)
	}
	if there {
		return true, runs, nil
	}
	for _, program := range g.programs {
		if _, err := fs.Stat(p.FS, program); err == nil {
			there = true
		}
	}
	if !there {
		return false, false, nil
	}
	for _, name := range g.process {
		alive, err := Alive(p.FS, name)
		if err != nil {
			return false, false, err
		}
		runs = runs || alive
	}
	return true, runs, nil
}

func (p *proc) hasUnit(name string) bool {
	for _, dir := range unitDirs {
		if _, err := fs.Lstat(p.FS, dir+name); err == nil {
			return true
		}
	}
	return false
}
