//! What an operator configures for a TeleSign account, and what is wrong with it, in words that never repeat a value: a key
//! pasted into the wrong field must not reach a log either.

use std::fmt;

use crate::{
    domain::account::{TeleSignAuth, TeleSignSettings},
    provider::{
        settings::{is_base_url, is_secret},
        signing::Key,
    },
};

/// Where TeleSign's API lives unless the account says otherwise.
pub const DEFAULT_BASE_URL: &str = "https://rest-ww.telesign.com";

/// A TeleSign account's settings. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TeleSignAccount {
    /// The customer id, as TeleSign's portal shows it.
    pub customer_id: String,
    /// The API key, in base 64: calls and callbacks are signed with it.
    pub api_key: String,
    /// How calls are authenticated.
    pub auth: TeleSignAuth,
    /// The API's address, the self-service one or a sandbox's; [`DEFAULT_BASE_URL`].
    pub base_url: String,
}

/// What is wrong with an account's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccount {
    /// The customer id.
    #[error("customer_id is empty or contains white space or a colon; expected it as TeleSign's portal shows it")]
    CustomerId,
    /// The API key.
    #[error("api_key is not base64, padded and without white space: it was probably not copied whole")]
    ApiKey,
    /// The address.
    #[error("base_url must be an http or https URL with a host, without user, query or fragment")]
    BaseUrl,
}

impl TeleSignAccount {
    /// An account at TeleSign's own address, with signed calls.
    pub fn new(customer_id: impl Into<String>, api_key: impl Into<String>) -> Self {
        Self {
            customer_id: customer_id.into(),
            api_key: api_key.into(),
            auth: TeleSignAuth::default(),
            base_url: DEFAULT_BASE_URL.to_owned(),
        }
    }

    /// The account that these settings describe, with its secret.
    pub fn of(settings: &TeleSignSettings, api_key: impl Into<String>) -> Self {
        let base_url = settings.base_url.clone().unwrap_or_else(|| DEFAULT_BASE_URL.to_owned());
        Self { auth: settings.auth, base_url, ..Self::new(&settings.customer_id, api_key) }
    }

    /// The key, if everything is well. A colon would end the id within a header.
    pub(super) fn key(&self) -> Result<Key, BadAccount> {
        if !is_secret(&self.customer_id) || self.customer_id.contains(':') {
            return Err(BadAccount::CustomerId);
        }
        if !is_base_url(&self.base_url) {
            return Err(BadAccount::BaseUrl);
        }
        Key::from_base64(&self.api_key).ok_or(BadAccount::ApiKey)
    }
}

impl fmt::Debug for TeleSignAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeleSignAccount")
            .field("customer_id", &self.customer_id)
            .field("auth", &self.auth)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::secret_ref::SecretRef,
        provider::{
            Provider as _,
            telesign::{TeleSign, testing},
        },
    };

    type Change = fn(&mut TeleSignAccount);

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let table: [(Change, BadAccount); 11] = [
            (|a| a.customer_id = String::new(), BadAccount::CustomerId),
            (|a| a.customer_id = " ".into(), BadAccount::CustomerId),
            (|a| a.customer_id = "hunter2:x".into(), BadAccount::CustomerId),
            (|a| a.api_key = String::new(), BadAccount::ApiKey),
            (|a| a.api_key = "hunter2".into(), BadAccount::ApiKey),
            (|a| a.api_key.push('\n'), BadAccount::ApiKey),
            (|a| a.api_key = a.api_key.trim_end_matches('=').to_owned(), BadAccount::ApiKey),
            (|a| a.api_key = "EXAMPLE----TE8sTgg45yusumoN6BYsBVkh+yRJ5czgs=".into(), BadAccount::ApiKey),
            (|a| a.base_url = "rest-ww.telesign.com".into(), BadAccount::BaseUrl),
            (|a| a.base_url = "https://x:hunter2@rest-ww.telesign.com".into(), BadAccount::BaseUrl),
            (|a| a.base_url = "https://rest-ww.telesign.com?a=hunter2".into(), BadAccount::BaseUrl),
        ];
        for (change, expected) in table {
            let mut account = testing::account();
            change(&mut account);
            let problem = TeleSign::new(account).map(|_| ()).unwrap_err();
            assert_eq!(problem, expected);
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn an_account_is_what_its_settings_say() {
        let settings = TeleSignSettings {
            customer_id: testing::CUSTOMER_ID.into(),
            api_key: SecretRef::Env("KEY".into()),
            auth: TeleSignAuth::Basic,
            base_url: Some("http://127.0.0.1:8081".into()),
        };
        let account = TeleSignAccount::of(&settings, testing::API_KEY);
        assert_eq!((account.auth, account.base_url.as_str()), (TeleSignAuth::Basic, "http://127.0.0.1:8081"));
        let settings = TeleSignSettings { base_url: None, auth: TeleSignAuth::Digest, ..settings };
        assert_eq!(TeleSignAccount::of(&settings, testing::API_KEY), testing::account());
    }

    #[test]
    fn no_secret_is_ever_shown() {
        for auth in [TeleSignAuth::Digest, TeleSignAuth::Basic] {
            let account = TeleSignAccount { auth, ..testing::account() };
            let shown = format!("{account:?}");
            let telesign = TeleSign::new(account).unwrap();
            let call = &telesign.calls(testing::stamp(), &testing::sender(), &[testing::outgoing("hello")])[0];
            let check = telesign.credential_check(testing::stamp());
            let poll = telesign.poll(testing::stamp(), "0123").unwrap();
            let shown = format!("{shown} {telesign:?} {call:?} {check:?} {poll:?}");
            let secret = call.request.headers.iter().find(|(name, _)| *name == "authorization").unwrap();
            for hidden in [testing::API_KEY, &testing::API_KEY[..12], "TSA ", "Basic ", "hello", &secret.1] {
                assert!(!shown.contains(hidden), "{shown}");
            }
            assert!(shown.contains("rest-ww.telesign.com"), "{shown}");
        }
    }
}
