-- WantReboot notes that a device says that it needs a reboot.
-- name: WantReboot :exec
INSERT INTO pending_reboot (tenant, device, since_us, due_us) VALUES (@tenant, @device, @since_us, 0)
ON CONFLICT (tenant, device) DO UPDATE SET due_us = 0;

-- PutRebootSignals keeps the signals that a device reads in a boot. The same ones
-- in another boot than before have outlived it.
-- name: PutRebootSignals :exec
INSERT INTO pending_reboot (tenant, device, since_us, signal, signals, boot_id, due_us)
VALUES (@tenant, @device, @since_us, @signal, @signals, @boot_id, 0)
ON CONFLICT (tenant, device) DO UPDATE SET
  survived = CASE WHEN pending_reboot.signal <> excluded.signal THEN 0
    WHEN pending_reboot.boot_id <> excluded.boot_id THEN pending_reboot.survived + 1 ELSE pending_reboot.survived END,
  signal = excluded.signal, signals = excluded.signals, boot_id = excluded.boot_id, cleared_us = 0, due_us = 0;

-- ClearRebootSignals: the device reads none in this boot.
-- name: ClearRebootSignals :exec
UPDATE pending_reboot SET due_us = 0, cleared_us = CASE WHEN cleared_us > 0 THEN cleared_us ELSE CAST(@cleared_us AS BIGINT) END
WHERE tenant = @tenant AND device = @device;

-- name: PendingReboot :one
SELECT * FROM pending_reboot WHERE tenant = @tenant AND device = @device;

-- ClaimPendingReboots takes a batch of those that are due.
-- name: ClaimPendingReboots :many
UPDATE pending_reboot SET lease_us = @lease_us
WHERE (tenant, device) IN (
  SELECT p.tenant, p.device FROM pending_reboot p WHERE p.due_us <= @now_us AND p.lease_us < @now_us ORDER BY p.due_us LIMIT @max)
  AND lease_us < @now_us
RETURNING *;

-- name: SetPendingReboot :exec
UPDATE pending_reboot SET reason = @reason, next_us = @next_us, starts_us = @starts_us,
  due_us = CASE WHEN due_us < @seen_us THEN due_us ELSE @due_us END, lease_us = 0
WHERE tenant = @tenant AND device = @device;

-- name: DropPendingReboot :exec
DELETE FROM pending_reboot WHERE tenant = @tenant AND device = @device;

-- EndReboot keeps how the last order to reboot ended.
-- name: EndReboot :exec
UPDATE pending_reboot SET last = @last, last_us = @last_us, starts_us = 0, due_us = 0 WHERE tenant = @tenant AND device = @device;

-- AllowReboot forgets what kept the device from another reboot.
-- name: AllowReboot :execrows
UPDATE pending_reboot SET survived = 0, last = '', last_us = 0, due_us = 0 WHERE tenant = @tenant AND device = @device;

-- TouchPendingReboot lets a device be decided again.
-- name: TouchPendingReboot :execrows
UPDATE pending_reboot SET due_us = 0 WHERE tenant = @tenant AND device = @device;

-- name: TouchPendingReboots :exec
UPDATE pending_reboot SET due_us = 0 WHERE tenant = @tenant;

-- name: TouchAllPendingReboots :exec
UPDATE pending_reboot SET due_us = 0 WHERE due_us > 0;

-- WakeLimitReboots lets a few devices of a limit that wait be decided again.
-- name: WakeLimitReboots :execrows
UPDATE pending_reboot SET due_us = 0
WHERE (pending_reboot.tenant, pending_reboot.device) IN (
  SELECT p.tenant, p.device FROM pending_reboot p
  WHERE p.tenant = @tenant AND p.due_us > 0 AND p.starts_us = 0
    AND p.device IN (SELECT m.device FROM limit_member m WHERE m.tenant = @tenant AND m.name = @name AND m.value = @value)
  ORDER BY p.since_us, p.device LIMIT @max);

-- RebootStarts counts the open orders to reboot by when they may act first.
-- name: RebootStarts :many
SELECT starts_us, count(*) AS devices FROM pending_reboot
WHERE tenant = @tenant AND starts_us > 0 AND starts_us >= @from_us GROUP BY starts_us;

-- RulingCampaign is the newest open campaign that a device is in.
-- name: RulingCampaign :many
SELECT c.id FROM campaign_device d JOIN campaign c ON c.tenant = d.tenant AND c.id = d.campaign
WHERE d.tenant = @tenant AND d.device = @device AND d.amendment = 0 AND c.state IN ('running', 'verifying')
ORDER BY c.created_us DESC LIMIT 1;
