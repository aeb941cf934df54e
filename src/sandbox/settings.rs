//! What a sandbox is started with. Comes from code, or from a TOML or JSON file: unknown keys are refused, durations are
//! whole milliseconds, shares are between 0 and 1.
//!
//! Deliberately without a command line of its own: that is the caller's.

use std::fmt;

use serde::Deserialize;

use super::faults::Faults;

/// Everything that a sandbox can be started with; [`Settings::default`] knows one account and delivers everything.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The accounts that may call. Default: one, [`Settings::DEFAULT_ACCOUNT_SID`] with [`Settings::DEFAULT_AUTH_TOKEN`].
    pub accounts: Vec<TwilioAccount>,
    /// Whether and how soon receipts are posted.
    pub receipts: Receipts,
    /// How many recipients answer, and what.
    pub replies: Replies,
    /// Where inbound messages are posted, unless the control surface has set another URL for the number.
    pub inbound_url: Option<String>,
    /// How receipts and replies are posted.
    pub callbacks: Callbacks,
    /// What goes wrong, by share; can be changed while running.
    pub faults: Faults,
    /// Seed of the draws; the same seed and the same order of calls give the same faults to calls. Default 0.
    pub seed: u64,
    /// Calls kept in the log; the oldest make room and are counted. Default 1,000,000.
    pub log_limit: usize,
    /// Message resources kept; the oldest make room and are then unknown. Default 1,000,000.
    pub message_limit: usize,
}

impl Settings {
    /// The account sid of the default account.
    pub const DEFAULT_ACCOUNT_SID: &str = "AC00000000000000000000000000000001";
    /// The auth token of the default account. Nothing real: it opens this simulator only.
    pub const DEFAULT_AUTH_TOKEN: &str = "00000000000000000000000000000001";

    /// Says in clear words what is wrong, if anything is.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        for account in &self.accounts {
            account.check()?;
        }
        let mut users: Vec<&str> = self.accounts.iter().flat_map(TwilioAccount::users).collect();
        users.sort_unstable();
        if let Some(twice) = users.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SettingsError(format!("accounts: {} is there twice", twice[0])));
        }
        range("receipts", self.receipts.min_delay_ms, self.receipts.max_delay_ms)?;
        range("replies", self.replies.min_delay_ms, self.replies.max_delay_ms)?;
        if !(0.0..=1.0).contains(&self.replies.share) {
            return Err(SettingsError("replies.share: must be between 0 and 1".into()));
        }
        if self.replies.share > 0.0 && self.replies.texts.is_empty() {
            return Err(SettingsError(
                "replies.texts: at least one text is needed when replies.share is above 0".into(),
            ));
        }
        if let Some(address) = &self.inbound_url {
            callback_url(address).map_err(|why| SettingsError(format!("inbound_url: {why}")))?;
        }
        positive("callbacks.concurrency", self.callbacks.concurrency)?;
        positive("callbacks.queue_limit", self.callbacks.queue_limit)?;
        positive("callbacks.attempts", self.callbacks.attempts as usize)?;
        positive("log_limit", self.log_limit)?;
        positive("message_limit", self.message_limit)?;
        self.faults.check().map_err(|why| SettingsError(format!("faults.{why}")))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            accounts: vec![TwilioAccount::new(Settings::DEFAULT_ACCOUNT_SID, Settings::DEFAULT_AUTH_TOKEN)],
            receipts: Receipts::default(),
            replies: Replies::default(),
            inbound_url: None,
            callbacks: Callbacks::default(),
            faults: Faults::default(),
            seed: 0,
            log_limit: 1_000_000,
            message_limit: 1_000_000,
        }
    }
}

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
    /// The senders of the account (numbers, short codes, names). Empty: any sender is its own.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// The Messaging Services of the account; their pool is `numbers`. Empty: any well-formed sid is its own.
    #[serde(default)]
    pub messaging_services: Vec<String>,
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
            status: AccountStatus::Active,
        }
    }

    fn users(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.account_sid.as_str()).chain(self.api_keys.iter().map(|key| key.sid.as_str()))
    }

    fn check(&self) -> Result<(), SettingsError> {
        let sids = std::iter::once(("AC", &self.account_sid))
            .chain(self.api_keys.iter().map(|key| ("SK", &key.sid)))
            .chain(self.messaging_services.iter().map(|service| ("MG", service)));
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

/// Whether an account may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// It may.
    #[default]
    Active,
    /// Stopped for the time being.
    Suspended,
    /// Stopped for good.
    Closed,
}

/// Receipts (status callbacks).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Receipts {
    /// Post them at all; off, statuses still move on and can be polled. Default true.
    pub enabled: bool,
    /// Least time between two steps of a message, in milliseconds. Default 20.
    pub min_delay_ms: u64,
    /// Most time between two steps of a message, in milliseconds. Default 200.
    pub max_delay_ms: u64,
}

impl Default for Receipts {
    fn default() -> Self {
        Receipts { enabled: true, min_delay_ms: 20, max_delay_ms: 200 }
    }
}

/// Replies of recipients to what was delivered to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replies {
    /// Share of delivered messages that are answered. Default 0.
    pub share: f64,
    /// What is answered: one of these, drawn evenly. Default `Thank you`.
    pub texts: Vec<String>,
    /// Least time from delivery to the answer, in milliseconds. Default 20.
    pub min_delay_ms: u64,
    /// Most time from delivery to the answer, in milliseconds. Default 200.
    pub max_delay_ms: u64,
}

impl Default for Replies {
    fn default() -> Self {
        Replies { share: 0.0, texts: vec!["Thank you".into()], min_delay_ms: 20, max_delay_ms: 200 }
    }
}

/// How receipts and replies are posted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callbacks {
    /// Posts in flight at most. Default 64.
    pub concurrency: usize,
    /// Attempts at most, the first one included, when the receiver cannot be reached or answers 5xx. Default 4.
    pub attempts: u32,
    /// Wait before the second attempt, in milliseconds; doubles each time. Default 250.
    pub retry_ms: u64,
    /// How long the receiver may take, in milliseconds. Default 15,000.
    pub timeout_ms: u64,
    /// Steps waiting to fall due at most; more are dropped and counted. Default 2,000,000.
    pub queue_limit: usize,
}

impl Default for Callbacks {
    fn default() -> Self {
        Callbacks { concurrency: 64, attempts: 4, retry_ms: 250, timeout_ms: 15_000, queue_limit: 2_000_000 }
    }
}

/// What is wrong with the settings, in clear words.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox's settings are not usable: {0}")]
pub struct SettingsError(pub(super) String);

/// Whether `sid` is the prefix and 32 hexadecimal digits.
pub(super) fn is_sid(prefix: &str, sid: &str) -> bool {
    sid.strip_prefix(prefix).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Reads a URL that can be posted to, or says in a word why it cannot.
pub(super) fn callback_url(address: &str) -> Result<url::Url, &'static str> {
    if address.len() > 4000 {
        return Err("longer than 4000 characters");
    }
    let url = url::Url::parse(address).map_err(|_| "not an absolute URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("neither http nor https");
    }
    match url.host_str() {
        None | Some("") => Err("without a host"),
        Some(host) if host.contains('_') => Err("an underscore in the host name"),
        Some(_) => Ok(url),
    }
}

fn range(name: &str, min: u64, max: u64) -> Result<(), SettingsError> {
    if min > max {
        return Err(SettingsError(format!("{name}: min_delay_ms {min} is above max_delay_ms {max}")));
    }
    Ok(())
}

fn positive(name: &str, value: usize) -> Result<(), SettingsError> {
    if value == 0 {
        return Err(SettingsError(format!("{name}: must be at least 1")));
    }
    Ok(())
}
