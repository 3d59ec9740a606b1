-- +goose Up
-- When each device is looked at next for its clean-ups. A device of a tenant
-- whose policies clean nothing up has no row.
CREATE TABLE clean_up_look (
  tenant   TEXT NOT NULL,
  device   TEXT NOT NULL,
  due_us   BIGINT NOT NULL,
  lease_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, device)
);
CREATE INDEX clean_up_look_due ON clean_up_look (due_us);

-- Where an item of the policy stands on a device. It outlives the item, for what
-- it freed.
CREATE TABLE clean_up_item (
  tenant        TEXT NOT NULL,
  device        TEXT NOT NULL,
  item          TEXT NOT NULL, -- PROFILE/KIND
  kind          TEXT NOT NULL,
  fingerprint   TEXT NOT NULL, -- of all that decides on what goes
  older_than_s  BIGINT NOT NULL,
  paths         TEXT NOT NULL, -- JSON
  state         TEXT NOT NULL,
  reason        TEXT NOT NULL, -- why it does not go on now
  next_us       BIGINT NOT NULL,
  counted_us    BIGINT NOT NULL DEFAULT 0, -- dry run of this fingerprint; 0: none
  counted_files BIGINT NOT NULL DEFAULT 0,
  counted_bytes BIGINT NOT NULL DEFAULT 0,
  places        TEXT NOT NULL DEFAULT '[]', -- of the last run, dry or not; JSON
  cleaned_us    BIGINT NOT NULL DEFAULT 0, -- last real run
  tried_us      BIGINT NOT NULL DEFAULT 0, -- last run that came to nothing
  cause         TEXT NOT NULL DEFAULT '',  -- why it did, or why the last real run was cut short
  freed_files   BIGINT NOT NULL DEFAULT 0, -- of all real runs
  freed_bytes   BIGINT NOT NULL DEFAULT 0,
  at_least      BIGINT NOT NULL DEFAULT 0, -- some of what went was not counted
  PRIMARY KEY (tenant, device, item)
);
CREATE INDEX clean_up_item_item ON clean_up_item (tenant, item, device);

-- Who let an item go: everywhere, or on one device.
CREATE TABLE clean_up_approval (
  tenant      TEXT NOT NULL,
  item        TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  device      TEXT NOT NULL, -- empty: on every device
  actor       TEXT NOT NULL,
  at_us       BIGINT NOT NULL,
  PRIMARY KEY (tenant, item, fingerprint, device)
);

-- +goose Down
DROP TABLE clean_up_approval;
DROP TABLE clean_up_item;
DROP TABLE clean_up_look;
