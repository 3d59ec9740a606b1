-- Heard is the last sample of a device, and how many of its services it named
-- as down: in one question, for it is asked with every sample.
-- name: Heard :many
SELECT sqlc.embed(s), (SELECT count(*) FROM service_down v WHERE v.tenant = s.tenant AND v.device = s.device) AS down
FROM device_sample s WHERE s.tenant = @tenant AND s.device = @device;

-- name: ServicesOfDevice :many
SELECT * FROM service_down WHERE tenant = @tenant AND device = @device ORDER BY name;

-- name: PutServiceDown :exec
INSERT INTO service_down (tenant, device, name, up_us, since_us, boot_id, boot_us)
VALUES (@tenant, @device, @name, @up_us, @since_us, @boot_id, @boot_us)
ON CONFLICT (tenant, device, name) DO UPDATE SET up_us = excluded.up_us, since_us = excluded.since_us, boot_id = excluded.boot_id, boot_us = excluded.boot_us;

-- name: DropServiceDown :exec
DELETE FROM service_down WHERE tenant = @tenant AND device = @device AND name = @name;

-- name: DropServicesDown :exec
DELETE FROM service_down WHERE tenant = @tenant AND device = @device;

-- SetOrderBegan notes when an order first began to install.
-- name: SetOrderBegan :exec
UPDATE device_order SET began_us = @began_us WHERE tenant = @tenant AND id = @id AND device = @device AND began_us = 0;

-- ServicesDown are services of patched devices of a ring that ran shortly before
-- an install began and do not since, and that are still down so long after the
-- end of the install and their boot that nothing is merely starting. A device
-- with several installs has several rows.
-- name: ServicesDown :many
SELECT v.name, v.device, v.since_us, d.name AS device_name, d.kind, o.began_us FROM service_down v
JOIN campaign_device c ON c.tenant = v.tenant AND c.device = v.device
JOIN device_sample s ON s.tenant = v.tenant AND s.device = v.device
JOIN device d ON d.tenant = v.tenant AND d.id = v.device
JOIN device_order o ON o.tenant = v.tenant AND o.device = v.device
WHERE v.tenant = @tenant AND v.up_us > 0 AND v.since_us >= @from_us
  AND c.campaign = @campaign AND c.amendment = @amendment AND c.position = @position AND d.retired_us = 0
  AND o.campaign = c.campaign AND o.amendment = c.amendment AND o.kind = 'install'
  AND o.began_us > 0 AND o.began_us <= v.since_us AND o.began_us - v.up_us <= @fresh_us
  AND s.services_us - v.boot_us >= @settle_us
  AND (SELECT MAX(i.updated_us) FROM campaign_device_item i
    WHERE i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device AND i.amendment = c.amendment
      AND i.state IN ('installed_pending_reboot', 'rebooting', 'verifying', 'verified', 'failed')) <= s.services_us - @settle_us
ORDER BY v.since_us, v.device, v.name LIMIT @max;

-- ServicesHeard counts the devices that tell of their services: those of a ring
-- that have something of the content, and those of it and the later ones that
-- have not.
-- name: ServicesHeard :many
SELECT d.kind, CAST(CASE WHEN EXISTS (SELECT 1 FROM campaign_device_item i WHERE i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device
    AND i.state IN ('installing', 'installed_pending_reboot', 'rebooting', 'verifying', 'verified', 'failed', 'rolled_back')) THEN 1 ELSE 0 END AS BIGINT) AS touched,
  CAST(CASE WHEN c.position = @position THEN 1 ELSE 0 END AS BIGINT) AS here, count(*) AS devices
FROM campaign_device c
JOIN device d ON d.tenant = c.tenant AND d.id = c.device
JOIN device_sample s ON s.tenant = c.tenant AND s.device = c.device
WHERE c.tenant = @tenant AND c.campaign = @campaign AND c.amendment = @amendment AND c.position >= @position AND d.retired_us = 0 AND s.services_us >= @heard_us
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- ServicesDownElsewhere counts, by service, the devices that the content has
-- not come to and on which it stopped in the same time.
-- name: ServicesDownElsewhere :many
SELECT v.name, d.kind, count(DISTINCT v.device) AS devices FROM service_down v
JOIN campaign_device c ON c.tenant = v.tenant AND c.device = v.device
JOIN device_sample s ON s.tenant = v.tenant AND s.device = v.device
JOIN device d ON d.tenant = v.tenant AND d.id = v.device
WHERE v.tenant = @tenant AND v.up_us > 0 AND v.since_us >= @from_us
  AND c.campaign = @campaign AND c.amendment = @amendment AND c.position >= @position AND d.retired_us = 0
  AND s.services_us - v.boot_us >= @settle_us AND s.services_us >= @heard_us
  AND NOT EXISTS (SELECT 1 FROM campaign_device_item i WHERE i.tenant = c.tenant AND i.campaign = c.campaign AND i.device = c.device
    AND i.state IN ('installing', 'installed_pending_reboot', 'rebooting', 'verifying', 'verified', 'failed', 'rolled_back'))
GROUP BY v.name, d.kind ORDER BY v.name, d.kind;

-- ItemsInstalled are the patches of an amendment that a device has, or failed at.
-- name: ItemsInstalled :many
SELECT item FROM campaign_device_item WHERE tenant = @tenant AND campaign = @campaign AND device = @device AND amendment = @amendment
  AND state IN ('installed_pending_reboot', 'rebooting', 'verifying', 'verified', 'failed') ORDER BY item;
