package view

import (
	"context"
	"database/sql"

	"patchring/internal/core/checklist"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
)

const readingText = `SELECT count(*), coalesce(sum(CASE WHEN b.state = 'up' THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN b.state = 'down' THEN 1 ELSE 0 END), 0)
FROM campaign_device x
LEFT JOIN device_probe b ON b.tenant = x.tenant AND b.device = x.device AND b.name = $5 AND b.at_us > $6
WHERE x.tenant = $1 AND x.campaign = $2 AND x.amendment = $3 AND x.position = $4
  AND ($7 = '' OR EXISTS (SELECT 1 FROM device_tag k WHERE k.tenant = x.tenant AND k.device = x.device AND k.name = 'department' AND k.value = $7))
  AND ($8 = '' OR EXISTS (SELECT 1 FROM fleet_group_member m WHERE m.tenant = x.tenant AND m.device = x.device AND m.group_name = $8))`

// reading is what the probe of an automatic test says on the ring's devices.
func (r *Reader) reading(ctx context.Context, tenant fleet.TenantID, g ringOf, rule procedure.TestRule) (checklist.Reading, error) {
	since := r.now().Add(-checklist.Fresh).UnixMicro()
	return one(ctx, r, ask("probe", readingText, tenant, g.campaign, g.amendment, g.ring.Position, rule.Probe, since, rule.Department, rule.Group), rule.Probe,
		func(rows *sql.Rows) (checklist.Reading, error) {
			var devices, up, down int
			err := rows.Scan(&devices, &up, &down)
			return checklist.Reading{Green: up, Red: down, Unknown: devices - up - down}, err
		})
}
