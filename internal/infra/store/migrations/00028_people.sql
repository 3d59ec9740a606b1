-- +goose Up
-- How many reminders of a gate's test were told, so that none is told twice.
CREATE TABLE test_reminder (
  tenant    TEXT NOT NULL,
  campaign  TEXT NOT NULL,
  amendment BIGINT NOT NULL,
  position  BIGINT NOT NULL,
  test      TEXT NOT NULL,
  reminded  BIGINT NOT NULL,
  at_us     BIGINT NOT NULL, -- of the last one
  PRIMARY KEY (tenant, campaign, amendment, position, test)
);

-- +goose Down
DROP TABLE test_reminder;
