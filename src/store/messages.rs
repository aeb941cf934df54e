//! Messages: read for sending, and looked up for people.

use std::collections::BTreeMap;

use crate::domain::{
    contact::Slugs,
    id::{MessageId, OrgId, RunId},
    message::Status,
    phone::E164,
    state::MessageState,
};

use super::{
    Store, StoreError,
    db::{Row, args, json_rows},
    requests::Claimed,
    states::read_state,
};

/// A message as it came in, and what is known of it.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Its id.
    pub id: MessageId,
    /// The line in the file, or the place in the call.
    pub row: i64,
    /// The recipient.
    pub to: E164,
    /// What the hand-over said of consent.
    pub opted_in: bool,
    /// Whether the number stands earlier in the run.
    pub repeat: bool,
    /// The locale as asked for; empty if none was.
    pub locale: String,
    /// The slugs' values, as JSON: read only when the text is rendered.
    pub slugs: String,
    /// What became of it; `None`: nothing yet.
    pub state: Option<MessageState>,
}

impl StoredMessage {
    /// The values of the slugs.
    pub fn read_slugs(&self) -> Result<Slugs, StoreError> {
        slugs_of(&self.slugs)
    }

    /// Where it stands, as far as is written.
    pub fn status(&self) -> Status {
        self.state.as_ref().map_or(Status::Queued, |state| state.status)
    }
}

/// The values of slugs, as they are stored.
pub fn slugs_of(json: &str) -> Result<Slugs, StoreError> {
    serde_json::from_str(json)
        .map_err(|problem| StoreError::Damaged { column: "slugs".into(), problem: problem.to_string() })
}

const MESSAGE: &str = "SELECT m.run_id, m.seq, m.row_number, m.recipient, m.opted_in, m.repeat, m.locale, m.slugs,
    s.status, s.code, s.provider_code, s.detail, s.provider_id, s.locale, s.segments, s.token, s.sent_at, s.changed_at, s.via, s.held_until
  FROM messages m LEFT JOIN message_states s ON s.org_id = m.org_id AND s.run_id = m.run_id AND s.seq = m.seq";

fn read_message(row: &Row) -> Result<StoredMessage, StoreError> {
    let state = |_| row.maybe_text(8)?.map(|_| read_state(row, 8)).transpose();
    read_incoming(row, 1, row.parsed(0)?, state)
}

/// Reads what came in from seven columns, beginning at `first` with its place.
fn read_incoming(
    row: &Row,
    first: usize,
    run: RunId,
    state: impl FnOnce(i64) -> Result<Option<MessageState>, StoreError>,
) -> Result<StoredMessage, StoreError> {
    let seq = row.int(first)?;
    Ok(StoredMessage {
        id: MessageId { run, seq },
        row: row.int(first + 1)?,
        to: E164::from_digits(u64::try_from(row.int(first + 2)?).unwrap_or(0)),
        opted_in: row.int(first + 3)? == 1,
        repeat: row.int(first + 4)? == 1,
        locale: row.text(first + 5)?.to_owned(),
        slugs: row.text(first + 6)?.to_owned(),
        state: state(seq)?,
    })
}

/// What a search asks for; every part may be left out.
#[derive(Clone, Debug, Default)]
pub struct MessageSearch {
    /// Of one run.
    pub run: Option<RunId>,
    /// To one number.
    pub to: Option<E164>,
    /// With one status. `queued` finds those of which nothing is known yet, too.
    pub status: Option<Status>,
    /// After this message: in a run's order, or (searching by number) newest first.
    pub after: Option<MessageId>,
}

impl Store {
    /// The messages of a claimed request, in order.
    pub async fn messages_of(&self, request: &Claimed) -> Result<Vec<StoredMessage>, StoreError> {
        // Two reads instead of a join. What came in never changes, so they need no common snapshot; most requests have no states
        // yet, and each column of a row costs; and Postgres, as long as it has no statistics of a new table, joins a request's
        // hundred messages with every state of the run.
        let bounds = || {
            args![request.org.as_str(), request.id.run.to_string(), request.first_seq, request.first_seq + request.size]
        };
        let sql = "SELECT seq, row_number, recipient, opted_in, repeat, locale, slugs FROM messages
                   WHERE org_id = $1 AND run_id = $2 AND seq >= $3 AND seq < $4 ORDER BY seq";
        let messages = self.rows(sql, bounds()).await?;
        let sql = "SELECT seq, status, code, provider_code, detail, provider_id, locale, segments, token, sent_at, changed_at, via, held_until FROM message_states
                   WHERE org_id = $1 AND run_id = $2 AND seq >= $3 AND seq < $4";
        let states = self.rows(sql, bounds()).await?;
        let mut states: BTreeMap<i64, MessageState> =
            states.iter().map(|row| Ok((row.int(0)?, read_state(row, 1)?))).collect::<Result<_, StoreError>>()?;
        messages.iter().map(|row| read_incoming(row, 0, request.id.run, |seq| Ok(states.remove(&seq)))).collect()
    }

    /// One message.
    pub async fn message(&self, org: &OrgId, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        let sql = format!("{MESSAGE} WHERE m.org_id = $1 AND m.run_id = $2 AND m.seq = $3");
        let row = self.row(&sql, args![org.as_str(), id.run.to_string(), id.seq]).await?;
        row.as_ref().map(read_message).transpose()
    }

    /// Messages of a run in its order, or to a number newest first; at most `limit`. A search names one of the two.
    pub async fn search_messages(
        &self,
        org: &OrgId,
        search: &MessageSearch,
        limit: i64,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let mut sql = format!("{MESSAGE} WHERE m.org_id = $1");
        let mut args = args![org.as_str()];
        let mut and = |clause: &str, value: super::Arg| {
            args.push(value);
            let place = format!("${}", args.len());
            sql.push_str(&clause.replace("$?", &place));
        };
        match (search.to, search.run) {
            (Some(to), run) => {
                and(" AND m.recipient = $?", i64::try_from(to.digits()).unwrap_or(0).into());
                if let Some(run) = run {
                    and(" AND m.run_id = $?", run.to_string().into());
                }
                if let Some(after) = search.after {
                    and(" AND (m.run_id < $?", after.run.to_string().into());
                    and(" OR (m.run_id = $?", after.run.to_string().into());
                    and(" AND m.seq < $?))", after.seq.into());
                }
            }
            (None, Some(run)) => {
                and(" AND m.run_id = $?", run.to_string().into());
                and(" AND m.seq > $?", search.after.map_or(0, |after| after.seq).into());
            }
            (None, None) => return Ok(vec![]),
        }
        if let Some(status) = search.status {
            and(" AND COALESCE(s.status, 'queued') = $?", status.as_str().into());
        }
        let order = if search.to.is_some() { "m.run_id DESC, m.seq DESC" } else { "m.seq" };
        args.push(limit.into());
        let place = args.len();
        let rows = self.rows(&format!("{sql} ORDER BY {order} LIMIT ${place}"), args).await?;
        rows.iter().map(read_message).collect()
    }

    /// These messages, in whatever order; those that the organization does not have are left out.
    pub async fn messages_by_id(&self, org: &OrgId, ids: &[MessageId]) -> Result<Vec<StoredMessage>, StoreError> {
        let sql = "SELECT m.run_id, m.seq, m.row_number, m.recipient, m.opted_in, m.repeat, m.locale, m.slugs,
              s.status, s.code, s.provider_code, s.detail, s.provider_id, s.locale, s.segments, s.token, s.sent_at, s.changed_at, s.via, s.held_until
            FROM ROWS($1) CROSS JOIN messages m
            LEFT JOIN message_states s ON s.org_id = m.org_id AND s.run_id = m.run_id AND s.seq = m.seq
            WHERE m.org_id = $2 AND m.run_id = r.value ->> 0 AND m.seq = CAST(r.value ->> 1 AS BIGINT)";
        let rows = self.rows(sql, args![json_rows(ids.iter().map(|id| (id.run, id.seq))), org.as_str()]).await?;
        rows.iter().map(read_message).collect()
    }

    /// The messages of a run between two places, both included, to one number: place, and the provider's id as far as known.
    pub async fn messages_among(
        &self,
        org: &OrgId,
        run: RunId,
        (first, last): (i64, i64),
        to: E164,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let sql = "SELECT m.seq, COALESCE(s.provider_id, '') FROM messages m
                   LEFT JOIN message_states s ON s.org_id = m.org_id AND s.run_id = m.run_id AND s.seq = m.seq
                   WHERE m.org_id = $1 AND m.run_id = $2 AND m.seq >= $3 AND m.seq <= $4 AND m.recipient = $5 ORDER BY m.seq";
        let to = i64::try_from(to.digits()).unwrap_or(0);
        let rows = self.rows(sql, args![org.as_str(), run.to_string(), first, last, to]).await?;
        rows.iter().map(|row| Ok((row.int(0)?, row.text(1)?.to_owned()))).collect()
    }

    /// Whether another message to the same number already bears this id of the provider's.
    pub async fn provider_id_taken(
        &self,
        org: &OrgId,
        to: E164,
        provider_id: &str,
        except: MessageId,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM messages m JOIN message_states s ON s.org_id = m.org_id AND s.run_id = m.run_id AND s.seq = m.seq
                   WHERE m.org_id = $1 AND m.recipient = $2 AND s.provider_id = $3 AND NOT (m.run_id = $4 AND m.seq = $5) LIMIT 1";
        let to = i64::try_from(to.digits()).unwrap_or(0);
        let row = self.row(sql, args![org.as_str(), to, provider_id, except.run.to_string(), except.seq]).await?;
        Ok(row.is_some())
    }
}
