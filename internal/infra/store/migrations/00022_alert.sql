-- +goose Up
-- The document of alerts, version by version.
CREATE TABLE alert_book (
  tenant  TEXT NOT NULL,
  version BIGINT NOT NULL,
  name    TEXT NOT NULL,
  body    TEXT NOT NULL,
  sha256  TEXT NOT NULL,
  actor   TEXT NOT NULL,
  at_us   BIGINT NOT NULL,
  PRIMARY KEY (tenant, version)
);

-- One row for each time something was an alert: while it is open there is one
-- of a rule and what it is about (subject).
CREATE TABLE alert (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  rule       TEXT NOT NULL,
  subject    TEXT NOT NULL, -- device:ID, campaign:ID/RING, hold:ID, task:ID
  about      TEXT NOT NULL, -- the measure or the event
  title      TEXT NOT NULL, -- JSON, of the rule as it was
  severity   TEXT NOT NULL,
  rank       BIGINT NOT NULL, -- of the severity
  who        TEXT NOT NULL, -- must act
  device     TEXT NOT NULL,
  campaign   TEXT NOT NULL,
  ring       TEXT NOT NULL,
  patch      TEXT NOT NULL,
  args       TEXT NOT NULL, -- JSON: what people are told beside it
  state      TEXT NOT NULL, -- pending, firing, acknowledged, resolved
  since_us   BIGINT NOT NULL,
  last_us    BIGINT NOT NULL,
  episode_us BIGINT NOT NULL,
  fired_us   BIGINT NOT NULL,
  told_us    BIGINT NOT NULL,
  escalated  BIGINT NOT NULL,
  quiet      BIGINT NOT NULL,
  -- Measured values in thousandths: there is no type for fractions here.
  value      BIGINT NOT NULL,
  worst      BIGINT NOT NULL,
  known      BIGINT NOT NULL,
  threshold  BIGINT NOT NULL,
  below      BIGINT NOT NULL,
  times      BIGINT NOT NULL,
  acked_us   BIGINT NOT NULL DEFAULT 0,
  acked_by   TEXT NOT NULL DEFAULT '',
  acked_why  TEXT NOT NULL DEFAULT '',
  ended_us   BIGINT NOT NULL DEFAULT 0,
  ended_why  TEXT NOT NULL DEFAULT '', -- code: cleared, event_over, expired, rule_gone, device_retired
  due_us     BIGINT NOT NULL,
  version    BIGINT NOT NULL, -- grows with each decision
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX alert_one ON alert (tenant, rule, subject) WHERE ended_us = 0;
CREATE INDEX alert_subject ON alert (tenant, subject) WHERE ended_us = 0;
CREATE INDEX alert_open ON alert (tenant, rank, fired_us, id) WHERE ended_us = 0;
CREATE INDEX alert_due ON alert (due_us) WHERE ended_us = 0;
CREATE INDEX alert_device ON alert (tenant, device, fired_us, id);
CREATE INDEX alert_campaign ON alert (tenant, campaign, fired_us, id);
CREATE INDEX alert_fired ON alert (tenant, fired_us, id);

-- What is said about nothing for a while: alerts of a rule, of a subject, or of
-- a rule on a subject.
CREATE TABLE alert_silence (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  rule     TEXT NOT NULL,
  subject  TEXT NOT NULL,
  reason   TEXT NOT NULL,
  actor    TEXT NOT NULL,
  at_us    BIGINT NOT NULL,
  until_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX alert_silence_until ON alert_silence (tenant, until_us);

-- How far the register was read, and up to when devices were looked for that
-- fell silent.
CREATE TABLE alert_cursor (
  tenant   TEXT PRIMARY KEY,
  next_idx BIGINT NOT NULL,
  looked_us BIGINT NOT NULL DEFAULT 0
);
-- Alerting begins with what comes: what a site has lived through before is not
-- told to anybody at its upgrade.
INSERT INTO alert_cursor (tenant, next_idx) SELECT tenant, size FROM register_head;

-- What an output is to be told; those of one output that come together leave in
-- one delivery.
CREATE TABLE alert_notice (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  output   TEXT NOT NULL,
  alert    TEXT NOT NULL,
  body     TEXT NOT NULL, -- JSON: the message
  at_us    BIGINT NOT NULL,
  delivery TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE INDEX alert_notice_waiting ON alert_notice (tenant, output, at_us) WHERE delivery = '';
CREATE INDEX alert_notice_delivery ON alert_notice (tenant, delivery, id);

CREATE TABLE alert_delivery (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL, -- also in the message, by which a repeated one is recognised
  output     TEXT NOT NULL,
  state      TEXT NOT NULL, -- waiting, sent, dead
  attempts   BIGINT NOT NULL,
  next_us    BIGINT NOT NULL,
  lease_us   BIGINT NOT NULL,
  created_us BIGINT NOT NULL,
  ended_us   BIGINT NOT NULL,
  notices    BIGINT NOT NULL,
  cause      TEXT NOT NULL, -- of the last attempt that failed
  PRIMARY KEY (tenant, id)
);
CREATE INDEX alert_delivery_due ON alert_delivery (next_us) WHERE state = 'waiting';
CREATE INDEX alert_delivery_output ON alert_delivery (tenant, created_us, id);
CREATE INDEX alert_delivery_dead ON alert_delivery (tenant, ended_us, id) WHERE state = 'dead';

-- Links to the calendar and to the feed of alerts, which programs read that
-- cannot log in.
CREATE TABLE feed_link (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  kind       TEXT NOT NULL, -- calendar, alerts
  name       TEXT NOT NULL,
  lang       TEXT NOT NULL,
  actor      TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  revoked_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);

-- Devices that an order reboots, to see which do not come back.
CREATE INDEX device_order_rebooting_since ON device_order (tenant, step_us) WHERE state = 'open' AND step = 'reboot';

-- +goose Down
DROP INDEX device_order_rebooting_since;
DROP TABLE feed_link;
DROP TABLE alert_delivery;
DROP TABLE alert_notice;
DROP TABLE alert_cursor;
DROP TABLE alert_silence;
DROP TABLE alert;
DROP TABLE alert_book;
