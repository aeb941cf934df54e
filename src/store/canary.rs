//! Runs are opened, the whole of them or a first slice; and the slice is decided on when its time has come.
//!
//! What is held back stays as it was taken in: `importing`. Every step is one transaction that only the first of several workers
//! can make, so that a crash between two of them leaves the next look where it is.

use std::time::Duration;

use crate::domain::{
    canary::CanaryState,
    id::{OrgId, RunId},
    limits::Excess,
    run::Pinned,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
    lanes::{self, LaneKind},
    settle, watch,
};

/// Between two looks at a slice whose messages have no ends yet.
const LOOK: Duration = Duration::from_secs(1);

/// What became of a first slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It stayed under the limits: the rest may be claimed.
    Released,
    /// It went over them: the run is paused, and this is why.
    Paused(String),
}

impl Store {
    /// The audience is complete: its requests may be claimed from now on, or those of the first slice.
    pub async fn open_run(&self, org: &OrgId, run: RunId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if open(&mut tx, org, run, now).await? { tx.commit().await } else { Ok(()) }
    }

    /// Looks at the organization's first slices that are due; those that were decided on.
    pub async fn look_at_canaries(&self, org: &OrgId, now: Timestamp) -> Result<Vec<(RunId, Decided)>, StoreError> {
        let sql = "SELECT run_id FROM runs WHERE org_id = $1 AND canary_at <= $2 AND status = 'running' ORDER BY canary_at LIMIT 100";
        let due = self.rows(sql, args![org.as_str(), now.millis()]).await?;
        let mut decided = Vec::new();
        for row in &due {
            let run = row.parsed(0)?;
            if let Some(found) = self.look_at_canary(org, run, now).await? {
                decided.push((run, found));
            }
        }
        Ok(decided)
    }

    /// Puts the next look off, or decides. `None` also if somebody else was quicker, or the run was stopped meanwhile.
    async fn look_at_canary(&self, org: &OrgId, run: RunId, now: Timestamp) -> Result<Option<Decided>, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        let sql = "SELECT canary_size, pinned, priority FROM runs
                   WHERE org_id = $1 AND run_id = $2 AND status = 'running' AND canary IN ('sending', 'waiting')";
        let Some(row) = tx.row(sql, args![org.as_str(), id.as_str()]).await? else { return Ok(None) };
        let (size, guard) = (row.int(0)?, row.json::<Pinned>(1)?.guard);
        let sql = "SELECT 1 FROM requests WHERE org_id = $1 AND run_id = $2 AND state IN ('ready', 'paused') LIMIT 1";
        if tx.row(sql, args![org.as_str(), id.as_str()]).await?.is_some() {
            put_off(&mut tx, org, run, CanaryState::Sending, now.plus(LOOK), None).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let sql = "SELECT MAX(sent_at) FROM message_states WHERE org_id = $1 AND run_id = $2 AND seq <= $3";
        let last = tx.row(sql, args![org.as_str(), id, size]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
        let decides = last.map_or(now, |last| Timestamp::from_millis(last).plus(guard.wait()));
        if now < decides {
            put_off(&mut tx, org, run, CanaryState::Waiting, decides, Some(decides)).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let found = watch::figures(&mut tx, org, run).await?;
        let decided = match guard.limits.judge_slice(found.counts) {
            None => release(&mut tx, org, run, LaneKind::Requests(row.parsed(2)?), now).await?,
            Some(excess) => pause(&mut tx, org, run, excess, &found, now).await?,
        };
        if decided.is_some() {
            tx.commit().await?;
        }
        Ok(decided)
    }
}

/// Lets a run's requests be claimed, or those of its first slice; `false` if it is open already, or never to be opened.
pub(super) async fn open(tx: &mut Tx<'_>, org: &OrgId, run: RunId, now: Timestamp) -> Result<bool, StoreError> {
    let id = run.to_string();
    // The run first, against the usual order: a chunk that is still being added is waited for, and one that comes later sees
    // that it is too late. Nobody else waits for requests that are importing.
    let sql = "SELECT priority, pinned, messages, requests FROM runs WHERE org_id = $1 AND run_id = $2 AND status = 'importing' LOCKED ROWS";
    let Some(row) = tx.row(sql, args![org.as_str(), id.as_str()]).await? else {
        return Ok(false); // open already, or never to be opened
    };
    let messages = row.int(2)?;
    let slice = row.json::<Pinned>(1)?.guard.slice(messages);
    if let Some(slice) = slice {
        cut_after(tx, org, run, slice, row.int(3)? + 1).await?;
    }
    let sql = "UPDATE requests SET state = 'ready', due_at = $1 WHERE org_id = $2 AND run_id = $3 AND state = 'importing' AND first_seq <= $4";
    tx.execute(sql, args![now.millis(), org.as_str(), id.as_str(), slice.unwrap_or(messages)]).await?;
    lanes::wake(tx, org, LaneKind::Requests(row.parsed(0)?), now).await?;
    let (state, size, look_at) = match slice {
        Some(slice) => {
            lanes::wake(tx, org, LaneKind::Upkeep, now).await?;
            (CanaryState::Sending.as_str(), slice, Some(now.millis()))
        }
        None => ("", 0, None),
    };
    let sql = "UPDATE runs SET status = 'running', started_at = $1, canary = $4, canary_size = $5, canary_at = $6
               WHERE org_id = $2 AND run_id = $3 AND status = 'importing'";
    tx.execute(sql, args![now.millis(), org.as_str(), id, state, size, look_at]).await?;
    settle::complete(tx, org, run, now).await?;
    Ok(true)
}

/// Parts the request that the slice ends in, if it does not end with one: what is behind becomes a request of its own, with the
/// next free number.
async fn cut_after(tx: &mut Tx<'_>, org: &OrgId, run: RunId, slice: i64, number: i64) -> Result<(), StoreError> {
    let id = run.to_string();
    let sql = "INSERT INTO requests (org_id, run_id, number, priority, state, first_seq, size, due_at, token, attempts, begun, accepted_at)
        SELECT org_id, run_id, $4, priority, state, $3 + 1, first_seq + size - $3 - 1, due_at, 0, 0, 0, accepted_at FROM requests
        WHERE org_id = $1 AND run_id = $2 AND first_seq <= $3 AND first_seq + size - 1 > $3";
    if tx.execute(sql, args![org.as_str(), id.as_str(), slice, number]).await? == 0 {
        return Ok(());
    }
    let sql = "UPDATE requests SET size = $3 + 1 - first_seq
               WHERE org_id = $1 AND run_id = $2 AND first_seq <= $3 AND first_seq + size - 1 > $3";
    tx.execute(sql, args![org.as_str(), id.as_str(), slice]).await?;
    let sql =
        "UPDATE runs SET requests = requests + 1, open_requests = open_requests + 1 WHERE org_id = $1 AND run_id = $2";
    tx.execute(sql, args![org.as_str(), id]).await?;
    Ok(())
}

/// Says when it is looked at next.
async fn put_off(
    tx: &mut Tx<'_>,
    org: &OrgId,
    run: RunId,
    state: CanaryState,
    until: Timestamp,
    decides: Option<Timestamp>,
) -> Result<(), StoreError> {
    let sql = "UPDATE runs SET canary = $1, canary_at = $2, canary_decided = $3
               WHERE org_id = $4 AND run_id = $5 AND canary IN ('sending', 'waiting')";
    let decides = decides.map(Timestamp::millis);
    tx.execute(sql, args![state.as_str(), until.millis(), decides, org.as_str(), run.to_string()]).await?;
    Ok(())
}

/// The rest may be claimed; `None`, and nothing to be kept, if the run is not to be decided on any more.
async fn release(
    tx: &mut Tx<'_>,
    org: &OrgId,
    run: RunId,
    lane: LaneKind,
    now: Timestamp,
) -> Result<Option<Decided>, StoreError> {
    let_go(tx, org, run, now).await?;
    lanes::wake(tx, org, lane, now).await?;
    let sql = "UPDATE runs SET canary = 'passed', canary_at = NULL, canary_decided = $1
               WHERE org_id = $2 AND run_id = $3 AND status = 'running' AND canary IN ('sending', 'waiting')";
    let released = tx.execute(sql, args![now.millis(), org.as_str(), run.to_string()]).await?;
    Ok((released == 1).then_some(Decided::Released))
}

/// Whatever is held back of a run may be claimed.
pub(super) async fn let_go(tx: &mut Tx<'_>, org: &OrgId, run: RunId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "WITH held AS MATERIALIZED (
          SELECT number FROM requests WHERE org_id = $1 AND run_id = $2 AND state = 'importing' ORDER BY number LOCKED ROWS)
        UPDATE requests SET state = 'ready', due_at = $3 FROM held WHERE org_id = $1 AND run_id = $2 AND requests.number = held.number";
    tx.execute(sql, args![org.as_str(), run.to_string(), now.millis()]).await?;
    Ok(())
}

async fn pause(
    tx: &mut Tx<'_>,
    org: &OrgId,
    run: RunId,
    excess: Excess,
    found: &watch::Figures,
    now: Timestamp,
) -> Result<Option<Decided>, StoreError> {
    let why = watch::in_words(excess, found, "canary: ");
    let sql = "UPDATE runs SET status = 'paused', why = $1, canary = 'over', canary_at = NULL, canary_decided = $2
               WHERE org_id = $3 AND run_id = $4 AND status = 'running' AND canary IN ('sending', 'waiting')";
    let paused = tx.execute(sql, args![why.as_str(), now.millis(), org.as_str(), run.to_string()]).await?;
    Ok((paused == 1).then_some(Decided::Paused(why)))
}
