//! Answers in conversations: what the organization writes back. An answer is a message of a run like any other, and a part of
//! its conversation, both in one transaction; the same idempotency key is the same answer.

use serde_json::json;

use crate::domain::{
    contact::Contact,
    fairness::Priority,
    id::{ConversationId, MessageId, OrgId, RunId},
    run::RunStatus,
    state::MessageState,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    conversations::ConversationState,
    db::{Row, Tx, args},
    lanes::{self, LaneKind},
    runs::{self, NewMessage, NewRun, Place, Repeat},
    states::read_state,
};

/// An answer that is to be sent.
#[derive(Clone, Debug)]
pub struct NewAnswer {
    /// In which conversation.
    pub conversation: ConversationId,
    /// The text.
    pub text: String,
    /// Links to what is sent along.
    pub media: Vec<String>,
    /// Who answers.
    pub author: String,
    /// The caller's key, if it gave one: the same key is the same answer.
    pub key: Option<String>,
    /// Of what is asked for: another one under the same key is a mistake.
    pub digest: String,
    /// To whom, and what the engine makes the message of.
    pub contact: Contact,
    /// The run of the day and channel, to be made if it is not there yet.
    pub run: NewRun,
    /// When that day is over.
    pub day_ends: Timestamp,
}

/// An answer that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its message.
    pub message: MessageId,
    /// The conversation.
    pub conversation: ConversationId,
    /// When.
    pub at: Timestamp,
}

/// What became of adding an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is queued.
    New(Accepted),
    /// It was before, under the same key.
    Known(Accepted),
    /// Something else was, under the same key.
    OtherUnderKey,
    /// The organization has no such conversation.
    NoConversation,
    /// The conversation has ended.
    Ended,
    /// The day's answers through this channel were cancelled, and with them every further one.
    Cancelled(RunId),
}

/// An answer as it stands in its conversation.
#[derive(Clone, Debug)]
pub struct StoredAnswer {
    /// Its place in its conversation, from 1.
    pub place: i64,
    /// Its message.
    pub message: MessageId,
    /// The text.
    pub text: String,
    /// Links to what was sent along.
    pub media: Vec<String>,
    /// Who answered.
    pub author: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// What became of the message; `None`: nothing yet.
    pub state: Option<MessageState>,
}

const UNDER_KEY: &str = "SELECT run_id, seq, conversation_id, created_at, digest FROM answers
  WHERE org_id = $1 AND idempotency_key = $2 AND idempotency_key <> ''";

fn read_under_key(row: &Row, digest: &str) -> Result<Taken, StoreError> {
    if row.text(4)? != digest {
        return Ok(Taken::OtherUnderKey);
    }
    Ok(Taken::Known(Accepted {
        message: MessageId { run: row.parsed(0)?, seq: row.int(1)? },
        conversation: row.parsed(2)?,
        at: Timestamp::from_millis(row.int(3)?),
    }))
}

impl Store {
    /// What was accepted under an idempotency key, if anything was: [`Taken::Known`] if it is the same as `digest` says.
    pub async fn answer_under(&self, org: &OrgId, key: &str, digest: &str) -> Result<Option<Taken>, StoreError> {
        let row = self.row(UNDER_KEY, args![org.as_str(), key]).await?;
        row.map(|row| read_under_key(&row, digest)).transpose()
    }

    /// Adds an answer to its conversation and its message to the day's run, and wakes the lane.
    pub async fn add_answer(&self, org: &OrgId, new: &NewAnswer, now: Timestamp) -> Result<Taken, StoreError> {
        let mut tx = self.begin().await?;
        // The conversation's row is held from here on: one answer after another, and none once it has ended.
        let sql = "SELECT state FROM conversations WHERE org_id = $1 AND conversation_id = $2 LOCKED ROWS";
        let Some(row) = tx.row(sql, args![org.as_str(), new.conversation.to_string()]).await? else {
            return Ok(Taken::NoConversation);
        };
        if let Some(key) = &new.key
            && let Some(known) = tx.row(UNDER_KEY, args![org.as_str(), key.as_str()]).await?
        {
            return read_under_key(&known, &new.digest);
        }
        if row.parsed::<ConversationState>(0)? == ConversationState::Ended {
            return Ok(Taken::Ended);
        }
        let message = match queue(&mut tx, org, new, now).await? {
            Ok(message) => message,
            Err(run) => return Ok(Taken::Cancelled(run)),
        };
        if !keep(&mut tx, org, new, message, now).await? {
            return Ok(Taken::OtherUnderKey); // for another conversation, a moment ago
        }
        tx.commit().await?;
        Ok(Taken::New(Accepted { message, conversation: new.conversation, at: now }))
    }

    /// The answers in a conversation after its first `after` places, in their order.
    pub async fn answers_in(
        &self,
        org: &OrgId,
        conversation: ConversationId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<StoredAnswer>, StoreError> {
        let sql = "SELECT a.place, a.run_id, a.seq, a.text, a.media, a.author, a.created_at,
              s.status, s.code, s.provider_code, s.detail, s.provider_id, s.locale, s.segments, s.token, s.sent_at, s.changed_at, s.via, s.held_until
            FROM answers a LEFT JOIN message_states s ON s.org_id = a.org_id AND s.run_id = a.run_id AND s.seq = a.seq
            WHERE a.org_id = $1 AND a.conversation_id = $2 AND a.place > $3 ORDER BY a.place LIMIT $4";
        let rows = self.rows(sql, args![org.as_str(), conversation.to_string(), after, limit]).await?;
        let read = rows.iter().map(|row| {
            Ok(StoredAnswer {
                place: row.int(0)?,
                message: MessageId { run: row.parsed(1)?, seq: row.int(2)? },
                text: row.text(3)?.to_owned(),
                media: row.json(4)?,
                author: row.text(5)?.to_owned(),
                created_at: Timestamp::from_millis(row.int(6)?),
                state: row.maybe_text(7)?.map(|_| read_state(row, 7)).transpose()?,
            })
        });
        read.collect()
    }
}

/// Adds the message to the day's run, in a request of its own: nobody who answers waits for company. `Err`: the run was
/// cancelled.
async fn queue(
    tx: &mut Tx<'_>,
    org: &OrgId,
    new: &NewAnswer,
    now: Timestamp,
) -> Result<Result<MessageId, RunId>, StoreError> {
    lanes::wake(tx, org, LaneKind::Requests(Priority::Automatic), now).await?;
    lanes::wake(tx, org, LaneKind::Upkeep, new.day_ends).await?;
    let run = runs::begin_run(tx, org, &new.run, now).await?;
    let sql = "SELECT messages, requests, status FROM runs WHERE org_id = $1 AND run_id = $2 LOCKED ROWS";
    let row = tx.row(sql, args![org.as_str(), run.to_string()]).await?;
    let row = row.filter(|row| {
        let status = row.parsed::<RunStatus>(2);
        !matches!(status, Ok(RunStatus::Cancelling | RunStatus::Cancelled | RunStatus::Failed))
    });
    let Some(row) = row else { return Ok(Err(run)) };
    let after = row.int(0)?;
    let place = Place {
        run,
        after,
        requests: row.int(1)?,
        priority: Priority::Automatic,
        // Also while the run is stopped: a claim looks at the run.
        state: "ready",
        due: now,
        show_in_timeline: new.run.pinned.show_in_timeline,
    };
    let message = NewMessage { row: after + 1, contact: new.contact.clone(), repeat: Repeat::First };
    runs::add_messages(tx, org, &place, &[message], now).await?;
    // The day was over a moment ago, and the run complete: it has something to do again.
    let sql = "UPDATE runs SET status = 'running', finished_at = NULL WHERE org_id = $1 AND run_id = $2 AND status = 'completed'";
    tx.execute(sql, args![org.as_str(), run.to_string()]).await?;
    Ok(Ok(MessageId { run, seq: after + 1 }))
}

/// Puts the answer into its conversation; `false` if its key has been used by then.
async fn keep(
    tx: &mut Tx<'_>,
    org: &OrgId,
    new: &NewAnswer,
    message: MessageId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE conversations SET messages = messages + 1, changed_at = CASE WHEN changed_at > $1 THEN changed_at ELSE $1 END
               WHERE org_id = $2 AND conversation_id = $3 RETURNING messages";
    let conversation = new.conversation.to_string();
    let row = tx.row(sql, args![now.millis(), org.as_str(), conversation.as_str()]).await?;
    let place = row.map_or(Ok(0), |row| row.int(0))?;
    let sql = "INSERT INTO answers (org_id, conversation_id, place, run_id, seq, text, media, author, idempotency_key, digest, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    let args = args![
        org.as_str(),
        conversation,
        place,
        message.run.to_string(),
        message.seq,
        new.text.as_str(),
        json!(new.media).to_string(),
        new.author.as_str(),
        new.key.as_deref().unwrap_or_default(),
        new.digest.as_str(),
        now.millis()
    ];
    Ok(tx.execute(sql, args).await? == 1)
}
