-- +goose Up
-- When the result of an order came, by the server's clock: what a device does
-- since its order began is laid to it.
ALTER TABLE device_order ADD COLUMN ended_us BIGINT NOT NULL DEFAULT 0;
CREATE INDEX device_order_ended ON device_order (tenant, device, ended_us) WHERE ended_us > 0;

-- What the rule of an alert did by itself.
ALTER TABLE alert ADD COLUMN did TEXT NOT NULL DEFAULT '';    -- alert.Do; empty: nothing
ALTER TABLE alert ADD COLUMN did_id TEXT NOT NULL DEFAULT ''; -- the hold, or the incident
ALTER TABLE alert ADD COLUMN did_us BIGINT NOT NULL DEFAULT 0;
CREATE INDEX alert_did ON alert (tenant, did_id) WHERE did_id <> '';

-- +goose Down
DROP INDEX alert_did;
ALTER TABLE alert DROP COLUMN did_us;
ALTER TABLE alert DROP COLUMN did_id;
ALTER TABLE alert DROP COLUMN did;
DROP INDEX device_order_ended;
ALTER TABLE device_order DROP COLUMN ended_us;
