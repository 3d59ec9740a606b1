-- name: AddAlertBook :exec
INSERT INTO alert_book (tenant, version, name, body, sha256, actor, at_us)
VALUES (@tenant, @version, @name, @body, @sha256, @actor, @at_us);

-- AlertBookInForce is the last version, if there is one.
-- name: AlertBookInForce :many
SELECT * FROM alert_book WHERE tenant = @tenant ORDER BY version DESC LIMIT 1;

-- name: AlertBookHead :one
SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) FROM alert_book WHERE tenant = @tenant;

-- name: AlertBook :one
SELECT * FROM alert_book WHERE tenant = @tenant AND version = @version;

-- name: AlertBooks :many
SELECT tenant, version, name, sha256, actor, at_us FROM alert_book WHERE tenant = @tenant ORDER BY version DESC;

-- OpenAlertsOf is what is read of each sample.
-- name: OpenAlertsOf :many
SELECT * FROM alert WHERE tenant = @tenant AND subject = @subject AND ended_us = 0 ORDER BY rule;

-- name: OpenAlert :many
SELECT * FROM alert WHERE tenant = @tenant AND rule = @rule AND subject = @subject AND ended_us = 0;

-- name: Alert :one
SELECT * FROM alert WHERE tenant = @tenant AND id = @id;

-- AddAlert opens one, unless another server has done so meanwhile.
-- name: AddAlert :execrows
INSERT INTO alert (tenant, id, rule, subject, about, title, severity, rank, who, device, campaign, ring, patch, args, state, since_us, last_us, episode_us, fired_us, told_us,
  escalated, quiet, value, worst, known, threshold, below, times, ended_us, ended_why, due_us, did, did_id, did_us, version)
VALUES (@tenant, @id, @rule, @subject, @about, @title, @severity, @rank, @who, @device, @campaign, @ring, @patch, @args, @state, @since_us, @last_us, @episode_us, @fired_us, @told_us,
  @escalated, @quiet, @value, @worst, @known, @threshold, @below, @times, @ended_us, @ended_why, @due_us, @did, @did_id, @did_us, 1)
ON CONFLICT DO NOTHING;

-- PutAlert writes a decision on what was read at a version, and on nothing else.
-- name: PutAlert :execrows
UPDATE alert SET title = @title, severity = @severity, rank = @rank, who = @who, campaign = @campaign, ring = @ring, patch = @patch, args = @args, state = @state, since_us = @since_us,
  last_us = @last_us, episode_us = @episode_us, fired_us = @fired_us, told_us = @told_us, escalated = @escalated, quiet = @quiet, value = @value, worst = @worst, known = @known,
  threshold = @threshold, below = @below, times = @times, acked_us = @acked_us, acked_by = @acked_by, acked_why = @acked_why, ended_us = @ended_us, ended_why = @ended_why,
  due_us = @due_us, did = @did, did_id = @did_id, did_us = @did_us, version = version + 1
WHERE tenant = @tenant AND id = @id AND version = @version;

-- LastInstall is the last order of the kind that puts patches on a device, or
-- takes them back, that a device has carried out.
-- name: LastInstall :many
SELECT o.campaign, o.amendment, o.kind, o.began_us, o.ended_us FROM device_order o
WHERE o.tenant = @tenant AND o.device = @device AND o.ended_us > 0 AND o.kind IN ('install', 'rollback') ORDER BY o.ended_us DESC LIMIT 1;

-- StandingInstall is the ring of an open campaign in which something was
-- installed on a device and has not gone back.
-- name: StandingInstall :many
SELECT g.ring FROM campaign c
JOIN campaign_device m ON m.tenant = c.tenant AND m.campaign = c.id AND m.device = @device AND m.amendment = @amendment
JOIN campaign_ring g ON g.tenant = c.tenant AND g.campaign = c.id AND g.amendment = m.amendment AND g.position = m.position
WHERE c.tenant = @tenant AND c.id = @campaign AND c.started_us > 0 AND c.closed_us = 0 AND EXISTS (
  SELECT 1 FROM campaign_device_item i WHERE i.tenant = c.tenant AND i.campaign = c.id AND i.device = m.device AND i.amendment = m.amendment
    AND i.state IN ('installed_pending_reboot', 'rebooting', 'verifying', 'verified'));

-- HoldOfRule is a hold in force on a ring, or on a device, that a rule has placed.
-- name: HoldOfRule :many
SELECT h.id FROM hold h JOIN alert a ON a.tenant = h.tenant AND a.did_id = h.id AND a.rule = @rule
WHERE h.tenant = @tenant AND h.campaign = @campaign AND h.ring = @ring AND h.device = @device AND h.lifted_us = 0 LIMIT 1;

-- RuleActed is when a rule last acted for a device in a campaign; 0: never.
-- name: RuleActed :one
SELECT CAST(COALESCE(MAX(did_us), 0) AS BIGINT) FROM alert
WHERE tenant = @tenant AND device = @device AND rule = @rule AND campaign = @campaign AND did_us > 0;

-- DropAlert forgets what was pending and came to nothing.
-- name: DropAlert :execrows
DELETE FROM alert WHERE tenant = @tenant AND id = @id AND version = @version AND state = 'pending';

-- AlertsDue are those to look at though nothing new was seen.
-- name: AlertsDue :many
SELECT * FROM alert WHERE ended_us = 0 AND due_us <= @now_us ORDER BY due_us LIMIT @max;

-- OpenAlertsOfRule are those of an absence, to see which have come back.
-- name: OpenAlertsOfRule :many
SELECT a.*, d.seen_us, d.retired_us FROM alert a JOIN device d ON d.tenant = a.tenant AND d.id = a.device
WHERE a.tenant = @tenant AND a.rule = @rule AND a.ended_us = 0 AND (d.seen_us > @seen_us OR d.retired_us > 0) ORDER BY a.id;

-- OpenAlertsOfCampaign are those of a rule on a whole campaign.
-- name: OpenAlertsOfCampaign :many
SELECT * FROM alert WHERE tenant = @tenant AND rule = @rule AND campaign = @campaign AND ended_us = 0 ORDER BY id;

-- AlertRulesOpen are the rules that have an open alert, to find those that are gone.
-- name: AlertRulesOpen :many
SELECT DISTINCT tenant, rule FROM alert WHERE ended_us = 0 ORDER BY tenant, rule;

-- name: TouchAlertsOfRule :execrows
UPDATE alert SET due_us = 0 WHERE tenant = @tenant AND rule = @rule AND ended_us = 0;

-- name: TouchAlerts :execrows
UPDATE alert SET due_us = 0 WHERE tenant = @tenant AND ended_us = 0 AND (rule = @rule OR CAST(@rule AS TEXT) = '') AND (subject = @subject OR CAST(@subject AS TEXT) = '');

-- name: DropOldAlerts :execrows
DELETE FROM alert WHERE ended_us > 0 AND ended_us < @before_us;

-- FellSilent are devices of which the last word is older than one instant and not
-- older than another.
-- name: FellSilent :many
SELECT id, name, seen_us FROM device
WHERE tenant = @tenant AND seen_us > @after_us AND seen_us <= @until_us AND retired_us = 0 AND id > @id ORDER BY id LIMIT @max;

-- LostAtReboot are devices whose order has got to its reboot, and that were not
-- heard of since an instant.
-- name: LostAtReboot :many
SELECT o.device, d.name, d.seen_us, o.campaign FROM device_order o JOIN device d ON d.tenant = o.tenant AND d.id = o.device
WHERE o.tenant = @tenant AND o.state = 'open' AND o.step = 'reboot' AND o.step_us > 0 AND d.seen_us <= @seen_us AND d.retired_us = 0
  AND NOT EXISTS (SELECT 1 FROM alert a WHERE a.tenant = o.tenant AND a.rule = @rule AND a.subject = 'device:' || o.device AND a.ended_us = 0)
ORDER BY o.step_us, o.device LIMIT @max;

-- name: AddAlertSilence :exec
INSERT INTO alert_silence (tenant, id, rule, subject, reason, actor, at_us, until_us) VALUES (@tenant, @id, @rule, @subject, @reason, @actor, @at_us, @until_us);

-- name: AlertSilences :many
SELECT * FROM alert_silence WHERE tenant = @tenant AND until_us > @now_us ORDER BY until_us, id;

-- name: EndAlertSilence :execrows
UPDATE alert_silence SET until_us = @now_us WHERE tenant = @tenant AND id = @id AND until_us > @now_us;

-- name: DropOldSilences :execrows
DELETE FROM alert_silence WHERE until_us < @before_us;

-- AlertSilence is the end of the longest silence over an alert; 0: none.
-- name: AlertSilence :one
SELECT CAST(COALESCE(MAX(until_us), 0) AS BIGINT) FROM alert_silence
WHERE tenant = @tenant AND until_us > @now_us AND (rule = @rule OR rule = '') AND (subject = @subject OR subject = '');

-- RegistersAhead are tenants whose register has entries that were not read.
-- name: RegistersAhead :many
SELECT h.tenant, h.size, CAST(COALESCE(c.next_idx, -1) AS BIGINT) AS next_idx FROM register_head h
LEFT JOIN alert_cursor c ON c.tenant = h.tenant WHERE h.size <> COALESCE(c.next_idx, -1) ORDER BY h.tenant;

-- name: AddAlertCursor :exec
INSERT INTO alert_cursor (tenant, next_idx) VALUES (@tenant, @next_idx) ON CONFLICT (tenant) DO NOTHING;

-- MoveAlertCursor goes on from where the caller read, unless another server did.
-- name: MoveAlertCursor :execrows
UPDATE alert_cursor SET next_idx = @next_idx WHERE tenant = @tenant AND next_idx = @from_idx;

-- name: AlertCursor :one
SELECT * FROM alert_cursor WHERE tenant = @tenant;

-- name: SetAlertLooked :exec
UPDATE alert_cursor SET looked_us = @looked_us WHERE tenant = @tenant;

-- CampaignsOfDevice are the running campaigns that a device is in, the latest first.
-- name: CampaignsOfDevice :many
SELECT c.id, c.name, c.procedure_name FROM campaign_device m JOIN campaign c ON c.tenant = m.tenant AND c.id = m.campaign
WHERE m.tenant = @tenant AND m.device = @device AND m.amendment = 0 AND c.started_us > 0 AND c.closed_us = 0 ORDER BY c.started_us DESC, c.id DESC;

-- name: AddAlertNotice :exec
INSERT INTO alert_notice (tenant, id, output, alert, body, at_us) VALUES (@tenant, @id, @output, @alert, @body, @at_us);

-- NoticesWaiting are the outputs that are owed something, with since when.
-- name: NoticesWaiting :many
SELECT tenant, output, CAST(MIN(at_us) AS BIGINT) AS first_us, count(*) AS notices FROM alert_notice WHERE delivery = '' GROUP BY tenant, output ORDER BY 3;

-- name: BundleNotices :execrows
UPDATE alert_notice SET delivery = @delivery WHERE alert_notice.tenant = @tenant AND alert_notice.delivery = '' AND alert_notice.id IN (
  SELECT n.id FROM alert_notice n WHERE n.tenant = @tenant AND n.output = @output AND n.delivery = '' ORDER BY n.at_us, n.id LIMIT @max);

-- name: NoticesOfDelivery :many
SELECT * FROM alert_notice WHERE tenant = @tenant AND delivery = @delivery ORDER BY at_us, id;

-- name: AddAlertDelivery :exec
INSERT INTO alert_delivery (tenant, id, output, state, attempts, next_us, lease_us, created_us, ended_us, notices, cause)
VALUES (@tenant, @id, @output, 'waiting', 0, @next_us, 0, @created_us, 0, @notices, '');

-- ClaimDeliveries takes what is due; another server may claim it after the lease.
-- name: ClaimDeliveries :many
UPDATE alert_delivery SET lease_us = @lease_us
WHERE (tenant, id) IN (SELECT d.tenant, d.id FROM alert_delivery d WHERE d.state = 'waiting' AND d.next_us <= @now_us AND d.lease_us < @now_us ORDER BY d.next_us LIMIT @max)
  AND lease_us < @now_us
RETURNING *;

-- name: EndDelivery :execrows
UPDATE alert_delivery SET state = @state, attempts = attempts + 1, ended_us = @ended_us, cause = @cause, lease_us = 0 WHERE tenant = @tenant AND id = @id AND state = 'waiting';

-- name: RetryDelivery :execrows
UPDATE alert_delivery SET attempts = attempts + 1, next_us = @next_us, cause = @cause, lease_us = 0 WHERE tenant = @tenant AND id = @id AND state = 'waiting';

-- ReviveDelivery lets a dead one be tried again.
-- name: ReviveDelivery :execrows
UPDATE alert_delivery SET state = 'waiting', attempts = 0, next_us = @next_us, ended_us = 0 WHERE tenant = @tenant AND id = @id AND state = 'dead';

-- DismissDelivery takes a dead one from the page.
-- name: DismissDelivery :execrows
DELETE FROM alert_delivery WHERE tenant = @tenant AND id = @id AND state = 'dead';

-- NextDelivery is when the next one is due.
-- name: NextDelivery :one
SELECT CAST(COALESCE(MIN(next_us), 9223372036854775807) AS BIGINT) FROM alert_delivery WHERE state = 'waiting';

-- name: DropOldDeliveries :execrows
DELETE FROM alert_delivery WHERE ended_us > 0 AND ended_us < @before_us;

-- name: DropOldNotices :execrows
DELETE FROM alert_notice WHERE at_us < @before_us;

-- name: AddFeedLink :exec
INSERT INTO feed_link (tenant, id, kind, name, lang, actor, created_us) VALUES (@tenant, @id, @kind, @name, @lang, @actor, @created_us);

-- name: FeedLinks :many
SELECT * FROM feed_link WHERE tenant = @tenant ORDER BY created_us, id;

-- name: FeedLink :one
SELECT * FROM feed_link WHERE tenant = @tenant AND id = @id;

-- name: RevokeFeedLink :execrows
UPDATE feed_link SET revoked_us = @revoked_us WHERE tenant = @tenant AND id = @id AND revoked_us = 0;
