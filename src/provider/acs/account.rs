//! What an operator configures for a Communication Services resource, and what is wrong with it, in words that never repeat a
//! value: a key pasted into the wrong field must not reach a log either.

use std::fmt;

use url::Url;

use crate::provider::{
    settings::{is_base_url, is_secret},
    signing::Key,
};

/// The version of the API unless the account says otherwise: the one that Microsoft's own libraries speak.
pub const DEFAULT_API_VERSION: &str = "2021-03-07";

/// A resource's settings. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AcsAccount {
    /// The resource's address, `https://NAME.communication.azure.com`.
    pub endpoint: String,
    /// One of its two keys, in base 64.
    pub access_key: String,
    /// Where calls go instead of the endpoint: a sandbox, a proxy.
    pub base_url: Option<String>,
    /// The version of the API; [`DEFAULT_API_VERSION`].
    pub api_version: String,
    /// What Event Grid must say with each event. Without it nothing but the unguessable address of the callbacks protects them,
    /// for Event Grid signs nothing.
    pub callback_secret: Option<String>,
}

/// What is wrong with an account's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccount {
    /// Nothing to call with, or too much.
    #[error("expected either connection_string alone, or endpoint and access_key")]
    Credentials,
    /// The connection string.
    #[error("connection_string must be \"endpoint=https://…;accesskey=…\", as the portal shows it")]
    ConnectionString,
    /// The address.
    #[error(
        "endpoint must be an http or https URL with a host, without user, query or fragment, like \"https://NAME.communication.azure.com\""
    )]
    Endpoint,
    /// The key.
    #[error("access_key is not base64, padded and without white space: it was probably not copied whole")]
    AccessKey,
    /// Another address.
    #[error("base_url must be an http or https URL with a host, without user, query or fragment")]
    BaseUrl,
    /// The version.
    #[error("api_version must be a date like \"2021-03-07\"")]
    ApiVersion,
    /// The secret of the callbacks.
    #[error("callback_secret is empty or contains white space: it was probably not copied whole")]
    CallbackSecret,
}

impl AcsAccount {
    /// A resource with one of its keys.
    pub fn new(endpoint: impl Into<String>, access_key: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            access_key: access_key.into(),
            base_url: None,
            api_version: DEFAULT_API_VERSION.to_owned(),
            callback_secret: None,
        }
    }

    /// A resource as the portal describes it: `endpoint=https://…;accesskey=…`, in any order and case.
    ///
    /// # Errors
    ///
    /// [`BadAccount::ConnectionString`] if either is missing.
    pub fn from_connection_string(text: &str) -> Result<Self, BadAccount> {
        let parts = || text.split(';').filter_map(|part| part.split_once('='));
        let value = |name: &str| {
            let found = parts().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).ok_or(BadAccount::ConnectionString)
        };
        Ok(Self::new(value("endpoint")?, value("accesskey")?))
    }

    pub(super) fn check(&self) -> Result<(), BadAccount> {
        held(is_base_url(&self.endpoint), BadAccount::Endpoint)?;
        held(Key::from_base64(&self.access_key).is_some(), BadAccount::AccessKey)?;
        held(self.base_url.as_deref().is_none_or(is_base_url), BadAccount::BaseUrl)?;
        held(is_version(&self.api_version), BadAccount::ApiVersion)?;
        held(self.callback_secret.as_deref().is_none_or(is_secret), BadAccount::CallbackSecret)
    }
}

fn held(good: bool, problem: BadAccount) -> Result<(), BadAccount> {
    if good { Ok(()) } else { Err(problem) }
}

/// A date, or a date with `-preview`.
fn is_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    let parts: Vec<&str> = date.split('-').collect();
    let digits = |part: &&str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(parts.as_slice(), [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

/// Where calls go, taken apart: what is signed is what is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Without a slash at its end.
    pub(super) url: String,
    /// The host, and the port unless it is the scheme's own: what the `Host` header says.
    pub(super) authority: String,
    /// What a proxy may put before the API's own paths; most often nothing.
    pub(super) path: String,
}

impl Place {
    /// `None` if it is no address.
    pub(super) fn of(base_url: &str) -> Option<Self> {
        let url = Url::parse(base_url.trim()).ok()?;
        let host = url.host_str()?;
        Some(Self {
            authority: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            path: url.path().trim_end_matches('/').to_owned(),
            url: url.as_str().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Debug for AcsAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcsAccount")
            .field("endpoint", &self.endpoint)
            .field("base_url", &self.base_url)
            .field("api_version", &self.api_version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{
        Hook, Method, Provider as _,
        acs::{Acs, testing},
    };

    type Change = fn(&mut AcsAccount);

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let table: [(Change, BadAccount); 11] = [
            (|a| a.endpoint = "contoso.communication.azure.com".into(), BadAccount::Endpoint),
            (|a| a.endpoint = "https://x:hunter2@contoso.example".into(), BadAccount::Endpoint),
            (|a| a.access_key = String::new(), BadAccount::AccessKey),
            (|a| a.access_key = "hunter2".into(), BadAccount::AccessKey),
            (|a| a.access_key.push(' '), BadAccount::AccessKey),
            (|a| a.base_url = Some("hunter2".into()), BadAccount::BaseUrl),
            (|a| a.api_version = "hunter2".into(), BadAccount::ApiVersion),
            (|a| a.api_version = "2021-03-07&a=b".into(), BadAccount::ApiVersion),
            (|a| a.api_version = String::new(), BadAccount::ApiVersion),
            (|a| a.callback_secret = Some(String::new()), BadAccount::CallbackSecret),
            (|a| a.callback_secret = Some("hunter2 ".into()), BadAccount::CallbackSecret),
        ];
        for (change, expected) in table {
            let mut account = testing::account();
            change(&mut account);
            let problem = Acs::new(account).map(|_| ()).unwrap_err();
            assert_eq!(problem, expected);
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
        for version in ["2021-03-07", "2025-09-17", "2026-01-23", "2024-12-10-preview"] {
            let account = AcsAccount { api_version: version.into(), ..testing::account() };
            assert!(Acs::new(account).is_ok(), "{version}");
        }
    }

    #[test]
    fn a_connection_string_is_read_as_the_portal_and_people_write_it() {
        let key = testing::ACCESS_KEY;
        for text in [
            format!("endpoint=https://contoso.communication.azure.com/;accesskey={key}"),
            format!("accesskey={key};endpoint=https://contoso.communication.azure.com"),
            format!(" Endpoint=https://contoso.communication.azure.com/ ; AccessKey={key} ;"),
        ] {
            let account = AcsAccount::from_connection_string(&text).unwrap();
            assert_eq!(account.access_key, key);
            let acs = Acs::new(account).unwrap();
            let check = acs.credential_check(testing::stamp());
            assert!(check.url.starts_with("https://contoso.communication.azure.com/phoneNumbers?"), "{}", check.url);
        }
        for text in ["", "hunter2", "endpoint=https://a.example", "accesskey=QQ==", "endpoint=;accesskey=QQ=="] {
            assert_eq!(
                AcsAccount::from_connection_string(text).map(|_| ()),
                Err(BadAccount::ConnectionString),
                "{text}"
            );
        }
    }

    #[test]
    fn a_place_is_what_the_host_header_says() {
        for (text, url, authority, path) in [
            ("https://Contoso.example/", "https://contoso.example", "contoso.example", ""),
            ("https://contoso.example:443", "https://contoso.example", "contoso.example", ""),
            ("https://contoso.example:8443", "https://contoso.example:8443", "contoso.example:8443", ""),
            ("http://127.0.0.1:8081/acs/", "http://127.0.0.1:8081/acs", "127.0.0.1:8081", "/acs"),
            ("http://[::1]:80/", "http://[::1]", "[::1]", ""),
        ] {
            let expected = Place { url: url.into(), authority: authority.into(), path: path.into() };
            assert_eq!(Place::of(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let account = AcsAccount { callback_secret: Some("s3cret".into()), ..testing::account() };
        let shown = format!("{account:?}");
        let acs = Acs::new(account).unwrap();
        let call = &acs.calls(testing::stamp(), &testing::sender(), &[testing::outgoing(1, "hello")])[0];
        let check = acs.credential_check(testing::stamp());
        let shown = format!("{shown} {acs:?} {call:?} {check:?}");
        for hidden in [testing::ACCESS_KEY, "s3cret", "HMAC", "Signature", "hello"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
        assert!(shown.contains("contoso.communication.azure.com"), "{shown}");
        let url = "https://hooks.example/t/acc_1?secret=s3cret".to_owned();
        let hook = Hook { method: Method::Post, url, headers: Vec::new(), body: "[{}]".into() };
        let problem = acs.inbound(&hook).unwrap_err();
        assert!(!problem.to_string().contains("s3cret") && acs.verify(&hook).is_ok(), "{problem}");
    }
}
