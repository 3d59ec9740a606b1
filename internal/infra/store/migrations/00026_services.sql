-- +goose Up
-- The services of each device that do not run: those that its last sample
-- named, wire.MaxDown of them at most. Written when one stops, runs again, or is
-- still down after a boot.
CREATE TABLE service_down (
  tenant   TEXT NOT NULL,
  device   TEXT NOT NULL,
  name     TEXT NOT NULL,
  up_us    BIGINT NOT NULL, -- when it was last seen running; 0: never
  since_us BIGINT NOT NULL, -- when it was first seen down
  boot_id  TEXT NOT NULL,
  boot_us  BIGINT NOT NULL, -- when it was first seen down in this boot
  PRIMARY KEY (tenant, device, name)
);
-- What never ran while we looked is nobody's doing.
CREATE INDEX service_down_since ON service_down (tenant, since_us, device) WHERE up_us > 0;

ALTER TABLE device_sample ADD COLUMN services_us BIGINT NOT NULL DEFAULT 0; -- when the device last looked at its services
ALTER TABLE device_order ADD COLUMN began_us BIGINT NOT NULL DEFAULT 0; -- when its first install began; 0: it did not
ALTER TABLE device_evidence ADD COLUMN services_down BIGINT NOT NULL DEFAULT 0; -- that stopped since the install

-- What a device's administrator forbids is neither up nor down.
UPDATE device_probe SET state = 'vetoed' WHERE state = 'down' AND cause LIKE '%"local_veto"%';

-- The breaker trips once for each service.
ALTER TABLE breaker_trip RENAME TO breaker_trip_before;
CREATE TABLE breaker_trip (
  tenant    TEXT NOT NULL,
  campaign  TEXT NOT NULL,
  amendment BIGINT NOT NULL,
  position  BIGINT NOT NULL,
  kind      TEXT NOT NULL,
  item      TEXT NOT NULL, -- patch; empty: the ring
  service   TEXT NOT NULL, -- that does not run; empty: it is about something else
  hold      TEXT NOT NULL,
  at_us     BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, amendment, position, kind, item, service)
);
INSERT INTO breaker_trip (tenant, campaign, amendment, position, kind, item, service, hold, at_us)
SELECT tenant, campaign, amendment, position, kind, item, '', hold, at_us FROM breaker_trip_before;
DROP TABLE breaker_trip_before;

-- +goose Down
UPDATE device_probe SET state = 'down' WHERE state = 'vetoed';
ALTER TABLE breaker_trip RENAME TO breaker_trip_after;
CREATE TABLE breaker_trip (
  tenant    TEXT NOT NULL,
  campaign  TEXT NOT NULL,
  amendment BIGINT NOT NULL,
  position  BIGINT NOT NULL,
  kind      TEXT NOT NULL,
  item      TEXT NOT NULL,
  hold      TEXT NOT NULL,
  at_us     BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, amendment, position, kind, item)
);
INSERT INTO breaker_trip (tenant, campaign, amendment, position, kind, item, hold, at_us)
SELECT tenant, campaign, amendment, position, kind, item, min(hold), min(at_us) FROM breaker_trip_after
GROUP BY tenant, campaign, amendment, position, kind, item;
DROP TABLE breaker_trip_after;
ALTER TABLE device_evidence DROP COLUMN services_down;
ALTER TABLE device_order DROP COLUMN began_us;
ALTER TABLE device_sample DROP COLUMN services_us;
DROP INDEX service_down_since;
DROP TABLE service_down;
