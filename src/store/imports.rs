//! Upkeep: uploads are begun once a file and cleared away if their process has vanished; days that are over are closed; old
//! idempotency keys are forgotten, and listeners that are gone.
//!
//! Nothing of an upload can be claimed before it is opened, so one that broke off is only in the way: of its file being sent
//! again, and of the disk.

use std::time::Duration;

use crate::domain::{
    id::{OrgId, RunId},
    run::RunStatus,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
    lanes::{self, LaneKind},
    once,
    runs::{NewRun, begin_run},
    settle, streams,
};

/// Rows that one clearing transaction deletes.
const CHUNK: i64 = 5_000;

/// Whether an upload was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It was, as this run.
    Run(RunId),
    /// The same file is there already, as this run, which stands there.
    Same(RunId, RunStatus),
}

/// What the upkeep of an organization did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads that had been left, and have failed now.
    pub failed: Vec<RunId>,
    /// Whether there may be more rows to clear away.
    pub more: bool,
}

impl Store {
    /// Makes the run of an upload, unless the same file came for the same configuration since `since`. One after another for
    /// an organization: of two uploads of one file at one moment, one is begun.
    pub async fn begin_upload(
        &self,
        org: &OrgId,
        new: &NewRun,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let mut tx = self.begin().await?;
        tx.rows("SELECT 1 FROM organizations WHERE org_id = $1 LOCKED ROWS", args![org.as_str()]).await?;
        if let Some(since) = since {
            let sql = "SELECT run_id, status FROM runs WHERE org_id = $1 AND digest = $2 AND configuration = $3 AND created_at >= $4
                       AND status <> 'failed' ORDER BY run_id DESC LIMIT 1";
            let same = args![org.as_str(), new.digest.as_str(), new.configuration.to_string(), since.millis()];
            if let Some(row) = tx.row(sql, same).await? {
                return Ok(Begun::Same(row.parsed(0)?, row.parsed(1)?));
            }
        }
        let run = begin_run(&mut tx, org, new, now).await?;
        tx.commit().await?;
        Ok(Begun::Run(run))
    }

    /// Closes the runs of days that are over; fails uploads to which nothing was added for longer than `patience`, and deletes some of the rows of those that failed.
    /// An upload that is alive adds rows all the time; one that only slept finds out, and is not opened.
    pub async fn tidy(
        &self,
        org: &OrgId,
        patience: Duration,
        why: &str,
        today: Day,
        now: Timestamp,
    ) -> Result<Swept, StoreError> {
        let mut tx = self.begin().await?;
        lanes::lock(&mut tx, org, LaneKind::Upkeep).await?;
        let sql = "UPDATE runs SET status = 'failed', why = $1, finished_at = $2
                   WHERE org_id = $3 AND status = 'importing' AND digest <> '' AND touched_at < $4 RETURNING run_id";
        let left = tx.rows(sql, args![why, now.millis(), org.as_str(), now.minus(patience).millis()]).await?;
        let failed = left.iter().map(|row| row.parsed(0)).collect::<Result<_, _>>()?;
        let more = clear_some(&mut tx, org).await?;
        let sql = "SELECT MIN(touched_at) FROM runs WHERE org_id = $1 AND status = 'importing' AND digest <> ''";
        let oldest = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
        let look_again = oldest.map(|touched| Timestamp::from_millis(touched + 1).plus(patience));
        let next_day = close_days(&mut tx, org, today, now).await?.then_some(today.ends);
        let next_key = once::forget(&mut tx, org, now).await?;
        let next_stream = streams::clear_left(&mut tx, org, now).await?;
        let next_canary = next_canary(&mut tx, org).await?;
        let next = [more.then_some(now), look_again, next_day, next_key, next_stream, next_canary];
        let next = next.into_iter().flatten().min();
        lanes::rest(&mut tx, org, LaneKind::Upkeep, next).await?;
        tx.commit().await?;
        Ok(Swept { failed, more })
    }
}

/// A day of the organization's, where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Its midnight.
    pub began: Timestamp,
    /// The next one.
    pub ends: Timestamp,
}

/// Nothing more is taken into runs that began before today; whether any goes on taking in.
async fn close_days(tx: &mut Tx<'_>, org: &OrgId, today: Day, now: Timestamp) -> Result<bool, StoreError> {
    let sql =
        "UPDATE runs SET open_ended = 0 WHERE org_id = $1 AND open_ended = 1 AND created_at < $2 RETURNING run_id";
    let closed = tx.rows(sql, args![org.as_str(), today.began.millis()]).await?;
    for row in &closed {
        settle::complete(tx, org, row.parsed(0)?, now).await?;
    }
    let sql = "SELECT 1 FROM runs WHERE org_id = $1 AND open_ended = 1 LIMIT 1";
    Ok(tx.row(sql, args![org.as_str()]).await?.is_some())
}

/// When a first slice is to be looked at next. One whose run is stopped is looked at when that goes on.
async fn next_canary(tx: &mut Tx<'_>, org: &OrgId) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT MIN(canary_at) FROM runs WHERE org_id = $1 AND canary_at IS NOT NULL AND status = 'running'";
    let next = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
    Ok(next.map(Timestamp::from_millis))
}

/// Deletes the last rows of an upload that failed, and counts them off; `false` if no such upload has any.
async fn clear_some(tx: &mut Tx<'_>, org: &OrgId) -> Result<bool, StoreError> {
    let sql = "SELECT run_id, messages FROM runs WHERE org_id = $1 AND status = 'failed' AND digest <> '' AND (messages > 0 OR rejected > 0)
               ORDER BY run_id LIMIT 1";
    let Some(row) = tx.row(sql, args![org.as_str()]).await? else { return Ok(false) };
    let (run, messages) = (row.text(0)?.to_owned(), row.int(1)?);
    let key = || args![org.as_str(), run.as_str()];
    if messages > 0 {
        let keep = (messages - 1) / CHUNK * CHUNK;
        let sql = "DELETE FROM requests WHERE org_id = $1 AND run_id = $2 AND first_seq + size > $3 + 1";
        let requests = tx.execute(sql, args![org.as_str(), run.as_str(), keep]).await?;
        let sql = "DELETE FROM messages WHERE org_id = $1 AND run_id = $2 AND seq > $3";
        tx.execute(sql, args![org.as_str(), run.as_str(), keep]).await?;
        tx.execute(
            "DELETE FROM activities WHERE org_id = $1 AND run_id = $2 AND seq > $3",
            args![org.as_str(), run.as_str(), keep],
        )
        .await?;
        let sql = "UPDATE runs SET messages = $3, requests = requests - $4, open_requests = open_requests - $4
                   WHERE org_id = $1 AND run_id = $2";
        let requests = i64::try_from(requests).unwrap_or(0);
        tx.execute(sql, args![org.as_str(), run.as_str(), keep, requests]).await?;
    } else {
        tx.execute("DELETE FROM rejected_rows WHERE org_id = $1 AND run_id = $2", key()).await?;
        tx.execute("DELETE FROM run_cursors WHERE org_id = $1 AND run_id = $2", key()).await?;
        tx.execute("UPDATE runs SET rejected = 0 WHERE org_id = $1 AND run_id = $2", key()).await?;
    }
    Ok(true)
}
