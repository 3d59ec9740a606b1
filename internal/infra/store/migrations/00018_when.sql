-- +goose Up
-- Freezes that people place by hand, beside those of the policies' files. Those
-- for all tenants are kept under the tenant '', as the provider's policy is. A
-- name is never used again: the register speaks of it.
CREATE TABLE freeze_by_hand (
  tenant     TEXT NOT NULL,
  name       TEXT NOT NULL,
  devices    TEXT NOT NULL, -- a condition; empty: every device
  from_us    BIGINT NOT NULL,
  until_us   BIGINT NOT NULL,
  reason     TEXT NOT NULL,
  actor      TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  ended_us   BIGINT NOT NULL DEFAULT 0, -- ended before until_us, by somebody
  ended_by   TEXT NOT NULL DEFAULT '',
  ended_why  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, name)
);
CREATE INDEX freeze_by_hand_open ON freeze_by_hand (tenant, until_us) WHERE ended_us = 0;

-- The kind of finding that a task was made of, before a campaign; empty: none.
-- A finding has one open task, whoever asks for it and however often.
ALTER TABLE task ADD COLUMN finding TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX task_finding ON task (tenant, device, finding) WHERE closed_us = 0 AND finding <> '';

-- +goose Down
DROP INDEX task_finding;
ALTER TABLE task DROP COLUMN finding;
DROP TABLE freeze_by_hand;
