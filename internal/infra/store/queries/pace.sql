-- PaceSamples are those of one patch on one model.
-- name: PaceSamples :many
SELECT samples FROM pace WHERE tenant = @tenant AND patch = @patch AND model = @model;

-- name: TraitsOfDevice :one
SELECT traits FROM device_traits WHERE tenant = @tenant AND device = @device;

-- name: PutPace :exec
INSERT INTO pace (tenant, patch, model, samples, count, download_ms, install_ms, reboot_ms, updated_us)
VALUES (@tenant, @patch, @model, @samples, @count, @download_ms, @install_ms, @reboot_ms, @updated_us)
ON CONFLICT (tenant, patch, model) DO UPDATE SET samples = excluded.samples, count = excluded.count, download_ms = excluded.download_ms,
  install_ms = excluded.install_ms, reboot_ms = excluded.reboot_ms, updated_us = excluded.updated_us;

-- PaceOfCampaign is what is known of the content of a campaign.
-- name: PaceOfCampaign :many
SELECT p.patch, p.model, p.install_ms, p.reboot_ms, p.download_ms FROM pace p
JOIN campaign_item i ON i.tenant = p.tenant AND i.id = p.patch
WHERE p.tenant = @tenant AND i.campaign = @campaign;

-- PaceOfPatch is what is known of one patch, of all models first.
-- name: PaceOfPatch :many
SELECT * FROM pace WHERE tenant = @tenant AND patch = @patch ORDER BY model;

-- PaceSince is what is known of all patches on all models, since an instant.
-- name: PaceSince :many
SELECT patch, install_ms, reboot_ms FROM pace WHERE tenant = @tenant AND model = '' AND updated_us >= @since_us;
