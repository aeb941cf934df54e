//! Those who listen over HTTP: each subscribes like an endpoint, and what it is to be told waits among the deliveries under its
//! own id until it is read. Nobody posts it: an endpoint's name cannot be such an id.
//!
//! A listener that is gone renews its lease no more, and is cleared away with all that waits for it: so a slow one holds up
//! nobody, and one that vanished leaves little behind.

use std::time::Duration;

use crate::domain::{
    id::{OrgId, StreamId},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args, json_rows},
    lanes::{self, LaneKind},
};

/// How long a listener that does not renew its lease is still told.
pub const LEASE: Duration = Duration::from_secs(60);
/// The most listeners of one organization.
pub const MOST: i64 = 20;
/// Rows that one transaction clears away.
const CLEARED: i64 = 5_000;

/// Something that a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The event's type.
    pub event_type: String,
    /// As endpoints are posted it.
    pub body: String,
}

impl Store {
    /// Begins to listen for events of these patterns. `false`: there are [`MOST`] already.
    pub async fn open_stream(
        &self,
        org: &OrgId,
        stream: StreamId,
        patterns: &[String],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let until = now.plus(LEASE);
        lanes::wake(&mut tx, org, LaneKind::Upkeep, until).await?;
        let row = tx.row("SELECT COUNT(*) FROM streams WHERE org_id = $1", args![org.as_str()]).await?;
        if row.map_or(Ok(0), |row| row.int(0))? >= MOST {
            return Ok(false);
        }
        let sql = "INSERT INTO streams (org_id, stream_id, lease_until) VALUES ($1, $2, $3)";
        tx.execute(sql, args![org.as_str(), stream.to_string(), until.millis()]).await?;
        let sql = "INSERT INTO subscriptions (org_id, endpoint, pattern) SELECT $2, $3, r.value ->> 0 FROM ROWS($1) WHERE 1 = 1
                   ON CONFLICT DO NOTHING";
        let rows = json_rows(patterns.iter().map(|pattern| (pattern,)));
        tx.execute(sql, args![rows, org.as_str(), stream.to_string()]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Renews a listener's lease. `false`: it has been cleared away.
    pub async fn renew_stream(&self, org: &OrgId, stream: StreamId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE streams SET lease_until = $3 WHERE org_id = $1 AND stream_id = $2";
        Ok(self.execute(sql, args![org.as_str(), stream.to_string(), now.plus(LEASE).millis()]).await? == 1)
    }

    /// What a listener has not been told yet, the oldest first; it is told once.
    pub async fn read_stream(&self, org: &OrgId, stream: StreamId, limit: i64) -> Result<Vec<Told>, StoreError> {
        let sql = "SELECT delivery_id, event_type, body FROM deliveries WHERE org_id = $1 AND endpoint = $2 ORDER BY delivery_id LIMIT $3";
        let rows = self.rows(sql, args![org.as_str(), stream.to_string(), limit]).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids = rows.iter().map(|row| Ok((row.text(0)?.to_owned(),))).collect::<Result<Vec<_>, StoreError>>()?;
        let sql = "DELETE FROM deliveries WHERE org_id = $2 AND endpoint = $3
                   AND delivery_id IN (SELECT r.value ->> 0 FROM ROWS($1))";
        self.execute(sql, args![json_rows(ids.iter()), org.as_str(), stream.to_string()]).await?;
        rows.iter().map(|row| Ok(Told { event_type: row.text(1)?.to_owned(), body: row.text(2)?.to_owned() })).collect()
    }

    /// Listens no more.
    pub async fn close_stream(&self, org: &OrgId, stream: StreamId) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        while clear(&mut tx, org, &stream.to_string()).await? {}
        tx.commit().await
    }
}

/// Clears away listeners that are gone; when there is something to look at again.
pub(super) async fn clear_left(tx: &mut Tx<'_>, org: &OrgId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT stream_id FROM streams WHERE org_id = $1 AND lease_until <= $2";
    let mut more = false;
    for row in &tx.rows(sql, args![org.as_str(), now.millis()]).await? {
        more |= clear(tx, org, row.text(0)?).await?;
    }
    let sql = "SELECT MIN(lease_until) FROM streams WHERE org_id = $1";
    let next = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
    Ok(if more { Some(now) } else { next.map(Timestamp::from_millis) })
}

/// Clears some of what waits for a listener, and the listener itself when that is all; `true`: there is more.
async fn clear(tx: &mut Tx<'_>, org: &OrgId, stream: &str) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM subscriptions WHERE org_id = $1 AND endpoint = $2", args![org.as_str(), stream]).await?;
    let sql = "DELETE FROM deliveries WHERE org_id = $1 AND endpoint = $2 AND delivery_id IN (
        SELECT delivery_id FROM deliveries WHERE org_id = $1 AND endpoint = $2 ORDER BY delivery_id LIMIT $3)";
    let cleared = tx.execute(sql, args![org.as_str(), stream, CLEARED]).await?;
    if i64::try_from(cleared) == Ok(CLEARED) {
        return Ok(true);
    }
    tx.execute("DELETE FROM streams WHERE org_id = $1 AND stream_id = $2", args![org.as_str(), stream]).await?;
    Ok(false)
}
