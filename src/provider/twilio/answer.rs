//! The judgement on Twilio's answer to a message that was handed over (PROVIDERS.md A.2).
//!
//! Twilio has no idempotency key, so everything turns on one question: can the message have been taken? A refusal (4xx)
//! says no, a fault (5xx) or an answer that cannot be read says perhaps, and perhaps is never tried again unasked.

use super::{
    codes,
    wire::{self, Answer},
};
use crate::{
    domain::{
        message::Status,
        outcome::Outcome,
        reason::{Reason, Retry, Why},
    },
    provider::HttpReply,
};

/// What became of the message that the call carried.
pub(super) fn outcome(reply: &HttpReply) -> Outcome {
    let answer: Option<Answer<'_>> = wire::object(&reply.body);
    match reply.status {
        200..=299 => taken(answer.as_ref(), reply),
        400..=499 if reply.status != 408 => turned_away(refusal(reply.status, answer.as_ref()), reply),
        500..=599 => Outcome::InDoubt { why: with_answer(Reason::ProviderFault, reply.status, answer.as_ref()) },
        _ => Outcome::InDoubt { why: with_answer(Reason::Unreadable, reply.status, answer.as_ref()) },
    }
}

/// Why a 4xx refused: by Twilio's code, else by the HTTP status.
///
/// 401 and 403 stop the account unless the table knows better, so that a wrong token costs one message a stop and not a
/// million failures.
pub(super) fn refusal(status: u16, answer: Option<&Answer<'_>>) -> Why {
    let code = answer.and_then(|answer| answer.code.code());
    let by_status = || match status {
        401 | 403 => Some(Reason::AccountRefused),
        402 => Some(Reason::AccountSuspended),
        429 => Some(Reason::Throttled),
        _ => None,
    };
    let reason = code.and_then(codes::known).or_else(by_status).or_else(|| code.and_then(codes::family));
    with_answer(reason.unwrap_or(Reason::Refused), status, answer)
}

/// The reason with Twilio's own code and text, or else with the HTTP status. Never anything else of the body.
pub(super) fn with_answer(reason: Reason, status: u16, answer: Option<&Answer<'_>>) -> Why {
    let code = answer.and_then(|answer| answer.code.code());
    let text = answer.map(|answer| answer.message.or_empty()).filter(|text| !text.is_empty());
    let why = match text {
        Some(text) => Why::detailed(reason, text),
        None => Why::detailed(reason, format!("HTTP {status}")),
    };
    match code {
        Some(code) => why.with_code(code),
        None => why,
    }
}

fn taken(answer: Option<&Answer<'_>>, reply: &HttpReply) -> Outcome {
    let Some((answer, sid)) = answer.and_then(|answer| Some((answer, answer.sid.text()?))) else {
        return Outcome::InDoubt { why: with_answer(Reason::Unreadable, reply.status, answer) };
    };
    let word = answer.status.or_empty();
    let failed = wire::status(word).filter(|status| matches!(status, Status::Failed | Status::Undelivered));
    match failed.and_then(|status| wire::why(status, word, answer.error_code.code(), answer.error_message.or_empty())) {
        Some(why) => turned_away(why, reply),
        None => Outcome::Accepted { provider_id: sid.to_owned() },
    }
}

fn turned_away(why: Why, reply: &HttpReply) -> Outcome {
    match why.reason.retry() {
        Retry::Soon | Retry::Later => Outcome::Deferred { why, after: reply.retry_after },
        Retry::Never => Outcome::Rejected { why },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::provider::twilio::testing::reply;

    /// One letter for the kind of outcome, and the reason.
    fn judged(reply: &HttpReply) -> (char, Option<Reason>) {
        match outcome(reply) {
            Outcome::Accepted { .. } => ('A', None),
            Outcome::Deferred { why, .. } => ('D', Some(why.reason)),
            Outcome::Rejected { why } => ('R', Some(why.reason)),
            Outcome::InDoubt { why } => ('?', Some(why.reason)),
        }
    }

    /// PROVIDERS A.2 and what Twilio says of content and of Meta's own codes, a row a code: the HTTP status that it comes with when it comes at once, the reason, the outcome.
    const REFUSALS: &[(u32, u16, Reason, char)] = &[
        (20003, 401, Reason::AccountRefused, 'R'),
        (20404, 404, Reason::Refused, 'R'),
        (20429, 429, Reason::Throttled, 'D'),
        (20500, 500, Reason::ProviderFault, '?'),
        (20503, 503, Reason::ProviderFault, '?'),
        (21211, 400, Reason::InvalidNumber, 'R'),
        (21212, 400, Reason::SenderRefused, 'R'),
        (21408, 400, Reason::RegionNotEnabled, 'R'),
        (21602, 400, Reason::EmptyMessage, 'R'),
        (21603, 400, Reason::SenderRefused, 'R'),
        (21604, 400, Reason::InvalidNumber, 'R'),
        (21606, 400, Reason::SenderRefused, 'R'),
        (21608, 400, Reason::TrialAccount, 'R'),
        (21610, 400, Reason::OptedOut, 'R'),
        (21611, 429, Reason::QueueFull, 'D'),
        (21611, 400, Reason::QueueFull, 'D'),
        (21612, 400, Reason::Unroutable, 'R'),
        (21614, 400, Reason::NotMobile, 'R'),
        (21617, 400, Reason::MessageTooLong, 'R'),
        (21619, 400, Reason::EmptyMessage, 'R'),
        (21635, 400, Reason::NotMobile, 'R'),
        (21654, 400, Reason::InvalidTemplate, 'R'),
        (21655, 400, Reason::InvalidTemplate, 'R'),
        (21656, 400, Reason::InvalidTemplate, 'R'),
        (21659, 400, Reason::SenderRefused, 'R'),
        (21660, 400, Reason::SenderRefused, 'R'),
        (30001, 400, Reason::QueueFull, 'D'),
        (30002, 400, Reason::AccountSuspended, 'R'),
        (30003, 400, Reason::Unreachable, 'D'),
        (30004, 400, Reason::Blocked, 'R'),
        (30005, 400, Reason::UnknownNumber, 'R'),
        (30006, 400, Reason::NotMobile, 'R'),
        (30007, 400, Reason::Filtered, 'R'),
        (30008, 400, Reason::CarrierFault, 'D'),
        (30010, 400, Reason::LimitReached, 'D'),
        (30022, 400, Reason::LimitReached, 'D'),
        (30023, 400, Reason::LimitReached, 'D'),
        (30032, 400, Reason::SenderRefused, 'R'),
        (30034, 400, Reason::SenderRefused, 'R'),
        (30036, 400, Reason::Expired, 'R'),
        (30450, 400, Reason::Blocked, 'R'),
        (30610, 400, Reason::QuietHoursAtProvider, 'D'),
        (30640, 400, Reason::Blocked, 'R'),
        (63001, 400, Reason::SenderRefused, 'R'),
        (63003, 400, Reason::NotOnChannel, 'R'),
        (63005, 400, Reason::ProviderFault, 'D'),
        (63007, 400, Reason::SenderRefused, 'R'),
        (63010, 400, Reason::ProviderFault, 'D'),
        (63012, 400, Reason::ProviderFault, 'D'),
        (63013, 400, Reason::InvalidContent, 'R'),
        (63014, 400, Reason::OptedOut, 'R'),
        (63015, 400, Reason::SandboxNotJoined, 'R'),
        (63016, 400, Reason::SessionClosed, 'R'),
        (63017, 429, Reason::LimitReached, 'D'),
        (63018, 429, Reason::LimitReached, 'D'),
        (63019, 400, Reason::MediaFailed, 'R'),
        (63020, 400, Reason::SenderRefused, 'R'),
        (63021, 400, Reason::InvalidContent, 'R'),
        (63022, 400, Reason::SenderRefused, 'R'),
        (63024, 400, Reason::NotOnChannel, 'R'),
        (63027, 400, Reason::InvalidTemplate, 'R'),
        (63028, 400, Reason::InvalidTemplate, 'R'),
        (63029, 400, Reason::InvalidTemplate, 'R'),
        (63030, 400, Reason::InvalidContent, 'R'),
        (63032, 400, Reason::Blocked, 'R'),
        (63040, 400, Reason::InvalidTemplate, 'R'),
        (63049, 400, Reason::Blocked, 'R'),
        (63054, 400, Reason::InvalidTemplate, 'R'),
        (63062, 400, Reason::SenderRefused, 'R'),
        // Not in the table.
        (21999, 400, Reason::Refused, 'R'),
        (30999, 400, Reason::CarrierFault, 'D'),
        (63999, 400, Reason::CarrierFault, 'D'),
        (11200, 400, Reason::Refused, 'R'),
        (29999, 429, Reason::Throttled, 'D'),
        (20999, 401, Reason::AccountRefused, 'R'),
        (20008, 403, Reason::AccountRefused, 'R'),
    ];

    #[test]
    fn every_code_is_judged() {
        for &(code, status, reason, kind) in REFUSALS {
            let body =
                format!(r#"{{"code":{code},"message":"In words","more_info":"https://t.example","status":{status}}}"#);
            let reply = reply(status, &body);
            assert_eq!(judged(&reply), (kind, Some(reason)), "{code}");
            let (Outcome::Rejected { why } | Outcome::Deferred { why, .. } | Outcome::InDoubt { why }) =
                outcome(&reply)
            else {
                panic!("{code} was accepted")
            };
            assert_eq!((why.provider_code, why.detail), (code.to_string(), "In words".to_owned()));
        }
        let untested = codes::CODES.iter().find(|row| REFUSALS.iter().all(|(code, ..)| *code != row.code));
        assert!(untested.is_none(), "{:?}", untested.map(|row| row.code));
    }

    #[test]
    fn answers_of_every_shape_are_judged() {
        let table = [
            (201, r#"{"sid":"SM1","status":"queued","error_code":null}"#, ('A', None)),
            (200, r#"{"sid":"SM1"}"#, ('A', None)),
            (201, r#"{"sid":"SM1","status":"new-word","to":7}"#, ('A', None)),
            (201, r#"{"sid":"SM1","status":"failed","error_code":21610}"#, ('R', Some(Reason::OptedOut))),
            (201, r#"{"sid":"SM1","status":"undelivered","error_code":"30001"}"#, ('D', Some(Reason::QueueFull))),
            (201, r#"{"sid":"SM1","status":"failed"}"#, ('R', Some(Reason::NotDelivered))),
            (201, r#"{"sid":null,"status":"queued"}"#, ('?', Some(Reason::Unreadable))),
            (201, r#"{"sid":"SM1","status":"que"#, ('?', Some(Reason::Unreadable))),
            (201, "", ('?', Some(Reason::Unreadable))),
            (204, "<html></html>", ('?', Some(Reason::Unreadable))),
            (302, "", ('?', Some(Reason::Unreadable))),
            (400, "", ('R', Some(Reason::Refused))),
            (401, "<html>no</html>", ('R', Some(Reason::AccountRefused))),
            (402, "", ('R', Some(Reason::AccountSuspended))),
            (403, "null", ('R', Some(Reason::AccountRefused))),
            (404, "[]", ('R', Some(Reason::Refused))),
            (408, "", ('?', Some(Reason::Unreadable))),
            (429, "", ('D', Some(Reason::Throttled))),
            (500, "<html>oops</html>", ('?', Some(Reason::ProviderFault))),
            (502, r#"{"code":21211}"#, ('?', Some(Reason::ProviderFault))),
            (504, "", ('?', Some(Reason::ProviderFault))),
            (0, "", ('?', Some(Reason::Unreadable))),
        ];
        for (status, body, expected) in table {
            assert_eq!(judged(&reply(status, body)), expected, "{status} {body}");
        }
    }

    #[test]
    fn the_wait_that_twilio_asks_for_is_passed_on() {
        let mut busy = reply(429, r#"{"code":20429,"message":"Too Many Requests","status":429}"#);
        busy.retry_after = Some(Duration::from_secs(3));
        let why = Why::detailed(Reason::Throttled, "Too Many Requests").with_code(20429);
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
    }
}
