-- name: AddRollback :exec
INSERT INTO campaign_rollback (tenant, campaign, undoes, ring, device, item, reason, asked_by, by_ring)
VALUES (@tenant, @campaign, @undoes, @ring, @device, @item, @reason, @asked_by, @by_ring);

-- name: Rollback :one
SELECT * FROM campaign_rollback WHERE tenant = @tenant AND campaign = @campaign;

-- ToUndo are the items that a campaign put on devices, or may be putting there
-- now, and that no rollback has yet.
-- name: ToUndo :many
SELECT sqlc.embed(i), c.position, d.name AS device_name, CAST(COALESCE((
  SELECT max(o.step) FROM device_order o
  WHERE o.tenant = i.tenant AND o.device = i.device AND o.state = 'open' AND o.campaign = i.campaign AND o.amendment = i.amendment AND o.kind = 'install'), 'none') AS TEXT) AS step
FROM campaign_device_item i
JOIN campaign_device c ON c.tenant = i.tenant AND c.campaign = i.campaign AND c.amendment = i.amendment AND c.device = i.device
JOIN device d ON d.tenant = i.tenant AND d.id = i.device
WHERE i.tenant = @tenant AND i.campaign = @campaign AND d.retired_us = 0 AND i.rollback = 0
  AND i.state NOT IN ('rolled_back', 'not_applicable', 'superseded')
ORDER BY i.device, i.item;

-- OpenRollbacks are those of a campaign that have not ended, the newest first.
-- name: OpenRollbacks :many
SELECT r.* FROM campaign_rollback r JOIN campaign c ON c.tenant = r.tenant AND c.id = r.campaign
WHERE r.tenant = @tenant AND r.undoes = @undoes AND c.state <> 'closed' ORDER BY r.campaign DESC;

-- name: AddUndoItem :execrows
INSERT INTO campaign_item (tenant, campaign, id, amendment, provider, name, version, suite, promoted)
VALUES (@tenant, @campaign, @id, 0, @provider, @name, @version, @suite, @promoted)
ON CONFLICT (tenant, campaign, id) DO NOTHING;

-- name: AddUndoDevice :execrows
INSERT INTO campaign_device (tenant, campaign, amendment, device, position, goal, bucket, windows, due_us, updated_us)
VALUES (@tenant, @campaign, 0, @device, @position, 'rollback', 'not_reached', @windows, 0, @updated_us)
ON CONFLICT (tenant, campaign, amendment, device) DO NOTHING;

-- Rehearsals are, by item, what the devices of the first ring know of its way
-- back: those that have it, or had it for a rehearsal. One that was retired has
-- nothing left to rehearse; what it had rehearsed to the end was seen.
-- name: Rehearsals :many
SELECT i.item, i.amendment, count(*) AS installed,
  CAST(sum(i.rollback_impossible) AS BIGINT) AS impossible,
  CAST(sum(CASE WHEN i.rehearsal <> '' THEN 1 ELSE 0 END) AS BIGINT) AS begun,
  CAST(sum(CASE WHEN i.rehearsal = 'done' THEN 1 ELSE 0 END) AS BIGINT) AS done,
  CAST(max(i.rehearsal_back_us) AS BIGINT) AS back_us
FROM campaign_amendment a CROSS JOIN campaign_device c CROSS JOIN campaign_device_item i CROSS JOIN device d
WHERE a.tenant = @tenant AND a.campaign = @campaign AND c.tenant = a.tenant AND c.campaign = a.campaign AND c.amendment = a.number AND c.position = 0 AND i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device
  AND i.amendment = c.amendment AND i.rollback = 0 AND i.packages <> '[]' AND i.rehearsal <> 'moot'
  AND (i.rehearsal <> '' OR i.state IN ('verified', 'installed_pending_reboot'))
  AND d.tenant = c.tenant AND d.id = c.device AND (d.retired_us = 0 OR i.rehearsal = 'done')
GROUP BY i.item, i.amendment;

-- RollbackExceptions are those in force that cover a rollback, with their patch.
-- name: RollbackExceptions :many
SELECT sqlc.embed(e), p.provider, p.name, p.version, p.suite FROM exception e JOIN patch p ON p.tenant = e.tenant AND p.id = e.patch
WHERE e.tenant = @tenant AND e.ended_us = 0 AND e.rollback <> '' ORDER BY e.id;

-- StillOpen counts the members of a rollback that miss some version of a name.
-- CROSS JOIN keeps SQLite from walking through everything that is missing.
-- name: StillOpen :one
SELECT count(*) FROM campaign_device c CROSS JOIN missing m CROSS JOIN patch p CROSS JOIN device d
WHERE c.tenant = @tenant AND c.campaign = @campaign AND m.tenant = c.tenant AND m.device = c.device AND p.tenant = m.tenant AND p.id = m.patch
  AND d.tenant = c.tenant AND d.id = c.device AND d.retired_us = 0 AND p.provider = @provider AND p.name = @name AND p.suite = @suite;

-- Strays are items of a campaign that were asked back and that landed on their
-- device after every rollback that had them was closed; with the last of those.
-- name: Strays :many
SELECT i.device, i.item, i.amendment, CAST(MAX(c.id) AS TEXT) AS rollback FROM campaign_rollback r
JOIN campaign c ON c.tenant = r.tenant AND c.id = r.campaign
JOIN campaign_device_item u ON u.tenant = r.tenant AND u.campaign = r.campaign
JOIN campaign_device_item i ON i.tenant = r.tenant AND i.campaign = r.undoes AND i.device = u.device AND i.item = u.item
JOIN device d ON d.tenant = i.tenant AND d.id = i.device
WHERE r.tenant = @tenant AND r.undoes = @undoes AND i.rollback = 1 AND i.state IN ('verified', 'installed_pending_reboot', 'failed') AND d.retired_us = 0
GROUP BY i.device, i.item, i.amendment, i.updated_us
HAVING MIN(CASE WHEN c.state = 'closed' THEN 1 ELSE 0 END) = 1 AND i.updated_us > MAX(c.closed_us)
ORDER BY i.device, i.item LIMIT @max;
