-- name: AddIncident :exec
INSERT INTO incident (tenant, id, severity, title, what, campaign, ring, patch, owner, origin, origin_id, subject, response, state, opened_us, opened_by, changed_us)
VALUES (@tenant, @id, @severity, @title, @what, @campaign, @ring, @patch, @owner, @origin, @origin_id, @subject, @response, 'open', @opened_us, @opened_by, @opened_us);

-- name: Incident :one
SELECT * FROM incident WHERE tenant = @tenant AND id = @id;

-- IncidentOfSubject is the one that is not closed.
-- name: IncidentOfSubject :one
SELECT * FROM incident WHERE tenant = @tenant AND subject = @subject AND subject <> '' AND state <> 'closed';

-- SetIncident keeps what an act changed, unless another act came between.
-- name: SetIncident :execrows
UPDATE incident SET state = @state, severity = @severity, owner = @owner, cause = @cause, correction = @correction, reopened = @reopened, response = @response,
  changed_us = @changed_us, corrected_us = @corrected_us, corrected_by = @corrected_by, closed_us = @closed_us, closed_by = @closed_by
WHERE tenant = @tenant AND id = @id AND state = @was;

-- name: AddIncidentDevice :execrows
INSERT INTO incident_device (tenant, incident, device) VALUES (@tenant, @incident, @device) ON CONFLICT (tenant, incident, device) DO NOTHING;

-- name: AddIncidentNote :exec
INSERT INTO incident_note (tenant, id, incident, act, text, actor, at_us) VALUES (@tenant, @id, @incident, @act, @text, @actor, @at_us);

-- IncidentsOfCampaign counts those that are not closed.
-- name: IncidentsOfCampaign :many
SELECT ring, severity, count(*) AS incidents FROM incident
WHERE tenant = @tenant AND campaign = @campaign AND state <> 'closed' GROUP BY ring, severity ORDER BY ring, severity;

-- name: PutTestResult :exec
INSERT INTO test_result (tenant, campaign, amendment, position, test, item, outcome, remark, incident, actor, at_us)
VALUES (@tenant, @campaign, @amendment, @position, @test, @item, @outcome, @remark, @incident, @actor, @at_us)
ON CONFLICT (tenant, campaign, amendment, position, test, item) DO UPDATE SET outcome = excluded.outcome, remark = excluded.remark,
  incident = excluded.incident, actor = excluded.actor, at_us = excluded.at_us;

-- name: TestResults :many
SELECT * FROM test_result WHERE tenant = @tenant AND campaign = @campaign ORDER BY amendment, position, test, item;

-- name: PutFeedbackDiagnosis :exec
INSERT INTO feedback_diagnosis (tenant, feedback, body, at_us) VALUES (@tenant, @feedback, @body, @at_us)
ON CONFLICT (tenant, feedback) DO UPDATE SET body = excluded.body, at_us = excluded.at_us;

-- OpenTasksOfPatch counts those that a part of the server opened for it.
-- name: OpenTasksOfPatch :one
SELECT count(*) FROM task WHERE tenant = @tenant AND campaign = @campaign AND patch = @patch AND actor = @actor AND closed_us = 0;

-- TestReading counts the devices of a ring that an automatic test is about, and
-- those on which its probe has been up or down since.
-- name: TestReading :one
SELECT count(*) AS devices, CAST(coalesce(sum(CASE WHEN b.state = 'up' THEN 1 ELSE 0 END), 0) AS BIGINT) AS up,
  CAST(coalesce(sum(CASE WHEN b.state = 'down' THEN 1 ELSE 0 END), 0) AS BIGINT) AS down
FROM campaign_device x
LEFT JOIN device_probe b ON b.tenant = x.tenant AND b.device = x.device AND b.name = @probe AND b.at_us > @since_us
WHERE x.tenant = @tenant AND x.campaign = @campaign AND x.amendment = @amendment AND x.position = @position
  AND (@department = '' OR EXISTS (SELECT 1 FROM device_tag k WHERE k.tenant = x.tenant AND k.device = x.device AND k.name = 'department' AND k.value = @department))
  AND (@group_name = '' OR EXISTS (SELECT 1 FROM fleet_group_member m WHERE m.tenant = x.tenant AND m.device = x.device AND m.group_name = @group_name));

-- DeviceEntries are the latest entries about a device.
-- name: DeviceEntries :many
SELECT body FROM register_entry WHERE tenant = @tenant AND device = @device ORDER BY idx DESC LIMIT @max;

-- ItemsForDiagnosis are the campaign's patches on a device, what moved last first.
-- name: ItemsForDiagnosis :many
SELECT x.item, x.state, x.reason, x.packages, x.updated_us, i.name, i.version FROM campaign_device_item x
JOIN campaign_item i ON i.tenant = x.tenant AND i.campaign = x.campaign AND i.id = x.item
WHERE x.tenant = @tenant AND x.campaign = @campaign AND x.device = @device ORDER BY x.updated_us DESC, x.item LIMIT @max;
