-- name: AddAccount :exec
INSERT INTO account (tenant, id, name, password, roles, lang, created_us)
VALUES (@tenant, @id, @name, @password, @roles, @lang, @created_us);

-- name: AccountByName :one
SELECT * FROM account WHERE name = @name AND closed_us = 0;

-- name: Account :one
SELECT * FROM account WHERE tenant = @tenant AND id = @id;

-- name: Accounts :many
SELECT * FROM account WHERE tenant = @tenant ORDER BY name;

-- name: CountAccounts :one
SELECT count(*) FROM account;

-- name: SetPassword :execrows
UPDATE account SET password = @password WHERE tenant = @tenant AND id = @id;

-- name: SetRoles :execrows
UPDATE account SET roles = @roles WHERE tenant = @tenant AND id = @id;

-- name: CloseAccount :execrows
UPDATE account SET closed_us = @closed_us WHERE tenant = @tenant AND id = @id AND closed_us = 0;

-- name: PutSession :exec
INSERT INTO login_session (token, data, expires_us) VALUES (@token, @data, @expires_us)
ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires_us = excluded.expires_us;

-- name: Session :one
SELECT * FROM login_session WHERE token = @token AND expires_us > @now_us;

-- name: DropSession :exec
DELETE FROM login_session WHERE token = @token;

-- name: DropExpiredSessions :execrows
DELETE FROM login_session WHERE expires_us <= @now_us;

-- name: AddAPIToken :exec
INSERT INTO api_token (tenant, id, hash, name, account, created_us, expires_us)
VALUES (@tenant, @id, @hash, @name, @account, @created_us, @expires_us);

-- name: APITokenByHash :one
SELECT * FROM api_token WHERE hash = @hash;

-- name: APITokens :many
SELECT * FROM api_token WHERE tenant = @tenant ORDER BY created_us DESC, id;

-- name: RevokeAPIToken :execrows
UPDATE api_token SET revoked_us = @revoked_us WHERE tenant = @tenant AND id = @id AND revoked_us = 0;

-- name: TouchAPIToken :exec
UPDATE api_token SET used_us = @used_us WHERE tenant = @tenant AND id = @id;

-- name: AddEnrollment :exec
INSERT INTO enrollment (tenant, id, hash, kind, tags, group_names, uses_left, created_us, expires_us, actor)
VALUES (@tenant, @id, @hash, @kind, @tags, @group_names, @uses_left, @created_us, @expires_us, @actor);

-- name: EnrollmentByHash :one
SELECT * FROM enrollment WHERE hash = @hash;

-- SpendEnrollment takes one use; no row means there is none left.
-- name: SpendEnrollment :execrows
UPDATE enrollment SET uses_left = uses_left - 1 WHERE tenant = @tenant AND id = @id AND uses_left > 0;
