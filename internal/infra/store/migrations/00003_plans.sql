-- +goose Up
-- Without statistics SQLite prefers an index that gives the wanted order to one
-- that finds the few rows: these give both.
DROP INDEX device_machine;
CREATE INDEX device_machine ON device (tenant, machine_id, id);
DROP INDEX campaign_device_device;
CREATE INDEX campaign_device_device ON campaign_device (tenant, device, campaign, amendment);
DROP INDEX campaign_device_item_device;
CREATE INDEX campaign_device_item_device ON campaign_device_item (tenant, device, campaign, item);
CREATE INDEX device_order_open ON device_order (tenant, campaign) WHERE state = 'open';

-- +goose Down
DROP INDEX device_order_open;
DROP INDEX campaign_device_item_device;
CREATE INDEX campaign_device_item_device ON campaign_device_item (tenant, device, item);
DROP INDEX campaign_device_device;
CREATE INDEX campaign_device_device ON campaign_device (tenant, device);
DROP INDEX device_machine;
CREATE INDEX device_machine ON device (tenant, machine_id);
