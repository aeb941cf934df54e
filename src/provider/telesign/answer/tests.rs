//! Every code and every shape of answer, as tables.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::provider::telesign::testing::reply;

/// One letter for the kind of outcome, and the reason.
fn judged(reply: &HttpReply) -> (char, Option<Reason>) {
    match outcome(reply) {
        Outcome::Accepted { .. } => ('A', None),
        Outcome::Deferred { why, .. } => ('D', Some(why.reason)),
        Outcome::Rejected { why } => ('R', Some(why.reason)),
        Outcome::InDoubt { why } => ('?', Some(why.reason)),
    }
}

/// PROVIDERS B.1 and B.2, a row a code: the HTTP status that it comes with, the outcome, the reason.
const ANSWERS: &[(i64, u16, char, Option<Reason>)] = &[
    (-90001, 500, 'D', Some(Reason::ProviderFault)),
    (-40008, 500, 'D', Some(Reason::Throttled)),
    (-40007, 429, 'D', Some(Reason::Throttled)),
    (200, 200, 'A', None),
    (201, 200, 'A', None),
    (203, 200, 'A', None),
    (207, 200, 'D', Some(Reason::CarrierFault)),
    (210, 200, 'D', Some(Reason::Unreachable)),
    (211, 200, 'R', Some(Reason::NotMobile)),
    (220, 200, 'R', Some(Reason::Unroutable)),
    (221, 200, 'D', Some(Reason::Unreachable)),
    (222, 200, 'R', Some(Reason::NotMobile)),
    (229, 200, 'R', Some(Reason::Blocked)),
    (230, 200, 'R', Some(Reason::Blocked)),
    (231, 200, 'R', Some(Reason::InvalidContent)),
    (233, 200, 'R', Some(Reason::Blocked)),
    (237, 200, 'R', Some(Reason::RegionNotEnabled)),
    (238, 200, 'R', Some(Reason::Blocked)),
    (250, 200, 'A', None),
    (251, 200, 'A', None),
    (286, 200, 'R', Some(Reason::NotMobile)),
    (290, 200, 'A', None),
    (290, 201, 'A', None),
    (292, 202, 'A', None),
    (293, 200, 'A', None),
    (295, 200, 'A', None),
    (500, 503, 'D', Some(Reason::ProviderFault)),
    (501, 401, 'R', Some(Reason::AccountRefused)),
    (502, 200, 'R', Some(Reason::SenderRefused)),
    (503, 200, 'D', Some(Reason::CarrierFault)),
    (504, 200, 'R', Some(Reason::Blocked)),
    (505, 200, 'D', Some(Reason::CarrierFault)),
    (506, 200, 'R', Some(Reason::NotDelivered)),
    (507, 200, 'R', Some(Reason::InvalidNumber)),
    (508, 200, 'R', Some(Reason::SenderRefused)),
    (509, 200, 'R', Some(Reason::Refused)),
    (510, 200, 'R', Some(Reason::OptedOut)),
    (510, 400, 'R', Some(Reason::OptedOut)),
    (511, 200, 'D', Some(Reason::Unreachable)),
    (512, 200, 'D', Some(Reason::Unreachable)),
    (513, 200, 'D', Some(Reason::CarrierFault)),
    (514, 200, 'D', Some(Reason::Unreachable)),
    (515, 200, 'R', Some(Reason::Filtered)),
    (516, 200, 'R', Some(Reason::NotOnChannel)),
    (517, 200, 'R', Some(Reason::InvalidTemplate)),
    (518, 200, 'R', Some(Reason::Blocked)),
    (519, 200, 'R', Some(Reason::Blocked)),
    (520, 200, 'R', Some(Reason::InvalidContent)),
    (521, 200, 'R', Some(Reason::Unroutable)),
    (599, 200, 'A', None),
    (1500, 200, '?', Some(Reason::Unreadable)),
    (10000, 500, 'D', Some(Reason::ProviderFault)),
    (10000, 503, 'D', Some(Reason::ProviderFault)),
    (10002, 401, 'R', Some(Reason::AccountRefused)),
    (10003, 401, 'R', Some(Reason::AccountRefused)),
    (10004, 401, 'R', Some(Reason::AccountRefused)),
    (10005, 401, 'R', Some(Reason::AccountRefused)),
    (10006, 401, 'R', Some(Reason::AccountRefused)),
    (10007, 401, 'R', Some(Reason::AccountRefused)),
    (10008, 401, 'R', Some(Reason::AccountRefused)),
    (10009, 401, 'R', Some(Reason::AccountRefused)),
    (10010, 401, 'R', Some(Reason::AccountSuspended)),
    (10011, 401, 'R', Some(Reason::AccountRefused)),
    (10013, 401, 'R', Some(Reason::AccountRefused)),
    (10014, 401, 'R', Some(Reason::AccountRefused)),
    (10015, 401, 'R', Some(Reason::AccountRefused)),
    (10017, 404, 'R', Some(Reason::Refused)),
    (10019, 429, 'D', Some(Reason::Throttled)),
    (10020, 429, 'D', Some(Reason::LimitReached)),
    (10022, 401, 'R', Some(Reason::AccountRefused)),
    (10028, 401, 'R', Some(Reason::AccountRefused)),
    (10030, 402, 'R', Some(Reason::AccountSuspended)),
    (10031, 401, 'R', Some(Reason::AccountRefused)),
    (10032, 400, 'R', Some(Reason::Blocked)),
    (10033, 401, 'R', Some(Reason::TrialAccount)),
    (10034, 400, 'R', Some(Reason::RegionNotEnabled)),
    (10035, 401, 'R', Some(Reason::AccountRefused)),
    (10036, 404, 'R', Some(Reason::Refused)),
    (11000, 400, 'R', Some(Reason::InvalidNumber)),
    (11001, 400, 'R', Some(Reason::InvalidNumber)),
    (11003, 400, 'R', Some(Reason::Refused)),
    (11004, 400, 'R', Some(Reason::Refused)),
    (11009, 400, 'R', Some(Reason::InvalidContent)),
    (11010, 400, 'R', Some(Reason::Refused)),
    (11011, 400, 'R', Some(Reason::Refused)),
    (11013, 400, 'R', Some(Reason::SenderRefused)),
    (11016, 400, 'R', Some(Reason::Refused)),
    (11017, 400, 'R', Some(Reason::Refused)),
    (11027, 400, 'R', Some(Reason::Refused)),
    (11034, 400, 'R', Some(Reason::Refused)),
    (11035, 400, 'R', Some(Reason::Refused)),
    (12000, 400, 'R', Some(Reason::InvalidNumber)),
    (12009, 400, 'R', Some(Reason::EmptyMessage)),
    (12017, 400, 'R', Some(Reason::Refused)),
    // Not in the table.
    (11999, 400, 'R', Some(Reason::Refused)),
    (10099, 401, 'R', Some(Reason::AccountRefused)),
    (10098, 402, 'R', Some(Reason::AccountSuspended)),
    (10097, 429, 'D', Some(Reason::Throttled)),
    (10096, 200, 'R', Some(Reason::Refused)),
    (522, 200, 'R', Some(Reason::NotDelivered)),
    (299, 200, '?', Some(Reason::Unreadable)),
    (299, 500, '?', Some(Reason::ProviderFault)),
    (10095, 503, '?', Some(Reason::ProviderFault)),
];

#[test]
fn every_code_is_judged_as_a_number_and_as_a_text() {
    for &(code, status, kind, reason) in ANSWERS {
        for written in [code.to_string(), format!("\"{code}\"")] {
            let body = format!(
                r#"{{"reference_id":"0123456789ABCDEF0123456789ABCDEF","status":{{"code":{written},"description":"In words","updated_on":"2022-31-03T14:51:28.709526Z"}},"signature_string":"POST","external_id":null}}"#
            );
            let reply = reply(status, &body);
            assert_eq!(judged(&reply), (kind, reason), "{code} {status}");
            match outcome(&reply) {
                Outcome::Accepted { provider_id } => assert_eq!(provider_id, "0123456789ABCDEF0123456789ABCDEF"),
                Outcome::Rejected { why } | Outcome::Deferred { why, .. } | Outcome::InDoubt { why } => {
                    assert_eq!((why.provider_code, why.detail), (code.to_string(), "In words".to_owned()));
                }
            }
        }
    }
    let untested = codes::CODES.iter().find(|row| ANSWERS.iter().all(|(code, ..)| *code != row.code));
    assert!(untested.is_none(), "{:?}", untested.map(|row| row.code));
}

#[test]
fn answers_of_every_shape_are_judged() {
    let taken = r#"{"reference_id":"A1","status":{"code":290}}"#;
    let table = [
        (200, taken, ('A', None)),
        (299, taken, ('A', None)),
        (503, taken, ('A', None)),
        (400, r#"{"reference_id":"A1","status":{"code":11000}}"#, ('R', Some(Reason::InvalidNumber))),
        (200, r#"{"reference_id":"A1","status":{"code":11000}}"#, ('R', Some(Reason::InvalidNumber))),
        (200, r#"{"reference_id":null,"status":{"code":290}}"#, ('?', Some(Reason::Unreadable))),
        (200, r#"{"status":{"code":290}}"#, ('?', Some(Reason::Unreadable))),
        (200, r#"{"reference_id":"A1"}"#, ('?', Some(Reason::Unreadable))),
        (200, r#"{"reference_id":"A1","status":{"code":"soon"}}"#, ('?', Some(Reason::Unreadable))),
        (200, r#"{"reference_id":"A1","status":"290"}"#, ('?', Some(Reason::Unreadable))),
        (200, r#"{"reference_id":"A1","status":{"co"#, ('?', Some(Reason::Unreadable))),
        (200, "", ('?', Some(Reason::Unreadable))),
        (204, "", ('?', Some(Reason::Unreadable))),
        (200, "<html></html>", ('?', Some(Reason::Unreadable))),
        (302, "", ('?', Some(Reason::Unreadable))),
        (400, "", ('R', Some(Reason::Refused))),
        (401, "<html>no</html>", ('R', Some(Reason::AccountRefused))),
        (402, "", ('R', Some(Reason::AccountSuspended))),
        (403, "null", ('R', Some(Reason::AccountRefused))),
        (404, "[]", ('R', Some(Reason::Refused))),
        (408, "", ('?', Some(Reason::Unreadable))),
        (429, "", ('D', Some(Reason::Throttled))),
        (500, "<html>oops</html>", ('?', Some(Reason::ProviderFault))),
        (502, r#"{"message":"Bad Gateway"}"#, ('?', Some(Reason::ProviderFault))),
        (504, "", ('?', Some(Reason::ProviderFault))),
        (0, "", ('?', Some(Reason::Unreadable))),
    ];
    for (status, body, expected) in table {
        assert_eq!(judged(&reply(status, body)), expected, "{status} {body}");
    }
}

#[test]
fn what_was_not_attempted_goes_by_the_error_behind_it() {
    for (errors, expected, code) in [
        (r#"[{"code":-40007,"description":"Rate Limit Exceeded"}]"#, ('D', Some(Reason::Throttled)), "-40007"),
        (r#"[{"code":10019}]"#, ('D', Some(Reason::Throttled)), "10019"),
        (r#"[{"code":-10001}]"#, ('R', Some(Reason::Refused)), "-10001"),
        ("{}", ('D', Some(Reason::ProviderFault)), "500"),
    ] {
        let body = format!(r#"{{"reference_id":"A1","status":{{"code":500}},"errors":{errors}}}"#);
        let reply = reply(500, &body);
        assert_eq!(judged(&reply), expected, "{errors}");
        let (Outcome::Deferred { why, .. } | Outcome::InDoubt { why } | Outcome::Rejected { why }) = outcome(&reply)
        else {
            panic!("accepted")
        };
        assert_eq!(why.provider_code, code);
    }
}

#[test]
fn the_wait_that_telesign_asks_for_is_passed_on() {
    let mut busy = reply(429, r#"{"status":{"code":10019,"description":"Rate Limit Exceeded"}}"#);
    busy.retry_after = Some(Duration::from_secs(3));
    let why = Why::detailed(Reason::Throttled, "Rate Limit Exceeded").with_code(10019);
    assert_eq!(outcome(&busy), Outcome::Deferred { why, after: busy.retry_after });
    let bare = outcome(&reply(500, ""));
    assert_eq!(bare, Outcome::InDoubt { why: Why::detailed(Reason::ProviderFault, "HTTP 500") });
}

proptest! {
    #[test]
    fn garbage_never_panics_and_is_never_accepted(status: u16, body: Vec<u8>) {
        let reply = HttpReply { status, retry_after: None, body: Bytes::from(body) };
        prop_assert!(judged(&reply).0 != 'A');
    }

    #[test]
    fn odd_values_never_panic(code in "\\PC{0,8}", id in "\\PC{0,8}", status: u16) {
        let body = serde_json::json!({"reference_id": id, "status": {"code": code}, "errors": [code]}).to_string();
        let _any = judged(&reply(status, &body));
    }
}
