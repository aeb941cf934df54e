//! What an operator configures for a Twilio account, and what is wrong with it, in words that never repeat a value:
//! a token pasted into the wrong field must not reach a log either.

use std::fmt;

use crate::provider::settings::{is_base_url, is_secret};

/// Where Twilio's API lives unless the account says otherwise.
pub const DEFAULT_BASE_URL: &str = "https://api.twilio.com";

/// A Twilio account's settings. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TwilioAccount {
    /// `AC` and 32 hexadecimal digits: the account (or subaccount) that sends.
    pub account_sid: String,
    /// The account's primary auth token. Callbacks are signed with it, so without it they cannot be verified.
    pub auth_token: Option<String>,
    /// An API key to call with instead of the auth token.
    pub api_key: Option<ApiKey>,
    /// The API's address, another region's or a sandbox's; [`DEFAULT_BASE_URL`].
    pub base_url: String,
    /// `MG` and 32 hexadecimal digits: a Messaging Service that the channel's sender is a member of.
    pub messaging_service: Option<String>,
    /// Shared keys (a public beta) that Twilio may sign callbacks with; none unless configured.
    pub shared_keys: Vec<SharedKey>,
}

/// An API key: it calls as the account but verifies nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// `SK` and 32 hexadecimal digits.
    pub sid: String,
    /// Shown by Twilio once.
    pub secret: String,
}

/// A key shared with Twilio for signing callbacks with HMAC-SHA256.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedKey {
    /// The name that a callback calls it by.
    pub id: String,
    /// The key.
    pub secret: String,
}

/// What is wrong with an account's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccount {
    /// The account's own id.
    #[error("account_sid must be \"AC\" and 32 hexadecimal digits, as the Twilio console shows it")]
    AccountSid,
    /// Nothing to call with.
    #[error("an auth_token or an API key is needed to call Twilio")]
    NoCredentials,
    /// An empty or mangled auth token.
    #[error("auth_token is empty or contains white space: it was probably not copied whole")]
    AuthToken,
    /// The API key's id.
    #[error("the API key's sid must be \"SK\" and 32 hexadecimal digits")]
    ApiKeySid,
    /// An empty or mangled API key secret.
    #[error("the API key's secret is empty or contains white space: it was probably not copied whole")]
    ApiKeySecret,
    /// The address.
    #[error("base_url must be an http or https URL with a host, without user, query or fragment")]
    BaseUrl,
    /// The Messaging Service.
    #[error("messaging_service must be \"MG\" and 32 hexadecimal digits")]
    MessagingService,
    /// A shared key.
    #[error("a shared key needs an id and a secret, neither empty nor with white space")]
    SharedKey,
}

impl TwilioAccount {
    /// An account at Twilio's own address, still without credentials.
    pub fn new(account_sid: impl Into<String>) -> Self {
        Self {
            account_sid: account_sid.into(),
            auth_token: None,
            api_key: None,
            base_url: DEFAULT_BASE_URL.to_owned(),
            messaging_service: None,
            shared_keys: Vec::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), BadAccount> {
        let held = |good: bool, problem: BadAccount| if good { Ok(()) } else { Err(problem) };
        held(is_sid(&self.account_sid, "AC"), BadAccount::AccountSid)?;
        held(self.auth_token.is_some() || self.api_key.is_some(), BadAccount::NoCredentials)?;
        held(self.auth_token.as_deref().is_none_or(is_secret), BadAccount::AuthToken)?;
        if let Some(key) = &self.api_key {
            held(is_sid(&key.sid, "SK"), BadAccount::ApiKeySid)?;
            held(is_secret(&key.secret), BadAccount::ApiKeySecret)?;
        }
        held(is_base_url(&self.base_url), BadAccount::BaseUrl)?;
        let service = self.messaging_service.as_deref();
        held(service.is_none_or(|sid| is_sid(sid, "MG")), BadAccount::MessagingService)?;
        let shared = self.shared_keys.iter().all(|key| is_secret(&key.id) && is_secret(&key.secret));
        held(shared, BadAccount::SharedKey)
    }
}

fn is_sid(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Debug for TwilioAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioAccount")
            .field("account_sid", &self.account_sid)
            .field("api_key", &self.api_key)
            .field("base_url", &self.base_url)
            .field("messaging_service", &self.messaging_service)
            .field("shared_keys", &self.shared_keys)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("sid", &self.sid).finish_non_exhaustive()
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{
        Hook, Method, NotGenuine, Provider as _,
        twilio::{Twilio, testing},
    };

    type Change = fn(&mut TwilioAccount);

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let table: [(Change, BadAccount); 14] = [
            (|a| a.account_sid = "hunter2".into(), BadAccount::AccountSid),
            (|a| a.account_sid = format!("AC{}", "g".repeat(32)), BadAccount::AccountSid),
            (|a| a.account_sid.push('0'), BadAccount::AccountSid),
            (|a| a.auth_token = None, BadAccount::NoCredentials),
            (|a| a.auth_token = Some(String::new()), BadAccount::AuthToken),
            (|a| a.auth_token = Some("hunter2\n".into()), BadAccount::AuthToken),
            (|a| a.api_key = Some(ApiKey { sid: "hunter2".into(), secret: "s".into() }), BadAccount::ApiKeySid),
            (|a| a.api_key = Some(ApiKey { secret: " ".into(), ..testing::api_key() }), BadAccount::ApiKeySecret),
            (|a| a.base_url = "api.twilio.com".into(), BadAccount::BaseUrl),
            (|a| a.base_url = "ftp://api.twilio.com".into(), BadAccount::BaseUrl),
            (|a| a.base_url = "https://x:hunter2@api.twilio.com".into(), BadAccount::BaseUrl),
            (|a| a.base_url = "https://api.twilio.com?a=b".into(), BadAccount::BaseUrl),
            (|a| a.messaging_service = Some("MGhunter2".into()), BadAccount::MessagingService),
            (|a| a.shared_keys = vec![SharedKey { id: "k".into(), secret: String::new() }], BadAccount::SharedKey),
        ];
        for (change, expected) in table {
            let mut account = testing::account();
            change(&mut account);
            let problem = Twilio::new(account).map(|_| ()).unwrap_err();
            assert_eq!(problem, expected);
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let mut account = testing::account();
        account.auth_token = Some("s3cret-token".into());
        account.api_key = Some(ApiKey { secret: "s3cret-key".into(), ..testing::api_key() });
        account.shared_keys = vec![SharedKey { id: "k1".into(), secret: "s3cret-shared".into() }];
        let shown = format!("{account:?}");
        let twilio = Twilio::new(account).unwrap();
        let call = &twilio.calls(testing::stamp(), &testing::sender(), &[testing::outgoing("hello")])[0];
        let shown = format!("{shown} {twilio:?} {call:?} {:?}", twilio.credential_check(testing::stamp()));
        assert!(!shown.contains("s3cret") && !shown.contains("Basic") && !shown.contains("hello"), "{shown}");
        assert!(shown.contains(testing::ACCOUNT_SID), "{shown}");
    }

    #[test]
    fn an_api_key_alone_sends_but_says_that_it_cannot_verify() {
        let account = TwilioAccount { auth_token: None, api_key: Some(testing::api_key()), ..testing::account() };
        let twilio = Twilio::new(account).unwrap();
        assert!(!twilio.verifies_callbacks() && testing::twilio().verifies_callbacks());
        let headers = vec![("x-twilio-signature".into(), "AAAA".into())];
        let hook = Hook { method: Method::Post, url: "https://a.example/h".into(), headers, body: bytes::Bytes::new() };
        assert_eq!(twilio.verify(&hook), Err(NotGenuine::NoKey));
    }
}
