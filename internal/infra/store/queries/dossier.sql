-- name: AddDossierRevision :exec
INSERT INTO dossier_revision (tenant, campaign, revision, lang, reason, actor, at_us)
VALUES (@tenant, @campaign, @revision, @lang, @reason, @actor, @at_us);

-- name: AddDossierFile :exec
INSERT INTO dossier_file (tenant, campaign, revision, format, sha256, size, body)
VALUES (@tenant, @campaign, @revision, @format, @sha256, @size, @body);

-- name: DossierFile :one
SELECT * FROM dossier_file WHERE tenant = @tenant AND campaign = @campaign AND revision = @revision AND format = @format;
