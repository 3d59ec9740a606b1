-- What the restore of a backup changes beside the register's entry.

-- MarkRestored is called in the transaction that records the restore, before
-- its entry is appended: size is what the backup held.
-- name: MarkRestored :execrows
UPDATE register_head SET restored_at_us = @restored_at_us, restored_size = size WHERE tenant = @tenant AND restored_at_us < @restored_at_us;

-- JumpOrderSerials moves every device's serial by @jump, and to @least at least.
-- name: JumpOrderSerials :exec
UPDATE device SET order_serial = CASE WHEN order_serial + @jump < @least THEN @least ELSE order_serial + @jump END WHERE tenant = @tenant;

-- name: JumpHoldsSerial :one
UPDATE tenant SET holds_serial = CASE WHEN holds_serial + @jump < @least THEN @least ELSE holds_serial + @jump END WHERE id = @id RETURNING holds_serial;

-- name: HighestOrderSerial :one
SELECT CAST(COALESCE(MAX(order_serial), 0) AS BIGINT) FROM device WHERE tenant = @tenant;

-- RestoredUS is the instant of the latest restore that the register tells of.
-- It reads the entries, because it also serves a database of an older schema.
-- name: RestoredUS :one
SELECT CAST(COALESCE(MAX(at_us), 0) AS BIGINT) FROM register_entry WHERE tenant = @tenant AND kind = 'register_restored';
