-- +goose Up
-- Tables of how long systems are supported, as people imported them: one for
-- each product, and the least hardware of versions under the product ''.
CREATE TABLE lifecycle_table (
  tenant   TEXT NOT NULL,
  product  TEXT NOT NULL,
  file     TEXT NOT NULL,
  body     TEXT NOT NULL,
  sha256   TEXT NOT NULL,
  extended BIGINT NOT NULL, -- 1: the longer support that the table tells of is the organisation's
  entries  BIGINT NOT NULL,
  actor    TEXT NOT NULL,
  at_us    BIGINT NOT NULL,
  PRIMARY KEY (tenant, product)
);

-- What the tables say of a device's system: written when its facts arrive, and
-- for the whole fleet when a table does. The state itself follows from the hour.
ALTER TABLE device ADD COLUMN system_cycle TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN system_ends_us BIGINT NOT NULL DEFAULT 0;   -- not supported from then on; 0: not known
ALTER TABLE device ADD COLUMN hardware_short TEXT NOT NULL DEFAULT '';    -- a reason, when it is too small for its system
ALTER TABLE device ADD COLUMN reboot_since_us BIGINT NOT NULL DEFAULT 0;  -- since when one is pending; 0: none, or not noted
ALTER TABLE device ADD COLUMN cert_expires_us BIGINT NOT NULL DEFAULT 0;  -- 0: not noted

-- +goose Down
ALTER TABLE device DROP COLUMN cert_expires_us;
ALTER TABLE device DROP COLUMN reboot_since_us;
ALTER TABLE device DROP COLUMN hardware_short;
ALTER TABLE device DROP COLUMN system_ends_us;
ALTER TABLE device DROP COLUMN system_cycle;
DROP TABLE lifecycle_table;
