-- name: TestReminders :many
SELECT * FROM test_reminder WHERE tenant = @tenant AND campaign = @campaign ORDER BY amendment, position, test;

-- PutTestReminder keeps that so many were told, unless another server has told
-- as many meanwhile.
-- name: PutTestReminder :execrows
INSERT INTO test_reminder (tenant, campaign, amendment, position, test, reminded, at_us)
VALUES (@tenant, @campaign, @amendment, @position, @test, @reminded, @at_us)
ON CONFLICT (tenant, campaign, amendment, position, test) DO UPDATE SET reminded = excluded.reminded, at_us = excluded.at_us
WHERE test_reminder.reminded < excluded.reminded;

-- RingsToTest are the rings whose tests can be ticked now.
-- name: RingsToTest :many
SELECT g.* FROM campaign_ring g
JOIN campaign c ON c.tenant = g.tenant AND c.id = g.campaign
WHERE g.tenant = @tenant AND c.state <> 'closed' AND g.state IN ('open', 'soaking', 'gate') ORDER BY g.campaign, g.amendment, g.position;
