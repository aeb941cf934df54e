//! Replies: what people write back. The same provider message id on the same channel is one reply.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::{
    contact::ChannelType,
    id::{ConversationId, MessageId, OrgId, ReplyId},
    phone::E164,
    time::Timestamp,
};

use super::{
    Store, StoreError, conversations,
    db::{Row, Tx, args},
    told,
};

/// A reply that came in.
#[derive(Clone, Debug)]
pub struct NewReply {
    /// Its id.
    pub id: ReplyId,
    /// The channel that it came to.
    pub channel: String,
    /// Which kind of channel that is.
    pub channel_type: ChannelType,
    /// The provider's id of it.
    pub provider_id: String,
    /// Who wrote.
    pub from: E164,
    /// What.
    pub text: String,
    /// Links to what they attached, as far as the channel takes attachments.
    pub media: Vec<String>,
    /// How many attachments it does not take.
    pub media_refused: i64,
    /// `stop`, `start`, `help`, or empty.
    pub keyword: &'static str,
    /// The message that it answers, as far as can be told.
    pub answers: Option<MessageId>,
    /// The conversation that it opens if none is open between the two.
    pub opens: ConversationId,
    /// That conversation's locale; empty if it cannot be told.
    pub locale: String,
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
    /// Links to what they attached.
    pub media: Vec<String>,
    /// How many attachments were refused.
    pub media_refused: i64,
    /// `stop`, `start`, `help`, or empty.
    pub keyword: String,
    /// The message that it answers; empty if that is not known.
    pub answers: String,
    /// Its place in its conversation, from 1.
    pub place: i64,
    /// When it was recorded.
    pub received_at: Timestamp,
}

/// A reply that was news, and the conversation that it stands in now.
#[derive(Clone, Copy, Debug)]
pub(super) struct News<'r> {
    /// The reply.
    pub reply: &'r NewReply,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its place there.
    pub place: i64,
}

/// What a reply is matched by: who wrote, to which channel, and when.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Who wrote.
    pub from: E164,
    /// To which channel.
    pub channel: &'a str,
    /// When it was recorded.
    pub at: Timestamp,
}

/// The message that a reply answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which.
    pub message: MessageId,
    /// The locale of its text; empty if none is known.
    pub locale: String,
}

const REPLY: &str = "SELECT reply_id, channel, recipient, text, media, media_refused, keyword, answers, place, received_at FROM replies WHERE org_id = $1";

fn read_reply(row: &Row) -> Result<StoredReply, StoreError> {
    Ok(StoredReply {
        id: row.parsed(0)?,
        channel: row.text(1)?.to_owned(),
        from: E164::from_digits(u64::try_from(row.int(2)?).unwrap_or(0)),
        text: row.text(3)?.to_owned(),
        media: row.json(4)?,
        media_refused: row.int(5)?,
        keyword: row.text(6)?.to_owned(),
        answers: row.text(7)?.to_owned(),
        place: row.int(8)?,
        received_at: Timestamp::from_millis(row.int(9)?),
    })
}

/// Of the messages to whoever wrote that a provider had taken by then, one through the channel that they wrote to before any
/// other, and the newest of them. CROSS JOIN keeps SQLite to this order: from the reply to the person's messages, and from each to
/// its state and its run.
const ANSWERED: &str = "SELECT asked, run_id, seq, locale FROM (
    SELECT CAST(r.value ->> 0 AS BIGINT) AS asked, m.run_id, m.seq, s.locale, ROW_NUMBER() OVER (PARTITION BY r.value ->> 0 ORDER BY
      CASE WHEN COALESCE(NULLIF(s.via, ''), jsonb(runs.pinned) ->> 'channel') = r.value ->> 2 THEN 0 ELSE 1 END,
      s.sent_at DESC, m.run_id DESC, m.seq DESC) AS nth
    FROM ROWS($1) CROSS JOIN messages m CROSS JOIN message_states s CROSS JOIN runs
    WHERE m.org_id = $2 AND m.recipient = CAST(r.value ->> 1 AS BIGINT)
      AND s.org_id = $2 AND s.run_id = m.run_id AND s.seq = m.seq AND s.sent_at <= CAST(r.value ->> 3 AS BIGINT)
      AND runs.org_id = $2 AND runs.run_id = m.run_id) AS found
  WHERE nth = 1";

impl Store {
    /// The organization's newest replies, newest first.
    pub async fn replies(&self, org: &OrgId, since: Timestamp, limit: i64) -> Result<Vec<StoredReply>, StoreError> {
        let sql = format!("{REPLY} AND received_at >= $2 ORDER BY received_at DESC LIMIT $3");
        let rows = self.rows(&sql, args![org.as_str(), since.millis(), limit]).await?;
        rows.iter().map(read_reply).collect()
    }

    /// The replies of a conversation after its first `after` places, in their order.
    pub async fn replies_in(
        &self,
        org: &OrgId,
        conversation: ConversationId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<StoredReply>, StoreError> {
        let sql = format!("{REPLY} AND conversation = $2 AND place > $3 ORDER BY place LIMIT $4");
        let rows = self.rows(&sql, args![org.as_str(), conversation.to_string(), after, limit]).await?;
        rows.iter().map(read_reply).collect()
    }

    /// The messages that replies answer, in the order of the replies; `None` where nothing was sent to whoever wrote.
    pub async fn answered(&self, org: &OrgId, replies: &[Incoming<'_>]) -> Result<Vec<Option<Answered>>, StoreError> {
        let asked: Vec<Value> = replies
            .iter()
            .enumerate()
            .map(|(place, reply)| json!([place, reply.from.digits(), reply.channel, reply.at.millis()]))
            .collect();
        let rows = self.rows(ANSWERED, args![Value::from(asked).to_string(), org.as_str()]).await?;
        let mut answered = vec![None; replies.len()];
        for row in &rows {
            let message = MessageId { run: row.parsed(1)?, seq: row.int(2)? };
            if let Some(slot) = usize::try_from(row.int(0)?).ok().and_then(|place| answered.get_mut(place)) {
                *slot = Some(Answered { message, locale: row.text(3)?.to_owned() });
            }
        }
        Ok(answered)
    }
}

const INSERT: &str = "INSERT INTO replies
    (org_id, channel, provider_id, reply_id, recipient, text, media, media_refused, keyword, answers, received_at)
  SELECT $2, r.value ->> 0, r.value ->> 1, r.value ->> 2, CAST(r.value ->> 3 AS BIGINT), r.value ->> 4, r.value ->> 5,
    CAST(r.value ->> 6 AS BIGINT), r.value ->> 7, r.value ->> 8, CAST(r.value ->> 9 AS BIGINT)
  FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING RETURNING reply_id";

/// Keeps replies, each in its conversation; those that were news, in their order.
pub(super) async fn add_replies<'r>(
    tx: &mut Tx<'_>,
    org: &OrgId,
    replies: &'r [NewReply],
) -> Result<Vec<News<'r>>, StoreError> {
    if replies.is_empty() {
        return Ok(vec![]);
    }
    // In one order everywhere: two that add the same replies wait for each other, but never in a circle.
    let mut in_order: Vec<&NewReply> = replies.iter().collect();
    in_order.sort_by(|a, b| (&a.channel, &a.provider_id).cmp(&(&b.channel, &b.provider_id)));
    let rows: Vec<Value> = in_order.iter().map(|reply| row(reply)).collect();
    let added = tx.rows(INSERT, args![Value::from(rows).to_string(), org.as_str()]).await?;
    let mut added: BTreeSet<ReplyId> = added.iter().map(|row| row.parsed(0)).collect::<Result<_, StoreError>>()?;
    let news: Vec<&NewReply> = replies.iter().filter(|reply| added.remove(&reply.id)).collect();
    let places = conversations::append(tx, org, &news).await?;
    let news: Vec<News<'r>> = news
        .into_iter()
        .zip(places)
        .map(|(reply, (conversation, place))| News { reply, conversation, place })
        .collect();
    keep_places(tx, org, &news).await?;
    conversations::move_sessions(tx, org, &news).await?;
    told::add_replies(tx, org, &news).await?;
    Ok(news)
}

fn row(reply: &NewReply) -> Value {
    json!([
        reply.channel,
        reply.provider_id,
        reply.id,
        reply.from.digits(),
        reply.text,
        json!(reply.media).to_string(),
        reply.media_refused,
        reply.keyword,
        reply.answers.map(|id| id.to_string()).unwrap_or_default(),
        reply.received_at.millis()
    ])
}

async fn keep_places(tx: &mut Tx<'_>, org: &OrgId, news: &[News<'_>]) -> Result<(), StoreError> {
    if news.is_empty() {
        return Ok(());
    }
    let row = |one: &News<'_>| json!([one.reply.channel, one.reply.provider_id, one.conversation, one.place]);
    let rows: Vec<Value> = news.iter().map(row).collect();
    let sql = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
        UPDATE replies SET conversation = r.value ->> 2, place = CAST(r.value ->> 3 AS BIGINT) FROM r
        WHERE org_id = $2 AND channel = r.value ->> 0 AND provider_id = r.value ->> 1";
    tx.execute(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
    Ok(())
}
