-- +goose Up
-- Why a campaign is an emergency, and who asked for it.
CREATE TABLE campaign_emergency (
  tenant         TEXT NOT NULL,
  campaign       TEXT NOT NULL,
  cause          TEXT NOT NULL,   -- patches, cve or missed
  reference      TEXT NOT NULL,   -- the CVE, or the id of the campaign that missed something
  reason         TEXT NOT NULL,
  through_freeze BIGINT NOT NULL, -- 1: it may act in a freeze, which a second person has to agree to
  asked_by       TEXT NOT NULL,
  approved_us    BIGINT NOT NULL DEFAULT 0, -- when the last sign-off let it start; 0: it waits
  PRIMARY KEY (tenant, campaign)
);

-- +goose Down
DROP TABLE campaign_emergency;
