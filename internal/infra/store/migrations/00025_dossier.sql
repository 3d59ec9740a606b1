-- +goose Up
-- What was handed out as a campaign's dossier, in the very bytes: the register
-- has their hashes, and a database changes after a document was read.
CREATE TABLE dossier_revision (
  tenant   TEXT NOT NULL,
  campaign TEXT NOT NULL,
  revision BIGINT NOT NULL, -- from 1
  lang     TEXT NOT NULL,
  reason   TEXT NOT NULL,
  actor    TEXT NOT NULL,
  at_us    BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign, revision)
);
CREATE TABLE dossier_file (
  tenant   TEXT NOT NULL,
  campaign TEXT NOT NULL,
  revision BIGINT NOT NULL,
  format   TEXT NOT NULL,
  sha256   TEXT NOT NULL,
  size     BIGINT NOT NULL,
  body     BYTEA NOT NULL,
  PRIMARY KEY (tenant, campaign, revision, format)
);
CREATE INDEX dossier_file_sha256 ON dossier_file (tenant, sha256);

-- A campaign's own story among the entries of its devices, of which there are
-- many thousand times more.
CREATE INDEX register_entry_story ON register_entry (tenant, campaign, idx) WHERE kind IN
  ('campaign_created', 'emergency_approved', 'content_sealed', 'amendment_added', 'item_withdrawn', 'ring_opened', 'ring_expedited', 'gate_decided',
   'sign_off', 'hold_placed', 'hold_lifted', 'rollback_requested', 'incident_opened', 'incident_closed', 'verification_done', 'dossier_issued', 'campaign_closed');

-- +goose Down
DROP INDEX register_entry_story;
DROP TABLE dossier_file;
DROP TABLE dossier_revision;
