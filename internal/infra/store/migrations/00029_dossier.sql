-- +goose Up
-- The story of a campaign also tells how what went wrong was put right: what
-- corrected an incident, what opened it again, how a rollback ended.
DROP INDEX register_entry_story;
CREATE INDEX register_entry_story ON register_entry (tenant, campaign, idx) WHERE kind IN
  ('campaign_created', 'emergency_approved', 'content_sealed', 'amendment_added', 'item_withdrawn', 'ring_opened', 'ring_expedited', 'gate_decided',
   'sign_off', 'hold_placed', 'hold_lifted', 'rollback_requested', 'rollback_ended', 'incident_opened', 'incident_corrected', 'incident_closed', 'incident_reopened',
   'verification_done', 'dossier_issued', 'campaign_closed');

-- What a rollback left open, ended exceptions too, among those that people granted.
CREATE INDEX exception_of_rollback ON exception (tenant, rollback, until_us, id) WHERE rollback <> '';

-- +goose Down
DROP INDEX exception_of_rollback;
DROP INDEX register_entry_story;
CREATE INDEX register_entry_story ON register_entry (tenant, campaign, idx) WHERE kind IN
  ('campaign_created', 'emergency_approved', 'content_sealed', 'amendment_added', 'item_withdrawn', 'ring_opened', 'ring_expedited', 'gate_decided',
   'sign_off', 'hold_placed', 'hold_lifted', 'rollback_requested', 'incident_opened', 'incident_closed', 'verification_done', 'dossier_issued', 'campaign_closed');
