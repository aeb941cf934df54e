//! Consent: who has opted in or out of which channel type, who said so, and how it came to be so.
//!
//! The latest word holds, whenever it is heard. Every change leaves a row of history, whichever way it came: `set_consents` is
//! the only place that writes either.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::{
    contact::ChannelType,
    id::{ConsentChangeId, OrgId},
    phone::E164,
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Row, Tx, args},
    told,
};

/// What a person has said of being written to. Nothing stored is as good as `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Agreed.
    In,
    /// Refused: nothing is sent, whatever a hand-over says.
    Out,
    /// Neither: what was said before holds no longer.
    Unknown,
}

impl Consent {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::Unknown];

    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Unknown => "unknown",
        }
    }

    /// The name on the wire: `opted_in`, `opted_out`, `unknown`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "opted_in",
            Self::Out => "opted_out",
            Self::Unknown => "unknown",
        }
    }

    fn read(row: &Row, column: usize) -> Result<Self, StoreError> {
        let name = row.text(column)?;
        let unknown = || StoreError::Damaged { column: "state".into(), problem: format!("\"{name}\" is no consent") };
        Self::ALL.into_iter().find(|consent| consent.as_str() == name).ok_or_else(unknown)
    }
}

/// A text that names no consent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a state of consent; expected \"opted_in\", \"opted_out\" or \"unknown\"")]
pub struct NotAConsent(String);

impl std::str::FromStr for Consent {
    type Err = NotAConsent;

    fn from_str(text: &str) -> Result<Self, NotAConsent> {
        let name = text.trim();
        let found = Self::ALL.into_iter().find(|consent| consent.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| NotAConsent(text.to_owned()))
    }
}

/// A word on consent.
#[derive(Clone, Debug)]
pub struct ConsentChange {
    /// Its id in the history, if it changes anything.
    pub id: ConsentChangeId,
    /// On which channel type.
    pub channel_type: ChannelType,
    /// Whose.
    pub of: E164,
    /// What they said.
    pub consent: Consent,
    /// By which way: `reply STOP`, `file opt-outs.csv`, `provider 21610`.
    pub source: String,
    /// Who said so: `contact`, `provider`, `operator`, `api key_…`.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// What is stored of one person's consent, or of one change of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConsent {
    /// Of a change: its id.
    pub id: Option<ConsentChangeId>,
    /// On which channel type.
    pub channel_type: ChannelType,
    /// Whose.
    pub of: E164,
    /// What holds, or held from then on.
    pub consent: Consent,
    /// By which way it was said.
    pub source: String,
    /// Who said so.
    pub actor: String,
    /// When.
    pub changed_at: Timestamp,
}

const CONSENT: &str =
    "SELECT channel_type, recipient, state, source, actor, changed_at FROM consents WHERE org_id = $1";

/// Reads six columns, beginning at `first` with the channel type.
fn read_consent(row: &Row, first: usize) -> Result<StoredConsent, StoreError> {
    Ok(StoredConsent {
        id: None,
        channel_type: row.parsed(first)?,
        of: person(row, first + 1)?,
        consent: Consent::read(row, first + 2)?,
        source: row.text(first + 3)?.to_owned(),
        actor: row.text(first + 4)?.to_owned(),
        changed_at: Timestamp::from_millis(row.int(first + 5)?),
    })
}

impl Store {
    /// Those of these people whose consent is known.
    pub async fn consents(
        &self,
        org: &OrgId,
        channel_type: ChannelType,
        people: &[E164],
    ) -> Result<BTreeMap<E164, Consent>, StoreError> {
        let rows: Vec<Value> = people.iter().map(|person| json!([person.digits()])).collect();
        let sql = "SELECT recipient, state FROM ROWS($1) CROSS JOIN consents
                   WHERE org_id = $2 AND channel_type = $3 AND recipient = CAST(r.value ->> 0 AS BIGINT)";
        let rows = self.rows(sql, args![Value::from(rows).to_string(), org.as_str(), channel_type.as_str()]).await?;
        let mut known = BTreeMap::new();
        for row in &rows {
            known.insert(person(row, 0)?, Consent::read(row, 1)?);
        }
        known.retain(|_, consent| *consent != Consent::Unknown);
        Ok(known)
    }

    /// Stores what was said; the latest word holds. How many consents it changed.
    pub async fn set_consents(&self, org: &OrgId, changes: &[ConsentChange]) -> Result<usize, StoreError> {
        let mut tx = self.begin().await?;
        let changed = set_consents(&mut tx, org, changes).await?.len();
        tx.commit().await?;
        Ok(changed)
    }

    /// What is stored of one person, by channel type.
    pub async fn consent_of(&self, org: &OrgId, person: E164) -> Result<Vec<StoredConsent>, StoreError> {
        let sql = format!("{CONSENT} AND recipient = $2 AND channel_type IN ('sms', 'whatsapp') ORDER BY channel_type");
        let rows = self.rows(&sql, args![org.as_str(), digits(person)]).await?;
        rows.iter().map(|row| read_consent(row, 0)).collect()
    }

    /// How one person's consent came to be what it is, the newest first, before the change `before` (all: `None`).
    pub async fn consent_history(
        &self,
        org: &OrgId,
        person: E164,
        before: Option<ConsentChangeId>,
        limit: i64,
    ) -> Result<Vec<StoredConsent>, StoreError> {
        let sql = "SELECT change_id, channel_type, recipient, state, source, actor, changed_at FROM consent_changes
                   WHERE org_id = $1 AND recipient = $2 AND change_id < $3 ORDER BY change_id DESC LIMIT $4";
        let before = before.map_or_else(|| "cns_ZZZZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(), |id| id.to_string());
        let rows = self.rows(sql, args![org.as_str(), digits(person), before, limit]).await?;
        rows.iter().map(|row| Ok(StoredConsent { id: Some(row.parsed(0)?), ..read_consent(row, 1)? })).collect()
    }

    /// Stored consents, by channel type and number, after `after`; of one channel type and state, or of all.
    pub async fn list_consents(
        &self,
        org: &OrgId,
        channel_type: Option<ChannelType>,
        consent: Option<Consent>,
        after: Option<(ChannelType, E164)>,
        limit: i64,
    ) -> Result<Vec<StoredConsent>, StoreError> {
        let from = after.map_or(ChannelType::Sms, |(kind, _)| kind);
        let kinds = [ChannelType::Sms, ChannelType::WhatsApp].into_iter();
        let mut found = Vec::new();
        for kind in kinds.filter(|kind| *kind >= from && channel_type.is_none_or(|only| only == *kind)) {
            let above = after.filter(|(of, _)| *of == kind).map_or(0, |(_, person)| digits(person));
            let left = limit - i64::try_from(found.len()).unwrap_or(limit);
            let mut args = args![org.as_str(), kind.as_str(), above, left];
            let sql = if let Some(consent) = consent {
                args.push(consent.as_str().into());
                format!("{CONSENT} AND channel_type = $2 AND recipient > $3 AND state = $5 ORDER BY recipient LIMIT $4")
            } else {
                format!("{CONSENT} AND channel_type = $2 AND recipient > $3 ORDER BY recipient LIMIT $4")
            };
            for row in &self.rows(&sql, args).await? {
                found.push(read_consent(row, 0)?);
            }
        }
        Ok(found)
    }
}

fn digits(person: E164) -> i64 {
    i64::try_from(person.digits()).unwrap_or(0)
}

fn person(row: &Row, column: usize) -> Result<E164, StoreError> {
    Ok(E164::from_digits(u64::try_from(row.int(column)?).unwrap_or(0)))
}

/// Stores what was said, with its history; those words that changed something, in their order.
pub(super) async fn set_consents<'c>(
    tx: &mut Tx<'_>,
    org: &OrgId,
    changes: &'c [ConsentChange],
) -> Result<Vec<&'c ConsentChange>, StoreError> {
    // One word a person at a time: a statement cannot change the same row twice, and each change is history.
    let mut rounds: Vec<Round<'c>> = Vec::new();
    let mut in_time: Vec<&'c ConsentChange> = changes.iter().collect();
    in_time.sort_by_key(|change| change.at);
    let mut said: BTreeMap<(ChannelType, E164), usize> = BTreeMap::new();
    for change in in_time {
        let key = (change.channel_type, change.of);
        let round = said.entry(key).or_default();
        if *round == rounds.len() {
            rounds.push(BTreeMap::new());
        }
        rounds[*round].insert(key, change);
        *round += 1;
    }
    let mut changed = Vec::new();
    for round in rounds {
        changed.extend(set_round(tx, org, &round).await?);
    }
    Ok(changed)
}

const NEW: &str = "INSERT INTO consents (org_id, channel_type, recipient, state, source, actor, changed_at, said_at)
  SELECT $2, r.value ->> 0, CAST(r.value ->> 1 AS BIGINT), r.value ->> 2, r.value ->> 3, r.value ->> 4, CAST(r.value ->> 5 AS BIGINT),
    CAST(r.value ->> 5 AS BIGINT)
  FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING RETURNING channel_type, recipient";

const OTHER: &str = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
  UPDATE consents SET state = r.value ->> 2, source = r.value ->> 3, actor = r.value ->> 4,
    changed_at = CAST(r.value ->> 5 AS BIGINT), said_at = CAST(r.value ->> 5 AS BIGINT) FROM r
  WHERE org_id = $2 AND channel_type = r.value ->> 0 AND recipient = CAST(r.value ->> 1 AS BIGINT)
  AND state <> r.value ->> 2 AND said_at <= CAST(r.value ->> 5 AS BIGINT) RETURNING channel_type, recipient";

/// NOT and not =, for which SQLite would look by the state before it looks by the person.
const AGAIN: &str = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
  UPDATE consents SET said_at = CAST(r.value ->> 5 AS BIGINT) FROM r
  WHERE org_id = $2 AND channel_type = r.value ->> 0 AND recipient = CAST(r.value ->> 1 AS BIGINT)
  AND NOT state <> r.value ->> 2 AND said_at < CAST(r.value ->> 5 AS BIGINT)";

/// One word of each person.
type Round<'c> = BTreeMap<(ChannelType, E164), &'c ConsentChange>;

/// In the order of the numbers: two that write about the same people never wait for each other in a circle.
async fn set_round<'c>(tx: &mut Tx<'_>, org: &OrgId, round: &Round<'c>) -> Result<Vec<&'c ConsentChange>, StoreError> {
    let row = |c: &&ConsentChange| {
        json!([c.channel_type, c.of.digits(), c.consent.as_str(), c.source, c.actor, c.at.millis()])
    };
    let rows = Value::from(round.values().map(row).collect::<Vec<_>>()).to_string();
    let args = || args![rows.as_str(), org.as_str()];
    let mut changed = of_round(round, &tx.rows(NEW, args()).await?)?;
    // Of somebody of whom nothing was stored, "unknown" is no news.
    changed.retain(|change| change.consent != Consent::Unknown);
    changed.extend(of_round(round, &tx.rows(OTHER, args()).await?)?);
    tx.execute(AGAIN, args()).await?;
    keep_history(tx, org, &changed).await?;
    told::add_consents(tx, org, &changed).await?;
    Ok(changed)
}

/// The words that a statement returned the keys of.
fn of_round<'c>(round: &Round<'c>, keys: &[Row]) -> Result<Vec<&'c ConsentChange>, StoreError> {
    let mut found = Vec::with_capacity(keys.len());
    for row in keys {
        found.extend(round.get(&(row.parsed(0)?, person(row, 1)?)).copied());
    }
    Ok(found)
}

async fn keep_history(tx: &mut Tx<'_>, org: &OrgId, changed: &[&ConsentChange]) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let row = |c: &&ConsentChange| {
        json!([c.id, c.channel_type, c.of.digits(), c.consent.as_str(), c.source, c.actor, c.at.millis()])
    };
    let rows: Vec<Value> = changed.iter().map(row).collect();
    let sql = "INSERT INTO consent_changes (org_id, change_id, channel_type, recipient, state, source, actor, changed_at)
        SELECT $2, r.value ->> 0, r.value ->> 1, CAST(r.value ->> 2 AS BIGINT), r.value ->> 3, r.value ->> 4, r.value ->> 5, CAST(r.value ->> 6 AS BIGINT)
        FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING";
    tx.execute(sql, args![Value::from(rows).to_string(), org.as_str()]).await?;
    Ok(())
}
