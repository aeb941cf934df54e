//! Rows of an uploaded file, kept so that a report is the file itself: what they say in other words than their messages, and the
//! rows that were refused.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::{
    id::{OrgId, RunId},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args, json_rows},
    runs::{NewMessage, Rejected, add_importing},
};

/// Rows of a file, as a run takes them in.
#[derive(Clone, Debug, Default)]
pub struct FileRows {
    /// The good ones.
    pub messages: Vec<NewMessage>,
    /// Cells that cannot be told from a message, as JSON, by the message's place in `messages`.
    pub otherwise: Vec<(usize, String)>,
    /// The others.
    pub refused: Vec<Refused>,
}

/// A row of a file that was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The row.
    pub row: Rejected,
    /// The code of what is wrong with it first; empty if nobody said.
    pub code: String,
}

impl Store {
    /// Adds rows of a file to a run that is importing, as [`Store::add_chunk`] does.
    pub async fn add_file_rows(
        &self,
        org: &OrgId,
        run: RunId,
        after: i64,
        rows: &FileRows,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if !add_importing(&mut tx, org, run, after, &rows.messages, now).await? {
            return Ok(()); // already there
        }
        if !rows.otherwise.is_empty() {
            let seq = |place: usize| i64::try_from(place).unwrap_or(0) + after + 1;
            let cells = rows.otherwise.iter().map(|(place, cells)| (seq(*place), cells));
            let sql = "INSERT INTO message_cells (org_id, run_id, seq, cells)
                       SELECT $2, $3, CAST(r.value ->> 0 AS BIGINT), r.value ->> 1 FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING";
            tx.execute(sql, args![json_rows(cells), org.as_str(), run.to_string()]).await?;
        }
        add_refused(&mut tx, org, run, rows.refused.iter().map(|refused| (&refused.row, refused.code.as_str())))
            .await?;
        tx.commit().await
    }

    /// What messages of a run say otherwise, from the `first` place to the `last`: JSON, by place.
    pub async fn message_cells(
        &self,
        org: &OrgId,
        run: RunId,
        (first, last): (i64, i64),
    ) -> Result<BTreeMap<i64, BTreeMap<usize, String>>, StoreError> {
        let sql = "SELECT seq, cells FROM message_cells WHERE org_id = $1 AND run_id = $2 AND seq >= $3 AND seq <= $4";
        let rows = self.rows(sql, args![org.as_str(), run.to_string(), first, last]).await?;
        rows.iter().map(|row| Ok((row.int(0)?, row.json(1)?))).collect()
    }

    /// The rows that were refused after row `after` and up to row `upto`, in order.
    pub async fn refused_rows(
        &self,
        org: &OrgId,
        run: RunId,
        (after, upto): (i64, i64),
        limit: i64,
    ) -> Result<Vec<Refused>, StoreError> {
        let sql = "SELECT row_number, fields, problems, code FROM rejected_rows
                   WHERE org_id = $1 AND run_id = $2 AND row_number > $3 AND row_number <= $4 ORDER BY row_number LIMIT $5";
        let rows = self.rows(sql, args![org.as_str(), run.to_string(), after, upto, limit]).await?;
        let read = rows.iter().map(|row| {
            let rejected = Rejected { row: row.int(0)?, fields: row.json(1)?, problems: row.text(2)?.to_owned() };
            Ok(Refused { row: rejected, code: row.text(3)?.to_owned() })
        });
        read.collect()
    }

    /// The rows that were refused at the door, in order, after row `after`.
    pub async fn rejected_rows(
        &self,
        org: &OrgId,
        run: RunId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Rejected>, StoreError> {
        let sql = "SELECT row_number, fields, problems FROM rejected_rows WHERE org_id = $1 AND run_id = $2 AND row_number > $3 ORDER BY row_number LIMIT $4";
        let rows = self.rows(sql, args![org.as_str(), run.to_string(), after, limit]).await?;
        rows.iter()
            .map(|row| Ok(Rejected { row: row.int(0)?, fields: row.json(1)?, problems: row.text(2)?.to_owned() }))
            .collect()
    }
}

/// Keeps rows that were refused at the door, each with the code of what is wrong with it, and counts them on the run.
pub(super) async fn add_refused<'r>(
    tx: &mut Tx<'_>,
    org: &OrgId,
    run: RunId,
    rows: impl Iterator<Item = (&'r Rejected, &'r str)>,
) -> Result<(), StoreError> {
    let rows: Vec<_> =
        rows.map(|(row, code)| (row.row, json!(row.fields).to_string(), row.problems.as_str(), code)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO rejected_rows (org_id, run_id, row_number, fields, problems, code)
               SELECT $2, $3, CAST(r.value ->> 0 AS BIGINT), r.value ->> 1, r.value ->> 2, r.value ->> 3
               FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING";
    let added = tx.execute(sql, args![json_rows(rows.into_iter()), org.as_str(), run.to_string()]).await?;
    let sql = "UPDATE runs SET rejected = rejected + $1 WHERE org_id = $2 AND run_id = $3";
    tx.execute(sql, args![i64::try_from(added).unwrap_or(0), org.as_str(), run.to_string()]).await?;
    Ok(())
}
