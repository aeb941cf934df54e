//! Endpoints: who asks for what, what is known of an endpoint beyond its definition, and what has not arrived there.

use std::collections::BTreeMap;

use crate::domain::{
    definition::Endpoint,
    id::{DeliveryId, OrgId},
    time::Timestamp,
    webhook::EventType,
};

use super::{
    Store, StoreError,
    db::{Row, Tx, args, json_rows},
    outbox::{self, Event},
};

/// What is known of an endpoint beyond its definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointState {
    /// Since when nothing is posted to it, and why: it has said that it is gone.
    pub disabled: Option<(Timestamp, String)>,
    /// When a post last arrived.
    pub last_success_at: Option<Timestamp>,
    /// When a post last failed, and how.
    pub last_failure: Option<(Timestamp, String)>,
}

/// An endpoint has said that nothing more is to be posted to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// In words.
    pub why: String,
    /// When the post that it answered was taken up.
    pub taken_at: Timestamp,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is to be posted.
    Waiting,
    /// It was tried as often as it is.
    Failed,
}

impl DeliveryState {
    /// The name in the store and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// A text that names no state of a delivery.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not the state of a delivery; expected \"waiting\" or \"failed\"")]
pub struct NotADeliveryState(String);

impl std::str::FromStr for DeliveryState {
    type Err = NotADeliveryState;

    fn from_str(text: &str) -> Result<Self, NotADeliveryState> {
        let found = [Self::Waiting, Self::Failed].into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| NotADeliveryState(text.to_owned()))
    }
}

/// A delivery that has not arrived.
#[derive(Clone, Debug)]
pub struct StoredDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The type of its event.
    pub event_type: String,
    /// What is posted.
    pub body: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries that have failed.
    pub failed: i64,
    /// When it is tried next; while it is being tried, when its lease ends.
    pub due_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// How the last try failed; empty before.
    pub last_error: String,
}

const DELIVERY: &str =
    "SELECT delivery_id, event_type, body, state, attempts, due_at, created_at, last_error FROM deliveries
  WHERE org_id = $1 AND endpoint = $2 AND delivery_id < $3";

impl Store {
    /// Every endpoint that was ever defined: nobody else has deliveries.
    pub async fn endpoint_states(&self, org: &OrgId) -> Result<BTreeMap<String, EndpointState>, StoreError> {
        let sql = "SELECT endpoint, disabled_at, why, last_success_at, last_failure_at, last_failure FROM endpoint_states WHERE org_id = $1";
        let rows = self.rows(sql, args![org.as_str()]).await?;
        let read = rows.iter().map(|row| {
            let at = |column| Ok::<_, StoreError>(row.maybe_int(column)?.map(Timestamp::from_millis));
            let state = EndpointState {
                disabled: at(1)?.zip(Some(row.text(2)?.to_owned())),
                last_success_at: at(3)?,
                last_failure: at(4)?.zip(Some(row.text(5)?.to_owned())),
            };
            Ok((row.text(0)?.to_owned(), state))
        });
        read.collect()
    }

    /// An endpoint's deliveries that have not arrived, the newest first, those before `before` (all: `None`).
    pub async fn deliveries(
        &self,
        org: &OrgId,
        endpoint: &str,
        state: Option<DeliveryState>,
        before: Option<DeliveryId>,
        limit: i64,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        // Greater than any id, in whatever order the database sorts letters and marks.
        let before = before.map_or_else(|| "dlv_ZZZZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(), |id| id.to_string());
        let sql = match state {
            None => format!("{DELIVERY} ORDER BY delivery_id DESC LIMIT $4"),
            // There are few that have failed among many that wait, and the other way round never.
            Some(DeliveryState::Waiting) => {
                format!("{DELIVERY} AND state = 'waiting' ORDER BY delivery_id DESC LIMIT $4")
            }
            Some(DeliveryState::Failed) => format!(
                "{DELIVERY} AND delivery_id IN (SELECT delivery_id FROM deliveries WHERE org_id = $1 AND endpoint = $2
                 AND state = 'failed' AND delivery_id < $3 ORDER BY delivery_id DESC LIMIT $4) ORDER BY delivery_id DESC"
            ),
        };
        let rows = self.rows(&sql, args![org.as_str(), endpoint, before, limit]).await?;
        rows.iter().map(read_delivery).collect()
    }

    /// Lets an endpoint hear again of what it asks for, and what is waiting for it be posted. `false` if it is not defined.
    pub async fn enable_endpoint(&self, org: &OrgId, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let sql = "SELECT body FROM definitions WHERE org_id = $1 AND kind = 'endpoint' AND name = $2";
        let Some(row) = tx.row(sql, args![org.as_str(), name]).await? else { return Ok(false) };
        subscribe(&mut tx, org, name, &row.json::<Endpoint>(0)?, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Keeps an event that tells of nothing, for one endpoint, whatever it asks for.
    pub async fn test_endpoint(&self, org: &OrgId, name: &str, now: Timestamp) -> Result<DeliveryId, StoreError> {
        let mut tx = self.begin().await?;
        let event = Event::new(EventType::EndpointTest, now, &serde_json::json!({ "endpoint": name, "at": now }));
        let id = outbox::add_for(&mut tx, org, name, &event).await?;
        tx.commit().await?;
        Ok(id)
    }
}

fn read_delivery(row: &Row) -> Result<StoredDelivery, StoreError> {
    Ok(StoredDelivery {
        id: row.parsed(0)?,
        event_type: row.text(1)?.to_owned(),
        body: row.text(2)?.to_owned(),
        state: row.parsed(3)?,
        failed: row.int(4)?,
        due_at: Timestamp::from_millis(row.int(5)?),
        created_at: Timestamp::from_millis(row.int(6)?),
        last_error: row.text(7)?.to_owned(),
    })
}

/// Keeps who asks for what in step with a definition that is new, changed, or to be heeded again. The state's row comes first,
/// here and below: two that differ about an endpoint go one after the other.
pub(super) async fn subscribe(
    tx: &mut Tx<'_>,
    org: &OrgId,
    name: &str,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO endpoint_states (org_id, endpoint, changed_at, why, last_failure) VALUES ($1, $2, $3, '', '')
               ON CONFLICT (org_id, endpoint) DO UPDATE SET changed_at = excluded.changed_at, disabled_at = NULL, why = ''";
    tx.execute(sql, args![org.as_str(), name, now.millis()]).await?;
    unsubscribe(tx, org, name).await?;
    if endpoint.active {
        let patterns = json_rows(endpoint.events.iter().map(|pattern| (pattern,)));
        let sql = "INSERT INTO subscriptions (org_id, endpoint, pattern) SELECT $2, $3, r.value ->> 0 FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING";
        tx.execute(sql, args![patterns, org.as_str(), name]).await?;
    }
    // Whoever posts looks at what is waiting for it, or drops that.
    outbox::wake_at(tx, org, now);
    Ok(())
}

/// Nothing more is kept for an endpoint.
pub(super) async fn unsubscribe(tx: &mut Tx<'_>, org: &OrgId, name: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM subscriptions WHERE org_id = $1 AND endpoint = $2";
    tx.execute(sql, args![org.as_str(), name]).await?;
    Ok(())
}

/// Nothing is posted to an endpoint any more, unless it was defined or enabled since the post that it answered was taken up.
/// What is waiting for it stays.
pub(super) async fn disable(
    tx: &mut Tx<'_>,
    org: &OrgId,
    name: &str,
    gone: &Gone,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE endpoint_states SET disabled_at = $3, why = $4
               WHERE org_id = $1 AND endpoint = $2 AND changed_at <= $5 AND disabled_at IS NULL";
    let args = args![org.as_str(), name, now.millis(), gone.why.as_str(), gone.taken_at.millis()];
    if tx.execute(sql, args).await? == 1 {
        unsubscribe(tx, org, name).await?;
    }
    Ok(())
}

/// Keeps when a post arrived.
pub(super) async fn note_success(tx: &mut Tx<'_>, org: &OrgId, name: &str, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE endpoint_states SET last_success_at = $3 WHERE org_id = $1 AND endpoint = $2";
    tx.execute(sql, args![org.as_str(), name, at.millis()]).await?;
    Ok(())
}

/// Keeps when a post failed, and how.
pub(super) async fn note_failure(
    tx: &mut Tx<'_>,
    org: &OrgId,
    name: &str,
    why: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE endpoint_states SET last_failure_at = $3, last_failure = $4 WHERE org_id = $1 AND endpoint = $2";
    tx.execute(sql, args![org.as_str(), name, at.millis(), why]).await?;
    Ok(())
}
