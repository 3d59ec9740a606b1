package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"patchring/internal/infra/store/gen"
)

// RecordedPage is a page of a fleet as it was last recorded, for a rehearsal.
type RecordedPage struct {
	Devices []gen.RecordedAfterRow
	Groups  map[string][]string
	Missing map[string][]RecordedMissing
}

// RecordedMissing is a missing row without its patch: a rehearsal reads the
// catalogue once, and not again for each of millions of rows.
type RecordedMissing struct {
	Patch, State, Packages string
	ExposedUs              int64
}

// IDs of its devices.
func (p RecordedPage) IDs() []string {
	ids := make([]string, 0, len(p.Devices))
	for _, d := range p.Devices {
		ids = append(ids, d.ID)
	}
	return ids
}

const recordedMissing = `SELECT device, patch, state, packages, exposed_us FROM missing WHERE tenant = $1 AND device IN (`

// Recorded reads the page of devices after an id; an empty page is the end.
func (r Reads) Recorded(ctx context.Context, tenant, after string, limit int32) (RecordedPage, error) {
	b := Batch{Groups: map[string][]string{}}
	devices, err := r.RecordedAfter(ctx, gen.RecordedAfterParams{Tenant: tenant, ID: after, Max: limit})
	if err != nil {
		return RecordedPage{}, fmt.Errorf("read the fleet: %w", err)
	}
	page := RecordedPage{Devices: devices, Groups: b.Groups, Missing: make(map[string][]RecordedMissing, len(devices))}
	ids := page.IDs()
	err = errors.Join(
		r.each(ctx, batchGroups, " ORDER BY device, group_name", tenant, ids, b.scanGroup),
		r.each(ctx, recordedMissing, " ORDER BY device, patch", tenant, ids, func(rows *sql.Rows) error {
			var device string
			var m RecordedMissing
			err := rows.Scan(&device, &m.Patch, &m.State, &m.Packages, &m.ExposedUs)
			page.Missing[device] = append(page.Missing[device], m)
			return err
		}))
	if err != nil {
		return RecordedPage{}, fmt.Errorf("read the fleet: %w", err)
	}
	return page, nil
}
