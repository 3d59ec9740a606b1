-- name: PutPatch :one
INSERT INTO patch (tenant, id, provider, name, version, suite, origin, class, summary, first_seen_us, download_bytes)
VALUES (@tenant, @id, @provider, @name, @version, @suite, @origin, @class, @summary, @first_seen_us, @download_bytes)
ON CONFLICT (tenant, id) DO UPDATE SET class = excluded.class, origin = excluded.origin
RETURNING first_seen_us;

-- name: Patch :one
SELECT * FROM patch WHERE tenant = @tenant AND id = @id;

-- name: PatchesAfter :many
SELECT * FROM patch WHERE tenant = @tenant AND id > @id ORDER BY id LIMIT @max;

-- name: PatchesByName :many
SELECT * FROM patch WHERE tenant = @tenant AND name = @name ORDER BY first_seen_us DESC;

-- AddPatchDevices moves the count of devices that miss a patch.
-- name: AddPatchDevices :exec
UPDATE patch SET devices = devices + @delta WHERE tenant = @tenant AND id = @id;

-- name: MissingOfDevice :many
SELECT * FROM missing WHERE tenant = @tenant AND device = @device ORDER BY patch;

-- name: PutMissing :exec
INSERT INTO missing (tenant, device, patch, state, state_detail, packages, since_us, exposed_us, installed)
VALUES (@tenant, @device, @patch, @state, @state_detail, @packages, @since_us, @exposed_us, @installed)
ON CONFLICT (tenant, device, patch) DO UPDATE SET state = excluded.state, state_detail = excluded.state_detail, packages = excluded.packages,
  installed = excluded.installed;

-- name: DropMissing :exec
DELETE FROM missing WHERE tenant = @tenant AND device = @device AND patch = @patch;

-- name: DropMissingOfDevice :exec
DELETE FROM missing WHERE tenant = @tenant AND device = @device;

-- PatchesMissing lists the patches that at least one device misses now.
-- name: PatchesMissing :many
SELECT * FROM patch WHERE tenant = @tenant AND devices > 0 ORDER BY id;

-- name: PutDecision :exec
INSERT INTO patch_decision (tenant, scope, verdict, until_us, reason, actor, at_us)
VALUES (@tenant, @scope, @verdict, @until_us, @reason, @actor, @at_us)
ON CONFLICT (tenant, scope) DO UPDATE SET verdict = excluded.verdict, until_us = excluded.until_us,
  reason = excluded.reason, actor = excluded.actor, at_us = excluded.at_us;

-- name: Decisions :many
SELECT * FROM patch_decision WHERE tenant = @tenant ORDER BY scope;

-- PatchesSince is the catalogue of a time.
-- name: PatchesSince :many
SELECT * FROM patch WHERE tenant = @tenant AND first_seen_us >= @from_us ORDER BY first_seen_us, id;
