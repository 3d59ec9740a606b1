-- name: AddException :exec
INSERT INTO exception (tenant, id, device, group_name, scope, patch, owner, reason, control, from_us, until_us, remind_us, actor, rollback)
VALUES (@tenant, @id, @device, @group_name, @scope, @patch, @owner, @reason, @control, @from_us, @until_us, @remind_us, @actor, @rollback);

-- name: Exception :one
SELECT * FROM exception WHERE tenant = @tenant AND id = @id;

-- ExceptionsInForce are those that decide; the end of each is known before it comes.
-- name: ExceptionsInForce :many
SELECT * FROM exception WHERE tenant = @tenant AND ended_us = 0 AND until_us > @now_us ORDER BY until_us, id;

-- ExceptionsOver are those whose end has come and is not in the register yet.
-- name: ExceptionsOver :many
SELECT * FROM exception WHERE tenant = @tenant AND ended_us = 0 AND until_us <= @now_us ORDER BY until_us, id LIMIT @max;

-- name: EndException :execrows
UPDATE exception SET ended_us = @ended_us, ended_by = @ended_by, ended_why = @ended_why WHERE tenant = @tenant AND id = @id AND ended_us = 0;

-- TouchGroupIn makes a group's devices be decided again in one campaign.
-- name: TouchGroupIn :execrows
UPDATE campaign_device SET due_us = 0
WHERE campaign_device.tenant = @tenant AND campaign_device.campaign = @campaign AND campaign_device.device IN (
  SELECT m.device FROM fleet_group_member m WHERE m.tenant = @tenant AND m.group_name = @group_name);

-- name: TouchDeviceIn :execrows
UPDATE campaign_device SET due_us = 0 WHERE tenant = @tenant AND campaign = @campaign AND device = @device;

-- name: AddTask :exec
INSERT INTO task (tenant, id, title, what, device, campaign, ring, patch, owner, escalate_to, escalate_after, proof, due_us, created_us, opened_us, actor, remind_us, escalate_us, finding)
VALUES (@tenant, @id, @title, @what, @device, @campaign, @ring, @patch, @owner, @escalate_to, @escalate_after, @proof, @due_us, @created_us, @opened_us, @actor, @remind_us, @escalate_us, @finding);

-- name: Task :one
SELECT * FROM task WHERE tenant = @tenant AND id = @id;

-- TasksToRemind are the open tasks with a reminder that is owed.
-- name: TasksToRemind :many
SELECT * FROM task WHERE tenant = @tenant AND closed_us = 0 AND remind_us <= @now_us ORDER BY remind_us LIMIT @max;

-- name: SetTaskReminded :execrows
UPDATE task SET reminded = @reminded, remind_us = @remind_us WHERE tenant = @tenant AND id = @id AND closed_us = 0 AND reminded < @reminded;

-- name: CloseTask :execrows
UPDATE task SET closed_us = @closed_us, closed_by = @closed_by WHERE tenant = @tenant AND id = @id AND closed_us = 0;

-- name: ReopenTask :execrows
UPDATE task SET closed_us = 0, closed_by = '', opened_us = @opened_us, due_us = @due_us, reminded = 0, remind_us = @remind_us, escalate_us = @escalate_us
WHERE tenant = @tenant AND id = @id AND closed_us > 0;

-- OpenTasksOfCampaign counts what people still have to do, by ring.
-- name: OpenTasksOfCampaign :many
SELECT ring, count(*) AS tasks FROM task WHERE tenant = @tenant AND campaign = @campaign AND closed_us = 0 GROUP BY ring ORDER BY ring;

-- name: AddTaskProof :exec
INSERT INTO task_proof (tenant, id, task, kind, text, output, file_name, sha256, size, actor, at_us)
VALUES (@tenant, @id, @task, @kind, @text, @output, @file_name, @sha256, @size, @actor, @at_us);

-- name: PutProofFile :exec
INSERT INTO proof_file (tenant, sha256, body) VALUES (@tenant, @sha256, @body) ON CONFLICT (tenant, sha256) DO NOTHING;

-- MissingOfName are the versions of a patch's name that a device misses.
-- name: MissingOfName :many
SELECT m.patch, m.packages, p.version FROM missing m JOIN patch p ON p.tenant = m.tenant AND p.id = m.patch
WHERE m.tenant = @tenant AND m.device = @device AND p.provider = @provider AND p.name = @name ORDER BY m.patch;
