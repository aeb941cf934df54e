//! Providers as pure functions: messages in, HTTP requests out; HTTP replies in, outcomes out.
//!
//! No socket is opened and nothing waits here, so an adapter's tests are tables. The engine's transport does all I/O and is
//! the only place that knows *certainly not sent* (no connection) from *perhaps sent* (no answer).

pub mod acs;
mod settings;
pub mod telesign;
pub mod twilio;

mod form;
mod hook;
mod loose;
mod signing;
mod stamp;

use std::{collections::BTreeMap, fmt, time::Duration};

use bytes::Bytes;

pub use hook::{
    About, Acknowledgement, Hook, Inbound, IncomingReply, NotGenuine, ProviderKeyword, Receipt, Unreadable,
};

pub use self::{settings::is_base_url, stamp::Stamp};
use crate::domain::{
    id::MessageId, message::Status, outcome::Outcome, phone::E164, purpose::Purpose, reason::Why, time::Timestamp,
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
