//! TeleSign accounts: their credentials, and what is theirs.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{AccountStatus, SettingsError, callback_url};

/// A TeleSign account that the sandbox knows.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeleSignAccount {
    /// The user name.
    pub customer_id: String,
    /// The key, in base64: the password of Basic credentials as it is, and decoded what signatures are made with.
    pub api_key: String,
    /// The sender ids of the account. Empty: any is its own; else a message from another one fails later, with 521.
    #[serde(default)]
    pub senders: Vec<String>,
    /// Where the reports of messages go that name no `callback_url` of their own.
    #[serde(default)]
    pub callback_url: Option<String>,
    /// Where inbound messages go, unless the control surface has set another URL for the number.
    #[serde(default)]
    pub inbound_url: Option<String>,
    /// What `X-TS-Authorization` carries on reports and inbound messages.
    #[serde(default)]
    pub report_signature: ReportSignature,
    /// Whether inbound messages name the action that their keyword asks for.
    #[serde(default)]
    pub keywords: Keywords,
    /// Anything but active refuses every call.
    #[serde(default)]
    pub status: AccountStatus,
}

/// How the signature of a report is written in `X-TS-Authorization`; `Authorization` always has the full form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportSignature {
    /// The signature alone.
    #[default]
    Bare,
    /// `TSA customer:signature`.
    Full,
}

/// Whether an account has keyword handling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keywords {
    /// `action` and `keyword` say what was recognised.
    #[default]
    On,
    /// Neither is there.
    Off,
}

impl TeleSignAccount {
    /// An active account that may send from any sender.
    pub fn new(customer_id: impl Into<String>, api_key: impl Into<String>) -> Self {
        TeleSignAccount {
            customer_id: customer_id.into(),
            api_key: api_key.into(),
            senders: Vec::new(),
            callback_url: None,
            inbound_url: None,
            report_signature: ReportSignature::default(),
            keywords: Keywords::default(),
            status: AccountStatus::Active,
        }
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let id = &self.customer_id;
        if id.is_empty() || id.contains(':') || !id.is_ascii() {
            return Err(SettingsError(format!("telesign: {id:?} is no customer id: ASCII without a colon")));
        }
        if STANDARD.decode(&self.api_key).is_ok_and(|key| !key.is_empty()) {
            let urls = [("callback_url", &self.callback_url), ("inbound_url", &self.inbound_url)];
            return urls.into_iter().try_for_each(|(name, url)| match url.as_deref().map(callback_url) {
                Some(Err(why)) => Err(SettingsError(format!("telesign: {name} of {id}: {why}"))),
                Some(Ok(_)) | None => Ok(()),
            });
        }
        Err(SettingsError(format!("telesign: the api_key of {id} is not base64")))
    }
}

impl fmt::Debug for TeleSignAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeleSignAccount")
            .field("customer_id", &self.customer_id)
            .field("senders", &self.senders.len())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
