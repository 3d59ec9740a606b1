package foresight

import (
	"context"
	"fmt"
	"time"

	"patchring/internal/core/register"
	"patchring/internal/core/rehearsal"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// What is assumed of a site that has installed nothing yet.
const (
	assumedOrder  = 5 * time.Minute
	assumedPatch  = 20 * time.Second
	assumedReboot = 5 * time.Minute
	assumedShare  = 0.1 // of installs that end with a restart
)

// How far back it is learned from: the newest results among so many entries.
const (
	pastEntries = 100_000
	pastResults = 2_000
	pastTime    = 365 * 24 * time.Hour
)

// past is what one result of the register says of an install.
type past struct {
	patches  []string // names
	rebooted bool
	took     time.Duration
}

// pace learns from past installs how long they take and after which patches
// devices restart.
func pace(ctx context.Context, r store.Reads, tenant string, now time.Time) (rehearsal.Pace, error) {
	head, err := r.RegisterHead(ctx, tenant)
	if err != nil && !store.IsNone(err) {
		return rehearsal.Pace{}, fmt.Errorf("read the register's head: %w", err)
	}
	bodies, err := r.LastResults(ctx, gen.LastResultsParams{Tenant: tenant, Idx: max(0, head.Size-pastEntries), Max: pastResults})
	if err != nil {
		return rehearsal.Pace{}, fmt.Errorf("read past results: %w", err)
	}
	names := map[string]string{}
	if len(bodies) > 0 {
		rows, err := r.PatchesSince(ctx, tenant, now.Add(-pastTime).UnixMicro())
		if err != nil {
			return rehearsal.Pace{}, fmt.Errorf("read the catalogue: %w", err)
		}
		for _, p := range rows {
			names[p.ID] = p.Name
		}
	}
	var list []past
	for _, body := range bodies {
		entry, err := register.Decode(body)
		if err != nil {
			return rehearsal.Pace{}, fmt.Errorf("read a past result: %w", err)
		}
		if p, ok := resultOf(entry, names); ok {
			list = append(list, p)
		}
	}
	out := learn(list)
	return out, timed(ctx, r, tenant, now, &out)
}

// timed replaces the times by those that orders are planned with, where some are
// known: the same digests, so that a rehearsal and an order cannot disagree.
func timed(ctx context.Context, r store.Reads, tenant string, now time.Time, out *rehearsal.Pace) error {
	rows, err := r.PaceSince(ctx, tenant, now.Add(-pastTime).UnixMicro())
	if err != nil {
		return fmt.Errorf("read how long installs take: %w", err)
	}
	var installs time.Duration
	known := 0
	for _, p := range rows {
		need := store.Needs(0, p.InstallMs, p.RebootMs)
		switch {
		case p.Patch == "" && need.Reboot > 0:
			out.Reboot = need.Reboot
		case p.Patch != "" && need.Install > 0:
			known, installs = known+1, installs+need.Install
		}
	}
	if known > 0 {
		out.Order, out.Patch = time.Minute, max(installs/time.Duration(known), time.Second).Round(time.Second)
	}
	return nil
}

// resultOf reads a result as the gateway records it.
func resultOf(e register.Entry, names map[string]string) (p past, ok bool) {
	outcomes, _ := e.Detail["outcomes"].([]any)
	for _, o := range outcomes {
		fields, _ := o.(map[string]any)
		state, _ := fields["state"].(string)
		id, _ := fields["patch"].(string)
		if state == string(wire.ItemVerified) || state == string(wire.ItemClaimed) {
			p.patches = append(p.patches, names[id])
		}
	}
	p.rebooted, _ = e.Detail["rebooted"].(bool)
	if pending, _ := e.Detail["reboot_pending"].(bool); pending {
		p.rebooted = true // it wants one, whether it may or not
	}
	p.took = time.Duration(whole(e.Detail["duration_s"])) * time.Second
	return p, len(p.patches) > 0 && e.Detail["kind"] == string(wire.OrderInstall)
}

// learn takes the mean of what is known, and what is assumed for the rest. Of
// the time that an install takes, a fixed part cannot be told from what each
// patch adds; all of it is put on the patches, which errs on the long side for
// many of them.
func learn(list []past) rehearsal.Pace {
	out := rehearsal.Pace{
		Order: assumedOrder, Patch: assumedPatch, Reboot: assumedReboot, Reboots: map[string]float64{}, Otherwise: assumedShare, Learned: len(list),
	}
	if len(list) == 0 {
		return out
	}
	var took time.Duration
	timed, patches, rebooted := 0, 0, 0
	with, after := map[string]int{}, map[string]int{}
	for _, p := range list {
		if p.took > 0 {
			timed, took, patches = timed+1, took+p.took, patches+len(p.patches)
		}
		if p.rebooted {
			rebooted++
		}
		for _, name := range p.patches {
			with[name]++
			if p.rebooted {
				after[name]++
			}
		}
	}
	if timed > 0 {
		out.Order, out.Patch = time.Minute, (took / time.Duration(patches)).Round(time.Second)
	}
	out.Otherwise = float64(rebooted) / float64(len(list))
	for name, n := range with {
		if name != "" {
			out.Reboots[name] = float64(after[name]) / float64(n)
		}
	}
	return out
}

// whole is a number of the register, however it was decoded.
func whole(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	case interface{ Int64() (int64, error) }:
		i, err := n.Int64()
		if err == nil {
			return i
		}
	}
	return 0
}
