//! Where a message stands of which no report has come (PROVIDERS.md B.2).

use super::{
    MESSAGING, callback,
    codes::{self, Meaning},
    wire::Envelope,
};
use crate::provider::{HttpReply, Receipt};

/// The first code that is about the question, not about the message.
const ABOUT_THE_CALL: i64 = 10_000;

/// What is asked for; `None` if it is no id of TeleSign's, which are letters and digits.
pub(super) fn resource(provider_id: &str) -> Option<String> {
    let good = !provider_id.is_empty() && provider_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    good.then(|| format!("{MESSAGING}/{provider_id}"))
}

/// What the answer says of the message, if it is more than that TeleSign has it.
pub(super) fn read(provider_id: &str, reply: &HttpReply) -> Option<Receipt> {
    let envelope = Envelope::read(&reply.body)?;
    let said = envelope.said()?;
    let code = said.number().filter(|code| (0..ABOUT_THE_CALL).contains(code))?;
    match codes::in_report(code)? {
        Meaning::Delivered | Meaning::Failed(_) => callback::receipt(&envelope, &said, provider_id),
        Meaning::Taken | Meaning::Inbound => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{
            message::Status,
            reason::{Reason, Why},
        },
        provider::{About, Method, Provider as _, telesign::testing},
    };

    #[test]
    fn a_message_is_asked_after_by_telesigns_own_id() {
        let telesign = testing::telesign();
        let request = telesign.poll(testing::stamp(), "0123456789ABCDEF0123456789ABCDEF").unwrap();
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.url, "https://rest-ww.telesign.com/v1/messaging/0123456789ABCDEF0123456789ABCDEF");
        for odd in ["", "../verify", "a?b", "a b", "é"] {
            assert!(telesign.poll(testing::stamp(), odd).is_none(), "{odd}");
        }
    }

    fn polled(status: u16, body: &str) -> Option<Receipt> {
        testing::telesign().polled("A1", &testing::reply(status, body))
    }

    #[test]
    fn only_news_is_told() {
        let id = testing::message_id();
        let receipt = |status, why| Some(Receipt { about: About::Message(id), provider_id: "A1".into(), status, why });
        let undelivered =
            |reason, code| receipt(Status::Undelivered, Some(Why::detailed(reason, "In words").with_code(code)));
        for (status, code, expected) in [
            (200, "200", receipt(Status::Delivered, None)),
            (200, "\"200\"", receipt(Status::Delivered, None)),
            (200, "207", undelivered(Reason::CarrierFault, 207)),
            (200, "510", undelivered(Reason::OptedOut, 510)),
            (200, "522", undelivered(Reason::NotDelivered, 522)),
            (200, "203", None),
            (200, "251", None),
            (200, "290", None),
            (200, "599", None),
            (200, "204", None),
            (404, "10017", None),
            (404, "10036", None),
            (401, "10022", None),
            (401, "10031", None),
            (503, "10000", None),
            (429, "-40007", None),
        ] {
            let body = format!(
                r#"{{"reference_id":"A1","external_id":"{id}","status":{{"code":{code},"description":"In words"}},"additional_info":{{"message_parts_count":1}}}}"#
            );
            assert_eq!(polled(status, &body), expected, "{code}");
        }
        for body in ["", "<html>", "[]", "{}", r#"{"status":{}}"#] {
            assert_eq!(polled(200, body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_is_no_news(status: u16, body: Vec<u8>) {
            let reply = HttpReply { status, retry_after: None, body: Bytes::from(body) };
            prop_assert!(testing::telesign().polled("A1", &reply).is_none());
        }
    }
}
