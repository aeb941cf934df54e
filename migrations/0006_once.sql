-- Requests under an idempotency key: the same key is the same request, and has the same answer for a day.
CREATE TABLE idempotency_keys (
  org_id          TEXT   NOT NULL,
  idempotency_key TEXT   NOT NULL,
  digest          TEXT   NOT NULL,         -- of what was asked: another request under the same key is a mistake
  token           BIGINT NOT NULL,         -- raised by whoever takes the key up: the fence
  lease_until     BIGINT NOT NULL,         -- until then it is being answered
  status          BIGINT,                  -- of the answer; NULL: there is none yet
  answer          TEXT   NOT NULL,         -- JSON, or empty
  created_at      BIGINT NOT NULL,
  CONSTRAINT idempotency_keys_key PRIMARY KEY (org_id, idempotency_key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (org_id, created_at);
