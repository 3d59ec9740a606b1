package source

import (
	"context"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
	"patchring/wire"
)

// groupsShown bounds the choices of a filter; the rest is found by tag or name.
const groupsShown = 100

// Fleet fills the list of devices.
func (s *Source) Fleet(ctx context.Context, who Viewer, q page.FleetQuery) (page.Fleet, error) {
	list, err := s.View.Devices(ctx, who.Tenant, view.DeviceQuery{
		Text: q.Name, Kind: q.Kind, Filter: q.Filter, Tag: q.Tag, Group: q.Group, Paging: view.Paging{Cursor: q.After},
	})
	if err != nil {
		return page.Fleet{}, err
	}
	groups, err := s.View.Groups(ctx, who.Tenant, view.Paging{Limit: groupsShown})
	if err != nil {
		return page.Fleet{}, err
	}
	out := page.Fleet{Query: q, Filters: view.DeviceFilters(), Next: list.Next}
	for _, g := range groups.Rows {
		out.Groups = append(out.Groups, g.Name)
	}
	for _, d := range list.Rows {
		out.Devices = append(out.Devices, deviceLine(d))
	}
	return out, nil
}

func deviceLine(d view.DeviceRow) page.DeviceLine {
	return page.DeviceLine{
		ID: string(d.ID), Name: d.Name, Kind: d.Kind, OS: d.OSName, State: d.State, Reason: because(d.Reason), Tags: d.Tags,
		Missing: d.Missing, MissingSecurity: d.MissingSecurity, Failing: d.Failing, RebootPending: d.RebootPending, Seen: d.Seen,
	}
}

// deviceEvents is how much of its register a device's page shows.
const deviceEvents = 12

// Device fills the page of one device.
func (s *Source) Device(ctx context.Context, who Viewer, id string) (page.Device, error) {
	d, err := s.View.Device(ctx, who.Tenant, fleet.DeviceID(id))
	if err != nil {
		return page.Device{}, err
	}
	log, err := s.View.Events(ctx, who.Tenant, view.EventQuery{Device: id, Paging: view.Paging{Limit: deviceEvents}})
	if err != nil {
		return page.Device{}, err
	}
	alerts, err := s.View.Alerts(ctx, who.Tenant, view.AlertQuery{Device: fleet.DeviceID(id), Paging: view.Paging{Limit: shownAlerts}})
	if err != nil {
		return page.Device{}, err
	}
	out := page.Device{
		Alerts: alerts.Rows, DeviceLine: deviceLine(d.DeviceRow), Groups: d.Groups, AgentVersion: d.AgentVersion, Enrolled: d.Enrolled, Booted: d.Booted,
		Scanned: d.Scanned, Lists: d.Lists, ScanStatus: d.ScanStatus, ScanCause: because(d.ScanCause), DuplicateOf: string(d.DuplicateOf),
		Retired: d.Retired, RetiredWhy: d.RetiredWhy, Order: order(d.Order), Reboot: reboot(d.Reboot), Wake: woken(d.Wake), Patches: devicePatches(d), Holds: holds(d.Holds),
		Exceptions: exceptions(d.Exceptions), Tasks: taskLines(d.Tasks), Incidents: d.Incidents, Events: events(who.Words, log.Rows),
	}
	if d.Facts != nil {
		out.Facts = facts(*d.Facts)
	}
	if d.Retired.IsZero() {
		if err := s.policyOf(ctx, who, &out); err != nil {
			return page.Device{}, err
		}
	}
	if out.Measures, err = s.Measures(ctx, who, id, 1); err != nil {
		return page.Device{}, err
	}
	for _, c := range d.Campaigns {
		if campaign.State(c.State) == campaign.Closed {
			continue
		}
		out.Campaigns = append(out.Campaigns, page.DeviceCampaign{
			ID: c.Campaign.ID, Name: c.Campaign.Name, Ring: c.Ring, Amendment: c.Amendment, Bucket: campaign.Bucket(c.Bucket), Goal: c.Goal, Reason: because(c.Reason),
		})
	}
	return out, nil
}

func order(o *view.OpenOrder) *page.Order {
	if o == nil {
		return nil
	}
	return &page.Order{
		ID: o.ID, Goal: string(o.Kind), Campaign: o.Campaign.ID, Name: o.Campaign.Name, Step: string(o.Step), Since: o.StepAt,
		Next: o.Next, Cause: because(o.Cause), Expires: o.Expires,
	}
}

func woken(w *view.Wake) *page.Wake {
	if w == nil {
		return nil
	}
	return &page.Wake{Reason: because(w.Reason), By: w.By, Woken: w.Woken}
}

func reboot(r *view.PendingReboot) *page.Reboot {
	if r == nil {
		return nil
	}
	return &page.Reboot{
		Since: r.Since, Signals: r.Signals, Reason: because(r.Reason), Next: r.Next,
		Stopped: r.Reason != nil && r.Reason.Code == fault.RebootSurvived,
	}
}

func facts(f view.DeviceFacts) page.Facts {
	out := page.Facts{
		OS: f.OS.Name, Kernel: f.OS.Kernel, Arch: f.OS.Arch, Model: model(f.Hardware), CPU: f.Hardware.CPU, CPUs: f.Hardware.CPUs,
		Memory: f.Hardware.MemoryBytes, Virtual: f.Hardware.Virtual, TimeZone: f.TimeZone,
	}
	for _, d := range f.Disks {
		out.Disks = append(out.Disks, page.Disk{Mount: d.Mount, Size: d.SizeBytes, Free: d.FreeBytes})
	}
	for _, n := range f.Interfaces {
		out.Interfaces = append(out.Interfaces, page.Interface{Name: n.Name, MAC: n.MAC, Addresses: n.Addresses})
	}
	for _, r := range f.RebootSignals {
		out.RebootSignals = append(out.RebootSignals, r.Signal)
	}
	for _, a := range f.Actors {
		if a.Active {
			out.Actors = append(out.Actors, a.Name)
		}
	}
	return out
}

func model(h wire.Hardware) string {
	if h.Vendor == "" {
		return h.Model
	}
	return h.Vendor + " " + h.Model
}

// devicePatches are what campaigns carry to the device, then what it misses
// besides.
func devicePatches(d view.DeviceDetail) []page.DevicePatch {
	missing := map[patch.ID]view.MissingPatch{}
	for _, m := range d.Patches {
		missing[m.Patch.ID] = m
	}
	var out []page.DevicePatch
	told := map[patch.ID]bool{}
	for _, c := range d.Campaigns {
		for _, it := range c.Items {
			if told[it.Patch.ID] {
				continue // an older campaign's word on the same patch
			}
			told[it.Patch.ID] = true
			p := page.DevicePatch{
				ID: string(it.Patch.ID), Name: it.Patch.Name, Version: it.Patch.Version, State: it.State, Reason: because(it.Reason),
				Campaign: c.Campaign.ID, CampaignOf: c.Campaign.Name, Ring: c.Ring, Attempts: it.Attempts, Next: it.Next, Packages: packages(it.Packages),
			}
			p.Rollback, p.RollbackWhy = readiness(it.Packages)
			if m, ok := missing[it.Patch.ID]; ok {
				p.Class, p.Offer = m.Class, m.Offer
				given(&p, m.Decision)
			}
			out = append(out, p)
		}
	}
	for _, m := range d.Patches {
		if told[m.Patch.ID] {
			continue
		}
		p := page.DevicePatch{
			ID: string(m.Patch.ID), Name: m.Patch.Name, Version: m.Patch.Version, Class: m.Class, Offer: m.Offer, State: m.State,
			Reason: because(m.Reason), Attempts: m.Attempts, Next: m.Next, Packages: packages(m.Packages),
		}
		if m.Campaign != nil {
			p.Campaign, p.CampaignOf = m.Campaign.ID, m.Campaign.Name
		}
		given(&p, m.Decision)
		out = append(out, p)
	}
	return out
}

func given(p *page.DevicePatch, d *view.Decision) {
	if d != nil {
		p.Verdict = d.Verdict
	}
}

func packages(changes []wire.Change) []page.Package {
	out := make([]page.Package, len(changes))
	for i, c := range changes {
		out[i] = page.Package{Name: c.Name, From: c.From, To: c.To}
	}
	return out
}

// readiness of a patch is that of its least ready package.
func readiness(changes []wire.Change) (word, why string) {
	for _, c := range changes {
		switch c.Rollback {
		case wire.RollbackImpossible:
			return c.Rollback, c.Why
		case "":
			return "", ""
		default:
			word = c.Rollback
		}
	}
	return word, ""
}

// Explain fills the page of the whole chain, for one patch or for all.
func (s *Source) Explain(ctx context.Context, who Viewer, device, id string) (page.Why, error) {
	ref, err := s.View.FindDevice(ctx, who.Tenant, device)
	if err != nil {
		return page.Why{}, err
	}
	list, err := s.Why.Why(ctx, who.Tenant, ref.ID, patch.ID(id))
	if err != nil {
		return page.Why{}, err
	}
	out := page.Why{Device: string(ref.ID), Name: ref.Name}
	for _, e := range list {
		p := page.WhyPatch{
			ID: string(e.Patch.ID()), Name: e.Patch.String(), Campaign: e.Campaign, Ring: e.Ring, State: e.State, Next: e.Next,
		}
		for _, c := range e.Chain {
			p.Chain = append(p.Chain, page.Check{Name: string(c.Name), OK: c.OK, Reason: c.Reason, Next: c.Next})
		}
		out.Patches = append(out.Patches, p)
	}
	return out, nil
}
