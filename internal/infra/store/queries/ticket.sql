-- name: AddTicket :execrows
INSERT INTO ticket (tenant, id, incident, connector, created_us) VALUES (@tenant, @id, @incident, @connector, @created_us)
ON CONFLICT (tenant, incident, connector) DO NOTHING;

-- name: Ticket :one
SELECT * FROM ticket WHERE tenant = @tenant AND id = @id;

-- name: TicketOfExternal :one
SELECT * FROM ticket WHERE tenant = @tenant AND connector = @connector AND external_id = @external_id AND external_id <> '';

-- name: TicketsOfIncident :many
SELECT * FROM ticket WHERE tenant = @tenant AND incident = @incident ORDER BY connector;

-- name: SetTicketMade :exec
UPDATE ticket SET external_id = @external_id, external_key = @external_key, url = @url, status = @status, done = @done, checked_us = @checked_us, check_us = @check_us
WHERE tenant = @tenant AND id = @id;

-- name: SetTicketStatus :exec
UPDATE ticket SET status = @status, done = @done, checked_us = @checked_us, check_us = @check_us WHERE tenant = @tenant AND id = @id;

-- TicketsToCheck are of all tenants: the loop that asks is one.
-- name: TicketsToCheck :many
SELECT * FROM ticket WHERE check_us <= @now_us AND check_us < 9223372036854775807 ORDER BY check_us LIMIT @max;

-- name: AddTicketOutbox :exec
INSERT INTO ticket_outbox (tenant, id, ticket, act, text, next_us, created_us) VALUES (@tenant, @id, @ticket, @act, @text, @created_us, @created_us);

-- TicketOutboxDue is the oldest word of each ticket that is due: they go in
-- their order, and one that waits holds those after it back.
-- name: TicketOutboxDue :many
SELECT o.* FROM ticket_outbox o WHERE o.dead_us = 0 AND o.next_us <= @now_us
  AND NOT EXISTS (SELECT 1 FROM ticket_outbox e WHERE e.tenant = o.tenant AND e.ticket = o.ticket AND e.id < o.id)
ORDER BY o.next_us, o.id LIMIT @max;

-- ClaimTicketOutbox keeps another server from telling the same.
-- name: ClaimTicketOutbox :execrows
UPDATE ticket_outbox SET tries = tries + 1, next_us = @lease_us WHERE tenant = @tenant AND id = @id AND next_us = @was_us AND dead_us = 0;

-- name: DropTicketOutbox :exec
DELETE FROM ticket_outbox WHERE tenant = @tenant AND id = @id;

-- name: DelayTicketOutbox :exec
UPDATE ticket_outbox SET next_us = @next_us, error = @error, dead_us = @dead_us WHERE tenant = @tenant AND id = @id;

-- name: RetryTicketOutbox :execrows
UPDATE ticket_outbox SET next_us = @now_us, dead_us = 0, tries = 0 WHERE tenant = @tenant AND ticket = @ticket;

-- name: NextTicketDue :one
SELECT CAST(coalesce(min(d.at_us), 9223372036854775807) AS BIGINT) AS at_us FROM (
  SELECT min(o.next_us) AS at_us FROM ticket_outbox o WHERE o.dead_us = 0
  UNION ALL SELECT min(t.check_us) AS at_us FROM ticket t WHERE t.check_us < 9223372036854775807) d;
