-- name: LinkEpoch :one
SELECT CAST(coalesce((SELECT l.epoch FROM device_link l WHERE l.tenant = @tenant AND l.device = @device), 0) AS BIGINT) AS epoch;

-- RevokeLinks makes every link given until now open nothing.
-- name: RevokeLinks :exec
INSERT INTO device_link (tenant, device, epoch, actor, at_us) VALUES (@tenant, @device, 1, @actor, @at_us)
ON CONFLICT (tenant, device) DO UPDATE SET epoch = device_link.epoch + 1, actor = excluded.actor, at_us = excluded.at_us;

-- name: PutNotice :exec
INSERT INTO notice (tenant, device, person, order_id, act, what, until_us, deadline_us, remaining, offers, at_us)
VALUES (@tenant, @device, @person, @order_id, @act, @what, @until_us, @deadline_us, @remaining, @offers, @at_us)
ON CONFLICT (tenant, device, person) DO UPDATE SET order_id = excluded.order_id, act = excluded.act, what = excluded.what, until_us = excluded.until_us,
  deadline_us = excluded.deadline_us, remaining = excluded.remaining, offers = excluded.offers, at_us = excluded.at_us;

-- MoveNotice is what follows a question: its deadline and its choices stay.
-- name: MoveNotice :execrows
UPDATE notice SET what = @what, until_us = @until_us, remaining = @remaining, at_us = @at_us
WHERE tenant = @tenant AND device = @device AND person = @person AND order_id = @order_id AND act = @act;

-- name: DropOtherNotices :execrows
DELETE FROM notice WHERE tenant = @tenant AND device = @device AND order_id <> @order_id;

-- name: DropNotices :execrows
DELETE FROM notice WHERE tenant = @tenant AND device = @device;

-- name: Notices :many
SELECT n.* FROM notice n JOIN device_order o ON o.tenant = n.tenant AND o.id = n.order_id AND o.state = 'open'
WHERE n.tenant = @tenant AND n.device = @device ORDER BY n.person;

-- name: AddSaid :exec
INSERT INTO said (tenant, id, device, order_id, choice, envelope, state, said_us, expires_us)
VALUES (@tenant, @id, @device, @order_id, @choice, @envelope, 'sent', @said_us, @expires_us);

-- OpenSaid are those that the agent has told nothing of.
-- name: OpenSaid :many
SELECT * FROM said WHERE tenant = @tenant AND device = @device AND state = 'sent' AND expires_us > @now_us ORDER BY expires_us, id LIMIT 8;

-- SaidSince counts what was said on a device's page lately.
-- name: SaidSince :one
SELECT count(*) FROM said WHERE tenant = @tenant AND device = @device AND said_us > @since_us;

-- TakeSaid keeps the latest "not before" of those whom an answer is of.
-- name: TakeSaid :execrows
UPDATE said SET state = 'taken', told_us = @told_us, until_us = CASE WHEN until_us > @until_us THEN until_us ELSE @until_us END
WHERE tenant = @tenant AND device = @device AND id = @id;

-- name: RefuseSaid :execrows
UPDATE said SET state = 'refused', told_us = @told_us, reason = @reason
WHERE tenant = @tenant AND device = @device AND id = @id AND state = 'sent';

-- name: Feedback :one
SELECT * FROM feedback WHERE tenant = @tenant AND campaign = @campaign AND device = @device AND patch = @patch;

-- name: FeedbackByID :one
SELECT * FROM feedback WHERE tenant = @tenant AND id = @id;

-- PutFeedback keeps the last word; what was dealt with is open again.
-- name: PutFeedback :exec
INSERT INTO feedback (tenant, campaign, device, patch, id, says, words, changes, at_us)
VALUES (@tenant, @campaign, @device, @patch, @id, @says, @words, 1, @at_us)
ON CONFLICT (tenant, campaign, device, patch) DO UPDATE SET says = excluded.says, words = excluded.words, changes = feedback.changes + 1,
  at_us = excluded.at_us, closed_us = 0, closed_by = '', closed_why = '';

-- name: CloseFeedback :execrows
UPDATE feedback SET closed_us = @closed_us, closed_by = @closed_by, closed_why = @closed_why
WHERE tenant = @tenant AND id = @id AND says = 'broken' AND closed_us = 0;

-- DeviceCampaignItem is one if the campaign brings the patch to the device, or,
-- for an empty patch, anything at all.
-- name: DeviceCampaignItems :one
SELECT count(*) FROM campaign_device_item
WHERE tenant = @tenant AND campaign = @campaign AND device = @device AND (item = @patch OR @patch = '');

-- name: PutLogo :exec
INSERT INTO logo (tenant, sha256, body, width, height, actor, at_us) VALUES (@tenant, @sha256, @body, @width, @height, @actor, @at_us)
ON CONFLICT (tenant) DO UPDATE SET sha256 = excluded.sha256, body = excluded.body, width = excluded.width, height = excluded.height,
  actor = excluded.actor, at_us = excluded.at_us;

-- name: DropLogo :execrows
DELETE FROM logo WHERE tenant = @tenant;

-- name: Logo :one
SELECT * FROM logo WHERE tenant = @tenant;

-- name: LogoHash :one
SELECT CAST(coalesce((SELECT l.sha256 FROM logo l WHERE l.tenant = @tenant), '') AS TEXT) AS sha256;
