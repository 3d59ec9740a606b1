-- +goose Up
-- What the faces need: answers kept for repeated writes, and the indexes that
-- lists of what is rare walk instead of the fleet.

-- An answer to a write that carried an Idempotency-Key, kept for a day. The
-- row is there before the act (status 0), so two at once cannot both act.
CREATE TABLE idempotency (
  tenant     TEXT NOT NULL,
  account    TEXT NOT NULL,
  key        TEXT NOT NULL,
  request    TEXT NOT NULL, -- SHA-256 of method, path and body
  status     BIGINT NOT NULL,
  body       BYTEA NOT NULL,
  created_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, account, key)
);
CREATE INDEX idempotency_created ON idempotency (created_us);

CREATE INDEX device_missing ON device (tenant, missing_security, id);
CREATE INDEX device_failing ON device (tenant, name, id) WHERE failing > 0;
CREATE INDEX device_rebooting ON device (tenant, name, id) WHERE reboot_pending = 1;
CREATE INDEX device_unready ON device (tenant, name, id) WHERE scan_status <> 'ok';
CREATE INDEX device_unscanned ON device (tenant, name, id) WHERE scan_us = 0;
CREATE INDEX device_duplicate ON device (tenant, name, id) WHERE duplicate_of <> '';
CREATE INDEX device_retired ON device (tenant, name, id) WHERE retired_us > 0;
CREATE INDEX patch_missing ON patch (tenant, devices, id);
CREATE INDEX enrollment_created ON enrollment (tenant, created_us, id);

-- +goose Down
DROP INDEX enrollment_created;
DROP INDEX patch_missing;
DROP INDEX device_retired;
DROP INDEX device_duplicate;
DROP INDEX device_unscanned;
DROP INDEX device_unready;
DROP INDEX device_rebooting;
DROP INDEX device_failing;
DROP INDEX device_missing;
DROP TABLE idempotency;
