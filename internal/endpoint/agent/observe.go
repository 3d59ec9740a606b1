package agent

import (
	"context"
	"log/slog"
	"time"

	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/facts"
	"patchring/internal/endpoint/observer"
	"patchring/internal/endpoint/prober"
	"patchring/internal/endpoint/vitals"
	"patchring/wire"
)

// openObserver puts together what measures and what probes.
func (a *Agent) openObserver() (err error) {
	d := a.Device
	a.prober, err = prober.New(prober.Options{
		Journal: a.journal, Local: func() (local.Rules, error) { return local.Read(d.LocalFile) },
		Service: d.Service, Process: d.Process, Now: time.Now, Log: a.Log,
		Changed: func() { a.observer.Probed() },
	})
	if err != nil {
		return err
	}
	read := func(context.Context) vitals.Reading { return vitals.Reading{} }
	if d.Measure != nil {
		read = d.Measure(a.workstation, a.Log).Read
	}
	a.observer, err = observer.New(observer.Options{
		Tenant: a.identity.Tenant, Device: a.identity.Device, Keys: a.identity.OrderKeys,
		Journal: a.journal, Prober: a.prober, Read: read, BootID: d.BootID, Now: time.Now, Log: a.Log,
		Tell: a.measured,
	})
	return err
}

// measured says what is new.
func (a *Agent) measured() {
	a.link.Measure()
	a.writeStatus()
}

// workstation tells whether people work at this device; not before the first
// scan has looked.
func (a *Agent) workstation() (is, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen.facts.Kind == "workstation", a.seen.facts.Kind != ""
}

// lookTime is how far two looks of a person are apart: what is measured between
// two needs both.
const lookTime = time.Second

// Measure takes a sample for a person at the device, without a server.
func Measure(ctx context.Context, d Device, log *slog.Logger) vitals.Reading {
	kind := ""
	if f, err := facts.NewReader(d.Host).Read(ctx, false); err == nil || f.Kind != "" {
		kind = f.Kind
	}
	sampler := d.Measure(func() (is, ok bool) { return kind == "workstation", kind != "" }, log)
	sampler.Read(ctx)
	timer := time.NewTimer(lookTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return sampler.Read(ctx)
}

// Probe makes one probe for a person at the device, without a server.
func Probe(ctx context.Context, d Device, probe wire.Probe, log *slog.Logger) wire.ProbeState {
	return prober.Once(ctx, prober.Options{
		Local:   func() (local.Rules, error) { return local.Read(d.LocalFile) },
		Service: d.Service, Process: d.Process, Now: time.Now, Log: log,
	}, probe)
}
