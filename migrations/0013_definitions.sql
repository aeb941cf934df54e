-- Definitions by API.

-- The runs that are not over: what they still need cannot go.
CREATE INDEX runs_unfinished ON runs (org_id, run_id) WHERE finished_at IS NULL;
