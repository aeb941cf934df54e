-- Cases: herald's own small record of what the organization's system of cases says, so that an audience can be "every customer
-- with a resolved case"; and how far a run has read an audience that herald holds itself.

-- What is known of a case: its status, its title and its contact, each by the latest word on it. An event that comes late fills
-- only what nobody has said since.
CREATE TABLE cases (
  org_id       TEXT   NOT NULL,
  case_id      TEXT   NOT NULL,            -- the sender's
  status       TEXT   NOT NULL,            -- in lower case
  status_at    BIGINT NOT NULL,            -- the time of the event that said so; 0: none did
  title        TEXT   NOT NULL,
  title_at     BIGINT NOT NULL,
  recipient    BIGINT,                     -- E.164 without the plus; NULL: no event named a contact
  opted_in     BIGINT,                     -- NULL: nothing was said of it
  channel_type TEXT   NOT NULL,            -- the only one that the contact is meant for, or empty
  locale       TEXT   NOT NULL,
  slugs        TEXT   NOT NULL,
  contact_at   BIGINT NOT NULL,
  opened_at    BIGINT NOT NULL,            -- the time of the earliest event
  event_at     BIGINT NOT NULL,            -- the time of the latest
  changed_at   BIGINT NOT NULL,            -- when herald last wrote here
  CONSTRAINT cases_key PRIMARY KEY (org_id, case_id)
);
CREATE INDEX cases_status ON cases (org_id, status, case_id);
CREATE INDEX cases_people ON cases (org_id, recipient, event_at, case_id) WHERE recipient IS NOT NULL;
CREATE INDEX cases_people_status ON cases (org_id, status, recipient, event_at, case_id) WHERE recipient IS NOT NULL;

-- How far a run that is importing has read its list or its cases: written with the rows, gone when the run is opened.
CREATE TABLE run_cursors (
  org_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  place  TEXT NOT NULL,                    -- JSON
  CONSTRAINT run_cursors_key PRIMARY KEY (org_id, run_id)
);
