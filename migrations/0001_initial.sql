-- The first schema. One text for SQLite and Postgres.
--
-- Every primary key and every index begins with org_id, so that the same schema distributes over machines by organization;
-- the one exception is lanes_due, the small answer to the cross-organization question "where is there work?".
-- Times are milliseconds since the epoch, bound by the caller. JSON is TEXT. Enumerations are TEXT with a CHECK.
-- "/* clustered */" becomes WITHOUT ROWID on SQLite (rows live in their primary key's tree) and nothing on Postgres.

CREATE TABLE organizations (
  org_id      TEXT   NOT NULL,
  settings    TEXT   NOT NULL,             -- the organization's definition
  quota_limit BIGINT NOT NULL CHECK (quota_limit > 0),
  quota_reserved BIGINT NOT NULL CHECK (quota_reserved BETWEEN 0 AND 100), -- percent kept for automatic messages
  revision    BIGINT NOT NULL,             -- raised by every change of any definition: workers' caches go by it
  CONSTRAINT organizations_key PRIMARY KEY (org_id)
);

-- Accounts, channels, templates, outbound configurations, hooks, lists: what files and the API define.
CREATE TABLE definitions (
  org_id        TEXT   NOT NULL,
  kind          TEXT   NOT NULL CHECK (kind IN ('account', 'channel', 'template', 'configuration', 'hook', 'list')),
  definition_id TEXT   NOT NULL,
  name          TEXT   NOT NULL,
  body          TEXT   NOT NULL,
  version       BIGINT NOT NULL,
  changed_at    BIGINT NOT NULL,
  CONSTRAINT definitions_key PRIMARY KEY (org_id, kind, definition_id),
  CONSTRAINT definitions_name UNIQUE (org_id, kind, name)
);

-- A run keeps the template that it began with.
CREATE TABLE template_versions (
  org_id      TEXT   NOT NULL,
  template_id TEXT   NOT NULL,
  version     BIGINT NOT NULL,
  source      TEXT   NOT NULL,
  CONSTRAINT template_versions_key PRIMARY KEY (org_id, template_id, version)
);

-- What is known of an account beyond its definition: whether it may send, and when its credentials were last proven.
CREATE TABLE account_states (
  org_id     TEXT   NOT NULL,
  account    TEXT   NOT NULL,              -- its name
  stopped    TEXT   NOT NULL,              -- empty: it sends; else why it does not
  checked_at BIGINT,
  checked    TEXT   NOT NULL,              -- the last check's result, in words
  CONSTRAINT account_states_key PRIMARY KEY (org_id, account)
);

-- Unguessable addresses: where providers call back, where events are posted. The token itself begins with the org.
CREATE TABLE tokens (
  org_id TEXT NOT NULL,
  token  TEXT NOT NULL,
  kind   TEXT NOT NULL CHECK (kind IN ('account', 'hook')),
  name   TEXT NOT NULL,
  CONSTRAINT tokens_key PRIMARY KEY (org_id, token),
  CONSTRAINT tokens_name UNIQUE (org_id, kind, name)
);

CREATE TABLE api_keys (
  org_id       TEXT   NOT NULL,
  key_id       TEXT   NOT NULL,
  name         TEXT   NOT NULL,
  scope        TEXT   NOT NULL CHECK (scope IN ('admin', 'send', 'read')),
  secret_hash  TEXT   NOT NULL,            -- SHA-256 of a secret of 256 random bits
  created_at   BIGINT NOT NULL,
  revoked_at   BIGINT,
  CONSTRAINT api_keys_key PRIMARY KEY (org_id, key_id)
);

-- A stored audience. A new import is a new version; a run reads the version that it began with.
CREATE TABLE list_entries (
  org_id    TEXT   NOT NULL,
  list      TEXT   NOT NULL,               -- its name
  version   BIGINT NOT NULL,
  seq       BIGINT NOT NULL,
  recipient BIGINT NOT NULL,
  opted_in  BIGINT NOT NULL,
  locale    TEXT   NOT NULL,
  slugs     TEXT   NOT NULL,
  CONSTRAINT list_entries_key PRIMARY KEY (org_id, list, version, seq)
) /* clustered */;

CREATE TABLE runs (
  org_id        TEXT   NOT NULL,
  run_id        TEXT   NOT NULL,
  configuration TEXT   NOT NULL,           -- its id
  name          TEXT   NOT NULL,           -- its name when the run began
  priority      TEXT   NOT NULL CHECK (priority IN ('automatic', 'instant', 'bulk')),
  status        TEXT   NOT NULL CHECK (status IN ('importing', 'running', 'paused', 'held', 'cancelling', 'completed', 'cancelled', 'failed')),
  why           TEXT   NOT NULL,           -- for an operator: why it is held, or failed
  firing        TEXT   NOT NULL,           -- what it is the one answer to: a due time, a day, or the run's own id
  pinned        TEXT   NOT NULL,           -- channel, template and version, validity: as the run began
  source        TEXT   NOT NULL,           -- where the audience came from, in words
  digest        TEXT   NOT NULL,           -- SHA-256 of an uploaded file, or empty
  columns       TEXT   NOT NULL,           -- the file's own columns, in order
  open_ended    BIGINT NOT NULL,           -- 1 while more may be added (a day of automatic messages)
  messages      BIGINT NOT NULL,           -- taken in: the number of rows in messages
  rejected      BIGINT NOT NULL,           -- refused at the door: the number of rows in rejected_rows
  requests      BIGINT NOT NULL,
  open_requests BIGINT NOT NULL,           -- not yet done
  dispatched    BIGINT NOT NULL,           -- requests counted against the quota, retries included
  created_at    BIGINT NOT NULL,
  touched_at    BIGINT NOT NULL,           -- while it is importing: when something was last added; one that stands still was left by a crash
  started_at    BIGINT,
  finished_at   BIGINT,
  CONSTRAINT runs_key PRIMARY KEY (org_id, run_id),
  CONSTRAINT runs_firing UNIQUE (org_id, configuration, firing)
);
CREATE INDEX runs_digest ON runs (org_id, digest, created_at);
-- What is looked after: uploads under way, failed ones whose rows are still there, days that take in more.
CREATE INDEX runs_importing ON runs (org_id, touched_at) WHERE status = 'importing';
CREATE INDEX runs_uncleared ON runs (org_id, run_id) WHERE status = 'failed' AND (messages > 0 OR rejected > 0);
CREATE INDEX runs_open_ended ON runs (org_id, created_at) WHERE open_ended = 1;

-- The unit that is queued, leased and counted. due_at in the future is a lease or a retry; token is the fence.
CREATE TABLE requests (
  org_id     TEXT   NOT NULL,
  run_id     TEXT   NOT NULL,
  number     BIGINT NOT NULL,
  priority   TEXT   NOT NULL,
  state      TEXT   NOT NULL CHECK (state IN ('importing', 'ready', 'paused', 'done')),
  first_seq  BIGINT NOT NULL,
  size       BIGINT NOT NULL CHECK (size BETWEEN 1 AND 100),
  due_at     BIGINT NOT NULL,
  token      BIGINT NOT NULL,              -- raised by every claim
  attempts   BIGINT NOT NULL,
  begun      BIGINT NOT NULL,              -- how many of its messages may have been handed over in this attempt: the intent
  accepted_at BIGINT NOT NULL,
  CONSTRAINT requests_key PRIMARY KEY (org_id, run_id, number)
);
CREATE INDEX requests_due ON requests (org_id, priority, due_at, run_id, number) WHERE state = 'ready';

-- What came in, never changed: the text is rendered again from the template's version when it is wanted.
CREATE TABLE messages (
  org_id     TEXT   NOT NULL,
  run_id     TEXT   NOT NULL,
  seq        BIGINT NOT NULL,
  row_number BIGINT NOT NULL,              -- the line in the file, or the place in the call
  recipient  BIGINT NOT NULL,              -- E.164 without the plus
  opted_in   BIGINT NOT NULL,
  repeat     BIGINT NOT NULL,              -- 1: the number stands earlier in the run
  locale     TEXT   NOT NULL,              -- as asked for; empty if not
  slugs      TEXT   NOT NULL,
  CONSTRAINT messages_key PRIMARY KEY (org_id, run_id, seq)
) /* clustered */;
CREATE INDEX messages_recipient ON messages (org_id, recipient);

-- What became of it: narrow, appended when a message leaves the queue, moved forward by receipts. No row: queued.
CREATE TABLE message_states (
  org_id        TEXT   NOT NULL,
  run_id        TEXT   NOT NULL,
  seq           BIGINT NOT NULL,
  status        TEXT   NOT NULL,
  code          TEXT   NOT NULL,           -- the reason's code, or empty
  provider_code TEXT   NOT NULL,
  detail        TEXT   NOT NULL,
  provider_id   TEXT   NOT NULL,
  locale        TEXT   NOT NULL,           -- the text that was chosen
  segments      BIGINT NOT NULL,
  token         BIGINT NOT NULL,           -- the attempt that wrote it; 0: a receipt
  sent_at       BIGINT,
  changed_at    BIGINT NOT NULL,
  CONSTRAINT message_states_key PRIMARY KEY (org_id, run_id, seq)
) /* clustered */;

-- Sums over message_states, kept in the same transactions, so that progress costs nothing to show.
CREATE TABLE tallies (
  org_id   TEXT   NOT NULL,
  run_id   TEXT   NOT NULL,
  status   TEXT   NOT NULL,
  code     TEXT   NOT NULL,
  locale   TEXT   NOT NULL,
  messages BIGINT NOT NULL,
  segments BIGINT NOT NULL,
  CONSTRAINT tallies_key PRIMARY KEY (org_id, run_id, status, code, locale)
);

CREATE TABLE rejected_rows (
  org_id     TEXT   NOT NULL,
  run_id     TEXT   NOT NULL,
  row_number BIGINT NOT NULL,
  fields     TEXT   NOT NULL,              -- the row as it was, a JSON array
  problems   TEXT   NOT NULL,              -- in words
  CONSTRAINT rejected_rows_key PRIMARY KEY (org_id, run_id, row_number)
);

-- Where there may be work, and from when: the only question that is asked across organizations.
CREATE TABLE lanes (
  org_id TEXT   NOT NULL,
  lane   TEXT   NOT NULL CHECK (lane IN ('automatic', 'instant', 'bulk', 'events', 'callbacks', 'schedules', 'upkeep')),
  due_at BIGINT NOT NULL,
  CONSTRAINT lanes_key PRIMARY KEY (org_id, lane)
);
CREATE INDEX lanes_due ON lanes (due_at);

-- The rolling hour: requests dispatched, by small buckets of time.
CREATE TABLE org_usage (
  org_id TEXT   NOT NULL,
  bucket BIGINT NOT NULL,
  used   BIGINT NOT NULL,
  bulk   BIGINT NOT NULL,                  -- the part that was not automatic
  CONSTRAINT org_usage_key PRIMARY KEY (org_id, bucket)
);

CREATE TABLE consents (
  org_id       TEXT   NOT NULL,
  channel_type TEXT   NOT NULL,
  recipient    BIGINT NOT NULL,
  state        TEXT   NOT NULL CHECK (state IN ('in', 'out')),
  source       TEXT   NOT NULL,            -- who or what said so
  changed_at   BIGINT NOT NULL,
  CONSTRAINT consents_key PRIMARY KEY (org_id, channel_type, recipient)
);

-- System events, kept so that the same id is never taken twice.
CREATE TABLE events (
  org_id      TEXT   NOT NULL,
  event_id    TEXT   NOT NULL,
  state       TEXT   NOT NULL CHECK (state IN ('new', 'done')),
  body        TEXT   NOT NULL,             -- emptied when done
  result      TEXT   NOT NULL,             -- what was made of it, in words
  received_at BIGINT NOT NULL,
  CONSTRAINT events_key PRIMARY KEY (org_id, event_id)
);
CREATE INDEX events_new ON events (org_id, received_at) WHERE state = 'new';

-- Provider callbacks as they arrived, until they are applied.
CREATE TABLE callbacks (
  org_id      TEXT   NOT NULL,
  callback_id TEXT   NOT NULL,
  account     TEXT   NOT NULL,
  body        TEXT   NOT NULL,             -- what it says, already verified and read
  received_at BIGINT NOT NULL,
  CONSTRAINT callbacks_key PRIMARY KEY (org_id, callback_id)
);

CREATE TABLE replies (
  org_id      TEXT   NOT NULL,
  channel     TEXT   NOT NULL,             -- its name
  provider_id TEXT   NOT NULL,
  reply_id    TEXT   NOT NULL,
  recipient   BIGINT NOT NULL,             -- the contact: who wrote
  text        TEXT   NOT NULL,
  media       TEXT   NOT NULL,
  keyword     TEXT   NOT NULL,             -- stop, start, help, or empty
  answers     TEXT   NOT NULL,             -- the message that it answers, or empty
  received_at BIGINT NOT NULL,
  CONSTRAINT replies_key PRIMARY KEY (org_id, channel, provider_id)
);
CREATE INDEX replies_recipient ON replies (org_id, recipient, received_at);
CREATE INDEX replies_newest ON replies (org_id, received_at);

-- A schedule's next firing. lease_until is a lease while a firing is made into a run.
CREATE TABLE schedules (
  org_id        TEXT   NOT NULL,
  configuration TEXT   NOT NULL,           -- its id
  fires_at      BIGINT NOT NULL,
  lease_until   BIGINT NOT NULL,
  CONSTRAINT schedules_key PRIMARY KEY (org_id, configuration)
);
