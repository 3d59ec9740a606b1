-- name: AddDevice :exec
INSERT INTO device (tenant, id, name, machine_id, kind, tags, os_name, agent_version, capability, cert_serial, enrolled_us, seen_us, duplicate_of, cert_expires_us, scan_wanted, arrival)
VALUES (@tenant, @id, @name, @machine_id, @kind, @tags, @os_name, @agent_version, @capability, @cert_serial, @enrolled_us, @seen_us, @duplicate_of, @cert_expires_us, 1, @arrival);

-- NextArrival gives the next place in the order of enrolment. Its row stays
-- locked until the commit: whoever sees a place sees all those before it.
-- name: NextArrival :one
INSERT INTO device_arrival (tenant, last) VALUES (@tenant, 1)
ON CONFLICT (tenant) DO UPDATE SET last = device_arrival.last + 1 RETURNING last;

-- name: Device :one
SELECT * FROM device WHERE tenant = @tenant AND id = @id;

-- DevicesByName and DeviceByMachine are in the order of enrolment, which that of
-- the ids (UUIDv7) is: SQLite, which has no statistics, would rather walk the
-- whole fleet by enrolled_us than sort the one or two that fit.
-- name: DevicesByName :many
SELECT * FROM device WHERE tenant = @tenant AND name = @name ORDER BY id DESC;

-- name: DeviceByMachine :many
SELECT id, name FROM device WHERE tenant = @tenant AND machine_id = @machine_id AND retired_us = 0 ORDER BY id;

-- name: DevicesAfter :many
SELECT * FROM device WHERE tenant = @tenant AND retired_us = 0 AND id > @id ORDER BY id LIMIT @max;

-- TouchDevice notes since when a reboot is pending: from the first word of it.
-- name: TouchDevice :execrows
UPDATE device SET seen_us = @seen_us, boot_id = @boot_id, booted_us = @booted_us, reboot_pending = @reboot_pending,
  reboot_since_us = CASE WHEN CAST(@reboot_pending AS BIGINT) = 0 THEN 0 WHEN reboot_since_us > 0 THEN reboot_since_us ELSE CAST(@seen_us AS BIGINT) END,
  agent_version = @agent_version, capability = @capability
WHERE tenant = @tenant AND id = @id AND retired_us = 0;

-- name: SetDeviceFacts :exec
UPDATE device SET os_id = @os_id, os_name = @os_name, machine_id = @machine_id, part_hashes = @part_hashes, duplicate_of = @duplicate_of
WHERE tenant = @tenant AND id = @id;

-- name: SetDeviceParts :exec
UPDATE device SET part_hashes = @part_hashes WHERE tenant = @tenant AND id = @id;

-- name: SetDeviceScan :exec
UPDATE device SET scan_us = @scan_us, scan_status = @scan_status, scan_cause = @scan_cause, lists_us = @lists_us,
  missing = @missing, missing_security = @missing_security, part_hashes = @part_hashes, scan_wanted = 0
WHERE tenant = @tenant AND id = @id;

-- SetDeviceScanned keeps that the device has looked again and found the same.
-- name: SetDeviceScanned :exec
UPDATE device SET scan_us = @scan_us, scan_wanted = 0 WHERE tenant = @tenant AND id = @id;

-- name: SetDeviceSeq :exec
UPDATE device SET last_seq = @last_seq, seen_us = @seen_us, boot_id = @boot_id WHERE tenant = @tenant AND id = @id;

-- name: SetDeviceFailing :exec
UPDATE device SET failing = @failing WHERE tenant = @tenant AND id = @id;

-- name: NextOrderSerial :one
UPDATE device SET order_serial = order_serial + 1 WHERE tenant = @tenant AND id = @id RETURNING order_serial;

-- name: SetDeviceCheckpoint :exec
UPDATE device SET checkpoint_size = @checkpoint_size WHERE tenant = @tenant AND id = @id;

-- name: WantScan :execrows
UPDATE device SET scan_wanted = 1 WHERE tenant = @tenant AND id = @id;

-- name: SetDeviceCert :exec
UPDATE device SET cert_serial = @cert_serial, cert_expires_us = @cert_expires_us WHERE tenant = @tenant AND id = @id;

-- DescribeDevice changes what the caller has read, and nothing else.
-- name: DescribeDevice :execrows
UPDATE device SET name = @name, kind = @kind, tags = @tags
WHERE tenant = @tenant AND id = @id AND retired_us = 0 AND name = @was_name AND kind = @was_kind AND tags = @was_tags;

-- name: RetireDevice :execrows
UPDATE device SET retired_us = @retired_us, retired_why = @retired_why WHERE tenant = @tenant AND id = @id AND retired_us = 0;

-- name: PutDevicePart :exec
INSERT INTO device_part (tenant, device, name, hash, at_us, body) VALUES (@tenant, @device, @name, @hash, @at_us, @body)
ON CONFLICT (tenant, device, name) DO UPDATE SET hash = excluded.hash, at_us = excluded.at_us, body = excluded.body;

-- name: DevicePart :one
SELECT * FROM device_part WHERE tenant = @tenant AND device = @device AND name = @name;

-- name: DropDeviceTags :exec
DELETE FROM device_tag WHERE tenant = @tenant AND device = @device;

-- name: AddDeviceTag :exec
INSERT INTO device_tag (tenant, device, name, value) VALUES (@tenant, @device, @name, @value)
ON CONFLICT (tenant, device, name) DO UPDATE SET value = excluded.value;

-- name: AddGroup :exec
INSERT INTO fleet_group (tenant, name, title, created_us) VALUES (@tenant, @name, @title, @created_us)
ON CONFLICT (tenant, name) DO UPDATE SET title = CASE WHEN excluded.title = '' THEN fleet_group.title ELSE excluded.title END;

-- name: Group :one
SELECT * FROM fleet_group WHERE tenant = @tenant AND name = @name;

-- name: DropGroup :execrows
DELETE FROM fleet_group WHERE tenant = @tenant AND name = @name;

-- name: DropGroupMembers :exec
DELETE FROM fleet_group_member WHERE tenant = @tenant AND group_name = @group_name;

-- name: AddGroupMember :exec
INSERT INTO fleet_group_member (tenant, group_name, device) VALUES (@tenant, @group_name, @device) ON CONFLICT DO NOTHING;

-- name: DropGroupMember :execrows
DELETE FROM fleet_group_member WHERE tenant = @tenant AND group_name = @group_name AND device = @device;

-- name: GroupMembersAfter :many
SELECT device, group_name FROM fleet_group_member WHERE tenant = @tenant AND device > @device_from AND device <= @device_to ORDER BY device, group_name;

-- name: GroupsOfDevice :many
SELECT group_name FROM fleet_group_member WHERE tenant = @tenant AND device = @device ORDER BY group_name;
