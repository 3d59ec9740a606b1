package evidence

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/health"
	"patchring/internal/core/patch"
	"patchring/internal/core/suspect"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

const (
	// serviceSettles is how long after the install's end, or the boot, a service
	// that does not run may still be starting.
	serviceSettles = 5 * time.Minute
	// seenRunning is how long before the install a service must have been seen
	// running at the latest: one that had stopped days before is not the patch's
	// doing. Agents look every ten minutes at least.
	seenRunning = time.Hour
	// heardOf is how long ago a device must have looked at its services to be one
	// of those on which they run.
	heardOf = time.Hour
	// What is named, and looked at to find a cause.
	mostServices     = 20
	mostStopped      = 5000
	mostServiceNames = 5
)

// stopped is a service while the devices are gathered on which it stopped.
type stopped struct {
	name    string
	since   time.Time
	devices map[string]gen.ServicesDownRow
}

// services are those that ran before the install and do not since. They are
// counted again as soon as there is another device; how many there are to
// compare with, every quarter of an hour.
func (w *watched) services(ctx context.Context, r store.Reads) error {
	rows, err := r.ServicesDown(ctx, gen.ServicesDownParams{
		Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position, FromUs: w.OpenedUs,
		FreshUs: seenRunning.Microseconds(), SettleUs: serviceSettles.Microseconds(), Max: mostStopped,
	})
	if err != nil {
		return fmt.Errorf("look for services that stopped: %w", err)
	}
	w.down = map[string]int64{}
	list, began := gather(rows)
	for _, s := range list {
		for device := range s.devices {
			w.down[device]++
		}
	}
	list = list[:min(len(list), mostServices)]
	if !w.provingNow() && same(w.seen.Services, list) {
		return nil
	}
	w.seen.Services = nil
	if len(list) == 0 {
		return nil
	}
	return w.compare(ctx, r, list, began)
}

// gather puts rows together by service, those on the most devices first, and
// tells when the first install began of the devices concerned.
func gather(rows []gen.ServicesDownRow) (list []stopped, beganUS int64) {
	by := map[string]stopped{}
	for _, row := range rows {
		s, ok := by[row.Name]
		if !ok {
			s = stopped{name: row.Name, since: time.UnixMicro(row.SinceUs).UTC(), devices: map[string]gen.ServicesDownRow{}}
			by[row.Name] = s
		}
		s.devices[row.Device] = row
		if beganUS == 0 || row.BeganUs < beganUS {
			beganUS = row.BeganUs
		}
	}
	list = slices.SortedFunc(maps.Values(by), func(a, b stopped) int {
		return cmp.Or(cmp.Compare(len(b.devices), len(a.devices)), cmp.Compare(a.name, b.name))
	})
	return list, beganUS
}

// same tells whether nothing but the comparison could be new.
func same(known []campaign.ServiceDown, list []stopped) bool {
	return slices.EqualFunc(known, list, func(k campaign.ServiceDown, s stopped) bool {
		return k.Service == s.name && k.Servers.Down+k.Workstations.Down == len(s.devices) && k.Since.Equal(s.since)
	})
}

func (w *watched) compare(ctx context.Context, r store.Reads, list []stopped, beganUS int64) error {
	heardUS := w.now.Add(-heardOf).UnixMicro()
	counts, err := r.ServicesHeard(ctx, gen.ServicesHeardParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position, HeardUs: heardUS})
	if err != nil {
		return fmt.Errorf("count devices that tell of services: %w", err)
	}
	elsewhere, err := r.ServicesDownElsewhere(ctx, gen.ServicesDownElsewhereParams{
		Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position, FromUs: beganUS, HeardUs: heardUS, SettleUs: serviceSettles.Microseconds(),
	})
	if err != nil {
		return fmt.Errorf("look for services that stopped elsewhere: %w", err)
	}
	for _, s := range list {
		d := campaign.ServiceDown{Service: s.name, Since: s.since, Devices: []string{}}
		for _, device := range slices.Sorted(maps.Keys(s.devices)) {
			row := s.devices[device]
			kindOf(&d, row.Kind).Down++
			if len(d.Devices) < mostServiceNames {
				d.Devices = append(d.Devices, row.DeviceName)
			}
		}
		for _, n := range counts {
			switch to := kindOf(&d, n.Kind); {
			case n.Touched == 0:
				to.Others += int(n.Devices)
			case n.Here == 1:
				to.Patched += int(n.Devices)
			}
		}
		for _, e := range elsewhere {
			if e.Name == s.name {
				kindOf(&d, e.Kind).OthersDown += int(e.Devices)
			}
		}
		if err := w.blame(ctx, r, s, &d); err != nil {
			return err
		}
		w.seen.Services = append(w.seen.Services, d)
	}
	return nil
}

func kindOf(d *campaign.ServiceDown, kind string) *health.Stopped {
	if fleet.Kind(kind) == fleet.Workstation {
		return &d.Workstations
	}
	return &d.Servers
}

// blame looks for the one patch that all devices have on which the service
// stopped, and for what else they have in common.
func (w *watched) blame(ctx context.Context, r store.Reads, s stopped, d *campaign.ServiceDown) error {
	devices := slices.Sorted(maps.Keys(s.devices))
	var common []string
	for i, device := range devices[:min(len(devices), lookBatch)] {
		items, err := r.ItemsInstalled(ctx, gen.ItemsInstalledParams{Tenant: w.Tenant, Campaign: w.Campaign, Device: device, Amendment: w.Amendment})
		if err != nil {
			return fmt.Errorf("read patches of %s: %w", device, err)
		}
		if i == 0 {
			common = items
			continue
		}
		common = slices.DeleteFunc(common, func(item string) bool { return !slices.Contains(items, item) })
	}
	if len(common) == 1 {
		d.Item = patch.ID(common[0])
	}
	if len(devices) < suspect.Fewest {
		return nil
	}
	patched, err := r.PatchedDevices(ctx, gen.PatchedDevicesParams{Tenant: w.Tenant, Campaign: w.Campaign, Amendment: w.Amendment, Position: w.Position})
	if err != nil {
		return fmt.Errorf("read patched devices: %w", err)
	}
	var sound []string
	for _, p := range patched {
		if _, bad := s.devices[p.Device]; !bad {
			sound = append(sound, p.Device)
		}
	}
	shared, err := w.common(ctx, r, spread(devices, mostWorse), spread(sound, mostSound))
	for _, one := range shared {
		d.Shared = append(d.Shared, one.Condition())
	}
	return err
}
