package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"patchring/internal/core/fault"
	"patchring/internal/core/lifecycle"
	"patchring/internal/core/policy"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// Hardware is the product under which the least hardware of versions is kept:
// it is about all of them.
const Hardware = ""

// LifecycleOf reads what the tenant's tables say of the systems of one
// os-release ID.
func (r Reads) LifecycleOf(ctx context.Context, tenant, os string) (lifecycle.Table, error) {
	rows, err := r.LifecycleTablesOf(ctx, tenant, lifecycle.ProductOf(os))
	if err != nil {
		return lifecycle.Table{}, fmt.Errorf("read lifecycle tables: %w", err)
	}
	return LifecycleTable(rows)
}

// LifecycleTable reads tables as they were imported; they were checked then.
func LifecycleTable(rows []gen.LifecycleTable) (out lifecycle.Table, err error) {
	for _, row := range rows {
		if row.Product == Hardware {
			out.Needs, err = lifecycle.ParseNeeds([]byte(row.Body))
		} else {
			var cycles []lifecycle.Cycle
			cycles, err = lifecycle.ParseCycles(row.Product, []byte(row.Body), row.Extended == 1)
			out.Cycles = append(out.Cycles, cycles...)
		}
		if err != nil {
			return out, fmt.Errorf("read lifecycle table %q: %w", row.Product, err)
		}
	}
	return out, nil
}

// KeepSystem writes what tables say of a device's system, for whoever counts
// devices by state.
func (tx *Tx) KeepSystem(ctx context.Context, tenant, device string, table lifecycle.Table, d policy.Traits) error {
	params := gen.SetDeviceSystemParams{Tenant: tenant, ID: device}
	cycle, ends, known := table.Ends(d)
	if known {
		params.SystemCycle = cycle.Name()
		params.SystemEndsUs = Micros(ends)
		short, err := reasonText(table.Short(d, cycle))
		if err != nil {
			return fmt.Errorf("encode a reason: %w", err)
		}
		params.HardwareShort = short
	}
	if _, err := tx.SetDeviceSystem(ctx, params); err != nil {
		return fmt.Errorf("keep the system of device %s: %w", device, err)
	}
	return nil
}

func reasonText(r fault.Reason) (string, error) {
	if r.IsZero() {
		return "", nil
	}
	text, err := json.Marshal(r)
	return string(text), err
}

const batchInventoryHashes = `SELECT device, hash FROM device_part WHERE tenant = $1 AND name = 'inventory' AND device IN (`

// Inventory is the names of what is installed on a device, as of a hash.
type Inventory struct {
	Hash  string
	Names []string
}

// Inventories reads the names of what is installed on a set of devices, but
// only where that is not what known says: unpacking is most of the work.
func (r Reads) Inventories(ctx context.Context, tenant string, devices []string, known func(device, hash string) bool) (map[string]Inventory, error) {
	var changed []string
	err := r.each(ctx, batchInventoryHashes, "", tenant, devices, func(rows *sql.Rows) error {
		var device, hash string
		if err := rows.Scan(&device, &hash); err != nil {
			return err
		}
		if !known(device, hash) {
			changed = append(changed, device)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read inventories of %d devices: %w", len(devices), err)
	}
	out := make(map[string]Inventory, len(changed))
	err = r.each(ctx, batchInventories, "", tenant, changed, func(rows *sql.Rows) error {
		var device string
		part := wire.Part{Name: wire.PartInventory}
		if err := rows.Scan(&device, &part.Hash, &part.Gzip); err != nil {
			return err
		}
		var inventory wire.Inventory
		if err := part.Unpack(&inventory); err != nil {
			return fmt.Errorf("device %s: %w", device, err)
		}
		names := make([]string, 0, len(inventory.Software))
		for _, p := range inventory.Software {
			names = append(names, p.Name)
		}
		out[device] = Inventory{part.Hash, names}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read inventories of %d devices: %w", len(devices), err)
	}
	return out, nil
}
