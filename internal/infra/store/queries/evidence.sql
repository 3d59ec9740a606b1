-- OpenedRings are the rings of a tenant's active campaigns that have opened.
-- name: OpenedRings :many
SELECT sqlc.embed(g), c.procedure_name, c.procedure_version, c.schedule FROM campaign_ring g
JOIN campaign c ON c.tenant = g.tenant AND c.id = g.campaign
WHERE c.tenant = @tenant AND c.state IN ('running', 'verifying') AND g.state <> 'pending'
ORDER BY g.campaign, g.amendment, g.position;

-- name: RingEvidence :many
SELECT * FROM ring_evidence WHERE tenant = @tenant AND campaign = @campaign ORDER BY amendment, position;

-- name: PutRingEvidence :exec
INSERT INTO ring_evidence (tenant, campaign, amendment, position, seen, health, shared, first_us, look, look_us, look_patched, proof_us, updated_us)
VALUES (@tenant, @campaign, @amendment, @position, @seen, @health, @shared, @first_us, @look, @look_us, @look_patched, @proof_us, @updated_us)
ON CONFLICT (tenant, campaign, amendment, position) DO UPDATE SET seen = excluded.seen, health = excluded.health, shared = excluded.shared,
  first_us = excluded.first_us, look = excluded.look, look_us = excluded.look_us, look_patched = excluded.look_patched,
  proof_us = excluded.proof_us, updated_us = excluded.updated_us;

-- PatchedDevices are those of a ring on which a scan has verified something of
-- the content, with when it first did.
-- name: PatchedDevices :many
SELECT c.device, d.kind, CAST(MIN(i.updated_us) AS BIGINT) AS patched_us FROM campaign_device c
JOIN campaign_device_item i ON i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device AND i.amendment = c.amendment
JOIN device d ON d.tenant = c.tenant AND d.id = c.device
WHERE c.tenant = @tenant AND c.campaign = @campaign AND c.amendment = @amendment AND c.position = @position
  AND i.state = 'verified' AND d.retired_us = 0
GROUP BY c.device, d.kind ORDER BY c.device;

-- UntouchedDevices are those of later rings that the content has not come to.
-- name: UntouchedDevices :many
SELECT c.device, d.kind FROM campaign_device c
JOIN device d ON d.tenant = c.tenant AND d.id = c.device
WHERE c.tenant = @tenant AND c.campaign = @campaign AND c.amendment = @amendment AND c.position > @position AND d.retired_us = 0
  AND NOT EXISTS (SELECT 1 FROM campaign_device_item i WHERE i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device
    AND i.state IN ('installing', 'installed_pending_reboot', 'rebooting', 'verifying', 'verified', 'failed', 'rolled_back'))
ORDER BY c.device;

-- FailingItems counts the devices of a ring on which each patch fails.
-- name: FailingItems :many
SELECT i.item, count(*) AS devices FROM campaign_device_item i
JOIN campaign_device c ON c.tenant = i.tenant AND c.campaign = i.campaign AND c.amendment = i.amendment AND c.device = i.device
WHERE i.tenant = @tenant AND i.campaign = @campaign AND i.state = 'failed' AND i.amendment = @amendment AND c.position = @position
GROUP BY i.item ORDER BY i.item;

-- FailingEverywhere counts the devices on which a patch fails, over all active
-- campaigns of the tenant.
-- name: FailingEverywhere :many
SELECT i.item, count(*) AS devices, count(DISTINCT i.campaign) AS campaigns FROM campaign c
JOIN campaign_device_item i ON i.tenant = c.tenant AND i.campaign = c.id
WHERE c.tenant = @tenant AND c.state IN ('running', 'verifying') AND i.state = 'failed'
GROUP BY i.item HAVING count(DISTINCT i.campaign) > 1 ORDER BY i.item;

-- NotBack are devices of a ring whose restart began long ago and that were not
-- heard of since. The restart is that of the campaign's own order, or one that
-- was ordered of the device by itself not long after something was installed.
-- name: NotBack :many
SELECT DISTINCT d.name FROM device_order o
JOIN campaign_device c ON c.tenant = o.tenant AND c.device = o.device
JOIN device d ON d.tenant = o.tenant AND d.id = o.device
WHERE o.tenant = @tenant AND o.state = 'open' AND o.step = 'reboot' AND c.campaign = @campaign AND c.amendment = @amendment
  AND c.position = @position AND o.step_us < @before_us AND d.seen_us < @before_us AND d.retired_us = 0
  AND (o.campaign = c.campaign AND o.amendment = c.amendment OR o.campaign = '' AND EXISTS (SELECT 1 FROM campaign_device_item i
    WHERE i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device AND i.amendment = c.amendment
      AND i.state IN ('installing', 'installed_pending_reboot', 'rebooting', 'verifying', 'verified', 'failed', 'rolled_back')
      AND i.updated_us > o.step_us - CAST(@after_us AS BIGINT)))
ORDER BY d.name LIMIT @max;

-- ProbesDown are probes that say no on devices of a ring that were patched, in
-- no order: one would have SQLite walk through all probes.
-- name: ProbesDown :many
SELECT p.name, p.device, d.kind, p.since_us, CAST(COALESCE((SELECT MIN(i.updated_us) FROM campaign_device_item i
  WHERE i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device AND i.amendment = c.amendment
    AND i.state IN ('verified', 'installed_pending_reboot', 'failed')), 0) AS BIGINT) AS patched_us
FROM device_probe p
JOIN campaign_device c ON c.tenant = p.tenant AND c.device = p.device
JOIN device d ON d.tenant = p.tenant AND d.id = p.device
WHERE p.tenant = @tenant AND p.state = 'down' AND c.campaign = @campaign AND c.amendment = @amendment AND c.position = @position
  AND d.retired_us = 0;

-- PatchedKinds counts the devices of a ring that have something of the content.
-- name: PatchedKinds :many
SELECT d.kind, count(*) AS devices FROM campaign_device c
JOIN device d ON d.tenant = c.tenant AND d.id = c.device
WHERE c.tenant = @tenant AND c.campaign = @campaign AND c.amendment = @amendment AND c.position = @position AND d.retired_us = 0
  AND EXISTS (SELECT 1 FROM campaign_device_item i
    WHERE i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device AND i.amendment = c.amendment
      AND i.state IN ('verified', 'installed_pending_reboot', 'failed'))
GROUP BY d.kind ORDER BY d.kind;

-- Complaints counts, by ring and patch, the devices whose users say that it broke
-- something; an empty patch is all that the campaign brought.
-- name: Complaints :many
SELECT c.position, f.patch, count(*) AS devices FROM feedback f
JOIN campaign_device c ON c.tenant = f.tenant AND c.campaign = f.campaign AND c.device = f.device
WHERE f.tenant = @tenant AND f.campaign = @campaign AND f.says = 'broken' AND f.closed_us = 0 AND c.amendment = 0
GROUP BY c.position, f.patch ORDER BY c.position, f.patch;

-- Complainants counts, by ring, the devices with any complaint.
-- name: Complainants :many
SELECT c.position, count(DISTINCT f.device) AS devices FROM feedback f
JOIN campaign_device c ON c.tenant = f.tenant AND c.campaign = f.campaign AND c.device = f.device
WHERE f.tenant = @tenant AND f.campaign = @campaign AND f.says = 'broken' AND f.closed_us = 0 AND c.amendment = 0
GROUP BY c.position ORDER BY c.position;

-- name: DeviceEvidence :many
SELECT * FROM device_evidence WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND position = @position ORDER BY device;

-- name: PutDeviceEvidence :exec
INSERT INTO device_evidence (tenant, campaign, amendment, device, position, patched_us, use_s, probes_down, proven, services_down)
VALUES (@tenant, @campaign, @amendment, @device, @position, @patched_us, @use_s, @probes_down, @proven, @services_down)
ON CONFLICT (tenant, campaign, amendment, device) DO UPDATE SET position = excluded.position, patched_us = excluded.patched_us,
  use_s = excluded.use_s, probes_down = excluded.probes_down, services_down = excluded.services_down, proven = excluded.proven;

-- name: DropDeviceEvidence :exec
DELETE FROM device_evidence WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND device = @device;

-- name: LastEvaluation :many
SELECT * FROM gate_evaluation WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND position = @position
ORDER BY at_us DESC, id DESC LIMIT 1;

-- name: AddEvaluation :exec
INSERT INTO gate_evaluation (tenant, id, campaign, amendment, position, ring, at_us, state, verdict, evidence, reasons, actor)
VALUES (@tenant, @id, @campaign, @amendment, @position, @ring, @at_us, @state, @verdict, @evidence, @reasons, @actor);

-- name: Trips :many
SELECT * FROM breaker_trip WHERE tenant = @tenant AND campaign = @campaign ORDER BY amendment, position, kind, item, service;

-- name: AddTrip :exec
INSERT INTO breaker_trip (tenant, campaign, amendment, position, kind, item, service, hold, at_us)
VALUES (@tenant, @campaign, @amendment, @position, @kind, @item, @service, @hold, @at_us)
ON CONFLICT (tenant, campaign, amendment, position, kind, item, service) DO NOTHING;
