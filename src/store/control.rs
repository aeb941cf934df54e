//! What an operator does to a run: pause, resume, cancel, try its failures again.

use crate::domain::{
    id::{ConfigurationId, MessageId, OrgId, RunId},
    message::Status,
    reason::Reason,
    state::MessageState,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::args,
    lanes::{self, LaneKind},
    settle,
};

/// Requests that one cancelling transaction deals with.
const CANCEL_CHUNK: i64 = 100;

impl Store {
    /// Nothing more of the run is claimed. Requests in flight notice before their next message. `false` if the run is not
    /// running. `status` is `paused` or `held`.
    pub async fn stop_run(&self, org: &OrgId, run: RunId, status: &'static str, why: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        let sql = "UPDATE requests SET state = 'paused' WHERE org_id = $1 AND run_id = $2 AND state = 'ready'
                   AND EXISTS (SELECT 1 FROM runs WHERE runs.org_id = $1 AND runs.run_id = $2 AND status = 'running')";
        tx.execute(sql, args![org.as_str(), id.as_str()]).await?;
        let sql = "UPDATE runs SET status = $1, why = $2 WHERE org_id = $3 AND run_id = $4 AND status = 'running'";
        let stopped = tx.execute(sql, args![status, why, org.as_str(), id]).await?;
        tx.commit().await?;
        Ok(stopped == 1)
    }

    /// The run goes on. `false` if it was neither paused nor held.
    pub async fn resume_run(&self, org: &OrgId, run: RunId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        let sql = "SELECT priority FROM runs WHERE org_id = $1 AND run_id = $2 AND status IN ('paused', 'held')";
        let Some(row) = tx.row(sql, args![org.as_str(), id.as_str()]).await? else {
            return Ok(false);
        };
        let sql = "UPDATE requests SET state = 'ready' WHERE org_id = $1 AND run_id = $2 AND state = 'paused'";
        tx.execute(sql, args![org.as_str(), id.as_str()]).await?;
        lanes::wake(&mut tx, org, LaneKind::Requests(row.parsed(0)?), now).await?;
        let sql = "UPDATE runs SET status = 'running', why = '' WHERE org_id = $1 AND run_id = $2 AND status IN ('paused', 'held')";
        let resumed = tx.execute(sql, args![org.as_str(), id]).await?;
        settle::complete(&mut tx, org, run, now).await?;
        tx.commit().await?;
        Ok(resumed == 1)
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

    /// Closes the configuration's open-ended runs of other firings: their day is over.
    pub async fn close_older_runs(&self, org: &OrgId, configuration: ConfigurationId, firing: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE runs SET open_ended = 0 WHERE org_id = $1 AND configuration = $2 AND firing <> $3 AND open_ended = 1 RETURNING run_id";
        let closed = tx.rows(sql, args![org.as_str(), configuration.to_string(), firing]).await?;
        for row in &closed {
            settle::complete(&mut tx, org, row.parsed(0)?, now).await?;
        }
        tx.commit().await
    }

    /// Marks a run as cancelled-to-be. `false` if it is over already.
    pub async fn begin_cancel(&self, org: &OrgId, run: RunId) -> Result<bool, StoreError> {
        let sql = "UPDATE runs SET status = 'cancelling', open_ended = 0 WHERE org_id = $1 AND run_id = $2
                   AND status IN ('importing', 'running', 'paused', 'held', 'cancelling')";
        Ok(self.execute(sql, args![org.as_str(), run.to_string()]).await? == 1)
    }

    /// Cancels some of the requests that nobody has begun to hand over; `true` while there are more. Those in flight cancel
    /// their own rest when they next look.
    pub async fn cancel_some(&self, org: &OrgId, run: RunId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        // A raised token shuts out a worker that has claimed the request but not yet written its intent.
        let sql = "UPDATE requests SET state = 'done', token = token + 1
            WHERE org_id = $1 AND run_id = $2 AND begun = 0 AND state <> 'done' AND number IN (
              SELECT number FROM requests WHERE org_id = $1 AND run_id = $2 AND begun = 0 AND state <> 'done' ORDER BY number LIMIT $3 LOCKED ROWS)
            RETURNING first_seq, size, token";
        let rows = tx.rows(sql, args![org.as_str(), id.as_str(), CANCEL_CHUNK]).await?;
        let mut states = Vec::new();
        for row in &rows {
            let (first, size, token) = (row.int(0)?, row.int(1)?, row.int(2)?);
            let state = MessageState { token, ..MessageState::new(Status::Cancelled, Some(Reason::Cancelled.into()), now) };
            states.extend((first..first + size).map(|seq| (MessageId { run, seq }, state.clone())));
        }
        let states: Vec<(MessageId, &MessageState)> = states.iter().map(|(id, state)| (*id, state)).collect();
        settle::write_states(&mut tx, org, &states).await?;
        let sql = "UPDATE runs SET open_requests = open_requests - $1 WHERE org_id = $2 AND run_id = $3";
        let count = i64::try_from(rows.len()).unwrap_or(0);
        tx.execute(sql, args![count, org.as_str(), id]).await?;
        settle::complete(&mut tx, org, run, now).await?;
        tx.commit().await?;
        Ok(count == CANCEL_CHUNK)
    }

    /// Puts the run's failed and undelivered messages back into the queue; how many. Only of a run that is completed or running.
    pub async fn retry_failed(&self, org: &OrgId, run: RunId, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let id = run.to_string();
        let sql = "SELECT priority FROM runs WHERE org_id = $1 AND run_id = $2 AND status IN ('completed', 'running')";
        let Some(row) = tx.row(sql, args![org.as_str(), id.as_str()]).await? else {
            return Ok(0);
        };
        // Only requests that nobody holds: those still open try their own failures again by their own rules.
        let sql = "UPDATE requests SET state = 'ready', due_at = $3, accepted_at = $3, attempts = 0
            WHERE org_id = $1 AND run_id = $2 AND state = 'done' AND EXISTS (
              SELECT 1 FROM message_states s WHERE s.org_id = $1 AND s.run_id = $2 AND s.seq >= first_seq AND s.seq < first_seq + size
              AND s.status IN ('failed', 'undelivered')) RETURNING number, first_seq, size";
        let reopened = tx.rows(sql, args![org.as_str(), id.as_str(), now.millis()]).await?;
        let mut retried = 0;
        let mut sums = settle::Deltas::default();
        for row in &reopened {
            let (first, size) = (row.int(1)?, row.int(2)?);
            for status in [Status::Failed, Status::Undelivered] {
                let sql = "UPDATE message_states SET status = 'queued', provider_id = '', changed_at = $5
                    WHERE org_id = $1 AND run_id = $2 AND seq >= $3 AND seq < $4 AND status = $6
                    RETURNING status, code, provider_code, detail, provider_id, locale, segments, token, sent_at, changed_at";
                let moved = tx.rows(sql, args![org.as_str(), id.as_str(), first, first + size, now.millis(), status.as_str()]).await?;
                for row in &moved {
                    let state = settle::read_state(row, 0)?;
                    sums.add(run, &MessageState { status, ..state.clone() }, -1);
                    sums.add(run, &state, 1);
                    retried += 1;
                }
            }
        }
        sums.write(&mut tx, org).await?;
        lanes::wake(&mut tx, org, LaneKind::Requests(row.parsed(0)?), now).await?;
        if !reopened.is_empty() {
            let sql = "UPDATE runs SET open_requests = open_requests + $1, status = 'running', finished_at = NULL WHERE org_id = $2 AND run_id = $3";
            tx.execute(sql, args![i64::try_from(reopened.len()).unwrap_or(0), org.as_str(), id]).await?;
        }
        tx.commit().await?;
        Ok(retried)
    }
}
