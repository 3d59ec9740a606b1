-- name: PutLifecycleTable :exec
INSERT INTO lifecycle_table (tenant, product, file, body, sha256, extended, entries, actor, at_us)
VALUES (@tenant, @product, @file, @body, @sha256, @extended, @entries, @actor, @at_us)
ON CONFLICT (tenant, product) DO UPDATE SET file = excluded.file, body = excluded.body, sha256 = excluded.sha256,
  extended = excluded.extended, entries = excluded.entries, actor = excluded.actor, at_us = excluded.at_us;

-- name: LifecycleTables :many
SELECT * FROM lifecycle_table WHERE tenant = @tenant ORDER BY product;

-- LifecycleTablesOf are the tables that say something of one product.
-- name: LifecycleTablesOf :many
SELECT * FROM lifecycle_table WHERE tenant = @tenant AND product IN (@product, '') ORDER BY product;

-- name: SetDeviceSystem :execrows
UPDATE device SET system_cycle = @system_cycle, system_ends_us = @system_ends_us, hardware_short = @hardware_short
WHERE tenant = @tenant AND id = @id AND (system_cycle <> @system_cycle OR system_ends_us <> @system_ends_us OR hardware_short <> @hardware_short);

-- SurveyAfter pages through a fleet with what keeps devices from being ready.
-- It asks for > 0, which the index of what cannot be put back does not serve:
-- that one knows no device, and SQLite would walk through it for each.
-- name: SurveyAfter :many
SELECT d.id, d.name, d.kind, d.tags, d.seen_us, d.scan_us, d.scan_status, d.scan_cause, d.lists_us, d.reboot_pending, d.reboot_since_us,
  d.cert_expires_us, d.duplicate_of, d.os_name, CAST(COALESCE(t.traits, '') AS TEXT) AS traits,
  CAST(COALESCE((SELECT SUM(p.download_bytes) FROM missing m JOIN patch p ON p.tenant = m.tenant AND p.id = m.patch
    WHERE m.tenant = d.tenant AND m.device = d.id), 0) AS BIGINT) AS download_bytes,
  CAST((SELECT COUNT(*) FROM campaign_device_item x JOIN campaign c ON c.tenant = x.tenant AND c.id = x.campaign
    WHERE x.tenant = d.tenant AND x.device = d.id AND x.rollback_impossible > 0 AND c.state <> 'closed') AS BIGINT) AS cannot_go_back
FROM device d LEFT JOIN device_traits t ON t.tenant = d.tenant AND t.device = d.id
WHERE d.tenant = @tenant AND d.retired_us = 0 AND d.id > @id ORDER BY d.id LIMIT @max;

-- name: GroupMembers :many
SELECT device FROM fleet_group_member WHERE tenant = @tenant AND group_name = @group_name ORDER BY device;

-- ItemDevices are devices of a campaign on which an item is in a state.
-- name: ItemDevices :many
SELECT device FROM campaign_device_item WHERE tenant = @tenant AND campaign = @campaign AND item = @item AND state = @state ORDER BY device LIMIT @max;
