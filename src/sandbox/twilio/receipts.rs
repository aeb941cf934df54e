//! The form posts to the customer: receipts (status callbacks) and inbound messages, signed.

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};

use super::{
    inbound::Inbound,
    messages::{Message, Status},
    new_sid,
    signature::sign,
    whatsapp::Channel,
};
use crate::sandbox::{
    callbacks::{Callback, Kind, Terms},
    log::Provider,
    time,
};

type Params = Vec<(&'static str, String)>;

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
    match message.channel() {
        Channel::Sms if matches!(status, Status::Delivered | Status::Undelivered) => {
            params.push(("RawDlrDoneDate", time::done_date(now_ms)));
        }
        Channel::Sms => {}
        Channel::WhatsApp => channel_params(&mut params, message, status, error),
    }
    post(Kind::Receipt, message, url, &params)
}

/// What a receipt of a channel has besides.
fn channel_params(params: &mut Params, message: &Message, status: Status, error: Option<u32>) {
    let digits = message.account.sid.strip_prefix("AC").unwrap_or_default();
    params.push(("ChannelPrefix", "whatsapp".to_owned()));
    params.push(("ChannelInstallSid", format!("XE{digits}")));
    if status == Status::Read {
        params.push(("EventType", "READ".to_owned()));
    }
    if let Some(code) = error.filter(|_| status.is_failure()) {
        params.push(("ChannelStatusMessage", format!("The channel says why: {code}")));
    }
}

/// An inbound message on its way to the customer.
pub(super) fn inbound(message: &Message, inbound: &Inbound<'_>, url: &url::Url) -> Callback {
    let sid = || message.sid.to_string();
    let mut params = vec![
        ("MessageSid", sid()),
        ("SmsSid", sid()),
        ("SmsMessageSid", sid()),
        ("AccountSid", message.account.sid.to_string()),
        ("From", inbound.from.to_owned()),
        ("To", inbound.to.to_owned()),
        ("Body", inbound.body.to_owned()),
        ("NumMedia", inbound.media.len().to_string()),
        ("NumSegments", message.segments.to_string()),
        ("SmsStatus", Status::Received.word().to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    for ((address, kind), link) in MEDIA.iter().zip(&inbound.media) {
        params.push((address, link.clone()));
        params.push((kind, media_type(link).to_owned()));
    }
    if message.channel() == Channel::WhatsApp {
        let digits = inbound.from.trim_start_matches(|c: char| !c.is_ascii_digit());
        let kind = inbound.media.first().map_or("text", |link| media_type(link).split('/').next().unwrap_or_default());
        params.push(("WaId", digits.to_owned()));
        params.push(("ProfileName", inbound.profile_name.unwrap_or("Sandbox").to_owned()));
        params.push(("MessageType", if kind == "application" { "document" } else { kind }.to_owned()));
        if let Some(answered) = &inbound.answers {
            params.push(("OriginalRepliedMessageSid", answered.sid.to_string()));
            params.push(("OriginalRepliedMessageSender", answered.sender.to_string()));
        }
    }
    post(Kind::Reply, message, url, &params)
}

/// The names of the parameters of each medium; there are ten at most.
const MEDIA: [(&str, &str); 10] = [
    ("MediaUrl0", "MediaContentType0"),
    ("MediaUrl1", "MediaContentType1"),
    ("MediaUrl2", "MediaContentType2"),
    ("MediaUrl3", "MediaContentType3"),
    ("MediaUrl4", "MediaContentType4"),
    ("MediaUrl5", "MediaContentType5"),
    ("MediaUrl6", "MediaContentType6"),
    ("MediaUrl7", "MediaContentType7"),
    ("MediaUrl8", "MediaContentType8"),
    ("MediaUrl9", "MediaContentType9"),
];

/// By how the link ends.
fn media_type(link: &str) -> &'static str {
    match link.rsplit('.').next() {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("gif") => "image/gif",
        Some("mp4") => "video/mp4",
        Some("ogg") => "audio/ogg",
        Some("pdf") => "application/pdf",
        Some(_) | None => "application/octet-stream",
    }
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
