//! Where a message stands of which no receipt has come (PROVIDERS.md A.1): the message itself is asked for.

use super::wire::{self, Answer};
use crate::{
    domain::message::Status,
    provider::{About, HttpReply, Receipt},
};

/// Whether this can be one of Twilio's ids: it becomes part of an address.
pub(super) fn is_id(provider_id: &str) -> bool {
    !provider_id.is_empty() && provider_id.chars().all(|c| c.is_ascii_alphanumeric())
}

/// What the answer says; `None` if that is nothing, or nothing more than that Twilio has the message.
pub(super) fn read(provider_id: &str, reply: &HttpReply) -> Option<Receipt> {
    let answer: Answer<'_> = wire::object(&reply.body).filter(|_| (200..=299).contains(&reply.status))?;
    if answer.sid.text() != Some(provider_id) {
        return None;
    }
    let word = answer.status.or_empty();
    let status = wire::status(word).filter(|status| *status != Status::Sent)?;
    Some(Receipt {
        about: About::Unknown,
        provider_id: provider_id.to_owned(),
        status,
        why: wire::why(status, word, answer.error_code.code(), answer.error_message.or_empty()),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::reason::{Reason, Why},
        provider::{Method, Provider as _, twilio::testing},
    };

    #[test]
    fn the_message_itself_is_asked_for() {
        let twilio = testing::twilio();
        let request = twilio.poll(testing::stamp(), "SM0123456789abcdef0123456789abcdef").unwrap();
        let expected = format!(
            "https://api.twilio.com/2010-04-01/Accounts/{}/Messages/SM0123456789abcdef0123456789abcdef.json",
            testing::ACCOUNT_SID
        );
        assert_eq!((request.method, request.url.as_str()), (Method::Get, expected.as_str()));
        assert!(request.body.is_empty() && request.headers[0].0 == "authorization");
        for odd in ["", "SM1/../../AC2", "SM1?x=1", "SM 1", "SM1.json"] {
            assert!(twilio.poll(testing::stamp(), odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn what_is_answered_is_a_receipt_or_no_news() {
        let news = |status, why| Some(Receipt { about: About::Unknown, provider_id: "SM1".into(), status, why });
        let gone = Why::detailed(Reason::UnknownNumber, "Gone").with_code(30005);
        for (status, body, expected) in [
            (200, r#"{"sid":"SM1","status":"delivered","error_code":null}"#, news(Status::Delivered, None)),
            (200, r#"{"sid":"SM1","status":"read"}"#, news(Status::Read, None)),
            (
                200,
                r#"{"sid":"SM1","status":"undelivered","error_code":30005,"error_message":"Gone"}"#,
                news(Status::Undelivered, Some(gone)),
            ),
            (200, r#"{"sid":"SM1","status":"failed"}"#, news(Status::Failed, Some(Why::plain(Reason::NotDelivered)))),
            (200, r#"{"sid":"SM1","status":"queued"}"#, None),
            (200, r#"{"sid":"SM1","status":"sent"}"#, None),
            (200, r#"{"sid":"SM1","status":"teleported"}"#, None),
            (200, r#"{"sid":"SM2","status":"delivered"}"#, None),
            (200, r#"{"status":"delivered"}"#, None),
            (200, "<html>", None),
            (404, r#"{"code":20404,"status":404}"#, None),
            (429, r#"{"sid":"SM1","status":"delivered"}"#, None),
            (500, "", None),
        ] {
            assert_eq!(testing::twilio().polled("SM1", &testing::reply(status, body)), expected, "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_is_no_news(status: u16, body: Vec<u8>) {
            let reply = HttpReply { status, retry_after: None, body: Bytes::from(body) };
            prop_assert_eq!(testing::twilio().polled("SM1", &reply), None);
        }
    }
}
