//! Conversations: the thread between one channel and one person, open until it is ended. What has ended is never opened again:
//! whoever writes then begins another one.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    str::FromStr,
};

use serde_json::{Value, json};

use crate::domain::{
    contact::ChannelType,
    id::{ConversationId, MessageId, OrgId},
    phone::E164,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Row, Tx, args},
    replies::{NewReply, News},
};

/// Whether a conversation still goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationState {
    /// Replies are appended to it, and it may be answered.
    Open,
    /// It is resolved.
    Ended,
}

impl ConversationState {
    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
        }
    }
}

/// A text that names no state of a conversation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not the state of a conversation; expected \"open\" or \"ended\"")]
pub struct NotAConversationState(String);

impl FromStr for ConversationState {
    type Err = NotAConversationState;

    fn from_str(text: &str) -> Result<Self, NotAConversationState> {
        let found = [Self::Open, Self::Ended].into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| NotAConversationState(text.to_owned()))
    }
}

/// A conversation as the store has it.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The channel's name.
    pub channel: String,
    /// The kind of channel.
    pub channel_type: ChannelType,
    /// The person.
    pub contact: E164,
    /// Whether it still goes on.
    pub state: ConversationState,
    /// The locale that it is held in; empty if that is not known.
    pub locale: String,
    /// The message that its first reply answers, if that is known.
    pub about: Option<MessageId>,
    /// How many replies and answers it has.
    pub messages: i64,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When something was last said in it, or when it was ended.
    pub changed_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// By whom; empty while it is open.
    pub ended_by: String,
    /// When the person last wrote to the channel, in this conversation or a later one.
    pub last_inbound: Option<Timestamp>,
}

/// Which conversations are wanted; every part may be left out.
#[derive(Clone, Debug, Default)]
pub struct ConversationSearch {
    /// Those that go on, or those that have ended.
    pub state: Option<ConversationState>,
    /// Those with one person.
    pub contact: Option<E164>,
    /// Those on one channel.
    pub channel: Option<String>,
    /// Those opened before this one.
    pub before: Option<ConversationId>,
}

const CONVERSATION: &str =
    "SELECT c.conversation_id, c.channel, c.channel_type, c.recipient, c.state, c.locale, c.about, c.messages, c.opened_at,
    c.changed_at, c.ended_at, c.ended_by, s.inbound_at
  FROM conversations c LEFT JOIN sessions s ON s.org_id = c.org_id AND s.channel = c.channel AND s.recipient = c.recipient
  WHERE c.org_id = $1";

fn read_conversation(row: &Row) -> Result<Conversation, StoreError> {
    let about = match row.text(6)? {
        "" => None,
        _ => Some(row.parsed(6)?),
    };
    Ok(Conversation {
        id: row.parsed(0)?,
        channel: row.text(1)?.to_owned(),
        channel_type: row.parsed(2)?,
        contact: person(row, 3)?,
        state: row.parsed(4)?,
        locale: row.text(5)?.to_owned(),
        about,
        messages: row.int(7)?,
        opened_at: Timestamp::from_millis(row.int(8)?),
        changed_at: Timestamp::from_millis(row.int(9)?),
        ended_at: row.maybe_int(10)?.map(Timestamp::from_millis),
        ended_by: row.text(11)?.to_owned(),
        last_inbound: row.maybe_int(12)?.map(Timestamp::from_millis),
    })
}

impl Store {
    /// One conversation.
    pub async fn conversation(&self, org: &OrgId, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        let row = self
            .row(&format!("{CONVERSATION} AND c.conversation_id = $2"), args![org.as_str(), id.to_string()])
            .await?;
        row.as_ref().map(read_conversation).transpose()
    }

    /// Conversations, the one opened last first.
    pub async fn conversations(
        &self,
        org: &OrgId,
        search: &ConversationSearch,
        limit: i64,
    ) -> Result<Vec<Conversation>, StoreError> {
        let before = search.before.map_or_else(|| "cnv_ZZZZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(), |id| id.to_string());
        let mut args = args![org.as_str(), before, limit];
        let state = search.state.map(ConversationState::as_str);
        // Each with an index of its own; one person's conversations are few enough to be looked through.
        let sql = match (search.contact, &search.channel, state) {
            (Some(contact), channel, state) => {
                args.push(digits(contact).into());
                args.push(channel.as_deref().unwrap_or_default().into());
                args.push(state.unwrap_or_default().into());
                format!(
                    "{CONVERSATION} AND c.conversation_id < $2 AND c.recipient = $4 AND ($5 = '' OR c.channel = $5) AND ($6 = '' OR c.state = $6) ORDER BY c.conversation_id DESC LIMIT $3"
                )
            }
            (None, Some(channel), Some(state)) => {
                args.push(channel.as_str().into());
                args.push(state.into());
                format!(
                    "{CONVERSATION} AND c.conversation_id < $2 AND c.channel = $4 AND c.state = $5 ORDER BY c.conversation_id DESC LIMIT $3"
                )
            }
            (None, Some(channel), None) => {
                args.push(channel.as_str().into());
                format!(
                    "{CONVERSATION} AND c.conversation_id < $2 AND c.channel = $4 ORDER BY c.conversation_id DESC LIMIT $3"
                )
            }
            (None, None, Some(state)) => {
                args.push(state.into());
                format!(
                    "{CONVERSATION} AND c.conversation_id < $2 AND c.state = $4 ORDER BY c.conversation_id DESC LIMIT $3"
                )
            }
            (None, None, None) => {
                format!("{CONVERSATION} AND c.conversation_id < $2 ORDER BY c.conversation_id DESC LIMIT $3")
            }
        };
        let rows = self.rows(&sql, args).await?;
        rows.iter().map(read_conversation).collect()
    }

    /// Ends a conversation for good. `false` if it is not there or has ended already.
    pub async fn end_conversation(
        &self,
        org: &OrgId,
        id: ConversationId,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE conversations SET state = 'ended', ended_at = $1, ended_by = $2, changed_at = $1
                   WHERE org_id = $3 AND conversation_id = $4 AND state = 'open'";
        Ok(self.execute(sql, args![now.millis(), by, org.as_str(), id.to_string()]).await? == 1)
    }

    /// When each of these people last wrote to a channel; those who never did are left out. What WhatsApp's 24 hours are
    /// counted from (`domain::session`).
    pub async fn last_inbound(
        &self,
        org: &OrgId,
        channel: &str,
        people: &[E164],
    ) -> Result<BTreeMap<E164, Timestamp>, StoreError> {
        let rows: Vec<Value> = people.iter().map(|person| json!([person.digits()])).collect();
        let sql = "SELECT recipient, inbound_at FROM sessions WHERE org_id = $2 AND channel = $3
                   AND recipient IN (SELECT CAST(r.value ->> 0 AS BIGINT) FROM ROWS($1))";
        let rows = self.rows(sql, args![Value::from(rows).to_string(), org.as_str(), channel]).await?;
        rows.iter().map(|row| Ok((person(row, 0)?, Timestamp::from_millis(row.int(1)?)))).collect()
    }
}

fn digits(person: E164) -> i64 {
    i64::try_from(person.digits()).unwrap_or(0)
}

fn person(row: &Row, column: usize) -> Result<E164, StoreError> {
    Ok(E164::from_digits(u64::try_from(row.int(column)?).unwrap_or(0)))
}

/// Finds the open conversation of each person and channel, or opens it, and makes room in it; one statement for all.
const APPEND: &str = "INSERT INTO conversations
    (org_id, conversation_id, channel, channel_type, recipient, state, locale, about, messages, opened_at, changed_at, ended_by)
  SELECT $2, r.value ->> 0, r.value ->> 1, r.value ->> 2, CAST(r.value ->> 3 AS BIGINT), 'open', r.value ->> 4, r.value ->> 5,
    CAST(r.value ->> 6 AS BIGINT), CAST(r.value ->> 7 AS BIGINT), CAST(r.value ->> 8 AS BIGINT), ''
  FROM ROWS($1) WHERE 1 = 1
  ON CONFLICT (org_id, channel, recipient) WHERE state = 'open' DO UPDATE SET messages = conversations.messages + excluded.messages,
    changed_at = CASE WHEN excluded.changed_at > conversations.changed_at THEN excluded.changed_at ELSE conversations.changed_at END,
    locale = CASE WHEN conversations.locale = '' THEN excluded.locale ELSE conversations.locale END
  RETURNING conversation_id, channel, recipient, messages";

/// What is appended to one conversation.
struct Appended<'r> {
    first: &'r NewReply,
    count: i64,
    changed_at: Timestamp,
}

/// Appends replies to the open conversations of those who wrote, opening one where there is none: for each its conversation
/// and its place there, in their order.
pub(super) async fn append(
    tx: &mut Tx<'_>,
    org: &OrgId,
    replies: &[&NewReply],
) -> Result<Vec<(ConversationId, i64)>, StoreError> {
    if replies.is_empty() {
        return Ok(vec![]);
    }
    let mut threads: BTreeMap<(&str, E164), Appended<'_>> = BTreeMap::new();
    for reply in replies {
        match threads.entry((&reply.channel, reply.from)) {
            Entry::Vacant(free) => {
                free.insert(Appended { first: reply, count: 1, changed_at: reply.received_at });
            }
            Entry::Occupied(mut taken) => {
                let thread = taken.get_mut();
                thread.count += 1;
                thread.changed_at = thread.changed_at.max(reply.received_at);
            }
        }
    }
    let row = |Appended { first, count, changed_at }: &Appended<'_>| {
        let about = first.answers.map(|id| id.to_string()).unwrap_or_default();
        json!([
            first.opens,
            first.channel,
            first.channel_type,
            first.from.digits(),
            first.locale,
            about,
            count,
            first.received_at.millis(),
            changed_at.millis()
        ])
    };
    let rows: Vec<Value> = threads.values().map(row).collect();
    let rows = tx.rows(APPEND, args![Value::from(rows).to_string(), org.as_str()]).await?;
    // The next free place of each, after what it had before.
    let mut free: BTreeMap<(String, E164), (ConversationId, i64)> = BTreeMap::new();
    for row in &rows {
        let key = (row.text(1)?.to_owned(), person(row, 2)?);
        let count = threads.get(&(key.0.as_str(), key.1)).map_or(0, |thread| thread.count);
        free.insert(key, (row.parsed(0)?, row.int(3)? - count + 1));
    }
    let take = |reply: &&NewReply| {
        let unanswered = || StoreError::Damaged { column: "conversation_id".into(), problem: "none is open".into() };
        let (conversation, place) = free.get_mut(&(reply.channel.clone(), reply.from)).ok_or_else(unanswered)?;
        *place += 1;
        Ok((*conversation, *place - 1))
    };
    replies.iter().map(take).collect()
}

/// Moves the time at which each person last wrote forward; never back.
pub(super) async fn move_sessions(tx: &mut Tx<'_>, org: &OrgId, news: &[News<'_>]) -> Result<(), StoreError> {
    let mut latest: BTreeMap<(&str, E164), Timestamp> = BTreeMap::new();
    for News { reply, .. } in news {
        let at = latest.entry((&reply.channel, reply.from)).or_insert(reply.received_at);
        *at = (*at).max(reply.received_at);
    }
    if latest.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> =
        latest.iter().map(|((channel, from), at)| json!([channel, from.digits(), at.millis()])).collect();
    let sql = "INSERT INTO sessions (org_id, channel, recipient, inbound_at)
        SELECT $2, r.value ->> 0, CAST(r.value ->> 1 AS BIGINT), CAST(r.value ->> 2 AS BIGINT) FROM ROWS($1) WHERE 1 = 1
        ON CONFLICT (org_id, channel, recipient) DO UPDATE SET inbound_at = excluded.inbound_at
        WHERE excluded.inbound_at > sessions.inbound_at";
    tx.execute(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
    Ok(())
}
