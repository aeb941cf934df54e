//! Definitions: kept as they were written, versioned, all of an apply or nothing.

use crate::domain::{
    definition::{Endpoint, Organization},
    id::{OrgId, TemplateId},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
    endpoints,
};

/// What kind of thing a definition defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Credentials at a provider.
    Account,
    /// A sender.
    Channel,
    /// A template.
    Template,
    /// An outbound configuration.
    Configuration,
    /// A place that events are posted to.
    Hook,
    /// A place that wants to hear of what happens.
    Endpoint,
    /// A stored audience.
    List,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Account, Self::Channel, Self::Template, Self::Configuration, Self::Hook, Self::Endpoint, Self::List];

    /// The name in the store, and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Channel => "channel",
            Self::Template => "template",
            Self::Configuration => "configuration",
            Self::Hook => "hook",
            Self::Endpoint => "endpoint",
            Self::List => "list",
        }
    }
}

/// A definition as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// What it defines.
    pub kind: Kind,
    /// Its id, made on the first save.
    pub id: String,
    /// Its name, unique in its organization and kind.
    pub name: String,
    /// What it says, as JSON.
    pub body: String,
    /// Raised by every change.
    pub version: i64,
}

/// What an apply does to one definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Created,
    /// It says something else than before.
    Changed,
    /// It says the same.
    Unchanged,
}

/// A definition that is to be saved.
#[derive(Clone, Debug)]
pub struct NewDefinition {
    /// What it defines.
    pub kind: Kind,
    /// The id that it gets if it is new.
    pub fresh_id: String,
    /// Its name.
    pub name: String,
    /// What it says, as JSON in one canonical form: another text is another definition.
    pub body: String,
}

impl Store {
    /// Saves an organization and definitions, all or nothing; what is not named stays as it is. Returns what was done to the
    /// organization and to each definition, in order.
    pub async fn save_definitions(
        &self,
        org: &Organization,
        new: &[NewDefinition],
        now: Timestamp,
    ) -> Result<(Change, Vec<Change>), StoreError> {
        let mut tx = self.begin().await?;
        let settings = serde_json::json!(org).to_string();
        let allowance = org.allowance();
        let (limit, reserved) =
            (i64::try_from(allowance.limit).unwrap_or(i64::MAX), i64::from(allowance.reserved_percent));
        // Made at once if it is new: whoever applies the same organization waits here.
        let sql = "INSERT INTO organizations (org_id, settings, quota_limit, quota_reserved, revision) VALUES ($1, $2, $3, $4, 0)
            ON CONFLICT (org_id) DO NOTHING";
        let created = tx.execute(sql, args![org.id.as_str(), settings.as_str(), limit, reserved]).await?;
        let sql = "SELECT settings FROM organizations WHERE org_id = $1 LOCKED ROWS";
        let organization = match tx.row(sql, args![org.id.as_str()]).await? {
            _ if created == 1 => Change::Created,
            Some(row) if row.text(0)? == settings => Change::Unchanged,
            Some(_) | None => Change::Changed,
        };
        let known = definitions(&mut tx, &org.id).await?;
        let mut changes = Vec::with_capacity(new.len());
        for definition in new {
            changes.push(save(&mut tx, &org.id, &known, definition, now).await?);
        }
        if organization != Change::Unchanged || changes.iter().any(|change| *change != Change::Unchanged) {
            let sql = "UPDATE organizations SET settings = $2, quota_limit = $3, quota_reserved = $4, revision = revision + 1 WHERE org_id = $1";
            tx.execute(sql, args![org.id.as_str(), settings, limit, reserved]).await?;
        }
        tx.commit().await?;
        Ok((organization, changes))
    }

    /// The organization, and the revision of its definitions.
    pub async fn organization(&self, org: &OrgId) -> Result<Option<(Organization, i64)>, StoreError> {
        let row =
            self.row("SELECT settings, revision FROM organizations WHERE org_id = $1", args![org.as_str()]).await?;
        row.map(|row| Ok((row.json(0)?, row.int(1)?))).transpose()
    }

    /// Every organization's id. For commands that are not told which: not for anything hot.
    pub async fn organizations(&self) -> Result<Vec<OrgId>, StoreError> {
        let rows = self.rows("SELECT org_id FROM organizations ORDER BY org_id LIMIT 1000", vec![]).await?;
        rows.iter().map(|row| row.parsed(0)).collect()
    }

    /// Everything that the organization defines.
    pub async fn definitions(&self, org: &OrgId) -> Result<Vec<Definition>, StoreError> {
        let rows = self.rows(DEFINITIONS, args![org.as_str()]).await?;
        rows.iter().map(read_definition).collect()
    }

    /// The source of one version of a template, as JSON.
    pub async fn template_version(
        &self,
        org: &OrgId,
        template: TemplateId,
        version: i64,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT source FROM template_versions WHERE org_id = $1 AND template_id = $2 AND version = $3";
        let row = self.row(sql, args![org.as_str(), template.to_string(), version]).await?;
        row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
    }
}

const DEFINITIONS: &str =
    "SELECT kind, definition_id, name, body, version FROM definitions WHERE org_id = $1 ORDER BY kind, name";

fn read_definition(row: &super::db::Row) -> Result<Definition, StoreError> {
    let kind = row.text(0)?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    let kind = kind.ok_or_else(|| StoreError::Damaged { column: "kind".into(), problem: "an unknown kind".into() })?;
    Ok(Definition {
        kind,
        id: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        body: row.text(3)?.to_owned(),
        version: row.int(4)?,
    })
}

async fn definitions(tx: &mut Tx<'_>, org: &OrgId) -> Result<Vec<Definition>, StoreError> {
    tx.rows(DEFINITIONS, args![org.as_str()]).await?.iter().map(read_definition).collect()
}

async fn save(
    tx: &mut Tx<'_>,
    org: &OrgId,
    known: &[Definition],
    new: &NewDefinition,
    now: Timestamp,
) -> Result<Change, StoreError> {
    let before = known.iter().find(|old| old.kind == new.kind && old.name == new.name);
    let (id, version, change) = match before {
        Some(old) if old.body == new.body => return Ok(Change::Unchanged),
        Some(old) => (old.id.as_str(), old.version + 1, Change::Changed),
        None => (new.fresh_id.as_str(), 1, Change::Created),
    };
    let sql = "INSERT INTO definitions (org_id, kind, definition_id, name, body, version, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (org_id, kind, definition_id) DO UPDATE SET body = excluded.body, version = excluded.version, changed_at = excluded.changed_at";
    let args = args![org.as_str(), new.kind.as_str(), id, new.name.as_str(), new.body.as_str(), version, now.millis()];
    tx.execute(sql, args).await?;
    if new.kind == Kind::Template {
        let sql = "INSERT INTO template_versions (org_id, template_id, version, source) VALUES ($1, $2, $3, $4)";
        tx.execute(sql, args![org.as_str(), id, version, new.body.as_str()]).await?;
    }
    if new.kind == Kind::Endpoint {
        let damaged =
            |problem: serde_json::Error| StoreError::Damaged { column: "body".into(), problem: problem.to_string() };
        let endpoint: Endpoint = serde_json::from_str(&new.body).map_err(damaged)?;
        endpoints::subscribe(tx, org, &new.name, &endpoint, now).await?;
    }
    Ok(change)
}
