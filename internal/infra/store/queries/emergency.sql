-- name: AddEmergency :exec
INSERT INTO campaign_emergency (tenant, campaign, cause, reference, reason, through_freeze, asked_by)
VALUES (@tenant, @campaign, @cause, @reference, @reason, @through_freeze, @asked_by);

-- name: Emergency :one
SELECT * FROM campaign_emergency WHERE tenant = @tenant AND campaign = @campaign;

-- name: ApproveEmergency :exec
UPDATE campaign_emergency SET approved_us = @approved_us WHERE tenant = @tenant AND campaign = @campaign;

-- Reschedule gives a campaign that has not begun other dates.
-- name: Reschedule :exec
UPDATE campaign SET schedule = @schedule, starts_us = @starts_us, verification_us = @verification_us WHERE tenant = @tenant AND id = @id;

-- name: RescheduleRing :exec
UPDATE campaign_ring SET opens_us = @opens_us, closes_us = @closes_us
WHERE tenant = @tenant AND campaign = @campaign AND amendment = 0 AND position = @position;

-- MissedPatches are what devices of a campaign that it has not brought to its
-- content still lack of it: those versions, or what has taken their place.
-- CROSS JOIN keeps SQLite from walking through everything that is missing.
-- name: MissedPatches :many
SELECT DISTINCT p.* FROM campaign_device d CROSS JOIN missing m CROSS JOIN patch p CROSS JOIN campaign_item i CROSS JOIN device v
WHERE d.tenant = @tenant AND d.campaign = @campaign AND d.bucket IN ('failed', 'not_reached', 'unreachable')
  AND m.tenant = d.tenant AND m.device = d.device
  AND p.tenant = m.tenant AND p.id = m.patch
  AND i.tenant = d.tenant AND i.campaign = d.campaign AND i.withdrawn_us = 0 AND i.provider = p.provider AND i.name = p.name AND i.suite = p.suite
  AND v.tenant = d.tenant AND v.id = d.device AND v.retired_us = 0
ORDER BY p.name, p.id;

-- CampaignOrigin is what created a campaign.
-- name: CampaignOrigin :one
SELECT origin FROM campaign WHERE tenant = @tenant AND id = @id;
