//! Consent: who has opted out of which channel type, and who said so.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::{contact::ChannelType, id::OrgId, phone::E164, time::Timestamp};

use super::{
    Store, StoreError,
    db::{Tx, args},
    told,
};

/// What is stored of a person's consent; nothing stored: unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Agreed.
    In,
    /// Refused: nothing is sent, whatever a hand-over says.
    Out,
}

impl Consent {
    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// A change of consent.
#[derive(Clone, Debug)]
pub struct ConsentChange {
    /// On which channel type.
    pub channel_type: ChannelType,
    /// Whose.
    pub of: E164,
    /// What they said.
    pub consent: Consent,
    /// Who or what says so: `reply STOP`, `import`, `provider 21610`.
    pub source: String,
    /// When.
    pub at: Timestamp,
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
        let sql = "SELECT recipient, state FROM consents WHERE org_id = $2 AND channel_type = $3
                   AND recipient IN (SELECT CAST(r.value ->> 0 AS BIGINT) FROM ROWS($1))";
        let rows = self.rows(sql, args![Value::from(rows).to_string(), org.as_str(), channel_type.as_str()]).await?;
        let read = rows.iter().map(|row| {
            let consent = if row.text(1)? == "out" { Consent::Out } else { Consent::In };
            Ok((E164::from_digits(u64::try_from(row.int(0)?).unwrap_or(0)), consent))
        });
        read.collect()
    }

    /// Stores changes; the latest word holds.
    pub async fn set_consents(&self, org: &OrgId, changes: &[ConsentChange]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        set_consents(&mut tx, org, changes).await?;
        tx.commit().await
    }

    /// What is stored of one person: channel type, state, source, when.
    pub async fn consent_of(
        &self,
        org: &OrgId,
        person: E164,
    ) -> Result<Vec<(String, String, String, Timestamp)>, StoreError> {
        let sql = "SELECT channel_type, state, source, changed_at FROM consents WHERE org_id = $1 AND recipient = $2
                   AND channel_type IN ('sms', 'whatsapp') ORDER BY channel_type";
        let rows = self.rows(sql, args![org.as_str(), digits(person)]).await?;
        let read = rows.iter().map(|row| {
            Ok((
                row.text(0)?.to_owned(),
                row.text(1)?.to_owned(),
                row.text(2)?.to_owned(),
                Timestamp::from_millis(row.int(3)?),
            ))
        });
        read.collect()
    }
}

fn digits(person: E164) -> i64 {
    i64::try_from(person.digits()).unwrap_or(0)
}

pub(super) async fn set_consents(tx: &mut Tx<'_>, org: &OrgId, changes: &[ConsentChange]) -> Result<(), StoreError> {
    // One row a person: a statement cannot change the same row twice.
    let mut latest: BTreeMap<(ChannelType, E164), &ConsentChange> = BTreeMap::new();
    for change in changes {
        let newest = latest.entry((change.channel_type, change.of)).or_insert(change);
        if change.at >= newest.at {
            *newest = change;
        }
    }
    if latest.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = latest
        .values()
        .map(|c| json!([c.channel_type, c.of.digits(), c.consent.as_str(), c.source, c.at.millis()]))
        .collect();
    let rows = Value::from(rows).to_string();
    let mut changed = Vec::new();
    for sql in [NEW, OTHER] {
        for row in &tx.rows(sql, args![rows.as_str(), org.as_str()]).await? {
            let of = E164::from_digits(u64::try_from(row.int(1)?).unwrap_or(0));
            changed.extend(latest.get(&(row.parsed(0)?, of)).copied());
        }
    }
    tx.execute(AGAIN, args![rows, org.as_str()]).await?;
    told::add_consents(tx, org, &changed).await
}

const NEW: &str = "INSERT INTO consents (org_id, channel_type, recipient, state, source, changed_at)
  SELECT $2, r.value ->> 0, CAST(r.value ->> 1 AS BIGINT), r.value ->> 2, r.value ->> 3, CAST(r.value ->> 4 AS BIGINT)
  FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING RETURNING channel_type, recipient";

const OTHER: &str = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
  UPDATE consents SET state = r.value ->> 2, source = r.value ->> 3, changed_at = CAST(r.value ->> 4 AS BIGINT) FROM r
  WHERE org_id = $2 AND channel_type = r.value ->> 0 AND recipient = CAST(r.value ->> 1 AS BIGINT)
  AND state <> r.value ->> 2 AND changed_at <= CAST(r.value ->> 4 AS BIGINT) RETURNING channel_type, recipient";

const AGAIN: &str = "WITH r AS MATERIALIZED (SELECT value FROM ROWS($1))
  UPDATE consents SET source = r.value ->> 3, changed_at = CAST(r.value ->> 4 AS BIGINT) FROM r
  WHERE org_id = $2 AND channel_type = r.value ->> 0 AND recipient = CAST(r.value ->> 1 AS BIGINT)
  AND state = r.value ->> 2 AND changed_at <= CAST(r.value ->> 4 AS BIGINT)";
