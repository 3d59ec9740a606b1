-- name: AddFreeze :exec
INSERT INTO freeze_by_hand (tenant, name, devices, from_us, until_us, reason, actor, created_us)
VALUES (@tenant, @name, @devices, @from_us, @until_us, @reason, @actor, @created_us);

-- name: Freeze :one
SELECT * FROM freeze_by_hand WHERE tenant = @tenant AND name = @name;

-- FreezesOpen are those that are on or to come: the tenant's, and those for all.
-- name: FreezesOpen :many
SELECT * FROM freeze_by_hand WHERE (tenant = @tenant OR tenant = '') AND ended_us = 0 AND until_us > @now_us
ORDER BY from_us, tenant, name;

-- FreezesOf are all that concern a tenant since an instant, the latest first.
-- name: FreezesOf :many
SELECT * FROM freeze_by_hand WHERE (tenant = @tenant OR tenant = '') AND until_us > @since_us
ORDER BY from_us DESC, tenant, name LIMIT @max;

-- name: EndFreeze :execrows
UPDATE freeze_by_hand SET ended_us = @ended_us, ended_by = @ended_by, ended_why = @ended_why
WHERE tenant = @tenant AND name = @name AND ended_us = 0;

-- OpenFindingTasks are the tasks that were made of findings and wait.
-- name: OpenFindingTasks :many
SELECT * FROM task WHERE tenant = @tenant AND closed_us = 0 AND finding <> '' ORDER BY id;
