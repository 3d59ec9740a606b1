//go:build !linux

package vitals

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"patchring/internal/endpoint/units"
	"patchring/wire"
)

// host is a device whose counters gopsutil reads.
type host struct {
	units       *units.Manager
	uptime      func() time.Duration
	workstation func() (is, ok bool)

	busy, all    float64
	waited       float64
	count        float64
	known        bool
	disks        bool
	log, crashed seldom
	booted       seldom
}

// Here makes the Sampler of this device.
func Here(m *units.Manager, uptime func() time.Duration, workstation func() (is, ok bool), log *slog.Logger) *Sampler {
	h := &host{units: m, uptime: uptime, workstation: workstation}
	return newSampler(log, append([]source{
		{"processor", h.cpu}, {"load", h.load}, {"memory", h.memory}, {"disk latency", h.latency}, {"disk space", h.space},
		{"listening ports", h.ports}, {"services", h.services}, {"security agents", h.guards}, {"people", h.people},
	}, h.system()...))
}

// Running tells whether a process of that name is alive.
func Running(name string) (bool, error) {
	all, err := process.Processes()
	if err != nil {
		return false, fmt.Errorf("list processes: %w", err)
	}
	for _, p := range all {
		found, err := p.Name()
		if err == nil && (found == name || strings.EqualFold(strings.TrimSuffix(found, filepath.Ext(found)), name) && runtime.GOOS == "windows") {
			return true, nil
		}
	}
	return false, nil
}

func (h *host) cpu(ctx context.Context, r *Reading) error {
	list, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(list) == 0 {
		return errors.Join(errors.New("processor times are not told"), err)
	}
	t := list[0]
	all := t.User + t.System + t.Idle + t.Nice + t.Iowait + t.Irq + t.Softirq + t.Steal
	busy := all - t.Idle - t.Iowait
	if h.known && all > h.all {
		r.Values[wire.MeasureCPU] = percent(busy-h.busy, all-h.all)
	}
	h.busy, h.all, h.known = busy, all, true
	return nil
}

func (h *host) load(ctx context.Context, r *Reading) error {
	if runtime.GOOS == "windows" {
		return errAbsent // it has no such thing
	}
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return fmt.Errorf("read load: %w", err)
	}
	r.Values[wire.MeasureLoad] = avg.Load1 / float64(runtime.NumCPU())
	return nil
}

func (h *host) memory(ctx context.Context, r *Reading) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil || m.Total == 0 {
		return errors.Join(errors.New("memory is not told"), err)
	}
	r.Values[wire.MeasureMemory] = percent(float64(m.Total-m.Available), float64(m.Total))
	return nil
}

func (h *host) latency(ctx context.Context, r *Reading) error {
	list, err := disk.IOCountersWithContext(ctx)
	if err != nil {
		return fmt.Errorf("read disk counters: %w", err)
	}
	var waited, count float64
	for _, d := range list {
		waited += float64(d.ReadTime + d.WriteTime)
		count += float64(d.ReadCount + d.WriteCount)
	}
	if h.disks && count > h.count && waited >= h.waited {
		r.Values[wire.MeasureDisk] = (waited - h.waited) / (count - h.count)
	}
	h.waited, h.count, h.disks = waited, count, true
	return nil
}

func (h *host) space(ctx context.Context, r *Reading) error {
	mounts, err := disk.PartitionsWithContext(ctx, false)
	if err != nil && len(mounts) == 0 {
		return fmt.Errorf("list file systems: %w", err)
	}
	for _, m := range mounts {
		if slices.Contains(m.Opts, "ro") {
			continue
		}
		u, err := disk.UsageWithContext(ctx, m.Mountpoint)
		if err != nil || u.Total == 0 {
			continue // an empty drive must not silence the rest
		}
		share := percent(float64(u.Free), float64(u.Total))
		if have, ok := r.Values[wire.MeasureFree]; !ok || share < have {
			r.Values[wire.MeasureFree] = share
		}
	}
	return nil
}

func (h *host) ports(ctx context.Context, r *Reading) error {
	list, err := net.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return fmt.Errorf("list connections: %w", err)
	}
	ports := map[uint32]bool{}
	for _, c := range list {
		if c.Status == "LISTEN" {
			ports[c.Laddr.Port] = true
		}
	}
	r.Values[wire.MeasurePorts] = float64(len(ports))
	return nil
}

func (h *host) services(ctx context.Context, r *Reading) error {
	found, err := h.units.Survey(ctx)
	if err != nil {
		return err
	}
	r.Values[wire.MeasureUnits] = float64(len(found.Failed))
	r.Down = found.Failed
	if runtime.GOOS == "windows" { // launchd does not say which are meant to stay
		r.Values[wire.MeasureDown] = float64(len(found.Down))
		r.Down = found.Down // those that failed are among them
	}
	return nil
}

func (h *host) guards(ctx context.Context, r *Reading) error {
	installed, down := false, false
	for _, name := range guardServices {
		state, err := h.units.State(ctx, name)
		if err != nil {
			return err
		}
		installed = installed || state != ""
		down = down || state != "" && !units.Runs(state)
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

// people: a server is used while it is up. Who sits at a workstation is not read
// on this system yet.
func (h *host) people(_ context.Context, r *Reading) error {
	if workstation, known := h.workstation(); known && !workstation {
		r.Values[wire.MeasureUse] = 100
		return nil
	}
	return errAbsent
}
