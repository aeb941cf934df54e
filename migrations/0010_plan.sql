-- What the texts of a run amount to, counted as its audience is taken in: what the plan and its costs are made of. A few rows a run.
CREATE TABLE run_texts (
  org_id   TEXT   NOT NULL,
  run_id   TEXT   NOT NULL,
  locale   TEXT   NOT NULL,   -- of the text
  encoding TEXT   NOT NULL,
  country  TEXT   NOT NULL,   -- of the recipient's number; empty: it does not tell
  messages BIGINT NOT NULL,
  segments BIGINT NOT NULL,
  CONSTRAINT run_texts_key PRIMARY KEY (org_id, run_id, locale, encoding, country),
  CONSTRAINT run_texts_encoding CHECK (encoding IN ('gsm7', 'ucs2'))
);
-- Which runs are under way: what else waits for the same hour and the same channels.
CREATE INDEX runs_running ON runs (org_id, started_at) WHERE status = 'running';
