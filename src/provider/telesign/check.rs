//! A call that proves the credentials (PROVIDERS.md B.7). TeleSign has none for the purpose: a message is asked for that cannot
//! exist, and *no such message* is the answer of someone who was let in. It sends nothing and costs nothing.

use super::{
    MESSAGING, answer,
    codes::{self, Meaning},
    wire::{Coded, Envelope},
};
use crate::{
    domain::reason::{Reason, Scope, Why},
    provider::{Credentials, HttpReply},
};

/// No message's id.
const NOBODY: &str = "00000000000000000000000000000000";

/// No such message, an id that is none, a message that is too old.
const LET_IN: [i64; 3] = [10017, 11011, 10036];

pub(super) fn resource() -> String {
    format!("{MESSAGING}/{NOBODY}")
}

pub(super) fn read(reply: &HttpReply) -> Credentials {
    let envelope = Envelope::read(&reply.body);
    let said = envelope.as_ref().and_then(Envelope::said);
    let code = said.as_ref().and_then(Coded::number);
    let with = |reason| answer::with_words(reason, reply.status, said.as_ref());
    match code.and_then(codes::known) {
        _ if code.is_some_and(|code| LET_IN.contains(&code)) => Credentials::Good,
        // The status of a message: whoever is told that was let in as well.
        Some(Meaning::Delivered | Meaning::Taken) if reply.status < 300 => Credentials::Good,
        Some(Meaning::Failed(reason)) => judged(with(reason)),
        Some(Meaning::Delivered | Meaning::Taken | Meaning::Inbound) => Credentials::Unknown(with(Reason::Unreadable)),
        None => match reply.status {
            401..=403 => judged(answer::refusal(reply.status, said.as_ref())),
            429 => Credentials::Unknown(with(Reason::Throttled)),
            500..=599 => Credentials::Unknown(with(Reason::ProviderFault)),
            _ => Credentials::Unknown(with(Reason::Unreadable)),
        },
    }
}

fn judged(why: Why) -> Credentials {
    match why.reason.scope() {
        Scope::Account => Credentials::Bad(why),
        Scope::Message | Scope::Recipient | Scope::Channel => Credentials::Unknown(why),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{Method, Provider as _, telesign::testing};

    #[test]
    fn a_message_is_asked_for_that_cannot_exist() {
        let request = testing::telesign().credential_check(testing::stamp());
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.url, "https://rest-ww.telesign.com/v1/messaging/00000000000000000000000000000000");
    }

    /// `+` good, `-` bad, `?` unknown.
    fn judged(status: u16, body: &str) -> (char, Option<Reason>) {
        match testing::telesign().credentials(&testing::reply(status, body)) {
            Credentials::Good => ('+', None),
            Credentials::Bad(why) => ('-', Some(why.reason)),
            Credentials::Unknown(why) => ('?', Some(why.reason)),
        }
    }

    #[test]
    fn every_answer_is_judged() {
        let refused = ('-', Some(Reason::AccountRefused));
        let table = [
            (404, "10017", ('+', None)),
            (404, "10036", ('+', None)),
            (400, "11011", ('+', None)),
            (400, "\"11011\"", ('+', None)),
            (200, "599", ('+', None)),
            (200, "290", ('+', None)),
            (401, "10008", refused),
            (401, "10013", refused),
            (401, "10015", refused),
            (401, "10022", refused),
            (401, "10099", refused),
            (401, "10010", ('-', Some(Reason::AccountSuspended))),
            (402, "10030", ('-', Some(Reason::AccountSuspended))),
            (429, "10019", ('?', Some(Reason::Throttled))),
            (429, "10020", ('?', Some(Reason::LimitReached))),
            (500, "10000", ('?', Some(Reason::ProviderFault))),
            (400, "11000", ('?', Some(Reason::InvalidNumber))),
            (500, "290", ('?', Some(Reason::Unreadable))),
            (200, "1500", ('?', Some(Reason::Unreadable))),
        ];
        for (status, code, expected) in table {
            let body = format!(r#"{{"reference_id":"A1","status":{{"code":{code},"description":"In words"}}}}"#);
            assert_eq!(judged(status, &body), expected, "{status} {code}");
        }
        for (status, body, expected) in [
            (401, "", refused),
            (403, "<html>", refused),
            (402, "", ('-', Some(Reason::AccountSuspended))),
            (404, "<html>", ('?', Some(Reason::Unreadable))),
            (429, "", ('?', Some(Reason::Throttled))),
            (503, "", ('?', Some(Reason::ProviderFault))),
            (200, "{}", ('?', Some(Reason::Unreadable))),
        ] {
            assert_eq!(judged(status, body), expected, "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_proves_nothing(status: u16, body: Vec<u8>) {
            let reply = HttpReply { status, retry_after: None, body: Bytes::from(body) };
            prop_assert!(testing::telesign().credentials(&reply) != Credentials::Good);
        }
    }
}
