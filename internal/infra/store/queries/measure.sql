-- name: RecentBlocks :many
SELECT body FROM measure_recent WHERE tenant = @tenant AND device = @device AND from_us = @from_us;

-- name: PutRecentBlock :exec
INSERT INTO measure_recent (tenant, device, from_us, body) VALUES (@tenant, @device, @from_us, @body)
ON CONFLICT (tenant, device, from_us) DO UPDATE SET body = excluded.body;

-- name: RecentBefore :many
SELECT from_us, body FROM measure_recent WHERE tenant = @tenant AND device = @device AND from_us < @before_us ORDER BY from_us;

-- name: DropRecentBefore :exec
DELETE FROM measure_recent WHERE tenant = @tenant AND device = @device AND from_us < @before_us;

-- name: OldestRecent :one
SELECT CAST(COALESCE(MIN(from_us), 0) AS BIGINT) FROM measure_recent WHERE tenant = @tenant AND device = @device;

-- name: PastBlocks :many
SELECT body FROM measure_past WHERE tenant = @tenant AND device = @device AND from_us = @from_us;

-- name: PutPastBlock :exec
INSERT INTO measure_past (tenant, device, from_us, body) VALUES (@tenant, @device, @from_us, @body)
ON CONFLICT (tenant, device, from_us) DO UPDATE SET body = excluded.body;

-- name: DropPastBefore :exec
DELETE FROM measure_past WHERE tenant = @tenant AND device = @device AND from_us < @before_us;

-- name: OldestPast :one
SELECT CAST(COALESCE(MIN(from_us), 0) AS BIGINT) FROM measure_past WHERE tenant = @tenant AND device = @device;

-- name: DeviceSample :many
SELECT * FROM device_sample WHERE tenant = @tenant AND device = @device;

-- PutDeviceSample keeps the later sample, and the earlier time to look at blocks.
-- name: PutDeviceSample :exec
INSERT INTO device_sample (tenant, device, at_us, body, shift_us, due_us, services_us)
VALUES (@tenant, @device, @at_us, @body, @shift_us, @due_us, @services_us)
ON CONFLICT (tenant, device) DO UPDATE SET
  body = CASE WHEN excluded.at_us > device_sample.at_us THEN excluded.body ELSE device_sample.body END,
  at_us = CASE WHEN excluded.at_us > device_sample.at_us THEN excluded.at_us ELSE device_sample.at_us END,
  shift_us = excluded.shift_us, services_us = excluded.services_us,
  due_us = CASE WHEN excluded.due_us > 0 AND (device_sample.due_us = 0 OR excluded.due_us < device_sample.due_us) THEN excluded.due_us ELSE device_sample.due_us END;

-- DueMeasures are the devices with blocks to look at, longest due first.
-- name: DueMeasures :many
SELECT device FROM device_sample WHERE tenant = @tenant AND due_us > 0 AND due_us <= @now_us ORDER BY due_us LIMIT @max;

-- name: SetMeasuresDue :exec
UPDATE device_sample SET due_us = @due_us WHERE tenant = @tenant AND device = @device;

-- name: ProbesOfDevice :many
SELECT * FROM device_probe WHERE tenant = @tenant AND device = @device ORDER BY name;

-- name: PutProbe :exec
INSERT INTO device_probe (tenant, device, name, state, since_us, at_us, ms, cause) VALUES (@tenant, @device, @name, @state, @since_us, @at_us, @ms, @cause)
ON CONFLICT (tenant, device, name) DO UPDATE SET state = excluded.state, since_us = excluded.since_us, at_us = excluded.at_us, ms = excluded.ms, cause = excluded.cause;

-- name: DropProbe :exec
DELETE FROM device_probe WHERE tenant = @tenant AND device = @device AND name = @name;

-- WatchOf is what a device was told to measure, if anything.
-- name: WatchOf :many
SELECT * FROM device_watch WHERE tenant = @tenant AND device = @device;

-- PutWatch writes what a device is told.
-- name: PutWatch :exec
INSERT INTO device_watch (tenant, device, due_us, lease_us, serial, probes, digest, envelope, issued_us)
VALUES (@tenant, @device, @due_us, @lease_us, @serial, @probes, @digest, @envelope, @issued_us)
ON CONFLICT (tenant, device) DO UPDATE SET due_us = excluded.due_us, lease_us = excluded.lease_us, serial = excluded.serial, probes = excluded.probes,
  digest = excluded.digest, envelope = excluded.envelope, issued_us = excluded.issued_us;

-- RaiseWatch lets a device be told anew that knows a later serial than its row
-- has, if it has one: the database was restored from a backup.
-- name: RaiseWatch :execrows
INSERT INTO device_watch (tenant, device, due_us, lease_us, serial, probes, digest, envelope, issued_us)
VALUES (@tenant, @device, 0, 0, @serial, '[]', 'raised', '', 0)
ON CONFLICT (tenant, device) DO UPDATE SET serial = excluded.serial, digest = excluded.digest, due_us = 0 WHERE device_watch.serial < excluded.serial;

-- ClaimWatches takes a batch of devices that are due.
-- name: ClaimWatches :many
UPDATE device_watch SET lease_us = @lease_us
WHERE (tenant, device) IN (
  SELECT c.tenant, c.device FROM device_watch c
  WHERE c.due_us <= @now_us AND c.lease_us < @now_us ORDER BY c.due_us LIMIT @max)
  AND lease_us < @now_us
RETURNING *;

-- NextWatch is when the next device is due.
-- name: NextWatch :one
SELECT CAST(COALESCE(MIN(due_us), 9223372036854775807) AS BIGINT) FROM device_watch;

-- SetWatchDue plans the next look, unless someone touched it meanwhile.
-- name: SetWatchDue :exec
UPDATE device_watch SET due_us = CASE WHEN due_us < @seen_us THEN due_us ELSE @due_us END, lease_us = 0
WHERE tenant = @tenant AND device = @device;

-- SetWatch writes what a device is told, unless it was raised meanwhile.
-- name: SetWatch :execrows
UPDATE device_watch SET serial = @serial, probes = @probes, digest = @digest, envelope = @envelope, issued_us = @issued_us
WHERE tenant = @tenant AND device = @device AND serial = @seen_serial;

-- EnlistWatches gives the devices of a tenant that enrolled after a place in the
-- order of enrolment a row, where they have none.
-- name: EnlistWatches :execrows
INSERT INTO device_watch (tenant, device, due_us, lease_us, serial, probes, digest, envelope, issued_us)
SELECT d.tenant, d.id, 0, 0, 0, '[]', '', '', 0 FROM device d WHERE d.tenant = @tenant AND d.arrival > @after AND d.retired_us = 0
ON CONFLICT (tenant, device) DO NOTHING;

-- name: TouchWatches :execrows
UPDATE device_watch SET due_us = 0 WHERE tenant = @tenant;

-- name: TouchWatch :execrows
UPDATE device_watch SET due_us = 0 WHERE tenant = @tenant AND device = @device;

-- name: DropWatch :exec
DELETE FROM device_watch WHERE tenant = @tenant AND device = @device;

-- name: DropProbes :exec
DELETE FROM device_probe WHERE tenant = @tenant AND device = @device;

-- AnyWatch tells whether a tenant has ever had a probe: 1, or nothing.
-- name: AnyWatch :many
SELECT CAST(1 AS BIGINT) FROM device_watch WHERE tenant = @tenant LIMIT 1;
