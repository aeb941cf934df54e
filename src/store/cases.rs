//! Cases: what events of types `case.*` say of them, kept beside what is sent. Each part of a case (its status, its title, its
//! contact) is as the latest event that spoke of it has it, in whatever order events come in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::{
    contact::{ChannelType, OptIn, Slugs},
    id::OrgId,
    locale::Locale,
    phone::E164,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Row, Tx, args},
};

/// The status of a case of which no event has said one.
pub const OPEN: &str = "open";

/// What one event says of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseWord {
    /// The case: the sender's id.
    pub id: String,
    /// When that was so, in the sender's words.
    pub at: Timestamp,
    /// Its status, in lower case, if one was said.
    pub status: Option<String>,
    /// Its title, if one was said.
    pub title: Option<String>,
    /// Whose case it is, if that was said.
    pub contact: Option<CaseContact>,
}

/// Whose case it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseContact {
    /// The number.
    pub to: E164,
    /// Whether they agreed; `None`: nothing was said of it.
    pub opted_in: Option<OptIn>,
    /// The only channel type that they are to be reached on, if one was said.
    pub channel_type: Option<ChannelType>,
    /// Their language, if one was said.
    pub locale: Option<Locale>,
    /// The slugs' values.
    pub slugs: Slugs,
}

/// A case as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The sender's id.
    pub id: String,
    /// Its status, in lower case.
    pub status: String,
    /// Its title, or empty.
    pub title: String,
    /// Whose it is, if any event said so.
    pub contact: Option<CaseContact>,
    /// When the earliest event about it was.
    pub opened_at: Timestamp,
    /// When the latest event about it was.
    pub event_at: Timestamp,
    /// When herald last wrote it.
    pub changed_at: Timestamp,
}

const CASE: &str = "SELECT case_id, status, title, recipient, opted_in, channel_type, locale, slugs, opened_at, event_at, changed_at FROM cases";

fn read_case(row: &Row) -> Result<Case, StoreError> {
    let recipient = row.maybe_int(3)?.map(|digits| E164::from_digits(u64::try_from(digits).unwrap_or(0)));
    let contact = recipient.map(|to| {
        Ok::<_, StoreError>(CaseContact {
            to,
            opted_in: row.maybe_int(4)?.map(|yes| if yes == 1 { OptIn::Yes } else { OptIn::No }),
            channel_type: if row.text(5)?.is_empty() { None } else { Some(row.parsed(5)?) },
            locale: if row.text(6)?.is_empty() { None } else { Some(row.parsed(6)?) },
            slugs: row.json(7)?,
        })
    });
    Ok(Case {
        id: row.text(0)?.to_owned(),
        status: row.text(1)?.to_owned(),
        title: row.text(2)?.to_owned(),
        contact: contact.transpose()?,
        opened_at: Timestamp::from_millis(row.int(8)?),
        event_at: Timestamp::from_millis(row.int(9)?),
        changed_at: Timestamp::from_millis(row.int(10)?),
    })
}

impl Store {
    /// One case.
    pub async fn case(&self, org: &OrgId, id: &str) -> Result<Option<Case>, StoreError> {
        let sql = format!("{CASE} WHERE org_id = $1 AND case_id = $2");
        self.row(&sql, args![org.as_str(), id]).await?.as_ref().map(read_case).transpose()
    }

    /// The cases with a status (any: `None`) after the one with this id, in the order of their ids.
    pub async fn cases(
        &self,
        org: &OrgId,
        status: Option<&str>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Case>, StoreError> {
        let rows = match status {
            Some(status) => {
                let sql =
                    format!("{CASE} WHERE org_id = $1 AND case_id > $2 AND status = $4 ORDER BY case_id LIMIT $3");
                self.rows(&sql, args![org.as_str(), after, limit, status]).await?
            }
            None => {
                let sql = format!("{CASE} WHERE org_id = $1 AND case_id > $2 ORDER BY case_id LIMIT $3");
                self.rows(&sql, args![org.as_str(), after, limit]).await?
            }
        };
        rows.iter().map(read_case).collect()
    }

    /// Whoever has a case with this status (any: `None`), once each, in the order of their numbers and after this one: with the
    /// latest of those cases.
    pub async fn people_with_cases(
        &self,
        org: &OrgId,
        status: Option<&str>,
        after: Option<E164>,
        limit: i64,
    ) -> Result<Vec<Case>, StoreError> {
        let after = after.map_or(0, |number| i64::try_from(number.digits()).unwrap_or(i64::MAX));
        let rows = match status {
            Some(status) => {
                let sql = format!(
                    "{CASE} c WHERE org_id = $1 AND status = $4 AND recipient IS NOT NULL AND recipient > $2 AND NOT EXISTS (
                       SELECT 1 FROM cases l WHERE l.org_id = $1 AND l.status = $4 AND l.recipient IS NOT NULL AND l.recipient = c.recipient
                         AND (l.event_at, l.case_id) > (c.event_at, c.case_id))
                     ORDER BY recipient LIMIT $3"
                );
                self.rows(&sql, args![org.as_str(), after, limit, status]).await?
            }
            None => {
                let sql = format!(
                    "{CASE} c WHERE org_id = $1 AND recipient IS NOT NULL AND recipient > $2 AND NOT EXISTS (
                       SELECT 1 FROM cases l WHERE l.org_id = $1 AND l.recipient IS NOT NULL AND l.recipient = c.recipient
                         AND (l.event_at, l.case_id) > (c.event_at, c.case_id))
                     ORDER BY recipient LIMIT $3"
                );
                self.rows(&sql, args![org.as_str(), after, limit]).await?
            }
        };
        rows.iter().map(read_case).collect()
    }
}

/// A case as one or more events have it, before it is held against what is stored.
#[derive(Clone, Debug)]
struct Said {
    status: Option<(Timestamp, String)>,
    title: Option<(Timestamp, String)>,
    contact: Option<(Timestamp, CaseContact)>,
    opened_at: Timestamp,
    event_at: Timestamp,
}

impl Said {
    fn add(&mut self, word: &CaseWord) {
        later(&mut self.status, word.at, word.status.as_ref());
        later(&mut self.title, word.at, word.title.as_ref());
        later(&mut self.contact, word.at, word.contact.as_ref());
        self.opened_at = self.opened_at.min(word.at);
        self.event_at = self.event_at.max(word.at);
    }
}

/// The latest word on a part holds; of two of one moment, the one that came later.
fn later<T: Clone>(part: &mut Option<(Timestamp, T)>, at: Timestamp, said: Option<&T>) {
    if let Some(said) = said
        && part.as_ref().is_none_or(|(since, _)| *since <= at)
    {
        *part = Some((at, said.clone()));
    }
}

/// Keeps what events say of cases: one statement, however many.
pub(super) async fn keep(tx: &mut Tx<'_>, org: &OrgId, words: &[CaseWord], now: Timestamp) -> Result<(), StoreError> {
    if words.is_empty() {
        return Ok(());
    }
    // One row a case, and in one order everywhere: a statement cannot write a row twice, and two must not wait for each other.
    let mut cases: BTreeMap<&str, Said> = BTreeMap::new();
    for word in words {
        let fresh = Said { status: None, title: None, contact: None, opened_at: word.at, event_at: word.at };
        cases.entry(&word.id).or_insert(fresh).add(word);
    }
    let rows: Vec<Value> = cases.iter().map(|(id, said)| row(id, said)).collect();
    tx.execute(KEEP, args![Value::from(rows).to_string(), org.as_str(), now.millis()]).await?;
    Ok(())
}

fn row(id: &str, said: &Said) -> Value {
    let (status_at, status) = said.status.as_ref().map_or((0, OPEN), |(at, status)| (at.millis(), status));
    let (title_at, title) = said.title.as_ref().map_or((0, ""), |(at, title)| (at.millis(), title));
    let contact = said.contact.as_ref().map(|(_, contact)| contact);
    json!([
        id,
        status,
        status_at,
        title,
        title_at,
        contact.map(|contact| contact.to.digits()),
        contact.and_then(|contact| contact.opted_in).map(|said| i64::from(said == OptIn::Yes)),
        contact.and_then(|contact| contact.channel_type).map_or("", ChannelType::as_str),
        contact.and_then(|contact| contact.locale.as_ref()).map(ToString::to_string).unwrap_or_default(),
        contact.map_or_else(|| "{}".to_owned(), |contact| json!(contact.slugs).to_string()),
        said.contact.as_ref().map_or(0, |(at, _)| at.millis()),
        said.opened_at.millis(),
        said.event_at.millis(),
    ])
}

/// Each part by the latest word on it; a word of 0 is none.
const KEEP: &str = "INSERT INTO cases (org_id, case_id, status, status_at, title, title_at, recipient, opted_in, channel_type, locale, slugs, contact_at, opened_at, event_at, changed_at)
  SELECT $2, r.value ->> 0, r.value ->> 1, CAST(r.value ->> 2 AS BIGINT), r.value ->> 3, CAST(r.value ->> 4 AS BIGINT), CAST(r.value ->> 5 AS BIGINT),
    CAST(r.value ->> 6 AS BIGINT), r.value ->> 7, r.value ->> 8, r.value ->> 9, CAST(r.value ->> 10 AS BIGINT), CAST(r.value ->> 11 AS BIGINT),
    CAST(r.value ->> 12 AS BIGINT), $3
  FROM ROWS($1) WHERE 1 = 1
  ON CONFLICT (org_id, case_id) DO UPDATE SET
    status = CASE WHEN excluded.status_at >= cases.status_at AND excluded.status_at > 0 THEN excluded.status ELSE cases.status END,
    status_at = CASE WHEN excluded.status_at >= cases.status_at THEN excluded.status_at ELSE cases.status_at END,
    title = CASE WHEN excluded.title_at >= cases.title_at AND excluded.title_at > 0 THEN excluded.title ELSE cases.title END,
    title_at = CASE WHEN excluded.title_at >= cases.title_at THEN excluded.title_at ELSE cases.title_at END,
    recipient = CASE WHEN excluded.contact_at >= cases.contact_at AND excluded.contact_at > 0 THEN excluded.recipient ELSE cases.recipient END,
    opted_in = CASE WHEN excluded.contact_at >= cases.contact_at AND excluded.contact_at > 0 THEN excluded.opted_in ELSE cases.opted_in END,
    channel_type = CASE WHEN excluded.contact_at >= cases.contact_at AND excluded.contact_at > 0 THEN excluded.channel_type ELSE cases.channel_type END,
    locale = CASE WHEN excluded.contact_at >= cases.contact_at AND excluded.contact_at > 0 THEN excluded.locale ELSE cases.locale END,
    slugs = CASE WHEN excluded.contact_at >= cases.contact_at AND excluded.contact_at > 0 THEN excluded.slugs ELSE cases.slugs END,
    contact_at = CASE WHEN excluded.contact_at >= cases.contact_at THEN excluded.contact_at ELSE cases.contact_at END,
    opened_at = CASE WHEN excluded.opened_at < cases.opened_at THEN excluded.opened_at ELSE cases.opened_at END,
    event_at = CASE WHEN excluded.event_at > cases.event_at THEN excluded.event_at ELSE cases.event_at END,
    changed_at = excluded.changed_at";
