//! The reader of a set: every file, then how they fit together. It goes on after a mistake, so that all are said at once.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::{
    files, lists,
    page::{Key, Page},
    problem::{Problem, Problems},
    rules::{self, Senders},
    set::DefinitionSet,
    shapes,
    source::{PathOrBytes, Source},
    templates::Library,
};
use crate::{
    domain::{
        account::{Account, ProviderKind},
        definition::{AudienceRef, Channel, Configuration, Endpoint, Organization},
    },
    intake::mapping::CompiledMapping,
    keys,
};

/// Reads a set, or says everything that is wrong with it.
pub(super) fn read(source: &dyn Source) -> Result<DefinitionSet, Problems> {
    let mut reader = Reader { source, problems: Vec::new() };
    let set = reader.set();
    let mut problems = reader.problems;
    problems.sort();
    problems.dedup();
    match set {
        Some(set) if problems.is_empty() => Ok(set),
        _ => Err(Problems(problems)),
    }
}

/// Definitions of one kind with their pages; a name without a value has a file that is not good.
type Read<T> = BTreeMap<String, (Page, Option<T>)>;

fn good<T>(read: Read<T>) -> BTreeMap<String, T> {
    read.into_iter().filter_map(|(name, (_, value))| Some((name, value?))).collect()
}

/// Those whose files are good.
fn readable<T>(read: &Read<T>) -> BTreeMap<String, &T> {
    read.iter().filter_map(|(name, (_, value))| Some((name.clone(), value.as_ref()?))).collect()
}

struct Reader<'a> {
    source: &'a dyn Source,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn set(&mut self) -> Option<DefinitionSet> {
        if !matches!(self.source.list(""), Ok(Some(_))) {
            let message = format!(
                "there is no such folder, or it cannot be read; expected one with {} in it",
                files::ORGANIZATION
            );
            self.problems.push(Problem::new(".", message));
            return None;
        }
        files::strangers(self.source, &mut self.problems);
        let organization = self.organization();
        let accounts = self.folder("accounts", account_keys);
        let channels: Read<Channel> = self.folder("channels", |_| vec![shapes::CHANNEL]);
        let hooks = self.folder("hooks", |_| vec![shapes::HOOK]);
        let endpoints: Read<Endpoint> = self.folder("endpoints", |_| vec![shapes::ENDPOINT]);
        let outbound = self.outbound();
        let lists = self.lists();
        accounts.values().for_each(|(page, account)| {
            self.problems.extend(account.iter().flat_map(|account| rules::account(page, account)));
        });
        endpoints.values().for_each(|(page, endpoint)| {
            self.problems.extend(endpoint.iter().flat_map(|endpoint| rules::endpoint(page, endpoint)));
        });
        let (senders, credentials) = (readable(&channels), readable(&accounts));
        let senders = Senders { channels: &senders, accounts: &credentials };
        self.channels(&channels, &accounts, senders);
        let named =
            organization.as_ref().and_then(|(page, organization)| Some((page, organization.templates.as_deref()?)));
        let mut library = Library::open(self.source, named, &mut self.problems);
        let zone = organization.as_ref().map(|(_, organization)| organization.timezone).unwrap_or_default();
        for (page, configuration) in outbound.values().filter_map(|(page, value)| Some((page, value.as_ref()?))) {
            let mapping = rules::configuration(page, configuration, zone, &mut self.problems);
            self.references(page, configuration, &channels, &lists, &mut library);
            if let Some(template) = library.get(&configuration.template, &mut self.problems) {
                self.problems.extend(rules::media(page, configuration, template, senders));
            }
            self.filled(page, configuration, mapping.as_ref(), &mut library);
        }
        let mut set = DefinitionSet {
            organization: organization?.1,
            accounts: good(accounts),
            channels: good(channels),
            templates: library.into_templates(),
            configurations: good(outbound),
            hooks: good(hooks),
            endpoints: good(endpoints),
            lists,
            rows: BTreeMap::new(),
        };
        for (name, place) in &set.lists {
            match lists::check(name, place, &set.list_needs(name)) {
                Ok(good) => drop(set.rows.insert(name.clone(), good.rows)),
                Err(problems) => self.problems.extend(problems),
            }
        }
        Some(set)
    }

    fn page(&mut self, path: &str) -> Option<Page> {
        let bytes = files::read(self.source, path, &mut self.problems)?;
        Page::new(path, bytes).map_err(|problem| self.problems.push(problem)).ok()
    }

    fn organization(&mut self) -> Option<(Page, Organization)> {
        let page = self.page(files::ORGANIZATION)?;
        let organization = page.read(&[shapes::ORGANIZATION], &mut self.problems)?;
        self.problems.extend(rules::organization(&page, &organization));
        Some((page, organization))
    }

    fn folder<T: DeserializeOwned>(&mut self, folder: &str, known: fn(&Page) -> Vec<&'static [Key]>) -> Read<T> {
        let mut read = BTreeMap::new();
        for (name, path) in files::in_folder(self.source, folder, &mut self.problems) {
            let Some(page) = self.page(&path) else { continue };
            let value = page.read(&known(&page), &mut self.problems);
            read.insert(name, (page, value));
        }
        read
    }

    /// The configurations by their own names.
    fn outbound(&mut self) -> Read<Configuration> {
        let mut read: Read<Configuration> = BTreeMap::new();
        for (stem, path) in files::in_folder(self.source, "outbound", &mut self.problems) {
            let Some(page) = self.page(&path) else { continue };
            let mut value: Option<Configuration> = page.read(&trigger_keys(&page), &mut self.problems);
            let mut name = stem.clone();
            if let Some(configuration) = &mut value {
                if configuration.name.is_empty() {
                    configuration.name = stem;
                }
                name.clone_from(&configuration.name);
            }
            if let Some((other, _)) = read.get(&name) {
                let message = format!("\"{name}\" is the name of {} as well; expected a name of its own", other.file);
                self.problems.push(page.problem("name", message));
                name = path; // the rest of it is judged all the same
            }
            read.insert(name, (page, value));
        }
        read
    }

    fn lists(&mut self) -> BTreeMap<String, PathOrBytes> {
        let mut lists = BTreeMap::new();
        for (name, path) in files::in_folder(self.source, "lists", &mut self.problems) {
            match self.source.place(&path) {
                Ok(place) => drop(lists.insert(name, place)),
                Err(problem) => self.problems.push(Problem::new(&path, format!("cannot be read: {problem}"))),
            }
        }
        lists
    }

    fn channels(&mut self, channels: &Read<Channel>, accounts: &Read<Account>, senders: Senders<'_>) {
        for (name, (page, channel)) in channels {
            let Some(channel) = channel else { continue };
            self.problems.extend(rules::channel(page, name, channel, senders));
            if !accounts.contains_key(&channel.account) {
                self.problems.push(missing(page, "account", "account", &channel.account, accounts.keys()));
            }
            if let Some(other) = channel.fallback.as_ref().filter(|other| !channels.contains_key(*other)) {
                let others = channels.keys().filter(|other| *other != name);
                self.problems.push(missing(page, "fallback", "channel", other, others));
            }
        }
    }

    fn references(
        &mut self,
        page: &Page,
        configuration: &Configuration,
        channels: &Read<Channel>,
        lists: &BTreeMap<String, PathOrBytes>,
        library: &mut Library<'_>,
    ) {
        let channel = channels.get(&configuration.channel);
        if channel.is_none() {
            self.problems.push(missing(page, "channel", "channel", &configuration.channel, channels.keys()));
        }
        if !library.may_have(&configuration.template) {
            self.problems.push(missing(page, "template", "template", &configuration.template, library.names()));
        }
        let template = library.get(&configuration.template, &mut self.problems);
        if let (Some((_, Some(channel))), Some(template)) = (channel, template) {
            let (from, text) = (channel.channel_type, template.source().channel_type);
            if from != text {
                let message = format!(
                    "\"{}\" is for {text}, and channel \"{}\" is {from}; expected both to be of one type",
                    configuration.template, configuration.channel
                );
                self.problems.push(page.problem("template", message));
            }
        }
        let list = configuration.audience.as_ref().and_then(AudienceRef::list);
        if let Some(list) = list.filter(|list| !lists.contains_key(*list)) {
            self.problems.push(missing(page, "audience.list", "list", list, lists.keys()));
        }
    }

    /// SPEC 6: a slug that nobody fills is found before it is saved.
    fn filled(
        &mut self,
        page: &Page,
        configuration: &Configuration,
        mapping: Option<&CompiledMapping>,
        library: &mut Library<'_>,
    ) {
        let Some(filled) = mapping.and_then(CompiledMapping::slugs) else { return };
        let filled: Vec<String> = filled.collect();
        let Some(template) = library.get(&configuration.template, &mut self.problems) else { return };
        for slug in template.required_slugs().iter().filter(|slug| !filled.contains(slug)) {
            let slug = template.slug_spelling(slug);
            let message = format!(
                "configuration \"{}\" does not fill {slug}, which template \"{}\" needs; expected {slug} = \"an expression\"",
                configuration.name, configuration.template
            );
            self.problems.push(page.problem("trigger.contact.context", message));
        }
    }
}

/// The keys of an account with its provider.
fn account_keys(page: &Page) -> Vec<&'static [Key]> {
    let table = page.table().unwrap_or_default();
    let provider = table.get("provider").and_then(toml::Value::as_str);
    let known = ProviderKind::ALL.into_iter().find(|kind| provider == Some(kind.as_str()));
    vec![match known {
        Some(ProviderKind::Twilio) => shapes::TWILIO,
        Some(ProviderKind::TeleSign) => shapes::TELESIGN,
        Some(ProviderKind::Acs) => shapes::ACS,
        None => shapes::ANY_ACCOUNT,
    }]
}

/// The keys of a configuration with its kind of trigger.
fn trigger_keys(page: &Page) -> Vec<&'static [Key]> {
    let table = page.table().unwrap_or_default();
    match table.get("trigger").and_then(|trigger| trigger.get("kind")).and_then(toml::Value::as_str) {
        Some("automatic") => vec![shapes::OUTBOUND, shapes::AUTOMATIC],
        Some("scheduled") => vec![shapes::OUTBOUND, shapes::SCHEDULED],
        Some("instant") => vec![shapes::OUTBOUND],
        _ => vec![shapes::OUTBOUND, shapes::ANY_TRIGGER],
    }
}

/// A name that names nothing.
fn missing(
    page: &Page,
    key: &str,
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = impl AsRef<str>>,
) -> Problem {
    let known: Vec<String> = known.into_iter().map(|name| name.as_ref().to_owned()).collect();
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match keys::nearest(name, &names) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if names.is_empty() => "there is none at all".to_owned(),
        None => format!("expected one of: {}", names.join(", ")),
    };
    page.problem(key, format!("there is no {kind} \"{name}\"; {hint}"))
}
