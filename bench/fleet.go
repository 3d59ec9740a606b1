//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"patchring/lab/sim"
)

// benchFleet measures a server with agents connected, in the sizes that fit
// below the largest wanted, beside the bare broker with the same agents.
func benchFleet(ctx context.Context, b *bench) error {
	var sizes []int
	for _, n := range []int{500, 2000, 5000} {
		if n < b.devices {
			sizes = append(sizes, n)
		}
	}
	sizes = append(sizes, b.devices)
	s, err := b.newSite("fleet")
	if err != nil {
		return err
	}
	if err := s.up(ctx); err != nil {
		return err
	}
	ids := filepath.Join(b.temp, "fleet.ids")
	begun := time.Now()
	err = s.enroll(ctx, ids, b.devices)
	took := time.Since(begun)
	if err == nil {
		err = s.placeCampaign(ctx)
	}
	if err = errors.Join(err, s.stop()); err != nil {
		return err
	}
	b.add(Figure{Name: fmt.Sprintf("enrol %d agents and take their first reports", b.devices), Value: took.Seconds(), Unit: "s"})
	if err := b.idle(ctx, s); err != nil {
		return err
	}
	for _, n := range sizes {
		served, err := b.served(ctx, s, ids, n)
		if err != nil {
			return fmt.Errorf("server with %d agents: %w", n, err)
		}
		bare, err := b.barely(ctx, s, ids, n)
		if err != nil {
			return fmt.Errorf("bare broker with %d agents: %w", n, err)
		}
		b.addFleet(n, served, bare)
		if n == b.devices {
			if err := b.permitted(ctx, s, ids, n, served); err != nil {
				return fmt.Errorf("bare broker with permissions, %d agents: %w", n, err)
			}
		}
	}
	return nil
}

// permitted is the bare broker that also holds each device's permissions, as
// any must that lets devices of one tenant not read each other: what is left
// between it and the server is the server's own.
func (b *bench) permitted(ctx context.Context, s *site, ids string, n int, served fleetTimes) error {
	bare, err := b.barely(ctx, s, ids, n, "--permissions")
	if err != nil {
		return err
	}
	b.add(Figure{
		Name: fmt.Sprintf("server memory for an agent, %d connected", n), Value: served.each, Unit: "KiB",
		Baseline: "bare broker with permissions", Base: bare.each, Aim: 1.2, OfRatio: true,
	})
	return nil
}

func (b *bench) addFleet(n int, served, bare fleetTimes) {
	hold := Figure{
		Name: fmt.Sprintf("a hold reaches %d agents", n), Value: served.hold, Unit: "s",
		Baseline: "bare broker, publish to all", Base: bare.hold,
	}
	b.add(Figure{
		Name: fmt.Sprintf("server memory for an agent, %d connected", n), Value: served.each, Unit: "KiB",
		Baseline: "bare broker", Base: bare.each, Aim: 1.2, OfRatio: true,
		Note: fmt.Sprintf("whole %s, bare %s MiB; the simulation itself %s KiB a device", number(served.whole/1024), number(bare.whole/1024), number(served.sim)),
	})
	b.add(Figure{
		Name: fmt.Sprintf("server CPU to connect an agent, %d at once", n), Value: served.connect, Unit: "CPU-ms",
		Baseline: "bare broker", Base: bare.connect, Note: "with the first check-in and two small parts",
	})
	b.add(hold)
}

// placeCampaign makes a campaign that holds can be placed on and that does
// nothing by itself: its month is far.
func (s *site) placeCampaign(ctx context.Context) error {
	month := time.Now().AddDate(1, 0, 0).Format("2006-01")
	return errors.Join(
		s.ask(ctx, "/procedures", map[string]any{"file": "bench.yaml", "text": tickProcedure}, nil),
		s.ask(ctx, "/campaigns", map[string]any{"procedure": "bench", "name": "bench", "month": month}, nil))
}

// idle measures a server that has the fleet in its database and nobody
// connected, and the bare broker.
func (b *bench) idle(ctx context.Context, s *site) error {
	if err := s.up(ctx); err != nil {
		return err
	}
	server, err := s.steadyRSS(ctx, 10*time.Second)
	if err = errors.Join(err, s.stop()); err != nil {
		return err
	}
	bare, err := b.bareBroker(ctx, s)
	if err != nil {
		return err
	}
	alone, err := bare.steadyRSS(ctx, 10*time.Second)
	if err = errors.Join(err, bare.stop()); err != nil {
		return err
	}
	b.add(Figure{Name: "server memory, idle", Value: server / 1024, Unit: "MiB", Baseline: "bare broker, idle", Base: alone / 1024, Aim: 60})
	return nil
}

// fleetTimes is what one size of fleet measured.
type fleetTimes struct {
	each, whole float64 // KiB
	sim         float64 // KiB a device
	connect     float64 // CPU-ms
	hold        float64 // seconds
}

func (b *bench) served(ctx context.Context, s *site, ids string, n int) (out fleetTimes, err error) {
	if err := s.up(ctx); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	file := fmt.Sprintf("%s.%d", ids, n)
	if err := redirect(ids, file, "", n); err != nil {
		return out, err
	}
	return b.measure(ctx, s.process, file, n, func() error {
		return s.ask(ctx, "/campaigns/bench/hold", map[string]any{"reason": "bench"}, nil)
	})
}

func (b *bench) barely(ctx context.Context, s *site, ids string, n int, more ...string) (out fleetTimes, err error) {
	bare, err := b.bareBroker(ctx, s, more...)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	file := fmt.Sprintf("%s.bare.%d", ids, n)
	if err := redirect(ids, file, "tls://"+bare.address, n); err != nil {
		return out, err
	}
	return b.measure(ctx, bare.process, file, n, bare.publish)
}

// measure connects the fleet to a broker's process and looks at that process.
func (b *bench) measure(ctx context.Context, p *process, ids string, n int, hold func() error) (out fleetTimes, err error) {
	idle, err := p.steadyRSS(ctx, 5*time.Second)
	if err != nil {
		return out, err
	}
	before, err := p.cpu()
	if err != nil {
		return out, err
	}
	f, err := b.simulate(filepath.Base(ids), "--devices", fmt.Sprint(n), "--identities", ids, "--packages", "200", "--checkin", "60s")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	err = f.until(ctx, "the fleet to connect", 3*time.Minute, func(c sim.Counts) bool { return c.Connected == n && c.Settled == n })
	if err != nil {
		return out, err
	}
	after, err := p.cpu()
	if err != nil {
		return out, err
	}
	out.connect = float64(after-before) / float64(n) / 1e6
	if out.whole, err = p.steadyRSS(ctx, 10*time.Second); err != nil {
		return out, err
	}
	out.each = (out.whole - idle) / float64(n)
	if out.sim, err = f.rss(); err != nil {
		return out, err
	}
	out.sim /= float64(n)
	var took []float64
	for range holdRuns {
		one, err := holdAll(ctx, f, n, hold)
		if err != nil {
			return out, err
		}
		took = append(took, one.Seconds())
	}
	out.hold = median(took)
	return out, nil
}

const holdRuns = 3

// holdAll places a hold and waits until the last device has it, by the fleet's
// own clock, which is ours.
func holdAll(ctx context.Context, f *simulated, n int, hold func() error) (time.Duration, error) {
	known := f.counts().Holds.Serial
	begun := time.Now()
	if err := hold(); err != nil {
		return 0, err
	}
	var last time.Time
	err := f.until(ctx, "the hold to reach all", 30*time.Second, func(c sim.Counts) bool {
		last = time.UnixMicro(c.Holds.LastUS)
		return c.Holds.Serial > known && c.Holds.Devices == n
	})
	return last.Sub(begun), err
}
