//! Requests whose messages the provider is to be asked about, because no receipt of them has come.

use serde_json::{Value, json};

use crate::domain::{
    id::{MessageId, OrgId, RequestId},
    polling,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::args,
    lanes::{self, LaneKind},
};

/// A message that a provider has taken, and of which nothing has been heard since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// Which.
    pub id: MessageId,
    /// The provider's id of it.
    pub provider_id: String,
    /// The channel that it left through; empty: its run's own.
    pub via: String,
}

/// How often a request has been asked about, by the places of [`polling::again`], decides when it is next.
const CLAIM: &str = "
WITH next AS MATERIALIZED (
  SELECT run_id, number, polls FROM requests
  WHERE org_id = $1 AND poll_at IS NOT NULL AND poll_at <= $2 ORDER BY poll_at LIMIT $3 SKIP LOCKED ROWS
)
UPDATE requests SET polls = requests.polls + 1,
  poll_at = CASE requests.polls WHEN 0 THEN CAST($4 AS BIGINT) WHEN 1 THEN CAST($5 AS BIGINT) WHEN 2 THEN CAST($6 AS BIGINT)
            WHEN 3 THEN CAST($7 AS BIGINT) ELSE NULL END
FROM next
WHERE requests.org_id = $1 AND requests.run_id = next.run_id AND requests.number = next.number
RETURNING requests.run_id, requests.number, first_seq, size";

impl Store {
    /// Takes up to `limit` requests that are due to be asked about, and says when each is next: should this process end before
    /// it has asked, that time is soon enough. The messages of these that nothing has been heard of.
    pub async fn claim_polls(&self, org: &OrgId, now: Timestamp, limit: i64) -> Result<Vec<Unheard>, StoreError> {
        let mut tx = self.begin().await?;
        lanes::lock(&mut tx, org, LaneKind::Polls).await?;
        let next = |times| polling::again(times, now).map(Timestamp::millis);
        let rows = tx.rows(CLAIM, args![org.as_str(), now.millis(), limit, next(1), next(2), next(3), next(4)]).await?;
        let mut ranges = Vec::with_capacity(rows.len());
        for row in &rows {
            let request = RequestId { run: row.parsed(0)?, number: row.int(1)? };
            let first = row.int(2)?;
            ranges.push(json!([request.run, first, first + row.int(3)?]));
        }
        let sql = "SELECT MIN(poll_at) FROM requests WHERE org_id = $1 AND poll_at IS NOT NULL";
        let due = tx.row(sql, args![org.as_str()]).await?.map(|row| row.maybe_int(0)).transpose()?.flatten();
        lanes::rest(&mut tx, org, LaneKind::Polls, due.map(Timestamp::from_millis)).await?;
        tx.commit().await?;
        let sql = "SELECT run_id, seq, provider_id, via FROM ROWS($1) CROSS JOIN message_states
                   WHERE org_id = $2 AND run_id = r.value ->> 0 AND seq >= CAST(r.value ->> 1 AS BIGINT) AND seq < CAST(r.value ->> 2 AS BIGINT)
                   AND status = 'sent' AND provider_id <> '' ORDER BY run_id, seq";
        let rows = self.rows(sql, args![Value::from(ranges).to_string(), org.as_str()]).await?;
        let read = rows.iter().map(|row| {
            let id = MessageId { run: row.parsed(0)?, seq: row.int(1)? };
            Ok(Unheard { id, provider_id: row.text(2)?.to_owned(), via: row.text(3)?.to_owned() })
        });
        read.collect()
    }
}
