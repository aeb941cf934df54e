//! Deliveries: what `outbox` wrote is taken up under a lease, and gone when it has arrived.
//!
//! Endpoint by endpoint, so that what waits for one does not keep another waiting. They arrive at least once: a deliverer that
//! ends between the post and its word here is followed by another, who posts the same id again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use crate::domain::{
    id::{DeliveryId, OrgId},
    time::Timestamp,
    webhook::KEPT_FOR,
};

use super::{
    Store, StoreError,
    db::{Tx, args, json_rows},
    endpoints::{self, DeliveryState, Gone},
    lanes::{self, LaneKind},
    outbox,
};

/// Deliveries that are dropped in one transaction, of each endpoint.
const DROPPED_AT_ONCE: i64 = 1_000;
/// Deliveries that have failed for good and are kept to be looked at, of each endpoint: the newest.
const FAILED_KEPT: i64 = 1_000;
/// When to look again at what was due and could not be taken up.
const RECHECK: Duration = Duration::from_secs(1);

/// What a deliverer can take up of one organization.
#[derive(Debug)]
pub struct Order<'a> {
    /// Endpoints that are posted to, and how many posts there is room for now.
    pub live: &'a BTreeMap<String, usize>,
    /// Those that are not, and not for good: what waits stays.
    pub disabled: &'a BTreeSet<String>,
    /// Those that are inactive, or defined no longer: what waits is dropped.
    pub ended: &'a BTreeSet<String>,
    /// Now.
    pub now: Timestamp,
    /// Until when what is taken up is the deliverer's.
    pub lease_until: Timestamp,
}

/// A delivery that was taken up.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// To which endpoint.
    pub endpoint: String,
    /// Its id: the same on every try.
    pub id: DeliveryId,
    /// What is posted, to the byte.
    pub body: String,
    /// Tries that have failed.
    pub failed: i64,
    /// What its taker shows when it gives it back.
    pub token: i64,
}

/// What was taken up.
#[derive(Debug, Default)]
pub struct TakenUp {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// Endpoints for which more is due.
    pub more: BTreeSet<String>,
    /// How many were dropped: too old, or nobody's.
    pub dropped: u64,
}

/// What became of a delivery that was taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It has arrived.
    Arrived,
    /// It has not, and is to be tried again; with how it failed.
    RetryAt(Timestamp, String),
    /// It was the last try; with how it failed.
    GivenUp(String),
    /// The endpoint is gone. The delivery waits until the endpoint is enabled again.
    Gone(Gone),
}

/// For each endpoint: when its next delivery is due, and when its oldest was made.
const OVERVIEW: &str = "SELECT r.value ->> 0,
    (SELECT due_at FROM deliveries WHERE org_id = $2 AND endpoint = r.value ->> 0 AND state = 'waiting' ORDER BY due_at LIMIT 1),
    (SELECT created_at FROM deliveries WHERE org_id = $2 AND endpoint = r.value ->> 0 ORDER BY delivery_id LIMIT 1)
  FROM ROWS($1)";

const TAKE: &str = "
WITH next AS MATERIALIZED (
  SELECT delivery_id FROM deliveries WHERE org_id = $1 AND endpoint = $2 AND state = 'waiting' AND due_at <= $3
  ORDER BY due_at, delivery_id LIMIT $4 SKIP LOCKED ROWS
)
UPDATE deliveries SET due_at = $5, token = token + 1 FROM next
WHERE org_id = $1 AND endpoint = $2 AND deliveries.delivery_id = next.delivery_id
RETURNING deliveries.delivery_id, body, attempts, token";

impl Store {
    /// Takes up what is due, as far as there is room for it, and drops what nobody will ever hear of.
    pub async fn take_deliveries(&self, org: &OrgId, order: &Order<'_>) -> Result<TakenUp, StoreError> {
        let mut tx = self.begin().await?;
        let mut taken = TakenUp::default();
        for (endpoint, due) in overview(&mut tx, org, order).await? {
            if due.oldest.is_some() && order.ended.contains(&endpoint) {
                // Whoever is defined no longer asks for nothing.
                endpoints::unsubscribe(&mut tx, org, &endpoint).await?;
                taken.dropped += drop_before(&mut tx, org, &endpoint, None).await?;
            } else if due.oldest.is_some_and(|oldest| oldest.plus(KEPT_FOR) <= order.now) {
                let before = DeliveryId::new(order.now.minus(KEPT_FOR), 0);
                taken.dropped += drop_before(&mut tx, org, &endpoint, Some(before)).await?;
            }
            let room = order.live.get(&endpoint).copied().unwrap_or(0);
            if room > 0 && due.next.is_some_and(|next| next <= order.now) {
                taken.deliveries.extend(take(&mut tx, org, &endpoint, room, order).await?);
            }
        }
        lanes::lock(&mut tx, org, LaneKind::Deliveries).await?;
        let mut next = None;
        for (endpoint, due) in overview(&mut tx, org, order).await? {
            next = earlier(next, look_again(order, &endpoint, &due));
            if due.next.is_some_and(|next| next <= order.now) && order.live.contains_key(&endpoint) {
                taken.more.insert(endpoint);
            }
        }
        lanes::rest(&mut tx, org, LaneKind::Deliveries, next).await?;
        tx.commit().await?;
        Ok(taken)
    }

    /// Writes what became of deliveries. Those whose lease has ended and that somebody else has taken up since are left to him;
    /// but what has arrived is gone, whoever says so.
    pub async fn settle_deliveries(
        &self,
        words: &[(&OrgId, &Delivery, &Posted)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut by_org: BTreeMap<&OrgId, Vec<(&Delivery, &Posted)>> = BTreeMap::new();
        for (org, delivery, posted) in words {
            by_org.entry(org).or_default().push((delivery, posted));
        }
        let mut tx = self.begin().await?;
        for (org, mut words) in by_org {
            // In one order everywhere, so that two never wait for each other in a circle.
            words.sort_by(|(a, _), (b, _)| (&a.endpoint, a.id).cmp(&(&b.endpoint, b.id)));
            settle_org(&mut tx, org, &words, now).await?;
        }
        tx.commit().await
    }
}

/// When an endpoint's next delivery is due, and when its oldest was made.
struct Due {
    next: Option<Timestamp>,
    oldest: Option<Timestamp>,
}

async fn overview(tx: &mut Tx<'_>, org: &OrgId, order: &Order<'_>) -> Result<Vec<(String, Due)>, StoreError> {
    let all = order.live.keys().chain(order.disabled).chain(order.ended);
    let rows = tx.rows(OVERVIEW, args![json_rows(all.map(|name| (name,))), org.as_str()]).await?;
    let read = rows.iter().map(|row| {
        let at = |column| Ok::<_, StoreError>(row.maybe_int(column)?.map(Timestamp::from_millis));
        Ok((row.text(0)?.to_owned(), Due { next: at(1)?, oldest: at(2)? }))
    });
    read.collect()
}

/// When there is something to do for an endpoint again.
fn look_again(order: &Order<'_>, endpoint: &str, due: &Due) -> Option<Timestamp> {
    let oldest = due.oldest?;
    if order.ended.contains(endpoint) {
        return Some(order.now); // more is to be dropped
    }
    // What is due and was not taken up waits for room, or is in somebody else's hands: that is seen when it ends, and in any case soon.
    let next = due.next.filter(|_| order.live.contains_key(endpoint)).map(|next| next.max(order.now.plus(RECHECK)));
    earlier(next, Some(oldest.plus(KEPT_FOR)))
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Drops some of an endpoint's deliveries: all of them, or those made before an id was.
async fn drop_before(
    tx: &mut Tx<'_>,
    org: &OrgId,
    endpoint: &str,
    before: Option<DeliveryId>,
) -> Result<u64, StoreError> {
    let before = before.map_or_else(|| "dlv_ZZZZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(), |id| id.to_string());
    let sql = "DELETE FROM deliveries WHERE org_id = $1 AND endpoint = $2 AND delivery_id IN (
        SELECT delivery_id FROM deliveries WHERE org_id = $1 AND endpoint = $2 AND delivery_id < $3 ORDER BY delivery_id LIMIT $4)";
    tx.execute(sql, args![org.as_str(), endpoint, before, DROPPED_AT_ONCE]).await
}

async fn take(
    tx: &mut Tx<'_>,
    org: &OrgId,
    endpoint: &str,
    room: usize,
    order: &Order<'_>,
) -> Result<Vec<Delivery>, StoreError> {
    let limit = i64::try_from(room).unwrap_or(i64::MAX);
    let args = args![org.as_str(), endpoint, order.now.millis(), limit, order.lease_until.millis()];
    let rows = tx.rows(TAKE, args).await?;
    let read = rows.iter().map(|row| {
        Ok(Delivery {
            endpoint: endpoint.to_owned(),
            id: row.parsed(0)?,
            body: row.text(1)?.to_owned(),
            failed: row.int(2)?,
            token: row.int(3)?,
        })
    });
    read.collect()
}

/// What became of an endpoint's posts, taken together.
#[derive(Default)]
struct Notes<'a> {
    arrived: bool,
    failure: Option<&'a str>,
    given_up: bool,
    gone: Option<&'a Gone>,
}

async fn settle_org(
    tx: &mut Tx<'_>,
    org: &OrgId,
    words: &[(&Delivery, &Posted)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut arrived, mut tried) = (Vec::new(), Vec::new());
    let mut notes: BTreeMap<&str, Notes<'_>> = BTreeMap::new();
    for (delivery, posted) in words {
        let note = notes.entry(&delivery.endpoint).or_default();
        let mut again = |state: DeliveryState, failed: i64, due: Timestamp, why: &str| {
            tried.push(json!([
                delivery.endpoint,
                delivery.id,
                delivery.token,
                state.as_str(),
                failed,
                due.millis(),
                why
            ]));
        };
        match posted {
            Posted::Arrived => {
                note.arrived = true;
                arrived.push(json!([delivery.endpoint, delivery.id]));
            }
            Posted::RetryAt(at, why) => {
                note.failure = Some(why);
                again(DeliveryState::Waiting, 1, *at, why);
                outbox::wake_at(tx, org, *at);
            }
            Posted::GivenUp(why) => {
                (note.failure, note.given_up) = (Some(why.as_str()), true);
                again(DeliveryState::Failed, 1, now, why);
            }
            Posted::Gone(gone) => {
                (note.failure, note.gone) = (Some(gone.why.as_str()), Some(gone));
                again(DeliveryState::Waiting, 0, now, &gone.why);
                outbox::wake_at(tx, org, now);
            }
        }
    }
    write(tx, org, arrived, tried).await?;
    for (endpoint, note) in notes {
        if note.given_up {
            keep_newest_failed(tx, org, endpoint).await?;
        }
        if note.arrived {
            endpoints::note_success(tx, org, endpoint, now).await?;
        }
        if let Some(why) = note.failure {
            endpoints::note_failure(tx, org, endpoint, why, now).await?;
        }
        if let Some(gone) = note.gone {
            endpoints::disable(tx, org, endpoint, gone, now).await?;
        }
    }
    Ok(())
}

async fn write(tx: &mut Tx<'_>, org: &OrgId, arrived: Vec<Value>, tried: Vec<Value>) -> Result<(), StoreError> {
    if !arrived.is_empty() {
        let sql = "DELETE FROM deliveries WHERE org_id = $2
                   AND (endpoint, delivery_id) IN (SELECT r.value ->> 0, r.value ->> 1 FROM ROWS($1))";
        tx.execute(sql, args![Value::from(arrived).to_string(), org.as_str()]).await?;
    }
    if !tried.is_empty() {
        let sql = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
            UPDATE deliveries SET state = r.value ->> 3, attempts = attempts + CAST(r.value ->> 4 AS BIGINT),
              due_at = CAST(r.value ->> 5 AS BIGINT), last_error = r.value ->> 6
            FROM r WHERE org_id = $2 AND endpoint = r.value ->> 0 AND delivery_id = r.value ->> 1
              AND token = CAST(r.value ->> 2 AS BIGINT) AND state = 'waiting'";
        tx.execute(sql, args![Value::from(tried).to_string(), org.as_str()]).await?;
    }
    Ok(())
}

async fn keep_newest_failed(tx: &mut Tx<'_>, org: &OrgId, endpoint: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM deliveries WHERE org_id = $1 AND endpoint = $2 AND delivery_id IN (
        SELECT delivery_id FROM deliveries WHERE org_id = $1 AND endpoint = $2 AND state = 'failed' ORDER BY delivery_id DESC LIMIT $3 OFFSET $4)";
    tx.execute(sql, args![org.as_str(), endpoint, DROPPED_AT_ONCE, FAILED_KEPT]).await?;
    Ok(())
}
