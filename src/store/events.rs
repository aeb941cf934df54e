//! System events: recorded before they are acknowledged, made into requests once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::{fairness::Priority, id::OrgId, time::Timestamp};

use super::{
    Store, StoreError,
    db::args,
    lanes::{self, LaneKind},
    runs::{self, NewMessage, NewRun, Place, Rejected},
};

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

/// What events of one configuration become: contacts for its run of the day.
#[derive(Debug)]
pub struct Batch {
    /// The run, to be made if the day does not have it yet.
    pub run: NewRun,
    /// From when its requests may be claimed.
    pub due: Timestamp,
    /// When the run's day is over, and it takes in no more.
    pub day_ends: Timestamp,
    /// The contacts.
    pub messages: Vec<NewMessage>,
    /// What could not be made a contact.
    pub rejected: Vec<Rejected>,
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

    /// Makes requests of events, and marks the events as done, together. `false`, and nothing written, if another worker was
    /// quicker with one of them.
    pub async fn finish_events(
        &self,
        org: &OrgId,
        results: &[(String, String)],
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
        lanes::lock(&mut tx, org, LaneKind::Events).await?;
        for batch in batches {
            lanes::wake(&mut tx, org, LaneKind::Requests(Priority::Automatic), batch.due).await?;
            lanes::wake(&mut tx, org, LaneKind::Upkeep, batch.day_ends).await?;
        }
        for batch in batches {
            let run = runs::begin_run(&mut tx, org, &batch.run, now).await?;
            let sql = "SELECT messages, requests FROM runs WHERE org_id = $1 AND run_id = $2 LOCKED ROWS";
            let row = tx.row(sql, args![org.as_str(), run.to_string()]).await?;
            let Some(row) = row else { continue };
            // Ready also while the run is stopped: a claim looks at the run, and resuming it cannot overlook what is added here.
            let place = Place {
                run,
                after: row.int(0)?,
                requests: row.int(1)?,
                priority: Priority::Automatic,
                state: "ready",
                due: batch.due,
                show_in_timeline: batch.run.pinned.show_in_timeline,
            };
            runs::add_messages(&mut tx, org, &place, &batch.messages, now).await?;
            if !batch.messages.is_empty() {
                // A run that was over has something to do again; one that was cancelled, to cancel.
                let sql = "UPDATE runs SET status = CASE WHEN status = 'completed' THEN 'running' ELSE 'cancelling' END, finished_at = NULL
                           WHERE org_id = $1 AND run_id = $2 AND status IN ('completed', 'cancelled')";
                tx.execute(sql, args![org.as_str(), run.to_string()]).await?;
            }
            let sql = "SELECT COALESCE(MAX(row_number), 0) FROM rejected_rows WHERE org_id = $1 AND run_id = $2";
            let last = tx.row(sql, args![org.as_str(), run.to_string()]).await?.map_or(Ok(0), |row| row.int(0))?;
            let rejected: Vec<Rejected> = batch
                .rejected
                .iter()
                .cloned()
                .zip(last + 1..)
                .map(|(row, number)| Rejected { row: number, ..row })
                .collect();
            runs::add_rejected(&mut tx, org, run, &rejected).await?;
        }
        let sql = "SELECT MIN(received_at) FROM events WHERE org_id = $1 AND state = 'new'";
        let next = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
        lanes::rest(&mut tx, org, LaneKind::Events, next.map(Timestamp::from_millis)).await?;
        tx.commit().await?;
        Ok(true)
    }
}
