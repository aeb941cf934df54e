//! The request that hands one message to Twilio (PROVIDERS.md A.1).
//!
//! This runs for every message, so a call costs one allocation for the body and copies of what was built once.

use std::borrow::Cow;

use bytes::Bytes;
use url::form_urlencoded::Serializer;

use super::Twilio;
use crate::provider::{
    Call, HttpRequest, Method, Outgoing, Sender, SenderKind,
    form::{FORM, encoded_len},
};

/// The longest that Twilio keeps a message, in seconds; also what it takes when nothing is said.
const LONGEST_VALIDITY: u64 = 36_000;

/// Twilio advises against five seconds and less.
const SHORTEST_VALIDITY: u64 = 6;

/// The names of all fields with their `=` and `&`, and the number in `ValidityPeriod`.
const NAMES: usize = 80;

impl Twilio {
    pub(super) fn send(&self, sender: &Sender, messages: &[Outgoing]) -> Vec<Call> {
        let from = address(sender);
        messages.iter().map(|message| self.call(&from, message)).collect()
    }

    fn call(&self, from: &str, message: &Outgoing) -> Call {
        let request = HttpRequest {
            method: Method::Post,
            url: self.messages_url.clone(),
            headers: vec![("authorization", self.authorization.clone()), ("content-type", FORM.to_owned())],
            body: Bytes::from(self.form(from, message)),
        };
        Call { request, carries: vec![(message.id, message.to)] }
    }

    /// The sender is named even when a Messaging Service is: it must be a member of it, and pace, replies and look-ups
    /// all go by the channel's own sender.
    fn form(&self, from: &str, message: &Outgoing) -> String {
        let to = message.to.to_string();
        let service = self.messaging_service.as_deref();
        let callback = message.callback_url.as_deref();
        let values =
            [to.as_str(), from, message.text.as_str(), service.unwrap_or_default(), callback.unwrap_or_default()];
        let room = NAMES + values.into_iter().map(encoded_len).sum::<usize>();
        let mut form = Serializer::new(String::with_capacity(room));
        form.append_pair("To", &to).append_pair("From", from);
        if let Some(sid) = service {
            form.append_pair("MessagingServiceSid", sid);
        }
        form.append_pair("Body", &message.text);
        if let Some(url) = callback {
            form.append_pair("StatusCallback", url);
        }
        let seconds = message.valid_for.as_secs();
        if seconds < LONGEST_VALIDITY {
            form.append_pair("ValidityPeriod", &seconds.max(SHORTEST_VALIDITY).to_string());
        }
        form.finish()
    }
}

/// The sender as Twilio writes it: `+` before a whole number, short codes and names as they are.
pub(super) fn address(sender: &Sender) -> Cow<'_, str> {
    match sender.kind {
        SenderKind::Geographic | SenderKind::TollFree if !sender.address.starts_with('+') => {
            Cow::Owned(format!("+{}", sender.address))
        }
        SenderKind::WhatsApp => Cow::Owned(format!("whatsapp:{}", sender.address)),
        SenderKind::Geographic | SenderKind::TollFree | SenderKind::ShortCode | SenderKind::Alphanumeric => {
            Cow::Borrowed(&sender.address)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{
        Provider as _,
        twilio::{TwilioAccount, testing},
    };

    fn shown(request: &HttpRequest) -> String {
        let hide = |value: &str| if value.starts_with("Basic ") { "Basic …".to_owned() } else { value.to_owned() };
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {}", hide(value))).collect();
        let body = std::str::from_utf8(&request.body).unwrap().replace('&', "\n  ");
        format!("{:?} {}\n{}\n  {body}", request.method, request.url, headers.join("\n"))
    }

    #[test]
    fn the_exact_request() {
        let message = Outgoing {
            callback_url: Some("https://hooks.example/t/acc_1?message=msg_1&x=ü".into()),
            valid_for: Duration::from_secs(600),
            ..testing::outgoing("Hello Ünï & 100% = ok + 😀\n{done}")
        };
        let mut account = testing::account();
        account.base_url = "http://127.0.0.1:8081/".into();
        account.messaging_service = Some("MG0123456789abcdef0123456789abcdef".into());
        let twilio = Twilio::new(account).unwrap();
        let calls = twilio.calls(testing::stamp(), &testing::sender(), std::slice::from_ref(&message));
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].carries, [(message.id, message.to)]);
        insta::assert_snapshot!(shown(&calls[0].request), @r"
        Post http://127.0.0.1:8081/2010-04-01/Accounts/AC0123456789abcdef0123456789ABCDEF/Messages.json
        authorization: Basic …
        content-type: application/x-www-form-urlencoded
          To=%2B4915112345678
          From=%2B15005550006
          MessagingServiceSid=MG0123456789abcdef0123456789abcdef
          Body=Hello+%C3%9Cn%C3%AF+%26+100%25+%3D+ok+%2B+%F0%9F%98%80%0A%7Bdone%7D
          StatusCallback=https%3A%2F%2Fhooks.example%2Ft%2Facc_1%3Fmessage%3Dmsg_1%26x%3D%C3%BC
          ValidityPeriod=600
        ");
    }

    #[test]
    fn the_plainest_request() {
        let calls = testing::twilio().calls(testing::stamp(), &testing::sender(), &[testing::outgoing("Hi")]);
        insta::assert_snapshot!(shown(&calls[0].request), @r"
        Post https://api.twilio.com/2010-04-01/Accounts/AC0123456789abcdef0123456789ABCDEF/Messages.json
        authorization: Basic …
        content-type: application/x-www-form-urlencoded
          To=%2B4915112345678
          From=%2B15005550006
          Body=Hi
        ");
    }

    #[test]
    fn credentials_are_the_token_or_the_api_key() {
        let key = Twilio::new(TwilioAccount { api_key: Some(testing::api_key()), ..testing::account() }).unwrap();
        for (twilio, user) in [
            (testing::twilio(), format!("{}:12345", testing::ACCOUNT_SID)),
            (key, "SK0123456789abcdef0123456789abcdef:key-secret".to_owned()),
        ] {
            let calls = twilio.calls(testing::stamp(), &testing::sender(), &[testing::outgoing("Hi")]);
            let request = &calls[0].request;
            assert_eq!(request.headers[0], ("authorization", format!("Basic {}", STANDARD.encode(user))));
            assert!(request.url.contains(&format!("/Accounts/{}/Messages.json", testing::ACCOUNT_SID)));
        }
    }

    #[test]
    fn senders_are_written_as_twilio_writes_them() {
        for (written, kind, expected) in [
            ("15005550006", SenderKind::Geographic, "From=%2B15005550006"),
            ("+15005550006", SenderKind::Geographic, "From=%2B15005550006"),
            ("18005551212", SenderKind::TollFree, "From=%2B18005551212"),
            ("12345", SenderKind::ShortCode, "From=12345"),
            ("ACME Co", SenderKind::Alphanumeric, "From=ACME+Co"),
        ] {
            let sender = Sender { address: written.into(), kind };
            let calls = testing::twilio().calls(testing::stamp(), &sender, &[testing::outgoing("Hi")]);
            let body = std::str::from_utf8(&calls[0].request.body).unwrap().to_owned();
            assert!(body.split('&').any(|field| field == expected), "{body}");
        }
    }

    #[test]
    fn validity_stays_within_what_twilio_takes() {
        for (seconds, expected) in
            [(0, Some("6")), (5, Some("6")), (60, Some("60")), (35_999, Some("35999")), (36_000, None), (86_400, None)]
        {
            let message = Outgoing { valid_for: Duration::from_secs(seconds), ..testing::outgoing("Hi") };
            let body = testing::twilio().form("12345", &message);
            let given = body.split('&').find_map(|field| field.strip_prefix("ValidityPeriod="));
            assert_eq!(given, expected, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn the_body_is_allocated_once_and_read_back(text in "\\PC{0,80}", url in proptest::option::of("\\PC{0,40}")) {
            let message = Outgoing { callback_url: url, valid_for: Duration::from_secs(9), ..testing::outgoing(&text) };
            let body = testing::twilio().form("ACME", &message);
            let room = NAMES + ["+4915112345678", "ACME", &text, message.callback_url.as_deref().unwrap_or_default()]
                .into_iter().map(encoded_len).sum::<usize>();
            prop_assert!(body.len() <= room);
            let read: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            prop_assert!(read.contains(&("Body".to_owned(), text)));
        }
    }
}
