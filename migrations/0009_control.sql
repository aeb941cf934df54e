-- Runs that begin with a slice and stop when they fail in bulk; schedules that fire so long after they were said.

-- The first slice: '' there is none; 'sending' its messages have no ends yet; 'waiting' they have, and receipts and replies are
-- awaited; 'passed' the rest was released; 'over' it went over its limits and paused the run; 'released' an operator released the rest.
ALTER TABLE runs ADD COLUMN canary TEXT NOT NULL DEFAULT '' CHECK (canary IN ('', 'sending', 'waiting', 'passed', 'over', 'released'));
ALTER TABLE runs ADD COLUMN canary_size BIGINT NOT NULL DEFAULT 0;     -- how many messages the slice has
ALTER TABLE runs ADD COLUMN canary_at BIGINT;                          -- when somebody looks at it next; NULL: it is decided, or there is none
ALTER TABLE runs ADD COLUMN canary_decided BIGINT;                     -- when it will be or was decided; NULL: that is not known yet
ALTER TABLE runs ADD COLUMN opted_out BIGINT NOT NULL DEFAULT 0;       -- replies to its messages that opted out
ALTER TABLE runs ADD COLUMN watch TEXT NOT NULL DEFAULT '';            -- from which figures on failures are counted; JSON, or empty: from none
CREATE INDEX runs_canary ON runs (org_id, canary_at) WHERE canary_at IS NOT NULL;

ALTER TABLE schedules ADD COLUMN decided_at BIGINT;                    -- the due time that is being made into a run; NULL: not decided yet

-- Since when a configuration says "so long after": the time that its one firing is reckoned from, kept when it has fired.
CREATE TABLE schedule_origins (
  org_id        TEXT   NOT NULL,
  configuration TEXT   NOT NULL,           -- its id
  said          TEXT   NOT NULL,           -- what it says
  said_at       BIGINT NOT NULL,
  CONSTRAINT schedule_origins_key PRIMARY KEY (org_id, configuration)
);
