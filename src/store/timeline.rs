//! Timelines: which messages are activities, and what the activities of a contact or about a case are, newest first.
//!
//! An activity is a narrow row that points at its message. It is written with the message and never touched again: what
//! became of the message stands where it always does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::{
    contact::{Contact, REGARDING, RELATIONSHIP},
    id::{ConfigurationId, ConversationId, MessageId, OrgId, ReplyId, RequestId, RunId},
    phone::E164,
    run::{Pinned, REQUEST_SIZE, RunStatus},
    time::Timestamp,
    timeline::Before,
};

use super::{
    Store, StoreError,
    db::{Row, Tx, args, json_rows},
    runs::{NewMessage, Place},
};

/// An activity: which message it is, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The message.
    pub id: MessageId,
    /// The request that holds it.
    pub request: RequestId,
    /// How it is related to what it is about, like `incident_msdyn_ocoutboundmessages`.
    pub relationship: String,
    /// What it is about, like a case's id.
    pub regarding: String,
    /// When herald took the message in.
    pub created_at: Timestamp,
}

/// What an activity shows of its run.
#[derive(Clone, Debug)]
pub struct ActivityRun {
    /// The configuration that fired.
    pub configuration: ConfigurationId,
    /// Its name when it fired.
    pub name: String,
    /// What the run keeps.
    pub pinned: Pinned,
    /// Where it stands.
    pub status: RunStatus,
}

/// What an activity needs to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivityRequest {
    /// When it is due; while somebody holds it, the end of the lease.
    pub due_at: Timestamp,
    /// How often it was claimed.
    pub token: i64,
}

/// A reply on a contact's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineReply {
    /// Its id.
    pub id: ReplyId,
    /// The channel that it came to.
    pub channel: String,
    /// What.
    pub text: String,
    /// Links to what was attached.
    pub media: Vec<String>,
    /// How many attachments were refused.
    pub media_refused: i64,
    /// The conversation that it is part of.
    pub conversation: Option<ConversationId>,
    /// `stop`, `start`, `help`, or empty.
    pub keyword: String,
    /// The message that it answers; empty if that is not known.
    pub answers: String,
    /// When it was recorded.
    pub received_at: Timestamp,
}

/// The longest name of a relationship, and the longest id of what a message is about, in bytes: the one stands in an index.
pub const LONGEST_LINK: usize = 256;

/// What a contact's message is about: relationship and id, if both are given and both can be kept.
fn link(contact: &Contact) -> Option<(&str, &str)> {
    let part = |name| {
        let value = contact.slugs.get(name)?.trim();
        (1..=LONGEST_LINK).contains(&value.len()).then_some(value)
    };
    Some((part(RELATIONSHIP)?, part(REGARDING)?))
}

/// Adds the activities of messages that are being added; how many of the messages are none, because they do not say what
/// they are about.
pub(super) async fn add_activities(
    tx: &mut Tx<'_>,
    org: &OrgId,
    place: &Place,
    messages: &[NewMessage],
    now: Timestamp,
) -> Result<i64, StoreError> {
    let requests = (place.requests + 1..).flat_map(|number| std::iter::repeat_n(number, REQUEST_SIZE));
    let placed = messages.iter().zip(place.after + 1..).zip(requests);
    let mut unlinked = 0;
    let linked = placed.filter_map(|((message, seq), request)| {
        let found = link(&message.contact).map(|about| (seq, request, message.contact.to.digits(), about));
        unlinked += i64::from(found.is_none());
        found
    });
    let rows = json_rows(
        linked.map(|(seq, request, to, (relationship, regarding))| (seq, request, to, relationship, regarding)),
    );
    let sql = "INSERT INTO activities (org_id, run_id, seq, request, recipient, relationship, regarding, created_at)
      SELECT $2, $3, CAST(r.value ->> 0 AS BIGINT), CAST(r.value ->> 1 AS BIGINT), CAST(r.value ->> 2 AS BIGINT), r.value ->> 3, r.value ->> 4, $4
      FROM ROWS($1) WHERE 1 = 1";
    tx.execute(sql, args![rows, org.as_str(), place.run.to_string(), now.millis()]).await?;
    if unlinked > 0 {
        tracing::warn!(%org, run = %place.run, messages = unlinked, "messages without {RELATIONSHIP} and {REGARDING} leave no activity");
    }
    Ok(unlinked)
}

fn read_activity(row: &Row) -> Result<Activity, StoreError> {
    let run = row.parsed(0)?;
    Ok(Activity {
        id: MessageId { run, seq: row.int(1)? },
        request: RequestId { run, number: row.int(2)? },
        relationship: row.text(3)?.to_owned(),
        regarding: row.text(4)?.to_owned(),
        created_at: Timestamp::from_millis(row.int(5)?),
    })
}

/// No id sorts before it.
const FIRST: &str = "";

impl Store {
    /// The newest activities of a contact, newest first.
    pub async fn activities_of(
        &self,
        org: &OrgId,
        contact: E164,
        before: Before<MessageId>,
        limit: i64,
    ) -> Result<Vec<Activity>, StoreError> {
        let sql = "SELECT run_id, seq, request, relationship, regarding, created_at FROM activities
                   WHERE org_id = $1 AND recipient = $2 AND (created_at, run_id, seq) < ($3, $4, $5)
                   ORDER BY created_at DESC, run_id DESC, seq DESC LIMIT $6";
        let (run, seq) = bound(before);
        let rows = self.rows(sql, args![org.as_str(), digits(contact), before.at.millis(), run, seq, limit]).await?;
        rows.iter().map(read_activity).collect()
    }

    /// The newest activities about something (a case's id), newest first.
    pub async fn activities_regarding(
        &self,
        org: &OrgId,
        regarding: &str,
        before: Before<MessageId>,
        limit: i64,
    ) -> Result<Vec<Activity>, StoreError> {
        let sql = "SELECT run_id, seq, request, relationship, regarding, created_at FROM activities
                   WHERE org_id = $1 AND regarding = $2 AND (created_at, run_id, seq) < ($3, $4, $5)
                   ORDER BY created_at DESC, run_id DESC, seq DESC LIMIT $6";
        let (run, seq) = bound(before);
        let rows = self.rows(sql, args![org.as_str(), regarding, before.at.millis(), run, seq, limit]).await?;
        rows.iter().map(read_activity).collect()
    }

    /// The newest replies of a contact, newest first.
    pub async fn replies_of(
        &self,
        org: &OrgId,
        contact: E164,
        before: Before<ReplyId>,
        limit: i64,
    ) -> Result<Vec<TimelineReply>, StoreError> {
        let sql = "SELECT reply_id, channel, text, media, keyword, answers, received_at, media_refused, conversation FROM replies
                   WHERE org_id = $1 AND recipient = $2 AND (received_at, reply_id) < ($3, $4)
                   ORDER BY received_at DESC, reply_id DESC LIMIT $5";
        let id = before.id.map_or(FIRST.to_owned(), |id| id.to_string());
        let rows = self.rows(sql, args![org.as_str(), digits(contact), before.at.millis(), id, limit]).await?;
        let read = rows.iter().map(|row| {
            Ok(TimelineReply {
                id: row.parsed(0)?,
                channel: row.text(1)?.to_owned(),
                text: row.text(2)?.to_owned(),
                media: row.json(3)?,
                keyword: row.text(4)?.to_owned(),
                answers: row.text(5)?.to_owned(),
                received_at: Timestamp::from_millis(row.int(6)?),
                media_refused: row.int(7)?,
                conversation: row.text(8)?.parse().ok(),
            })
        });
        read.collect()
    }

    /// What activities show of these runs.
    pub async fn activity_runs(
        &self,
        org: &OrgId,
        runs: impl IntoIterator<Item = RunId>,
    ) -> Result<BTreeMap<RunId, ActivityRun>, StoreError> {
        let sql = "SELECT run_id, configuration, name, pinned, status FROM ROWS($1) CROSS JOIN runs
                   WHERE org_id = $2 AND run_id = r.value ->> 0";
        let keys: Vec<Value> = runs.into_iter().map(|run| json!([run])).collect();
        let rows = self.rows(sql, args![Value::from(keys).to_string(), org.as_str()]).await?;
        let read = rows.iter().map(|row| {
            let run = ActivityRun {
                configuration: row.parsed(1)?,
                name: row.text(2)?.to_owned(),
                pinned: row.json(3)?,
                status: row.parsed(4)?,
            };
            Ok((row.parsed(0)?, run))
        });
        read.collect()
    }

    /// What activities need to know of these requests, those that are done left out.
    pub async fn activity_requests(
        &self,
        org: &OrgId,
        requests: impl IntoIterator<Item = RequestId>,
    ) -> Result<BTreeMap<RequestId, ActivityRequest>, StoreError> {
        let sql = "SELECT run_id, number, due_at, token FROM ROWS($1) CROSS JOIN requests
                   WHERE org_id = $2 AND run_id = r.value ->> 0 AND number = CAST(r.value ->> 1 AS BIGINT) AND state <> 'done'";
        let keys: Vec<Value> = requests.into_iter().map(|id| json!([id.run, id.number])).collect();
        let rows = self.rows(sql, args![Value::from(keys).to_string(), org.as_str()]).await?;
        let read = rows.iter().map(|row| {
            let id = RequestId { run: row.parsed(0)?, number: row.int(1)? };
            Ok((id, ActivityRequest { due_at: Timestamp::from_millis(row.int(2)?), token: row.int(3)? }))
        });
        read.collect()
    }
}

fn digits(person: E164) -> i64 {
    i64::try_from(person.digits()).unwrap_or(0)
}

fn bound(before: Before<MessageId>) -> (String, i64) {
    before.id.map_or((FIRST.to_owned(), 0), |id| (id.run.to_string(), id.seq))
}
