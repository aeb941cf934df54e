//! An organization's definitions, read and validated as a whole: either all of it is good, or everything that is wrong is
//! said at once.

use std::{collections::BTreeMap, path::Path};

use super::{
    files,
    lists::ListNeeds,
    made::Made,
    notices,
    problem::{Notice, Problems},
    reader,
    source::{OnDisk, PathOrBytes, Source},
    stored::{Stored, TakenOver},
};
use crate::{
    domain::{
        account::Account,
        contact::ChannelType,
        definition::{AudienceRef, Channel, Configuration, Endpoint, Hook, Organization},
        id::OrgId,
        time::Timestamp,
    },
    store::definitions::Kind,
    template::{Template, TemplateSource},
};

/// Everything that an organization defines, by name. What is in a set fits together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionSet {
    /// The organization.
    pub organization: Organization,
    /// Credentials at providers.
    pub accounts: BTreeMap<String, Account>,
    /// Senders.
    pub channels: BTreeMap<String, Channel>,
    /// The organization's own templates, and those of the library that a configuration uses.
    pub templates: BTreeMap<String, TemplateSource>,
    /// What is sent, from where, to whom, on what trigger.
    pub configurations: BTreeMap<String, Configuration>,
    /// Places that signed events are posted to.
    pub hooks: BTreeMap<String, Hook>,
    /// Places that want to hear of what happens.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Stored audiences: where their CSV is.
    pub lists: BTreeMap<String, PathOrBytes>,
    /// How many rows each of them had when it was read.
    pub rows: BTreeMap<String, u64>,
    /// What of this is as it is stored, because nothing else said what it is.
    pub taken_over: TakenOver,
}

impl DefinitionSet {
    /// Reads a folder. Blocks: call it on a thread that may.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(dir: &Path) -> Result<Self, Problems> {
        Self::from_source(&OnDisk(dir.to_owned()))
    }

    /// Reads from wherever the files are. Blocks.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn from_source(source: &dyn Source) -> Result<Self, Problems> {
        reader::read(source, &Stored::nothing())
    }

    /// Reads from wherever the files are, over what is stored: what they do not say is as it is stored, and files may name it.
    /// Blocks.
    ///
    /// # Errors
    /// Everything that is wrong with them, and with what is stored if they change what it stands on.
    pub fn over(source: &dyn Source, stored: &Stored) -> Result<Self, Problems> {
        reader::read(source, &Stored { organization: None, ..stored.clone() })
    }

    /// An organization that defines nothing yet.
    ///
    /// # Errors
    /// What is wrong with its own settings.
    pub fn of_nothing(id: &OrgId, name: &str, timezone: Option<&str>) -> Result<Self, Problems> {
        let mut settings = toml::Table::new();
        let texts = [("id", Some(id.as_str())), ("name", Some(name)), ("timezone", timezone)];
        settings.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
        let mut made = Made::default();
        made.add(files::ORGANIZATION, settings.to_string());
        reader::read(&made, &Stored::nothing())
    }

    /// The organization that these files are about, if that much of them can be read. Blocks.
    pub fn organization_in(source: &dyn Source) -> Option<OrgId> {
        let text = String::from_utf8(source.read(files::ORGANIZATION).ok()?).ok()?;
        text.parse::<toml::Table>().ok()?.get("id")?.as_str()?.parse().ok()
    }

    /// Whether a definition is in the set.
    pub(super) fn has(&self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Account => self.accounts.contains_key(name),
            Kind::Channel => self.channels.contains_key(name),
            Kind::Template => self.templates.contains_key(name),
            Kind::Configuration => self.configurations.contains_key(name),
            Kind::Hook => self.hooks.contains_key(name),
            Kind::Endpoint => self.endpoints.contains_key(name),
            Kind::List => self.lists.contains_key(name),
        }
    }

    /// Whether a definition is as it is stored.
    pub(super) fn has_taken_over(&self, kind: Kind, name: &str) -> bool {
        self.taken_over.names.contains(&(kind, name.to_owned()))
    }

    /// What is worth knowing before it is applied: when schedules fire next, and what cannot be carried as it is defined.
    pub fn notices(&self, now: Timestamp) -> Vec<Notice> {
        notices::of(self, now)
    }

    /// What a list's rows must have: what every configuration that is sent to it needs.
    pub(super) fn list_needs(&self, list: &str) -> ListNeeds {
        let users = self
            .configurations
            .values()
            .filter(|user| user.audience.as_ref().and_then(AudienceRef::list) == Some(list));
        let mut needs = ListNeeds::none(self.organization.default_country);
        for user in users {
            let channel_type =
                self.channels.get(&user.channel).map_or(ChannelType::Sms, |channel| channel.channel_type);
            let template = self.templates.get(&user.template).and_then(|source| Template::compile(source).ok());
            let slugs = template.iter().flat_map(|template| {
                template.required_slugs().iter().map(|slug| template.slug_spelling(slug).to_owned())
            });
            needs.add(&user.name, channel_type, slugs.collect(), user.attested());
        }
        needs
    }
}
