-- +goose Up
-- What went wrong, until it is put right. subject is what an incident was made
-- of by itself; of one subject only one is not closed, so that ten people who
-- say the same thing make one incident of ten devices.
CREATE TABLE incident (
  tenant       TEXT NOT NULL,
  id           TEXT NOT NULL,
  severity     TEXT NOT NULL,
  title        TEXT NOT NULL,
  what         TEXT NOT NULL,
  campaign     TEXT NOT NULL,
  ring         TEXT NOT NULL,
  patch        TEXT NOT NULL,
  owner        TEXT NOT NULL, -- who must act: an account's name or a role
  origin       TEXT NOT NULL, -- person, feedback, test, alert
  origin_id    TEXT NOT NULL, -- the first feedback, the test's item, the alert
  subject      TEXT NOT NULL, -- empty: of a person
  response     TEXT NOT NULL, -- what the procedure made of it; empty: no campaign
  state        TEXT NOT NULL, -- open, corrected, closed
  cause        TEXT NOT NULL DEFAULT '',
  correction   TEXT NOT NULL DEFAULT '',
  reopened     BIGINT NOT NULL DEFAULT 0,
  opened_us    BIGINT NOT NULL,
  opened_by    TEXT NOT NULL,
  changed_us   BIGINT NOT NULL,
  corrected_us BIGINT NOT NULL DEFAULT 0,
  corrected_by TEXT NOT NULL DEFAULT '',
  closed_us    BIGINT NOT NULL DEFAULT 0,
  closed_by    TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX incident_subject ON incident (tenant, subject) WHERE subject <> '' AND state <> 'closed';
CREATE INDEX incident_open ON incident (tenant, opened_us, id) WHERE state <> 'closed';
CREATE INDEX incident_at ON incident (tenant, opened_us, id);
CREATE INDEX incident_campaign ON incident (tenant, campaign, opened_us, id);

CREATE TABLE incident_device (
  tenant   TEXT NOT NULL,
  incident TEXT NOT NULL,
  device   TEXT NOT NULL,
  PRIMARY KEY (tenant, incident, device)
);
CREATE INDEX incident_device_device ON incident_device (tenant, device, incident);

-- Everything said and done, in its order.
CREATE TABLE incident_note (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  incident TEXT NOT NULL,
  act      TEXT NOT NULL,
  text     TEXT NOT NULL,
  actor    TEXT NOT NULL,
  at_us    BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX incident_note_incident ON incident_note (tenant, incident, at_us, id);

-- The last word on each item of a gate's tests; earlier ones are in the register.
CREATE TABLE test_result (
  tenant    TEXT NOT NULL,
  campaign  TEXT NOT NULL,
  amendment BIGINT NOT NULL,
  position  BIGINT NOT NULL, -- of the ring
  test      TEXT NOT NULL,
  item      BIGINT NOT NULL,
  outcome   TEXT NOT NULL, -- ok, failed
  remark    TEXT NOT NULL,
  incident  TEXT NOT NULL,
  actor     TEXT NOT NULL,
  at_us     BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, amendment, position, test, item)
);

-- What the server knew of a device when somebody there said that an update
-- broke something: JSON, bounded.
CREATE TABLE feedback_diagnosis (
  tenant   TEXT NOT NULL,
  feedback TEXT NOT NULL,
  body     TEXT NOT NULL,
  at_us    BIGINT NOT NULL,
  PRIMARY KEY (tenant, feedback)
);

-- An incident in somebody else's tool. external_id is empty until it was made
-- there, or found by our reference.
CREATE TABLE ticket (
  tenant       TEXT NOT NULL,
  id           TEXT NOT NULL,
  incident     TEXT NOT NULL,
  connector    TEXT NOT NULL,
  external_id  TEXT NOT NULL DEFAULT '',
  external_key TEXT NOT NULL DEFAULT '', -- as people there call it
  url          TEXT NOT NULL DEFAULT '',
  status       TEXT NOT NULL DEFAULT '', -- as they call it
  done         BIGINT NOT NULL DEFAULT 0, -- 1: solved or closed there
  created_us   BIGINT NOT NULL,
  checked_us   BIGINT NOT NULL DEFAULT 0,
  check_us     BIGINT NOT NULL DEFAULT 9223372036854775807, -- when to ask again; that number: never
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX ticket_incident ON ticket (tenant, incident, connector);
CREATE INDEX ticket_external ON ticket (tenant, connector, external_id);
CREATE INDEX ticket_check ON ticket (check_us) WHERE check_us < 9223372036854775807;
CREATE INDEX ticket_at ON ticket (tenant, created_us, id);

-- What is still to be told to it, in its order.
CREATE TABLE ticket_outbox (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  ticket     TEXT NOT NULL,
  act        TEXT NOT NULL, -- create, note, close, reopen
  text       TEXT NOT NULL,
  tries      BIGINT NOT NULL DEFAULT 0,
  next_us    BIGINT NOT NULL,
  error      TEXT NOT NULL DEFAULT '',
  dead_us    BIGINT NOT NULL DEFAULT 0, -- given up; a person may try again
  created_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX ticket_outbox_due ON ticket_outbox (next_us, id) WHERE dead_us = 0;
CREATE INDEX ticket_outbox_ticket ON ticket_outbox (tenant, ticket, id);

-- +goose Down
DROP TABLE ticket_outbox;
DROP TABLE ticket;
DROP TABLE feedback_diagnosis;
DROP TABLE test_result;
DROP TABLE incident_note;
DROP TABLE incident_device;
DROP TABLE incident;
