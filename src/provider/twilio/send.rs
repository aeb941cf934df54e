//! The request that hands one message to Twilio (PROVIDERS.md A.1).
//!
//! This runs for every message, so a call costs one allocation for the body and copies of what was built once.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::Twilio;
use crate::{
    domain::phone::E164,
    provider::{
        Call, HttpRequest, Method, Outgoing, Sender, SenderKind,
        form::{FORM, encoded_len},
    },
};

/// Twilio advises against five seconds and less.
const SHORTEST_VALIDITY: u64 = 6;

/// What stands before a number on WhatsApp.
const WHATSAPP: &str = "whatsapp:";

/// The names of all fields with their `=` and `&`, and the number in `ValidityPeriod`; those of media come on top.
const NAMES: usize = 104;
const MEDIA_NAME: usize = 10;

impl Twilio {
    pub(super) fn send(&self, sender: &Sender, messages: &[Outgoing]) -> Vec<Call> {
        messages.iter().map(|message| self.call(sender, message)).collect()
    }

    fn call(&self, sender: &Sender, message: &Outgoing) -> Call {
        let request = HttpRequest {
            method: Method::Post,
            url: self.messages_url.clone(),
            headers: vec![("authorization", self.authorization.clone()), ("content-type", FORM.to_owned())],
            body: Bytes::from(self.form(sender, message)),
        };
        Call { request, carries: vec![(message.id, message.to)] }
    }

    /// The sender is named even when a Messaging Service is: it must be a member of it, and pace, replies and look-ups
    /// all go by the channel's own sender.
    fn form(&self, sender: &Sender, message: &Outgoing) -> String {
        let (to, from) = (recipient(sender, message.to), address(sender));
        let variables = message.approved.as_ref().map(|approved| variables(&approved.variables)).unwrap_or_default();
        let mut form = Serializer::new(String::with_capacity(self.room(&to, &from, &variables, message)));
        form.append_pair("To", &to).append_pair("From", &from);
        if let Some(sid) = self.messaging_service.as_deref() {
            form.append_pair("MessagingServiceSid", sid);
        }
        match &message.approved {
            // The content has its own words and media: Twilio takes neither beside it.
            Some(approved) => {
                form.append_pair("ContentSid", &approved.content_id);
                if !approved.variables.is_empty() {
                    form.append_pair("ContentVariables", &variables);
                }
            }
            None => {
                form.append_pair("Body", &message.text);
                for link in &message.media {
                    form.append_pair("MediaUrl", link);
                }
            }
        }
        if let Some(url) = message.callback_url.as_deref() {
            form.append_pair("StatusCallback", url);
        }
        let seconds = message.valid_for.as_secs();
        if seconds < longest_validity(sender.kind) {
            form.append_pair("ValidityPeriod", &seconds.max(SHORTEST_VALIDITY).to_string());
        }
        form.finish()
    }

    /// How long the form becomes, at most.
    fn room(&self, to: &str, from: &str, variables: &str, message: &Outgoing) -> usize {
        let content = message.approved.as_ref().map_or(message.text.as_str(), |approved| &approved.content_id);
        let service = self.messaging_service.as_deref().unwrap_or_default();
        let callback = message.callback_url.as_deref().unwrap_or_default();
        let values = [to, from, service, content, variables, callback].into_iter().map(encoded_len).sum::<usize>();
        let media = message.media.iter().map(|link| MEDIA_NAME + encoded_len(link)).sum::<usize>();
        NAMES + values + media
    }
}

/// The longest that Twilio keeps a message, in seconds; also what it takes when nothing is said (PROVIDERS A.8).
const fn longest_validity(kind: SenderKind) -> u64 {
    match kind {
        SenderKind::WhatsApp => 14_400,
        SenderKind::Geographic | SenderKind::ShortCode | SenderKind::TollFree | SenderKind::Alphanumeric => 36_000,
    }
}

/// The variables' values as a JSON object.
fn variables(values: &BTreeMap<String, String>) -> String {
    let object: serde_json::Map<String, Value> =
        values.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
    Value::Object(object).to_string()
}

/// The recipient as Twilio writes it: on the sender's channel.
pub(super) fn recipient(sender: &Sender, to: E164) -> String {
    match sender.kind {
        SenderKind::WhatsApp => format!("{WHATSAPP}{to}"),
        SenderKind::Geographic | SenderKind::ShortCode | SenderKind::TollFree | SenderKind::Alphanumeric => {
            to.to_string()
        }
    }
}

/// The sender as Twilio writes it: `+` before a whole number, short codes and names as they are.
pub(super) fn address(sender: &Sender) -> Cow<'_, str> {
    match sender.kind {
        SenderKind::Geographic | SenderKind::TollFree if !sender.address.starts_with('+') => {
            Cow::Owned(format!("+{}", sender.address))
        }
        SenderKind::WhatsApp => Cow::Owned(format!("{WHATSAPP}+{}", sender.address.trim_start_matches('+'))),
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
        Approved, Provider as _,
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

    fn approved(content_id: &str, variables: &[(&str, &str)]) -> Option<Approved> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Some(Approved { content_id: content_id.to_owned(), variables })
    }

    fn media() -> Vec<String> {
        vec!["https://a.example/1.png?x=1".to_owned(), "https://a.example/2.pdf".to_owned()]
    }

    #[test]
    fn the_exact_requests_of_whatsapp() {
        let sid = "HX0123456789abcdef0123456789abcdef";
        let text =
            || Outgoing { callback_url: Some("https://h.example/c?message=m".into()), ..testing::outgoing("Hi Ana") };
        let day = Duration::from_secs(14_399);
        let table = [
            text(),
            Outgoing { media: media(), valid_for: day, ..text() },
            Outgoing {
                approved: approved(sid, &[("10", "c"), ("2", "\"7\" & ü"), ("1", "Ana")]),
                media: media(),
                ..text()
            },
            Outgoing { approved: approved(sid, &[]), valid_for: Duration::ZERO, ..text() },
        ];
        let shown = table.map(|message| {
            let calls = testing::twilio().calls(testing::stamp(), &testing::whatsapp(), &[message]);
            shown(&calls[0].request).lines().skip(3).collect::<Vec<_>>().join("\n")
        });
        insta::assert_snapshot!(shown.join("\n--\n"), @r"
          To=whatsapp%3A%2B4915112345678
          From=whatsapp%3A%2B15005550006
          Body=Hi+Ana
          StatusCallback=https%3A%2F%2Fh.example%2Fc%3Fmessage%3Dm
        --
          To=whatsapp%3A%2B4915112345678
          From=whatsapp%3A%2B15005550006
          Body=Hi+Ana
          MediaUrl=https%3A%2F%2Fa.example%2F1.png%3Fx%3D1
          MediaUrl=https%3A%2F%2Fa.example%2F2.pdf
          StatusCallback=https%3A%2F%2Fh.example%2Fc%3Fmessage%3Dm
          ValidityPeriod=14399
        --
          To=whatsapp%3A%2B4915112345678
          From=whatsapp%3A%2B15005550006
          ContentSid=HX0123456789abcdef0123456789abcdef
          ContentVariables=%7B%221%22%3A%22Ana%22%2C%2210%22%3A%22c%22%2C%222%22%3A%22%5C%227%5C%22+%26+%C3%BC%22%7D
          StatusCallback=https%3A%2F%2Fh.example%2Fc%3Fmessage%3Dm
        --
          To=whatsapp%3A%2B4915112345678
          From=whatsapp%3A%2B15005550006
          ContentSid=HX0123456789abcdef0123456789abcdef
          StatusCallback=https%3A%2F%2Fh.example%2Fc%3Fmessage%3Dm
          ValidityPeriod=6
        ");
    }

    #[test]
    fn media_go_with_a_text_by_sms_too() {
        let message = Outgoing { media: media(), ..testing::outgoing("Hi") };
        let calls = testing::twilio().calls(testing::stamp(), &testing::sender(), &[message]);
        let fields: Vec<_> = url::form_urlencoded::parse(&calls[0].request.body).into_owned().collect();
        let links: Vec<&str> =
            fields.iter().filter(|(name, _)| name == "MediaUrl").map(|(_, link)| link.as_str()).collect();
        assert_eq!(links, media());
        assert!(fields.contains(&("Body".to_owned(), "Hi".to_owned())));
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
            ("+15005550006", SenderKind::WhatsApp, "From=whatsapp%3A%2B15005550006"),
            ("15005550006", SenderKind::WhatsApp, "From=whatsapp%3A%2B15005550006"),
        ] {
            let sender = Sender { address: written.into(), kind };
            let calls = testing::twilio().calls(testing::stamp(), &sender, &[testing::outgoing("Hi")]);
            let body = std::str::from_utf8(&calls[0].request.body).unwrap().to_owned();
            assert!(body.split('&').any(|field| field == expected), "{body}");
        }
    }

    #[test]
    fn validity_stays_within_what_twilio_takes() {
        let (sms, whatsapp) = (testing::sender(), testing::whatsapp());
        for (sender, seconds, expected) in [
            (&sms, 0, Some("6")),
            (&sms, 5, Some("6")),
            (&sms, 60, Some("60")),
            (&sms, 35_999, Some("35999")),
            (&sms, 36_000, None),
            (&sms, 86_400, None),
            (&whatsapp, 5, Some("6")),
            (&whatsapp, 14_399, Some("14399")),
            (&whatsapp, 14_400, None),
        ] {
            let message = Outgoing { valid_for: Duration::from_secs(seconds), ..testing::outgoing("Hi") };
            let body = testing::twilio().form(sender, &message);
            let given = body.split('&').find_map(|field| field.strip_prefix("ValidityPeriod="));
            assert_eq!(given, expected, "{sender:?} {seconds}");
        }
    }

    proptest! {
        #[test]
        fn the_body_is_allocated_once_and_read_back(
            text in "\\PC{0,80}",
            url in proptest::option::of("\\PC{0,40}"),
            media in proptest::collection::vec("\\PC{0,20}", 0..4),
            values in proptest::option::of(proptest::collection::btree_map("[0-9]{1,2}", "\\PC{0,20}", 0..4)),
        ) {
            let approved = values.map(|variables| Approved { content_id: "HX0123456789abcdef0123456789abcdef".into(), variables });
            let valid_for = Duration::from_secs(9);
            let message = Outgoing { callback_url: url, valid_for, media, approved, ..testing::outgoing(&text) };
            let twilio = testing::twilio();
            for sender in [testing::sender(), testing::whatsapp()] {
                let body = twilio.form(&sender, &message);
                let said = message.approved.as_ref().map(|approved| variables(&approved.variables)).unwrap_or_default();
                let room = twilio.room(&recipient(&sender, message.to), &address(&sender), &said, &message);
                prop_assert!(body.len() <= room, "{} {room}", body.len());
                let read: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
                let get = |name: &str| read.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
                match &message.approved {
                    None => prop_assert_eq!(get("Body"), Some(text.clone())),
                    Some(approved) => {
                        let values = get("ContentVariables").unwrap_or_else(|| "{}".to_owned());
                        prop_assert_eq!(&serde_json::from_str::<BTreeMap<String, String>>(&values).unwrap(), &approved.variables);
                        prop_assert!(get("Body").is_none() && get("MediaUrl").is_none());
                    }
                }
            }
        }
    }
}
