//! What a sandbox is started with. Comes from code, or from a TOML or JSON file: unknown keys are refused, durations are
//! whole milliseconds, shares are between 0 and 1.
//!
//! Deliberately without a command line of its own: that is the caller's.

mod acs;
mod telesign;
mod twilio;

use serde::Deserialize;

pub use self::{
    acs::{AcsEvents, AcsResource, Casing, EventSchema},
    telesign::{Keywords, ReportSignature, TeleSignAccount},
    twilio::{ApiKey, ApprovalStatus, ContentTemplate, TwilioAccount},
};
use super::faults::Faults;

/// Everything that a sandbox can be started with; [`Settings::default`] knows one account of each provider and delivers
/// everything.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The Twilio accounts that may call. Default: one, [`Settings::DEFAULT_ACCOUNT_SID`] with [`Settings::DEFAULT_AUTH_TOKEN`].
    pub accounts: Vec<TwilioAccount>,
    /// The TeleSign accounts that may call. Default: one, [`Settings::DEFAULT_CUSTOMER_ID`] with
    /// [`Settings::DEFAULT_API_KEY`].
    pub telesign: Vec<TeleSignAccount>,
    /// The Communication Services resources that may call. Default: one, with [`Settings::DEFAULT_ACS_ACCESS_KEY`].
    pub acs: Vec<AcsResource>,
    /// Whether and how soon receipts are posted.
    pub receipts: Receipts,
    /// How many recipients answer, and what.
    pub replies: Replies,
    /// What is particular to WhatsApp.
    pub whatsapp: WhatsApp,
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
    /// The access key of the default Communication Services resource, whose endpoint is the sandbox's base URL. Nothing
    /// real, either.
    pub const DEFAULT_ACS_ACCESS_KEY: &str = "c2FuZGJveC1hY2Nlc3Mta2V5LW5vdGhpbmctcmVhbC0=";

    /// The customer id of the default TeleSign account.
    pub const DEFAULT_CUSTOMER_ID: &str = "00000000-0000-0000-0000-000000000001";
    /// The API key of the default TeleSign account. Nothing real either.
    pub const DEFAULT_API_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";

    /// Says in clear words what is wrong, if anything is.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        for account in &self.accounts {
            account.check()?;
        }
        unique("accounts", self.accounts.iter().flat_map(TwilioAccount::users))?;
        self.telesign.iter().try_for_each(TeleSignAccount::check)?;
        unique("telesign", self.telesign.iter().map(|account| account.customer_id.as_str()))?;
        for resource in &self.acs {
            resource.check()?;
        }
        unique("acs", self.acs.iter().map(|resource| resource.name.as_str()))?;
        unique("acs", self.acs.iter().map(|resource| resource.access_key.as_str()))?;
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
        if !(0.0..=1.0).contains(&self.whatsapp.read_share) {
            return Err(SettingsError("whatsapp.read_share: must be between 0 and 1".into()));
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
            telesign: vec![TeleSignAccount::new(Settings::DEFAULT_CUSTOMER_ID, Settings::DEFAULT_API_KEY)],
            acs: vec![AcsResource::new("sandbox", Settings::DEFAULT_ACS_ACCESS_KEY)],
            receipts: Receipts::default(),
            replies: Replies::default(),
            whatsapp: WhatsApp::default(),
            inbound_url: None,
            callbacks: Callbacks::default(),
            faults: Faults::default(),
            seed: 0,
            log_limit: 1_000_000,
            message_limit: 1_000_000,
        }
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

/// WhatsApp.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WhatsApp {
    /// Share of delivered messages that are read, which a receipt of its own tells. Default 0.
    pub read_share: f64,
    /// How long free text may be sent after the recipient has written, in milliseconds. Default 24 hours.
    pub window_ms: u64,
}

impl Default for WhatsApp {
    fn default() -> Self {
        WhatsApp { read_share: 0.0, window_ms: 24 * 3_600_000 }
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
pub struct SettingsError(pub(in crate::sandbox) String);

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

/// Two accounts of the same name would hide each other.
fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), SettingsError> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(SettingsError(format!("{what}: {} is there twice", twice[0]))),
        None => Ok(()),
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
