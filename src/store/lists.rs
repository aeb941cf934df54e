//! Stored audiences. A new import is a new version, so that a run that is reading goes on with the one that it began with.

use serde_json::{Value, json};

use crate::domain::{
    contact::{Contact, OptIn},
    id::OrgId,
    phone::E164,
};

use super::{Store, StoreError, db::args};

/// An entry of a list, with its place.
#[derive(Clone, Debug)]
pub struct ListEntry {
    /// Its place, from 1.
    pub seq: i64,
    /// Who.
    pub contact: Contact,
}

impl Store {
    /// Adds entries to a version that is being built, after its first `after`.
    pub async fn add_list_entries(
        &self,
        org: &OrgId,
        list: &str,
        version: i64,
        after: i64,
        contacts: &[Contact],
    ) -> Result<(), StoreError> {
        let row = |(contact, seq): (&Contact, i64)| {
            let locale = contact.locale.as_ref().map(ToString::to_string).unwrap_or_default();
            json!([
                seq,
                contact.to.digits(),
                i64::from(contact.opted_in == OptIn::Yes),
                locale,
                json!(contact.slugs).to_string()
            ])
        };
        let rows: Vec<Value> = contacts.iter().zip(after + 1..).map(row).collect();
        let sql = "INSERT INTO list_entries (org_id, list, version, seq, recipient, opted_in, locale, slugs)
            SELECT $2, $3, $4, CAST(r.value ->> 0 AS BIGINT), CAST(r.value ->> 1 AS BIGINT), CAST(r.value ->> 2 AS BIGINT), r.value ->> 3, r.value ->> 4
            FROM ROWS($1) WHERE 1 = 1 ON CONFLICT DO NOTHING";
        self.execute(sql, args![Value::from(rows).to_string(), org.as_str(), list, version]).await?;
        Ok(())
    }

    /// Forgets every version but these two: the current one, and the one before it, which a run may still be reading; and
    /// whatever an interrupted import has left behind.
    pub async fn keep_list_versions(&self, org: &OrgId, list: &str, current: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM list_entries WHERE org_id = $1 AND list = $2 AND (version > $3 OR version < $3 - 1)";
        self.execute(sql, args![org.as_str(), list, current]).await?;
        Ok(())
    }

    /// The entries of a version after the first `after`, in order.
    pub async fn list_entries(
        &self,
        org: &OrgId,
        list: &str,
        version: i64,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ListEntry>, StoreError> {
        let sql = "SELECT seq, recipient, opted_in, locale, slugs FROM list_entries
                   WHERE org_id = $1 AND list = $2 AND version = $3 AND seq > $4 ORDER BY seq LIMIT $5";
        let rows = self.rows(sql, args![org.as_str(), list, version, after, limit]).await?;
        let read = rows.iter().map(|row| {
            let locale = match row.text(3)? {
                "" => None,
                _ => Some(row.parsed(3)?),
            };
            let opted_in = if row.int(2)? == 1 { OptIn::Yes } else { OptIn::No };
            let to = E164::from_digits(u64::try_from(row.int(1)?).unwrap_or(0));
            Ok(ListEntry { seq: row.int(0)?, contact: Contact { to, opted_in, locale, slugs: row.json(4)? } })
        });
        read.collect()
    }
}
