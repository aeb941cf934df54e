//! What an operator does to a run: pause, resume, cancel, try its failures again.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::{
    canary::CanaryState,
    id::{MessageId, OrgId, RunId},
    limits::Watch,
    message::Status,
    reason::Reason,
    state::MessageState,
    time::Timestamp,
};

use super::{
    Store, StoreError, canary,
    db::{Tx, args},
    lanes::{self, LaneKind},
    settle, states, watch,
};

/// Requests that one cancelling transaction deals with.
const CANCEL_CHUNK: i64 = 100;

impl Store {
    /// Nothing more of the run is claimed. Requests in flight notice before their next message. `false` if the run is not
    /// running. `status` is `paused` or `held`; one that is held may be paused, and then goes on only when somebody resumes it.
    pub async fn stop_run(&self, org: &OrgId, run: RunId, status: &'static str, why: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        let sql = "WITH mine AS MATERIALIZED (
              SELECT number FROM requests WHERE org_id = $1 AND run_id = $2 AND state = 'ready'
              AND EXISTS (SELECT 1 FROM runs WHERE runs.org_id = $1 AND runs.run_id = $2 AND status = 'running') ORDER BY number LOCKED ROWS)
            UPDATE requests SET state = 'paused' FROM mine WHERE org_id = $1 AND run_id = $2 AND requests.number = mine.number";
        tx.execute(sql, args![org.as_str(), id.as_str()]).await?;
        let also = if status == "paused" { "held" } else { "running" };
        let sql =
            "UPDATE runs SET status = $1, why = $2 WHERE org_id = $3 AND run_id = $4 AND status IN ('running', $5)";
        if tx.execute(sql, args![status, why, org.as_str(), id, also]).await? == 0 {
            return Ok(false); // it was over, or cancelled, in the meantime: its requests are left as they were
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The run goes on, and what has failed so far is not held against it again; if its canary paused it, with all that was held
    /// back. `false` if it was neither paused nor held.
    pub async fn resume_run(&self, org: &OrgId, run: RunId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        let sql = "SELECT canary FROM runs WHERE org_id = $1 AND run_id = $2 AND status IN ('paused', 'held')";
        let Some(row) = tx.row(sql, args![org.as_str(), id.as_str()]).await? else { return Ok(false) };
        if row.text(0)? == CanaryState::Over.as_str() {
            canary::let_go(&mut tx, org, run, now).await?;
        }
        go_on(&mut tx, org, run, now).await?;
        let watch = Watch::anew(watch::figures(&mut tx, org, run).await?.counts);
        let sql = "UPDATE runs SET status = 'running', why = '', watch = $3, canary = CASE WHEN canary = 'over' THEN 'released' ELSE canary END
                   WHERE org_id = $1 AND run_id = $2 AND status IN ('paused', 'held')";
        let resumed = tx.execute(sql, args![org.as_str(), id, json!(watch).to_string()]).await?;
        if resumed == 0 {
            return Ok(false); // cancelled, or resumed, in the meantime
        }
        settle::complete(&mut tx, org, run, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The runs that are held, with what holds them.
    pub async fn held_runs(&self, org: &OrgId) -> Result<Vec<(RunId, String)>, StoreError> {
        let sql = "SELECT run_id, why FROM runs WHERE org_id = $1 AND status = 'held'";
        let rows = self.rows(sql, args![org.as_str()]).await?;
        rows.iter().map(|row| Ok((row.parsed(0)?, row.text(1)?.to_owned()))).collect()
    }

    /// The runs that could send from one channel now.
    pub async fn running_runs(&self, org: &OrgId) -> Result<Vec<RunId>, StoreError> {
        let sql = "SELECT run_id FROM runs WHERE org_id = $1 AND status = 'running'";
        let rows = self.rows(sql, args![org.as_str()]).await?;
        rows.iter().map(|row| row.parsed(0)).collect()
    }

    /// Marks a run as cancelled-to-be. `false` if it is over already.
    pub async fn begin_cancel(&self, org: &OrgId, run: RunId) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        // What is stopped or held back may be claimed from now on, and be cancelled by whoever claims it, should this process end
        // here.
        canary::let_go(&mut tx, org, run, Timestamp::default()).await?;
        go_on(&mut tx, org, run, Timestamp::default()).await?;
        let sql = "UPDATE runs SET status = 'cancelling', why = '', open_ended = 0, canary_at = NULL WHERE org_id = $1 AND run_id = $2
                   AND status IN ('importing', 'running', 'paused', 'held', 'cancelling')";
        if tx.execute(sql, args![org.as_str(), run.to_string()]).await? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Cancels some of the requests that nobody has begun to hand over; `true` while there are more. Those in flight cancel
    /// their own rest when they next look.
    pub async fn cancel_some(&self, org: &OrgId, run: RunId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        // A raised token shuts out a worker that has claimed the request but not yet written its intent.
        let sql = "WITH idle AS MATERIALIZED (
              SELECT number FROM requests WHERE org_id = $1 AND run_id = $2 AND begun = 0 AND state <> 'done' ORDER BY number LIMIT $3 LOCKED ROWS)
            UPDATE requests SET state = 'done', token = token + 1 FROM idle
            WHERE org_id = $1 AND run_id = $2 AND requests.number = idle.number RETURNING first_seq, size, token";
        let rows = tx.rows(sql, args![org.as_str(), id.as_str(), CANCEL_CHUNK]).await?;
        let idle: Vec<(i64, i64, i64)> =
            rows.iter().map(|row| Ok((row.int(0)?, row.int(1)?, row.int(2)?))).collect::<Result<_, StoreError>>()?;
        let doubtful = doubtful(&mut tx, org, run, &idle).await?;
        let mut states = Vec::new();
        for (first, size, token) in idle {
            let state =
                MessageState { token, ..MessageState::new(Status::Cancelled, Some(Reason::Cancelled.into()), now) };
            let seqs = (first..first + size).filter(|seq| !doubtful.contains(seq));
            states.extend(seqs.map(|seq| (MessageId { run, seq }, state.clone())));
        }
        let states: Vec<(MessageId, &MessageState)> = states.iter().map(|(id, state)| (*id, state)).collect();
        states::write_states(&mut tx, org, &states).await?;
        // What is left may have been handed over: whoever holds it ends it, and if nobody does any more, the next worker does.
        go_on(&mut tx, org, run, now).await?;
        let sql = "UPDATE runs SET open_requests = open_requests - $1 WHERE org_id = $2 AND run_id = $3";
        let count = i64::try_from(rows.len()).unwrap_or(0);
        tx.execute(sql, args![count, org.as_str(), id]).await?;
        settle::complete(&mut tx, org, run, now).await?;
        tx.commit().await?;
        Ok(count == CANCEL_CHUNK)
    }

    /// Puts the run's failed and undelivered messages back into the queue; how many. Of a run that is completed, running or stopped;
    /// one that is stopped stays so.
    pub async fn retry_failed(&self, org: &OrgId, run: RunId, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        let sql = "SELECT priority FROM runs WHERE org_id = $1 AND run_id = $2 AND status IN ('completed', 'running', 'paused', 'held')";
        let Some(row) = tx.row(sql, args![org.as_str(), id.as_str()]).await? else {
            return Ok(0);
        };
        // Only requests that nobody holds: those still open try their own failures again by their own rules.
        // What is sent anew is another message to the provider, unless one beside it may still be the old one.
        let sql = "UPDATE requests SET state = 'ready', due_at = $3, accepted_at = $3, attempts = 0, poll_at = NULL, polls = 0,
              first_sent = CASE WHEN EXISTS (SELECT 1 FROM message_states u WHERE u.org_id = $1 AND u.run_id = $2 AND u.seq >= first_seq
                AND u.seq < first_seq + size AND u.status = 'uncertain') THEN first_sent ELSE NULL END
            WHERE org_id = $1 AND run_id = $2 AND state = 'done' AND EXISTS (
              SELECT 1 FROM message_states s WHERE s.org_id = $1 AND s.run_id = $2 AND s.seq >= first_seq AND s.seq < first_seq + size
              AND s.status IN ('failed', 'undelivered')) RETURNING number, first_seq, size";
        let reopened = tx.rows(sql, args![org.as_str(), id.as_str(), now.millis()]).await?;
        let mut retried = 0;
        let mut sums = states::Deltas::default();
        for row in &reopened {
            let (first, size) = (row.int(1)?, row.int(2)?);
            for status in [Status::Failed, Status::Undelivered] {
                let sql = "UPDATE message_states SET status = 'queued', provider_id = '', changed_at = $5
                    WHERE org_id = $1 AND run_id = $2 AND seq >= $3 AND seq < $4 AND status = $6
                    RETURNING status, code, provider_code, detail, provider_id, locale, segments, token, sent_at, changed_at, via, held_until";
                let moved = tx
                    .rows(sql, args![org.as_str(), id.as_str(), first, first + size, now.millis(), status.as_str()])
                    .await?;
                for row in &moved {
                    let state = states::read_state(row, 0)?;
                    sums.add(run, &MessageState { status, ..state.clone() }, -1);
                    sums.add(run, &state, 1);
                    retried += 1;
                }
            }
        }
        sums.write(&mut tx, org).await?;
        lanes::wake(&mut tx, org, LaneKind::Requests(row.parsed(0)?), now).await?;
        if !reopened.is_empty() {
            // Stopped in the meantime, it stays stopped; cancelled, it has no failures to try again.
            let watch = Watch::anew(watch::figures(&mut tx, org, run).await?.counts);
            let sql = "UPDATE runs SET open_requests = open_requests + $1, status = CASE WHEN status = 'completed' THEN 'running' ELSE status END,
                finished_at = NULL, watch = $4 WHERE org_id = $2 AND run_id = $3 AND status IN ('completed', 'running', 'paused', 'held')";
            let open = i64::try_from(reopened.len()).unwrap_or(0);
            if tx.execute(sql, args![open, org.as_str(), id, json!(watch).to_string()]).await? == 0 {
                return Ok(0);
            }
        }
        tx.commit().await?;
        Ok(retried)
    }
}

/// Lets a stopped run's requests be claimed again, and wakes their lane.
async fn go_on(tx: &mut Tx<'_>, org: &OrgId, run: RunId, from: Timestamp) -> Result<(), StoreError> {
    let sql = "WITH stopped AS MATERIALIZED (
          SELECT number FROM requests WHERE org_id = $1 AND run_id = $2 AND state = 'paused' ORDER BY number LOCKED ROWS)
        UPDATE requests SET state = 'ready' FROM stopped WHERE org_id = $1 AND run_id = $2 AND requests.number = stopped.number";
    tx.execute(sql, args![org.as_str(), run.to_string()]).await?;
    // Also when there is none: those that a claim left alone because of the run are claimed now.
    let sql = "SELECT priority, canary_at FROM runs WHERE org_id = $1 AND run_id = $2";
    if let Some(row) = tx.row(sql, args![org.as_str(), run.to_string()]).await? {
        lanes::wake(tx, org, LaneKind::Requests(row.parsed(0)?), from).await?;
        if row.maybe_int(1)?.is_some() {
            lanes::wake(tx, org, LaneKind::Upkeep, from).await?; // nobody looks at the first slice of a run that is stopped
        }
    }
    Ok(())
}

/// Those messages of requests (first, size, token) that may have been sent: cancelling would deny it.
async fn doubtful(
    tx: &mut Tx<'_>,
    org: &OrgId,
    run: RunId,
    requests: &[(i64, i64, i64)],
) -> Result<BTreeSet<i64>, StoreError> {
    let first = requests.iter().map(|(first, ..)| *first).min().unwrap_or(0);
    let end = requests.iter().map(|(first, size, _)| first + size).max().unwrap_or(0);
    let sql = "SELECT seq FROM message_states WHERE org_id = $1 AND run_id = $2 AND seq >= $3 AND seq < $4 AND status = 'uncertain'";
    let rows = tx.rows(sql, args![org.as_str(), run.to_string(), first, end]).await?;
    rows.iter().map(|row| row.int(0)).collect()
}
