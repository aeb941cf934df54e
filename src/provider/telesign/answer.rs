//! The judgement on TeleSign's answer to a message that was handed over (PROVIDERS.md B.1, B.2).
//!
//! TeleSign says to go by its code and not by the HTTP status, so the code comes first, whatever it came with: its own word that
//! it has the message, or that it has not. Only without a code that herald knows does the status decide, and then a refusal
//! (4xx) says no, while a fault (5xx) or an answer that cannot be read says perhaps. TeleSign has no idempotency key and cannot
//! be asked about such a message: perhaps is never tried again unasked.

use super::{
    codes::{self, Meaning},
    wire::{Coded, Envelope},
};
use crate::{
    domain::{
        outcome::Outcome,
        reason::{Reason, Retry, Why},
    },
    provider::HttpReply,
};

/// What became of the message that the call carried.
pub(super) fn outcome(reply: &HttpReply) -> Outcome {
    let envelope = Envelope::read(&reply.body);
    let said = envelope.as_ref().and_then(Envelope::said);
    match said.as_ref().and_then(Coded::number).and_then(codes::known) {
        // 10000 and 500 among them: in TeleSign's own words the request was not attempted and is to be sent again.
        Some(Meaning::Failed(reason)) => turned_away(with_words(reason, reply.status, said.as_ref()), reply),
        Some(Meaning::Delivered | Meaning::Taken) => {
            match envelope.as_ref().and_then(|envelope| envelope.reference_id.text()) {
                Some(id) => Outcome::Accepted { provider_id: id.to_owned() },
                None => in_doubt(Reason::Unreadable, reply, said.as_ref()),
            }
        }
        Some(Meaning::Inbound) | None => by_status(reply, said.as_ref()),
    }
}

/// Without a code that herald knows.
fn by_status(reply: &HttpReply, said: Option<&Coded<'_>>) -> Outcome {
    let code = said.and_then(Coded::number);
    match reply.status {
        408 => in_doubt(Reason::Unreadable, reply, said),
        400..=499 => turned_away(refusal(reply.status, said), reply),
        // A negative code stands behind "not attempted": that is certain.
        500..=599 if code.is_none_or(|code| code >= 0) => in_doubt(Reason::ProviderFault, reply, said),
        _ => match code.and_then(codes::family) {
            Some(reason) => turned_away(with_words(reason, reply.status, said), reply),
            None => in_doubt(Reason::Unreadable, reply, said),
        },
    }
}

/// Why a 4xx without a known code refused.
///
/// 401 and 403 stop the account, so that a wrong key costs one message a stop and not a million failures.
pub(super) fn refusal(status: u16, said: Option<&Coded<'_>>) -> Why {
    let reason = match status {
        401 | 403 => Reason::AccountRefused,
        402 => Reason::AccountSuspended,
        429 => Reason::Throttled,
        _ => Reason::Refused,
    };
    with_words(reason, status, said)
}

/// The reason with TeleSign's own code and text, or else with the HTTP status. Never anything else of the body.
pub(super) fn with_words(reason: Reason, status: u16, said: Option<&Coded<'_>>) -> Why {
    let why = match said.and_then(|said| said.description.text()) {
        Some(text) => Why::detailed(reason, text),
        None => Why::detailed(reason, format!("HTTP {status}")),
    };
    match said.and_then(Coded::number) {
        Some(code) => why.with_code(code),
        None => why,
    }
}

fn in_doubt(reason: Reason, reply: &HttpReply, said: Option<&Coded<'_>>) -> Outcome {
    Outcome::InDoubt { why: with_words(reason, reply.status, said) }
}

fn turned_away(why: Why, reply: &HttpReply) -> Outcome {
    match why.reason.retry() {
        Retry::Soon | Retry::Later => Outcome::Deferred { why, after: reply.retry_after },
        Retry::Never => Outcome::Rejected { why },
    }
}

#[cfg(test)]
mod tests;
