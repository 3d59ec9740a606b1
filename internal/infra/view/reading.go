package view

import (
	"context"
	"database/sql"

	"patchring/internal/core/checklist"
	"patchring/internal/core/fleet"
	"patchring/internal/core/procedure"
)

const aboutText = `SELECT count(*) FROM campaign_device x
WHERE x.tenant = $1 AND x.campaign = $2 AND x.amendment = $3 AND x.position = $4
  AND ($5 = '' OR EXISTS (SELECT 1 FROM device_tag k WHERE k.tenant = x.tenant AND k.device = x.device AND k.name = 'department' AND k.value = $5))
  AND ($6 = '' OR EXISTS (SELECT 1 FROM fleet_group_member m WHERE m.tenant = x.tenant AND m.device = x.device AND m.group_name = $6))`

// reading is what the probe of an automatic test says on the ring's devices.
func (r *Reader) reading(ctx context.Context, tenant fleet.TenantID, g ringOf, rule procedure.TestRule) (checklist.Reading, error) {
	return one(ctx, r, ask("probe", aboutText, tenant, g.campaign, g.amendment, g.ring.Position, rule.Department, rule.Group), rule.Probe,
		func(rows *sql.Rows) (checklist.Reading, error) {
			var out checklist.Reading
			return out, rows.Scan(&out.Unknown)
		})
}
