-- +goose Up
-- The IPv4 networks each device is in, as its facts say: whom a device can wake,
-- and by which card it can be woken.
CREATE TABLE device_network (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  mac    TEXT NOT NULL,
  prefix TEXT NOT NULL, -- masked
  armed  BIGINT NOT NULL, -- a magic packet starts it
  PRIMARY KEY (tenant, device, mac, prefix)
);
CREATE INDEX device_network_prefix ON device_network (tenant, prefix, device);

-- Where a device stands that has an open order and may have to be woken for it.
CREATE TABLE device_wake (
  tenant    TEXT NOT NULL,
  device    TEXT NOT NULL,
  order_id  TEXT NOT NULL, -- that it was decided for
  due_us    BIGINT NOT NULL, -- when to decide again
  decided_us BIGINT NOT NULL,
  version   BIGINT NOT NULL, -- grows with each decision
  reason    TEXT NOT NULL,
  window_us BIGINT NOT NULL, -- start of the window it was last woken for; 0: never
  asked_us  BIGINT NOT NULL,
  tries     BIGINT NOT NULL, -- for that window
  asked_of  TEXT NOT NULL, -- JSON: names of the neighbours of the last try
  heard_us  BIGINT NOT NULL, -- when it was heard of again; 0: not yet
  PRIMARY KEY (tenant, device)
);
CREATE INDEX device_wake_asked ON device_wake (tenant, asked_us) WHERE asked_us > 0 AND heard_us = 0;

-- What a neighbour was asked, until it has told what came of it.
CREATE TABLE wake_ask (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  neighbour  TEXT NOT NULL,
  device     TEXT NOT NULL,
  envelope   TEXT NOT NULL,
  state      TEXT NOT NULL, -- asked, sent, refused
  cause      TEXT NOT NULL DEFAULT '',
  asked_us   BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX wake_ask_open ON wake_ask (tenant, neighbour) WHERE state = 'asked';
CREATE INDEX wake_ask_refused ON wake_ask (tenant, neighbour, asked_us) WHERE state = 'refused';
CREATE INDEX wake_ask_old ON wake_ask (tenant, asked_us);

-- +goose Down
DROP TABLE wake_ask;
DROP TABLE device_wake;
DROP TABLE device_network;
