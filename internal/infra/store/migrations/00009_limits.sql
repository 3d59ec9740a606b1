-- +goose Up
-- Which devices a limit of the policy is about, with the value of its tag and
-- the device's turn. Written for the whole fleet when a policy comes into force,
-- then whenever a device is decided.
CREATE TABLE limit_member (
  tenant TEXT NOT NULL,
  name   TEXT NOT NULL, -- of the limit
  value  TEXT NOT NULL, -- of its tag; empty: one limit for all
  device TEXT NOT NULL,
  turn   BIGINT NOT NULL,
  PRIMARY KEY (tenant, device, name)
);
CREATE INDEX limit_member_value ON limit_member (tenant, name, value, turn, device);

-- A device that may be down holds one of the places that a limit allows. The
-- place's number is in the key, so two servers cannot give it twice.
CREATE TABLE limit_slot (
  tenant   TEXT NOT NULL,
  name     TEXT NOT NULL,
  value    TEXT NOT NULL,
  slot     BIGINT NOT NULL,
  device   TEXT NOT NULL,
  order_id TEXT NOT NULL,
  expires_us BIGINT NOT NULL, -- the order's: heard of after that, the device is up
  until_us BIGINT NOT NULL,   -- from then on it is free whatever was heard
  PRIMARY KEY (tenant, name, value, slot)
);
CREATE INDEX limit_slot_device ON limit_slot (tenant, device);

-- +goose Down
DROP TABLE limit_slot;
DROP TABLE limit_member;
