-- Timelines: which messages are activities, of whom and about what.
--
-- A pointer and no more. What an activity shows (status, reason, text) is read from the message when it is looked at, so that
-- there is one truth, and a status that changes costs nothing here.
CREATE TABLE activities (
  org_id       TEXT   NOT NULL,
  run_id       TEXT   NOT NULL,
  seq          BIGINT NOT NULL,
  request      BIGINT NOT NULL,            -- the number of the request that holds the message: whether it waits for a time
  recipient    BIGINT NOT NULL,            -- E.164 without the plus
  relationship TEXT   NOT NULL,            -- entityrelationshipname
  regarding    TEXT   NOT NULL,            -- regardingobjectid
  created_at   BIGINT NOT NULL,
  CONSTRAINT activities_key PRIMARY KEY (org_id, run_id, seq)
) /* clustered */;
CREATE INDEX activities_recipient ON activities (org_id, recipient, created_at, run_id, seq);
CREATE INDEX activities_regarding ON activities (org_id, regarding, created_at, run_id, seq);

ALTER TABLE runs ADD COLUMN unlinked BIGINT NOT NULL DEFAULT 0; -- messages that were to leave an activity and do not say about what
