-- +goose Up
-- What devices measured, packed by core/series: five-minute points of the last
-- days in blocks of six hours, and hours in blocks of a week. Few large rows: a
-- row a point would be ten times as large and a hundred times as many.
CREATE TABLE measure_recent (
  tenant  TEXT NOT NULL,
  device  TEXT NOT NULL,
  from_us BIGINT NOT NULL,
  body    BYTEA NOT NULL,
  PRIMARY KEY (tenant, device, from_us)
);
CREATE TABLE measure_past (
  tenant  TEXT NOT NULL,
  device  TEXT NOT NULL,
  from_us BIGINT NOT NULL,
  body    BYTEA NOT NULL,
  PRIMARY KEY (tenant, device, from_us)
);

-- The last sample of each device, and when its blocks are to be looked at.
CREATE TABLE device_sample (
  tenant   TEXT NOT NULL,
  device   TEXT NOT NULL,
  at_us    BIGINT NOT NULL, -- of the sample; 0: none yet
  body     TEXT NOT NULL, -- wire.Sample, its instants by our clock
  shift_us BIGINT NOT NULL, -- by how much the device's points are moved to our clock
  due_us   BIGINT NOT NULL, -- when a block of it is to be merged or dropped; 0: never
  PRIMARY KEY (tenant, device)
);
CREATE INDEX device_sample_due ON device_sample (tenant, due_us) WHERE due_us > 0;

-- What each probe of a device last found.
CREATE TABLE device_probe (
  tenant   TEXT NOT NULL,
  device   TEXT NOT NULL,
  name     TEXT NOT NULL,
  state    TEXT NOT NULL, -- up, down; unknown until it was heard of; too_old: the agent makes no probes
  since_us BIGINT NOT NULL,
  at_us    BIGINT NOT NULL, -- when that was last heard, to a few minutes
  ms       BIGINT NOT NULL,
  cause    TEXT NOT NULL, -- reason, JSON; empty when up
  PRIMARY KEY (tenant, device, name)
);
CREATE INDEX device_probe_name ON device_probe (tenant, name, state, device);

-- What each device is told to measure.
CREATE TABLE device_watch (
  tenant    TEXT NOT NULL,
  device    TEXT NOT NULL,
  due_us    BIGINT NOT NULL, -- when to work it out again
  lease_us  BIGINT NOT NULL,
  serial    BIGINT NOT NULL, -- 0: it was told nothing yet
  probes    TEXT NOT NULL, -- JSON: the probes it was told
  digest    TEXT NOT NULL, -- of all it was told
  envelope  TEXT NOT NULL, -- signed; empty: nothing
  issued_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, device)
);
CREATE INDEX device_watch_due ON device_watch (due_us);

-- +goose Down
DROP TABLE device_watch;
DROP TABLE device_probe;
DROP TABLE device_sample;
DROP TABLE measure_past;
DROP TABLE measure_recent;
