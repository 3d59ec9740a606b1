-- RecordedAfter pages through a fleet as it was last recorded.
-- name: RecordedAfter :many
SELECT d.id, d.name, d.kind, d.tags, d.seen_us, d.scan_us, d.scan_status, d.scan_cause, CAST(COALESCE(t.traits, '') AS TEXT) AS traits
FROM device d LEFT JOIN device_traits t ON t.tenant = d.tenant AND t.device = d.id
WHERE d.tenant = @tenant AND d.retired_us = 0 AND d.id > @id ORDER BY d.id LIMIT @max;

-- LastResults are the newest outcomes of orders among the entries from a place on.
-- name: LastResults :many
SELECT body FROM register_entry WHERE tenant = @tenant AND idx >= @idx AND kind = 'order_result' ORDER BY idx DESC LIMIT @max;
