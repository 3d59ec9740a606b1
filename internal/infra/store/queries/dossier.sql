-- name: AddDossierRevision :exec
INSERT INTO dossier_revision (tenant, campaign, revision, lang, reason, actor, at_us)
VALUES (@tenant, @campaign, @revision, @lang, @reason, @actor, @at_us);

-- name: AddDossierFile :exec
INSERT INTO dossier_file (tenant, campaign, revision, format, sha256, size, body)
VALUES (@tenant, @campaign, @revision, @format, @sha256, @size, @body);

-- name: DossierFile :one
SELECT * FROM dossier_file WHERE tenant = @tenant AND campaign = @campaign AND revision = @revision AND format = @format;

-- MissedDevices are the devices that a campaign has not brought to its content,
-- once for each amendment that they lack.
-- name: MissedDevices :many
SELECT x.device, d.name, x.bucket, x.reason FROM campaign_device x JOIN device d ON d.tenant = x.tenant AND d.id = x.device
WHERE x.tenant = @tenant AND x.campaign = @campaign AND x.bucket IN ('failed', 'not_reached', 'unreachable') AND d.retired_us = 0
ORDER BY d.name, x.device, x.amendment LIMIT @max;

-- MissedItems are what those devices lack of the content.
-- name: MissedItems :many
SELECT x.device, i.id AS item FROM campaign_device x
CROSS JOIN campaign_item i CROSS JOIN missing m
WHERE x.tenant = @tenant AND x.campaign = @campaign AND x.bucket IN ('failed', 'not_reached', 'unreachable')
  AND i.tenant = x.tenant AND i.campaign = x.campaign AND i.amendment = x.amendment AND i.withdrawn_us = 0
  AND m.tenant = x.tenant AND m.device = x.device AND m.patch = i.id
ORDER BY x.amendment, x.device, i.id LIMIT @max;

-- DevicesWithTask have an open manual task of the campaign already.
-- name: DevicesWithTask :many
SELECT DISTINCT t.device FROM task t WHERE t.tenant = @tenant AND t.campaign = @campaign AND t.closed_us = 0 AND t.device <> '';

-- OpenCatchUps are the emergencies for what a campaign missed that still run.
-- name: OpenCatchUps :many
SELECT c.name FROM campaign_emergency e JOIN campaign c ON c.tenant = e.tenant AND c.id = e.campaign
WHERE e.tenant = @tenant AND e.cause = 'missed' AND e.reference = @campaign AND c.state <> 'closed' ORDER BY c.id;
