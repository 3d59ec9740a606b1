package agent

import (
	"context"
	"time"

	"patchring/internal/endpoint/executor/local"
	"patchring/internal/endpoint/observer"
	"patchring/internal/endpoint/prober"
	"patchring/internal/endpoint/vitals"
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
		Tell: func() { a.link.Measure(); a.writeStatus() },
	})
	return err
}

// workstation tells whether people work at this device; not before the first
// scan has looked.
func (a *Agent) workstation() (is, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen.facts.Kind == "workstation", a.seen.facts.Kind != ""
}
