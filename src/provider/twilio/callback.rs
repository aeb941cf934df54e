//! What a genuine callback says (PROVIDERS.md A.4, A.5): a status report, or a message from a person. Both come to one
//! URL as a form, or, where the account is set so, as the query of a GET.
//!
//! Only what the signature covers is read: the URL's query, and the body if it is a form.

use std::borrow::Cow;

use url::form_urlencoded;

use super::wire;
use crate::{
    domain::{contact::ChannelType, message::Status, phone::E164},
    provider::{About, Hook, Inbound, IncomingReply, Method, ProviderKeyword, Receipt, Unreadable, form::query},
};

/// The query parameter of our own callback URL that carries herald's id of the message.
const MESSAGE: &str = "message";

/// The most attachments that Twilio passes on.
const MEDIA_LIMIT: usize = 10;

/// What the callback says.
pub(super) fn read(hook: &Hook) -> Result<Inbound, Unreadable> {
    let fields = Fields::of(hook)?;
    let id = fields.first(&["MessageSid", "SmsSid", "SmsMessageSid"]);
    let id = id.ok_or_else(|| Unreadable("it has no MessageSid".to_owned()))?;
    match fields.first(&["MessageStatus", "SmsStatus"]) {
        Some("received" | "receiving") => reply(&fields, id),
        Some(word) => Ok(receipt(hook, &fields, id, word)),
        None if fields.get("Body").is_some() => reply(&fields, id),
        None => Err(Unreadable("it has neither a MessageStatus nor a Body".to_owned())),
    }
}

/// Whether the body is a form. Without a word on its type it is, unless the URL has the hash of a body of another kind.
pub(super) fn is_form(hook: &Hook) -> bool {
    let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match hook.header("content-type").map(essence) {
        Some(kind) if !kind.is_empty() => kind == "application/x-www-form-urlencoded",
        Some(_) | None => !form_urlencoded::parse(query(&hook.url).as_bytes()).any(|(name, _)| name == "bodySHA256"),
    }
}

/// A callback's fields, of which there are some twenty: looked through, not indexed.
struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    fn of(hook: &'a Hook) -> Result<Self, Unreadable> {
        let form = match hook.method {
            Method::Get => query(&hook.url).as_bytes(),
            Method::Post if is_form(hook) => &hook.body,
            Method::Post | Method::Options => return Err(Unreadable("its body is not a form".to_owned())),
        };
        Ok(Self(form_urlencoded::parse(form).collect()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// The first of these that is there and not empty.
    fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name).filter(|value| !value.is_empty()))
    }
}

/// A word that is not one of Twilio's is no news, and no mistake either.
fn receipt(hook: &Hook, fields: &Fields<'_>, id: &str, word: &str) -> Inbound {
    let read = fields.get("EventType").is_some_and(|event| event.eq_ignore_ascii_case("READ"));
    let Some(status) = wire::status(word).map(|status| if read { status.merge(Status::Read) } else { status }) else {
        return Inbound::Ignored;
    };
    let message = form_urlencoded::parse(query(&hook.url).as_bytes()).find(|(name, _)| name == MESSAGE);
    let text = fields.first(&["ErrorMessage", "ChannelStatusMessage"]).unwrap_or_default();
    Inbound::Receipt(Receipt {
        about: message.and_then(|(_, id)| id.parse().ok()).map_or(About::Unknown, About::Message),
        provider_id: id.to_owned(),
        status,
        why: wire::why(status, word, fields.get("ErrorCode").and_then(wire::code), text),
    })
}

/// Those who write from a short code or a name are no contacts: nobody could answer them.
fn reply(fields: &Fields<'_>, id: &str) -> Result<Inbound, Unreadable> {
    let missing = |name: &str| Unreadable(format!("it has no {name}"));
    let (channel, from) = address(fields.first(&["From"]).ok_or_else(|| missing("From"))?);
    let (_, to) = address(fields.first(&["To"]).ok_or_else(|| missing("To"))?);
    let Ok(from) = E164::parse(from, None) else { return Ok(Inbound::Ignored) };
    Ok(Inbound::Reply(IncomingReply {
        provider_id: id.to_owned(),
        channel,
        from,
        to: to.trim_start_matches('+').to_owned(),
        text: fields.get("Body").unwrap_or_default().to_owned(),
        media: media(fields),
        keyword: fields.get("OptOutType").and_then(keyword),
    }))
}

/// The channel and the bare address: `whatsapp:+49…` or `+49…`.
fn address(text: &str) -> (ChannelType, &str) {
    let text = text.trim();
    match text.split_once(':') {
        Some((channel, bare)) if channel.eq_ignore_ascii_case("whatsapp") => (ChannelType::WhatsApp, bare.trim()),
        Some((channel, bare)) if channel.eq_ignore_ascii_case("rcs") => (ChannelType::Sms, bare.trim()),
        Some(_) | None => (ChannelType::Sms, text),
    }
}

fn media(fields: &Fields<'_>) -> Vec<String> {
    let link = |place: usize| fields.first(&[&format!("MediaUrl{place}")]).map(str::to_owned);
    if fields.0.iter().any(|(name, _)| name.starts_with("MediaUrl")) {
        (0..MEDIA_LIMIT).filter_map(link).collect()
    } else {
        Vec::new()
    }
}

fn keyword(word: &str) -> Option<ProviderKeyword> {
    match word.trim().to_ascii_uppercase().as_str() {
        "STOP" => Some(ProviderKeyword::Stop),
        "START" => Some(ProviderKeyword::Start),
        "HELP" => Some(ProviderKeyword::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::reason::{Reason, Why},
        provider::{Acknowledgement, Provider as _, twilio::testing},
    };

    const FORM: &str = "application/x-www-form-urlencoded";

    fn post(query: &str, body: &str) -> Hook {
        let headers = vec![("content-type".into(), FORM.into())];
        let url = format!("https://hooks.example/twilio/acc_1{query}");
        Hook { method: Method::Post, url, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn only(hook: &Hook) -> Inbound {
        let mut all = testing::twilio().inbound(hook).unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn every_status_is_understood() {
        let code = |reason: Reason, code: u32, text: &str| Some(Why::detailed(reason, text).with_code(code));
        let plain = |text: &str| Some(Why::detailed(Reason::NotDelivered, text));
        let table = [
            ("MessageStatus=accepted", Status::Sent, None),
            ("MessageStatus=scheduled", Status::Sent, None),
            ("MessageStatus=queued", Status::Sent, None),
            ("MessageStatus=sending", Status::Sent, None),
            ("MessageStatus=sent&ErrorCode=", Status::Sent, None),
            ("MessageStatus=partially_delivered", Status::Sent, None),
            ("MessageStatus=delivered&RawDlrDoneDate=2611181106&New=1", Status::Delivered, None),
            ("MessageStatus=read&EventType=READ", Status::Read, None),
            ("MessageStatus=delivered&EventType=READ", Status::Read, None),
            ("MessageStatus=canceled", Status::Failed, plain("canceled at Twilio")),
            ("MessageStatus=failed", Status::Failed, plain("")),
            ("MessageStatus=failed&ErrorCode=0&ErrorMessage=x", Status::Failed, plain("x")),
            ("MessageStatus=failed&ErrorCode=30002", Status::Failed, code(Reason::AccountSuspended, 30002, "")),
            ("MessageStatus=failed&ErrorCode=21610", Status::Failed, code(Reason::OptedOut, 21610, "")),
            (
                "MessageStatus=undelivered&ErrorCode=30003&ErrorMessage=Off",
                Status::Undelivered,
                code(Reason::Unreachable, 30003, "Off"),
            ),
            (
                "MessageStatus=undelivered&ErrorCode=63016&ChannelStatusMessage=Window",
                Status::Undelivered,
                code(Reason::SessionClosed, 63016, "Window"),
            ),
            ("MessageStatus=failed&ErrorCode=39999", Status::Failed, code(Reason::CarrierFault, 39999, "")),
            ("MessageStatus=failed&ErrorCode=12345", Status::Failed, code(Reason::NotDelivered, 12345, "")),
            ("SmsStatus=delivered", Status::Delivered, None),
        ];
        let id = testing::message_id();
        for (fields, status, why) in table {
            let body = format!("{fields}&SmsSid=SM1&MessageSid=SM1&From=%2B15005550006&To=%2B4915112345678");
            let expected = Receipt { about: About::Message(id), provider_id: "SM1".into(), status, why };
            assert_eq!(only(&post(&format!("?a=1&message={id}"), &body)), Inbound::Receipt(expected), "{fields}");
        }
        assert_eq!(only(&post("", "MessageSid=SM1&MessageStatus=teleported")), Inbound::Ignored);
    }

    #[test]
    fn every_code_is_told_as_the_table_has_it() {
        for row in super::super::codes::CODES {
            let body = format!("MessageSid=SM1&MessageStatus=failed&ErrorCode={}", row.code);
            let Inbound::Receipt(receipt) = only(&post("", &body)) else { panic!("{} is no receipt", row.code) };
            assert_eq!(receipt.why, Some(Why::plain(row.reason).with_code(row.code)));
        }
    }

    #[test]
    fn a_receipt_without_our_id_is_one_all_the_same() {
        for query in ["", "?message=", "?message=msg_1", "?message[]=1", "#message"] {
            let Inbound::Receipt(receipt) = only(&post(query, "MessageSid=SM1&MessageStatus=sent")) else { panic!() };
            assert_eq!((receipt.about, receipt.provider_id.as_str()), (About::Unknown, "SM1"), "{query}");
        }
    }

    fn incoming(text: &str) -> IncomingReply {
        IncomingReply {
            provider_id: "SM2".into(),
            channel: ChannelType::Sms,
            from: E164::from_digits(4_915_112_345_678),
            to: "15005550006".into(),
            text: text.into(),
            media: Vec::new(),
            keyword: None,
        }
    }

    const WHO: &str = "MessageSid=SM2&SmsMessageSid=SM2&SmsStatus=received&From=%2B4915112345678&To=%2B15005550006";

    #[test]
    fn replies_are_understood() {
        let media = vec!["https://m.example/0".to_owned(), "https://m.example/1".to_owned()];
        let table = [
            (format!("{WHO}&Body=H%C3%A9+there&NumMedia=0"), incoming("Hé there")),
            (format!("{WHO}&Body=Stop&OptOutType=STOP"), IncomingReply { keyword: Some(ProviderKeyword::Stop), ..incoming("Stop") }),
            (format!("{WHO}&Body=go&OptOutType=Start"), IncomingReply { keyword: Some(ProviderKeyword::Start), ..incoming("go") }),
            (format!("{WHO}&Body=%3F&OptOutType=HELP"), IncomingReply { keyword: Some(ProviderKeyword::Help), ..incoming("?") }),
            (format!("{WHO}&Body=a&OptOutType=OTHER"), incoming("a")),
            (
                format!("{WHO}&NumMedia=2&MediaUrl1=https%3A%2F%2Fm.example%2F1&MediaUrl0=https%3A%2F%2Fm.example%2F0"),
                IncomingReply { media, ..incoming("") },
            ),
            (
                "MessageSid=SM2&SmsStatus=received&Body=Hi&WaId=4915112345678&From=whatsapp%3A%2B4915112345678&To=whatsapp%3A%2B15005550006".into(),
                IncomingReply { channel: ChannelType::WhatsApp, ..incoming("Hi") },
            ),
            ("MessageSid=SM2&Body=&From=%2B4915112345678&To=12345".into(), IncomingReply { to: "12345".into(), ..incoming("") }),
            (
                "SmsSid=SM2&MessageStatus=received&Body=Hi&From=%2B4915112345678&To=ACME".into(),
                IncomingReply { to: "ACME".into(), ..incoming("Hi") },
            ),
        ];
        for (body, expected) in table {
            assert_eq!(only(&post("?message=x", &body)), Inbound::Reply(expected.clone()), "{body}");
            let get = Hook { method: Method::Get, body: Bytes::new(), ..post(&format!("?{body}"), "") };
            assert_eq!(only(&get), Inbound::Reply(expected), "{body}");
        }
        let short = "MessageSid=SM2&SmsStatus=received&Body=Win&From=12345&To=%2B15005550006";
        assert_eq!(only(&post("", short)), Inbound::Ignored);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let json = Hook { headers: vec![("content-type".into(), "application/json".into())], ..post("", "{}") };
        let table = [
            (post("", ""), "MessageSid"),
            (post("?MessageSid=SM1&MessageStatus=sent", ""), "MessageSid"),
            (post("", "MessageStatus=sent"), "MessageSid"),
            (post("", "MessageSid=SM1"), "MessageStatus"),
            (post("", "MessageSid=SM1&SmsStatus=received&To=%2B15005550006"), "From"),
            (post("", "MessageSid=SM1&SmsStatus=received&From=%2B15005550006"), "To"),
            (json, "not a form"),
        ];
        for (hook, expected) in table {
            let problem = testing::twilio().inbound(&hook).unwrap_err();
            assert!(problem.to_string().contains(expected), "{problem}");
        }
    }

    #[test]
    fn twilio_hears_that_there_is_nothing_to_answer() {
        let acknowledgement = testing::twilio().acknowledgement(&post("", ""));
        assert_eq!(acknowledgement, Acknowledgement::new(200, "text/xml", "<Response/>"));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(query in "\\PC{0,60}", body: Vec<u8>) {
            let mut hook = post(&query, "");
            hook.body = Bytes::from(body);
            let _post = testing::twilio().inbound(&hook);
            hook.method = Method::Get;
            let _get = testing::twilio().inbound(&hook);
        }

        #[test]
        fn odd_values_never_panic(values in proptest::collection::vec("\\PC{0,12}", 6)) {
            let names = ["MessageSid", "MessageStatus", "From", "To", "ErrorCode", "MediaUrl0"];
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, value) in names.iter().zip(&values) {
                form.append_pair(name, value);
            }
            let body = form.finish();
            let _any = testing::twilio().inbound(&post("", &body));
            let _reply = testing::twilio().inbound(&post("", &body.replace("MessageStatus", "Body")));
        }
    }
}
