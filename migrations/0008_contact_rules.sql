-- The rules of how often and when a person is written to: counted by when messages were accepted, held until a time.

-- When a message was accepted. Of those before, the beginning of their run is near enough: what is counted lies hours and days back.
ALTER TABLE messages ADD COLUMN accepted_at BIGINT NOT NULL DEFAULT 0;
UPDATE messages SET accepted_at = COALESCE(
  (SELECT created_at FROM runs WHERE runs.org_id = messages.org_id AND runs.run_id = messages.run_id), 0);
DROP INDEX messages_recipient;
CREATE INDEX messages_recipient ON messages (org_id, recipient, accepted_at);

-- What a run's messages are counted as: pinned when it begins.
ALTER TABLE runs ADD COLUMN marketing BIGINT NOT NULL DEFAULT 0;       -- 1: advertising, which caps count
ALTER TABLE runs ADD COLUMN channel_type TEXT NOT NULL DEFAULT 'sms';
UPDATE runs SET channel_type = COALESCE((SELECT jsonb(d.body) ->> 'type' FROM definitions d
    WHERE d.org_id = runs.org_id AND d.kind = 'channel' AND d.name = jsonb(runs.pinned) ->> 'channel'), 'sms'),
  marketing = COALESCE((SELECT CASE WHEN jsonb(t.source) ->> 'purpose' = 'marketing' THEN 1 ELSE 0 END FROM template_versions t
    WHERE t.org_id = runs.org_id AND t.template_id = jsonb(runs.pinned) ->> 'template'
    AND t.version = CAST(jsonb(runs.pinned) ->> 'version' AS BIGINT)), 0);

ALTER TABLE message_states ADD COLUMN held_until BIGINT;               -- the time that it waits for, while it is held
CREATE INDEX message_states_held ON message_states (org_id, run_id, held_until) WHERE held_until IS NOT NULL;
