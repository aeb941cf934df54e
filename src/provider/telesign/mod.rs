//! TeleSign SMS (PROVIDERS.md B): one call a message, form bodies, calls signed with TeleSign's own scheme or with Basic
//! credentials, signed JSON callbacks.
//!
//! Read in this order: `account` (what is configured), `send` (the request), `auth` (how it is signed), `answer` (the
//! judgement), `codes` (the table behind it), `poll` (where a message stands), `check` (credentials), `signature` and
//! `callback` (what TeleSign sends us). `wire` reads TeleSign's JSON without ever trusting it.

pub mod account;

mod answer;
mod auth;
mod callback;
mod check;
mod codes;
mod poll;
mod send;
mod signature;
mod wire;

use std::fmt;

pub use self::account::{BadAccount, TeleSignAccount};
use self::auth::Auth;
use super::{
    Acknowledgement, Call, Credentials, Found, Hook, HttpReply, HttpRequest, InDoubt, Inbound, NotGenuine, Outgoing,
    Provider, Receipt, Sender, Stamp, Unreadable, signing::Key,
};
use crate::domain::{
    outcome::Outcome,
    reason::{Reason, Why},
};

/// Where messages are sent to and asked after: what is signed of an address.
const MESSAGING: &str = "/v1/messaging";

/// One TeleSign customer that sends SMS. What does not change from message to message is built once, here.
pub struct TeleSign {
    /// The API's address, without a slash at its end.
    base_url: String,
    auth: Auth,
    /// What callbacks are signed with.
    key: Key,
}

impl TeleSign {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    ///
    /// [`BadAccount`] says in words which setting is wrong; it never repeats a value.
    pub fn new(account: TeleSignAccount) -> Result<Self, BadAccount> {
        let key = account.key()?;
        Ok(Self {
            base_url: account.base_url.trim().trim_end_matches('/').to_owned(),
            auth: Auth::new(&account, key.clone()),
            key,
        })
    }
}

impl Provider for TeleSign {
    fn calls(&self, stamp: Stamp, sender: &Sender, messages: &[Outgoing]) -> Vec<Call> {
        self.send(stamp, sender, messages)
    }

    fn outcomes(&self, call: &Call, reply: &HttpReply) -> Vec<Outcome> {
        vec![answer::outcome(reply); call.carries.len()]
    }

    /// TeleSign knows messages by its own ids only, and a message in doubt has none yet.
    fn lookup(&self, _stamp: Stamp, _doubt: &InDoubt) -> Option<HttpRequest> {
        None
    }

    fn found(&self, _doubt: &InDoubt, _reply: &HttpReply) -> Found {
        Found::Unknown(Why::detailed(Reason::Unreadable, "TeleSign cannot be asked about a message in doubt"))
    }

    fn credential_check(&self, stamp: Stamp) -> HttpRequest {
        self.get(stamp, &check::resource())
    }

    fn credentials(&self, reply: &HttpReply) -> Credentials {
        check::read(reply)
    }

    fn verify(&self, hook: &Hook) -> Result<(), NotGenuine> {
        signature::verify(&self.key, hook)
    }

    fn inbound(&self, hook: &Hook) -> Result<Vec<Inbound>, Unreadable> {
        callback::read(hook).map(|inbound| vec![inbound])
    }

    /// Exactly 200: TeleSign repeats a callback after any other answer, 204 among them.
    fn acknowledgement(&self, _hook: &Hook) -> Acknowledgement {
        Acknowledgement::new(200, "application/json", "{}")
    }

    fn polls(&self) -> bool {
        true
    }

    fn poll(&self, stamp: Stamp, provider_id: &str) -> Option<HttpRequest> {
        poll::resource(provider_id).map(|resource| self.get(stamp, &resource))
    }

    fn polled(&self, provider_id: &str, reply: &HttpReply) -> Option<Receipt> {
        poll::read(provider_id, reply)
    }
}

/// Neither the credentials nor the key.
impl fmt::Debug for TeleSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeleSign").field("base_url", &self.base_url).field("auth", &self.auth).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod testing;
