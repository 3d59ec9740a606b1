-- +goose Up
-- Policies as files: the versions of a tenant's own, and of the provider's for
-- all tenants, which are kept under the tenant ''. The last version is in force.
CREATE TABLE policy_version (
  tenant  TEXT NOT NULL,
  version BIGINT NOT NULL,
  name    TEXT NOT NULL,
  body    TEXT NOT NULL,
  sha256  TEXT NOT NULL,
  actor   TEXT NOT NULL,
  at_us   BIGINT NOT NULL,
  PRIMARY KEY (tenant, version)
);

-- What conditions ask of a device's facts, taken out of them when they arrive:
-- a change of policy is weighed over the whole fleet.
CREATE TABLE device_traits (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  traits TEXT NOT NULL,
  PRIMARY KEY (tenant, device)
);

-- Since when the device lacks the patch or one that it replaces.
ALTER TABLE missing ADD COLUMN exposed_us BIGINT NOT NULL DEFAULT 0;
UPDATE missing SET exposed_us = since_us;

-- +goose Down
ALTER TABLE missing DROP COLUMN exposed_us;
DROP TABLE device_traits;
DROP TABLE policy_version;
