//! A call that proves the credentials (PROVIDERS.md C.6): the resource's own numbers are asked for. It sends nothing, and it needs
//! neither a sender nor a newer version of the SMS API.

use super::answer::{Answer, why};
use crate::{
    domain::reason::Reason,
    provider::{Credentials, HttpReply, loose},
};

/// The version is that of the numbers' API, whatever the account says of the messages'.
pub(super) const RESOURCE: &str = "/phoneNumbers?api-version=2022-12-01";

pub(super) fn read(reply: &HttpReply) -> Credentials {
    match reply.status {
        200..=299 => match loose::object::<Answer<'_>>(&reply.body) {
            Some(_) => Credentials::Good,
            None => Credentials::Unknown(why(Reason::Unreadable, reply)),
        },
        401 | 403 => Credentials::Bad(why(Reason::AccountRefused, reply)),
        402 => Credentials::Bad(why(Reason::AccountSuspended, reply)),
        429 => Credentials::Unknown(why(Reason::Throttled, reply)),
        500..=599 => Credentials::Unknown(why(Reason::ProviderFault, reply)),
        _ => Credentials::Unknown(why(Reason::Unreadable, reply)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::reason::Why,
        provider::{
            Method, Provider as _,
            acs::{Acs, AcsAccount, testing},
        },
    };

    #[test]
    fn the_numbers_are_asked_for_whatever_the_version_of_the_messages() {
        let newer = AcsAccount { api_version: "2026-01-23".into(), ..testing::account() };
        for acs in [testing::acs(), Acs::new(newer).unwrap()] {
            let request = acs.credential_check(testing::stamp());
            assert_eq!(request.method, Method::Get);
            assert_eq!(request.url, "https://contoso.communication.azure.com/phoneNumbers?api-version=2022-12-01");
        }
    }

    #[test]
    fn every_answer_is_judged() {
        let denied = r#"{"error":{"code":"Denied","message":"Unauthorized"}}"#;
        let words = |reason| Why::detailed(reason, "Unauthorized").with_code("Denied");
        let bare = |reason, status: u16| Why::detailed(reason, format!("HTTP {status}"));
        for (status, body, expected) in [
            (200, r#"{"phoneNumbers":[]}"#, Credentials::Good),
            (200, r#"{"phoneNumbers":[{"id":"1","phoneNumber":"+18001110000"}],"nextLink":null}"#, Credentials::Good),
            (200, "<html>", Credentials::Unknown(bare(Reason::Unreadable, 200))),
            (200, "", Credentials::Unknown(bare(Reason::Unreadable, 200))),
            (401, denied, Credentials::Bad(words(Reason::AccountRefused))),
            (403, "", Credentials::Bad(bare(Reason::AccountRefused, 403))),
            (402, "", Credentials::Bad(bare(Reason::AccountSuspended, 402))),
            (404, denied, Credentials::Unknown(words(Reason::Unreadable))),
            (429, "", Credentials::Unknown(bare(Reason::Throttled, 429))),
            (500, "", Credentials::Unknown(bare(Reason::ProviderFault, 500))),
            (302, "", Credentials::Unknown(bare(Reason::Unreadable, 302))),
        ] {
            assert_eq!(testing::acs().credentials(&testing::reply(status, body)), expected, "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_proves_nothing(status: u16, body: Vec<u8>) {
            let reply = HttpReply { status, retry_after: None, body: Bytes::from(body) };
            prop_assert!(testing::acs().credentials(&reply) != Credentials::Good);
        }
    }
}
