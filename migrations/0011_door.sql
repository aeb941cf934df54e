-- Who comes in: when a key was last used, and who listens to what happens.
ALTER TABLE api_keys ADD COLUMN last_used_at BIGINT;

-- Those who listen over HTTP (`GET /v1/stream`). Each has subscriptions of its own, and what it is to be told waits among the
-- deliveries under its id, which no endpoint can have. One that is not renewed has been left.
CREATE TABLE streams (
  org_id      TEXT   NOT NULL,
  stream_id   TEXT   NOT NULL,
  lease_until BIGINT NOT NULL,
  CONSTRAINT streams_key PRIMARY KEY (org_id, stream_id)
);
