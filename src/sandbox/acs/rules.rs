//! The field rules of sending: a body becomes what is wanted, or the error that the whole request ends with. What is wrong
//! with one recipient only is left to that recipient's item.
//!
//! Deliberately knows nothing of recipients' moods (magic numbers, opt-outs) nor of faults.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, de::IgnoredAny};

use super::{auth::rfc1123, body::Body, errors::ApiError, resources::Resource, version::Version};
use crate::sandbox::segments::segments;

const RECIPIENTS: std::ops::RangeInclusive<usize> = 1..=100;
const MESSAGE_LIMIT: usize = 2048;
const REPORT_TIMEOUT_S: std::ops::RangeInclusive<i64> = 60..=43_200;
pub(super) const INVALID_TO: &str = "Invalid To phone number format.";
const INVALID_FIRST_SENT: &str = "Request sent with Invalid DateTime value for repeatability-first-sent. Expected is \
                                  DateTime ,RFC1123 pattern.";
const INVALID_REQUEST_ID: &str = "Request sent with an invalid repeatability-request-id. Expected is a GUID.";

type Unknown = BTreeMap<String, IgnoredAny>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendRequest {
    from: Option<String>,
    sms_recipients: Option<Vec<SmsRecipient>>,
    message: Option<String>,
    sms_send_options: Option<SmsSendOptions>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SmsRecipient {
    to: Option<String>,
    repeatability_request_id: Option<String>,
    repeatability_first_sent: Option<String>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SmsSendOptions {
    enable_delivery_report: Option<bool>,
    tag: Option<String>,
    validity_period_seconds: Option<i32>,
    delivery_report_timeout_in_seconds: Option<i64>,
    messaging_connect: Option<MessagingConnect>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagingConnect {
    api_key: Option<String>,
    partner: Option<String>,
}

/// A request that may be sent as far as its fields go.
pub(super) struct Wanted {
    pub from: Arc<str>,
    pub message: Arc<str>,
    pub recipients: Vec<Recipient>,
    pub report: bool,
    pub tag: Option<Arc<str>>,
    pub segments: u32,
    /// How many fields the service does not know in this version, and ignores.
    pub unknown: u32,
}

/// One of its recipients.
pub(super) struct Recipient {
    pub to: Arc<str>,
    pub request_id: Option<Arc<str>>,
    /// Why it is refused whatever happens, if it is.
    pub fault: Option<Fault>,
    /// By what a repeat of it is known.
    pub key: Option<Key>,
}

/// What is wrong with one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not a number to send to.
    To,
    /// Meant to be repeatable, and is not.
    Repeatability(&'static str),
}

/// By what a repeat is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// In lower case, as its case does not count.
    pub id: String,
    pub first_sent_ms: i64,
}

/// Judges the body of a send call of `resource`.
pub(super) fn judge(body: &Body, version: Version, resource: &Resource) -> Result<Wanted, ApiError> {
    let request: SendRequest = body.as_contract()?;
    let from = request.from.ok_or_else(|| missing("from"))?;
    let recipients = request.sms_recipients.ok_or_else(|| missing("smsRecipients"))?;
    let message = request.message.ok_or_else(|| missing("message"))?;
    if !RECIPIENTS.contains(&recipients.len()) {
        return Err(ApiError::bad("'smsRecipients' must have 1 to 100 recipients."));
    }
    // The shortcut spares counting the characters of nearly every text.
    if message.len() > MESSAGE_LIMIT && message.chars().count() > MESSAGE_LIMIT {
        return Err(ApiError::bad("'message' is longer than 2048 characters."));
    }
    let mut unknown = request.unknown.len() as u32;
    let options = request.sms_send_options.map(|options| judge_options(options, version)).transpose()?;
    unknown += options.as_ref().map_or(0, |(_, _, unknown)| *unknown);
    sender(&from, resource)?;
    let mut wanted = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        unknown += recipient.unknown.len() as u32;
        wanted.push(judge_recipient(recipient)?);
    }
    let (report, tag, _) = options.unwrap_or_default();
    let segments = segments(&message);
    Ok(Wanted { from: from.into(), message: message.into(), recipients: wanted, report, tag, segments, unknown })
}

/// Whether a report is wanted, the tag, and how many fields the version does not know.
fn judge_options(options: SmsSendOptions, version: Version) -> Result<(bool, Option<Arc<str>>, u32), ApiError> {
    let report = options.enable_delivery_report.ok_or_else(|| missing("smsSendOptions.enableDeliveryReport"))?;
    let mut unknown = options.unknown.len();
    let timeout = options.delivery_report_timeout_in_seconds;
    match version {
        Version::V2021 => unknown += usize::from(timeout.is_some()) + usize::from(options.messaging_connect.is_some()),
        Version::V2025 | Version::V2026 => {
            unknown += usize::from(options.validity_period_seconds.is_some());
            if timeout.is_some_and(|seconds| !REPORT_TIMEOUT_S.contains(&seconds)) {
                return Err(ApiError::bad("'deliveryReportTimeoutInSeconds' must be between 60 and 43200."));
            }
            let complete = |connect: &MessagingConnect| connect.api_key.is_some() && connect.partner.is_some();
            if !options.messaging_connect.as_ref().is_none_or(complete) {
                return Err(missing("smsSendOptions.messagingConnect.apiKey or .partner"));
            }
        }
    }
    Ok((report, options.tag.map(Arc::from), unknown as u32))
}

fn judge_recipient(recipient: SmsRecipient) -> Result<Recipient, ApiError> {
    let to: Arc<str> = recipient.to.ok_or_else(|| missing("smsRecipients.to"))?.into();
    let request_id: Option<Arc<str>> = recipient.repeatability_request_id.map(Arc::from);
    let key = request_id.as_deref().map(|id| repeat_key(id, recipient.repeatability_first_sent.as_deref()));
    let (key, fault) = match key {
        _ if !is_e164(&to) => (None, Some(Fault::To)),
        Some(Err(why)) => (None, Some(Fault::Repeatability(why))),
        Some(Ok(key)) => (Some(key), None),
        None => (None, None),
    };
    Ok(Recipient { to, request_id, fault, key })
}

fn repeat_key(id: &str, first_sent: Option<&str>) -> Result<Key, &'static str> {
    if !is_guid(id) {
        return Err(INVALID_REQUEST_ID);
    }
    let first_sent_ms = first_sent.and_then(rfc1123).ok_or(INVALID_FIRST_SENT)?;
    Ok(Key { id: id.to_ascii_lowercase(), first_sent_ms })
}

/// Judges a sender, of a message or of an opt-out.
pub(super) fn sender(from: &str, resource: &Resource) -> Result<Sender, ApiError> {
    let sender = Sender::of(from).ok_or_else(ApiError::malformed_sender)?;
    if resource.owns(from) { Ok(sender) } else { Err(ApiError::not_the_senders_resource()) }
}

pub(super) fn missing(field: &str) -> ApiError {
    ApiError::bad(format!("The '{field}' field is required."))
}

/// What a sender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// A number, with plus.
    Number,
    /// 5 or 6 bare digits.
    ShortCode,
    /// At most 11 characters, a letter among them. It receives nothing, and nobody can opt out of it.
    Name,
}

impl Sender {
    pub(super) fn of(from: &str) -> Option<Sender> {
        let digits = from.bytes().all(|b| b.is_ascii_digit());
        let named = from.bytes().all(|b| b.is_ascii_alphanumeric() || b" +-_&".contains(&b));
        match from.len() {
            _ if is_e164(from) => Some(Sender::Number),
            5..=6 if digits => Some(Sender::ShortCode),
            1..=11 if named && from.bytes().any(|b| b.is_ascii_alphabetic()) => Some(Sender::Name),
            _ => None,
        }
    }
}

/// `+`, a country code that does not start with 0, 7 to 15 digits altogether; in North America exactly 11.
pub(super) fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && (!digits.starts_with('1') || digits.len() == 11)
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// 36 characters: hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn is_guid(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::{Key, Sender, is_e164, repeat_key};

    #[test]
    fn senders_are_numbers_short_codes_or_names() {
        for (from, expected) in [
            ("+18001110000", Some(Sender::Number)),
            ("+4915112345678", Some(Sender::Number)),
            ("18001110000", None),
            ("+1800111000", None),
            ("12345", Some(Sender::ShortCode)),
            ("123456", Some(Sender::ShortCode)),
            ("1234", None),
            ("1234567", None),
            ("Herald", Some(Sender::Name)),
            ("A-1 _&+", Some(Sender::Name)),
            ("ElevenChars", Some(Sender::Name)),
            ("TwelveChars!", None),
            ("TwelveCharss", None),
            ("Hérald", None),
            ("", None),
        ] {
            assert_eq!(Sender::of(from), expected, "{from:?}");
        }
    }

    #[test]
    fn recipients_are_e164_with_plus() {
        for (to, expected) in [
            ("+11234567890", true),
            ("+112345678901", false),
            ("+4917012345678", true),
            ("4917012345678", false),
            ("+49 170 12345678", false),
            ("+0123456789", false),
            ("+123", false),
            ("+1234567890123456", false),
            ("", false),
        ] {
            assert_eq!(is_e164(to), expected, "{to:?}");
        }
    }

    #[test]
    fn a_repeat_is_known_by_a_guid_and_a_date() {
        let guid = "FDA6D242-46aa-4247-8bf6-619a1206f9c3";
        let date = "Mon, 01 Apr 2019 06:22:03 GMT";
        let key = Key { id: guid.to_ascii_lowercase(), first_sent_ms: 1_554_099_723_000 };
        assert_eq!(repeat_key(guid, Some(date)), Ok(key));
        for (id, first_sent) in [
            (guid, None),
            (guid, Some("2019-04-01T06:22:03Z")),
            ("1234", Some(date)),
            (&guid.replace('-', ""), Some(date)),
        ] {
            assert!(repeat_key(id, first_sent).is_err(), "{id} {first_sent:?}");
        }
    }
}
