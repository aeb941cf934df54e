//! A call that proves the credentials (PROVIDERS.md A.3). The account's own answer holds its `auth_token`: of a success
//! nothing is kept but the word in `status`.

use super::{
    answer,
    wire::{self, Answer, Page},
};
use crate::{
    domain::reason::{Reason, Scope, Why},
    provider::{Credentials, HttpReply},
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// The account itself.
    Account,
    /// One message: a standard API key may not read the account.
    Messages,
}

impl Probe {
    pub(super) fn url(self, account_url: &str, messages_url: &str) -> String {
        match self {
            Self::Account => format!("{account_url}.json"),
            Self::Messages => format!("{messages_url}?PageSize=1"),
        }
    }

    pub(super) fn read(self, reply: &HttpReply) -> Credentials {
        match (reply.status, self) {
            (200..=299, Self::Account) => account(reply),
            (200..=299, Self::Messages) => messages(reply),
            (401..=403, Self::Account | Self::Messages) => Credentials::Bad(refused(reply)),
            (status, Self::Account | Self::Messages) => Credentials::Unknown(unsaid(status, reply)),
        }
    }
}

fn account(reply: &HttpReply) -> Credentials {
    let answer: Option<Answer<'_>> = wire::object(&reply.body);
    match answer.as_ref().map(|answer| answer.status.or_empty()) {
        Some("active") => Credentials::Good,
        Some(status @ ("suspended" | "closed")) => {
            Credentials::Bad(Why::detailed(Reason::AccountSuspended, format!("the account is {status}")))
        }
        Some(_) | None => Credentials::Unknown(Why::detailed(Reason::Unreadable, "the answer has no account status")),
    }
}

fn messages(reply: &HttpReply) -> Credentials {
    let page: Option<Page<'_>> = wire::object(&reply.body);
    match page.and_then(|page| page.messages) {
        Some(_) => Credentials::Good,
        None => Credentials::Unknown(Why::detailed(Reason::Unreadable, "the answer has no list of messages")),
    }
}

/// Whatever the code, a refusal here concerns the account.
fn refused(reply: &HttpReply) -> Why {
    let answer: Option<Answer<'_>> = wire::object(&reply.body);
    let why = answer::refusal(reply.status, answer.as_ref());
    match why.reason.scope() {
        Scope::Account => why,
        Scope::Message | Scope::Recipient | Scope::Channel => {
            answer::with_answer(Reason::AccountRefused, reply.status, answer.as_ref())
        }
    }
}

fn unsaid(status: u16, reply: &HttpReply) -> Why {
    let answer: Option<Answer<'_>> = wire::object(&reply.body);
    let reason = match status {
        429 => Reason::Throttled,
        500..=599 => Reason::ProviderFault,
        _ => Reason::Unreadable,
    };
    answer::with_answer(reason, status, answer.as_ref())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{
        Method, Provider as _,
        twilio::{Twilio, TwilioAccount, testing},
    };

    fn with_key() -> Twilio {
        Twilio::new(TwilioAccount { api_key: Some(testing::api_key()), ..testing::account() }).unwrap()
    }

    #[test]
    fn the_account_is_asked_for_or_with_a_key_one_message() {
        for (twilio, end) in [(testing::twilio(), ".json"), (with_key(), "/Messages.json?PageSize=1")] {
            let request = twilio.credential_check(testing::stamp());
            assert_eq!(request.method, Method::Get);
            let expected = format!("https://api.twilio.com/2010-04-01/Accounts/{}{end}", testing::ACCOUNT_SID);
            assert_eq!(request.url, expected);
            assert_eq!(request.headers.len(), 1);
        }
    }

    /// `+` good, `-` bad, `?` unknown.
    fn judged(twilio: &Twilio, status: u16, body: &str) -> (char, Option<Reason>) {
        let found = twilio.credentials(&testing::reply(status, body));
        assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
        match found {
            Credentials::Good => ('+', None),
            Credentials::Bad(why) => ('-', Some(why.reason)),
            Credentials::Unknown(why) => ('?', Some(why.reason)),
        }
    }

    #[test]
    fn every_answer_is_judged_and_none_is_kept() {
        let token = testing::twilio();
        let key = with_key();
        let table = [
            (&token, 200, r#"{"status":"active","auth_token":"s3cret"}"#, ('+', None)),
            (&token, 200, r#"{"status":"suspended","auth_token":"s3cret"}"#, ('-', Some(Reason::AccountSuspended))),
            (&token, 200, r#"{"status":"closed","auth_token":"s3cret"}"#, ('-', Some(Reason::AccountSuspended))),
            (&token, 200, r#"{"message":"s3cret","auth_token":"s3cret"}"#, ('?', Some(Reason::Unreadable))),
            (&token, 200, "<html>s3cret", ('?', Some(Reason::Unreadable))),
            (&key, 200, r#"{"messages":[{"sid":"SM1"}]}"#, ('+', None)),
            (&key, 200, r#"{"messages":[],"next_page_uri":null}"#, ('+', None)),
            (&key, 200, r#"{"status":"active"}"#, ('?', Some(Reason::Unreadable))),
            (&token, 401, r#"{"code":20003,"message":"Authenticate"}"#, ('-', Some(Reason::AccountRefused))),
            (&key, 401, "", ('-', Some(Reason::AccountRefused))),
            (&token, 403, r#"{"code":20008,"message":"Test credentials"}"#, ('-', Some(Reason::AccountRefused))),
            (&token, 403, r#"{"code":21211}"#, ('-', Some(Reason::AccountRefused))),
            (&token, 404, r#"{"code":20404}"#, ('?', Some(Reason::Unreadable))),
            (&token, 429, "", ('?', Some(Reason::Throttled))),
            (&token, 503, "", ('?', Some(Reason::ProviderFault))),
            (&token, 302, "", ('?', Some(Reason::Unreadable))),
        ];
        for (twilio, status, body, expected) in table {
            assert_eq!(judged(twilio, status, body), expected, "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_proves_nothing(status: u16, body: Vec<u8>) {
            let reply = HttpReply { status, retry_after: None, body: Bytes::from(body) };
            prop_assert!(testing::twilio().credentials(&reply) != Credentials::Good);
        }
    }
}
