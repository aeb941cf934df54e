//! Twilio accounts: their credentials, and what is theirs.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{AccountStatus, SettingsError, is_sid};

/// A Twilio account that the sandbox knows.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwilioAccount {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The password of the account sid; it also signs receipts and replies.
    pub auth_token: String,
    /// API keys, which may send and read messages but not read the account.
    #[serde(default)]
    pub api_keys: Vec<ApiKey>,
    /// The senders of the account: numbers, short codes, names, and WhatsApp senders as `whatsapp:+14255550100`. Empty: any
    /// sender is its own.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// The Messaging Services of the account; their pool is `numbers`. Empty: any well-formed sid is its own.
    #[serde(default)]
    pub messaging_services: Vec<String>,
    /// The content templates. Empty: any well-formed sid is content that is approved and says what it is given.
    #[serde(default)]
    pub templates: Vec<ContentTemplate>,
    /// What the credential check answers; anything but active refuses to send.
    #[serde(default)]
    pub status: AccountStatus,
}

impl TwilioAccount {
    /// An active account that may send from any number.
    pub fn new(account_sid: impl Into<String>, auth_token: impl Into<String>) -> Self {
        TwilioAccount {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            api_keys: Vec::new(),
            numbers: Vec::new(),
            messaging_services: Vec::new(),
            templates: Vec::new(),
            status: AccountStatus::Active,
        }
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.account_sid.as_str()).chain(self.api_keys.iter().map(|key| key.sid.as_str()))
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let sids = std::iter::once(("AC", &self.account_sid))
            .chain(self.api_keys.iter().map(|key| ("SK", &key.sid)))
            .chain(self.messaging_services.iter().map(|service| ("MG", service)))
            .chain(self.templates.iter().map(|template| ("HX", &template.sid)));
        for (prefix, sid) in sids {
            if !is_sid(prefix, sid) {
                return Err(SettingsError(format!("accounts: {sid:?} is not {prefix} and 32 hexadecimal digits")));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TwilioAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioAccount")
            .field("account_sid", &self.account_sid)
            .field("numbers", &self.numbers.len())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A content template.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentTemplate {
    /// `HX` and 32 hexadecimal digits.
    pub sid: String,
    /// The text, with placeholders like `{{1}}`.
    pub text: String,
    /// Values for placeholders that a message leaves out.
    #[serde(default)]
    pub defaults: BTreeMap<String, String>,
    /// Whether WhatsApp has approved it.
    #[serde(default)]
    pub status: ApprovalStatus,
    /// The name under which it was handed in for approval.
    #[serde(default = "name")]
    pub name: String,
    /// `UTILITY`, `MARKETING` or `AUTHENTICATION`.
    #[serde(default = "utility")]
    pub category: String,
    /// Why it was rejected, if it was.
    #[serde(default)]
    pub rejection_reason: String,
}

impl ContentTemplate {
    /// Approved content.
    pub fn new(sid: impl Into<String>, text: impl Into<String>) -> Self {
        ContentTemplate {
            sid: sid.into(),
            text: text.into(),
            defaults: BTreeMap::new(),
            status: ApprovalStatus::Approved,
            name: name(),
            category: utility(),
            rejection_reason: String::new(),
        }
    }
}

fn name() -> String {
    "sandbox".into()
}

fn utility() -> String {
    "UTILITY".into()
}

/// Where a template is on its way to be approved by WhatsApp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalStatus {
    /// Not handed in.
    Unsubmitted,
    /// Handed in.
    Received,
    /// Being looked at.
    Pending,
    /// It may begin a conversation.
    #[default]
    Approved,
    /// It may not.
    Rejected,
    /// It may not for a while, because recipients complained.
    Paused,
    /// It may not any more.
    Disabled,
}

/// An API key: a user name and password that stand for an account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// `SK` and 32 hexadecimal digits.
    pub sid: String,
    /// Its password.
    pub secret: String,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("sid", &self.sid).finish_non_exhaustive()
    }
}
