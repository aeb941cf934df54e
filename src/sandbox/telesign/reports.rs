//! The JSON posts to the customer: delivery reports and inbound messages, signed over the raw body.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{
    auth::Account,
    messages::{Message, Status},
    signature::mac,
};
use crate::sandbox::{
    callbacks::{Callback, Kind, Terms},
    log::Provider,
    settings::{Keywords, ReportSignature},
    time,
};

/// Only a 200 is good; everything else is tried again.
const TERMS: Terms = Terms { taken: 200..=200, again: |_| true, within_ms: 5_000 };

/// What each keyword asks for; everything else is `generic`.
const ACTIONS: &[(&str, &[&str])] = &[
    ("stop", &["arrêt", "arret", "cancel", "end", "quit", "stop", "unsubscribe"]),
    ("help", &["aide", "contact", "help", "info"]),
    ("start", &["start"]),
];

/// A report of a status that the message has reached.
pub(super) fn report(message: &Message, url: &url::Url, status: Status, now_ms: i64) -> Callback {
    post(Kind::Receipt, &message.account, url, &message.report(status, now_ms))
}

/// An inbound message on its way to the customer.
pub(super) fn inbound(
    account: &Account,
    url: &url::Url,
    reference: &str,
    reply: &Inbound<'_>,
    now_ms: i64,
) -> Callback {
    let mut response = json!({
        "phone_number": reply.from,
        "sender_id": reply.to,
        "mo_message": reply.text,
        "iso_country_code": null,
    });
    if account.keywords == Keywords::On {
        let word = reply.text.trim().to_lowercase();
        let action = ACTIONS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(action, _)| *action);
        response["action"] = action.unwrap_or("generic").into();
        response["keyword"] = action.map(|_| word).into();
    }
    let body = json!({
        "reference_id": reference,
        "status": Status(1500).json(now_ms),
        "submit_timestamp": time::iso8601(now_ms),
        "errors": {},
        "sub_resource": "mo_sms",
        "user_response": response,
    });
    post(Kind::Reply, account, url, &body)
}

/// Somebody's message to a sender; numbers are digits only.
pub(super) struct Inbound<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub text: &'a str,
}

fn post(kind: Kind, account: &Account, url: &url::Url, body: &Value) -> Callback {
    let mut requested = url.clone();
    requested.set_fragment(None);
    let body = body.to_string();
    let bare = STANDARD.encode(mac(&account.secret, body.as_bytes()));
    let full = format!("TSA {}:{bare}", account.customer_id);
    let own = match account.signature {
        ReportSignature::Bare => &bare,
        ReportSignature::Full => &full,
    };
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    for (name, value) in [(AUTHORIZATION, &full), (HeaderName::from_static("x-ts-authorization"), own)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((name, value));
        }
    }
    let provider = Provider::TeleSign;
    Callback { provider, kind, terms: &TERMS, url: requested, headers, body: body.into(), attempts: 0, then: None }
}
