//! Replies: what people write back. The same provider message id on the same channel is one reply.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::{
    id::{MessageId, OrgId, ReplyId},
    phone::E164,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
    told,
};

/// A reply that came in.
#[derive(Clone, Debug)]
pub struct NewReply {
    /// Its id.
    pub id: ReplyId,
    /// The channel that it came to.
    pub channel: String,
    /// The provider's id of it.
    pub provider_id: String,
    /// Who wrote.
    pub from: E164,
    /// What.
    pub text: String,
    /// Links to what they attached.
    pub media: Vec<String>,
    /// `stop`, `start`, `help`, or empty.
    pub keyword: &'static str,
    /// The message that it answers, as far as can be told.
    pub answers: Option<MessageId>,
    /// When it was recorded.
    pub received_at: Timestamp,
}

/// A stored reply.
#[derive(Clone, Debug)]
pub struct StoredReply {
    /// Its id.
    pub id: ReplyId,
    /// The channel that it came to.
    pub channel: String,
    /// Who wrote.
    pub from: E164,
    /// What.
    pub text: String,
    /// `stop`, `start`, `help`, or empty.
    pub keyword: String,
    /// The message that it answers; empty if that is not known.
    pub answers: String,
    /// When it was recorded.
    pub received_at: Timestamp,
}

impl Store {
    /// The organization's newest replies, newest first.
    pub async fn replies(&self, org: &OrgId, since: Timestamp, limit: i64) -> Result<Vec<StoredReply>, StoreError> {
        let sql = "SELECT reply_id, channel, recipient, text, keyword, answers, received_at FROM replies
                   WHERE org_id = $1 AND received_at >= $2 ORDER BY received_at DESC LIMIT $3";
        let rows = self.rows(sql, args![org.as_str(), since.millis(), limit]).await?;
        let read = rows.iter().map(|row| {
            Ok(StoredReply {
                id: row.parsed(0)?,
                channel: row.text(1)?.to_owned(),
                from: E164::from_digits(u64::try_from(row.int(2)?).unwrap_or(0)),
                text: row.text(3)?.to_owned(),
                keyword: row.text(4)?.to_owned(),
                answers: row.text(5)?.to_owned(),
                received_at: Timestamp::from_millis(row.int(6)?),
            })
        });
        read.collect()
    }
}

/// Keeps replies; how many were news.
pub(super) async fn add_replies(tx: &mut Tx<'_>, org: &OrgId, replies: &[NewReply]) -> Result<u64, StoreError> {
    if replies.is_empty() {
        return Ok(0);
    }
    let row = |reply: &NewReply| {
        let answers = reply.answers.map(|id| id.to_string()).unwrap_or_default();
        let media = json!(reply.media).to_string();
        json!([
            reply.channel,
            reply.provider_id,
            reply.id,
            reply.from.digits(),
            reply.text,
            media,
            reply.keyword,
            answers,
            reply.received_at.millis()
        ])
    };
    let rows: Vec<Value> = replies.iter().map(row).collect();
    let sql = "INSERT INTO replies (org_id, channel, provider_id, reply_id, recipient, text, media, keyword, answers, received_at)
        SELECT $2, r.value ->> 0, r.value ->> 1, r.value ->> 2, CAST(r.value ->> 3 AS BIGINT), r.value ->> 4, r.value ->> 5, r.value ->> 6,
          r.value ->> 7, CAST(r.value ->> 8 AS BIGINT)
        FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING RETURNING reply_id";
    let kept = tx.rows(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
    let news: BTreeSet<ReplyId> = kept.iter().map(|row| row.parsed(0)).collect::<Result<_, _>>()?;
    let told: Vec<&NewReply> = replies.iter().filter(|reply| news.contains(&reply.id)).collect();
    told::add_replies(tx, org, &told).await?;
    Ok(news.len() as u64)
}
