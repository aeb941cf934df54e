//! What Event Grid's events say (PROVIDERS.md C.4): delivery reports and messages from people, several in one body, in Event
//! Grid's own schema or as CloudEvents. Microsoft writes the names now `likeThis`, now `LikeThis`, so their case is not looked at.

use std::borrow::Cow;

use serde_json::Value;

use super::{codes, tag};
use crate::{
    domain::{contact::ChannelType, message::Status, phone::E164},
    provider::{About, Hook, Inbound, IncomingReply, Method, Receipt, Unreadable},
};

const REPORT: &str = "Microsoft.Communication.SMSDeliveryReportReceived";
const RECEIVED: &str = "Microsoft.Communication.SMSReceived";
/// Event Grid asks whether it may send; [`super::handshake`] answers.
pub(super) const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

/// What the events say, in their order.
///
/// An event that makes no sense does not spoil those beside it: Event Grid would throw them all away (400), or send all of them
/// again. Only if there is no other is it said.
pub(super) fn read(hook: &Hook) -> Result<Vec<Inbound>, Unreadable> {
    match hook.method {
        Method::Options => return Ok(vec![Inbound::Ignored]),
        Method::Get => return Err(Unreadable("events come by POST".to_owned())),
        Method::Post => {}
    }
    let events = events(&hook.body).ok_or_else(|| Unreadable("its body is neither an event nor a list".to_owned()))?;
    let (mut said, mut problem) = (Vec::with_capacity(events.len()), None);
    for event in &events {
        match one(event) {
            Ok(inbound) => said.push(inbound),
            Err(unreadable) => problem = problem.or(Some(unreadable)),
        }
    }
    problem.filter(|_| said.is_empty()).map_or(Ok(said), Err)
}

/// The events of a body; `None` if it has none of the two forms.
pub(super) fn events(body: &[u8]) -> Option<Vec<Value>> {
    match serde_json::from_slice(body).ok()? {
        Value::Array(events) => Some(events),
        event @ Value::Object(_) => Some(vec![event]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// What kind of event it is: `eventType` in Event Grid's schema, `type` in the other.
pub(super) fn kind(event: &Value) -> Option<Cow<'_, str>> {
    text(event, "eventType").or_else(|| text(event, "type"))
}

/// What stands under a name in whatever case; `None` if it is missing or null.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let found = value.as_object()?.iter().find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null());
    found.map(|(_, value)| value)
}

/// A text, or a number as its text, unless it is empty.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<Cow<'a, str>> {
    match field(value, name)? {
        Value::String(text) => Some(Cow::Borrowed(text.as_str())).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn one(event: &Value) -> Result<Inbound, Unreadable> {
    let kind = kind(event).ok_or_else(|| Unreadable("an event has no type".to_owned()))?;
    let data = || field(event, "data").ok_or_else(|| Unreadable("an event has no data".to_owned()));
    if kind.eq_ignore_ascii_case(REPORT) {
        report(data()?)
    } else if kind.eq_ignore_ascii_case(RECEIVED) {
        reply(data()?)
    } else {
        Ok(Inbound::Ignored)
    }
}

/// A status that is not one of Azure's two is no news, and no mistake either.
fn report(data: &Value) -> Result<Inbound, Unreadable> {
    let about = tag::read(&text(data, "tag").unwrap_or_default(), text(data, "to").and_then(|to| number(&to)));
    let provider_id = text(data, "messageId").unwrap_or_default().into_owned();
    if provider_id.is_empty() && about == About::Unknown {
        return Err(Unreadable("a delivery report has neither a messageId nor a tag of ours".to_owned()));
    }
    let (status, why) = match text(data, "deliveryStatus").unwrap_or_default().to_ascii_lowercase().as_str() {
        "delivered" => (Status::Delivered, None),
        "failed" => match codes::failure(&text(data, "deliveryStatusDetails").unwrap_or_default()) {
            Some(why) => (Status::Undelivered, Some(why)),
            // Handed to a carrier that gives no reports: that is all there ever will be.
            None => (Status::Sent, None),
        },
        _ => return Ok(Inbound::Ignored),
    };
    Ok(Inbound::Receipt(Receipt { about, provider_id, status, why }))
}

/// Those who write from a short code or a name are no contacts: nobody could answer them. Azure does not say what it makes of a
/// keyword.
fn reply(data: &Value) -> Result<Inbound, Unreadable> {
    let needed = |name: &str| text(data, name).ok_or_else(|| Unreadable(format!("a message has no {name}")));
    let (id, from, to) = (needed("messageId")?, needed("from")?, needed("to")?);
    let Some(from) = number(&from) else { return Ok(Inbound::Ignored) };
    Ok(Inbound::Reply(IncomingReply {
        provider_id: id.into_owned(),
        channel: ChannelType::Sms,
        from,
        to: to.trim().trim_start_matches('+').to_owned(),
        text: text(data, "message").unwrap_or_default().into_owned(),
        media: Vec::new(),
        keyword: None,
    }))
}

/// A number with or without its plus.
fn number(text: &str) -> Option<E164> {
    E164::parse(&format!("+{}", text.trim().trim_start_matches('+')), None).ok()
}

#[cfg(test)]
mod tests;
