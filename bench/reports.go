//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/lab/sim"
	"patchring/wire"
)

// How often each thing is done, so that the whole takes a minute or two.
const (
	crowdWorkers   = 512 // as many as the server serves at once
	manyCheckins   = 20_000
	fewCheckins    = 1_000
	reportsOfEach  = 200
	wireAgents     = 128
	wireCheckins   = 20_000
	wireReportsPer = 2
)

// benchReports measures what an agent's report costs the server: at the
// gateway with its database, then with the broker around it.
func benchReports(ctx context.Context, b *bench) error {
	return errors.Join(b.atTheGateway(ctx), b.throughTheBroker(ctx))
}

// cpuEach is the processor time in milliseconds that each of n things costs
// this process.
func cpuEach(n int, do func() error) (float64, error) {
	before, err := ownCPU()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := ownCPU()
	return float64(after-before) / float64(n) / 1e6, err
}

// parts are the recorded parts of one size, packed.
type parts struct {
	list    []wire.Part
	changed []wire.Part // the same with one package and one patch different
}

func recordedParts(size int) (parts, error) {
	inventory, patches, err := sim.Recorded(size)
	if err != nil {
		return parts{}, err
	}
	now := time.Now().UnixMicro()
	facts := wire.Facts{Hostname: "bench", OS: wire.OS{ID: "debian", Name: "Debian GNU/Linux 12 (bookworm)", Arch: "amd64"}, MachineID: ""}
	var p parts
	p.list, err = packed(now, facts, inventory, patches)
	if err != nil {
		return p, err
	}
	inventory.Software[size/2].Version += "+changed"
	patches.Patches = patches.Patches[1:]
	facts.TimeZone = "Europe/Paris"
	p.changed, err = packed(now, facts, inventory, patches)
	return p, err
}

func packed(now int64, facts wire.Facts, inventory wire.Inventory, patches wire.Patches) ([]wire.Part, error) {
	f, e1 := wire.Pack(wire.PartFacts, now, facts)
	i, e2 := wire.Pack(wire.PartInventory, now, inventory)
	p, e3 := wire.Pack(wire.PartPatches, now, patches)
	return []wire.Part{f, i, p}, errors.Join(e1, e2, e3)
}

func (b *bench) atTheGateway(ctx context.Context) (err error) {
	w, err := b.newWorld(ctx, "gateway", reportsOfEach*3)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	for i, size := range []int{200, 800, 2500} {
		p, err := recordedParts(size)
		if err != nil {
			return err
		}
		if err := b.fullReports(ctx, w, p, size, i*reportsOfEach); err != nil {
			return err
		}
	}
	return b.checkins(ctx, w)
}

// fullReports sends all three parts of devices that had none, then of the same
// with a little changed, beside unpacking and decoding those bytes.
func (b *bench) fullReports(ctx context.Context, w *world, p parts, size, from int) error {
	send := func(list []wire.Part) func() error {
		payloads := encoded(list)
		return func() error {
			return crowd(reportsOfEach, 32, func(_, i int) error {
				for _, payload := range payloads {
					if err := w.handle(ctx, w.ids[from+i], wire.ReportPart, payload); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	first, err := cpuEach(reportsOfEach, send(p.list))
	if err != nil {
		return err
	}
	again, err := cpuEach(reportsOfEach, send(p.changed))
	if err != nil {
		return err
	}
	payloads := encoded(p.list)
	decoding, err := cpuEach(reportsOfEach, func() error {
		for range reportsOfEach {
			if err := decode(payloads); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	base := "unpacking and decoding it"
	b.add(Figure{Name: fmt.Sprintf("first full report, %d packages", size), Value: first, Unit: "CPU-ms", Baseline: base, Base: decoding})
	b.add(Figure{Name: fmt.Sprintf("changed full report, %d packages", size), Value: again, Unit: "CPU-ms", Baseline: base, Base: decoding})
	return nil
}

func encoded(list []wire.Part) [][]byte {
	payloads := make([][]byte, 0, len(list))
	for _, part := range list {
		payloads = append(payloads, mustEncode(part))
	}
	return payloads
}

// decode does what any receiver has to do with a report.
func decode(payloads [][]byte) error {
	for _, payload := range payloads {
		var m wire.Part
		if err := json.Unmarshal(payload, &m); err != nil {
			return err
		}
		into := map[wire.PartName]any{wire.PartFacts: &wire.Facts{}, wire.PartInventory: &wire.Inventory{}, wire.PartPatches: &wire.Patches{}}[m.Name]
		if err := m.Unpack(into); err != nil {
			return err
		}
	}
	return nil
}

// steady is the heartbeat of a device that has nothing new, with the hashes the server has.
func steady(list []wire.Part) []byte {
	m := wire.Checkin{
		NowUS: time.Now().UnixMicro(), Version: "bench", Capability: wire.Capability, BootID: "0c5a9d4e-6f0e-4c3a-9a55-2f0f6a4a7d10",
		MachineID: "0123456789abcdef0123456789abcdef", Parts: map[wire.PartName]string{},
	}
	for _, p := range list {
		m.Parts[p.Name] = p.Hash
	}
	return mustEncode(m)
}

func (b *bench) checkins(ctx context.Context, w *world) error {
	p, err := recordedParts(200)
	if err != nil {
		return err
	}
	payload := steady(p.changed)
	ids := w.ids[:reportsOfEach]
	measure := func(n, workers int) (float64, error) {
		return cpuEach(n, func() error {
			return crowd(n, workers, func(_, i int) error { return w.handle(ctx, ids[i%len(ids)], wire.ReportCheckin, payload) })
		})
	}
	touch := func(n, batch int) (float64, error) {
		return cpuEach(n, func() error {
			for from := 0; from < n; from += batch {
				err := w.srv.DB.Write(ctx, func(tx *store.Tx) error {
					for i := range batch {
						_, err := tx.TouchDevice(ctx, gen.TouchDeviceParams{
							Tenant: string(tenant), ID: string(ids[(from+i)%len(ids)]), SeenUs: w.clock().UnixMicro(), AgentVersion: "bench", Capability: 1,
						})
						if err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, c := range []struct {
		name, base string
		n, workers int
		batch      int
		aim        float64
	}{
		{"check-in at the gateway, many at once", "updating the device's row, 500 a commit", manyCheckins, crowdWorkers, 500, 0.15},
		{"check-in at the gateway, one at a time", "updating the device's row, a commit each", fewCheckins, 1, 1, 0},
	} {
		value, err := measure(c.n, c.workers)
		if err != nil {
			return err
		}
		base, err := touch(c.n, c.batch)
		if err != nil {
			return err
		}
		b.add(Figure{Name: c.name, Value: value, Unit: "CPU-ms", Baseline: c.base, Base: base, Aim: c.aim})
	}
	return nil
}

// throughTheBroker measures a server in a process of its own, and the bare
// broker with the same agents.
func (b *bench) throughTheBroker(ctx context.Context) (err error) {
	s, err := b.newSite("reports")
	if err != nil {
		return err
	}
	if err := s.up(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	ids := filepath.Join(b.temp, "reports.ids")
	if err := s.enroll(ctx, ids, wireAgents); err != nil {
		return err
	}
	served, err := b.load(ctx, s.process, ids)
	if err != nil {
		return err
	}
	bare, err := b.bareBroker(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	bareIDs := ids + ".bare"
	if err := redirect(ids, bareIDs, "tls://"+bare.address, wireAgents); err != nil {
		return err
	}
	based, err := b.load(ctx, bare.process, bareIDs)
	if err != nil {
		return err
	}
	for i, f := range served {
		f.Baseline, f.Base = "bare broker, answered at once", based[i].Value
		b.add(f)
	}
	return nil
}

// load lets the agents speak to a broker's process and measures that process.
func (b *bench) load(ctx context.Context, p *process, ids string) ([]Figure, error) {
	list, err := connect(ids)
	if err != nil {
		return nil, err
	}
	defer list.close()
	measure := func(n int, kind wire.ReportKind, payload func(i int) []byte) (float64, error) {
		before, err := p.cpu()
		if err != nil {
			return 0, err
		}
		if err := list.each(ctx, n, kind, payload); err != nil {
			return 0, err
		}
		after, err := p.cpu()
		return float64(after-before) / float64(n) / 1e6, err
	}
	var figures []Figure
	for _, size := range []int{200, 800, 2500} {
		r, err := recordedParts(size)
		if err != nil {
			return nil, err
		}
		var payloads [][]byte
		for i := range r.list {
			payloads = append(payloads, mustEncode(r.list[i]), mustEncode(r.changed[i]))
		}
		n := len(list) * wireReportsPer * len(payloads) / 2
		each, err := measure(n, wire.ReportPart, func(i int) []byte { return payloads[i%len(payloads)] })
		if err != nil {
			return nil, err
		}
		figures = append(figures, Figure{Name: fmt.Sprintf("full report through the broker, %d packages", size), Value: each * 3, Unit: "CPU-ms"})
	}
	r, err := recordedParts(200)
	if err != nil {
		return nil, err
	}
	payload := steady(r.list)
	each, err := measure(wireCheckins, wire.ReportCheckin, func(int) []byte { return payload })
	if err != nil {
		return nil, err
	}
	return append(figures, Figure{Name: fmt.Sprintf("check-in through the broker, %d at once", len(list)), Value: each, Unit: "CPU-ms", Aim: 0.15}), nil
}
