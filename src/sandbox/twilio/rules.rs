//! The field rules of creating a message: a form becomes what is wanted, or the first error that Twilio would report.
//!
//! Deliberately knows nothing of recipients' moods (magic numbers, opt-outs) nor of faults.

use chrono::DateTime;

use super::{
    accounts::{Account, Accounts, POOL_OF_NONE},
    content::{self, Rendered},
    errors::ApiError,
    whatsapp::{Bars, Channel, PREFIX, SHARED},
};
use crate::sandbox::{
    form::Form,
    settings::{callback_url, is_sid},
};

const BODY_LIMIT: usize = 1600;
const MEDIA_LIMIT: usize = 10;
/// A scheduled message lies this far ahead, in milliseconds: 15 minutes to 35 days.
const AHEAD_MS: std::ops::RangeInclusive<i64> = 15 * 60_000..=35 * 86_400_000;

/// A message that may be sent as far as its fields go.
#[derive(Debug)]
pub(super) struct Wanted {
    pub to: String,
    pub from: Option<String>,
    pub service: Option<String>,
    pub text: String,
    pub media: Vec<String>,
    pub bars: Bars,
    pub callback: Option<url::Url>,
    pub send_at_ms: Option<i64>,
}

/// Judges a form sent by `account`.
pub(super) fn judge(form: &Form, account: &Account, all: &Accounts, now_ms: i64) -> Result<Wanted, ApiError> {
    let to = form.get("To").ok_or_else(|| ApiError::of(21604))?;
    recipient(to)?;
    let service = form.get("MessagingServiceSid");
    let from = form.get("From");
    match (service, from) {
        (None, None) => return Err(ApiError::of(21603)),
        (Some(sid), _) if !has_service(account, sid) => return Err(ApiError::of(21701)),
        (_, Some(from)) => sender(from, to, account, all)?,
        (Some(_), None) => pool(account, Channel::of(to))?,
    }
    let media = media(form)?;
    let Rendered { text, bars } = content(form, account, Channel::of(to))?;
    let callback = form.get("StatusCallback").map(callback_url).transpose().map_err(|_| ApiError::of(21609))?;
    if let Some(seconds) = form.get("ValidityPeriod")
        && !seconds.parse::<u32>().is_ok_and(|seconds| (1..=36_000).contains(&seconds))
    {
        return Err(ApiError::of(21624));
    }
    Ok(Wanted {
        to: to.to_owned(),
        from: from.map(str::to_owned),
        service: service.map(str::to_owned),
        text,
        media,
        bars,
        callback,
        send_at_ms: send_at(form, service, now_ms)?,
    })
}

/// Twilio's own magic recipients and plain malformed numbers.
fn recipient(to: &str) -> Result<(), ApiError> {
    let code = match to {
        "+15005550001" => 21211,
        "+15005550002" => 21612,
        "+15005550003" => 21408,
        "+15005550004" => 21610,
        "+15005550009" => 21614,
        _ if is_e164(to.strip_prefix(PREFIX).unwrap_or(to)) => return Ok(()),
        _ => 21211,
    };
    Err(ApiError::of(code))
}

fn sender(from: &str, to: &str, account: &Account, all: &Accounts) -> Result<(), ApiError> {
    let channel = Channel::of(from);
    let lists = || account.numbers.is_empty() || account.numbers.iter().any(|number| **number == *from);
    let refused = match from {
        "+15005550001" => 21212,
        "+15005550007" => 21606,
        "+15005550008" => 21611,
        _ if channel != Channel::of(to) => 21910,
        POOL_OF_NONE => return Ok(()),
        _ if channel == Channel::Sms && !is_sender(from) => 21212,
        _ if channel == Channel::WhatsApp && !from.strip_prefix(PREFIX).is_some_and(is_e164) => 21212,
        _ if from == to => 21266,
        SHARED => return Ok(()),
        _ if lists() => return Ok(()),
        _ if channel == Channel::WhatsApp => 63007,
        _ if all.belongs_to_another(account, from) => 21660,
        _ => 21659,
    };
    Err(ApiError::of(refused))
}

/// A Messaging Service needs a sender on the channel. For SMS there is always one.
fn pool(account: &Account, channel: Channel) -> Result<(), ApiError> {
    let none = channel == Channel::WhatsApp && !account.numbers.is_empty() && account.pool(channel).next().is_none();
    if none { Err(ApiError::of(63007)) } else { Ok(()) }
}

fn media(form: &Form) -> Result<Vec<String>, ApiError> {
    let links: Vec<String> = form.all("MediaUrl").map(str::to_owned).collect();
    if links.iter().any(|link| callback_url(link).is_err()) {
        return Err(ApiError::of(21620));
    }
    if links.len() > MEDIA_LIMIT {
        return Err(ApiError::of(21623));
    }
    Ok(links)
}

fn content(form: &Form, account: &Account, channel: Channel) -> Result<Rendered, ApiError> {
    if let Some(rendered) = content::read(form, account, channel)? {
        return Ok(rendered);
    }
    let body = form.get("Body");
    if body.is_none() && form.get("MediaUrl").is_none() {
        return Err(ApiError::of(21602));
    }
    // The shortcut spares counting the characters of nearly every text.
    if body.is_some_and(|body| body.len() > BODY_LIMIT && body.chars().count() > BODY_LIMIT) {
        return Err(ApiError::of(21617));
    }
    let bars = match channel {
        Channel::Sms => Bars::default(),
        Channel::WhatsApp => Bars::FREE_TEXT,
    };
    Ok(Rendered { text: body.unwrap_or_default().to_owned(), bars })
}

fn send_at(form: &Form, service: Option<&str>, now_ms: i64) -> Result<Option<i64>, ApiError> {
    if form.get("ScheduleType").is_none() {
        return Ok(None);
    }
    if service.is_none() {
        return Err(ApiError::of(35118));
    }
    let at = form.get("SendAt").ok_or_else(|| ApiError::of(35111))?;
    let at = DateTime::parse_from_rfc3339(at).map_err(|_| ApiError::of(35114))?.timestamp_millis();
    if AHEAD_MS.contains(&(at - now_ms)) { Ok(Some(at)) } else { Err(ApiError::of(35114)) }
}

fn has_service(account: &Account, sid: &str) -> bool {
    is_sid("MG", sid) && (account.services.is_empty() || account.services.iter().any(|own| own == sid))
}

/// `+`, a country code that does not start with 0, 7 to 15 digits altogether.
fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// A number, a short code (3 to 8 digits) or a name (at most 11 letters, digits and spaces, a letter among them).
fn is_sender(from: &str) -> bool {
    let short_code = (3..=8).contains(&from.len()) && from.bytes().all(|b| b.is_ascii_digit());
    let name = from.len() <= 11
        && from.bytes().all(|b| b.is_ascii_alphanumeric() || b" -_&+".contains(&b))
        && from.bytes().any(|b| b.is_ascii_alphabetic());
    is_e164(from) || short_code || name
}
