package executor

import (
	"context"
	"time"

	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

// afterVerify: the probes are made once an order has changed the device.
func (e *Executor) afterVerify(o journal.Order) wire.Step {
	if e.Prober != nil && e.Prober.Any() && (o.Installs > 0 || o.Rebooted) {
		return wire.StepProbe
	}
	return wire.StepReport
}

// probe makes the device's probes, so that what they find comes with the result.
//
// Crash story: the probes change nothing; the next start makes them again.
func (e *Executor) probe(ctx context.Context, o journal.Order) error {
	since := o.StartedUS
	if since == 0 { // an order to reboot
		since = o.AskedUS
	}
	found := e.Prober.All(ctx, time.UnixMicro(since))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return e.enter(o, wire.StepReport, func(k *journal.Order) { k.Probes = found })
}
