-- +goose Up
-- What is known of an opened ring beside its five numbers, as last looked at.
CREATE TABLE ring_evidence (
  tenant       TEXT NOT NULL,
  campaign     TEXT NOT NULL,
  amendment    BIGINT NOT NULL,
  position     BIGINT NOT NULL,
  seen         TEXT NOT NULL,   -- campaign.Seen
  health       TEXT NOT NULL,   -- health.Health of the last look; empty: never judged
  shared       TEXT NOT NULL,   -- what worse devices have in common: suspects
  first_us     BIGINT NOT NULL, -- first install of the ring; 0: none yet
  look         BIGINT NOT NULL, -- how often measures were judged
  look_us      BIGINT NOT NULL,
  look_patched BIGINT NOT NULL, -- how many devices were patched at that look
  proof_us     BIGINT NOT NULL, -- when hours of use were last counted
  updated_us   BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, amendment, position)
);

-- What is known of one patched device.
CREATE TABLE device_evidence (
  tenant      TEXT NOT NULL,
  campaign    TEXT NOT NULL,
  amendment   BIGINT NOT NULL,
  device      TEXT NOT NULL,
  position    BIGINT NOT NULL,
  patched_us  BIGINT NOT NULL,
  use_s       BIGINT NOT NULL, -- in use since then; -1: not measured
  probes_down BIGINT NOT NULL,
  proven      BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, amendment, device)
);
CREATE INDEX device_evidence_ring ON device_evidence (tenant, campaign, amendment, position, proven, device);

-- Every answer that a gate gave, when it was another than the one before.
CREATE TABLE gate_evaluation (
  tenant    TEXT NOT NULL,
  id        TEXT NOT NULL,
  campaign  TEXT NOT NULL,
  amendment BIGINT NOT NULL,
  position  BIGINT NOT NULL,
  ring      TEXT NOT NULL,
  at_us     BIGINT NOT NULL,
  state     TEXT NOT NULL, -- of the ring
  verdict   TEXT NOT NULL,
  evidence  TEXT NOT NULL,
  reasons   TEXT NOT NULL,
  actor     TEXT NOT NULL, -- who asked
  PRIMARY KEY (tenant, id)
);
CREATE INDEX gate_evaluation_ring ON gate_evaluation (tenant, campaign, amendment, position, at_us, id);

-- What the breaker has held: it does so once for each reason, whoever lifts it.
CREATE TABLE breaker_trip (
  tenant    TEXT NOT NULL,
  campaign  TEXT NOT NULL,
  amendment BIGINT NOT NULL,
  position  BIGINT NOT NULL,
  kind      TEXT NOT NULL,
  item      TEXT NOT NULL, -- patch; empty: the ring
  hold      TEXT NOT NULL,
  at_us     BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, amendment, position, kind, item)
);

-- What the breaker looks for is rare: these hold little, however large the fleet.
CREATE INDEX campaign_device_item_failed ON campaign_device_item (tenant, campaign, item, device) WHERE state = 'failed';
CREATE INDEX device_order_rebooting ON device_order (tenant, campaign, device) WHERE state = 'open' AND step = 'reboot';
CREATE INDEX device_probe_state ON device_probe (tenant, state, device);

-- +goose Down
DROP INDEX device_probe_state;
DROP INDEX device_order_rebooting;
DROP INDEX campaign_device_item_failed;
DROP TABLE breaker_trip;
DROP TABLE gate_evaluation;
DROP TABLE device_evidence;
DROP TABLE ring_evidence;
