package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// Provider is the tenant under which the policy and the freezes for all tenants
// are kept. It is no tenant: nothing else has it.
const Provider = ""

// Subject is a device as conditions see it. traits is empty before its first
// facts, software nil where no condition asks for it.
func Subject(d gen.Device, groups []string, traits string, software map[string]string) (policy.Device, error) {
	out := policy.Device{Name: d.Name, Kind: d.Kind, Groups: groups, Software: software}
	if d.Tags != "" {
		if err := json.Unmarshal([]byte(d.Tags), &out.Tags); err != nil {
			return out, fmt.Errorf("read tags of device %s: %w", d.ID, err)
		}
	}
	if traits != "" {
		if err := json.Unmarshal([]byte(traits), &out.Traits); err != nil {
			return out, fmt.Errorf("read traits of device %s: %w", d.ID, err)
		}
	}
	return out, nil
}

// Subjects reads devices as conditions see them, with their software.
func (r Reads) Subjects(ctx context.Context, tenant string, devices []string) (map[string]policy.Device, error) {
	b := Batch{Devices: map[string]gen.Device{}, Groups: map[string][]string{}, Traits: map[string]string{}}
	software, err := r.Software(ctx, tenant, devices)
	err = errors.Join(err, r.each(ctx, batchDevices, "", tenant, devices, b.scanDevice),
		r.each(ctx, batchGroups, " ORDER BY device, group_name", tenant, devices, b.scanGroup),
		r.each(ctx, batchTraits, "", tenant, devices, b.scanTraits))
	if err != nil {
		return nil, fmt.Errorf("read %d devices: %w", len(devices), err)
	}
	out := make(map[string]policy.Device, len(devices))
	for id, d := range b.Devices {
		if out[id], err = Subject(d, b.Groups[id], b.Traits[id], software[id]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PatchSubject is a patch of the catalogue as conditions see it. It is the one
// place that makes one: what a condition may ask is filled here or nowhere.
func PatchSubject(p gen.Patch) policy.Patch {
	return policy.Patch{
		Key:   patch.Key{Provider: p.Provider, Name: p.Name, Version: p.Version, Suite: p.Suite},
		Class: patch.ParseClass(p.Class), Origin: p.Origin, Summary: p.Summary, Bytes: p.DownloadBytes, Released: Instant(p.FirstSeenUs),
		Severity: policy.ParseSeverity(p.Severity), CVEs: strings.Fields(p.Cves), Exploited: p.Exploited == 1,
	}
}

// Decisions are verdicts given by hand, as rules weigh them.
func Decisions(rows []gen.PatchDecision) map[policy.Scope]policy.Decision {
	out := make(map[policy.Scope]policy.Decision, len(rows))
	for _, d := range rows {
		out[policy.Scope(d.Scope)] = policy.Decision{
			Verdict: policy.Verdict(d.Verdict), Until: Instant(d.UntilUs), Reason: d.Reason, Actor: d.Actor, At: Instant(d.AtUs),
		}
	}
	return out
}

// Exceptions are those that rules weigh.
func Exceptions(rows []gen.Exception) []policy.Exception {
	out := make([]policy.Exception, 0, len(rows))
	for _, e := range rows {
		out = append(out, policy.Exception{
			ID: e.ID, Device: fleet.DeviceID(e.Device), Group: e.GroupName, Patch: policy.Scope(e.Scope), Owner: e.Owner, Reason: e.Reason,
			From: Instant(e.FromUs), Until: Instant(e.UntilUs),
		})
	}
	return out
}

// HandFreezes are freezes placed by hand, as policies weigh them.
func HandFreezes(rows []gen.FreezeByHand) []policy.HandFreeze {
	out := make([]policy.HandFreeze, 0, len(rows))
	for _, f := range rows {
		out = append(out, policy.HandFreeze{
			Name: f.Name, Devices: f.Devices, During: calendar.Interval{Start: Instant(f.FromUs), End: Instant(f.UntilUs)}, Reason: f.Reason,
			ForAll: f.Tenant == Provider,
		})
	}
	return out
}

// FleetDevice is what a change of policy is weighed on.
type FleetDevice struct {
	gen.Device // its id, name, kind and tags
	Traits     string
}

// FleetPage is a page of a fleet, for weighing a change of policy.
type FleetPage struct {
	Devices []FleetDevice
	Groups  map[string][]string
}

// IDs of its devices.
func (p FleetPage) IDs() []string {
	ids := make([]string, 0, len(p.Devices))
	for _, d := range p.Devices {
		ids = append(ids, d.ID)
	}
	return ids
}

// Fleet reads the page of devices after an id; an empty page is the end.
func (r Reads) Fleet(ctx context.Context, tenant, after string, limit int32) (FleetPage, error) {
	b := Batch{Groups: map[string][]string{}}
	devices, err := r.TraitsAfter(ctx, gen.TraitsAfterParams{Tenant: tenant, ID: after, Max: limit})
	if err != nil {
		return FleetPage{}, fmt.Errorf("read the fleet: %w", err)
	}
	page := FleetPage{Groups: b.Groups}
	for _, d := range devices {
		page.Devices = append(page.Devices, FleetDevice{gen.Device{Tenant: tenant, ID: d.ID, Name: d.Name, Kind: d.Kind, Tags: d.Tags}, d.Traits})
	}
	if err := r.each(ctx, batchGroups, " ORDER BY device, group_name", tenant, page.IDs(), b.scanGroup); err != nil {
		return FleetPage{}, fmt.Errorf("read the fleet: %w", err)
	}
	return page, nil
}

// Lacked is a missing row without its patch, which the catalogue knows, and
// without its packages.
type Lacked struct {
	Patch     string
	ExposedUs int64
}

const batchLacked = `SELECT device, patch, exposed_us FROM missing WHERE tenant = $1 AND device IN (`

// Lacked reads what devices miss.
func (r Reads) Lacked(ctx context.Context, tenant string, devices []string) (map[string][]Lacked, error) {
	out := make(map[string][]Lacked, len(devices))
	err := r.each(ctx, batchLacked, " ORDER BY device, patch", tenant, devices, func(rows *sql.Rows) error {
		var device string
		var l Lacked
		err := rows.Scan(&device, &l.Patch, &l.ExposedUs)
		out[device] = append(out[device], l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what %d devices miss: %w", len(devices), err)
	}
	return out, nil
}

const batchInventories = `SELECT device, hash, body FROM device_part WHERE tenant = $1 AND name = 'inventory' AND device IN (`

// Software reads what is installed on a set of devices: name → version. It
// unpacks an inventory for each, about a millisecond, so it is for decisions
// that ask.
func (r Reads) Software(ctx context.Context, tenant string, devices []string) (map[string]map[string]string, error) {
	out := make(map[string]map[string]string, len(devices))
	err := r.each(ctx, batchInventories, "", tenant, devices, func(rows *sql.Rows) error {
		var device string
		part := wire.Part{Name: wire.PartInventory}
		if err := rows.Scan(&device, &part.Hash, &part.Gzip); err != nil {
			return err
		}
		var inventory wire.Inventory
		if err := part.Unpack(&inventory); err != nil {
			return fmt.Errorf("device %s: %w", device, err)
		}
		names := make(map[string]string, len(inventory.Software))
		for _, p := range inventory.Software {
			names[p.Name] = p.Version
		}
		out[device] = names
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read software of %d devices: %w", len(devices), err)
	}
	return out, nil
}
