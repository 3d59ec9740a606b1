-- +goose Up
-- A rollback is a campaign of its own: what it undoes, and who asked for it.
CREATE TABLE campaign_rollback (
  tenant   TEXT NOT NULL,
  campaign TEXT NOT NULL,
  undoes   TEXT NOT NULL, -- the campaign whose installs go back
  ring     TEXT NOT NULL, -- of it; empty: all
  device   TEXT NOT NULL, -- empty: all
  item     TEXT NOT NULL, -- empty: all
  reason   TEXT NOT NULL,
  asked_by TEXT NOT NULL,
  by_ring  BIGINT NOT NULL, -- 1: a ring begins when the one before it has passed
  PRIMARY KEY (tenant, campaign)
);
CREATE INDEX campaign_rollback_undoes ON campaign_rollback (tenant, undoes, campaign);

-- How far the rehearsal of an item's rollback has come on a device, and how long
-- the ways back and forth took.
ALTER TABLE campaign_device_item ADD COLUMN rehearsal TEXT NOT NULL DEFAULT '';
ALTER TABLE campaign_device_item ADD COLUMN rehearsal_back_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE campaign_device_item ADD COLUMN rehearsal_again_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE campaign_device_item ADD COLUMN rehearsal_why TEXT NOT NULL DEFAULT '';

-- The rollback that an exception covers; empty: a person granted it.
ALTER TABLE exception ADD COLUMN rollback TEXT NOT NULL DEFAULT '';
CREATE INDEX exception_rollback ON exception (tenant, rollback) WHERE rollback <> '' AND ended_us = 0;

-- What was going back when the site was upgraded goes on, in a campaign of its own.
INSERT INTO campaign (tenant, id, name, procedure_name, procedure_version, state, origin, schedule, patches, day_us, windows,
  starts_us, verification_us, started_us, sealed_us, enlisted, created_us, actor, due_us)
SELECT c.tenant, c.id || '-rollback', c.name || '-rollback ' || c.id, c.procedure_name, c.procedure_version, 'running', 'rollback', c.schedule, '[]', c.day_us, '',
  c.started_us, c.verification_us, c.started_us, c.started_us, c.enlisted, c.created_us, c.actor, 0
FROM campaign c WHERE c.state <> 'closed' AND EXISTS (
  SELECT 1 FROM campaign_device_item i WHERE i.tenant = c.tenant AND i.campaign = c.id AND i.rollback = 1 AND i.state <> 'rolled_back');
INSERT INTO campaign_rollback (tenant, campaign, undoes, ring, device, item, reason, asked_by, by_ring)
SELECT r.tenant, r.id, c.id, '', '', '',
  COALESCE((SELECT max(i.withdrawn_reason) FROM campaign_item i WHERE i.tenant = c.tenant AND i.campaign = c.id), ''),
  COALESCE((SELECT max(i.withdrawn_by) FROM campaign_item i WHERE i.tenant = c.tenant AND i.campaign = c.id), ''), 0
FROM campaign r JOIN campaign c ON c.tenant = r.tenant AND r.id = c.id || '-rollback' WHERE r.origin = 'rollback';
INSERT INTO campaign_amendment (tenant, campaign, number, reason, actor, created_us)
SELECT r.tenant, r.campaign, 0, '', r.asked_by, 0 FROM campaign_rollback r;
INSERT INTO campaign_item (tenant, campaign, id, amendment, provider, name, version, suite, promoted)
SELECT r.tenant, r.campaign, i.id, 0, i.provider, i.name, i.version, i.suite, i.promoted
FROM campaign_rollback r JOIN campaign_item i ON i.tenant = r.tenant AND i.campaign = r.undoes
WHERE EXISTS (SELECT 1 FROM campaign_device_item x WHERE x.tenant = i.tenant AND x.campaign = i.campaign AND x.item = i.id AND x.rollback = 1 AND x.state <> 'rolled_back');
INSERT INTO campaign_device (tenant, campaign, amendment, device, position, goal, bucket, windows, due_us, updated_us)
SELECT r.tenant, r.campaign, 0, d.device, min(d.position), 'rollback', 'not_reached', max(d.windows), 0, max(d.updated_us)
FROM campaign_rollback r JOIN campaign_device d ON d.tenant = r.tenant AND d.campaign = r.undoes
WHERE EXISTS (SELECT 1 FROM campaign_device_item x WHERE x.tenant = d.tenant AND x.campaign = d.campaign AND x.device = d.device AND x.amendment = d.amendment
  AND x.rollback = 1 AND x.state <> 'rolled_back')
GROUP BY r.tenant, r.campaign, d.device;
INSERT INTO campaign_device_item (tenant, campaign, device, item, amendment, state, reason, attempts, no_effects, rollback, packages, next_us, updated_us, rollback_impossible)
SELECT r.tenant, r.campaign, x.device, x.item, 0, x.state, x.reason, x.attempts, x.no_effects, 1, x.packages, x.next_us, x.updated_us, x.rollback_impossible
FROM campaign_rollback r JOIN campaign_device_item x ON x.tenant = r.tenant AND x.campaign = r.undoes AND x.rollback = 1 AND x.state <> 'rolled_back';
INSERT INTO campaign_ring (tenant, campaign, amendment, position, ring, state, opens_us, closes_us, opened_us, not_reached, rollback_impossible)
SELECT r.tenant, r.campaign, 0, g.position, g.ring, 'open', g.opens_us, g.closes_us, g.opens_us,
  (SELECT count(*) FROM campaign_device d WHERE d.tenant = r.tenant AND d.campaign = r.campaign AND d.position = g.position),
  (SELECT count(*) FROM campaign_device_item x JOIN campaign_device d ON d.tenant = x.tenant AND d.campaign = x.campaign AND d.device = x.device
    WHERE x.tenant = r.tenant AND x.campaign = r.campaign AND d.position = g.position AND x.rollback_impossible = 1)
FROM campaign_rollback r JOIN campaign_ring g ON g.tenant = r.tenant AND g.campaign = r.undoes AND g.amendment = 0;
UPDATE device_order SET campaign = campaign || '-rollback', amendment = 0 WHERE kind = 'rollback' AND state = 'open'
  AND EXISTS (SELECT 1 FROM campaign_rollback r WHERE r.tenant = device_order.tenant AND r.undoes = device_order.campaign);
UPDATE campaign_device_item SET state = CASE WHEN state = 'rebooting' THEN 'rolled_back' ELSE 'verified' END, reason = '', attempts = 0, no_effects = 0, next_us = 0
WHERE rollback = 1 AND state <> 'rolled_back' AND EXISTS (
  SELECT 1 FROM campaign_rollback r WHERE r.tenant = campaign_device_item.tenant AND r.undoes = campaign_device_item.campaign);
UPDATE campaign_device SET goal = 'install', windows = '', due_us = 0 WHERE goal = 'rollback' AND NOT EXISTS (
  SELECT 1 FROM campaign_rollback r WHERE r.tenant = campaign_device.tenant AND r.campaign = campaign_device.campaign);
INSERT INTO hold (tenant, id, campaign, ring, item, device, reason, actor, placed_us)
SELECT c.tenant, c.id || '-rollback', c.id, '', '', '',
  COALESCE((SELECT max(i.withdrawn_reason) FROM campaign_item i WHERE i.tenant = c.tenant AND i.campaign = c.id), ''), 'system:conductor', c.started_us
FROM campaign c WHERE c.state = 'rolling_back';
UPDATE campaign SET state = CASE WHEN verified_us > 0 THEN 'verifying' ELSE 'running' END, due_us = 0 WHERE state = 'rolling_back';

-- +goose Down
DROP INDEX exception_rollback;
ALTER TABLE exception DROP COLUMN rollback;
ALTER TABLE campaign_device_item DROP COLUMN rehearsal_why;
ALTER TABLE campaign_device_item DROP COLUMN rehearsal_again_us;
ALTER TABLE campaign_device_item DROP COLUMN rehearsal_back_us;
ALTER TABLE campaign_device_item DROP COLUMN rehearsal;
DROP INDEX campaign_rollback_undoes;
DROP TABLE campaign_rollback;
