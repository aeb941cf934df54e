//! Twilio SMS and WhatsApp (PROVIDERS.md A): one call a message, form bodies, Basic credentials, signed form callbacks.
//!
//! Read in this order: `account` (what is configured), `send` (the request), `answer` (the judgement), `codes` (the
//! table behind it), `lookup` (a message in doubt), `poll` (one of which no receipt has come), `check` (credentials), `signature` and `callback` (what Twilio
//! sends us). `wire` reads Twilio's JSON without ever trusting it.

pub mod account;

mod answer;
mod callback;
mod check;
mod codes;
mod lookup;
mod poll;
mod send;
mod signature;
mod wire;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

pub use self::account::{ApiKey, BadAccount, SharedKey, TwilioAccount};
use self::{check::Probe, signature::Keys};
use super::{
    Acknowledgement, Call, Credentials, Found, Hook, HttpReply, HttpRequest, InDoubt, Inbound, Method, NotGenuine,
    Outgoing, Provider, Receipt, Sender, Stamp, Unreadable,
};
use crate::domain::outcome::Outcome;

/// One Twilio account that sends SMS and WhatsApp messages. What does not change from message to message is built once, here.
pub struct Twilio {
    /// `…/2010-04-01/Accounts/AC…`, without `.json`.
    account_url: String,
    messages_url: String,
    /// The whole value of the `authorization` header.
    authorization: String,
    messaging_service: Option<String>,
    probe: Probe,
    keys: Keys,
}

impl Twilio {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    ///
    /// [`BadAccount`] says in words which setting is wrong; it never repeats a value.
    pub fn new(account: TwilioAccount) -> Result<Self, BadAccount> {
        account.check()?;
        let base = account.base_url.trim().trim_end_matches('/');
        let account_url = format!("{base}/2010-04-01/Accounts/{}", account.account_sid);
        let (user, password, probe) = match (&account.api_key, &account.auth_token) {
            (Some(key), _) => (&key.sid, &key.secret, Probe::Messages),
            (None, Some(token)) => (&account.account_sid, token, Probe::Account),
            (None, None) => return Err(BadAccount::NoCredentials),
        };
        Ok(Self {
            messages_url: format!("{account_url}/Messages.json"),
            authorization: format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            account_url,
            messaging_service: account.messaging_service,
            probe,
            keys: Keys { auth_token: account.auth_token, shared: account.shared_keys },
        })
    }

    /// Whether callbacks can be verified: Twilio signs them with the account's auth token (or a shared key), never with
    /// an API key. Without either every callback is refused with [`NotGenuine::NoKey`].
    pub fn verifies_callbacks(&self) -> bool {
        self.keys.any()
    }

    fn get(&self, url: String) -> HttpRequest {
        let headers = vec![("authorization", self.authorization.clone())];
        HttpRequest { method: Method::Get, url, headers, body: bytes::Bytes::new() }
    }
}

impl Provider for Twilio {
    fn calls(&self, _stamp: Stamp, sender: &Sender, messages: &[Outgoing]) -> Vec<Call> {
        self.send(sender, messages)
    }

    fn outcomes(&self, call: &Call, reply: &HttpReply) -> Vec<Outcome> {
        vec![answer::outcome(reply); call.carries.len()]
    }

    fn lookup(&self, _stamp: Stamp, doubt: &InDoubt) -> Option<HttpRequest> {
        Some(self.look_up(doubt))
    }

    fn found(&self, doubt: &InDoubt, reply: &HttpReply) -> Found {
        lookup::found(doubt, reply)
    }

    fn polls(&self) -> bool {
        true
    }

    fn poll(&self, _stamp: Stamp, provider_id: &str) -> Option<HttpRequest> {
        poll::is_id(provider_id).then(|| self.get(format!("{}/Messages/{provider_id}.json", self.account_url)))
    }

    fn polled(&self, provider_id: &str, reply: &HttpReply) -> Option<Receipt> {
        poll::read(provider_id, reply)
    }

    fn credential_check(&self, _stamp: Stamp) -> HttpRequest {
        self.get(self.probe.url(&self.account_url, &self.messages_url))
    }

    fn credentials(&self, reply: &HttpReply) -> Credentials {
        self.probe.read(reply)
    }

    fn verify(&self, hook: &Hook) -> Result<(), NotGenuine> {
        signature::verify(&self.keys, hook)
    }

    fn inbound(&self, hook: &Hook) -> Result<Vec<Inbound>, Unreadable> {
        callback::read(hook).map(|inbound| vec![inbound])
    }

    /// Empty TwiML: recorded, and nothing to answer.
    fn acknowledgement(&self, _hook: &Hook) -> Acknowledgement {
        Acknowledgement::new(200, "text/xml", "<Response/>")
    }
}

/// Neither the header nor the keys.
impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio")
            .field("account_url", &self.account_url)
            .field("messaging_service", &self.messaging_service)
            .field("verifies_callbacks", &self.verifies_callbacks())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod testing;
