//! Items and faults of every shape, as tables.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::provider::{Call, HttpRequest, Method, Provider as _, acs::testing};

fn call(seqs: &[i64]) -> Call {
    let carries = seqs.iter().map(|seq| (testing::outgoing(*seq, "a").id, testing::number(*seq))).collect();
    let request = HttpRequest { method: Method::Post, url: String::new(), headers: Vec::new(), body: Bytes::new() };
    Call { request, carries }
}

/// One letter for the kind of outcome, and the id or the reason's code.
fn judged(outcome: &Outcome) -> (char, &str) {
    match outcome {
        Outcome::Accepted { provider_id } => ('A', provider_id),
        Outcome::Deferred { why, .. } => ('D', why.reason.code()),
        Outcome::Rejected { why } => ('R', why.reason.code()),
        Outcome::InDoubt { why } => ('?', why.reason.code()),
    }
}

fn all(seqs: &[i64], status: u16, body: &str) -> Vec<Outcome> {
    testing::acs().outcomes(&call(seqs), &testing::reply(status, body))
}

/// The only recipient's item, without its number.
fn item(rest: &str) -> Outcome {
    let body = format!(r#"{{"value":[{{"to":"{}",{rest}}}]}}"#, testing::number(1));
    all(&[1], 202, &body).remove(0)
}

#[test]
fn items_of_every_shape_are_judged() {
    let table = [
        (r#""messageId":"O1","httpStatusCode":202,"successful":true"#, ('A', "O1")),
        (r#""messageId":"O1","httpStatusCode":202,"repeatabilityResult":"accepted","successful":true"#, ('A', "O1")),
        (r#""messageId":"O1","httpStatusCode":"202","successful":true,"new":[]"#, ('A', "O1")),
        (r#""messageId":"O1","successful":true"#, ('A', "O1")),
        (r#""messageId":"O1","httpStatusCode":202"#, ('A', "O1")),
        (
            r#""httpStatusCode":400,"errorMessage":"Invalid To phone number format.","successful":false"#,
            ('R', "invalid_number"),
        ),
        (
            r#""httpStatusCode":400,"errorMessage":"Sender blocked for given recipient.","successful":false"#,
            ('R', "opted_out"),
        ),
        (r#""httpStatusCode":403,"errorMessage":"Recipient has opted out","successful":false"#, ('R', "opted_out")),
        (
            r#""messageId":"O1","httpStatusCode":400,"repeatabilityResult":"rejected","errorMessage":"Request sent with Invalid DateTime value for repeatability-first-sent.","successful":false"#,
            ('R', "refused"),
        ),
        (
            r#""httpStatusCode":400,"repeatabilityResult":"Rejected","errorMessage":"The id was sent before with other content.","successful":false"#,
            ('?', "unreadable_answer"),
        ),
        (r#""httpStatusCode":412,"repeatabilityResult":"rejected","successful":false"#, ('?', "unreadable_answer")),
        (r#""httpStatusCode":412,"successful":false"#, ('?', "unreadable_answer")),
        (r#""httpStatusCode":400,"successful":false"#, ('R', "refused")),
        (r#""httpStatusCode":401,"successful":false"#, ('R', "account_refused")),
        (r#""httpStatusCode":402,"successful":false"#, ('R', "account_suspended")),
        (r#""httpStatusCode":403,"successful":false"#, ('R', "sender_refused")),
        (r#""httpStatusCode":404,"successful":false"#, ('R', "sender_refused")),
        (r#""httpStatusCode":429,"successful":false"#, ('D', "throttled")),
        (r#""httpStatusCode":500,"successful":false"#, ('D', "provider_fault")),
        (
            r#""messageId":"O1","httpStatusCode":503,"errorMessage":"ServiceUnavailable","successful":false"#,
            ('D', "provider_fault"),
        ),
        (r#""httpStatusCode":503,"errorMessage":"opted out","successful":false"#, ('D', "provider_fault")),
        (r#""httpStatusCode":408,"successful":false"#, ('?', "unreadable_answer")),
        (r#""httpStatusCode":202,"successful":true"#, ('?', "unreadable_answer")),
        (r#""messageId":"O1","httpStatusCode":202,"successful":false"#, ('?', "unreadable_answer")),
        (r#""messageId":"O1","httpStatusCode":400,"successful":true"#, ('?', "unreadable_answer")),
        (r#""messageId":"O1","httpStatusCode":"soon","successful":"yes""#, ('?', "unreadable_answer")),
        (r#""messageId":"O1""#, ('?', "unreadable_answer")),
    ];
    for (rest, expected) in table {
        assert_eq!(judged(&item(rest)), expected, "{rest}");
    }
    let why = Why::detailed(Reason::InvalidNumber, "Invalid To phone number format.").with_code(400);
    let given = item(r#""httpStatusCode":400,"errorMessage":"Invalid To phone number format.","successful":false"#);
    assert_eq!(given, Outcome::Rejected { why });
    let bare = Why::detailed(Reason::ProviderFault, "HTTP 500 for this recipient").with_code(500);
    assert_eq!(item(r#""httpStatusCode":500,"successful":false"#), Outcome::Deferred { why: bare, after: None });
}

#[test]
fn recipients_are_told_apart_by_their_numbers() {
    let (one, two, three) = (testing::number(1), testing::number(2), testing::number(3).to_string());
    let spaced = three.replacen("+49", " 49 ", 1);
    let body = format!(
        r#"{{"value":[null,7,{{"to":"{spaced}","messageId":"O3","httpStatusCode":202,"successful":true}},
            {{"to":"+19998887777","messageId":"O9","httpStatusCode":202,"successful":true}},
            {{"to":"{two}","httpStatusCode":429,"successful":false}},
            {{"to":"{one}","messageId":"O1","httpStatusCode":202,"successful":true}},
            {{"to":"{one}","httpStatusCode":400,"successful":false}}]}}"#
    );
    let outcomes = all(&[1, 2, 3, 4], 202, &body);
    let found: Vec<_> = outcomes.iter().map(judged).collect();
    assert_eq!(found, [('A', "O1"), ('D', "throttled"), ('A', "O3"), ('?', "unreadable_answer")]);
}

#[test]
fn whole_calls_are_judged() {
    let denied =
        r#"{"error":{"code":"Denied","message":"Request 'x-ms-content-sha256' differs from generated content hash."}}"#;
    let version = r#"{"error":{"code":"ApiVersionUnspecified","message":"An API version is required"}}"#;
    let sender = r#"{"error":{"code":"BadRequest","message":"Invalid From phone number format.","innerError":{}}}"#;
    let opted_out = r#"{"error":{"code":"BadRequest","message":"Sender blocked for given recipient."}}"#;
    let table = [
        (401, denied, 'R', "account_refused", "account_refused"),
        (403, "", 'R', "account_refused", "account_refused"),
        (402, "", 'R', "account_suspended", "account_suspended"),
        (404, "<html>", 'R', "not_configured", "not_configured"),
        (400, version, 'R', "not_configured", "not_configured"),
        (400, sender, 'R', "sender_refused", "sender_refused"),
        (400, opted_out, 'R', "opted_out", "refused"),
        (403, opted_out, 'R', "opted_out", "account_refused"),
        (404, sender, 'R', "sender_refused", "sender_refused"),
        (401, opted_out, 'R', "account_refused", "account_refused"),
        (400, "", 'R', "refused", "refused"),
        (422, r#"{"error":"x"}"#, 'R', "refused", "refused"),
        (429, "", 'D', "throttled", "throttled"),
        (408, "", '?', "unreadable_answer", "unreadable_answer"),
        (500, denied, '?', "provider_fault", "provider_fault"),
        (503, "<html>", '?', "provider_fault", "provider_fault"),
        (302, "", '?', "unreadable_answer", "unreadable_answer"),
        (0, "", '?', "unreadable_answer", "unreadable_answer"),
        (202, "", '?', "unreadable_answer", "unreadable_answer"),
        (202, "<html>", '?', "unreadable_answer", "unreadable_answer"),
        (202, r#"{"value":[]}"#, '?', "unreadable_answer", "unreadable_answer"),
        (202, r#"{"value":{}}"#, '?', "unreadable_answer", "unreadable_answer"),
        (202, r#"[{"to":1}]"#, '?', "unreadable_answer", "unreadable_answer"),
    ];
    for (status, body, kind, alone, several) in table {
        assert_eq!(all(&[1], status, body).iter().map(judged).collect::<Vec<_>>(), [(kind, alone)], "{status} {body}");
        let expected = [(kind, several), (kind, several)];
        assert_eq!(all(&[1, 2], status, body).iter().map(judged).collect::<Vec<_>>(), expected, "{status} {body}");
    }
    let why =
        Why::detailed(Reason::AccountRefused, "Request 'x-ms-content-sha256' differs from generated content hash.");
    assert_eq!(all(&[1], 401, denied), [Outcome::Rejected { why: why.with_code("Denied") }]);
}

#[test]
fn the_wait_that_azure_asks_for_is_passed_on() {
    let after = Some(Duration::from_secs(60));
    let busy = HttpReply { retry_after: after, ..testing::reply(429, "") };
    let why = Why::detailed(Reason::Throttled, "HTTP 429");
    assert_eq!(testing::acs().outcomes(&call(&[1]), &busy), [Outcome::Deferred { why, after }]);
}

proptest! {
    #[test]
    fn garbage_never_panics_and_is_never_accepted(status: u16, body: Vec<u8>) {
        let reply = HttpReply { status, retry_after: None, body: Bytes::from(body) };
        let outcomes = testing::acs().outcomes(&call(&[1, 2]), &reply);
        prop_assert_eq!(outcomes.len(), 2);
        prop_assert!(outcomes.iter().all(|outcome| judged(outcome).0 != 'A'));
    }

    #[test]
    fn odd_values_never_panic(to in "\\PC{0,20}", status in "\\PC{0,6}", words in "\\PC{0,20}") {
        let item = serde_json::json!({"to": to, "httpStatusCode": status, "errorMessage": words, "messageId": 7});
        let body = serde_json::json!({"value": [item], "error": {"code": status, "message": words}}).to_string();
        for status in [202, 400] {
            prop_assert_eq!(all(&[1, 2], status, &body).len(), 2);
        }
    }
}
