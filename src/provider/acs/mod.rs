//! Azure Communication Services SMS (PROVIDERS.md C): messages with one text share a call, signed JSON bodies, events through
//! Event Grid.
//!
//! Read in this order: `account` (what is configured), `send` (which messages share a call, and the request), `auth` (how it is
//! signed), `answer` (the judgement), `codes` (the tables behind it), `check` (credentials), `origin` (whether an event may be
//! believed), `event` (what it says), `handshake` (how Event Grid asks whether it may send). `tag` names the messages of a call.

pub mod account;

mod answer;
mod auth;
mod check;
mod codes;
mod event;
mod handshake;
mod origin;
mod send;
mod tag;

use std::{fmt, time::Duration};

pub use self::account::{AcsAccount, BadAccount};
use self::{account::Place, send::Timeout};
use super::{
    Acknowledgement, Call, Credentials, Found, Hook, HttpReply, HttpRequest, InDoubt, Inbound, NotGenuine, Outgoing,
    Provider, Sender, Stamp, Unreadable, signing::Key,
};
use crate::domain::{
    outcome::Outcome,
    reason::{Reason, Why},
};

/// For how long a message may be handed over again under the same id. How long Azure remembers ids is not documented: a day is
/// our own bound.
const REPEATS_WITHIN: Duration = Duration::from_hours(24);

/// One Communication Services resource that sends SMS. What does not change from message to message is built once, here.
pub struct Acs {
    place: Place,
    /// `/sms?api-version=…`.
    send_resource: String,
    timeout: Option<Timeout>,
    key: Key,
    callback_secret: Option<String>,
}

impl Acs {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    ///
    /// [`BadAccount`] says in words which setting is wrong; it never repeats a value.
    pub fn new(account: AcsAccount) -> Result<Self, BadAccount> {
        account.check()?;
        let base_url = account.base_url.as_deref().unwrap_or(&account.endpoint);
        Ok(Self {
            place: Place::of(base_url).ok_or(BadAccount::Endpoint)?,
            send_resource: format!("/sms?api-version={}", account.api_version),
            timeout: Timeout::of(&account.api_version),
            key: Key::from_base64(&account.access_key).ok_or(BadAccount::AccessKey)?,
            callback_secret: account.callback_secret,
        })
    }
}

impl Provider for Acs {
    fn calls(&self, stamp: Stamp, sender: &Sender, messages: &[Outgoing]) -> Vec<Call> {
        self.send(stamp, sender, messages)
    }

    fn outcomes(&self, call: &Call, reply: &HttpReply) -> Vec<Outcome> {
        answer::outcomes(&call.carries, reply)
    }

    /// There is nothing to ask, and no need: a doubt is settled by sending again, which [`Provider::repeats_within`] allows.
    fn lookup(&self, _stamp: Stamp, _doubt: &InDoubt) -> Option<HttpRequest> {
        None
    }

    fn found(&self, _doubt: &InDoubt, _reply: &HttpReply) -> Found {
        Found::Unknown(Why::detailed(Reason::Unreadable, "Azure cannot be asked about a message in doubt"))
    }

    fn credential_check(&self, stamp: Stamp) -> HttpRequest {
        self.get(stamp, check::RESOURCE)
    }

    fn credentials(&self, reply: &HttpReply) -> Credentials {
        check::read(reply)
    }

    fn verify(&self, hook: &Hook) -> Result<(), NotGenuine> {
        origin::verify(self.callback_secret.as_deref(), hook)
    }

    fn inbound(&self, hook: &Hook) -> Result<Vec<Inbound>, Unreadable> {
        event::read(hook)
    }

    fn acknowledgement(&self, hook: &Hook) -> Acknowledgement {
        handshake::answer(hook)
    }

    /// A day. Each recipient of a call has an id of its own, made of the message's and of [`Outgoing::first_sent`], and Azure does
    /// not carry out twice what comes under one id.
    fn repeats_within(&self) -> Option<Duration> {
        Some(REPEATS_WITHIN)
    }
}

/// Neither the key nor the secret.
impl fmt::Debug for Acs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acs")
            .field("place", &self.place)
            .field("send_resource", &self.send_resource)
            .field("has_callback_secret", &self.callback_secret.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod testing;
