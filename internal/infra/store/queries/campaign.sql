-- name: AddProcedure :exec
INSERT INTO procedure_version (tenant, name, version, body, sha256, actor, at_us)
VALUES (@tenant, @name, @version, @body, @sha256, @actor, @at_us);

-- name: LatestProcedure :one
SELECT * FROM procedure_version WHERE tenant = @tenant AND name = @name ORDER BY version DESC LIMIT 1;

-- name: ProcedureVersion :one
SELECT * FROM procedure_version WHERE tenant = @tenant AND name = @name AND version = @version;

-- name: LatestProcedures :many
SELECT p.* FROM procedure_version p
WHERE p.tenant = @tenant AND p.version = (SELECT max(q.version) FROM procedure_version q WHERE q.tenant = p.tenant AND q.name = p.name)
ORDER BY p.name;

-- name: AddCampaign :exec
INSERT INTO campaign (tenant, id, name, procedure_name, procedure_version, state, origin, schedule, patches, day_us, windows, starts_us, verification_us, created_us, actor, due_us)
VALUES (@tenant, @id, @name, @procedure_name, @procedure_version, @state, @origin, @schedule, @patches, @day_us, @windows, @starts_us, @verification_us, @created_us, @actor, @due_us);

-- name: Campaign :one
SELECT * FROM campaign WHERE tenant = @tenant AND id = @id;

-- name: CampaignByName :one
SELECT * FROM campaign WHERE tenant = @tenant AND name = @name;

-- name: OpenCampaigns :many
SELECT * FROM campaign WHERE tenant = @tenant AND state <> 'closed' ORDER BY created_us;

-- ClaimCampaigns takes the campaigns that are due, for as long as the lease.
-- name: ClaimCampaigns :many
UPDATE campaign SET lease_us = @lease_us
WHERE due_us <= @now_us AND lease_us < @now_us AND state <> 'closed'
RETURNING *;

-- SetCampaignDue plans the next look, unless someone touched it meanwhile
-- (due_us moved below what this look had seen).
-- name: SetCampaignDue :exec
UPDATE campaign SET due_us = CASE WHEN due_us < @seen_us THEN due_us ELSE @due_us END, lease_us = 0
WHERE tenant = @tenant AND id = @id;

-- name: TouchCampaign :exec
UPDATE campaign SET due_us = 0 WHERE tenant = @tenant AND id = @id AND state <> 'closed';

-- name: SetCampaignState :exec
UPDATE campaign SET state = @state, started_us = @started_us, sealed_us = @sealed_us, verified_us = @verified_us, closed_us = @closed_us
WHERE tenant = @tenant AND id = @id;

-- name: AddAmendment :exec
INSERT INTO campaign_amendment (tenant, campaign, number, reason, actor, created_us)
VALUES (@tenant, @campaign, @number, @reason, @actor, @created_us);

-- name: Amendments :many
SELECT * FROM campaign_amendment WHERE tenant = @tenant AND campaign = @campaign ORDER BY number;

-- name: AddItem :exec
INSERT INTO campaign_item (tenant, campaign, id, amendment, provider, name, version, suite, promoted)
VALUES (@tenant, @campaign, @id, @amendment, @provider, @name, @version, @suite, @promoted);

-- Items come with what the catalogue knows of their patch.
-- name: Items :many
SELECT sqlc.embed(i), CAST(COALESCE(p.class, '') AS TEXT) AS class, CAST(COALESCE(p.origin, '') AS TEXT) AS origin,
  CAST(COALESCE(p.summary, '') AS TEXT) AS summary, CAST(COALESCE(p.download_bytes, 0) AS BIGINT) AS download_bytes,
  CAST(COALESCE(p.first_seen_us, 0) AS BIGINT) AS first_seen_us, CAST(COALESCE(p.severity, '') AS TEXT) AS severity,
  CAST(COALESCE(p.cves, '') AS TEXT) AS cves, CAST(COALESCE(p.exploited, 0) AS BIGINT) AS exploited
FROM campaign_item i LEFT JOIN patch p ON p.tenant = i.tenant AND p.id = i.id
WHERE i.tenant = @tenant AND i.campaign = @campaign ORDER BY i.amendment, i.name, i.version;

-- name: PromoteItems :exec
UPDATE campaign_item SET promoted = @promoted
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND withdrawn_us = 0 AND promoted < @promoted;

-- name: WithdrawItem :execrows
UPDATE campaign_item SET withdrawn_us = @withdrawn_us, withdrawn_by = @withdrawn_by, withdrawn_reason = @withdrawn_reason
WHERE tenant = @tenant AND campaign = @campaign AND id = @id AND withdrawn_us = 0;

-- name: AddRing :exec
INSERT INTO campaign_ring (tenant, campaign, amendment, position, ring, state, opens_us, closes_us)
VALUES (@tenant, @campaign, @amendment, @position, @ring, @state, @opens_us, @closes_us);

-- name: Rings :many
SELECT * FROM campaign_ring WHERE tenant = @tenant AND campaign = @campaign ORDER BY amendment, position;

-- name: SetRing :exec
UPDATE campaign_ring SET state = @state, verdict = @verdict, reasons = @reasons, evidence = @evidence,
  opened_us = @opened_us, soak_until_us = @soak_until_us, decided_us = @decided_us
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND position = @position;

-- name: ExpediteRing :execrows
UPDATE campaign_ring SET expedited_by = @expedited_by, expedited_why = @expedited_why
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND position = @position;

-- name: AddRingCounts :exec
UPDATE campaign_ring SET done = done + @done, failed = failed + @failed, not_reached = not_reached + @not_reached,
  unreachable = unreachable + @unreachable, exempt = exempt + @exempt
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND position = @position;

-- name: AddCampaignDevice :execrows
INSERT INTO campaign_device (tenant, campaign, amendment, device, position, goal, bucket, due_us, updated_us)
VALUES (@tenant, @campaign, @amendment, @device, @position, 'install', 'not_reached', @due_us, @updated_us)
ON CONFLICT (tenant, campaign, amendment, device) DO NOTHING;

-- ClaimCampaignDevices takes a batch of devices that are due.
-- name: ClaimCampaignDevices :many
UPDATE campaign_device SET lease_us = @lease_us
WHERE (tenant, campaign, amendment, device) IN (
  SELECT c.tenant, c.campaign, c.amendment, c.device FROM campaign_device c
  WHERE c.due_us <= @now_us AND c.lease_us < @now_us ORDER BY c.due_us LIMIT @max)
  AND lease_us < @now_us
RETURNING *;

-- name: CampaignDevice :one
SELECT * FROM campaign_device WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND device = @device;

-- name: CampaignDevicesOfDevice :many
SELECT * FROM campaign_device WHERE tenant = @tenant AND device = @device ORDER BY campaign, amendment;

-- name: SetCampaignDevice :exec
UPDATE campaign_device SET bucket = @bucket, reason = @reason, order_id = @order_id,
  due_us = CASE WHEN due_us < @seen_us THEN due_us ELSE @due_us END, lease_us = 0, updated_us = @updated_us
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND device = @device;

-- name: MoveDevice :execrows
UPDATE campaign_device SET position = @position, due_us = 0
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND device = @device;

-- name: TouchDeviceRows :execrows
UPDATE campaign_device SET due_us = 0 WHERE tenant = @tenant AND device = @device;

-- name: TouchRingDevices :execrows
UPDATE campaign_device SET due_us = 0
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND position <= @position;

-- name: TouchCampaignDevices :execrows
UPDATE campaign_device SET due_us = 0 WHERE tenant = @tenant AND campaign = @campaign;

-- name: ParkCampaignDevices :exec
UPDATE campaign_device SET due_us = 9223372036854775807 WHERE tenant = @tenant AND campaign = @campaign;

-- name: RingDevicesAfter :many
SELECT * FROM campaign_device
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND position = @position AND device > @device
ORDER BY device LIMIT @max;

-- name: DeviceItems :many
SELECT * FROM campaign_device_item WHERE tenant = @tenant AND campaign = @campaign AND device = @device ORDER BY item;

-- name: ItemsOfDevice :many
SELECT * FROM campaign_device_item WHERE tenant = @tenant AND device = @device ORDER BY campaign, item;

-- name: PutDeviceItem :exec
INSERT INTO campaign_device_item (tenant, campaign, device, item, amendment, state, reason, attempts, no_effects, rollback, packages, next_us, updated_us, rollback_impossible,
  rehearsal, rehearsal_back_us, rehearsal_again_us, rehearsal_why)
VALUES (@tenant, @campaign, @device, @item, @amendment, @state, @reason, @attempts, @no_effects, @rollback, @packages, @next_us, @updated_us, @rollback_impossible,
  @rehearsal, @rehearsal_back_us, @rehearsal_again_us, @rehearsal_why)
ON CONFLICT (tenant, campaign, device, item) DO UPDATE SET state = excluded.state, reason = excluded.reason,
  attempts = excluded.attempts, no_effects = excluded.no_effects, rollback = excluded.rollback,
  packages = excluded.packages, next_us = excluded.next_us, updated_us = excluded.updated_us, rollback_impossible = excluded.rollback_impossible,
  rehearsal = excluded.rehearsal, rehearsal_back_us = excluded.rehearsal_back_us, rehearsal_again_us = excluded.rehearsal_again_us,
  rehearsal_why = excluded.rehearsal_why;

-- name: AddHold :exec
INSERT INTO hold (tenant, id, campaign, ring, item, device, reason, actor, placed_us)
VALUES (@tenant, @id, @campaign, @ring, @item, @device, @reason, @actor, @placed_us);

-- name: HoldsInForce :many
SELECT * FROM hold WHERE tenant = @tenant AND lifted_us = 0 ORDER BY placed_us, id;

-- name: LiftHold :execrows
UPDATE hold SET lifted_us = @lifted_us, lifted_by = @lifted_by WHERE tenant = @tenant AND id = @id AND lifted_us = 0;

-- name: AddSignOff :exec
INSERT INTO sign_off (tenant, id, campaign, amendment, position, role, decision, comment, ticked, actor, at_us)
VALUES (@tenant, @id, @campaign, @amendment, @position, @role, @decision, @comment, @ticked, @actor, @at_us);

-- name: SignOffs :many
SELECT * FROM sign_off WHERE tenant = @tenant AND campaign = @campaign ORDER BY at_us, id;

-- name: AddOrder :exec
INSERT INTO device_order (tenant, id, device, serial, campaign, amendment, kind, envelope, state, issued_us, expires_us)
VALUES (@tenant, @id, @device, @serial, @campaign, @amendment, @kind, @envelope, 'open', @issued_us, @expires_us);

-- name: Order :one
SELECT * FROM device_order WHERE tenant = @tenant AND id = @id;

-- name: OpenOrders :many
SELECT * FROM device_order WHERE tenant = @tenant AND device = @device AND state = 'open' ORDER BY serial;

-- name: SetOrderStep :exec
UPDATE device_order SET step = @step, step_us = @step_us, cause = @cause, next_us = @next_us WHERE tenant = @tenant AND id = @id AND state = 'open';

-- name: CloseOrder :execrows
UPDATE device_order SET state = @state, step = @step, step_us = @step_us, cause = @cause, next_us = 0 WHERE tenant = @tenant AND id = @id AND state = 'open';

-- EndOrder keeps when the result of an order came, also of one that was closed
-- here before.
-- name: EndOrder :exec
UPDATE device_order SET ended_us = @now_us WHERE tenant = @tenant AND id = @id;

-- name: SetEnlisted :exec
UPDATE campaign SET enlisted = @enlisted WHERE tenant = @tenant AND id = @id;

-- DevicesToEnlist pages over the devices that a campaign has not considered.
-- name: DevicesToEnlist :many
SELECT * FROM device d WHERE d.tenant = @tenant AND d.arrival > @arrival ORDER BY d.arrival LIMIT @max;

-- name: WantCampaignScans :exec
UPDATE device SET scan_wanted = 1
WHERE device.tenant = @tenant AND device.id IN (SELECT d.device FROM campaign_device d WHERE d.tenant = @tenant AND d.campaign = @campaign AND d.amendment = 0);

-- CountUnscanned counts the reachable members whose last scan is older than an instant.
-- name: CountUnscanned :one
SELECT count(*) FROM campaign_device c JOIN device d ON d.tenant = c.tenant AND d.id = c.device
WHERE c.tenant = @tenant AND c.campaign = @campaign AND c.amendment = 0 AND d.retired_us = 0
  AND d.scan_us < @before_us AND d.seen_us >= @reachable_us;

-- PerimeterPatches lists what members of a campaign miss now.
-- name: PerimeterPatches :many
SELECT p.* FROM patch p WHERE p.tenant = @tenant AND p.devices > 0 AND EXISTS (
  SELECT 1 FROM missing m JOIN campaign_device c ON c.tenant = m.tenant AND c.device = m.device
  WHERE m.tenant = p.tenant AND m.patch = p.id AND c.campaign = @campaign AND c.amendment = 0)
ORDER BY p.id;

-- CopyMembers gives an amendment the members of the sealed content.
-- name: CopyMembers :exec
INSERT INTO campaign_device (tenant, campaign, amendment, device, position, goal, bucket, due_us, updated_us)
SELECT c.tenant, c.campaign, @amendment, c.device, c.position, 'install', 'not_reached', 0, @updated_us
FROM campaign_device c WHERE c.tenant = @tenant AND c.campaign = @campaign AND c.amendment = 0;

-- CountMembers counts members by ring.
-- name: CountMembers :many
SELECT position, count(*) AS members FROM campaign_device
WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment GROUP BY position ORDER BY position;

-- NextDue is when the conductor has something to look at.
-- name: NextDue :one
SELECT CAST(min(due_us) AS BIGINT) AS due_us FROM (
  SELECT COALESCE(min(c.due_us), 9223372036854775807) AS due_us FROM campaign c WHERE c.state <> 'closed'
  UNION ALL SELECT COALESCE(min(d.due_us), 9223372036854775807) FROM campaign_device d
  UNION ALL SELECT COALESCE(min(p.due_us), 9223372036854775807) FROM pending_reboot p) due;

-- TouchAllCampaigns makes every open campaign look at everything again.
-- name: TouchAllCampaigns :exec
UPDATE campaign SET due_us = 0 WHERE state <> 'closed';

-- name: TouchActiveDevices :execrows
UPDATE campaign_device SET due_us = 0 WHERE due_us > 0 AND EXISTS (
  SELECT 1 FROM campaign c WHERE c.tenant = campaign_device.tenant AND c.id = campaign_device.campaign
  AND c.state IN ('running', 'verifying'));

-- name: TouchDevicesWithItem :execrows
UPDATE campaign_device SET due_us = 0
WHERE campaign_device.tenant = @tenant AND campaign_device.campaign = @campaign AND campaign_device.device IN (
  SELECT i.device FROM campaign_device_item i WHERE i.tenant = @tenant AND i.campaign = @campaign AND i.item = @item);

-- name: CancelOrders :many
SELECT * FROM device_order WHERE tenant = @tenant AND campaign = @campaign AND state = 'open';

-- name: SetHolds :exec
UPDATE tenant SET holds = @holds WHERE id = @id;

-- name: Hold :one
SELECT * FROM hold WHERE tenant = @tenant AND id = @id;

-- name: CampaignDevicesIn :many
SELECT * FROM campaign_device
WHERE tenant = @tenant AND campaign = @campaign AND device = @device ORDER BY amendment;

-- CountRollbackImpossible moves the number of the ring that a device is in.
-- name: CountRollbackImpossible :exec
UPDATE campaign_ring SET rollback_impossible = rollback_impossible + @delta
WHERE campaign_ring.tenant = @tenant AND campaign_ring.campaign = @campaign AND campaign_ring.amendment = @amendment AND campaign_ring.position = (
  SELECT c.position FROM campaign_device c
  WHERE c.tenant = @tenant AND c.campaign = @campaign AND c.amendment = @amendment AND c.device = @device);

-- RollbackImpossibleOf counts a device's items whose rollback is impossible, by campaign
-- and amendment.
-- name: RollbackImpossibleOf :many
SELECT campaign, amendment, count(*) AS items FROM campaign_device_item
WHERE tenant = @tenant AND device = @device AND rollback_impossible = 1 GROUP BY campaign, amendment;

-- ForgetRollbackImpossible: nobody puts anything back on a device that has left.
-- name: ForgetRollbackImpossible :exec
UPDATE campaign_device_item SET rollback_impossible = 0
WHERE tenant = @tenant AND campaign = @campaign AND device = @device AND rollback_impossible = 1;

-- Unseat takes a device out of a campaign that has done nothing on it yet.
-- name: Unseat :execrows
DELETE FROM campaign_device WHERE tenant = @tenant AND campaign = @campaign AND amendment = @amendment AND device = @device;
