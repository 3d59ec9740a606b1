-- name: AddTenant :exec
INSERT INTO tenant (id, name, created_us) VALUES (@id, @name, @created_us) ON CONFLICT (id) DO NOTHING;

-- name: Tenants :many
SELECT * FROM tenant ORDER BY id;

-- name: Tenant :one
SELECT * FROM tenant WHERE id = @id;

-- name: NextHoldsSerial :one
UPDATE tenant SET holds_serial = holds_serial + 1 WHERE id = @id RETURNING holds_serial;

-- name: AddOutbox :exec
INSERT INTO outbox (id, tenant, subject, payload, created_us) VALUES (@id, @tenant, @subject, @payload, @created_us);

-- name: Outbox :many
SELECT * FROM outbox ORDER BY id LIMIT @max;

-- name: DropOutbox :exec
DELETE FROM outbox WHERE id = @id;
