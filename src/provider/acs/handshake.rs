//! How Event Grid is answered (PROVIDERS.md C.4), and how it learns that it may send: in its own schema an event with a code that
//! must come back, as CloudEvents an `OPTIONS` request whose origin must. That event also names an address to visit instead;
//! it is never visited, for anybody could name any.

use serde_json::json;

use super::event::{self, VALIDATION};
use crate::provider::{Acknowledgement, Hook, Method};

/// Longer than any code of Event Grid's, which are UUIDs.
const LONGEST_CODE: usize = 128;
/// As long as a host's name can be.
const LONGEST_ORIGIN: usize = 255;

/// What Event Grid wants to hear. 200 throughout: a handshake is not recognised by any other.
pub(super) fn answer(hook: &Hook) -> Acknowledgement {
    match hook.method {
        Method::Options => allowed(hook),
        Method::Post => match code(hook) {
            Some(code) => {
                Acknowledgement::new(200, "application/json", json!({ "validationResponse": code }).to_string())
            }
            None => plain(),
        },
        Method::Get => plain(),
    }
}

fn plain() -> Acknowledgement {
    Acknowledgement::new(200, "text/plain", "")
}

/// The code of a validation event, if there is one and it looks like one.
fn code(hook: &Hook) -> Option<String> {
    let events = event::events(&hook.body)?;
    let asks =
        |event: &&serde_json::Value| event::kind(event).is_some_and(|kind| kind.eq_ignore_ascii_case(VALIDATION));
    let data = event::field(events.iter().find(asks)?, "data")?;
    event::text(data, "validationCode").filter(|code| is_plain(code, LONGEST_CODE)).map(String::from)
}

/// At any rate: what is too much waits at Event Grid as it is.
fn allowed(hook: &Hook) -> Acknowledgement {
    let mut answer = plain();
    answer.headers.push(("allow", "POST".to_owned()));
    if let Some(origin) = hook.header("webhook-request-origin").map(str::trim).filter(|it| is_plain(it, LONGEST_ORIGIN))
    {
        answer.headers.push(("webhook-allowed-origin", origin.to_owned()));
        answer.headers.push(("webhook-allowed-rate", "*".to_owned()));
    }
    answer
}

fn is_plain(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{Inbound, Provider as _, acs::testing};

    fn hook(method: Method, headers: &[(&str, &str)], body: &str) -> Hook {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = "https://hooks.example/t/acc_1".to_owned();
        Hook { method, url, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn validation(code: &str) -> String {
        json!([{
            "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
            "topic": "/subscriptions/x",
            "subject": "",
            "data": { "validationCode": code, "validationUrl": "https://rp-eastus2.eventgrid.azure.net:553/validate?id=x" },
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": "2018-01-25T22:12:19.4556811Z",
            "metadataVersion": "1",
            "dataVersion": "1",
        }])
        .to_string()
    }

    const CODE: &str = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6";

    #[test]
    fn the_code_comes_back() {
        let headers = [("aeg-event-type", "SubscriptionValidation")];
        let whole = validation(CODE);
        let pascal = whole.replace("validationCode", "ValidationCode").replace("eventType", "EventType");
        for body in [whole.as_str(), &pascal, whole.trim_matches(['[', ']'])] {
            let hook = hook(Method::Post, &headers, body);
            assert_eq!(testing::acs().inbound(&hook), Ok(vec![Inbound::Ignored]), "{body}");
            let expected =
                Acknowledgement::new(200, "application/json", format!(r#"{{"validationResponse":"{CODE}"}}"#));
            assert_eq!(testing::acs().acknowledgement(&hook), expected, "{body}");
        }
    }

    #[test]
    fn nothing_comes_back_but_the_code_of_a_validation() {
        let plain = Acknowledgement::new(200, "text/plain", "");
        let header = [("aeg-event-type", "SubscriptionValidation")];
        for body in [
            String::new(),
            "[]".to_owned(),
            validation(""),
            validation("a b"),
            validation("a\r\nset-cookie: b"),
            validation("<script>é"),
            validation(&"x".repeat(LONGEST_CODE + 1)),
            validation(CODE).replace("SubscriptionValidationEvent", "SubscriptionDeletedEvent"),
            validation(CODE)
                .replace("Microsoft.EventGrid.SubscriptionValidationEvent", "Microsoft.Communication.SMSReceived"),
            validation(CODE).replace("\"data\"", "\"date\""),
        ] {
            assert_eq!(testing::acs().acknowledgement(&hook(Method::Post, &header, &body)), plain, "{body}");
        }
        assert_eq!(testing::acs().acknowledgement(&hook(Method::Get, &header, &validation(CODE))), plain);
        let quoted = testing::acs().acknowledgement(&hook(Method::Post, &header, &validation("a\"}")));
        assert_eq!(quoted.body, r#"{"validationResponse":"a\"}"}"#);
    }

    #[test]
    fn an_origin_that_asks_may_send() {
        for (origin, expected) in [
            (Some("eventgrid.azure.net"), Some("eventgrid.azure.net")),
            (Some(" eventemitter.example.com "), Some("eventemitter.example.com")),
            (Some(""), None),
            (Some("a b"), None),
            (Some("a\r\nb"), None),
            (None, None),
        ] {
            let headers: Vec<_> = origin.map(|origin| ("webhook-request-origin", origin)).into_iter().collect();
            let hook = hook(Method::Options, &headers, "");
            assert_eq!(testing::acs().inbound(&hook), Ok(vec![Inbound::Ignored]));
            let answer = testing::acs().acknowledgement(&hook);
            let header =
                |name: &str| answer.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
            assert_eq!((answer.status, header("allow")), (200, Some("POST")));
            assert_eq!(header("webhook-allowed-origin"), expected, "{origin:?}");
            assert_eq!(header("webhook-allowed-rate"), expected.map(|_| "*"), "{origin:?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_is_answered_plainly(body: Vec<u8>, origin in "\\PC{0,300}") {
            let mut post = hook(Method::Post, &[("aeg-event-type", "SubscriptionValidation")], "");
            post.body = Bytes::from(body);
            prop_assert_eq!(testing::acs().acknowledgement(&post), plain());
            let options = hook(Method::Options, &[("webhook-request-origin", &origin)], "");
            prop_assert_eq!(testing::acs().acknowledgement(&options).status, 200);
        }
    }
}
