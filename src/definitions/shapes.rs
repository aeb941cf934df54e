//! The keys of every kind of file: which there are, which must be there, and what belongs there.

use chrono_tz::Tz;
use toml::Value;

use super::page::{Key, Need, reads};
use crate::{
    domain::{
        account::{ProviderKind, TeleSignAuth},
        canary::CanarySize,
        contact::ChannelType,
        definition::{NumberType, OnUncertain},
        id::OrgId,
        limits::Limit,
        locale::Locale,
        phone::Country,
        price::{Currency, Per, Price},
        quiet::TimeOfDay,
        rate::Rate,
        secret_ref::SecretRef,
        time::Span,
    },
    store::definitions::Kind,
};

const TEXT: &str = "a text";
const RATE: &str = "a rate like \"10/s\"";
const PRICE: &str = "a price as a text like \"0.0850\"";
const SPAN: &str = "a length of time like \"15m\"";
const SWITCH: &str = "true or false";
const SECRET: &str = "a reference like { env = \"NAME\" } or { file = \"PATH\" }";
const CEL: &str = "a CEL expression over event, as a text";
const LOCALE: &str = "a language tag like \"en\"";
const PROVIDERS: &str = "\"twilio\", \"telesign\" or \"acs\"";
const AUDIENCE: &str = "either list = \"NAME\" or cases = { status = \"resolved\" }";
const TIME: &str = "a time of the day like \"21:00\"";
const LIMIT: &str = "a percentage like \"10%\", or \"off\"";
const ZONE: &str = "an IANA time zone like \"Europe/Berlin\"";

const fn must(path: &'static str, expected: &'static str, reads: fn(&Value) -> Result<(), String>) -> Key {
    Key { path, need: Need::Always, expected, reads }
}

const fn with(path: &'static str, expected: &'static str, reads: fn(&Value) -> Result<(), String>) -> Key {
    Key { path, need: Need::WithTable, expected, reads }
}

const fn may(path: &'static str, expected: &'static str, reads: fn(&Value) -> Result<(), String>) -> Key {
    Key { path, need: Need::Optional, expected, reads }
}

/// `organization.toml`.
pub(super) const ORGANIZATION: &[Key] = &[
    must("id", "the organization's short name: a-z, 0-9 and -", reads::<OrgId>),
    must("name", TEXT, filled),
    may("timezone", ZONE, zone),
    may("default_country", "two letters like \"DE\"", reads::<Country>),
    may("quota", "a rate like \"30_000/hour\"", reads::<Rate>),
    may("reserved_for_automatic", "a percentage, 0 to 100", percent),
    may("frequency_cap", "a rate like \"3/7day\"", reads::<Rate>),
    with("quiet_hours.from", TIME, reads::<TimeOfDay>),
    with("quiet_hours.to", TIME, reads::<TimeOfDay>),
    may("templates", "the path of a folder of templates", filled),
];

/// `accounts/NAME.toml` of Twilio.
pub(super) const TWILIO: &[Key] = &[
    must("provider", PROVIDERS, provider),
    must("account_sid", "AC and 32 hexadecimal digits", reads::<String>),
    must("auth_token", SECRET, reads::<SecretRef>),
    may("api_key", "an API key's sid, SK and 32 hexadecimal digits", reads::<String>),
    may("api_secret", SECRET, reads::<SecretRef>),
    may("messaging_service", "a Messaging Service's sid, MG and 32 hexadecimal digits", reads::<String>),
    may("base_url", "a URL", reads::<String>),
];

/// `accounts/NAME.toml` of TeleSign.
pub(super) const TELESIGN: &[Key] = &[
    must("provider", PROVIDERS, provider),
    must("customer_id", "the customer id that TeleSign's portal shows", filled),
    must("api_key", SECRET, reads::<SecretRef>),
    may("auth", "\"digest\" or \"basic\"", reads::<TeleSignAuth>),
    may("base_url", "a URL", reads::<String>),
];

/// `accounts/NAME.toml` of Azure Communication Services.
pub(super) const ACS: &[Key] = &[
    must("provider", PROVIDERS, provider),
    may("connection_string", SECRET, reads::<SecretRef>),
    may("endpoint", "the resource's URL", reads::<String>),
    may("access_key", SECRET, reads::<SecretRef>),
    may("api_version", "a version of the API like \"2021-03-07\"", reads::<String>),
    may("callback_secret", SECRET, reads::<SecretRef>),
    may("base_url", "a URL", reads::<String>),
];

/// An account whose provider is missing or wrong: nothing more can be said about its keys.
pub(super) const ANY_ACCOUNT: &[Key] = &[must("provider", PROVIDERS, provider), may("*", TEXT, any)];

/// `channels/NAME.toml`.
pub(super) const CHANNEL: &[Key] = &[
    must("type", "\"sms\" or \"whatsapp\"", reads::<ChannelType>),
    must("account", "the name of an account", filled),
    must("number", "the sender's number, as a text", reads::<String>),
    may("number_type", "\"geographic\", \"short_code\", \"toll_free\" or \"alphanumeric\"", reads::<NumberType>),
    may("description", TEXT, reads::<String>),
    may("pace", RATE, reads::<Rate>),
    may("attachments.from_customers", SWITCH, reads::<bool>),
    may("attachments.from_organization", SWITCH, reads::<bool>),
    may("locale", LOCALE, reads::<Locale>),
    may("fallback", "the name of another channel", filled),
    with("prices.currency", "a currency of ISO 4217 like \"EUR\"", reads::<Currency>),
    with("prices.default", PRICE, reads::<Price>),
    may("prices.per", "\"segment\" or \"message\"", reads::<Per>),
    may("prices.country.*", PRICE, reads::<Price>),
    may("smart_encoding", SWITCH, reads::<bool>),
];

/// `outbound/NAME.toml`, without its trigger's own keys.
pub(super) const OUTBOUND: &[Key] = &[
    may("name", "a name of at most 80 characters", name),
    may("active", SWITCH, reads::<bool>),
    must("channel", "the name of a channel", filled),
    must("template", "the name of a template", filled),
    may("show_in_timeline", SWITCH, reads::<bool>),
    may("valid_for", SPAN, reads::<Span>),
    may("opted_in", SWITCH, reads::<bool>),
    may("on_uncertain", "\"keep\" or \"resend\"", reads::<OnUncertain>),
    may("canary", "a number of messages like 100, or a share of the run like \"1%\"", reads::<CanarySize>),
    may("canary_wait", SPAN, reads::<Span>),
    may("limits.failed", LIMIT, reads::<Limit>),
    may("limits.opted_out", LIMIT, reads::<Limit>),
    may("limits.after", "a number of messages like 100", reads::<u32>),
    must("trigger.kind", "\"automatic\", \"instant\" or \"scheduled\"", kind),
    may("audience", AUDIENCE, audience),
    may("audience.list", "the name of a list", filled),
    may("audience.cases", "which cases are meant, like { status = \"resolved\" }", table),
    may("audience.cases.status", "the status of a case like \"resolved\"", filled),
];

/// A trigger of kind `automatic`.
pub(super) const AUTOMATIC: &[Key] = &[
    must("trigger.event", "an event type like \"case.created\"", reads::<String>),
    may("trigger.when", CEL, reads::<String>),
    may("trigger.delay", SPAN, reads::<Span>),
    with("trigger.contact.to", CEL, reads::<String>),
    may("trigger.contact.optin", CEL, reads::<String>),
    may("trigger.contact.locale", CEL, reads::<String>),
    may("trigger.contact.timezone", CEL, reads::<String>),
    may("trigger.contact.context.*", CEL, reads::<String>),
];

/// A trigger of kind `scheduled`.
pub(super) const SCHEDULED: &[Key] = &[
    may("trigger.at", "a list of local times like \"2026-12-01T09:00\"", reads::<Vec<String>>),
    may("trigger.cron", "a cron expression like \"0 9 * * MON\"", reads::<String>),
    may("trigger.after", SPAN, reads::<Span>),
    may("trigger.timezone", ZONE, zone),
    may("trigger.grace", SPAN, reads::<Span>),
];

/// A trigger whose kind is missing or wrong: nothing more can be said about its keys.
pub(super) const ANY_TRIGGER: &[Key] = &[
    may("trigger.event", TEXT, any),
    may("trigger.when", TEXT, any),
    may("trigger.delay", TEXT, any),
    may("trigger.contact", TEXT, any),
    may("trigger.at", TEXT, any),
    may("trigger.cron", TEXT, any),
    may("trigger.after", TEXT, any),
    may("trigger.timezone", TEXT, any),
    may("trigger.grace", TEXT, any),
];

/// `hooks/NAME.toml`.
pub(super) const HOOK: &[Key] = &[must("secret", SECRET, reads::<SecretRef>)];

/// `endpoints/NAME.toml`.
pub(super) const ENDPOINT: &[Key] = &[
    must("url", "a URL", filled),
    must("secret", SECRET, reads::<SecretRef>),
    may("events", "a list of event types like \"message.failed\" or \"message.*\"", reads::<Vec<String>>),
    may("active", SWITCH, reads::<bool>),
];

/// A key as it is described to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Its path; `*` stands for any one key.
    pub path: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What belongs there.
    pub expected: &'static str,
    /// Whether that is a secret.
    pub secret: bool,
}

fn described(tables: &[&[Key]]) -> Vec<KnownKey> {
    let known = |key: &Key| KnownKey {
        path: key.path,
        required: key.need == Need::Always,
        expected: key.expected,
        secret: key.expected == SECRET,
    };
    tables.iter().flat_map(|keys| keys.iter()).map(known).collect()
}

/// The keys of a kind of definition, in each of its forms.
pub fn known_keys(kind: Kind) -> Vec<Vec<KnownKey>> {
    match kind {
        Kind::Account => [TWILIO, TELESIGN, ACS].map(|keys| described(&[keys])).into(),
        Kind::Channel => vec![described(&[CHANNEL])],
        Kind::Template => vec![described(&[TEMPLATE])],
        // Those that only one trigger has are not needed by the others.
        Kind::Configuration => {
            let mut keys = described(&[OUTBOUND, AUTOMATIC, SCHEDULED]);
            keys.iter_mut().for_each(|key| key.required &= key.path != "trigger.event");
            vec![keys]
        }
        Kind::Hook => vec![described(&[HOOK])],
        Kind::Endpoint => vec![described(&[ENDPOINT])],
        Kind::List => Vec::new(),
    }
}

/// The keys of an organization.
pub fn organization_keys() -> Vec<KnownKey> {
    described(&[ORGANIZATION]).into_iter().filter(|key| !["id", "templates"].contains(&key.path)).collect()
}

/// A template, which has a reader of its own: these keys are only told.
const TEMPLATE: &[Key] = &[
    must("channel_type", "\"sms\" or \"whatsapp\"", any),
    must("default_locale", LOCALE, any),
    must("purpose", "\"transactional\" or \"marketing\"", any),
    must("texts.*", "the text in this locale, in Handlebars", any),
    may("approved.*.content_sid", "HX and 32 hexadecimal digits, as the provider shows it", any),
    may("approved.*.variables.*", "a slug's name, or a small template", any),
    may("approved.*.text", "the text as it was approved", any),
    may("media", "a list of web addresses", any),
];

fn any(_: &Value) -> Result<(), String> {
    Ok(())
}

fn filled(value: &Value) -> Result<(), String> {
    reads::<String>(value)?;
    if value.as_str().is_some_and(|text| text.trim().is_empty()) { Err("is empty".to_owned()) } else { Ok(()) }
}

fn name(value: &Value) -> Result<(), String> {
    filled(value)?;
    let good = |text: &str| text.chars().count() <= 80 && !text.chars().any(char::is_control) && text.trim() == text;
    if value.as_str().is_some_and(good) { Ok(()) } else { Err("is too long, or has blanks around it".to_owned()) }
}

/// One of the two; what either must be is said of its own key.
fn table(value: &Value) -> Result<(), String> {
    if value.is_table() { Ok(()) } else { Err(format!("found {}", value.type_str())) }
}

fn audience(value: &Value) -> Result<(), String> {
    let Some(table) = value.as_table() else { return Ok(()) };
    match (table.contains_key("list"), table.contains_key("cases")) {
        (true, true) => Err(format!("is both a list and a query over cases; expected {AUDIENCE}")),
        (false, false) => Err(format!("is nobody; expected {AUDIENCE}")),
        (true, false) | (false, true) => Ok(()),
    }
}

fn zone(value: &Value) -> Result<(), String> {
    reads::<String>(value)?;
    let text = value.as_str().unwrap_or_default();
    text.parse::<Tz>().map(|_| ()).map_err(|_| format!("\"{text}\" is not a time zone"))
}

fn percent(value: &Value) -> Result<(), String> {
    match value.as_integer() {
        Some(0..=100) => Ok(()),
        Some(other) => Err(format!("{other} is not a percentage")),
        None => Err(format!("found {}", value.type_str())),
    }
}

fn one_of(value: &Value, known: &[&str], what: &str) -> Result<(), String> {
    reads::<String>(value)?;
    let text = value.as_str().unwrap_or_default();
    if known.contains(&text) { Ok(()) } else { Err(format!("\"{text}\" is not {what}")) }
}

fn kind(value: &Value) -> Result<(), String> {
    one_of(value, &["automatic", "instant", "scheduled"], "a kind of trigger")
}

fn provider(value: &Value) -> Result<(), String> {
    one_of(value, &ProviderKind::ALL.map(ProviderKind::as_str), "a provider that herald has")
}
