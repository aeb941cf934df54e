//! Providers as pure functions: messages in, HTTP requests out; HTTP replies in, outcomes out.
//!
//! No socket is opened and nothing waits here, so an adapter's tests are tables. The engine's transport does all I/O and is
//! the only place that knows *certainly not sent* (no connection) from *perhaps sent* (no answer).

pub mod acs;
pub mod settings;
pub mod telesign;
pub mod twilio;

mod form;
mod loose;
mod signing;
mod stamp;

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use bytes::Bytes;

pub use self::{settings::is_base_url, stamp::Stamp};
use crate::domain::{
    contact::ChannelType,
    id::{MessageId, RunId},
    message::Status,
    outcome::Outcome,
    phone::E164,
    purpose::Purpose,
    reason::Why,
    time::Timestamp,
};

/// What every adapter can do. One value of it stands for one account, with its credentials inside.
pub trait Provider: Send + Sync + fmt::Debug {
    /// The HTTP requests that hand these messages over. Every message is carried by exactly one call.
    fn calls(&self, stamp: Stamp, sender: &Sender, messages: &[Outgoing]) -> Vec<Call>;

    /// The judgement on each message of the call, in the order of [`Call::carries`].
    fn outcomes(&self, call: &Call, reply: &HttpReply) -> Vec<Outcome>;

    /// How to find out what became of a message in doubt; `None` where the provider cannot tell.
    fn lookup(&self, stamp: Stamp, doubt: &InDoubt) -> Option<HttpRequest>;

    /// What the answer to [`Provider::lookup`] says.
    fn found(&self, doubt: &InDoubt, reply: &HttpReply) -> Found;

    /// A call that proves the credentials without messaging anyone.
    fn credential_check(&self, stamp: Stamp) -> HttpRequest;

    /// What the answer to [`Provider::credential_check`] says.
    fn credentials(&self, reply: &HttpReply) -> Credentials;

    /// Whether a callback is the provider's own work.
    fn verify(&self, hook: &Hook) -> Result<(), NotGenuine>;

    /// What a genuine callback says.
    fn inbound(&self, hook: &Hook) -> Result<Vec<Inbound>, Unreadable>;

    /// What the provider wants to hear when this callback was recorded.
    fn acknowledgement(&self, hook: &Hook) -> Acknowledgement;

    /// How long after its first try a message may be handed over again under the same id and [`Outgoing::first_sent`] without being sent
    /// twice; `None` where the provider has no such thing. A doubt is then settled by sending again.
    fn repeats_within(&self) -> Option<Duration> {
        None
    }

    /// Whether [`Provider::poll`] is of any use.
    fn polls(&self) -> bool {
        false
    }

    /// How to ask where a message stands of which no receipt has come; `None` where the provider cannot tell.
    fn poll(&self, _stamp: Stamp, _provider_id: &str) -> Option<HttpRequest> {
        None
    }

    /// What the answer to [`Provider::poll`] says; `None`: nothing new.
    fn polled(&self, _provider_id: &str, _reply: &HttpReply) -> Option<Receipt> {
        None
    }
}

/// The sender that messages leave from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// As the channel's definition has it: digits only, a short code, an alphanumeric id, or `+…` for WhatsApp.
    pub address: String,
    /// Which of these it is.
    pub kind: SenderKind,
}

/// What kind of number a sender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SenderKind {
    /// A long code of some country.
    Geographic,
    /// Five or six digits.
    ShortCode,
    /// Free of charge for those who answer.
    TollFree,
    /// A name instead of a number; nobody can reply to it.
    Alphanumeric,
    /// A WhatsApp number, whatever it is as a number.
    WhatsApp,
}

/// One rendered message, ready to be handed over.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// herald's id.
    pub id: MessageId,
    /// The places in the run of the first and the last message of its request: the same in every try, whatever goes with it.
    pub among: (i64, i64),
    /// The recipient.
    pub to: E164,
    /// The text, at most 1,600 characters. Of an approved template: what the recipient will read, for people to look at.
    pub text: String,
    /// The provider's approved template to send instead of the text (WhatsApp).
    pub approved: Option<Approved>,
    /// Links to what is sent along.
    pub media: Vec<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was first tried: durable before that try, and the same in every later one. A message that is sent anew after
    /// its end has another.
    pub first_sent: Timestamp,
    /// How long it was worth delivering then: what goes with the same id must be the same in every try.
    pub valid_at_first: Duration,
    /// Where receipts go; carries the message's id, so that a receipt finds its message without an index.
    pub callback_url: Option<String>,
    /// How much longer the message is worth delivering.
    pub valid_for: Duration,
}

/// Content that the provider has approved, and the values of its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// The provider's id of it (`HX…` at Twilio).
    pub content_id: String,
    /// The variables' values, by name; most often `1`, `2`, ….
    pub variables: BTreeMap<String, String>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("id", &self.id).field("to", &self.to).finish_non_exhaustive()
    }
}

/// An HTTP request and the messages that it carries.
#[derive(Clone, Debug)]
pub struct Call {
    /// What to send.
    pub request: HttpRequest,
    /// The recipients, in the order in which [`Provider::outcomes`] answers.
    pub carries: Vec<(MessageId, E164)>,
}

/// The methods that providers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// OPTIONS: how some providers ask whether callbacks are welcome.
    Options,
}

/// An HTTP request as data. Its `Debug` shows neither headers (credentials) nor body (texts and numbers).
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Which.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for GET.
    pub body: Bytes,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split_once('?').map_or(self.url.as_str(), |(path, _)| path);
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &path)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An HTTP answer as data.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// What `Retry-After` said, if it was there and could be read.
    pub retry_after: Option<Duration>,
    /// The body, bounded by the transport.
    pub body: Bytes,
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReply")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A message that may or may not have been handed over.
#[derive(Clone, Debug)]
pub struct InDoubt {
    /// The sender that it was to leave from.
    pub sender: Sender,
    /// The message as it was (or would have been) sent.
    pub message: Outgoing,
    /// The earliest time at which the call can have begun.
    pub since: Timestamp,
    /// Ids of the provider's that are known to be other messages.
    pub others: Vec<String>,
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The provider has it.
    Sent {
        /// The provider's id.
        provider_id: String,
        /// Where it stands there.
        status: Status,
        /// Why, if it failed.
        why: Option<Why>,
    },
    /// The provider has nothing like it.
    NotSent,
    /// The answer does not settle it: ask again later.
    Unknown(Why),
}

/// What a credential check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// They work.
    Good,
    /// They do not, or the account may not send.
    Bad(Why),
    /// The provider did not say: try later.
    Unknown(Why),
}

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
