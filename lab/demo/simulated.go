package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"patchring/lab/fleet"
	"patchring/lab/sim"
)

// simulate enrols as many simulated devices as there would be hosts, ring by
// ring, and lets them live beside the demo.
func (d *Demo) simulate(ctx context.Context) error {
	hosts, err := fleet.Table(d.Hosts)
	if err != nil {
		return err
	}
	count := map[fleet.Ring]int{}
	for _, h := range hosts {
		count[h.Ring]++
	}
	ctx, d.halt = context.WithCancel(ctx)
	d.devices = make(chan error, len(count))
	for ring, n := range count {
		token, err := d.admin.Invite(ctx, string(fleet.KindWorkstation), map[string]string{"simulated": "yes"}, groupsOf(ring), n)
		if err != nil {
			return fmt.Errorf("invite the devices of %s: %w", ring, err)
		}
		d.fleets++
		go func() {
			_, err := sim.Run(ctx, sim.Options{
				URL: "https://" + d.server.HTTPS(), Token: token, Devices: n, Seed: uint64(len(ring)), Pace: 2 * time.Second,
			})
			d.devices <- err
		}()
	}
	d.say("%d simulated devices enrol", len(hosts))
	return nil
}

func (d *Demo) haltSimulation() error {
	if d.halt == nil {
		return nil
	}
	d.halt()
	var errs []error
	for range d.fleets {
		if err := <-d.devices; err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, fmt.Errorf("simulated devices: %w", err))
		}
	}
	return errors.Join(errs...)
}
