//! An organization's definitions, read and validated as a whole: either all of it is good, or everything that is wrong is
//! said at once.

use std::{collections::BTreeMap, path::Path};

use super::{
    firings::{self, Firings},
    lists::ListNeeds,
    notices,
    problem::{Notice, Problems},
    reader,
    source::{OnDisk, PathOrBytes, Source},
};
use crate::{
    domain::{
        account::Account,
        contact::ChannelType,
        definition::{AudienceRef, Channel, Configuration, Endpoint, Hook, Organization},
        time::Timestamp,
    },
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
        reader::read(source)
    }

    /// What is worth knowing before it is applied: when schedules fire next, and what cannot be carried as it is defined.
    pub fn notices(&self, now: Timestamp) -> Vec<Notice> {
        notices::of(self, &self.firings(now))
    }

    /// When schedules fire next, by what is in the set alone.
    pub fn firings(&self, now: Timestamp) -> Vec<Firings> {
        firings::of(self, &BTreeMap::new(), now)
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
            needs.add(channel_type, slugs.collect(), user.attested());
        }
        needs
    }
}
