-- Conversations: what people write and what they are answered; when they last wrote; and how consent came to be what it is.

-- The thread between one channel and one person. It is open until it is ended, and what has ended stays so: the next reply
-- opens another one.
CREATE TABLE conversations (
  org_id          TEXT   NOT NULL,
  conversation_id TEXT   NOT NULL,
  channel         TEXT   NOT NULL,         -- its name
  channel_type    TEXT   NOT NULL,
  recipient       BIGINT NOT NULL,         -- the contact
  state           TEXT   NOT NULL CHECK (state IN ('open', 'ended')),
  locale          TEXT   NOT NULL,         -- of the message that was answered, else of the channel; or empty
  about           TEXT   NOT NULL,         -- the message that its first reply answers, or empty
  messages        BIGINT NOT NULL,         -- replies and answers: the place of the last one
  opened_at       BIGINT NOT NULL,
  changed_at      BIGINT NOT NULL,         -- when something was last said, or when it was ended
  ended_at        BIGINT,
  ended_by        TEXT   NOT NULL,
  CONSTRAINT conversations_key PRIMARY KEY (org_id, conversation_id)
);
CREATE UNIQUE INDEX conversations_open ON conversations (org_id, channel, recipient) WHERE state = 'open';
CREATE INDEX conversations_state ON conversations (org_id, state, conversation_id);
CREATE INDEX conversations_channel ON conversations (org_id, channel, conversation_id);
CREATE INDEX conversations_channel_state ON conversations (org_id, channel, state, conversation_id);
CREATE INDEX conversations_contact ON conversations (org_id, recipient, conversation_id);

ALTER TABLE replies ADD COLUMN conversation TEXT NOT NULL DEFAULT '';
ALTER TABLE replies ADD COLUMN place BIGINT NOT NULL DEFAULT 0;         -- in its conversation, from 1
ALTER TABLE replies ADD COLUMN media_refused BIGINT NOT NULL DEFAULT 0; -- attachments that the channel does not take
CREATE INDEX replies_conversation ON replies (org_id, conversation, place);

-- What the organization answered. Its text leaves as a message of a run; here it is a part of the conversation.
CREATE TABLE answers (
  org_id          TEXT   NOT NULL,
  conversation_id TEXT   NOT NULL,
  place           BIGINT NOT NULL,
  run_id          TEXT   NOT NULL,
  seq             BIGINT NOT NULL,
  text            TEXT   NOT NULL,
  media           TEXT   NOT NULL,
  author          TEXT   NOT NULL,         -- who answered
  idempotency_key TEXT   NOT NULL,         -- or empty
  digest          TEXT   NOT NULL,         -- of what was asked for under that key
  created_at      BIGINT NOT NULL,
  CONSTRAINT answers_key PRIMARY KEY (org_id, conversation_id, place)
);
CREATE UNIQUE INDEX answers_once ON answers (org_id, idempotency_key) WHERE idempotency_key <> '';

-- When each person last wrote to each channel: what WhatsApp's 24 hours are counted from. Only what comes in moves it.
CREATE TABLE sessions (
  org_id     TEXT   NOT NULL,
  channel    TEXT   NOT NULL,
  recipient  BIGINT NOT NULL,
  inbound_at BIGINT NOT NULL,
  CONSTRAINT sessions_key PRIMARY KEY (org_id, channel, recipient)
) /* clustered */;
INSERT INTO sessions (org_id, channel, recipient, inbound_at)
  SELECT org_id, channel, recipient, MAX(received_at) FROM replies GROUP BY org_id, channel, recipient;

-- Consent may also be unknown again, and says who said so. A CHECK cannot be altered on both engines.
CREATE TABLE consents_before AS SELECT org_id, channel_type, recipient, state, source, changed_at FROM consents;
DROP TABLE consents;
CREATE TABLE consents (
  org_id       TEXT   NOT NULL,
  channel_type TEXT   NOT NULL,
  recipient    BIGINT NOT NULL,
  state        TEXT   NOT NULL CHECK (state IN ('in', 'out', 'unknown')),
  source       TEXT   NOT NULL,            -- by which way it was said
  actor        TEXT   NOT NULL,            -- who said so
  changed_at   BIGINT NOT NULL,
  said_at      BIGINT NOT NULL,            -- when it was last said: an earlier word that comes late changes nothing
  CONSTRAINT consents_key PRIMARY KEY (org_id, channel_type, recipient)
);
INSERT INTO consents (org_id, channel_type, recipient, state, source, actor, changed_at, said_at)
  SELECT org_id, channel_type, recipient, state, source, '', changed_at, changed_at FROM consents_before;
DROP TABLE consents_before;
CREATE INDEX consents_state ON consents (org_id, state, channel_type, recipient);

-- Every change of consent, for good.
CREATE TABLE consent_changes (
  org_id       TEXT   NOT NULL,
  change_id    TEXT   NOT NULL,
  channel_type TEXT   NOT NULL,
  recipient    BIGINT NOT NULL,
  state        TEXT   NOT NULL,
  source       TEXT   NOT NULL,
  actor        TEXT   NOT NULL,
  changed_at   BIGINT NOT NULL,
  CONSTRAINT consent_changes_key PRIMARY KEY (org_id, change_id)
);
CREATE INDEX consent_changes_recipient ON consent_changes (org_id, recipient, change_id);
