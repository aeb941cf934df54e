//! System events: recorded before they are acknowledged, made into requests once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::{id::OrgId, time::Timestamp};

use super::{
    Store, StoreError,
    cases::{self, CaseWord},
    days,
    db::args,
    lanes::{self, LaneKind},
};

pub use days::{Batch, Company};

/// An event as it came in.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// The sender's id of it: the same id is the same event.
    pub id: String,
    /// The event, as JSON.
    pub body: String,
    /// When it was recorded.
    pub received_at: Timestamp,
}

/// Whether an event is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is.
    New,
    /// The same id came before: nothing was done.
    Known,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventResult {
    /// Its id.
    pub id: String,
    /// When it was recorded.
    pub received_at: Timestamp,
    /// What was made of it, in words; `None`: nothing yet.
    pub result: Option<String>,
}

impl Store {
    /// Records events, each once; the answers are in their order.
    pub async fn record_events(&self, events: &[(&OrgId, StoredEvent)]) -> Result<Vec<Recorded>, StoreError> {
        let mut by_org: BTreeMap<&OrgId, Vec<&StoredEvent>> = BTreeMap::new();
        for (org, event) in events {
            by_org.entry(org).or_default().push(event);
        }
        let mut tx = self.begin().await?;
        let mut fresh: BTreeSet<(&OrgId, String)> = BTreeSet::new();
        for (org, mut events) in by_org {
            // In one order everywhere, so that two batches with the same ids never wait for each other in a circle.
            events.sort_by(|a, b| a.id.cmp(&b.id));
            let rows: Vec<Value> =
                events.iter().map(|event| json!([event.id, event.body, event.received_at.millis()])).collect();
            let sql = "INSERT INTO events (org_id, event_id, state, body, result, received_at)
                SELECT $2, r.value ->> 0, 'new', r.value ->> 1, '', CAST(r.value ->> 2 AS BIGINT) FROM ROWS($1) WHERE 1 = 1
                ON CONFLICT DO NOTHING RETURNING event_id";
            let rows = tx.rows(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
            for row in &rows {
                fresh.insert((org, row.text(0)?.to_owned()));
            }
            let first = events.iter().map(|event| event.received_at).min();
            if let (false, Some(first)) = (rows.is_empty(), first) {
                lanes::wake(&mut tx, org, LaneKind::Events, first).await?;
            }
        }
        tx.commit().await?;
        // The first of several with the same id in one batch is the new one.
        Ok(events
            .iter()
            .map(|(org, event)| if fresh.remove(&(*org, event.id.clone())) { Recorded::New } else { Recorded::Known })
            .collect())
    }

    /// Events that nothing was made of yet, the oldest first.
    pub async fn new_events(&self, org: &OrgId, limit: i64) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = "SELECT event_id, body, received_at FROM events WHERE org_id = $1 AND state = 'new' ORDER BY received_at LIMIT $2";
        let rows = self.rows(sql, args![org.as_str(), limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(StoredEvent {
                    id: row.text(0)?.to_owned(),
                    body: row.text(1)?.to_owned(),
                    received_at: Timestamp::from_millis(row.int(2)?),
                })
            })
            .collect()
    }

    /// Makes requests of events, keeps what they say of cases, and marks the events as done, together. `false`, and nothing
    /// written, if another worker was quicker with one of them.
    pub async fn finish_events(
        &self,
        org: &OrgId,
        results: &[(String, String)],
        said: &[CaseWord],
        batches: &[Batch],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let mut results: Vec<&(String, String)> = results.iter().collect();
        results.sort();
        let rows: Vec<Value> = results.iter().map(|(id, result)| json!([id, result])).collect();
        let sql = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
                   UPDATE events SET state = 'done', body = '', result = r.value ->> 1 FROM r
                   WHERE org_id = $2 AND event_id = r.value ->> 0 AND state = 'new'";
        let marked = tx.execute(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
        if usize::try_from(marked) != Ok(results.len()) {
            return Ok(false);
        }
        cases::keep(&mut tx, org, said, now).await?;
        let mut begun = Vec::with_capacity(batches.len());
        for batch in batches {
            begun.push(days::begin(&mut tx, org, batch, now).await?);
        }
        lanes::lock(&mut tx, org, LaneKind::Events).await?;
        for batch in batches {
            days::wake(&mut tx, org, batch).await?;
        }
        for begun in begun {
            days::add(&mut tx, org, begun, now).await?;
        }
        let sql = "SELECT MIN(received_at) FROM events WHERE org_id = $1 AND state = 'new'";
        let next = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
        lanes::rest(&mut tx, org, LaneKind::Events, next.map(Timestamp::from_millis)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// What became of an event; `None`: there is none with this id.
    pub async fn event_result(&self, org: &OrgId, id: &str) -> Result<Option<EventResult>, StoreError> {
        let sql = "SELECT received_at, state, result FROM events WHERE org_id = $1 AND event_id = $2";
        let row = self.row(sql, args![org.as_str(), id]).await?;
        row.map(|row| {
            let done = row.text(1)? == "done";
            let result = if done { Some(row.text(2)?.to_owned()) } else { None };
            Ok(EventResult { id: id.to_owned(), received_at: Timestamp::from_millis(row.int(0)?), result })
        })
        .transpose()
    }
}
