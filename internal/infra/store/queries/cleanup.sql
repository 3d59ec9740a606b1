-- ClaimCleanUps takes a batch of devices that are due.
-- name: ClaimCleanUps :many
UPDATE clean_up_look SET lease_us = @lease_us
WHERE (tenant, device) IN (
  SELECT c.tenant, c.device FROM clean_up_look c
  WHERE c.due_us <= @now_us AND c.lease_us < @now_us ORDER BY c.due_us LIMIT @max)
  AND lease_us < @now_us
RETURNING *;

-- NextCleanUp is when the next device is due.
-- name: NextCleanUp :one
SELECT CAST(COALESCE(MIN(due_us), 9223372036854775807) AS BIGINT) FROM clean_up_look;

-- SetCleanUpLook plans the next look, unless someone touched it meanwhile.
-- name: SetCleanUpLook :exec
UPDATE clean_up_look SET due_us = CASE WHEN due_us < @seen_us THEN due_us ELSE @due_us END, lease_us = 0
WHERE tenant = @tenant AND device = @device;

-- EnlistCleanUps gives the devices of a tenant that enrolled after a place in the
-- order of enrolment a look, where they have none.
-- name: EnlistCleanUps :execrows
INSERT INTO clean_up_look (tenant, device, due_us, lease_us)
SELECT d.tenant, d.id, 0, 0 FROM device d WHERE d.tenant = @tenant AND d.arrival > @after AND d.retired_us = 0
ON CONFLICT (tenant, device) DO NOTHING;

-- name: LastArrival :one
SELECT CAST(COALESCE(MAX(arrival), 0) AS BIGINT) FROM device WHERE tenant = @tenant;

-- name: TouchCleanUps :execrows
UPDATE clean_up_look SET due_us = 0 WHERE tenant = @tenant;

-- name: TouchCleanUp :execrows
UPDATE clean_up_look SET due_us = 0 WHERE tenant = @tenant AND device = @device;

-- name: DropCleanUpLook :exec
DELETE FROM clean_up_look WHERE tenant = @tenant AND device = @device;

-- name: CountCleanUpLooks :one
SELECT COUNT(*) FROM clean_up_look WHERE tenant = @tenant;

-- name: CleanUpItems :many
SELECT * FROM clean_up_item WHERE tenant = @tenant AND device = @device ORDER BY item;

-- name: CleanUpItem :one
SELECT * FROM clean_up_item WHERE tenant = @tenant AND device = @device AND item = @item;

-- CleanUpVersions are the forms in which an item is in force: more than one
-- while a changed policy is on its way through the fleet.
-- name: CleanUpVersions :many
SELECT fingerprint, CAST(SUM(CASE WHEN counted_us > 0 THEN 1 ELSE 0 END) AS BIGINT) AS counted FROM clean_up_item WHERE tenant = @tenant AND item = @item AND state <> 'withdrawn'
GROUP BY fingerprint ORDER BY fingerprint;

-- PutCleanUpItem writes where an item stands. What was counted of another form
-- of it says nothing of this one.
-- name: PutCleanUpItem :exec
INSERT INTO clean_up_item (tenant, device, item, kind, fingerprint, older_than_s, paths, state, reason, next_us)
VALUES (@tenant, @device, @item, @kind, @fingerprint, @older_than_s, @paths, @state, @reason, @next_us)
ON CONFLICT (tenant, device, item) DO UPDATE SET
  kind = excluded.kind, older_than_s = excluded.older_than_s, paths = excluded.paths, state = excluded.state, reason = excluded.reason, next_us = excluded.next_us,
  counted_us = CASE WHEN clean_up_item.fingerprint = excluded.fingerprint THEN clean_up_item.counted_us ELSE 0 END,
  counted_files = CASE WHEN clean_up_item.fingerprint = excluded.fingerprint THEN clean_up_item.counted_files ELSE 0 END,
  counted_bytes = CASE WHEN clean_up_item.fingerprint = excluded.fingerprint THEN clean_up_item.counted_bytes ELSE 0 END,
  tried_us = CASE WHEN clean_up_item.fingerprint = excluded.fingerprint THEN clean_up_item.tried_us ELSE 0 END,
  cause = CASE WHEN clean_up_item.fingerprint = excluded.fingerprint THEN clean_up_item.cause ELSE '' END,
  fingerprint = excluded.fingerprint;

-- name: WithdrawCleanUpItem :exec
UPDATE clean_up_item SET state = 'withdrawn', reason = '', next_us = 0, counted_us = 0, fingerprint = ''
WHERE tenant = @tenant AND device = @device AND item = @item;

-- name: CountedCleanUp :exec
UPDATE clean_up_item SET counted_us = @counted_us, counted_files = @counted_files, counted_bytes = @counted_bytes, places = @places, cause = ''
WHERE tenant = @tenant AND device = @device AND item = @item AND fingerprint = @fingerprint;

-- name: CleanedCleanUp :exec
UPDATE clean_up_item SET cleaned_us = @cleaned_us, freed_files = freed_files + @files, freed_bytes = freed_bytes + @bytes,
  at_least = CASE WHEN CAST(@at_least AS BIGINT) = 1 THEN 1 ELSE at_least END, places = @places, cause = @cause
WHERE tenant = @tenant AND device = @device AND item = @item;

-- name: TriedCleanUp :exec
UPDATE clean_up_item SET tried_us = @tried_us, cause = @cause WHERE tenant = @tenant AND device = @device AND item = @item;

-- name: CleanUpApprovals :many
SELECT * FROM clean_up_approval WHERE tenant = @tenant ORDER BY item, device;

-- name: AddCleanUpApproval :execrows
INSERT INTO clean_up_approval (tenant, item, fingerprint, device, actor, at_us)
VALUES (@tenant, @item, @fingerprint, @device, @actor, @at_us)
ON CONFLICT (tenant, item, fingerprint, device) DO NOTHING;

-- DropCleanUpApprovals takes an item's approvals back: on one device, or all.
-- name: DropCleanUpApprovals :execrows
DELETE FROM clean_up_approval WHERE tenant = @tenant AND item = @item AND (device = @device OR CAST(@every AS BIGINT) = 1);
