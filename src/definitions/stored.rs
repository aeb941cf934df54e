//! What is stored of an organization, in the form of its files: so that one reader judges files, the API's changes and what they
//! lie beside, by the same rules.

use std::collections::{BTreeMap, BTreeSet};

use super::{page::Page, source::PathOrBytes};
use crate::{
    domain::{
        definition::{List, Organization},
        id::OrgId,
    },
    store::{
        Store, StoreError,
        definitions::{Definition, Kind},
    },
    template::TemplateSource,
};

/// An organization as it is stored, or some of it.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The revision that was seen; `None`: there is no organization yet.
    pub(super) revision: Option<i64>,
    /// The organization itself, unless something else is to say what it is.
    pub(super) organization: Option<Organization>,
    /// The organization as it is stored, whatever is to say what it is.
    pub(super) before: Option<Organization>,
    pub(super) definitions: Vec<Definition>,
}

/// What a set has taken over from the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// The revision that was seen; `None`: nothing was looked at, or there was nothing.
    pub(super) revision: Option<i64>,
    /// What is in the set as it is stored.
    pub(super) names: BTreeSet<(Kind, String)>,
}

impl Stored {
    /// Nothing at all.
    pub const fn nothing() -> Self {
        Self { revision: None, organization: None, before: None, definitions: Vec::new() }
    }

    /// Everything that is stored of an organization.
    ///
    /// # Errors
    /// If the store refuses.
    pub async fn read(store: &Store, org: &OrgId) -> Result<Self, StoreError> {
        // The revision first: a change between the two is noticed when something is saved.
        let found = store.organization(org).await?;
        let definitions = store.definitions(org).await?;
        let (organization, revision) = found.map_or((None, None), |(found, revision)| (Some(found), Some(revision)));
        Ok(Self { revision, before: organization.clone(), organization, definitions })
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.definitions.is_empty()
    }

    /// The same without some.
    pub(super) fn without(&self, leave: impl Fn(Kind, &str) -> bool) -> Self {
        let kept = self.definitions.iter().filter(|one| !leave(one.kind, &one.name));
        Self { definitions: kept.cloned().collect(), ..self.clone() }
    }

    /// One of them.
    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<&Definition> {
        self.definitions.iter().find(|one| one.kind == kind && one.name == name)
    }

    /// Those of a kind.
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Definition> {
        self.definitions.iter().filter(move |one| one.kind == kind)
    }

    /// The organization's page.
    pub(super) fn organization_page(&self) -> Option<Page> {
        let organization = self.organization.as_ref()?;
        Some(Page::made("the organization (stored)", toml::to_string(organization).ok()?))
    }

    /// The pages of a kind, by name. A text that is no definition is a page that says so when it is read.
    pub(super) fn pages(&self, kind: Kind) -> Vec<(String, Page)> {
        self.of(kind).map(|one| (one.name.clone(), Page::made(&file(one.kind, &one.name), text(&one.body)))).collect()
    }

    /// Every template's name.
    pub(super) fn templates(&self) -> impl Iterator<Item = &str> {
        self.of(Kind::Template).map(|one| one.name.as_str())
    }

    /// A template, with the name that problems give it.
    pub(super) fn template(&self, name: &str) -> Option<(String, TemplateSource)> {
        let found = self.find(Kind::Template, name)?;
        Some((file(Kind::Template, name), serde_json::from_str(&found.body).ok()?))
    }

    /// The lists, by name.
    pub(super) fn lists(&self) -> BTreeMap<String, PathOrBytes> {
        let read = |one: &Definition| Some(PathOrBytes::Stored(serde_json::from_str::<List>(&one.body).ok()?));
        self.of(Kind::List).filter_map(|one| Some((one.name.clone(), read(one)?))).collect()
    }
}

/// The folder that a kind of definition has.
pub(super) const fn folder(kind: Kind) -> &'static str {
    match kind {
        Kind::Account => "accounts",
        Kind::Channel => "channels",
        Kind::Template => "templates",
        Kind::Configuration => "outbound",
        Kind::Hook => "hooks",
        Kind::Endpoint => "endpoints",
        Kind::List => "lists",
    }
}

/// What a stored definition is called where a file would be named.
pub(super) fn file(kind: Kind, name: &str) -> String {
    format!("{}/{name} (stored)", folder(kind))
}

fn text(body: &str) -> String {
    let table: Option<toml::Table> = serde_json::from_str(body).ok();
    table.and_then(|table| toml::to_string(&table).ok()).unwrap_or_default()
}
