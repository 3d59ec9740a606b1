package evidence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

const (
	// mostNames is how many devices that are not back are named.
	mostNames = 1000
	// aboutInstall is how long before a scan has verified an install a probe may
	// have begun to say no because of it: installing and restarting take their time.
	aboutInstall = time.Hour
	// aboutRestart is for how long after an install a restart that is ordered by
	// itself is one the install may have asked for: some restart on Sundays only.
	aboutRestart = 7 * 24 * time.Hour
)

// signals counts what the breaker looks at.
func (w *watched) signals(ctx context.Context, r store.Reads) error {
	if err := w.failures(ctx, r); err != nil {
		return err
	}
	names, err := r.NotBack(ctx, gen.NotBackParams{
		Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position, BeforeUs: w.now.Add(-w.reboot).UnixMicro(),
		AfterUs: aboutRestart.Microseconds(), Max: mostNames,
	})
	if err != nil {
		return fmt.Errorf("look for devices that are not back: %w", err)
	}
	w.seen.Unreachable = names
	if err := w.probes(ctx, r); err != nil {
		return err
	}
	if err := w.services(ctx, r); err != nil {
		return err
	}
	return w.complaints(ctx, r)
}

func (w *watched) failures(ctx context.Context, r store.Reads) error {
	here, err := r.FailingItems(ctx, gen.FailingItemsParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return fmt.Errorf("count failing patches: %w", err)
	}
	w.seen.Failures = nil
	if len(here) == 0 {
		return nil
	}
	everywhere, err := r.FailingEverywhere(ctx, w.Tenant)
	if err != nil {
		return fmt.Errorf("count patches that fail in several campaigns: %w", err)
	}
	for _, f := range here {
		one := campaign.ItemFailures{ItemCount: campaign.ItemCount{Item: patch.ID(f.Item), Devices: int(f.Devices)}, Everywhere: int(f.Devices), Campaigns: 1}
		for _, o := range everywhere {
			if o.Item == f.Item {
				one.Everywhere, one.Campaigns = int(o.Devices), int(o.Campaigns)
			}
		}
		w.seen.Failures = append(w.seen.Failures, one)
	}
	return nil
}

// probes counts devices with a probe that says no since about the install. One
// that said no before is not the patch's doing.
func (w *watched) probes(ctx context.Context, r store.Reads) error {
	rows, err := r.ProbesDown(ctx, gen.ProbesDownParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return fmt.Errorf("look for probes that say no: %w", err)
	}
	servers, workstations := map[string]bool{}, map[string]bool{}
	w.seen.Probes = nil
	for _, p := range rows {
		if p.PatchedUs == 0 || p.SinceUs < p.PatchedUs-aboutInstall.Microseconds() {
			continue
		}
		if fleet.Kind(p.Kind) == fleet.Workstation {
			workstations[p.Device] = true
		} else {
			servers[p.Device] = true
		}
		if !slices.Contains(w.seen.Probes, p.Name) {
			w.seen.Probes = append(w.seen.Probes, p.Name)
		}
	}
	slices.Sort(w.seen.Probes)
	changed := w.seen.ProbeServers != len(servers) || w.seen.ProbeWorkstations != len(workstations)
	w.seen.ProbeServers, w.seen.ProbeWorkstations = len(servers), len(workstations)
	if changed || w.provingNow() {
		return w.patchedKinds(ctx, r)
	}
	return nil
}

// patchedKinds counts of how many devices the probes are that say no.
func (w *watched) patchedKinds(ctx context.Context, r store.Reads) error {
	w.seen.PatchedServers, w.seen.PatchedWorkstations = 0, 0
	if w.seen.ProbeServers+w.seen.ProbeWorkstations == 0 {
		return nil
	}
	counts, err := r.PatchedKinds(ctx, gen.PatchedKindsParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return fmt.Errorf("count patched devices: %w", err)
	}
	for _, c := range counts {
		if fleet.Kind(c.Kind) == fleet.Workstation {
			w.seen.PatchedWorkstations += int(c.Devices)
		} else {
			w.seen.PatchedServers += int(c.Devices)
		}
	}
	return nil
}

// complaints are counted again when the campaign is decided; here they are
// counted to see that they have changed.
func (w *watched) complaints(ctx context.Context, r store.Reads) error {
	devices, err := r.Complainants(ctx, w.Tenant, w.Campaign)
	if err != nil {
		return fmt.Errorf("count complaints: %w", err)
	}
	about, err := r.Complaints(ctx, w.Tenant, w.Campaign)
	if err != nil {
		return fmt.Errorf("count complaints by patch: %w", err)
	}
	w.seen.Complaints, w.seen.Complained = 0, nil
	for _, d := range devices {
		if d.Position == w.Position {
			w.seen.Complaints = int(d.Devices)
		}
	}
	for _, a := range about {
		if a.Position == w.Position {
			w.seen.Complained = append(w.seen.Complained, campaign.ItemCount{Item: patch.ID(a.Patch), Devices: int(a.Devices)})
		}
	}
	return nil
}
