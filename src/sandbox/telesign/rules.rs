//! The field rules of creating a message: a form becomes what is wanted, or the first error that TeleSign would report.
//!
//! Deliberately knows nothing of recipients' moods (magic numbers) nor of faults.

use std::net::IpAddr;

use super::errors::ApiError;
use crate::sandbox::{
    form::{Fault, Form},
    segments::segments,
    settings::callback_url,
};

/// What TeleSign knows; anything else is ignored, and counted in the log.
pub(super) const KNOWN: &[&str] = &[
    "phone_number",
    "message",
    "message_type",
    "account_lifecycle_event",
    "sender_id",
    "external_id",
    "originating_ip",
    "callback_url",
    "is_primary",
    "dlt_template_id",
    "dlt_entity_id",
    "integration_name",
];

const MESSAGE_LIMIT: usize = 1600;
const SENDER_LIMIT: usize = 20;
const EXTERNAL_LIMIT: usize = 100;
const DLT_LIMIT: usize = 40;
const LIFECYCLE: &[&str] = &["create", "sign-in", "transact", "update", "delete"];
const TYPES: &[&str] = &["OTP", "ARN", "MKT"];

/// A message that may be sent as far as its fields go.
#[derive(Debug)]
pub(super) struct Wanted {
    pub to: String,
    pub sender: Option<String>,
    pub parts: u32,
    pub external_id: Option<String>,
    pub callback: Option<url::Url>,
}

pub(super) fn judge(form: &Form) -> Result<Wanted, ApiError> {
    match form.fault {
        Some(Fault::NotUtf8 | Fault::TooLarge) => return Err(ApiError::of(11009)),
        // A body of another kind has no parameters, so the first one is missing.
        Some(Fault::NotAForm) | None => {}
    }
    let required = |name, code| form.get(name).ok_or_else(|| ApiError::of(code));
    let to = required("phone_number", 12000)?;
    phone_number(to)?;
    let text = required("message", 12009)?;
    // The shortcut spares counting the characters of nearly every text.
    must(text.len() <= MESSAGE_LIMIT || text.chars().count() <= MESSAGE_LIMIT, 11009)?;
    must(TYPES.contains(&required("message_type", 12017)?), 11017)?;
    let optional = |name, code, good: fn(&str) -> bool| must(form.get(name).is_none_or(good), code);
    optional("account_lifecycle_event", 11003, |event| LIFECYCLE.contains(&event))?;
    optional("sender_id", 11013, is_sender)?;
    optional("external_id", 11016, |id| id.len() <= EXTERNAL_LIMIT && id.is_ascii())?;
    optional("originating_ip", 11010, |ip| ip.parse::<IpAddr>().is_ok())?;
    optional("dlt_template_id", 11034, |id| id.len() <= DLT_LIMIT)?;
    optional("dlt_entity_id", 11035, |id| id.len() <= DLT_LIMIT)?;
    let callback = form.given("callback_url").map(callback_url).transpose().map_err(|_| ApiError::of(11004))?;
    Ok(Wanted {
        to: to.to_owned(),
        sender: form.get("sender_id").map(str::to_owned),
        parts: segments(text),
        external_id: form.get("external_id").map(str::to_owned),
        callback,
    })
}

fn must(good: bool, code: u32) -> Result<(), ApiError> {
    if good { Ok(()) } else { Err(ApiError::of(code)) }
}

/// Digits only, with a country code, which does not start with 0.
fn phone_number(to: &str) -> Result<(), ApiError> {
    must((7..=15).contains(&to.len()) && to.bytes().all(|b| b.is_ascii_digit()), 11000)?;
    must(!to.starts_with('0'), 11001)
}

/// A number or short code (digits only), or a name; no `+`.
fn is_sender(sender: &str) -> bool {
    sender.len() <= SENDER_LIMIT && sender.bytes().all(|b| b.is_ascii_alphanumeric() || b" -_.&".contains(&b))
}
