-- +goose Up
-- One schema for SQLite and PostgreSQL: TEXT, BIGINT and BYTEA only, instants in
-- microseconds UTC given by the caller, booleans 0/1, the tenant first in every
-- key. JSON columns are opaque; what is queried is a column.

CREATE TABLE tenant (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL,
  created_us   BIGINT NOT NULL,
  holds_serial BIGINT NOT NULL DEFAULT 0,
  holds        TEXT NOT NULL DEFAULT '' -- the signed envelope of all holds in force
);

-- People. password is an argon2id string.
CREATE TABLE account (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  name       TEXT NOT NULL,
  password   TEXT NOT NULL,
  roles      TEXT NOT NULL,
  lang       TEXT NOT NULL DEFAULT '',
  created_us BIGINT NOT NULL,
  closed_us  BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX account_name ON account (name);

CREATE TABLE login_session (
  token      TEXT PRIMARY KEY,
  data       BYTEA NOT NULL,
  expires_us BIGINT NOT NULL
);

CREATE TABLE api_token (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  hash       TEXT NOT NULL,
  name       TEXT NOT NULL,
  account    TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  used_us    BIGINT NOT NULL DEFAULT 0,
  revoked_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX api_token_hash ON api_token (hash);

-- A one-time (uses = 1) or counted enrolment token; what it gives to the device.
CREATE TABLE enrollment (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  hash       TEXT NOT NULL,
  kind       TEXT NOT NULL,
  tags       TEXT NOT NULL,
  group_names TEXT NOT NULL,
  uses_left  BIGINT NOT NULL,
  created_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  actor      TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX enrollment_hash ON enrollment (hash);

CREATE TABLE device (
  tenant         TEXT NOT NULL,
  id             TEXT NOT NULL,
  name           TEXT NOT NULL,
  machine_id     TEXT NOT NULL,
  kind           TEXT NOT NULL,
  tags           TEXT NOT NULL,
  os_id          TEXT NOT NULL DEFAULT '',
  os_name        TEXT NOT NULL DEFAULT '',
  agent_version  TEXT NOT NULL DEFAULT '',
  capability     BIGINT NOT NULL DEFAULT 0,
  cert_serial    TEXT NOT NULL,
  enrolled_us    BIGINT NOT NULL,
  seen_us        BIGINT NOT NULL,
  boot_id        TEXT NOT NULL DEFAULT '',
  booted_us      BIGINT NOT NULL DEFAULT 0,
  reboot_pending BIGINT NOT NULL DEFAULT 0,
  scan_us        BIGINT NOT NULL DEFAULT 0,
  scan_status    TEXT NOT NULL DEFAULT '',
  scan_cause     TEXT NOT NULL DEFAULT '',
  lists_us       BIGINT NOT NULL DEFAULT 0,
  scan_wanted    BIGINT NOT NULL DEFAULT 0,
  part_hashes    TEXT NOT NULL DEFAULT '{}',
  last_seq       BIGINT NOT NULL DEFAULT 0,
  order_serial   BIGINT NOT NULL DEFAULT 0,
  missing        BIGINT NOT NULL DEFAULT 0,
  missing_security BIGINT NOT NULL DEFAULT 0,
  failing        BIGINT NOT NULL DEFAULT 0,
  duplicate_of   TEXT NOT NULL DEFAULT '',
  checkpoint_size BIGINT NOT NULL DEFAULT 0,
  retired_us     BIGINT NOT NULL DEFAULT 0,
  retired_why    TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE INDEX device_name ON device (tenant, name, id);
CREATE INDEX device_seen ON device (tenant, seen_us, id);
CREATE INDEX device_enrolled ON device (tenant, enrolled_us, id);
CREATE INDEX device_machine ON device (tenant, machine_id);

CREATE TABLE device_tag (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  name   TEXT NOT NULL,
  value  TEXT NOT NULL,
  PRIMARY KEY (tenant, device, name)
);
CREATE INDEX device_tag_value ON device_tag (tenant, name, value, device);

CREATE TABLE device_part (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  name   TEXT NOT NULL,
  hash   TEXT NOT NULL,
  at_us  BIGINT NOT NULL,
  body   BYTEA NOT NULL,
  PRIMARY KEY (tenant, device, name)
);

CREATE TABLE fleet_group (
  tenant     TEXT NOT NULL,
  name       TEXT NOT NULL,
  title      TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);
CREATE TABLE fleet_group_member (
  tenant     TEXT NOT NULL,
  group_name TEXT NOT NULL,
  device     TEXT NOT NULL,
  PRIMARY KEY (tenant, group_name, device)
);
CREATE INDEX fleet_group_member_device ON fleet_group_member (tenant, device, group_name);

CREATE TABLE patch (
  tenant         TEXT NOT NULL,
  id             TEXT NOT NULL,
  provider       TEXT NOT NULL,
  name           TEXT NOT NULL,
  version        TEXT NOT NULL,
  suite          TEXT NOT NULL,
  origin         TEXT NOT NULL,
  class          TEXT NOT NULL,
  summary        TEXT NOT NULL,
  first_seen_us  BIGINT NOT NULL,
  download_bytes BIGINT NOT NULL,
  devices        BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX patch_first_seen ON patch (tenant, first_seen_us, id);
CREATE INDEX patch_name ON patch (tenant, provider, name, id);

-- What is missing on a device now: only what is open has a row.
CREATE TABLE missing (
  tenant       TEXT NOT NULL,
  device       TEXT NOT NULL,
  patch        TEXT NOT NULL,
  state        TEXT NOT NULL,
  state_detail TEXT NOT NULL,
  packages     TEXT NOT NULL,
  since_us     BIGINT NOT NULL,
  PRIMARY KEY (tenant, device, patch)
);
CREATE INDEX missing_patch ON missing (tenant, patch, device);

-- What a person decided of one exact patch (scope = patch id) or of every
-- version of a name (scope = name:PROVIDER/NAME).
CREATE TABLE patch_decision (
  tenant   TEXT NOT NULL,
  scope    TEXT NOT NULL,
  verdict  TEXT NOT NULL,
  until_us BIGINT NOT NULL,
  reason   TEXT NOT NULL,
  actor    TEXT NOT NULL,
  at_us    BIGINT NOT NULL,
  PRIMARY KEY (tenant, scope)
);

CREATE TABLE procedure_version (
  tenant TEXT NOT NULL,
  name   TEXT NOT NULL,
  version BIGINT NOT NULL,
  body   TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  actor  TEXT NOT NULL,
  at_us  BIGINT NOT NULL,
  PRIMARY KEY (tenant, name, version)
);

CREATE TABLE campaign (
  tenant            TEXT NOT NULL,
  id                TEXT NOT NULL,
  name              TEXT NOT NULL,
  procedure_name    TEXT NOT NULL,
  procedure_version BIGINT NOT NULL,
  state             TEXT NOT NULL,
  origin            TEXT NOT NULL, -- calendar or manual
  schedule          TEXT NOT NULL,
  patches           TEXT NOT NULL,   -- limits the content to these; empty: all that policy approves
  day_us            BIGINT NOT NULL, -- length of a procedure day; a real one unless compressed
  windows           TEXT NOT NULL,   -- explicit intervals; empty: the procedure's rules
  starts_us         BIGINT NOT NULL,
  verification_us   BIGINT NOT NULL,
  started_us        BIGINT NOT NULL DEFAULT 0,
  sealed_us         BIGINT NOT NULL DEFAULT 0,
  enlisted_us       BIGINT NOT NULL DEFAULT 0, -- devices enrolled up to here have their ring
  verified_us       BIGINT NOT NULL DEFAULT 0,
  closed_us         BIGINT NOT NULL DEFAULT 0,
  created_us        BIGINT NOT NULL,
  actor             TEXT NOT NULL,
  due_us            BIGINT NOT NULL,
  lease_us          BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX campaign_name ON campaign (tenant, name);
CREATE INDEX campaign_due ON campaign (due_us);

-- Amendment 0 is the sealed content; each later one passes every ring itself.
CREATE TABLE campaign_amendment (
  tenant     TEXT NOT NULL,
  campaign   TEXT NOT NULL,
  number     BIGINT NOT NULL,
  reason     TEXT NOT NULL,
  actor      TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, number)
);

CREATE TABLE campaign_item (
  tenant           TEXT NOT NULL,
  campaign         TEXT NOT NULL,
  id               TEXT NOT NULL, -- the patch id
  amendment        BIGINT NOT NULL,
  provider         TEXT NOT NULL,
  name             TEXT NOT NULL,
  version          TEXT NOT NULL,
  suite            TEXT NOT NULL,
  promoted         BIGINT NOT NULL, -- position of the furthest ring it may reach
  withdrawn_us     BIGINT NOT NULL DEFAULT 0,
  withdrawn_by     TEXT NOT NULL DEFAULT '',
  withdrawn_reason TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, campaign, id)
);

CREATE TABLE campaign_ring (
  tenant        TEXT NOT NULL,
  campaign      TEXT NOT NULL,
  amendment     BIGINT NOT NULL,
  position      BIGINT NOT NULL,
  ring          TEXT NOT NULL,
  state         TEXT NOT NULL,
  verdict       TEXT NOT NULL DEFAULT '',
  reasons       TEXT NOT NULL DEFAULT '[]',
  evidence      TEXT NOT NULL DEFAULT '[]',
  opens_us      BIGINT NOT NULL,
  closes_us     BIGINT NOT NULL,
  opened_us     BIGINT NOT NULL DEFAULT 0,
  soak_until_us BIGINT NOT NULL DEFAULT 0,
  decided_us    BIGINT NOT NULL DEFAULT 0,
  expedited_by  TEXT NOT NULL DEFAULT '',
  expedited_why TEXT NOT NULL DEFAULT '',
  done          BIGINT NOT NULL DEFAULT 0,
  failed        BIGINT NOT NULL DEFAULT 0,
  not_reached   BIGINT NOT NULL DEFAULT 0,
  unreachable   BIGINT NOT NULL DEFAULT 0,
  exempt        BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, campaign, amendment, position)
);

CREATE TABLE campaign_device (
  tenant     TEXT NOT NULL,
  campaign   TEXT NOT NULL,
  amendment  BIGINT NOT NULL,
  device     TEXT NOT NULL,
  position   BIGINT NOT NULL, -- its ring
  goal       TEXT NOT NULL,   -- install or rollback
  bucket     TEXT NOT NULL,   -- which of the five numbers counts it
  reason     TEXT NOT NULL DEFAULT '',
  order_id   TEXT NOT NULL DEFAULT '',
  windows    TEXT NOT NULL DEFAULT '', -- explicit intervals for this goal; empty: the campaign's
  due_us     BIGINT NOT NULL,
  lease_us   BIGINT NOT NULL DEFAULT 0,
  updated_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, amendment, device)
);
CREATE INDEX campaign_device_due ON campaign_device (due_us);
CREATE INDEX campaign_device_bucket ON campaign_device (tenant, campaign, amendment, position, bucket, device);
CREATE INDEX campaign_device_device ON campaign_device (tenant, device);

CREATE TABLE campaign_device_item (
  tenant     TEXT NOT NULL,
  campaign   TEXT NOT NULL,
  device     TEXT NOT NULL,
  item       TEXT NOT NULL,
  amendment  BIGINT NOT NULL,
  state      TEXT NOT NULL,
  reason     TEXT NOT NULL DEFAULT '',
  attempts   BIGINT NOT NULL DEFAULT 0,
  no_effects BIGINT NOT NULL DEFAULT 0,
  rollback   BIGINT NOT NULL DEFAULT 0, -- 1: to be rolled back
  packages   TEXT NOT NULL DEFAULT '[]',
  next_us    BIGINT NOT NULL DEFAULT 0,
  updated_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, device, item)
);
CREATE INDEX campaign_device_item_item ON campaign_device_item (tenant, campaign, item, state, device);
CREATE INDEX campaign_device_item_device ON campaign_device_item (tenant, device, item);

CREATE TABLE hold (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  campaign   TEXT NOT NULL,
  ring       TEXT NOT NULL,
  item       TEXT NOT NULL,
  device     TEXT NOT NULL,
  reason     TEXT NOT NULL,
  actor      TEXT NOT NULL,
  placed_us  BIGINT NOT NULL,
  lifted_us  BIGINT NOT NULL DEFAULT 0,
  lifted_by  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE INDEX hold_campaign ON hold (tenant, campaign, lifted_us);

CREATE TABLE sign_off (
  tenant    TEXT NOT NULL,
  id        TEXT NOT NULL,
  campaign  TEXT NOT NULL,
  amendment BIGINT NOT NULL,
  position  BIGINT NOT NULL,
  role      TEXT NOT NULL,
  decision  TEXT NOT NULL, -- yes or no
  comment   TEXT NOT NULL,
  ticked    TEXT NOT NULL,
  actor     TEXT NOT NULL,
  at_us     BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX sign_off_ring ON sign_off (tenant, campaign, amendment, position);

CREATE TABLE device_order (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  device     TEXT NOT NULL,
  serial     BIGINT NOT NULL,
  campaign   TEXT NOT NULL,
  amendment  BIGINT NOT NULL,
  kind       TEXT NOT NULL,
  envelope   TEXT NOT NULL,
  state      TEXT NOT NULL, -- open, done, refused, expired, cancelled
  step       TEXT NOT NULL DEFAULT '',
  step_us    BIGINT NOT NULL DEFAULT 0,
  cause      TEXT NOT NULL DEFAULT '',
  next_us    BIGINT NOT NULL DEFAULT 0,
  issued_us  BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX device_order_device ON device_order (tenant, device, state);

CREATE TABLE outbox (
  id         TEXT PRIMARY KEY,
  tenant     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  payload    BYTEA NOT NULL,
  created_us BIGINT NOT NULL
);

-- The register: appended in the transaction of the change it records.
CREATE TABLE register_head (
  tenant     TEXT PRIMARY KEY,
  size       BIGINT NOT NULL,
  tree       TEXT NOT NULL,
  checkpoint TEXT NOT NULL,
  at_us      BIGINT NOT NULL
);
CREATE TABLE register_entry (
  tenant   TEXT NOT NULL,
  idx      BIGINT NOT NULL,
  at_us    BIGINT NOT NULL,
  kind     TEXT NOT NULL,
  actor    TEXT NOT NULL,
  device   TEXT NOT NULL,
  campaign TEXT NOT NULL,
  ring     TEXT NOT NULL,
  patch    TEXT NOT NULL,
  body     BYTEA NOT NULL,
  PRIMARY KEY (tenant, idx)
);
CREATE INDEX register_entry_device ON register_entry (tenant, device, idx);
CREATE INDEX register_entry_campaign ON register_entry (tenant, campaign, idx);
CREATE TABLE register_hash (
  tenant TEXT NOT NULL,
  idx    BIGINT NOT NULL,
  hash   BYTEA NOT NULL,
  PRIMARY KEY (tenant, idx)
);

-- +goose Down
DROP TABLE register_hash;
DROP TABLE register_entry;
DROP TABLE register_head;
DROP TABLE outbox;
DROP TABLE device_order;
DROP TABLE sign_off;
DROP TABLE hold;
DROP TABLE campaign_device_item;
DROP TABLE campaign_device;
DROP TABLE campaign_ring;
DROP TABLE campaign_item;
DROP TABLE campaign_amendment;
DROP TABLE campaign;
DROP TABLE procedure_version;
DROP TABLE patch_decision;
DROP TABLE missing;
DROP TABLE patch;
DROP TABLE fleet_group_member;
DROP TABLE fleet_group;
DROP TABLE device_part;
DROP TABLE device_tag;
DROP TABLE device;
DROP TABLE enrollment;
DROP TABLE api_token;
DROP TABLE login_session;
DROP TABLE account;
DROP TABLE tenant;
