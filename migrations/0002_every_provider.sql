-- Accounts of several providers: fallback channels, tries that a provider knows as repeated, messages of which no receipt comes.

-- The kinds of work and of definitions have grown; a CHECK cannot be altered on both engines, so the tables are made anew.
CREATE TABLE lanes_before AS SELECT org_id, lane, due_at FROM lanes;
DROP TABLE lanes;
CREATE TABLE lanes (
  org_id TEXT   NOT NULL,
  lane   TEXT   NOT NULL CHECK (lane IN ('automatic', 'instant', 'bulk', 'events', 'callbacks', 'schedules', 'upkeep', 'polls', 'deliveries')),
  due_at BIGINT NOT NULL,
  CONSTRAINT lanes_key PRIMARY KEY (org_id, lane)
);
INSERT INTO lanes (org_id, lane, due_at) SELECT org_id, lane, due_at FROM lanes_before;
DROP TABLE lanes_before;
CREATE INDEX lanes_due ON lanes (due_at);

CREATE TABLE definitions_before AS SELECT org_id, kind, definition_id, name, body, version, changed_at FROM definitions;
DROP TABLE definitions;
CREATE TABLE definitions (
  org_id        TEXT   NOT NULL,
  kind          TEXT   NOT NULL CHECK (kind IN ('account', 'channel', 'template', 'configuration', 'hook', 'endpoint', 'list')),
  definition_id TEXT   NOT NULL,
  name          TEXT   NOT NULL,
  body          TEXT   NOT NULL,
  version       BIGINT NOT NULL,
  changed_at    BIGINT NOT NULL,
  CONSTRAINT definitions_key PRIMARY KEY (org_id, kind, definition_id),
  CONSTRAINT definitions_name UNIQUE (org_id, kind, name)
);
INSERT INTO definitions (org_id, kind, definition_id, name, body, version, changed_at)
  SELECT org_id, kind, definition_id, name, body, version, changed_at FROM definitions_before;
DROP TABLE definitions_before;

ALTER TABLE requests ADD COLUMN via TEXT NOT NULL DEFAULT '';          -- the channel of the attempt that last began; empty: the run's own
ALTER TABLE requests ADD COLUMN first_sent BIGINT;                     -- when a call was first made for it: part of what makes a repeated try known as such
ALTER TABLE requests ADD COLUMN poll_at BIGINT;                        -- when the provider is asked about messages of which no receipt has come
ALTER TABLE requests ADD COLUMN polls BIGINT NOT NULL DEFAULT 0;       -- how often it was asked
CREATE INDEX requests_polls ON requests (org_id, poll_at) WHERE poll_at IS NOT NULL;

ALTER TABLE message_states ADD COLUMN via TEXT NOT NULL DEFAULT '';    -- the channel that it left through; empty: its run's own
