-- ClaimIdempotency takes a key before the act it guards; no row means that
-- somebody has it.
-- name: ClaimIdempotency :execrows
INSERT INTO idempotency (tenant, account, key, request, status, body, created_us)
VALUES (@tenant, @account, @key, @request, 0, @body, @created_us) ON CONFLICT (tenant, account, key) DO NOTHING;

-- name: Idempotency :one
SELECT * FROM idempotency WHERE tenant = @tenant AND account = @account AND key = @key;

-- name: FinishIdempotency :exec
UPDATE idempotency SET status = @status, body = @body WHERE tenant = @tenant AND account = @account AND key = @key;

-- name: DropIdempotency :exec
DELETE FROM idempotency WHERE tenant = @tenant AND account = @account AND key = @key;

-- name: DropOldIdempotency :execrows
DELETE FROM idempotency WHERE created_us < @before_us;

-- name: Enrollments :many
SELECT * FROM enrollment WHERE tenant = @tenant AND expires_us > @now_us AND uses_left > 0 ORDER BY created_us DESC, id DESC LIMIT @max;

-- name: RevokeEnrollment :execrows
UPDATE enrollment SET uses_left = 0 WHERE tenant = @tenant AND id = @id AND uses_left > 0;

-- name: SetLang :execrows
UPDATE account SET lang = @lang WHERE tenant = @tenant AND id = @id;

-- name: AccountInTenant :one
SELECT * FROM account WHERE tenant = @tenant AND name = @name AND closed_us = 0;

-- name: CountAdministrators :one
SELECT count(*) FROM account WHERE tenant = @tenant AND closed_us = 0 AND roles LIKE '%"admin"%';

-- name: RevokeTokensOf :execrows
UPDATE api_token SET revoked_us = @revoked_us WHERE tenant = @tenant AND account = @account AND revoked_us = 0;

-- TouchOpenCampaigns makes a tenant's open campaigns look for new members.
-- name: TouchOpenCampaigns :execrows
UPDATE campaign SET due_us = 0 WHERE tenant = @tenant AND state <> 'closed';

-- ForgetMissing takes a device out of the count of each patch it misses.
-- name: ForgetMissing :exec
UPDATE patch SET devices = devices - 1 WHERE patch.tenant = @tenant AND patch.id IN (
  SELECT m.patch FROM missing m WHERE m.tenant = @tenant AND m.device = @device);

-- name: CancelOrdersOf :execrows
UPDATE device_order SET state = 'cancelled', cause = @cause, next_us = 0 WHERE tenant = @tenant AND device = @device AND state = 'open';

-- name: APIToken :one
SELECT * FROM api_token WHERE tenant = @tenant AND id = @id;
