//! What an event looks like: the data in one of three ways of writing names, and the envelope in one of two schemas.
//!
//! Words that no official sample gives are ours: a caller must look for the code in them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    messages::{Inbound, Message, Outcome},
    subscription::Subscription,
};
use crate::sandbox::settings::{Casing, EventSchema};

pub(super) const OPTED_OUT: u32 = 4007;
pub(super) const SENDER_BLOCKED: &str = "Sender blocked for given recipient.";

const DETAILS: &[(u32, &str)] = &[
    (2000, "The message was delivered."),
    (4000, "The message was taken for fraud."),
    (4001, "The sender is not valid."),
    (4002, "The recipient is not valid."),
    (4003, "The destination is not supported."),
    (4004, "The recipient's number does not exist."),
    (4005, "The carrier blocked the message."),
    (4006, "The recipient cannot be reached."),
    (OPTED_OUT, SENDER_BLOCKED),
    (4008, "The sender's volume is exceeded."),
    (4009, "The resource is not entitled to send."),
    (4010, "The toll-free number is not verified."),
    (4020, "The sender's daily volume is exceeded."),
    (5000, "The message could not be delivered."),
    (5001, "The message could not be delivered for now."),
    (5002, "The carrier gives no report."),
    (9999, "The reason is not known."),
];

/// The delivery report of a message.
pub(super) fn report(message: &Message, outcome: Outcome, to: &Subscription, now_ms: i64) -> Value {
    let delivered = outcome == Outcome::Delivered;
    let attempts = match outcome {
        Outcome::Failed(OPTED_OUT) => Vec::new(),
        Outcome::Delivered | Outcome::Failed(_) => vec![data(
            report_names(to),
            [
                ("timestamp", instant(message.accepted_ms).into()),
                ("segmentsSucceeded", if delivered { message.segments } else { 0 }.into()),
                ("segmentsFailed", if delivered { 0 } else { message.segments }.into()),
            ],
        )],
    };
    let mut data = data(
        report_names(to),
        [
            ("messageId", (&*message.id).into()),
            ("from", bare(&message.from).into()),
            ("to", (&*message.to).into()),
            ("deliveryStatus", if delivered { "Delivered" } else { "Failed" }.into()),
            ("deliveryStatusDetails", details(outcome, to.casing).into()),
            ("deliveryAttempts", attempts.into()),
            ("receivedTimestamp", instant(now_ms).into()),
        ],
    );
    if let (Some(tag), Some(fields)) = (&message.tag, data.as_object_mut()) {
        let name = if to.casing == Casing::Camel { "tag" } else { "Tag" };
        fields.insert(name.into(), (&**tag).into());
    }
    let subject = format!("/phonenumber/{}", bare(&message.from));
    envelope(to, "Microsoft.Communication.SMSDeliveryReportReceived", (&message.id, &subject), data, now_ms)
}

/// What somebody sent to a sender of ours.
pub(super) fn received(message: &Inbound, to: &Subscription, now_ms: i64) -> Value {
    let mut data = data(
        received_names(to.casing),
        [
            ("messageId", message.id.as_str().into()),
            ("from", bare(&message.from).into()),
            ("to", bare(&message.to).into()),
            ("message", message.text.as_str().into()),
            ("receivedTimestamp", instant(now_ms).into()),
            ("segmentCount", message.segments.into()),
        ],
    );
    let as_sampled = to.casing == Casing::Mixed && to.schema == EventSchema::CloudEvents;
    if let Some(fields) = data.as_object_mut().filter(|_| as_sampled) {
        fields.remove("SegmentCount");
    }
    let subject = format!("/phonenumber/{}", bare(&message.to));
    let mut event = envelope(to, "Microsoft.Communication.SMSReceived", (&message.id, &subject), data, now_ms);
    if let Some(fields) = event.as_object_mut().filter(|_| as_sampled)
        && let Some(version) = fields.remove("specversion")
    {
        fields.insert("specVersion".into(), version);
    }
    event
}

/// The event that asks a receiver whether it wants a subscription's events.
pub(super) fn validation(to: &Subscription, code: &str, now_ms: i64) -> Value {
    let id = super::guid();
    json!([{
        "id": id,
        "topic": to.topic,
        "subject": "",
        "data": {
            "validationCode": code,
            // Nobody is there, as a receiver must not fetch what somebody sent it.
            "validationUrl": format!("https://eventgrid.invalid:553/eventsubscriptions/{}/validate?id={code}", to.name),
        },
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": instant(now_ms),
        "metadataVersion": "1",
        "dataVersion": "2",
    }])
}

fn envelope(to: &Subscription, kind: &str, (id, subject): (&str, &str), data: Value, now_ms: i64) -> Value {
    match to.schema {
        EventSchema::EventGrid => json!({
            "id": id,
            "topic": to.topic,
            "subject": subject,
            "data": data,
            "eventType": kind,
            "dataVersion": "1.0",
            "metadataVersion": "1",
            "eventTime": utc(now_ms).format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }),
        EventSchema::CloudEvents => json!({
            "id": id,
            "source": to.topic,
            "subject": subject,
            "data": data,
            "type": kind,
            "time": instant(now_ms),
            "specversion": "1.0",
        }),
    }
}

fn details(outcome: Outcome, casing: Casing) -> String {
    let code = match outcome {
        Outcome::Delivered => 2000,
        Outcome::Failed(code) => code,
    };
    match (casing, code) {
        (Casing::Mixed, 2000) => return "No error.".into(),
        (Casing::Mixed, OPTED_OUT) => return SENDER_BLOCKED.into(),
        (Casing::Camel | Casing::Pascal | Casing::Mixed, _) => {}
    }
    let words = DETAILS.iter().find(|row| row.0 == code).map_or("The message failed.", |row| row.1);
    format!("{code} - {words}")
}

enum Names {
    Camel,
    Pascal,
}

fn report_names(to: &Subscription) -> Names {
    match (to.casing, to.schema) {
        (Casing::Camel, _) | (Casing::Mixed, EventSchema::EventGrid) => Names::Camel,
        (Casing::Pascal, _) | (Casing::Mixed, EventSchema::CloudEvents) => Names::Pascal,
    }
}

fn received_names(casing: Casing) -> Names {
    match casing {
        Casing::Camel => Names::Camel,
        Casing::Pascal | Casing::Mixed => Names::Pascal,
    }
}

fn data<const N: usize>(names: Names, fields: [(&str, Value); N]) -> Value {
    let named = |name: &str| match names {
        Names::Camel => name.to_owned(),
        Names::Pascal => name[..1].to_uppercase() + &name[1..],
    };
    Value::Object(fields.into_iter().map(|(name, value)| (named(name), value)).collect::<Map<_, _>>())
}

/// A sender or recipient without its plus.
fn bare(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

fn utc(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// `2020-09-18T00:22:20.2850000Z`: seven digits of the second, as the service writes them.
fn instant(ms: i64) -> String {
    utc(ms).format("%Y-%m-%dT%H:%M:%S%.3f0000Z").to_string()
}
