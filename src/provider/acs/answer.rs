//! The judgement on Azure's answer to a call (PROVIDERS.md C.1): one for each recipient, who are told apart by their numbers.
//!
//! 202 says that the call was read; what became of each message stands in its item. What is refused as a whole (4xx) was refused
//! for all. A fault of the whole call (5xx), an answer that cannot be read, a recipient of whom it says nothing: perhaps sent. That
//! is *in doubt* and not *try again*, although trying again under the same id is harmless: for how long it is harmless only a doubt
//! is asked ([`Provider::repeats_within`](crate::provider::Provider::repeats_within)), and a run that is paused for a week must not
//! send twice when it goes on. An item that failed (5xx) is another thing: Azure's own word that it does not have this message.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::codes;
use crate::{
    domain::{
        id::MessageId,
        outcome::Outcome,
        phone::E164,
        reason::{Reason, Retry, Scope, Why},
    },
    provider::{
        HttpReply,
        loose::{self, Loose},
    },
};

/// The answer to a call: items, or an error.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What is said of the whole call.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault<'a> {
    #[serde(borrow)]
    code: Loose<'a>,
    #[serde(borrow)]
    message: Loose<'a>,
}

/// What is said of one recipient.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    to: Loose<'a>,
    #[serde(borrow)]
    message_id: Loose<'a>,
    #[serde(borrow)]
    http_status_code: Loose<'a>,
    #[serde(borrow)]
    successful: Option<&'a RawValue>,
    #[serde(borrow)]
    repeatability_result: Loose<'a>,
    #[serde(borrow)]
    error_message: Loose<'a>,
}

/// What became of each message of the call.
pub(super) fn outcomes(carries: &[(MessageId, E164)], reply: &HttpReply) -> Vec<Outcome> {
    let whole = match reply.status {
        200..=299 => return each(carries, reply),
        // 412: the first try is too long ago for Azure to know it.
        408 | 412 => Outcome::InDoubt { why: why(Reason::Unreadable, reply) },
        400..=499 => turned_away(refusal(reply, Company::of(carries)), reply),
        500..=599 => Outcome::InDoubt { why: why(Reason::ProviderFault, reply) },
        _ => Outcome::InDoubt { why: why(Reason::Unreadable, reply) },
    };
    vec![whole; carries.len()]
}

/// By the items.
fn each(carries: &[(MessageId, E164)], reply: &HttpReply) -> Vec<Outcome> {
    let answer: Option<Answer<'_>> = loose::object(&reply.body);
    let raw = answer.map(|answer| loose::list(answer.value)).unwrap_or_default();
    let items: Vec<(u64, Item<'_>)> = raw.into_iter().filter_map(loose::part).filter_map(addressed).collect();
    let of = |to: E164| items.iter().find(|(digits, _)| *digits == to.digits()).map(|(_, item)| item);
    let unnamed =
        || Outcome::InDoubt { why: Why::detailed(Reason::Unreadable, "the answer does not name the recipient") };
    carries.iter().map(|(_, to)| of(*to).map_or_else(unnamed, |item| one(item, reply))).collect()
}

impl Item<'_> {
    /// Whether Azure will not say what became of an earlier try: it knows the id with another content, or has forgotten it. It
    /// rejects in the same manner what is not written as it should be, and then there was no earlier one.
    fn is_unknown_repeat(&self) -> bool {
        let malformed = self.error_message.or_empty().to_lowercase().contains("invalid");
        let rejected = self.repeatability_result.or_empty().eq_ignore_ascii_case("rejected");
        self.http_status_code.number() == Some(412) || (rejected && !malformed)
    }
}

/// With the number that it is about, however that is written.
fn addressed(item: Item<'_>) -> Option<(u64, Item<'_>)> {
    let digits: String = item.to.or_empty().chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok().map(|digits| (digits, item))
}

fn one(item: &Item<'_>, reply: &HttpReply) -> Outcome {
    let status = item.http_status_code.number();
    let successful = item.successful.map(RawValue::get);
    let words = item.error_message.or_empty();
    let said = |reason: Reason| match (status, words) {
        (Some(status), "") => Why::detailed(reason, format!("HTTP {status} for this recipient")).with_code(status),
        (Some(status), words) => Why::detailed(reason, words).with_code(status),
        (None, words) => Why::detailed(reason, words),
    };
    match (status, successful, item.message_id.text()) {
        (Some(200..=299) | None, Some("true"), Some(id)) => Outcome::Accepted { provider_id: id.to_owned() },
        (Some(200..=299), None, Some(id)) => Outcome::Accepted { provider_id: id.to_owned() },
        _ if item.is_unknown_repeat() => Outcome::InDoubt { why: said(Reason::Unreadable) },
        (Some(status @ 400..=599), None | Some("false"), _) if status != 408 => {
            turned_away(said(item_reason(status, words)), reply)
        }
        // It contradicts itself, or says too little.
        _ => Outcome::InDoubt { why: said(Reason::Unreadable) },
    }
}

/// Why one recipient was refused: by Azure's text where that is one herald knows, else by the status.
fn item_reason(status: i64, words: &str) -> Reason {
    let by_status = || match status {
        401 => Reason::AccountRefused,
        402 => Reason::AccountSuspended,
        403 | 404 => Reason::SenderRefused,
        429 => Reason::Throttled,
        500..=599 => Reason::ProviderFault,
        _ => Reason::Refused,
    };
    match (status, codes::by_text(words)) {
        (400..=428 | 430..=499, Some(reason)) => reason,
        _ => by_status(),
    }
}

/// Whether what is said of a call is said of one person.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Company {
    Alone,
    Several,
}

impl Company {
    fn of(carries: &[(MessageId, E164)]) -> Self {
        if carries.len() == 1 { Self::Alone } else { Self::Several }
    }
}

/// Why a 4xx refused the whole call.
///
/// 401 and 403 stop the account, and what the settings have wrong stops the channel, so that it costs one call a stop and not a
/// million failures. What is wrong with one of several recipients is nobody's reason.
fn refusal(reply: &HttpReply, company: Company) -> Why {
    let said = why(Reason::Refused, reply);
    let by_words = || {
        let version = said.provider_code.to_ascii_lowercase().contains("apiversion");
        let reason = if version { Some(Reason::NotConfigured) } else { codes::by_text(&said.detail) };
        reason.filter(|reason| company == Company::Alone || reason.scope() == Scope::Channel)
    };
    let reason = match reply.status {
        401 => Reason::AccountRefused,
        402 => Reason::AccountSuspended,
        403 => by_words().unwrap_or(Reason::AccountRefused),
        404 => by_words().unwrap_or(Reason::NotConfigured), // the endpoint
        429 => Reason::Throttled,
        _ => by_words().unwrap_or(Reason::Refused),
    };
    Why { reason, ..said }
}

/// The reason with Azure's own code and text, or else with the HTTP status. Never anything else of the body.
pub(super) fn why(reason: Reason, reply: &HttpReply) -> Why {
    let answer: Option<Answer<'_>> = loose::object(&reply.body);
    let fault: Fault<'_> = answer.and_then(|answer| answer.error.and_then(loose::part)).unwrap_or_default();
    let why = match fault.message.text() {
        Some(text) => Why::detailed(reason, text),
        None => Why::detailed(reason, format!("HTTP {}", reply.status)),
    };
    why.with_code(fault.code.or_empty())
}

fn turned_away(why: Why, reply: &HttpReply) -> Outcome {
    match why.reason.retry() {
        Retry::Soon | Retry::Later => Outcome::Deferred { why, after: reply.retry_after },
        Retry::Never => Outcome::Rejected { why },
    }
}

#[cfg(test)]
mod tests;
