//! What providers call back with, as data: what arrived, what it says, and how it is answered.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use super::Method;
use crate::domain::{
    contact::ChannelType,
    id::{MessageId, RunId},
    message::Status,
    phone::E164,
    reason::Why,
};

/// A callback as it arrived.
#[derive(Clone)]
pub struct Hook {
    /// The method: providers sign GET and POST differently.
    pub method: Method,
    /// The URL as the provider requested it: behind a proxy, built from the configured public URL; with its query string.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Hook {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A callback that its provider did not send, or that was changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// No signature at all.
    #[error("the callback is not signed")]
    Unsigned,
    /// A signature that does not match.
    #[error("the callback's signature does not match")]
    Mismatch,
    /// A signature of a kind that is not accepted.
    #[error("the callback is signed in a way that is not accepted")]
    UnknownAlgorithm,
    /// The account has nothing to check a signature with: the operator must add it.
    #[error("the account has no secret that callbacks are signed with, so they cannot be verified")]
    NoKey,
}

/// A genuine callback that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the callback cannot be understood: {0}")]
pub struct Unreadable(pub String);

/// What a callback says.
#[derive(Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A delivery report.
    Receipt(Receipt),
    /// A message from a person.
    Reply(IncomingReply),
    /// Something that is of no use to herald, and no mistake.
    Ignored,
}

/// A delivery report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message.
    pub about: About,
    /// The provider's id.
    pub provider_id: String,
    /// Where the message stands.
    pub status: Status,
    /// Why, if it failed.
    pub why: Option<Why>,
}

/// Which message a report is about, by what herald had the provider carry along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// This one.
    Message(MessageId),
    /// The one to this number among these of a run, the first and the last included: they are of one request.
    Among {
        /// The run.
        run: RunId,
        /// The place of the request's first message in the run.
        first: i64,
        /// The place of its last.
        last: i64,
        /// The recipient.
        to: E164,
    },
    /// It does not say.
    Unknown,
}

/// A message from a person, as the provider passed it on.
#[derive(Clone, PartialEq, Eq)]
pub struct IncomingReply {
    /// The provider's id of the inbound message.
    pub provider_id: String,
    /// The kind of channel that it came by: one number can serve both.
    pub channel: ChannelType,
    /// Who wrote.
    pub from: E164,
    /// Whom they wrote to: the channel's number, with whatever prefix stripped, digits only unless alphanumeric.
    pub to: String,
    /// What they wrote.
    pub text: String,
    /// Links to what they attached.
    pub media: Vec<String>,
    /// What the provider itself made of it, if it looks at keywords.
    pub keyword: Option<ProviderKeyword>,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receipt(receipt) => receipt.fmt(f),
            Self::Reply(reply) => f
                .debug_struct("Reply")
                .field("provider_id", &reply.provider_id)
                .field("from", &reply.from)
                .finish_non_exhaustive(),
            Self::Ignored => f.write_str("Ignored"),
        }
    }
}

/// A keyword that the provider recognised and acted on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKeyword {
    /// Opted out.
    Stop,
    /// Opted in again.
    Start,
    /// Asked for help.
    Help,
}

/// How a callback is answered once it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The status code that the provider takes for success.
    pub status: u16,
    /// Names in lower case; the body's type among them.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Cow<'static, str>,
}

impl Acknowledgement {
    /// With a body of this type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Cow<'static, str>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }
}
