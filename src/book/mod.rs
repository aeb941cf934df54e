//! The book: what an organization defines, compiled. Templates parsed, providers built, names resolved; made once for each
//! revision of the definitions, and shared by everything that works for the organization.
//!
//! What cannot be compiled does not spoil the rest: an account without its secret is a page that says so.

mod books;
mod connect;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

pub use books::Books;
pub use connect::connect;

use crate::{
    domain::{
        account::{Account, ProviderKind},
        contact::ChannelType,
        definition::{Channel, Configuration, Endpoint, Hook, List, NumberType, Organization},
        id::{ConfigurationId, TemplateId},
    },
    provider::{Provider, Sender, SenderKind},
    secret::{Place, Secret, Secrets},
    store::definitions::{Definition, Kind},
    template::{Template, TemplateSource},
};

/// Why something that the definitions name cannot be used, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

/// An account with its provider, ready to be used.
#[derive(Clone, Debug)]
pub struct ReadyAccount {
    /// Its name.
    pub name: String,
    /// Which provider it is at.
    pub kind: ProviderKind,
    /// The adapter, with the credentials inside.
    pub provider: Result<Arc<dyn Provider>, Unusable>,
}

/// A configuration and its id.
#[derive(Clone, Debug)]
pub struct ReadyConfiguration {
    /// Its id.
    pub id: ConfigurationId,
    /// What it says.
    pub configuration: Configuration,
}

/// A place that wants to hear of what happens, with the secret to sign with.
#[derive(Clone, Debug)]
pub struct ReadyEndpoint {
    /// What it says.
    pub endpoint: Endpoint,
    /// The secret.
    pub secret: Result<Secret, Unusable>,
}

/// The current version of a template.
#[derive(Clone, Debug)]
pub struct ReadyTemplate {
    /// Its id.
    pub id: TemplateId,
    /// The version.
    pub version: i64,
    /// The version, compiled.
    pub template: Arc<Template>,
}

/// What an organization defines, compiled.
#[derive(Debug)]
pub struct Book {
    /// The organization.
    pub organization: Organization,
    /// The revision that this is.
    pub revision: i64,
    accounts: BTreeMap<String, ReadyAccount>,
    channels: BTreeMap<String, Channel>,
    configurations: Vec<ReadyConfiguration>,
    templates: BTreeMap<String, Result<ReadyTemplate, Unusable>>,
    hooks: BTreeMap<String, Result<Secret, Unusable>>,
    lists: BTreeMap<String, List>,
    endpoints: BTreeMap<String, ReadyEndpoint>,
    /// Where providers call back, by account.
    callbacks: BTreeMap<String, String>,
    /// Versions that runs keep, compiled when one first asks.
    pinned: Mutex<BTreeMap<(TemplateId, i64), Arc<Template>>>,
}

impl Book {
    /// Compiles definitions; `callbacks` are the tokens of the accounts' callback URLs, by account.
    pub fn compile(
        organization: Organization,
        revision: i64,
        definitions: &[Definition],
        callbacks: BTreeMap<String, String>,
        secrets: &Secrets,
    ) -> Self {
        let mut book = Self {
            organization,
            revision,
            accounts: BTreeMap::new(),
            channels: BTreeMap::new(),
            configurations: Vec::new(),
            templates: BTreeMap::new(),
            hooks: BTreeMap::new(),
            lists: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            callbacks,
            pinned: Mutex::default(),
        };
        for definition in definitions {
            // What is stored was checked when it was saved; what can be read no longer is left out and missed by name.
            if let Err(problem) = book.add(definition, secrets) {
                tracing::error!(kind = definition.kind.as_str(), name = definition.name, %problem, "a stored definition cannot be read");
            }
        }
        book
    }

    fn add(&mut self, definition: &Definition, secrets: &Secrets) -> Result<(), Box<dyn std::error::Error>> {
        let name = definition.name.clone();
        let body = definition.body.as_str();
        match definition.kind {
            Kind::Account => {
                let account: Account = serde_json::from_str(body)?;
                let provider = connect(&self.organization.id, &name, &account, secrets);
                self.accounts.insert(name.clone(), ReadyAccount { name, kind: account.provider(), provider });
            }
            Kind::Channel => {
                self.channels.insert(name, serde_json::from_str(body)?);
            }
            Kind::Configuration => {
                let configuration = serde_json::from_str(body)?;
                self.configurations.push(ReadyConfiguration { id: definition.id.parse()?, configuration });
            }
            Kind::Template => {
                let id = definition.id.parse()?;
                let compiled =
                    compile_template(body).map(|template| ReadyTemplate { id, version: definition.version, template });
                self.templates.insert(name, compiled);
            }
            Kind::Hook => {
                let hook: Hook = serde_json::from_str(body)?;
                let place = self.place(definition.kind, &name);
                let secret = secrets.of(place, &hook.secret).map_err(|problem| Unusable(problem.to_string()));
                self.hooks.insert(name, secret);
            }
            Kind::Endpoint => {
                let endpoint: Endpoint = serde_json::from_str(body)?;
                let place = self.place(definition.kind, &name);
                let secret = secrets.of(place, &endpoint.secret).map_err(|problem| Unusable(problem.to_string()));
                self.endpoints.insert(name, ReadyEndpoint { endpoint, secret });
            }
            Kind::List => {
                self.lists.insert(name, serde_json::from_str(body)?);
            }
        }
        Ok(())
    }

    /// Where the secret of a hook or an endpoint belongs.
    fn place<'a>(&'a self, kind: Kind, name: &'a str) -> Place<'a> {
        Place { org: &self.organization.id, kind: kind.as_str(), name, field: "secret" }
    }

    /// An account by its name.
    pub fn account(&self, name: &str) -> Result<&ReadyAccount, Unusable> {
        self.accounts.get(name).ok_or_else(|| missing("account", name, self.accounts.keys()))
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = &ReadyAccount> {
        self.accounts.values()
    }

    /// A channel by its name.
    pub fn channel(&self, name: &str) -> Result<&Channel, Unusable> {
        self.channels.get(name).ok_or_else(|| missing("channel", name, self.channels.keys()))
    }

    /// A channel by its name, with the name.
    pub fn named_channel(&self, name: &str) -> Result<(&str, &Channel), Unusable> {
        let found = self.channels.get_key_value(name).map(|(name, channel)| (name.as_str(), channel));
        found.ok_or_else(|| missing("channel", name, self.channels.keys()))
    }

    /// The account's channel of this type with this number (digits, or the name that an alphanumeric sender has), and its
    /// name. One number can be a sender of both types.
    pub fn channel_of_number(
        &self,
        account: &str,
        number: &str,
        channel_type: ChannelType,
    ) -> Option<(&str, &Channel)> {
        let bare = |number: &str| number.trim_start_matches('+').to_lowercase();
        let found = self.channels.iter().find(|(_, channel)| {
            channel.account == account && channel.channel_type == channel_type && bare(&channel.number) == bare(number)
        });
        found.map(|(name, channel)| (name.as_str(), channel))
    }

    /// A configuration by its name or id.
    pub fn configuration(&self, name: &str) -> Result<&ReadyConfiguration, Unusable> {
        let found =
            self.configurations.iter().find(|ready| ready.configuration.name == name || ready.id.to_string() == name);
        found.ok_or_else(|| {
            missing("outbound configuration", name, self.configurations.iter().map(|ready| &ready.configuration.name))
        })
    }

    /// Every configuration.
    pub fn configurations(&self) -> &[ReadyConfiguration] {
        &self.configurations
    }

    /// The current version of a template, by its name.
    pub fn template(&self, name: &str) -> Result<&ReadyTemplate, Unusable> {
        let found = self.templates.get(name).ok_or_else(|| missing("template", name, self.templates.keys()))?;
        found.as_ref().map_err(Clone::clone)
    }

    /// A hook's secret, by its name.
    pub fn hook(&self, name: &str) -> Result<&Secret, Unusable> {
        let found = self.hooks.get(name).ok_or_else(|| missing("hook", name, self.hooks.keys()))?;
        found.as_ref().map_err(Clone::clone)
    }

    /// Every hook's name.
    pub fn hooks(&self) -> impl Iterator<Item = &str> {
        self.hooks.keys().map(String::as_str)
    }

    /// A place that wants to hear of what happens, by its name.
    pub fn endpoint(&self, name: &str) -> Result<&ReadyEndpoint, Unusable> {
        self.endpoints.get(name).ok_or_else(|| missing("endpoint", name, self.endpoints.keys()))
    }

    /// Every such place, by name.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &ReadyEndpoint)> {
        self.endpoints.iter().map(|(name, endpoint)| (name.as_str(), endpoint))
    }

    /// A stored list by its name.
    pub fn list(&self, name: &str) -> Result<&List, Unusable> {
        self.lists.get(name).ok_or_else(|| missing("list", name, self.lists.keys()))
    }

    /// Every stored list, by name.
    pub fn lists(&self) -> impl Iterator<Item = (&str, &List)> {
        self.lists.iter().map(|(name, list)| (name.as_str(), list))
    }

    /// The token under which an account's provider calls back.
    pub fn callback_token(&self, account: &str) -> Option<&str> {
        self.callbacks.get(account).map(String::as_str)
    }

    /// A version of a template that was compiled before.
    fn known_version(&self, template: TemplateId, version: i64) -> Option<Arc<Template>> {
        let current = self.templates.values().flatten().find(|ready| ready.id == template && ready.version == version);
        current
            .map(|ready| ready.template.clone())
            .or_else(|| self.pinned.lock().ok()?.get(&(template, version)).cloned())
    }

    fn keep_version(&self, template: TemplateId, version: i64, compiled: &Arc<Template>) {
        if let Ok(mut pinned) = self.pinned.lock() {
            pinned.insert((template, version), compiled.clone());
        }
    }
}

fn missing<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Unusable {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let there = if known.is_empty() { "there is none".to_owned() } else { format!("there is {}", known.join(", ")) };
    Unusable(format!("there is no {kind} \"{name}\"; {there}"))
}

/// A template's source, as it is stored, compiled.
pub fn compile_template(source: &str) -> Result<Arc<Template>, Unusable> {
    let source: TemplateSource = serde_json::from_str(source)
        .map_err(|problem| Unusable(format!("the stored template cannot be read: {problem}")))?;
    let compiled = Template::compile(&source);
    compiled
        .map(Arc::new)
        .map_err(|problems| Unusable(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

/// The sender as the provider's adapter wants it.
pub fn sender_of(channel: &Channel) -> Sender {
    let kind = match channel.number_type {
        _ if channel.channel_type == ChannelType::WhatsApp => SenderKind::WhatsApp,
        NumberType::Geographic => SenderKind::Geographic,
        NumberType::ShortCode => SenderKind::ShortCode,
        NumberType::TollFree => SenderKind::TollFree,
        NumberType::Alphanumeric => SenderKind::Alphanumeric,
    };
    Sender { address: channel.number.clone(), kind }
}
