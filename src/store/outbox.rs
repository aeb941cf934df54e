//! Events for the organization's endpoints, written in the transaction that makes them true: once each, and not at all where
//! nobody asks for them. What they say is `told.rs`.
//!
//! A transaction reads once for each organization who wants to hear of what; where that is nobody, nothing more is done and no
//! event is made. The lane of those who post is woken last of all, when the transaction is committed: nobody who holds it
//! waits for anything else, and nobody waits long for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::{
    id::{DeliveryId, OrgId},
    time::Timestamp,
    webhook::{self, EventType},
};

use super::{
    StoreError,
    db::{Tx, args, json_rows, storable},
    lanes::{self, LaneKind},
};

/// What a transaction knows of its organizations' endpoints.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Who asks for what; read when the first event could be made.
    wanted: BTreeMap<OrgId, Wanted>,
    /// Since when there is something to post.
    due: BTreeMap<OrgId, Timestamp>,
}

/// Endpoints, by what they ask for.
pub(super) type Wanted = BTreeMap<EventType, BTreeSet<String>>;

/// Something that endpoints may hear of.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// What it is.
    pub kind: EventType,
    /// When herald learnt of it.
    pub at: Timestamp,
    /// What they are posted.
    pub body: String,
}

impl Event {
    /// With what belongs to it, told as it is stored.
    pub fn new(kind: EventType, at: Timestamp, data: &impl Serialize) -> Self {
        Self { kind, at, body: storable(webhook::body(kind, at, data)) }
    }
}

/// Finds out who asks for what, once a transaction; what is asked for can then be looked up.
pub(super) async fn wanted<'t>(tx: &'t mut Tx<'_>, org: &OrgId) -> Result<&'t Wanted, StoreError> {
    if !tx.outbox.wanted.contains_key(org) {
        let rows =
            tx.rows("SELECT endpoint, pattern FROM subscriptions WHERE org_id = $1", args![org.as_str()]).await?;
        let mut wanted = Wanted::new();
        for row in &rows {
            let (endpoint, pattern) = (row.text(0)?, row.text(1)?);
            for event in EventType::ALL.into_iter().filter(|event| event.is_asked_for_by(pattern)) {
                wanted.entry(event).or_default().insert(endpoint.to_owned());
            }
        }
        tx.outbox.wanted.insert(org.clone(), wanted);
    }
    Ok(tx.outbox.wanted.entry(org.clone()).or_default())
}

/// Whether any endpoint of the organization asks for an event: if not, there is no need to make one.
pub(super) async fn wants(tx: &mut Tx<'_>, org: &OrgId, kind: EventType) -> Result<bool, StoreError> {
    Ok(wanted(tx, org).await?.contains_key(&kind))
}

/// Keeps events for every endpoint that asks for them.
pub(super) async fn add(tx: &mut Tx<'_>, org: &OrgId, events: &[Event]) -> Result<(), StoreError> {
    let wanted = wanted(tx, org).await?;
    let mut rows = Vec::new();
    for event in events {
        let endpoints = wanted.get(&event.kind).into_iter().flatten();
        rows.extend(endpoints.map(|endpoint| (endpoint.clone(), fresh_id(event), event)));
    }
    insert(tx, org, &rows).await
}

/// Keeps an event for one endpoint, whatever it asks for. Returns the delivery's id.
pub(super) async fn add_for(
    tx: &mut Tx<'_>,
    org: &OrgId,
    endpoint: &str,
    event: &Event,
) -> Result<DeliveryId, StoreError> {
    let id = fresh_id(event);
    insert(tx, org, &[(endpoint.to_owned(), id, event)]).await?;
    Ok(id)
}

fn fresh_id(event: &Event) -> DeliveryId {
    DeliveryId::new(event.at, rand::random())
}

async fn insert(tx: &mut Tx<'_>, org: &OrgId, rows: &[(String, DeliveryId, &Event)]) -> Result<(), StoreError> {
    let Some(first) = rows.iter().map(|(.., event)| event.at).min() else { return Ok(()) };
    let json = json_rows(
        rows.iter()
            .map(|(endpoint, id, event)| (endpoint, id, event.kind.as_str(), event.body.as_str(), event.at.millis())),
    );
    let sql = "INSERT INTO deliveries (org_id, endpoint, delivery_id, event_type, body, state, attempts, due_at, token, created_at, last_error)
        SELECT $2, r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 3, 'waiting', 0, CAST(r.value ->> 4 AS BIGINT), 0,
          CAST(r.value ->> 4 AS BIGINT), '' FROM ROWS($1) WHERE 1 = 1";
    tx.execute(sql, args![json, org.as_str()]).await?;
    wake_at(tx, org, first);
    Ok(())
}

/// Says that something is to be posted from then on.
pub(super) fn wake_at(tx: &mut Tx<'_>, org: &OrgId, at: Timestamp) {
    let due = tx.outbox.due.entry(org.clone()).or_insert(at);
    *due = at.min(*due);
}

/// The last that a transaction does: tells those who post.
pub(super) async fn wake(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (org, at) in std::mem::take(&mut tx.outbox.due) {
        lanes::wake(tx, &org, LaneKind::Deliveries, at).await?;
    }
    Ok(())
}
