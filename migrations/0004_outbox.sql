-- The outbox: what an organization's endpoints are to hear of, written with what it tells of and posted by a loop.

-- Who wants to hear of what. A transaction reads this before it writes a delivery, so only what is live stands here: nothing of
-- an endpoint that is inactive or disabled.
CREATE TABLE subscriptions (
  org_id   TEXT NOT NULL,
  endpoint TEXT NOT NULL,                  -- its name
  pattern  TEXT NOT NULL,                  -- a type of event, a family (message.*), or * for all
  CONSTRAINT subscriptions_key PRIMARY KEY (org_id, endpoint, pattern)
) /* clustered */;

-- What is known of an endpoint beyond its definition. A row for each that was ever defined: the list of whose deliveries there may be.
CREATE TABLE endpoint_states (
  org_id          TEXT   NOT NULL,
  endpoint        TEXT   NOT NULL,
  changed_at      BIGINT NOT NULL,         -- when it was last defined or enabled: an answer to an earlier post does not disable it
  disabled_at     BIGINT,                  -- since when nothing is posted to it
  why             TEXT   NOT NULL,         -- for an operator: why it is disabled
  last_success_at BIGINT,
  last_failure_at BIGINT,
  last_failure    TEXT   NOT NULL,         -- for an operator
  CONSTRAINT endpoint_states_key PRIMARY KEY (org_id, endpoint)
);

-- Webhooks that have not arrived. due_at in the future is a lease or a retry, token is the fence. What has arrived is deleted.
CREATE TABLE deliveries (
  org_id      TEXT   NOT NULL,
  endpoint    TEXT   NOT NULL,
  delivery_id TEXT   NOT NULL,             -- ordered by time, the same on every try
  event_type  TEXT   NOT NULL,
  body        TEXT   NOT NULL,             -- as it is posted and signed, to the byte
  state       TEXT   NOT NULL CHECK (state IN ('waiting', 'failed')),
  attempts    BIGINT NOT NULL,             -- tries that have failed
  due_at      BIGINT NOT NULL,
  token       BIGINT NOT NULL,             -- raised by every claim
  created_at  BIGINT NOT NULL,
  last_error  TEXT   NOT NULL,             -- for an operator: how the last try failed
  CONSTRAINT deliveries_key PRIMARY KEY (org_id, endpoint, delivery_id)
) /* clustered */;
CREATE INDEX deliveries_due ON deliveries (org_id, endpoint, due_at, delivery_id) WHERE state = 'waiting';
CREATE INDEX deliveries_failed ON deliveries (org_id, endpoint, delivery_id) WHERE state = 'failed';
