//! The request that hands one message to TeleSign (PROVIDERS.md B.1).
//!
//! This runs for every message, so a call costs one allocation for the body and one signature. What TeleSign has no field for
//! is left out: it knows neither how long a message is worth delivering nor attachments.

use bytes::Bytes;
use url::form_urlencoded::Serializer;

use super::{MESSAGING, TeleSign};
use crate::{
    domain::purpose::Purpose,
    provider::{Call, Outgoing, Sender, Stamp, form::encoded_len},
};

/// The names of all fields with their `=` and `&`, and the type.
const NAMES: usize = 90;

impl TeleSign {
    /// Each call has a nonce of its own, counted up from the stamp's.
    pub(super) fn send(&self, stamp: Stamp, sender: &Sender, messages: &[Outgoing]) -> Vec<Call> {
        let nonces = (0u128..).map(|place| stamp.nonce.wrapping_add(place));
        let call = |(message, nonce): (&Outgoing, u128)| {
            let body = Bytes::from(form(&sender.address, message, &message.id.to_string()));
            let request = self.post(Stamp { nonce, ..stamp }, MESSAGING, body);
            Call { request, carries: vec![(message.id, message.to)] }
        };
        messages.iter().zip(nonces).map(call).collect()
    }
}

/// Numbers are written as digits alone.
fn form(sender: &str, message: &Outgoing, external_id: &str) -> String {
    let (to, from) = (message.to.digits().to_string(), sender.trim_start_matches('+'));
    let callback = message.callback_url.as_deref();
    let values = [to.as_str(), from, message.text.as_str(), external_id, callback.unwrap_or_default()];
    let room = NAMES + values.into_iter().map(encoded_len).sum::<usize>();
    let mut form = Serializer::new(String::with_capacity(room));
    form.append_pair("phone_number", &to)
        .append_pair("message", &message.text)
        .append_pair("message_type", kind(message.purpose))
        .append_pair("sender_id", from)
        .append_pair("external_id", external_id);
    if let Some(url) = callback {
        form.append_pair("callback_url", url);
    }
    form.finish()
}

/// *Alerts, reminders, notifications*, or marketing.
const fn kind(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Transactional => "ARN",
        Purpose::Marketing => "MKT",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use url::form_urlencoded;

    use super::*;
    use crate::{
        domain::phone::E164,
        provider::{HttpRequest, Method, Provider as _, SenderKind, telesign::testing},
    };

    #[test]
    fn the_known_body() {
        let message = Outgoing {
            to: E164::from_digits(15_558_675_309),
            callback_url: Some("https://hooks.example.com/webhooks/telesign/status".into()),
            ..testing::outgoing("Your package has shipped! Follow your delivery at https://vero-finto.com/orders/3456")
        };
        insta::assert_snapshot!(form("14252306549", &message, "camp-1/r-42"), @"phone_number=15558675309&message=Your+package+has+shipped%21+Follow+your+delivery+at+https%3A%2F%2Fvero-finto.com%2Forders%2F3456&message_type=ARN&sender_id=14252306549&external_id=camp-1%2Fr-42&callback_url=https%3A%2F%2Fhooks.example.com%2Fwebhooks%2Ftelesign%2Fstatus");
    }

    fn only(message: &Outgoing) -> HttpRequest {
        let calls = testing::telesign().calls(testing::stamp(), &testing::sender(), std::slice::from_ref(message));
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].carries, [(message.id, message.to)]);
        calls[0].request.clone()
    }

    #[test]
    fn the_plainest_request() {
        let request = only(&testing::outgoing("Hi"));
        assert_eq!((request.method, request.url.as_str()), (Method::Post, "https://rest-ww.telesign.com/v1/messaging"));
        let expected = format!(
            "phone_number=4915112345678&message=Hi&message_type=ARN&sender_id=14252306549&external_id={}",
            testing::message_id()
        );
        assert_eq!(request.body, expected);
    }

    #[test]
    fn purposes_and_senders_are_written_as_telesign_writes_them() {
        let marketing = Outgoing { purpose: Purpose::Marketing, ..testing::outgoing("Hi") };
        let body = String::from_utf8(only(&marketing).body.to_vec()).unwrap();
        assert!(body.contains("&message_type=MKT&"), "{body}");
        for (address, kind, expected) in [
            ("14252306549", SenderKind::Geographic, "sender_id=14252306549"),
            ("+18005551212", SenderKind::TollFree, "sender_id=18005551212"),
            ("26225", SenderKind::ShortCode, "sender_id=26225"),
            ("ACME Co", SenderKind::Alphanumeric, "sender_id=ACME+Co"),
        ] {
            let sender = Sender { address: address.into(), kind };
            let calls = testing::telesign().calls(testing::stamp(), &sender, &[testing::outgoing("Hi")]);
            let body = std::str::from_utf8(&calls[0].request.body).unwrap().to_owned();
            assert!(body.split('&').any(|field| field == expected), "{body}");
        }
    }

    #[test]
    fn no_nonce_is_used_twice() {
        let messages = vec![testing::outgoing("Hi"); 100];
        for nonce in [0, testing::stamp().nonce, u128::MAX - 50] {
            let stamp = Stamp { nonce, ..testing::stamp() };
            let calls = testing::telesign().calls(stamp, &testing::sender(), &messages);
            let header = |name: &str| -> BTreeSet<String> {
                let values = calls.iter().flat_map(|call| &call.request.headers).filter(|(key, _)| *key == name);
                values.map(|(_, value)| value.clone()).collect()
            };
            assert_eq!((header("x-ts-nonce").len(), header("authorization").len()), (100, 100));
        }
    }

    proptest! {
        #[test]
        fn the_body_is_allocated_once_and_read_back(text in "\\PC{0,80}", url in proptest::option::of("\\PC{0,40}")) {
            let message = Outgoing { callback_url: url, ..testing::outgoing(&text) };
            let id = testing::message_id().to_string();
            let body = form("ACME", &message, &id);
            let room = NAMES + ["4915112345678", "ACME", &text, &id, message.callback_url.as_deref().unwrap_or_default()]
                .into_iter().map(encoded_len).sum::<usize>();
            prop_assert!(body.len() <= room);
            let read: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            prop_assert!(read.contains(&("message".to_owned(), text)));
            prop_assert!(read.contains(&("external_id".to_owned(), id)));
        }
    }
}
