//! What an organization defines: accounts, channels, outbound configurations, hooks. The same shape in files, in the API and
//! in the store. Whether the parts fit together is checked where they are read (`definitions`), not here.

use std::{collections::BTreeMap, fmt, time::Duration};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    account::ProviderKind,
    canary::{CanarySize, Guard},
    contact::ChannelType,
    contact::OptIn,
    fairness::Priority,
    id::OrgId,
    limits::Limits,
    locale::Locale,
    pace,
    phone::Country,
    quiet::QuietHours,
    quota::Allowance,
    rate::Rate,
    secret_ref::SecretRef,
    time::Span,
};

/// The tenant (`organization.toml`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// Its short name: part of every key.
    pub id: OrgId,
    /// Its name, for people.
    pub name: String,
    /// Where its days begin and its schedules tick, unless they say otherwise.
    #[serde(default)]
    pub timezone: Tz,
    /// Allows numbers in national form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_country: Option<Country>,
    /// Requests in any 60 consecutive minutes, at most `30_000/hour`.
    #[serde(default = "full_quota")]
    pub quota: Rate,
    /// Percent of the quota kept for automatic messages.
    #[serde(default = "five_percent")]
    pub reserved_for_automatic: u8,
    /// How many marketing messages one person may get on one type of channel, over all runs; no limit if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_cap: Option<Rate>,
    /// When marketing waits, by the recipient's clock; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Where its templates lie, beside `templates/` in its own folder; the starter library if neither exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<String>,
}

/// The contract's limit: 30,000 requests in any 60 minutes (SPEC 8).
pub const CONTRACT_QUOTA: u64 = 30_000;

fn full_quota() -> Rate {
    Rate { count: CONTRACT_QUOTA, per: Duration::from_secs(3600) }
}

fn five_percent() -> u8 {
    5
}

impl Organization {
    /// What it may dispatch, and what of that is kept for automatic messages.
    pub fn allowance(&self) -> Allowance {
        Allowance { limit: self.quota.count, reserved_percent: self.reserved_for_automatic }
    }
}

/// A sender (`channels/NAME.toml`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// SMS or WhatsApp.
    #[serde(rename = "type")]
    pub channel_type: ChannelType,
    /// The account's name.
    pub account: String,
    /// The sender: for SMS digits only, a short code or an alphanumeric id; for WhatsApp with a leading `+`.
    pub number: String,
    /// Which of these it is.
    #[serde(default)]
    pub number_type: NumberType,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Segments a second, instead of the default of the provider and number type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Rate>,
    /// Who may send attachments.
    #[serde(default)]
    pub attachments: Attachments,
    /// The locale of the channel's own texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The channel that its messages leave through while its account is stopped or does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Whether typographic look-alikes in its texts are replaced by characters of GSM-7; for SMS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub smart_encoding: bool,
}

/// What becomes of typographic look-alikes (curly quotes, long dashes, no-break spaces) in a text that leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmartEncoding {
    /// They stay.
    #[default]
    Off,
    /// They are replaced by characters of GSM-7.
    On,
}

/// What a sender is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberType {
    /// A long code.
    #[default]
    Geographic,
    /// Five or six digits.
    ShortCode,
    /// Free to call.
    TollFree,
    /// A name.
    Alphanumeric,
}

/// The two switches for attachments; both off unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attachments {
    /// Customers may send them.
    pub from_customers: bool,
    /// The organization may send them.
    pub from_organization: bool,
}

impl Channel {
    /// What becomes of look-alikes in what leaves through it. What WhatsApp has approved is never touched.
    pub fn smart_encoding(&self) -> SmartEncoding {
        match self.channel_type {
            ChannelType::Sms if self.smart_encoding => SmartEncoding::On,
            ChannelType::Sms | ChannelType::WhatsApp => SmartEncoding::Off,
        }
    }

    /// What may leave in a second, by the channel's own word or by its kind.
    pub fn pace(&self, provider: ProviderKind) -> Rate {
        self.pace.unwrap_or_else(|| pace::default_rate(provider, self.channel_type, self.number_type))
    }
}

/// What to send, from where, to whom, on what trigger (`outbound/NAME.toml`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Its name; the file's name if left out.
    #[serde(default)]
    pub name: String,
    /// Triggering an inactive one sends nothing and says why.
    #[serde(default = "yes")]
    pub active: bool,
    /// The channel's name.
    pub channel: String,
    /// The template's name.
    pub template: String,
    /// Whether each message leaves an activity: advised for messages about one customer's case, not for bulk.
    #[serde(default)]
    pub show_in_timeline: bool,
    /// How long a message is worth sending.
    #[serde(default = "a_day")]
    pub valid_for: Span,
    /// Attests for every contact that does not say: they agreed.
    #[serde(default)]
    pub opted_in: bool,
    /// What to do with a message that may or may not have been sent, when nobody can tell.
    #[serde(default)]
    pub on_uncertain: OnUncertain,
    /// The first slice of a run, sent before the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanarySize>,
    /// How long receipts and replies to it are awaited; ten minutes if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_wait: Option<Span>,
    /// What pauses a run.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub limits: Limits,
    /// When it fires.
    pub trigger: Trigger,
    /// To whom, where the trigger does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<AudienceRef>,
}

impl Configuration {
    /// What stands in for a missing `optin`.
    pub fn attested(&self) -> Option<OptIn> {
        self.opted_in.then_some(OptIn::Yes)
    }

    /// What its runs are kept from going wrong by.
    pub fn guard(&self) -> Guard {
        Guard { canary: self.canary, canary_wait: self.canary_wait, limits: self.limits }
    }
}

fn is_usual(limits: &Limits) -> bool {
    *limits == Limits::default()
}

fn yes() -> bool {
    true
}

fn a_day() -> Span {
    Span(Duration::from_secs(86_400))
}

/// Never twice, or never lost: the choice where the provider cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUncertain {
    /// Leave it `uncertain`; a later receipt may resolve it. Never twice.
    #[default]
    Keep,
    /// Send it again. Perhaps twice.
    Resend,
}

/// When a configuration fires (SPEC 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Trigger {
    /// On a system event.
    Automatic {
        /// The event's type, like `case.created`.
        event: String,
        /// A CEL condition over `event`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<String>,
        /// How long to wait after the event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delay: Option<Span>,
        /// How the event becomes a contact; without it, `event.data.contact` or `event.data.contacts`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<Mapping>,
    },
    /// By a person or a program.
    Instant {},
    /// By the clock.
    Scheduled {
        /// Local times, `2026-12-01T09:00`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        at: Vec<String>,
        /// A cron expression of 5, 6 or 7 fields.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cron: Option<String>,
        /// Once, so long after this was said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Span>,
        /// The IANA time zone of these; the organization's if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timezone: Option<Tz>,
        /// A time missed by no more than this still fires.
        #[serde(default = "an_hour")]
        grace: Span,
    },
}

fn an_hour() -> Span {
    Span(Duration::from_secs(3600))
}

impl Trigger {
    /// The lane of its requests: automatic before instant before scheduled bulk (SPEC 8).
    pub fn priority(&self) -> Priority {
        match self {
            Self::Automatic { .. } => Priority::Automatic,
            Self::Instant {} => Priority::Instant,
            Self::Scheduled { .. } => Priority::Bulk,
        }
    }
}

/// CEL expressions that make a contact of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The number.
    pub to: String,
    /// Whether the contact agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optin: Option<String>,
    /// The contact's locale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The contact's time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The slugs' values, by name.
    #[serde(default)]
    pub context: BTreeMap<String, String>,
}

/// An audience that herald holds itself: one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudienceRef {
    /// A stored list, by its name (`lists/NAME.csv`).
    List(String),
    /// Everybody who has a case of this kind, once each.
    Cases(CaseQuery),
}

impl AudienceRef {
    /// The list, if it is one.
    pub fn list(&self) -> Option<&str> {
        match self {
            Self::List(name) => Some(name),
            Self::Cases(_) => None,
        }
    }
}

impl fmt::Display for AudienceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(name) => write!(f, "list {name}"),
            Self::Cases(CaseQuery { status: Some(status) }) => write!(f, "cases with the status {status}"),
            Self::Cases(CaseQuery { status: None }) => f.write_str("cases of any status"),
        }
    }
}

/// Which of the cases are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseQuery {
    /// Those with this status, like `resolved`; all if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// A place that signed events are posted to (`hooks/NAME.toml`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The Standard Webhooks secret, `whsec_…`.
    pub secret: SecretRef,
}

/// Where the organization wants to hear of what happens (`endpoints/NAME.toml`): signed Standard Webhooks are posted there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The address.
    pub url: String,
    /// The Standard Webhooks secret, `whsec_…`, that what is posted is signed with.
    pub secret: SecretRef,
    /// The types of events that are wanted, like `message.failed` or `message.*`; all if left out.
    #[serde(default = "every_event")]
    pub events: Vec<String>,
    /// Nothing is posted to an inactive one, and nothing kept for it.
    #[serde(default = "yes")]
    pub active: bool,
}

fn every_event() -> Vec<String> {
    vec!["*".to_owned()]
}

/// What a stored list is, beside its entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The version of the entries that is current.
    pub version: i64,
    /// How many entries it has.
    pub rows: i64,
    /// SHA-256 of the file that it came from.
    pub digest: String,
}
