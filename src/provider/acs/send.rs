//! The requests that hand messages to Azure (PROVIDERS.md C.1): messages of one request with one text share a call, up to a
//! hundred.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Acs, tag};
use crate::{
    domain::{
        id::{MessageId, RunId},
        phone::E164,
        time::Timestamp,
    },
    provider::{
        Call, Outgoing, Sender, SenderKind, Stamp,
        stamp::{http_date, uuid},
    },
};

/// The most recipients of one call.
const MOST: usize = 100;

/// The longest that Azure waits for a message's end, in seconds. A message that is worth delivering for longer says nothing.
const LONGEST_WAIT: u64 = 43_200;
/// The shortest.
const SHORTEST_WAIT: u64 = 60;

/// What a version of the API calls the time after which it gives a message up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    /// `validityPeriodSeconds`.
    Validity,
    /// `deliveryReportTimeoutInSeconds`.
    Report,
}

impl Timeout {
    /// `None` for a version of which herald does not know.
    pub(super) fn of(api_version: &str) -> Option<Self> {
        match api_version {
            "2021-03-07" => Some(Self::Validity),
            "2025-09-17" | "2026-01-23" => Some(Self::Report),
            _ => None,
        }
    }
}

/// The body, in the order in which Azure's own libraries write it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    from: &'a str,
    sms_recipients: Vec<Recipient>,
    message: &'a str,
    sms_send_options: Options,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    to: String,
    repeatability_request_id: String,
    repeatability_first_sent: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    enable_delivery_report: bool,
    tag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_period_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_report_timeout_in_seconds: Option<u64>,
}

impl Acs {
    pub(super) fn send(&self, stamp: Stamp, sender: &Sender, messages: &[Outgoing]) -> Vec<Call> {
        let from = address(sender);
        shared(messages).iter().map(|messages| self.call(stamp, &from, messages)).collect()
    }

    /// One call; there is at least one message in it, and all have the first one's text and request.
    fn call(&self, stamp: Stamp, from: &str, messages: &[&Outgoing]) -> Call {
        let first = messages.first();
        let seconds = messages.iter().map(|message| message.valid_at_first.as_secs()).min().unwrap_or(LONGEST_WAIT);
        let wait = (seconds < LONGEST_WAIT).then_some(seconds.max(SHORTEST_WAIT));
        let body = Body {
            from,
            sms_recipients: messages.iter().map(|message| recipient(message)).collect(),
            message: first.map_or("", |message| &message.text),
            sms_send_options: Options {
                enable_delivery_report: true,
                tag: first.map(|message| tag::write(message.id, message.among)).unwrap_or_default(),
                validity_period_seconds: wait.filter(|_| self.timeout == Some(Timeout::Validity)),
                delivery_report_timeout_in_seconds: wait.filter(|_| self.timeout == Some(Timeout::Report)),
            },
        };
        // Texts and numbers always become JSON.
        let body = Bytes::from(serde_json::to_vec(&body).unwrap_or_default());
        let carries = messages.iter().map(|message| (message.id, message.to)).collect();
        Call { request: self.post(stamp, &self.send_resource, body), carries }
    }
}

fn recipient(message: &Outgoing) -> Recipient {
    Recipient {
        to: message.to.to_string(),
        repeatability_request_id: repeatability(message.id, message.first_sent),
        repeatability_first_sent: http_date(message.first_sent),
    }
}

/// The id under which Azure carries a message out once, however often it is handed over: made of what is the same in every try.
fn repeatability(id: MessageId, first_sent: Timestamp) -> String {
    let hash = Sha256::digest(format!("{id}|{}", first_sent.millis()));
    uuid(hash.iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte)))
}

/// The messages of each call, in their own order; the calls in the order of their first messages.
///
/// The answer names recipients and nothing else: a number that stands more than once among the messages gets a call of its own
/// each time.
fn shared(messages: &[Outgoing]) -> Vec<Vec<&Outgoing>> {
    let mut times: BTreeMap<E164, usize> = BTreeMap::new();
    for message in messages {
        *times.entry(message.to).or_default() += 1;
    }
    let mut calls: Vec<Vec<&Outgoing>> = Vec::new();
    let mut open: BTreeMap<(RunId, (i64, i64), &str), usize> = BTreeMap::new();
    for message in messages {
        if times.get(&message.to).is_some_and(|times| *times > 1) {
            calls.push(vec![message]);
            continue;
        }
        let key = (message.id.run, message.among, message.text.as_str());
        match open.get(&key).and_then(|place| calls.get_mut(*place)).filter(|call| call.len() < MOST) {
            Some(call) => call.push(message),
            None => {
                open.insert(key, calls.len());
                calls.push(vec![message]);
            }
        }
    }
    calls
}

/// The sender as Azure writes it: `+` before a whole number, short codes and names as they are.
fn address(sender: &Sender) -> String {
    let bare = sender.address.trim_start_matches('+');
    match sender.kind {
        SenderKind::Geographic | SenderKind::TollFree => format!("+{bare}"),
        SenderKind::ShortCode => bare.to_owned(),
        SenderKind::Alphanumeric | SenderKind::WhatsApp => sender.address.clone(),
    }
}

#[cfg(test)]
mod tests;
