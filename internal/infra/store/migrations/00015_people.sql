-- +goose Up
-- Links to a device's page that say an earlier epoch no longer open it.
CREATE TABLE device_link (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  epoch  BIGINT NOT NULL,
  actor  TEXT NOT NULL, -- who revoked the links before
  at_us  BIGINT NOT NULL,
  PRIMARY KEY (tenant, device)
);

-- Where each person at a device stands with the order that is asked about:
-- the last thing that the agent told of them. It goes with the order.
CREATE TABLE notice (
  tenant      TEXT NOT NULL,
  device      TEXT NOT NULL,
  person      TEXT NOT NULL, -- login name
  order_id    TEXT NOT NULL,
  act         TEXT NOT NULL,
  what        TEXT NOT NULL, -- asked, postponed, accepted, countdown, deadline
  until_us    BIGINT NOT NULL,
  deadline_us BIGINT NOT NULL,
  remaining   BIGINT NOT NULL, -- how often "later" may still be said
  offers      TEXT NOT NULL,
  at_us       BIGINT NOT NULL,
  PRIMARY KEY (tenant, device, person)
);

-- "Later" said on a device's page, on its way to the agent until it told what
-- came of it.
CREATE TABLE said (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  device     TEXT NOT NULL,
  order_id   TEXT NOT NULL,
  choice     TEXT NOT NULL,
  envelope   TEXT NOT NULL,
  state      TEXT NOT NULL, -- sent, taken, refused
  reason     TEXT NOT NULL DEFAULT '',
  until_us   BIGINT NOT NULL DEFAULT 0, -- taken: not before
  said_us    BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  told_us    BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX said_device ON said (tenant, device, said_us);
CREATE INDEX said_sent ON said (tenant, device, expires_us) WHERE state = 'sent';

-- What people said of a campaign's patch on a device; the last word counts. An
-- empty patch is all that the campaign brought.
CREATE TABLE feedback (
  tenant     TEXT NOT NULL,
  campaign   TEXT NOT NULL,
  device     TEXT NOT NULL,
  patch      TEXT NOT NULL,
  id         TEXT NOT NULL,
  says       TEXT NOT NULL, -- works, broken
  words      TEXT NOT NULL,
  changes    BIGINT NOT NULL, -- how often it was said
  at_us      BIGINT NOT NULL,
  closed_us  BIGINT NOT NULL DEFAULT 0, -- when somebody has dealt with it
  closed_by  TEXT NOT NULL DEFAULT '',
  closed_why TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, campaign, device, patch)
);
CREATE UNIQUE INDEX feedback_id ON feedback (tenant, id);
CREATE INDEX feedback_at ON feedback (tenant, at_us, id);
CREATE INDEX feedback_device ON feedback (tenant, device, at_us, id);
CREATE INDEX feedback_campaign ON feedback (tenant, campaign, at_us, id);
CREATE INDEX feedback_open ON feedback (tenant, at_us, id) WHERE says = 'broken' AND closed_us = 0;

-- A tenant's logo, as this server has drawn it again: PNG.
CREATE TABLE logo (
  tenant TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  body   BYTEA NOT NULL,
  width  BIGINT NOT NULL,
  height BIGINT NOT NULL,
  actor  TEXT NOT NULL,
  at_us  BIGINT NOT NULL,
  PRIMARY KEY (tenant)
);

-- +goose Down
DROP TABLE logo;
DROP TABLE feedback;
DROP TABLE said;
DROP TABLE notice;
DROP TABLE device_link;
