//! Events as Microsoft's samples have them, in both schemas and both ways of writing names.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    domain::{
        id::MessageId,
        reason::{Reason, Why},
    },
    provider::{Provider as _, acs::testing},
};

fn post(body: &str) -> Hook {
    let headers = vec![("aeg-event-type".into(), "Notification".into())];
    let url = "https://hooks.example/t/acc_1?secret=x".to_owned();
    Hook { method: Method::Post, url, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn all(body: &str) -> Vec<Inbound> {
    testing::acs().inbound(&post(body)).unwrap()
}

/// With every name's first letter large.
fn pascal(value: &Value) -> Value {
    let large = |name: &str| name.get(..1).unwrap_or_default().to_uppercase() + name.get(1..).unwrap_or_default();
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (large(name), pascal(value))).collect(),
        Value::Array(items) => items.iter().map(pascal).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// One event in every form that it can come in: both schemas, both ways of writing, alone and in a list.
fn forms(kind: &str, data: &Value) -> Vec<String> {
    let grid = json!({
        "id": "e1", "topic": "/subscriptions/x", "subject": "/phonenumber/15555555555", "data": data, "eventType": kind,
        "dataVersion": "1.0", "metadataVersion": "1", "eventTime": "2020-09-18T00:22:20Z",
    });
    let cloud = |version: &str| {
        json!({
            "id": "e1", "source": "/subscriptions/x", "subject": "/phonenumber/15555555555", "type": kind, "data": data,
            "time": "2020-09-18T00:22:20.0000000Z", version: "1.0",
        })
    };
    let events = [grid, cloud("specversion"), cloud("specVersion")];
    let ways = |event: &Value| [event.clone(), pascal(event), json!([event]), json!([pascal(event)])];
    events.iter().flat_map(ways).map(|event| event.to_string()).collect()
}

fn report(tag: &str, status: &str, details: &str) -> Value {
    json!({
        "messageId": "Outgoing_1", "from": "15555555555", "to": testing::number(13).to_string(), "deliveryStatus": status,
        "deliveryStatusDetails": details, "receivedTimestamp": "2020-09-18T00:22:20.2855749Z", "Tag": tag,
        "deliveryAttempts": [{"timestamp": "2020-09-18T00:22:14.9315918Z", "segmentsSucceeded": 1, "segmentsFailed": 0}],
    })
}

#[test]
fn reports_are_understood_in_every_form() {
    let run = testing::run();
    let (id, to) = (MessageId { run, seq: 13 }, testing::number(13));
    let failed =
        |reason, details: &str, code: &str| (Status::Undelivered, Some(Why::detailed(reason, details).with_code(code)));
    let timeout = "ErrorCode: 5002. ErrorMessage: Message Delivery Timeout";
    let table = [
        (id.to_string(), "Delivered", "No error.", About::Message(id), (Status::Delivered, None)),
        (
            format!("{run}_12_57"),
            "delivered",
            "2000",
            About::Among { run, first: 12, last: 57, to },
            (Status::Delivered, None),
        ),
        (
            "camp-1".into(),
            "Failed",
            "ErrorCode: 4006",
            About::Unknown,
            failed(Reason::Unreachable, "ErrorCode: 4006", "4006"),
        ),
        (id.to_string(), "FAILED", "4007 x", About::Message(id), failed(Reason::OptedOut, "4007 x", "4007")),
        (
            id.to_string(),
            "Failed",
            "Sender blocked for given recipient.",
            About::Message(id),
            failed(Reason::OptedOut, "Sender blocked for given recipient.", ""),
        ),
        (id.to_string(), "Failed", "", About::Message(id), failed(Reason::NotDelivered, "", "")),
        (id.to_string(), "Failed", timeout, About::Message(id), (Status::Sent, None)),
        (id.to_string(), "Delivered", "4005", About::Message(id), (Status::Delivered, None)),
    ];
    for (tag, status, details, about, (expected, why)) in table {
        let receipt = Receipt { about, provider_id: "Outgoing_1".into(), status: expected, why };
        for body in forms(REPORT, &report(&tag, status, details)) {
            assert_eq!(all(&body), [Inbound::Receipt(receipt.clone())], "{body}");
        }
    }
}

#[test]
fn every_code_is_told_as_the_table_has_it() {
    for (code, meaning) in codes::CODES {
        let body = json!([{"eventType": REPORT, "data": report("", "Failed", &format!("ErrorCode: {code}."))}]);
        let found = all(&body.to_string());
        let [Inbound::Receipt(receipt)] = found.as_slice() else { panic!("{code} is no receipt") };
        let told = receipt.why.as_ref().map(|why| (why.reason, why.provider_code.clone()));
        let expected = match meaning {
            codes::Meaning::NoNews => None,
            codes::Meaning::Arrived => Some((Reason::NotDelivered, code.to_string())),
            codes::Meaning::Failed(reason) => Some((*reason, code.to_string())),
        };
        assert_eq!(told, expected, "{code}");
    }
}

fn received(from: &str, to: &str) -> Value {
    json!({
        "messageId": "Incoming_1", "from": from, "to": to, "message": "Great to connect", "segmentCount": 1,
        "receivedTimestamp": "2020-09-18T00:27:45.32Z",
    })
}

#[test]
fn replies_are_understood_in_every_form() {
    let expected = IncomingReply {
        provider_id: "Incoming_1".into(),
        channel: ChannelType::Sms,
        from: E164::from_digits(4_915_112_345_678),
        to: "18001110000".into(),
        text: "Great to connect".into(),
        media: Vec::new(),
        keyword: None,
    };
    for (from, to) in [("4915112345678", "18001110000"), ("+4915112345678", "+18001110000")] {
        for body in forms(RECEIVED, &received(from, to)) {
            assert_eq!(all(&body), [Inbound::Reply(expected.clone())], "{body}");
        }
    }
    let short = json!({"type": RECEIVED, "data": received("4915112345678", "26225")}).to_string();
    assert_eq!(all(&short), [Inbound::Reply(IncomingReply { to: "26225".into(), ..expected })]);
    for nobody in ["12345", "ACME"] {
        let body = json!({"type": RECEIVED, "data": received(nobody, "18001110000")}).to_string();
        assert_eq!(all(&body), [Inbound::Ignored], "{nobody}");
    }
}

#[test]
fn several_events_come_in_one_body_and_a_bad_one_spoils_no_other() {
    let report = json!({"eventType": REPORT, "data": report("", "Delivered", "")});
    let reply = json!({"EventType": RECEIVED, "Data": received("4915112345678", "18001110000")});
    let other = json!({"eventType": "Microsoft.Communication.ChatMessageReceived", "data": {}});
    let bad = json!({"eventType": REPORT});
    let body = json!([bad, report, other, 7, reply, report]).to_string();
    let found = all(&body);
    let kinds: Vec<_> = found.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 4);
    assert!(matches!(
        found.as_slice(),
        [Inbound::Receipt(_), Inbound::Ignored, Inbound::Reply(_), Inbound::Receipt(_)]
    ));
    assert_eq!(all("[]"), []);
}

#[test]
fn what_herald_has_no_use_for_is_no_mistake() {
    for kind in ["Microsoft.Communication.ChatThreadCreated", VALIDATION, "Microsoft.Communication.SMSReceivedTwice"] {
        assert_eq!(all(&json!({"type": kind}).to_string()), [Inbound::Ignored], "{kind}");
    }
    let waiting = json!({"type": REPORT, "data": report("", "Expedited", "")}).to_string();
    assert_eq!(all(&waiting), [Inbound::Ignored]);
    let options = Hook { method: Method::Options, ..post("") };
    assert_eq!(testing::acs().inbound(&options), Ok(vec![Inbound::Ignored]));
}

#[test]
fn what_makes_no_sense_is_said() {
    let table = [
        ("", "neither an event nor a list"),
        ("7", "neither an event nor a list"),
        ("MessageSid=SM1", "neither an event nor a list"),
        (r#"[{"eventType":"#, "neither an event nor a list"),
        ("{}", "no type"),
        ("[7]", "no type"),
        (r#"{"type":7,"data":null}"#, ""),
        (r#"{"type":"microsoft.communication.smsreceived"}"#, "no data"),
        (r#"{"type":"Microsoft.Communication.SMSReceived","data":{"from":"1"}}"#, "no messageId"),
        (r#"{"type":"Microsoft.Communication.SMSReceived","data":{"messageId":"a","from":"1"}}"#, "no to"),
        (
            r#"{"type":"Microsoft.Communication.SMSDeliveryReportReceived","data":{"deliveryStatus":"Failed"}}"#,
            "neither a messageId",
        ),
    ];
    for (body, expected) in table {
        match testing::acs().inbound(&post(body)) {
            Err(problem) => assert!(problem.to_string().contains(expected), "{body}: {problem}"),
            Ok(said) => assert_eq!((said, expected), (vec![Inbound::Ignored], ""), "{body}"),
        }
    }
    let get = Hook { method: Method::Get, ..post("[]") };
    assert!(testing::acs().inbound(&get).is_err());
}

proptest! {
    #[test]
    fn garbage_never_panics(body: Vec<u8>) {
        let hook = Hook { body: Bytes::from(body), ..post("") };
        let _any = testing::acs().inbound(&hook);
    }

    #[test]
    fn odd_values_never_panic(values in proptest::collection::vec("\\PC{0,12}", 6), kind in prop_oneof![Just(REPORT), Just(RECEIVED)]) {
        let data = json!({
            "messageId": values[0], "from": values[1], "to": values[2], "tag": values[3], "deliveryStatus": "Failed",
            "deliveryStatusDetails": values[4], "message": values[5],
        });
        for body in forms(kind, &data) {
            let _any = testing::acs().inbound(&post(&body));
        }
    }
}
