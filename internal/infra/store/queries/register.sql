-- name: EnsureRegisterHead :exec
INSERT INTO register_head (tenant, size, tree, checkpoint, at_us) VALUES (@tenant, 0, '', '', 0)
ON CONFLICT (tenant) DO NOTHING;

-- LockRegisterHead takes the row's lock on PostgreSQL; on SQLite the single
-- writer already holds it.
-- name: LockRegisterHead :one
UPDATE register_head SET size = size WHERE tenant = @tenant RETURNING *;

-- name: SetRegisterHead :exec
UPDATE register_head SET size = @size, tree = @tree, checkpoint = @checkpoint, at_us = @at_us WHERE tenant = @tenant;

-- name: RegisterHead :one
SELECT * FROM register_head WHERE tenant = @tenant;

-- name: AddRegisterEntry :exec
INSERT INTO register_entry (tenant, idx, at_us, kind, actor, device, campaign, ring, patch, body)
VALUES (@tenant, @idx, @at_us, @kind, @actor, @device, @campaign, @ring, @patch, @body);

-- name: AddRegisterHash :exec
INSERT INTO register_hash (tenant, idx, hash) VALUES (@tenant, @idx, @hash);

-- name: RegisterHash :one
SELECT hash FROM register_hash WHERE tenant = @tenant AND idx = @idx;

-- name: RegisterEntriesFrom :many
SELECT * FROM register_entry WHERE tenant = @tenant AND idx >= @idx ORDER BY idx LIMIT @max;

-- name: RegisterEntriesOfDevice :many
SELECT * FROM register_entry WHERE tenant = @tenant AND device = @device AND idx >= @idx ORDER BY idx LIMIT @max;

-- name: RegisterHashes :many
SELECT idx, hash FROM register_hash WHERE tenant = @tenant AND idx >= @first AND idx <= @last ORDER BY idx;
