-- name: AddPolicyVersion :exec
INSERT INTO policy_version (tenant, version, name, body, sha256, actor, at_us)
VALUES (@tenant, @version, @name, @body, @sha256, @actor, @at_us);

-- PolicyInForce is the last version, if there is one.
-- name: PolicyInForce :many
SELECT * FROM policy_version WHERE tenant = @tenant ORDER BY version DESC LIMIT 1;

-- PolicyHead tells whether the version in force is another one, without its text.
-- name: PolicyHead :one
SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) FROM policy_version WHERE tenant = @tenant;

-- name: PolicyVersion :one
SELECT * FROM policy_version WHERE tenant = @tenant AND version = @version;

-- name: PolicyVersions :many
SELECT tenant, version, name, sha256, actor, at_us FROM policy_version WHERE tenant = @tenant ORDER BY version DESC;

-- name: PutDeviceTraits :exec
INSERT INTO device_traits (tenant, device, traits) VALUES (@tenant, @device, @traits)
ON CONFLICT (tenant, device) DO UPDATE SET traits = excluded.traits;

-- TraitsAfter pages through a fleet.
-- name: TraitsAfter :many
SELECT d.id, d.name, d.kind, d.tags, CAST(COALESCE(t.traits, '') AS TEXT) AS traits
FROM device d LEFT JOIN device_traits t ON t.tenant = d.tenant AND t.device = d.id
WHERE d.tenant = @tenant AND d.retired_us = 0 AND d.id > @id ORDER BY d.id LIMIT @max;

-- MembersAfter pages through the devices of a campaign.
-- name: MembersAfter :many
SELECT device FROM campaign_device WHERE tenant = @tenant AND campaign = @campaign AND amendment = 0 AND device > @device
ORDER BY device LIMIT @max;

-- FirstOrderOf is when a device was first ordered to do anything of a kind for a
-- campaign; 0: never.
-- name: FirstOrderOf :one
SELECT CAST(COALESCE(MIN(issued_us), 0) AS BIGINT) FROM device_order
WHERE tenant = @tenant AND device = @device AND campaign = @campaign AND kind = @kind;
