//! Provider callbacks: recorded before they are acknowledged, applied by a loop, gone when applied.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::{
    id::{CallbackId, MessageId, OrgId},
    state::MessageState,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    consents::{ConsentChange, set_consents},
    db::args,
    lanes::{self, LaneKind},
    replies::{NewReply, add_replies},
    states, watch,
};

/// A callback, verified and read.
#[derive(Clone, Debug)]
pub struct StoredCallback {
    /// Its id: ordered by time.
    pub id: CallbackId,
    /// The account that it is about.
    pub account: String,
    /// What it says, as JSON.
    pub body: String,
    /// When it was recorded.
    pub received_at: Timestamp,
}

/// What callbacks amount to.
#[derive(Debug, Default)]
pub struct Effects {
    /// Delivery reports.
    pub receipts: Vec<(MessageId, MessageState)>,
    /// Messages from people.
    pub replies: Vec<NewReply>,
    /// What people said about being written to.
    pub consents: Vec<ConsentChange>,
}

/// What became of applying them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Reports about messages that the organization does not have.
    pub unknown: usize,
    /// Replies that were news.
    pub new_replies: usize,
}

impl Store {
    /// Records callbacks.
    pub async fn record_callbacks(&self, callbacks: &[(&OrgId, StoredCallback)]) -> Result<(), StoreError> {
        let mut by_org: BTreeMap<&OrgId, Vec<Value>> = BTreeMap::new();
        for (org, callback) in callbacks {
            let row = json!([callback.id, callback.account, callback.body, callback.received_at.millis()]);
            by_org.entry(org).or_default().push(row);
        }
        let mut tx = self.begin().await?;
        for (org, rows) in by_org {
            let sql = "INSERT INTO callbacks (org_id, callback_id, account, body, received_at)
                SELECT $2, r.value ->> 0, r.value ->> 1, r.value ->> 2, CAST(r.value ->> 3 AS BIGINT) FROM ROWS($1) WHERE 1 = 1
                ON CONFLICT DO NOTHING";
            // A commit whose confirmation was lost is made again.
            tx.execute(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
            let first = callbacks.iter().filter(|(of, _)| *of == org).map(|(_, callback)| callback.received_at).min();
            if let Some(first) = first {
                lanes::wake(&mut tx, org, LaneKind::Callbacks, first).await?;
            }
        }
        tx.commit().await
    }

    /// The oldest callbacks that are not applied yet.
    pub async fn waiting_callbacks(&self, org: &OrgId, limit: i64) -> Result<Vec<StoredCallback>, StoreError> {
        let sql = "SELECT callback_id, account, body, received_at FROM callbacks WHERE org_id = $1 ORDER BY callback_id LIMIT $2";
        let rows = self.rows(sql, args![org.as_str(), limit]).await?;
        let read = rows.iter().map(|row| {
            Ok(StoredCallback {
                id: row.parsed(0)?,
                account: row.text(1)?.to_owned(),
                body: row.text(2)?.to_owned(),
                received_at: Timestamp::from_millis(row.int(3)?),
            })
        });
        read.collect()
    }

    /// Applies what callbacks amount to and forgets them, together. Applying the same ones twice changes nothing.
    pub async fn apply_callbacks(
        &self,
        org: &OrgId,
        done: &[CallbackId],
        effects: &Effects,
    ) -> Result<Applied, StoreError> {
        let mut tx = self.begin().await?;
        let unknown = states::apply_receipts(&mut tx, org, &effects.receipts).await?;
        let news = add_replies(&mut tx, org, &effects.replies).await?;
        let changed = set_consents(&mut tx, org, &effects.consents).await?;
        watch::count_opt_outs(&mut tx, org, &news, &changed);
        let ids: Vec<Value> = done.iter().map(|id| json!([id])).collect();
        let sql = "DELETE FROM callbacks WHERE org_id = $2 AND callback_id IN (SELECT r.value ->> 0 FROM ROWS($1))";
        tx.execute(sql, args![Value::from(ids).to_string(), org.as_str()]).await?;
        lanes::lock(&mut tx, org, LaneKind::Callbacks).await?;
        let sql = "SELECT MIN(received_at) FROM (SELECT received_at FROM callbacks WHERE org_id = $1 ORDER BY callback_id LIMIT 1) AS oldest";
        let next = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
        lanes::rest(&mut tx, org, LaneKind::Callbacks, next.map(Timestamp::from_millis)).await?;
        tx.commit().await?;
        Ok(Applied { unknown, new_replies: news.len() })
    }
}
