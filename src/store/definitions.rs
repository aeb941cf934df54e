//! Definitions: kept as they were written, versioned. What changes them is in `saving`.

use crate::domain::{
    definition::Organization,
    id::{OrgId, TemplateId},
    time::Timestamp,
};

use super::{
    Store, StoreError,
    db::{Tx, args},
};

pub use super::saving::{Base, Firing, InTheWay, Save, Saved};

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
    /// When it was last changed.
    pub changed_at: Timestamp,
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

const DEFINITIONS: &str = "SELECT kind, definition_id, name, body, version, changed_at FROM definitions WHERE org_id = $1 ORDER BY kind, name";

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
        changed_at: Timestamp::from_millis(row.int(5)?),
    })
}

pub(super) async fn all(tx: &mut Tx<'_>, org: &OrgId) -> Result<Vec<Definition>, StoreError> {
    tx.rows(DEFINITIONS, args![org.as_str()]).await?.iter().map(read_definition).collect()
}
