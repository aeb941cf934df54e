//! The resources that the sandbox knows, as settings: access key, senders, and where their events go.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{SettingsError, callback_url};

/// A Communication Services resource. Its endpoint is the sandbox's base URL; the access key says which resource it is.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcsResource {
    /// Its name, as it is in the topic of its events and in the log of calls.
    pub name: String,
    /// The access key, in base64.
    pub access_key: String,
    /// The senders of the resource (numbers with plus, short codes, names). Empty: any sender is its own.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// Where its events go: delivery reports and what recipients answer. None: nowhere, until the control surface says so.
    #[serde(default)]
    pub events: Option<AcsEvents>,
    /// How old a `repeatabilityFirstSent` may be, in seconds, before its recipient is refused with 412. None: any age.
    #[serde(default)]
    pub repeatability_window_s: Option<u64>,
}

/// A subscription to a resource's events.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcsEvents {
    /// Where they are posted. A secret in its query is simply part of it.
    pub callback_url: String,
    /// Headers that go along with each post, such as a secret.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What an event looks like. Default: Event Grid's own schema.
    #[serde(default)]
    pub schema: EventSchema,
    /// How the names in an event's data are written. Default: camel.
    #[serde(default)]
    pub casing: Casing,
    /// Events in one post at most. Default 1.
    #[serde(default = "one")]
    pub batch: usize,
}

/// The envelope of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSchema {
    /// Event Grid's own, always an array.
    #[default]
    EventGrid,
    /// CloudEvents 1.0: a single object, or an array if there are several.
    CloudEvents,
}

/// How the names in an event's data are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Casing {
    /// `messageId`, and `tag`.
    #[default]
    Camel,
    /// `MessageId`, and `Tag`.
    Pascal,
    /// As in the provider's own samples, which do not agree with each other: camel with `Tag` in reports of the Event Grid
    /// schema and pascal elsewhere, `specVersion` for what recipients answer, and details without a code.
    Mixed,
}

fn one() -> usize {
    1
}

impl AcsResource {
    /// A resource that may send from anywhere and whose events go nowhere.
    pub fn new(name: impl Into<String>, access_key: impl Into<String>) -> Self {
        AcsResource {
            name: name.into(),
            access_key: access_key.into(),
            numbers: Vec::new(),
            events: None,
            repeatability_window_s: None,
        }
    }

    pub(in crate::sandbox) fn check(&self) -> Result<(), SettingsError> {
        let wrong = |why: &str| Err(SettingsError(format!("acs: {}: {why}", self.name)));
        if self.name.is_empty() {
            return Err(SettingsError("acs: a resource needs a name".into()));
        }
        if !STANDARD.decode(&self.access_key).is_ok_and(|key| !key.is_empty()) {
            return wrong("access_key: is not base64");
        }
        match self.events.as_ref().map(AcsEvents::check) {
            Some(Err(why)) => wrong(&why),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

impl AcsEvents {
    /// Events in Event Grid's own schema, one a post.
    pub fn new(callback_url: impl Into<String>) -> Self {
        AcsEvents {
            callback_url: callback_url.into(),
            headers: BTreeMap::new(),
            schema: EventSchema::EventGrid,
            casing: Casing::Camel,
            batch: 1,
        }
    }

    pub(in crate::sandbox) fn check(&self) -> Result<(), String> {
        callback_url(&self.callback_url).map_err(|why| format!("callback_url: {why}"))?;
        if self.batch == 0 {
            return Err("batch: must be at least 1".into());
        }
        for (name, value) in &self.headers {
            if reqwest::header::HeaderName::try_from(name).is_err()
                || reqwest::header::HeaderValue::try_from(value).is_err()
            {
                return Err(format!("headers: {name:?} is no header, or its value is none"));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for AcsResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcsResource")
            .field("name", &self.name)
            .field("numbers", &self.numbers.len())
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// Neither the URL nor the headers' values, as a secret may be in them.
impl fmt::Debug for AcsEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcsEvents")
            .field("headers", &self.headers.len())
            .field("schema", &self.schema)
            .field("casing", &self.casing)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}
