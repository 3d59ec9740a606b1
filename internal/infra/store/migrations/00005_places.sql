-- +goose Up
-- Each device has its place in the order in which enrolments were committed, so
-- a campaign that remembers one number has seen every device up to it. Instants
-- cannot serve: enrolments that run at once commit in another order.
CREATE TABLE device_arrival (
  tenant TEXT PRIMARY KEY,
  last   BIGINT NOT NULL
);
ALTER TABLE device ADD COLUMN arrival BIGINT NOT NULL DEFAULT 0;
UPDATE device SET arrival = n.place FROM (
  SELECT d.tenant, d.id, row_number() OVER (PARTITION BY d.tenant ORDER BY d.enrolled_us, d.id) AS place FROM device d) n
WHERE n.tenant = device.tenant AND n.id = device.id;
INSERT INTO device_arrival (tenant, last) SELECT d.tenant, count(*) FROM device d GROUP BY d.tenant;
CREATE INDEX device_arrival_order ON device (tenant, arrival);

-- What the campaign had considered, less the minute that it used to read again.
ALTER TABLE campaign ADD COLUMN enlisted BIGINT NOT NULL DEFAULT 0; -- devices that arrived up to here have their ring
UPDATE campaign SET enlisted = (
  SELECT count(*) FROM device d WHERE d.tenant = campaign.tenant AND d.enrolled_us < campaign.enlisted_us - 60000000);
ALTER TABLE campaign DROP COLUMN enlisted_us;

-- What could not be put back any more, counted with the ring's other numbers.
ALTER TABLE campaign_device_item ADD COLUMN rollback_impossible BIGINT NOT NULL DEFAULT 0; -- 1: its rollback is known to be impossible
UPDATE campaign_device_item SET rollback_impossible = 1 WHERE state NOT IN ('rolled_back', 'not_applicable') AND packages LIKE '%"rollback":"impossible"%'
  AND EXISTS (SELECT 1 FROM device d WHERE d.tenant = campaign_device_item.tenant AND d.id = campaign_device_item.device AND d.retired_us = 0);
CREATE INDEX campaign_device_item_impossible ON campaign_device_item (tenant, campaign, device, item) WHERE rollback_impossible = 1;
ALTER TABLE campaign_ring ADD COLUMN rollback_impossible BIGINT NOT NULL DEFAULT 0;
UPDATE campaign_ring SET rollback_impossible = (
  SELECT count(*) FROM campaign_device_item i
  JOIN campaign_device c ON c.tenant = i.tenant AND c.campaign = i.campaign AND c.amendment = i.amendment AND c.device = i.device
  WHERE i.tenant = campaign_ring.tenant AND i.campaign = campaign_ring.campaign AND i.rollback_impossible = 1
    AND c.amendment = campaign_ring.amendment AND c.position = campaign_ring.position);

-- +goose Down
ALTER TABLE campaign_ring DROP COLUMN rollback_impossible;
DROP INDEX campaign_device_item_impossible;
ALTER TABLE campaign_device_item DROP COLUMN rollback_impossible;
ALTER TABLE campaign ADD COLUMN enlisted_us BIGINT NOT NULL DEFAULT 0;
UPDATE campaign SET enlisted_us = COALESCE((
  SELECT max(d.enrolled_us) FROM device d WHERE d.tenant = campaign.tenant AND d.arrival <= campaign.enlisted), 0);
ALTER TABLE campaign DROP COLUMN enlisted;
DROP INDEX device_arrival_order;
ALTER TABLE device DROP COLUMN arrival;
DROP TABLE device_arrival;
