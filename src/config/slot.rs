//! What fits into each setting, and what is said when something else is given.

use std::{net::SocketAddr, time::Duration};

use toml::de::{DeTable, DeValue};

use super::{Config, DatabaseUrl, LogFormat, WordLists};
use crate::{
    domain::{locale::Locale, time::Span},
    secret::SecretRef,
};

/// Every setting's path.
pub(super) const KEYS: &[&str] = &[
    "database_url",
    "listen",
    "public_url",
    "seal_key",
    "log.format",
    "log.filter",
    "worker.slots",
    "worker.concurrency",
    "worker.lease",
    "worker.connect_timeout",
    "worker.answer_timeout",
    "worker.poll",
    "intake.coalesce",
    "intake.coalesce_contacts",
    "api.max_body_bytes",
    "api.max_upload_bytes",
    "api.requests_per_hour",
    "webhooks.allow_private",
    "keywords.stop",
    "keywords.start",
    "keywords.yes",
    "keywords.help",
];

impl Config {
    /// Where the setting of this path is kept.
    pub(super) fn slot(&mut self, key: &str) -> Option<Slot<'_>> {
        Some(match key {
            "database_url" => Slot::Database(&mut self.database_url),
            "listen" => Slot::Address(&mut self.listen),
            "public_url" => Slot::Url(&mut self.public_url),
            "seal_key" => Slot::Secret(&mut self.seal_key),
            "log.format" => Slot::Format(&mut self.log.format),
            "log.filter" => Slot::Text(&mut self.log.filter),
            "worker.slots" => Slot::Count(&mut self.worker.slots, MANY),
            "worker.concurrency" => Slot::Count(&mut self.worker.concurrency, MANY),
            "worker.lease" => Slot::Wait(&mut self.worker.lease),
            "worker.connect_timeout" => Slot::Wait(&mut self.worker.connect_timeout),
            "worker.answer_timeout" => Slot::Wait(&mut self.worker.answer_timeout),
            "worker.poll" => Slot::Wait(&mut self.worker.poll),
            "intake.coalesce" => Slot::WaitOrNot(&mut self.intake.coalesce),
            "intake.coalesce_contacts" => Slot::Count(&mut self.intake.coalesce_contacts, 100),
            "api.max_body_bytes" => Slot::Count(&mut self.api.max_body_bytes, usize::MAX),
            "api.max_upload_bytes" => Slot::Count(&mut self.api.max_upload_bytes, usize::MAX),
            "api.requests_per_hour" => Slot::Count(&mut self.api.requests_per_hour, usize::MAX),
            "webhooks.allow_private" => Slot::Switch(&mut self.webhooks.allow_private),
            "keywords.stop" => Slot::Words(&mut self.keywords.stop),
            "keywords.start" => Slot::Words(&mut self.keywords.start),
            "keywords.yes" => Slot::Words(&mut self.keywords.yes),
            "keywords.help" => Slot::Words(&mut self.keywords.help),
            _ => return None,
        })
    }
}

/// The most slots and open calls that can be asked for.
const MANY: usize = 10_000;

/// A value as it was given. Variables and flags have no types: there, text may be a number.
pub(super) struct Given {
    text: String,
    kind: Kind,
}

enum Kind {
    Bare,
    Text,
    Number,
    Switch,
    /// Lists of texts by name, or why it is not that.
    Lists(Option<WordLists>),
    /// A reference to a secret, which is a table as well.
    Reference(SecretRef),
    Other(&'static str),
}

impl Given {
    /// From a variable or a flag.
    pub(super) fn bare(text: &str) -> Self {
        Self { text: text.to_owned(), kind: Kind::Bare }
    }

    /// From a file.
    pub(super) fn typed(value: &DeValue<'_>) -> Self {
        if let Some(reference) = reference(value) {
            return Self { text: String::new(), kind: Kind::Reference(reference) };
        }
        if let Some(table) = value.as_table() {
            return Self { text: String::new(), kind: Kind::Lists(lists(table)) };
        }
        match (value.as_str(), value.as_integer(), value.as_bool()) {
            (Some(text), ..) => Self { text: text.to_owned(), kind: Kind::Text },
            (_, Some(number), _) if number.radix() == 10 => {
                Self { text: number.as_str().to_owned(), kind: Kind::Number }
            }
            (.., Some(switch)) => Self { text: switch.to_string(), kind: Kind::Switch },
            _ => Self { text: String::new(), kind: Kind::Other(value.type_str()) },
        }
    }

    fn text(&self, expected: &str) -> Result<&str, String> {
        match self.kind {
            Kind::Bare | Kind::Text => Ok(&self.text),
            Kind::Number | Kind::Switch | Kind::Lists(_) | Kind::Reference(_) | Kind::Other(_) => {
                Err(format!("{expected}, found {}", self.found()))
            }
        }
    }

    fn number(&self) -> Option<usize> {
        match self.kind {
            Kind::Bare | Kind::Number => self.text.trim().replace('_', "").parse().ok(),
            Kind::Text | Kind::Switch | Kind::Lists(_) | Kind::Reference(_) | Kind::Other(_) => None,
        }
    }

    fn switch(&self) -> Option<bool> {
        match self.kind {
            Kind::Bare | Kind::Switch => self.text.trim().parse().ok(),
            Kind::Text | Kind::Number | Kind::Lists(_) | Kind::Reference(_) | Kind::Other(_) => None,
        }
    }

    /// Lists by language. In a variable they are written as in the file.
    fn words(&self) -> Option<WordLists> {
        let found = match &self.kind {
            Kind::Lists(found) => found.clone(),
            Kind::Bare => {
                let text = format!("words = {}", self.text);
                let table = DeTable::parse(&text).ok()?;
                table.get_ref().get("words").and_then(|value| lists(value.get_ref().as_table()?))
            }
            Kind::Text | Kind::Number | Kind::Switch | Kind::Reference(_) | Kind::Other(_) => None,
        };
        found.filter(|lists| lists.keys().all(|language| language.parse::<Locale>().is_ok()))
    }

    /// Where a secret is to be found. In a variable it is written as in the file.
    fn secret(&self) -> Option<SecretRef> {
        match &self.kind {
            Kind::Reference(reference) => Some(reference.clone()),
            Kind::Bare => {
                let text = format!("key = {}", self.text);
                let table = DeTable::parse(&text).ok()?;
                reference(table.get_ref().get("key")?.get_ref())
            }
            Kind::Text | Kind::Number | Kind::Switch | Kind::Lists(_) | Kind::Other(_) => None,
        }
    }

    /// The value, for a message.
    pub(super) fn found(&self) -> String {
        match self.kind {
            Kind::Bare | Kind::Text => format!("\"{}\"", self.text),
            Kind::Number => format!("the number {}", self.text),
            Kind::Switch => self.text.clone(),
            Kind::Lists(_) | Kind::Reference(_) => "a table".to_owned(),
            Kind::Other(kind) => format!("a value of type {kind}"),
        }
    }
}

/// Where a setting is kept, and what fits into it.
pub(super) enum Slot<'c> {
    Database(&'c mut DatabaseUrl),
    Address(&'c mut SocketAddr),
    Url(&'c mut Option<String>),
    Format(&'c mut LogFormat),
    Text(&'c mut String),
    Count(&'c mut usize, usize),
    Switch(&'c mut bool),
    Wait(&'c mut Duration),
    WaitOrNot(&'c mut Duration),
    Words(&'c mut WordLists),
    Secret(&'c mut SecretRef),
}

impl Slot<'_> {
    /// Takes the value, or says what was expected and what was found.
    pub(super) fn fill(self, given: &Given) -> Result<(), String> {
        let found = |expected: &str| format!("{expected}, found {}", given.found());
        match self {
            // What was found is not repeated: it may hold a password.
            Self::Database(slot) => *slot = database_url(given)?,
            Self::Url(slot) => *slot = Some(public_url(given)?),
            Self::Address(slot) => {
                let expected = "an address and a port like \"127.0.0.1:8080\"";
                *slot = given.text(expected)?.parse().map_err(|_| found(expected))?;
            }
            Self::Format(slot) => {
                let expected = "\"pretty\" or \"json\"";
                *slot = match given.text(expected)? {
                    "pretty" => LogFormat::Pretty,
                    "json" => LogFormat::Json,
                    _ => return Err(found(expected)),
                };
            }
            Self::Text(slot) => given.text("text in quotes")?.clone_into(slot),
            Self::Count(slot, most) => {
                let fits = given.number().filter(|number| (1..=most).contains(number));
                *slot = fits.ok_or_else(|| found(&count(most)))?;
            }
            Self::Switch(slot) => *slot = given.switch().ok_or_else(|| found("true or false"))?,
            Self::Wait(slot) => {
                *slot = wait(given).filter(|wait| !wait.is_zero()).ok_or_else(|| found(WAIT))?;
            }
            Self::WaitOrNot(slot) => *slot = wait(given).ok_or_else(|| found(WAIT))?,
            // What was found is not repeated: it may be the secret itself.
            Self::Secret(slot) => *slot = given.secret().ok_or_else(|| SECRET.to_owned())?,
            Self::Words(slot) => *slot = given.words().ok_or_else(|| found(WORDS))?,
        }
        Ok(())
    }
}

const WAIT: &str = "a length of time like \"250ms\", \"30s\" or \"15m\"";

fn wait(given: &Given) -> Option<Duration> {
    given.text(WAIT).ok()?.parse::<Span>().ok().map(|span| span.0)
}

const WORDS: &str = "lists of words by language, like { es = [\"BAJA\"], de = [\"ABMELDEN\"] }";

const SECRET: &str = "a reference like { env = \"NAME\" } or { file = \"PATH\" }, never the secret itself";

/// A reference to a secret that lies outside of the settings.
fn reference(value: &DeValue<'_>) -> Option<SecretRef> {
    let table = value.as_table().filter(|table| table.len() == 1)?;
    let text = |key: &str| table.get(key)?.get_ref().as_str().filter(|text| !text.trim().is_empty());
    let variable = text("env").map(|name| SecretRef::Env(name.to_owned()));
    variable.or_else(|| text("file").map(|path| SecretRef::File(path.into())))
}

/// A table of nothing but lists of texts.
fn lists(table: &DeTable<'_>) -> Option<WordLists> {
    let list = |value: &DeValue<'_>| -> Option<Vec<String>> {
        value.as_array()?.iter().map(|word| word.get_ref().as_str().map(str::to_owned)).collect()
    };
    table.iter().map(|(name, value)| Some((name.get_ref().to_string(), list(value.get_ref())?))).collect()
}

fn count(most: usize) -> String {
    if most == usize::MAX { "a whole number from 1".to_owned() } else { format!("a whole number from 1 to {most}") }
}

fn database_url(given: &Given) -> Result<DatabaseUrl, String> {
    let fits = |url: &&str| ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme));
    let url = given.text("").ok().filter(fits);
    url.map(|url| url.to_owned().into()).ok_or_else(|| "text that begins with \"sqlite:\" or \"postgres:\"".to_owned())
}

fn public_url(given: &Given) -> Result<String, String> {
    let expected = "a URL like \"https://herald.example.com\", without ? and #";
    let text = given.text(expected)?;
    let fits = url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none());
    if !fits {
        return Err(format!("{expected}, found {}", given.found()));
    }
    Ok(text.trim_end_matches('/').to_owned())
}
