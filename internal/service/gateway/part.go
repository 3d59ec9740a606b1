package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/vulnerability"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// part keeps one full part and what follows from it.
func (g *Gateway) part(ctx context.Context, tenant fleet.TenantID, device fleet.DeviceID, m wire.Part) (any, error) {
	keep, err := reader(m)
	if err != nil {
		return wire.PartReply{}, err
	}
	touched := false
	err = g.writer.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err := known(ctx, tx, tenant, device)
		if err != nil {
			return err
		}
		if err := addHash(&d, m); err != nil {
			return err
		}
		if err := tx.PutDevicePart(ctx, gen.PutDevicePartParams{
			Tenant: d.Tenant, Device: d.ID, Name: string(m.Name), Hash: m.Hash, AtUs: m.AtUS, Body: m.Gzip,
		}); err != nil {
			return fmt.Errorf("keep part %s of %s: %w", m.Name, d.ID, err)
		}
		if err := keep(ctx, g, tx, d); err != nil {
			return fmt.Errorf("part %s of %s: %w", m.Name, d.ID, err)
		}
		touched = m.Name == wire.PartFacts
		if m.Name == wire.PartPatches {
			touched, err = tx.WakeDevice(ctx, d.Tenant, d.ID)
		}
		return err
	})
	if err == nil && touched {
		g.Wake()
	}
	return wire.PartReply{}, err
}

// reader decodes outside the transaction and returns what to do inside it.
func reader(m wire.Part) (func(context.Context, *Gateway, *store.Tx, gen.Device) error, error) {
	bad := func(err error) error {
		return fault.New(fault.InvalidField, "field", string(m.Name), "problem", "not readable", "fix", "update the agent").Wrap(err)
	}
	switch m.Name {
	case wire.PartFacts:
		var facts wire.Facts
		if err := m.Unpack(&facts); err != nil {
			return nil, bad(err)
		}
		return func(ctx context.Context, g *Gateway, tx *store.Tx, d gen.Device) error {
			return g.keepFacts(ctx, tx, d, facts)
		}, nil
	case wire.PartInventory:
		var inventory wire.Inventory
		if err := m.Unpack(&inventory); err != nil {
			return nil, bad(err)
		}
		return func(ctx context.Context, _ *Gateway, tx *store.Tx, d gen.Device) error {
			return tx.SetDeviceParts(ctx, gen.SetDevicePartsParams{Tenant: d.Tenant, ID: d.ID, PartHashes: d.PartHashes})
		}, nil
	case wire.PartPatches:
		var patches wire.Patches
		if err := m.Unpack(&patches); err != nil {
			return nil, bad(err)
		}
		return func(ctx context.Context, g *Gateway, tx *store.Tx, d gen.Device) error {
			return g.keepScan(ctx, tx, d, g.serverTime(m.AtUS, m.NowUS), patches)
		}, nil
	}
	return nil, bad(fmt.Errorf("unknown part %q", m.Name))
}

func addHash(d *gen.Device, m wire.Part) error {
	hashes := map[wire.PartName]string{}
	if err := json.Unmarshal([]byte(d.PartHashes), &hashes); err != nil {
		return fmt.Errorf("read part hashes: %w", err)
	}
	hashes[m.Name] = wire.Clean(m.Hash, 64)
	text, err := json.Marshal(hashes)
	d.PartHashes = string(text)
	return err
}

func (g *Gateway) keepFacts(ctx context.Context, tx *store.Tx, d gen.Device, f wire.Facts) error {
	machine := wire.Clean(f.MachineID, 64)
	twins, err := tx.DeviceByMachine(ctx, d.Tenant, machine)
	if err != nil {
		return fmt.Errorf("look for the same machine id: %w", err)
	}
	duplicate := ""
	for _, t := range twins {
		if t.ID != d.ID && machine != "" {
			duplicate = t.ID
			break
		}
	}
	of := policy.TraitsOf(f)
	traits, err := json.Marshal(of)
	if err != nil {
		return fmt.Errorf("encode traits: %w", err)
	}
	table, err := tx.LifecycleOf(ctx, d.Tenant, of.OS)
	if err != nil {
		return err
	}
	if err := tx.KeepSystem(ctx, d.Tenant, d.ID, table, of); err != nil {
		return err
	}
	if _, err := tx.TouchWatch(ctx, d.Tenant, d.ID); err != nil {
		return fmt.Errorf("look again at what it measures: %w", err)
	}
	if err := tx.PutDeviceTraits(ctx, gen.PutDeviceTraitsParams{Tenant: d.Tenant, Device: d.ID, Traits: string(traits)}); err != nil {
		return fmt.Errorf("keep traits: %w", err)
	}
	if err := keepNetworks(ctx, tx, d, f.Interfaces); err != nil {
		return err
	}
	if err := g.keepSignals(ctx, tx, d, f); err != nil {
		return err
	}
	return tx.SetDeviceFacts(ctx, gen.SetDeviceFactsParams{
		Tenant: d.Tenant, ID: d.ID, OsID: wire.Clean(f.OS.ID, 64), OsName: wire.Clean(f.OS.Name, 128),
		MachineID: machine, PartHashes: d.PartHashes, DuplicateOf: duplicate,
	})
}

// keepScan replaces what the device misses. A scan that failed erases nothing:
// what was not looked at is not swept.
func (g *Gateway) keepScan(ctx context.Context, tx *store.Tx, d gen.Device, atUS int64, scan wire.Patches) error {
	params := gen.SetDeviceScanParams{
		Tenant: d.Tenant, ID: d.ID, ScanUs: atUS, ScanStatus: string(scan.Status), ListsUs: scan.ListsUS,
		Missing: d.Missing, MissingSecurity: d.MissingSecurity, PartHashes: d.PartHashes,
	}
	if scan.Cause != nil {
		text, err := causeText(cleanCause(scan.Cause))
		if err != nil {
			return err
		}
		params.ScanCause = text
	}
	if scan.Status == wire.ScanFailed {
		params.ScanUs = d.ScanUs // the last scan that looked is still the last one
		return tx.SetDeviceScan(ctx, params)
	}
	params.Missing, params.MissingSecurity = 0, 0
	for _, p := range scan.Patches {
		params.Missing++
		if patch.ParseClass(p.Class) == patch.Security {
			params.MissingSecurity++
		}
	}
	if err := g.replaceMissing(ctx, tx, d, scan); err != nil {
		return err
	}
	return tx.SetDeviceScan(ctx, params)
}

// serverTime turns an instant of a device's clock into ours by its age, which
// does not depend on how wrong that clock is. An age below zero is none.
func (g *Gateway) serverTime(atUS, deviceNowUS int64) int64 {
	if deviceNowUS == 0 {
		return min(atUS, g.nowUS())
	}
	return g.nowUS() - max(0, deviceNowUS-atUS)
}

func (g *Gateway) replaceMissing(ctx context.Context, tx *store.Tx, d gen.Device, scan wire.Patches) error {
	rows, err := tx.MissingOfDevice(ctx, d.Tenant, d.ID)
	if err != nil {
		return fmt.Errorf("read what was missing: %w", err)
	}
	before := make(map[string]gen.Missing, len(rows))
	for _, r := range rows {
		before[r.Patch] = r
	}
	exposed, err := g.exposures(ctx, tx, scan, before)
	if err != nil {
		return err
	}
	for _, p := range scan.Patches {
		id, err := g.keepMissing(ctx, tx, d, p, before, exposed)
		if err != nil {
			return fmt.Errorf("keep %s %s: %w", p.Name, p.Version, err)
		}
		delete(before, id)
	}
	for id := range before {
		if err := tx.DropMissing(ctx, gen.DropMissingParams{Tenant: d.Tenant, Device: d.ID, Patch: id}); err != nil {
			return fmt.Errorf("drop %s: %w", id, err)
		}
		if err := tx.AddPatchDevices(ctx, gen.AddPatchDevicesParams{Tenant: d.Tenant, ID: id, Delta: -1}); err != nil {
			return err
		}
		if err := tx.LeaveInstalled(ctx, before[id]); err != nil {
			return err
		}
	}
	return nil
}

// lineage is a patch without its version.
type lineage struct{ provider, name, suite string }

// exposures are since when the device lacks what the scan no longer lists: a
// new version of the same takes that over, so that no delay begins anew.
func (g *Gateway) exposures(ctx context.Context, tx *store.Tx, scan wire.Patches, before map[string]gen.Missing) (map[lineage]int64, error) {
	listed := make(map[string]bool, len(scan.Patches))
	for _, p := range scan.Patches {
		listed[string(keyOf(p).ID())] = true
	}
	out := map[lineage]int64{}
	for id, row := range before {
		if listed[id] {
			continue
		}
		p, err := tx.Patch(ctx, row.Tenant, id)
		if err != nil {
			return nil, fmt.Errorf("read what was missing: %w", err)
		}
		of := lineage{p.Provider, p.Name, p.Suite}
		if since, known := out[of]; !known || row.ExposedUs < since {
			out[of] = row.ExposedUs
		}
	}
	return out, nil
}

func keyOf(p wire.Patch) patch.Key {
	return patch.Key{
		Provider: wire.Clean(p.Provider, 32), Name: wire.Clean(p.Name, 256), Version: wire.Clean(p.Version, 256), Suite: wire.Clean(p.Suite, 128),
	}
}

func (g *Gateway) keepMissing(ctx context.Context, tx *store.Tx, d gen.Device, p wire.Patch, before map[string]gen.Missing, exposed map[lineage]int64) (string, error) {
	key := keyOf(p)
	id := string(key.ID())
	changes := cleanChanges(p.Packages)
	packages, err := json.Marshal(changes)
	if err != nil {
		return "", fmt.Errorf("encode packages: %w", err)
	}
	row := gen.Missing{
		Tenant: d.Tenant, Device: d.ID, Patch: id, State: wire.Clean(p.State, 32), StateDetail: wire.Clean(p.StateDetail, 256), Packages: string(packages),
		Installed: vulnerability.Installed(key, changes),
	}
	had, known := before[id]
	if row.SinceUs, row.ExposedUs = had.SinceUs, had.ExposedUs; known && row == had {
		return id, nil
	}
	if !known {
		if err := g.newMissing(ctx, tx, d, key, p); err != nil {
			return "", err
		}
		row.SinceUs, row.ExposedUs = g.nowUS(), g.nowUS()
		if since, taken := exposed[lineage{key.Provider, key.Name, key.Suite}]; taken {
			row.ExposedUs = since
		}
	}
	if had.Installed != row.Installed {
		if err := errors.Join(tx.LeaveInstalled(ctx, had), tx.JoinInstalled(ctx, row)); err != nil {
			return "", err
		}
	}
	return id, tx.PutMissing(ctx, gen.PutMissingParams(row))
}

// newMissing counts the device at the patch, and makes the patch known if this
// is the first device to speak of it.
func (g *Gateway) newMissing(ctx context.Context, tx *store.Tx, d gen.Device, key patch.Key, p wire.Patch) error {
	_, err := tx.PutPatch(ctx, gen.PutPatchParams{
		Tenant: d.Tenant, ID: string(key.ID()), Provider: key.Provider, Name: key.Name, Version: key.Version, Suite: key.Suite,
		Origin: wire.Clean(p.Origin, 128), Class: string(patch.ParseClass(p.Class)), Summary: wire.Clean(p.Summary, wire.MaxTextBytes),
		FirstSeenUs: g.nowUS(), DownloadBytes: max(0, p.DownloadBytes),
	})
	if err != nil {
		return fmt.Errorf("keep patch: %w", err)
	}
	return tx.AddPatchDevices(ctx, gen.AddPatchDevicesParams{Tenant: d.Tenant, ID: string(key.ID()), Delta: 1})
}

func cleanChanges(list []wire.Change) []wire.Change {
	out := make([]wire.Change, 0, len(list))
	for _, c := range list {
		out = append(out, wire.Change{
			Name: wire.Clean(c.Name, 256), Arch: wire.Clean(c.Arch, 32), From: wire.Clean(c.From, 256), To: wire.Clean(c.To, 256),
			Rollback: wire.Clean(c.Rollback, 32), Why: wire.Clean(c.Why, 256),
		})
	}
	return out
}
