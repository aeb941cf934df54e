//! An organization's definitions, read and validated as a whole: either all of it is good, or everything that is wrong is
//! said at once.

use std::{collections::BTreeMap, path::Path};

use super::{
    lists::ListNeeds,
    problem::{Notice, Problems},
    reader, rules,
    source::{OnDisk, PathOrBytes, Source},
};
use crate::{
    domain::{
        account::Account,
        contact::ChannelType,
        definition::{Channel, Configuration, Endpoint, Hook, Organization, Trigger},
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

    /// What is worth knowing before it is applied: when schedules fire next.
    pub fn notices(&self, now: Timestamp) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (name, configuration) in &self.configurations {
            let Some(Ok(schedule)) = rules::schedule(configuration, self.organization.timezone) else { continue };
            let times: Vec<String> =
                schedule.upcoming(now, 3).iter().map(|time| self.local(configuration, *time)).collect();
            let message = match (configuration.active, times.is_empty()) {
                (false, _) => "is inactive and does not fire".to_owned(),
                (true, true) => "never fires again: all of its times are past".to_owned(),
                (true, false) => format!("fires next at {}", times.join(", ")),
            };
            notices.push(Notice { file: format!("outbound {name}"), message });
        }
        notices
    }

    fn local(&self, configuration: &Configuration, time: Timestamp) -> String {
        let zone = match &configuration.trigger {
            Trigger::Scheduled { timezone: Some(zone), .. } => *zone,
            Trigger::Scheduled { timezone: None, .. } | Trigger::Automatic { .. } | Trigger::Instant {} => {
                self.organization.timezone
            }
        };
        time.to_utc().with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// What a list's rows must have: what every configuration that is sent to it needs.
    pub(super) fn list_needs(&self, list: &str) -> ListNeeds {
        let users = self
            .configurations
            .values()
            .filter(|user| user.audience.as_ref().is_some_and(|audience| audience.list == list));
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
