//! Group commits: intents before calls, outcomes after them. The words of many requests share one transaction, and each is
//! written only if its request is still in the speaker's hands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::{
    fairness::Priority,
    id::{MessageId, OrgId, RequestId, RunId},
    quota,
    run::RunStatus,
    state::MessageState,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
    lanes::{self, LaneKind},
    requests::Claimed,
    states::{append_states, write_states},
    told, watch,
};

/// What a worker writes about a request that it holds: any of the three, together.
#[derive(Clone, Debug, Default)]
pub struct Word {
    /// What may be handed over from now on.
    pub intent: Option<Intent>,
    /// What became of messages.
    pub states: Vec<(i64, MessageState)>,
    /// What becomes of the request, if the worker gives it back.
    pub finish: Option<Finish>,
}

/// What may be handed over from now on, and how: durable before the first call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The request's first so many messages.
    pub begun: i64,
    /// The channel that they leave through; empty: the run's own.
    pub via: String,
    /// When a call was first made for the request.
    pub first_sent: Timestamp,
}

/// What becomes of a request that is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Every message has its end.
    Done {
        /// When the provider is to be asked about those of which no receipt has come; `None`: it cannot be.
        poll_at: Option<Timestamp>,
    },
    /// Some are to be tried again.
    RetryAt(Timestamp),
    /// What is left waits for a time that is set: that is no try, but the hour counts what was handed over beside it.
    Hold {
        /// When it may be claimed again.
        until: Timestamp,
    },
    /// No call was made: it does not count as tried, nor against the hour in which it was claimed.
    PutOff {
        /// When it may be claimed again.
        until: Timestamp,
        /// When it was claimed.
        claimed_at: Timestamp,
    },
}

/// Whether the word was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// It was; and this is where the run stands.
    Held(RunStatus),
    /// The lease ran out and somebody else has the request, or it is gone: nothing was written.
    Lost,
}

/// Locked in one order by everybody (requests, then lanes, then runs), so that two workers never wait for each other.
///
/// Here and below the rows of the parameter come first, each looking its own row up: SQLite, left to itself, would walk through
/// everything that the organization or the run has, once a statement. CROSS JOIN and MATERIALIZED keep it from that, as
/// long as the columns are taken out of the rows outside: for columns of the set-aside rows it would make an index of its own.
const TOKENS: &str = "SELECT run_id, number, token,
    (SELECT status FROM runs WHERE runs.org_id = $2 AND runs.run_id = requests.run_id)
  FROM ROWS($1) CROSS JOIN requests
  WHERE org_id = $2 AND run_id = r.value ->> 0 AND number = CAST(r.value ->> 1 AS BIGINT) AND state <> 'done'
  ORDER BY run_id, number LOCKED ROWS";

const INTENTS: &str = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
  UPDATE requests SET begun = CAST(r.value ->> 2 AS BIGINT), via = r.value ->> 3, first_sent = CAST(r.value ->> 4 AS BIGINT) FROM r
  WHERE org_id = $2 AND run_id = r.value ->> 0 AND number = CAST(r.value ->> 1 AS BIGINT)";

impl Store {
    /// Writes what workers have to say, in one transaction; the answers are in the order of the words.
    pub async fn settle(&self, words: &[(&Claimed, &Word)], now: Timestamp) -> Result<Vec<Fence>, StoreError> {
        match self.settle_by(words, Known::Nothing, now).await? {
            Some(fences) => Ok(fences),
            // Reckoned with, nothing of it is in the way.
            None => {
                let settled = self.settle_by(words, Known::Some, now).await?;
                settled.ok_or(StoreError::Locked(std::time::Duration::ZERO))
            }
        }
    }

    /// `None`: something is known of these messages that the caller did not reckon with, and nothing was written.
    async fn settle_by(
        &self,
        words: &[(&Claimed, &Word)],
        known: Known,
        now: Timestamp,
    ) -> Result<Option<Vec<Fence>>, StoreError> {
        let mut by_org: BTreeMap<&OrgId, Vec<usize>> = BTreeMap::new();
        for (place, (request, _)) in words.iter().enumerate() {
            by_org.entry(&request.org).or_default().push(place);
        }
        let mut fences = vec![Fence::Lost; words.len()];
        let mut tx = self.begin().await?;
        for (org, places) in by_org {
            let mine: Vec<(&Claimed, &Word)> = places.iter().map(|place| words[*place]).collect();
            let Some(answers) = settle_org(&mut tx, org, &mine, known, now).await? else { return Ok(None) };
            for (place, fence) in places.into_iter().zip(answers) {
                fences[place] = fence;
            }
        }
        tx.commit().await?;
        Ok(Some(fences))
    }
}

/// What is reckoned with. Nearly always nothing is known of a message when its outcome is written; a transaction that counts
/// on it has two statements less, and is taken back if it was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    Some,
}

async fn settle_org(
    tx: &mut Tx<'_>,
    org: &OrgId,
    words: &[(&Claimed, &Word)],
    known: Known,
    now: Timestamp,
) -> Result<Option<Vec<Fence>>, StoreError> {
    let held = held(tx, org, words).await?;
    let fence =
        |request: &Claimed| held.get(&(request.id, request.token)).map_or(Fence::Lost, |status| Fence::Held(*status));
    let fences: Vec<Fence> = words.iter().map(|(request, _)| fence(request)).collect();

    let (mut intents, mut states, mut finishes) = (Vec::new(), Vec::new(), Vec::new());
    for ((request, word), fence) in words.iter().zip(&fences) {
        if *fence == Fence::Lost {
            continue;
        }
        let run = request.id.run;
        let intent = word.intent.as_ref();
        intents.extend(
            intent.map(|intent| json!([run, request.id.number, intent.begun, intent.via, intent.first_sent.millis()])),
        );
        states.extend(word.states.iter().map(|(seq, state)| (MessageId { run, seq: *seq }, state)));
        finishes.extend(word.finish.map(|finish| (*request, finish)));
    }
    if !intents.is_empty() {
        tx.execute(INTENTS, args![Value::from(intents).to_string(), org.as_str()]).await?;
    }
    match known {
        Known::Nothing if !append_states(tx, org, &states).await? => return Ok(None),
        Known::Nothing => {}
        Known::Some => write_states(tx, org, &states).await?,
    }
    finish_requests(tx, org, &finishes, now).await?;
    Ok(Some(fences))
}

/// Which of the requests that the words speak of are still in the speaker's hands.
async fn held(
    tx: &mut Tx<'_>,
    org: &OrgId,
    words: &[(&Claimed, &Word)],
) -> Result<BTreeMap<(RequestId, i64), RunStatus>, StoreError> {
    let ids: BTreeSet<RequestId> = words.iter().map(|(request, _)| request.id).collect();
    let wanted: Vec<Value> = ids.iter().map(|id| json!([id.run, id.number])).collect();
    let rows = tx.rows(TOKENS, args![Value::from(wanted).to_string(), org.as_str()]).await?;
    rows.iter()
        .map(|row| Ok(((RequestId { run: row.parsed(0)?, number: row.int(1)? }, row.int(2)?), row.parsed(3)?)))
        .collect()
}

/// Gives requests back: done, or to be tried again. A paused one stays paused.
async fn finish_requests(
    tx: &mut Tx<'_>,
    org: &OrgId,
    finishes: &[(&Claimed, Finish)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let watched = tx.watched.take(org);
    if finishes.is_empty() && watched.is_empty() {
        return Ok(());
    }
    let (mut rows, mut wake) = (Vec::new(), BTreeMap::<LaneKind, Timestamp>::new());
    // By run: requests that are done, requests that were not dispatched after all.
    let mut runs: BTreeMap<RunId, (i64, i64)> = watched.keys().map(|run| (*run, (0, 0))).collect();
    for (request, finish) in finishes {
        let (over, due, untried, undone, poll_at) = match finish {
            Finish::Done { poll_at } => (1, now, 0, 0, *poll_at),
            Finish::RetryAt(at) => (0, *at, 0, 0, None),
            Finish::Hold { until } => (0, *until, 1, 0, None),
            Finish::PutOff { until, .. } => (0, *until, 1, 1, None),
        };
        let poll_at_ms = poll_at.map(Timestamp::millis);
        rows.push(json!([request.id.run, request.id.number, over, due.millis(), untried, poll_at_ms]));
        if over + undone > 0 {
            let (done, put_off) = runs.entry(request.id.run).or_default();
            *done += over;
            *put_off += undone;
        }
        if over == 0 {
            let lane = LaneKind::Requests(request.priority);
            wake.entry(lane).and_modify(|at| *at = due.min(*at)).or_insert(due);
        }
        if let Some(poll_at) = poll_at {
            wake.entry(LaneKind::Polls).and_modify(|at| *at = poll_at.min(*at)).or_insert(poll_at);
        }
    }
    let sql = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
               UPDATE requests SET begun = 0, due_at = CAST(r.value ->> 3 AS BIGINT), attempts = attempts - CAST(r.value ->> 4 AS BIGINT),
                 poll_at = CAST(r.value ->> 5 AS BIGINT), state = CASE WHEN CAST(r.value ->> 2 AS BIGINT) = 1 THEN 'done' ELSE state END
               FROM r WHERE org_id = $2 AND run_id = r.value ->> 0 AND number = CAST(r.value ->> 1 AS BIGINT)";
    if !rows.is_empty() {
        tx.execute(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
    }
    for (lane, at) in wake {
        lanes::wake(tx, org, lane, at).await?;
    }
    // After the lanes and before the runs, as claims do.
    unbook(tx, org, finishes).await?;
    for (run, (done, put_off)) in runs {
        if done + put_off > 0 && count_off(tx, org, run, done, put_off).await? == Some(0) && done > 0 {
            complete(tx, org, run, now).await?;
        }
        if let Some(opted_out) = watched.get(&run) {
            watch::look(tx, org, run, *opted_out).await?;
        }
    }
    Ok(())
}

/// Counts requests off a run; how many are open yet.
async fn count_off(
    tx: &mut Tx<'_>,
    org: &OrgId,
    run: RunId,
    done: i64,
    put_off: i64,
) -> Result<Option<i64>, StoreError> {
    let sql = "UPDATE runs SET open_requests = open_requests - $1, dispatched = dispatched - $2
               WHERE org_id = $3 AND run_id = $4 RETURNING open_requests";
    let row = tx.row(sql, args![done, put_off, org.as_str(), run.to_string()]).await?;
    row.map(|row| row.int(0)).transpose()
}

/// What was claimed and not dispatched does not count against the hour in which it was claimed.
async fn unbook(tx: &mut Tx<'_>, org: &OrgId, finishes: &[(&Claimed, Finish)]) -> Result<(), StoreError> {
    let mut buckets = BTreeMap::<i64, (i64, i64)>::new();
    for (request, finish) in finishes {
        let Finish::PutOff { claimed_at, .. } = finish else { continue };
        let (used, bulk) = buckets.entry(quota::bucket(*claimed_at)).or_default();
        *used += 1;
        *bulk += i64::from(request.priority != Priority::Automatic);
    }
    for (bucket, (used, bulk)) in buckets {
        let sql = "UPDATE org_usage SET used = used - $3, bulk = bulk - $4 WHERE org_id = $1 AND bucket = $2";
        tx.execute(sql, args![org.as_str(), bucket, used, bulk]).await?;
    }
    Ok(())
}

/// Calls a run finished, if nothing is open and its sums hold. One whose sums do not hold is never called finished.
pub(super) async fn complete(tx: &mut Tx<'_>, org: &OrgId, run: RunId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE runs SET status = CASE WHEN status = 'cancelling' THEN 'cancelled' ELSE 'completed' END, finished_at = $1
        WHERE org_id = $2 AND run_id = $3 AND status IN ('running', 'cancelling') AND open_requests = 0 AND open_ended = 0
        AND messages = (SELECT COALESCE(SUM(tallies.messages), 0) FROM tallies
                        WHERE tallies.org_id = $2 AND tallies.run_id = $3 AND tallies.status NOT IN ('queued', 'sending'))";
    let ended = tx.execute(sql, args![now.millis(), org.as_str(), run.to_string()]).await?;
    if ended == 0 {
        return Ok(());
    }
    told::add_run(tx, org, run, now).await
}
