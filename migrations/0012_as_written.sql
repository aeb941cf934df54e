-- Reports that are the uploaded file itself: what a row says in other words than what is kept of it, and the code of what is wrong
-- with a row that was refused.

-- Only of rows that are written otherwise than they could be told from their message; nobody reads it but reports.
CREATE TABLE message_cells (
  org_id TEXT   NOT NULL,
  run_id TEXT   NOT NULL,
  seq    BIGINT NOT NULL,
  cells  TEXT   NOT NULL,                  -- JSON: the column's place, and the cell
  CONSTRAINT message_cells_key PRIMARY KEY (org_id, run_id, seq)
) /* clustered */;

ALTER TABLE rejected_rows ADD COLUMN code TEXT NOT NULL DEFAULT '';
