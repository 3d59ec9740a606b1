-- name: DropNetworks :exec
DELETE FROM device_network WHERE tenant = @tenant AND device = @device;

-- name: AddNetwork :exec
INSERT INTO device_network (tenant, device, mac, prefix, armed) VALUES (@tenant, @device, @mac, @prefix, @armed)
ON CONFLICT (tenant, device, mac, prefix) DO NOTHING;

-- name: Networks :many
SELECT * FROM device_network WHERE tenant = @tenant AND device = @device ORDER BY mac, prefix;

-- Neighbours are devices in a network that were heard of lately, can wake others,
-- and have not refused to. Two sites may use the same prefix: those that are
-- tagged with another site than the sleeper are not its neighbours.
-- name: Neighbours :many
SELECT DISTINCT n.device, d.name FROM device_network n
JOIN device d ON d.tenant = n.tenant AND d.id = n.device
LEFT JOIN device_tag g ON g.tenant = n.tenant AND g.device = n.device AND g.name = 'site'
WHERE n.tenant = @tenant AND n.prefix = @prefix AND (CAST(@site AS TEXT) = '' OR COALESCE(g.value, CAST(@site AS TEXT)) = CAST(@site AS TEXT)) AND d.seen_us >= @seen_us AND d.retired_us = 0 AND d.capability >= @capability
  AND NOT EXISTS (SELECT 1 FROM wake_ask a WHERE a.tenant = n.tenant AND a.neighbour = n.device AND a.state = 'refused' AND a.asked_us > @refused_us)
ORDER BY n.device LIMIT 64;

-- Sleepers are devices that have not been heard of for a while and have an order
-- that waits, the last one given, where it is time to decide. The cross join keeps
-- SQLite at the index of who was heard of when.
-- name: Sleepers :many
SELECT d.id, d.seen_us, o.id AS order_id, o.campaign, o.envelope FROM device d
CROSS JOIN device_order o
LEFT JOIN device_wake w ON w.tenant = d.tenant AND w.device = d.id
WHERE o.tenant = d.tenant AND o.device = d.id AND o.state = 'open' AND o.kind <> 'clean_up' AND d.tenant = @tenant AND d.seen_us > @gone_us AND d.seen_us <= @asleep_us AND d.retired_us = 0 AND o.expires_us > @now_us
  AND NOT EXISTS (SELECT 1 FROM device_order x WHERE x.tenant = o.tenant AND x.device = o.device AND x.state = 'open' AND x.kind <> 'clean_up' AND x.serial > o.serial)
  AND (w.device IS NULL OR w.order_id <> o.id OR w.due_us <= @now_us)
ORDER BY d.seen_us, d.id LIMIT @max;

-- name: Wake :one
SELECT * FROM device_wake WHERE tenant = @tenant AND device = @device;

-- PutWake writes a decision, unless another server has written one meanwhile.
-- name: PutWake :execrows
INSERT INTO device_wake (tenant, device, order_id, due_us, decided_us, version, reason, window_us, asked_us, tries, asked_of, heard_us)
VALUES (@tenant, @device, @order_id, @due_us, @decided_us, @version, @reason, @window_us, @asked_us, @tries, @asked_of, @heard_us)
ON CONFLICT (tenant, device) DO UPDATE SET order_id = excluded.order_id, due_us = excluded.due_us, decided_us = excluded.decided_us, version = excluded.version, reason = excluded.reason,
  window_us = excluded.window_us, asked_us = excluded.asked_us, tries = excluded.tries, asked_of = excluded.asked_of, heard_us = excluded.heard_us
WHERE device_wake.version = excluded.version - 1;

-- Awoken are devices that were heard of after a neighbour was asked to wake them.
-- name: Awoken :many
SELECT w.device, w.asked_us, w.asked_of, d.seen_us FROM device_wake w
JOIN device d ON d.tenant = w.tenant AND d.id = w.device
WHERE w.tenant = @tenant AND w.asked_us > 0 AND w.heard_us = 0 AND d.seen_us > w.asked_us;

-- name: HeardAgain :execrows
UPDATE device_wake SET heard_us = @heard_us, reason = '' WHERE tenant = @tenant AND device = @device AND asked_us = @asked_us AND heard_us = 0;

-- name: AddWakeAsk :exec
INSERT INTO wake_ask (tenant, id, neighbour, device, envelope, state, asked_us, expires_us)
VALUES (@tenant, @id, @neighbour, @device, @envelope, 'asked', @asked_us, @expires_us);

-- name: OpenWakeAsks :many
SELECT * FROM wake_ask WHERE tenant = @tenant AND neighbour = @neighbour AND state = 'asked' AND expires_us > @now_us ORDER BY id LIMIT 16;

-- name: WakeAsk :one
SELECT * FROM wake_ask WHERE tenant = @tenant AND id = @id AND neighbour = @neighbour;

-- name: EndWakeAsk :execrows
UPDATE wake_ask SET state = @state, cause = @cause WHERE tenant = @tenant AND id = @id AND neighbour = @neighbour AND state = 'asked';

-- name: DropOldWakeAsks :execrows
DELETE FROM wake_ask WHERE tenant = @tenant AND asked_us < @before_us;
