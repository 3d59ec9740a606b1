-- name: PutLimitMember :exec
INSERT INTO limit_member (tenant, name, value, device, turn) VALUES (@tenant, @name, @value, @device, @turn)
ON CONFLICT (tenant, device, name) DO UPDATE SET value = excluded.value, turn = excluded.turn;

-- name: DropLimitMembers :exec
DELETE FROM limit_member WHERE tenant = @tenant;

-- name: DropLimitMember :exec
DELETE FROM limit_member WHERE tenant = @tenant AND device = @device AND name = @name;

-- CountLimit counts the devices of a limit that are not removed.
-- name: CountLimit :one
SELECT COUNT(*) FROM limit_member m JOIN device d ON d.tenant = m.tenant AND d.id = m.device
WHERE m.tenant = @tenant AND m.name = @name AND m.value = @value AND d.retired_us = 0;

-- CountLimitFailed counts those that failed in a campaign.
-- name: CountLimitFailed :one
SELECT COUNT(*) FROM limit_member m JOIN campaign_device c ON c.tenant = m.tenant AND c.device = m.device
WHERE m.tenant = @tenant AND m.name = @name AND m.value = @value AND c.campaign = @campaign AND c.amendment = @amendment AND c.bucket = 'failed';

-- LimitBefore is a device whose turn comes before and that is not through yet.
-- name: LimitBefore :many
SELECT d.name FROM limit_member m
JOIN campaign_device c ON c.tenant = m.tenant AND c.device = m.device
JOIN device d ON d.tenant = m.tenant AND d.id = m.device
WHERE m.tenant = @tenant AND m.name = @name AND m.value = @value AND m.turn < @turn
  AND c.campaign = @campaign AND c.amendment = @amendment AND c.bucket NOT IN ('done', 'exempt')
ORDER BY m.turn, d.name LIMIT 1;

-- LimitSlots lists the places that are taken.
-- name: LimitSlots :many
SELECT s.* FROM limit_slot s WHERE s.tenant = @tenant AND s.name = @name AND s.value = @value AND s.until_us > @now_us
  AND NOT EXISTS (SELECT 1 FROM device_order o WHERE o.tenant = s.tenant AND o.id = s.order_id AND o.state IN ('done', 'refused'))
ORDER BY s.slot;

-- TakeSlot gives a place that is free; no row when somebody else was faster.
-- name: TakeSlot :execrows
INSERT INTO limit_slot (tenant, name, value, slot, device, order_id, expires_us, until_us)
VALUES (@tenant, @name, @value, @slot, @device, @order_id, @expires_us, @until_us)
ON CONFLICT (tenant, name, value, slot) DO UPDATE
SET device = excluded.device, order_id = excluded.order_id, expires_us = excluded.expires_us, until_us = excluded.until_us
WHERE limit_slot.until_us <= @now_us OR EXISTS (SELECT 1 FROM device_order o
  WHERE o.tenant = limit_slot.tenant AND o.id = limit_slot.order_id AND o.state IN ('done', 'refused'));

-- DropSlots gives the places of an order back that was not issued.
-- name: DropSlots :exec
DELETE FROM limit_slot WHERE tenant = @tenant AND order_id = @order_id;

-- FreeSlots gives the places of a device back whose order ended, or can act no
-- more since before the device was last heard of.
-- name: FreeSlots :many
DELETE FROM limit_slot WHERE limit_slot.tenant = @tenant AND limit_slot.device = @device AND (limit_slot.expires_us < @seen_us OR EXISTS (
  SELECT 1 FROM device_order o WHERE o.tenant = limit_slot.tenant AND o.id = limit_slot.order_id AND o.state IN ('done', 'refused')))
RETURNING name, value;

-- WakeLimit lets a few devices of a limit that wait be decided again, those
-- that have waited longest first.
-- name: WakeLimit :execrows
UPDATE campaign_device SET due_us = 0
WHERE (campaign_device.tenant, campaign_device.campaign, campaign_device.amendment, campaign_device.device) IN (
  SELECT c.tenant, c.campaign, c.amendment, c.device FROM campaign_device c
  WHERE c.tenant = @tenant AND c.due_us > 0 AND c.bucket = 'not_reached' AND c.order_id = ''
    AND c.device IN (SELECT m.device FROM limit_member m WHERE m.tenant = @tenant AND m.name = @name AND m.value = @value)
  ORDER BY c.updated_us, c.device LIMIT @max);
