//! What became of messages: appended, merged where something is known already, and summed up in the same transaction.
//!
//! Rows of `message_states` are appended; only where one is already there (a retry, a receipt that overtook the answer) is it
//! read and merged. The running sums are kept exactly: what is added is what was written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::{
    id::{MessageId, OrgId, RunId},
    message::Status,
    reason::Why,
    state::MessageState,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Row, Tx, args, json_rows},
    told,
};

impl Store {
    /// Applies delivery reports: forward only, in whatever order and however often they come. Returns how many were about
    /// messages that this organization does not have.
    pub async fn apply_receipts(
        &self,
        org: &OrgId,
        receipts: &[(MessageId, MessageState)],
    ) -> Result<usize, StoreError> {
        let mut tx = self.begin().await?;
        let unknown = apply_receipts(&mut tx, org, receipts).await?;
        tx.commit().await?;
        Ok(unknown)
    }
}

const INSERT_STATES: &str = "INSERT INTO message_states
  (org_id, run_id, seq, status, code, provider_code, detail, provider_id, locale, segments, token, sent_at, changed_at, via, held_until)
  SELECT $2, r.value ->> 0, CAST(r.value ->> 1 AS BIGINT), r.value ->> 2, r.value ->> 3, r.value ->> 4, r.value ->> 5, r.value ->> 6,
    r.value ->> 7, CAST(r.value ->> 8 AS BIGINT), CAST(r.value ->> 9 AS BIGINT), CAST(r.value ->> 10 AS BIGINT), CAST(r.value ->> 11 AS BIGINT),
    r.value ->> 12, CAST(r.value ->> 13 AS BIGINT)
  FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING";

const UPDATE_STATES: &str = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
  UPDATE message_states SET status = r.value ->> 2, code = r.value ->> 3, provider_code = r.value ->> 4,
    detail = r.value ->> 5, provider_id = r.value ->> 6, locale = r.value ->> 7, segments = CAST(r.value ->> 8 AS BIGINT),
    token = CAST(r.value ->> 9 AS BIGINT), sent_at = CAST(r.value ->> 10 AS BIGINT), changed_at = CAST(r.value ->> 11 AS BIGINT), via = r.value ->> 12,
    held_until = CAST(r.value ->> 13 AS BIGINT)
  FROM r WHERE org_id = $2 AND run_id = r.value ->> 0 AND seq = CAST(r.value ->> 1 AS BIGINT)";

const READ_STATES: &str = "SELECT run_id, seq, status, code, provider_code, detail, provider_id, locale, segments, token, sent_at, changed_at, via, held_until
  FROM ROWS($1) CROSS JOIN message_states WHERE org_id = $2 AND run_id = r.value ->> 0 AND seq = CAST(r.value ->> 1 AS BIGINT)
  ORDER BY run_id, seq LOCKED ROWS";

/// The rows as one JSON text: written straight away, for a tree of values costs several times as much.
fn state_rows(states: &[(MessageId, &MessageState)]) -> String {
    json_rows(states.iter().map(|(id, state)| {
        let (code, provider_code, detail) = state
            .why
            .as_ref()
            .map_or(("", "", ""), |why| (why.reason.code(), why.provider_code.as_str(), why.detail.as_str()));
        let (sent_at, changed_at) = (state.sent_at.map(Timestamp::millis), state.changed_at.millis());
        (
            id.run,
            id.seq,
            state.status,
            code,
            provider_code,
            detail,
            &state.provider_id,
            &state.locale,
            state.segments,
            state.token,
            sent_at,
            changed_at,
            &state.via,
            state.held_until.map(Timestamp::millis),
        )
    }))
}

/// Reads a state from twelve columns, beginning at `first` with its status.
pub(super) fn read_state(row: &Row, first: usize) -> Result<MessageState, StoreError> {
    let why = match row.text(first + 1)? {
        "" => None,
        _ => Some(Why {
            reason: row.parsed(first + 1)?,
            provider_code: row.text(first + 2)?.to_owned(),
            detail: row.text(first + 3)?.to_owned(),
        }),
    };
    Ok(MessageState {
        status: row.parsed(first)?,
        why,
        provider_id: row.text(first + 4)?.to_owned(),
        locale: row.text(first + 5)?.to_owned(),
        segments: row.int(first + 6)?,
        token: row.int(first + 7)?,
        sent_at: row.maybe_int(first + 8)?.map(Timestamp::from_millis),
        changed_at: Timestamp::from_millis(row.int(first + 9)?),
        via: row.text(first + 10)?.to_owned(),
        held_until: row.maybe_int(first + 11)?.map(Timestamp::from_millis),
    })
}

/// How often a merge starts over because another transaction was quicker with the same message. Each round sees what stopped
/// the one before, so a second is already rare.
const ROUNDS: usize = 5;

/// Adds what became of messages, merging where something is known already, and keeps the sums.
pub(super) async fn write_states(
    tx: &mut Tx<'_>,
    org: &OrgId,
    states: &[(MessageId, &MessageState)],
) -> Result<(), StoreError> {
    if states.is_empty() {
        return Ok(());
    }
    tx.execute("SAVEPOINT appending", vec![]).await?;
    if append_states(tx, org, states).await? {
        return tx.execute("RELEASE SAVEPOINT appending", vec![]).await.map(drop);
    }
    // Something is known of some of them: take the attempt back and merge.
    tx.execute("ROLLBACK TO SAVEPOINT appending", vec![]).await?;
    for _ in 0..ROUNDS {
        if merge_states(tx, org, states).await? {
            return Ok(());
        }
        tx.execute("ROLLBACK TO SAVEPOINT appending", vec![]).await?;
    }
    Err(StoreError::Locked(std::time::Duration::ZERO))
}

/// Adds what became of messages of which nothing is known, and keeps the sums; `false` if something is: then part of it has
/// been written, to be taken back by the caller.
pub(super) async fn append_states(
    tx: &mut Tx<'_>,
    org: &OrgId,
    states: &[(MessageId, &MessageState)],
) -> Result<bool, StoreError> {
    if states.is_empty() {
        return Ok(true);
    }
    // In one order everywhere: two transactions that add the same messages wait for each other, but never in a circle.
    let mut states = states.to_vec();
    states.sort_by_key(|(id, _)| *id);
    let appended = tx.execute(INSERT_STATES, args![state_rows(&states), org.as_str()]).await?;
    if usize::try_from(appended) != Ok(states.len()) {
        return Ok(false);
    }
    let mut sums = Deltas::default();
    states.iter().for_each(|(id, state)| sums.add(id.run, state, 1));
    sums.write(tx, org).await?;
    told::add_messages(tx, org, states.into_iter()).await?;
    Ok(true)
}

/// One round of merging; `false` if another transaction has added one of these messages meanwhile.
async fn merge_states(tx: &mut Tx<'_>, org: &OrgId, states: &[(MessageId, &MessageState)]) -> Result<bool, StoreError> {
    let keys: Vec<Value> = states.iter().map(|(id, _)| json!([id.run, id.seq])).collect();
    let rows = tx.rows(READ_STATES, args![Value::from(keys).to_string(), org.as_str()]).await?;
    let mut known: BTreeMap<MessageId, MessageState> = BTreeMap::new();
    for row in &rows {
        known.insert(MessageId { run: row.parsed(0)?, seq: row.int(1)? }, read_state(row, 2)?);
    }
    let before = known.clone();
    let mut touched = BTreeSet::new();
    for (id, state) in states {
        let merged = match known.remove(id) {
            Some(old) => old.merged((*state).clone()),
            None => (*state).clone(),
        };
        known.insert(*id, merged);
        touched.insert(*id);
    }
    let mut sums = Deltas::default();
    let (mut fresh, mut changed, mut news) = (Vec::new(), Vec::new(), Vec::new());
    for (id, state) in known.iter().filter(|(id, _)| touched.contains(id)) {
        match before.get(id) {
            None => fresh.push((*id, state)),
            Some(old) if old != state => {
                sums.add(id.run, old, -1);
                changed.push((*id, state));
            }
            Some(_) => continue,
        }
        sums.add(id.run, state, 1);
        // A state that says more about the same status is no news.
        if before.get(id).is_none_or(|old| old.status != state.status) {
            news.push((*id, state));
        }
    }
    if !fresh.is_empty() {
        let appended = tx.execute(INSERT_STATES, args![state_rows(&fresh), org.as_str()]).await?;
        if usize::try_from(appended) != Ok(fresh.len()) {
            return Ok(false);
        }
    }
    if !changed.is_empty() {
        tx.execute(UPDATE_STATES, args![state_rows(&changed), org.as_str()]).await?;
    }
    sums.write(tx, org).await?;
    told::add_messages(tx, org, news.into_iter()).await?;
    Ok(true)
}

/// Changes of the running sums, gathered.
#[derive(Default)]
pub(super) struct Deltas(BTreeMap<(RunId, Status, &'static str, String), (i64, i64)>);

impl Deltas {
    pub(super) fn add(&mut self, run: RunId, state: &MessageState, by: i64) {
        let code = state.why.as_ref().map_or("", |why| why.reason.code());
        let entry = self.0.entry((run, state.status, code, state.locale.clone())).or_default();
        entry.0 += by;
        entry.1 += by * state.segments;
    }

    pub(super) async fn write(self, tx: &mut Tx<'_>, org: &OrgId) -> Result<(), StoreError> {
        let fails = |status| matches!(status, Status::Failed | Status::Undelivered);
        let more = self.0.iter().filter(|((_, status, ..), (messages, _))| *messages > 0 && fails(*status));
        let failing: BTreeSet<RunId> = more.map(|((run, ..), _)| *run).collect();
        let changed = self.0.into_iter().filter(|(_, (messages, segments))| *messages != 0 || *segments != 0);
        let rows: Vec<Value> = changed
            .map(|((run, status, code, locale), (messages, segments))| {
                json!([run, status, code, locale, messages, segments])
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        failing.into_iter().for_each(|run| tx.watched.failed(org, run));
        let sql = "INSERT INTO tallies (org_id, run_id, status, code, locale, messages, segments)
            SELECT $2, r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 3, CAST(r.value ->> 4 AS BIGINT), CAST(r.value ->> 5 AS BIGINT)
            FROM ROWS($1) WHERE 1 = 1
            ON CONFLICT (org_id, run_id, status, code, locale)
            DO UPDATE SET messages = tallies.messages + excluded.messages, segments = tallies.segments + excluded.segments";
        tx.execute(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
        Ok(())
    }
}

/// Applies reports whose messages exist.
pub(super) async fn apply_receipts(
    tx: &mut Tx<'_>,
    org: &OrgId,
    receipts: &[(MessageId, MessageState)],
) -> Result<usize, StoreError> {
    let keys: Vec<Value> = receipts.iter().map(|(id, _)| json!([id.run, id.seq])).collect();
    let sql = "SELECT run_id, seq FROM ROWS($1) CROSS JOIN messages
               WHERE org_id = $2 AND run_id = r.value ->> 0 AND seq = CAST(r.value ->> 1 AS BIGINT)";
    let rows = tx.rows(sql, args![Value::from(keys).to_string(), org.as_str()]).await?;
    let ours: BTreeSet<MessageId> = rows
        .iter()
        .map(|row| Ok(MessageId { run: row.parsed(0)?, seq: row.int(1)? }))
        .collect::<Result<_, StoreError>>()?;
    // Several reports of one message are one: the batch may hold `sent` and `delivered` side by side.
    let mut merged: BTreeMap<MessageId, MessageState> = BTreeMap::new();
    for (id, state) in receipts.iter().filter(|(id, _)| ours.contains(id)) {
        let both = match merged.remove(id) {
            Some(earlier) => earlier.merged(state.clone()),
            None => state.clone(),
        };
        merged.insert(*id, both);
    }
    let states: Vec<(MessageId, &MessageState)> = merged.iter().map(|(id, state)| (*id, state)).collect();
    write_states(tx, org, &states).await?;
    Ok(receipts.iter().filter(|(id, _)| !ours.contains(id)).count())
}
