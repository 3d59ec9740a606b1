package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"patchring/internal/core/fleet"
	"patchring/wire"
)

// DeviceSample is the last sample of a device in the fleet.
type DeviceSample struct {
	Device DeviceRef
	Kind   fleet.Kind
	At     time.Time
	Values map[wire.Measure]float64
	Probes []wire.ProbeState
}

const samplesAfter = `SELECT s.device, d.name, d.kind, s.body FROM device_sample s
JOIN device d ON d.tenant = s.tenant AND d.id = s.device
WHERE s.tenant = $1 AND s.device > $2 AND s.at_us > 0 AND d.retired_us = 0 ORDER BY s.device LIMIT $3`

// Samples reads the last samples of a fleet, in the order of ids: the next ones
// after a device, at most MaxLimit.
func (r *Reader) Samples(ctx context.Context, tenant fleet.TenantID, after fleet.DeviceID) ([]DeviceSample, error) {
	return all(ctx, r, ask("last samples", samplesAfter, tenant, after, MaxLimit), func(rows *sql.Rows) (DeviceSample, error) {
		var d DeviceSample
		var body string
		if err := rows.Scan(&d.Device.ID, &d.Device.Name, &d.Kind, &body); err != nil {
			return d, err
		}
		var s wire.Sample
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			return d, fmt.Errorf("decode a sample: %w", err)
		}
		d.At, d.Values, d.Probes = instant(s.AtUS), s.Values, s.Probes
		return d, nil
	})
}
