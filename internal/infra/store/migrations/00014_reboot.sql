-- +goose Up
-- Devices that need a reboot, as far as they have said so: only what is open has
-- a row. What outlives a boot is counted here, across orders and campaigns.
CREATE TABLE pending_reboot (
  tenant     TEXT NOT NULL,
  device     TEXT NOT NULL,
  since_us   BIGINT NOT NULL,
  signal     TEXT NOT NULL DEFAULT '',      -- digest of all signals with their details; empty: not read yet
  signals    TEXT NOT NULL DEFAULT '[]',    -- their names
  boot_id    TEXT NOT NULL DEFAULT '',      -- of the boot they were read in
  survived   BIGINT NOT NULL DEFAULT 0,     -- boots that they outlived
  cleared_us BIGINT NOT NULL DEFAULT 0,     -- when they were gone; 0: they are there
  last       TEXT NOT NULL DEFAULT '',      -- why the order before did not help; empty: it did
  last_us    BIGINT NOT NULL DEFAULT 0,
  reason     TEXT NOT NULL DEFAULT '',      -- why it waits
  next_us    BIGINT NOT NULL DEFAULT 0,
  starts_us  BIGINT NOT NULL DEFAULT 0,     -- when its open order may act first; 0: it has none
  due_us     BIGINT NOT NULL,
  lease_us   BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, device)
);
CREATE INDEX pending_reboot_due ON pending_reboot (due_us);
CREATE INDEX pending_reboot_starts ON pending_reboot (tenant, starts_us) WHERE starts_us > 0;
-- Those that said so before say it again, with their signals.
INSERT INTO pending_reboot (tenant, device, since_us, due_us)
SELECT d.tenant, d.id, d.reboot_since_us, 0 FROM device d WHERE d.reboot_pending = 1 AND d.retired_us = 0;
UPDATE device SET part_hashes = '{}' WHERE reboot_pending = 1;

-- How long installs of a patch took on a model of device, and reboots of a model
-- (patch ''): the last samples, and the time within which 19 of 20 stay.
CREATE TABLE pace (
  tenant      TEXT NOT NULL,
  patch       TEXT NOT NULL,
  model       TEXT NOT NULL, -- empty: all models
  samples     TEXT NOT NULL,
  count       BIGINT NOT NULL,
  download_ms BIGINT NOT NULL,
  install_ms  BIGINT NOT NULL,
  reboot_ms   BIGINT NOT NULL,
  updated_us  BIGINT NOT NULL,
  PRIMARY KEY (tenant, patch, model)
);

-- +goose Down
DROP TABLE pace;
DROP TABLE pending_reboot;
