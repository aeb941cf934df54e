//! The form posts to the customer: receipts (status callbacks) and inbound messages, signed.

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};

use super::{
    messages::{Message, Status},
    new_sid,
    signature::sign,
};
use crate::sandbox::{
    callbacks::{Callback, Kind, Terms},
    log::Provider,
    time,
};

/// Any 2xx is good; only a fault of the receiver is worth another attempt.
const TERMS: Terms = Terms { taken: 200..=299, again: |status| status >= 500, within_ms: 15_000 };

/// A receipt for a step that the message has reached.
pub(super) fn receipt(message: &Message, url: &url::Url, status: Status, error: Option<u32>, now_ms: i64) -> Callback {
    let mut params = vec![
        ("MessageSid", message.sid.to_string()),
        ("MessageStatus", status.word().to_owned()),
        ("SmsSid", message.sid.to_string()),
        ("SmsStatus", status.word().to_owned()),
        ("AccountSid", message.account.sid.to_string()),
        ("To", message.to.to_string()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    if let Some(from) = &message.from {
        params.push(("From", from.to_string()));
    }
    if let Some(service) = &message.service {
        params.push(("MessagingServiceSid", service.to_string()));
    }
    if let Some(code) = error.filter(|_| status.is_failure()) {
        params.push(("ErrorCode", code.to_string()));
    }
    if matches!(status, Status::Delivered | Status::Undelivered) {
        params.push(("RawDlrDoneDate", time::done_date(now_ms)));
    }
    post(Kind::Receipt, message, url, &params)
}

/// An inbound message on its way to the customer.
pub(super) fn inbound(message: &Message, url: &url::Url) -> Callback {
    let sid = || message.sid.to_string();
    let params = [
        ("MessageSid", sid()),
        ("SmsSid", sid()),
        ("SmsMessageSid", sid()),
        ("AccountSid", message.account.sid.to_string()),
        ("From", message.from.as_deref().unwrap_or_default().to_owned()),
        ("To", message.to.to_string()),
        ("Body", message.body.to_string()),
        ("NumMedia", message.media.to_string()),
        ("NumSegments", message.segments.to_string()),
        ("SmsStatus", Status::Received.word().to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    post(Kind::Reply, message, url, &params)
}

fn post(kind: Kind, message: &Message, url: &url::Url, params: &[(&'static str, String)]) -> Callback {
    // A fragment carries settings for the provider; it is neither requested nor signed.
    let mut requested = url.clone();
    requested.set_fragment(None);
    let signature = sign(&message.account.auth_token, requested.as_str(), params);
    // The same token on every attempt tells the receiver that it is one event.
    let once = new_sid("");
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    let mut headers = vec![(CONTENT_TYPE, form), (USER_AGENT, HeaderValue::from_static("TwilioProxy/1.1"))];
    for (name, value) in [("x-twilio-signature", &*signature), ("i-twilio-idempotency-token", &*once)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((HeaderName::from_static(name), value));
        }
    }
    let provider = Provider::Twilio;
    Callback { provider, kind, terms: &TERMS, url: requested, headers, body: body.into(), attempts: 0, then: None }
}
