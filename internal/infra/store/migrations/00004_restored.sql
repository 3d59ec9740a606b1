-- +goose Up
-- The latest restore of a register from a backup: every checkpoint signed from
-- then on says it. A register that was restored before this was kept has an
-- entry that tells.
ALTER TABLE register_head ADD COLUMN restored_at_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE register_head ADD COLUMN restored_size BIGINT NOT NULL DEFAULT 0;
UPDATE register_head SET
  restored_at_us = COALESCE((SELECT e.at_us FROM register_entry e
    WHERE e.tenant = register_head.tenant AND e.kind = 'register_restored' ORDER BY e.idx DESC LIMIT 1), 0),
  restored_size = COALESCE((SELECT e.idx FROM register_entry e
    WHERE e.tenant = register_head.tenant AND e.kind = 'register_restored' ORDER BY e.idx DESC LIMIT 1), 0);

-- +goose Down
ALTER TABLE register_head DROP COLUMN restored_size;
ALTER TABLE register_head DROP COLUMN restored_at_us;
