//! What is kept of a call.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// Whose wire format a call is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Twilio, SMS and WhatsApp.
    Twilio,
    /// TeleSign.
    TeleSign,
    /// Azure Communication Services.
    Acs,
}

impl Provider {
    /// All of them.
    pub const ALL: [Provider; 3] = [Provider::Twilio, Provider::TeleSign, Provider::Acs];
}

/// One attempt to send to one recipient; a call that names many leaves an entry for each.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Its place in the order of calls, from 1; also the cursor.
    pub number: u64,
    /// When it was decided on, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whose wire format.
    pub provider: Provider,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, without the query.
    #[serde(serialize_with = "text")]
    pub path: Arc<str>,
    /// The account that the call named.
    #[serde(serialize_with = "text")]
    pub account: Arc<str>,
    /// The recipient as given; empty if not given.
    #[serde(serialize_with = "text")]
    pub to: Arc<str>,
    /// The sender, or the Messaging Service, as given.
    #[serde(serialize_with = "text")]
    pub from: Arc<str>,
    /// The text as given.
    #[serde(serialize_with = "text")]
    pub body: Arc<str>,
    /// What there is besides the text, if anything.
    #[serde(flatten)]
    pub extras: Option<Box<Extras>>,
    /// How many parameters the call had.
    pub params: u32,
    /// How many of them the provider does not know, and ignores.
    pub unknown_params: u32,
    /// The HTTP status answered or to be answered; none if the connection was cut or left hanging.
    pub status: Option<u16>,
    /// The provider's error code.
    pub code: Option<u32>,
    /// The provider's id of the message.
    #[serde(serialize_with = "optional_text")]
    pub sid: Option<Arc<str>>,
    /// Whether the message counts as handed over, whatever the caller was told.
    pub accepted: bool,
    /// The caller's own id of the message, by which its repeats are known (Communication Services).
    #[serde(serialize_with = "optional_text")]
    pub request_id: Option<Arc<str>>,
    /// Whether it was a repeat of one that was accepted: answered as that one was, and not handed over again.
    pub repeat: bool,
    /// Whether an answer was handed to the connection. False while a slow answer waits, and for ever if it hangs.
    pub answered: bool,
}

impl Call {
    /// A POST of which nothing else is known yet.
    pub(in crate::sandbox) fn new(provider: Provider, path: Arc<str>, account: Arc<str>, at_ms: i64) -> Call {
        Call {
            number: 0,
            at_ms,
            provider,
            method: "POST",
            path,
            account,
            to: Arc::default(),
            from: Arc::default(),
            body: Arc::default(),
            extras: None,
            params: 0,
            unknown_params: 0,
            status: None,
            code: None,
            sid: None,
            request_id: None,
            accepted: false,
            repeat: false,
            answered: false,
        }
    }
}

/// What a call may carry besides a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extras {
    /// The content template, as given.
    pub content_sid: Option<String>,
    /// The values for its placeholders, as given.
    pub content_variables: Option<String>,
    /// The links of the media.
    pub media: Vec<String>,
}

/// A page of the log.
#[derive(Clone, Debug, Serialize)]
pub struct CallPage {
    /// The calls after the cursor, oldest first.
    pub calls: Vec<Call>,
    /// Give it as `after` to read on; none at the end of the log.
    pub next_after: Option<u64>,
    /// Calls that the log no longer holds.
    pub dropped: u64,
}

fn text<S: Serializer>(value: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value)
}

fn optional_text<S: Serializer>(value: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(serializer)
}
