//! What a genuine callback says (PROVIDERS.md B.5, B.6): a report on a message, or a message from a person. Both come to one URL.
//!
//! Only the body is signed, so only the body is read: which message a report is about says its `external_id`, never the URL.

use super::{
    codes::{self, Meaning},
    wire::{Coded, Envelope, UserResponse},
};
use crate::{
    domain::{contact::ChannelType, message::Status, phone::E164, reason::Why},
    provider::{About, Hook, Inbound, IncomingReply, ProviderKeyword, Receipt, Unreadable},
};

/// What `sub_resource` says of a message from a person.
const INBOUND_SMS: &str = "mo_sms";

/// What the callback says.
pub(super) fn read(hook: &Hook) -> Result<Inbound, Unreadable> {
    let envelope = Envelope::read(&hook.body).ok_or_else(|| Unreadable("its body is not a JSON object".to_owned()))?;
    if let Some(response) = envelope.user_response() {
        return reply(&envelope, &response);
    }
    if envelope.sub_resource.or_empty().eq_ignore_ascii_case(INBOUND_SMS) {
        return Err(Unreadable("it has no user_response".to_owned()));
    }
    let said = envelope.said().filter(|said| said.number().is_some());
    let said = said.ok_or_else(|| Unreadable("it has neither a status code nor a user_response".to_owned()))?;
    // A code that is not TeleSign's for messages is no news, and no mistake either.
    Ok(receipt(&envelope, &said, envelope.reference_id.or_empty()).map_or(Inbound::Ignored, Inbound::Receipt))
}

/// What a status says of the message; `None` if it says nothing.
pub(super) fn receipt(envelope: &Envelope<'_>, said: &Coded<'_>, provider_id: &str) -> Option<Receipt> {
    let code = said.number()?;
    let (status, why) = match codes::in_report(code)? {
        Meaning::Delivered => (Status::Delivered, None),
        Meaning::Taken => (Status::Sent, None),
        Meaning::Failed(reason) => {
            (Status::Undelivered, Some(Why::detailed(reason, said.description.or_empty()).with_code(code)))
        }
        Meaning::Inbound => return None,
    };
    let about = envelope.external_id.or_empty().parse().map_or(About::Unknown, About::Message);
    Some(Receipt { about, provider_id: provider_id.to_owned(), status, why })
}

/// Those who write from a short code or a name are no contacts: nobody could answer them.
fn reply(envelope: &Envelope<'_>, response: &UserResponse<'_>) -> Result<Inbound, Unreadable> {
    let missing = |name: &str| Unreadable(format!("it has no {name}"));
    let id = envelope.reference_id.text().ok_or_else(|| missing("reference_id"))?;
    let from = response.phone_number.text().ok_or_else(|| missing("phone_number"))?;
    let to = response.sender_id.text().ok_or_else(|| missing("sender_id"))?;
    let from = format!("+{}", from.trim().trim_start_matches('+'));
    let Ok(from) = E164::parse(&from, None) else { return Ok(Inbound::Ignored) };
    Ok(Inbound::Reply(IncomingReply {
        provider_id: id.to_owned(),
        channel: ChannelType::Sms,
        from,
        to: to.trim().trim_start_matches('+').to_owned(),
        text: response.mo_message.or_empty().to_owned(),
        media: Vec::new(),
        keyword: keyword(response.action.or_empty()),
    }))
}

/// `generic` is none of the three; where TeleSign does not look at keywords, nothing is said.
fn keyword(action: &str) -> Option<ProviderKeyword> {
    match action.trim().to_ascii_lowercase().as_str() {
        "stop" => Some(ProviderKeyword::Stop),
        "start" => Some(ProviderKeyword::Start),
        "help" => Some(ProviderKeyword::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::reason::Reason,
        provider::{Acknowledgement, Method, Provider as _, telesign::testing},
    };

    fn post(body: &str) -> Hook {
        let url = format!("https://hooks.example/t/acc_1?message={}", testing::message_id());
        let headers = vec![("content-type".into(), "application/json".into())];
        Hook { method: Method::Post, url, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn only(body: &str) -> Inbound {
        let mut all = testing::telesign().inbound(&post(body)).unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    fn report(code: &str, external_id: &str) -> String {
        format!(
            r#"{{"reference_id":"B56259E45884010488343BAA15FB0002","status":{{"code":{code},"description":"In words","updated_on":"2016-10-21T14:05:36.181346Z"}},"submit_timestamp":"2016-10-21T14:05:30Z","external_id":{external_id},"additional_info":{{"mcc":"310","price":"0.01"}},"errors":[],"sub_resource":"sms"}}"#
        )
    }

    #[test]
    fn every_code_is_told_as_the_table_has_it() {
        let id = testing::message_id();
        for row in codes::CODES {
            let why = |reason| Some(Why::detailed(reason, "In words").with_code(row.code));
            let (status, why) = match row.meaning {
                Meaning::Delivered => (Status::Delivered, None),
                Meaning::Taken => (Status::Sent, None),
                Meaning::Failed(_) if row.code == 10031 => (Status::Undelivered, why(Reason::Blocked)),
                Meaning::Failed(reason) => (Status::Undelivered, why(reason)),
                Meaning::Inbound => {
                    assert_eq!(only(&report("1500", "null")), Inbound::Ignored);
                    continue;
                }
            };
            let expected = Receipt {
                about: About::Message(id),
                provider_id: "B56259E45884010488343BAA15FB0002".into(),
                status,
                why,
            };
            for code in [row.code.to_string(), format!("\"{}\"", row.code)] {
                let found = only(&report(&code, &format!("\"{id}\"")));
                assert_eq!(found, Inbound::Receipt(expected.clone()), "{code}");
            }
        }
    }

    #[test]
    fn an_unknown_code_keeps_its_words_if_it_is_bad_news() {
        let Inbound::Receipt(receipt) = only(&report("522", "null")) else { panic!("no receipt") };
        let why = Why::detailed(Reason::NotDelivered, "In words").with_code(522);
        assert_eq!((receipt.status, receipt.why), (Status::Undelivered, Some(why)));
        assert_eq!(only(&report("204", "null")), Inbound::Ignored);
    }

    #[test]
    fn a_report_is_about_the_message_that_its_signed_part_names() {
        let other = crate::domain::id::MessageId { seq: 7, ..testing::message_id() };
        for (external_id, about) in [
            (format!("\"{other}\""), About::Message(other)),
            ("null".to_owned(), About::Unknown),
            ("\"camp-1/r-42\"".to_owned(), About::Unknown),
            ("[]".to_owned(), About::Unknown),
        ] {
            let Inbound::Receipt(receipt) = only(&report("200", &external_id)) else { panic!("no receipt") };
            assert_eq!(receipt.about, about, "{external_id}");
        }
        let Inbound::Receipt(bare) = only(r#"{"status":{"code":200}}"#) else { panic!("no receipt") };
        assert_eq!((bare.about, bare.provider_id.as_str()), (About::Unknown, ""));
    }

    fn inbound(response: &str, rest: &str) -> String {
        format!(
            r#"{{"reference_id":"A1","status":{{"code":1500,"description":"Delivered"}},"errors":{{}},"user_response":{response}{rest}}}"#
        )
    }

    #[test]
    fn replies_are_understood() {
        let plain = IncomingReply {
            provider_id: "A1".into(),
            channel: ChannelType::Sms,
            from: E164::from_digits(4_915_112_345_678),
            to: "14252306549".into(),
            text: "Hé".into(),
            media: Vec::new(),
            keyword: None,
        };
        let who = r#""phone_number":"4915112345678","sender_id":"14252306549","iso_country_code":"DE""#;
        let with = |keyword| IncomingReply { keyword: Some(keyword), ..plain.clone() };
        let table = [
            (format!(r#"{{{who},"mo_message":"Hé"}}"#), plain.clone()),
            (format!(r#"{{{who},"mo_message":"Hé","action":"generic","keyword":""}}"#), plain.clone()),
            (format!(r#"{{{who},"mo_message":"Hé","action":null}}"#), plain.clone()),
            (format!(r#"{{{who},"mo_message":"Hé","action":"stop","keyword":"arrêt"}}"#), with(ProviderKeyword::Stop)),
            (format!(r#"{{{who},"mo_message":"Hé","action":"STOP"}}"#), with(ProviderKeyword::Stop)),
            (format!(r#"{{{who},"mo_message":"Hé","action":"Start"}}"#), with(ProviderKeyword::Start)),
            (format!(r#"{{{who},"mo_message":"Hé","action":"help"}}"#), with(ProviderKeyword::Help)),
            (format!("{{{who}}}"), IncomingReply { text: String::new(), ..plain.clone() }),
            (
                r#"{"phone_number":4915112345678,"sender_id":"26225","mo_message":"Hé"}"#.to_owned(),
                IncomingReply { to: "26225".into(), ..plain.clone() },
            ),
        ];
        for (response, expected) in table {
            for rest in ["", r#","sub_resource":"mo_sms","submit_timestamp":"2023-10-31T14:47:10Z""#] {
                assert_eq!(only(&inbound(&response, rest)), Inbound::Reply(expected.clone()), "{response}");
            }
        }
        let short = r#"{"phone_number":"12345","sender_id":"14252306549","mo_message":"Win"}"#;
        assert_eq!(only(&inbound(short, "")), Inbound::Ignored);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let table = [
            (String::new(), "JSON"),
            ("[]".to_owned(), "JSON"),
            ("status=200".to_owned(), "JSON"),
            ("{}".to_owned(), "status code"),
            (r#"{"status":{"code":"fine"}}"#.to_owned(), "status code"),
            (r#"{"status":{"code":1500},"sub_resource":"MO_SMS"}"#.to_owned(), "user_response"),
            (inbound(r#"{"sender_id":"26225"}"#, ""), "phone_number"),
            (inbound(r#"{"phone_number":"4915112345678"}"#, ""), "sender_id"),
            (inbound("{}", "").replace("A1", ""), "reference_id"),
        ];
        for (body, expected) in table {
            let problem = testing::telesign().inbound(&post(&body)).unwrap_err();
            assert!(problem.to_string().contains(expected), "{body}: {problem}");
        }
    }

    #[test]
    fn telesign_hears_exactly_200() {
        let acknowledgement = testing::telesign().acknowledgement(&post(""));
        assert_eq!(acknowledgement, Acknowledgement::new(200, "application/json", "{}"));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body: Vec<u8>) {
            let hook = Hook { body: Bytes::from(body), ..post("") };
            let _any = testing::telesign().inbound(&hook);
        }

        #[test]
        fn odd_values_never_panic(values in proptest::collection::vec("\\PC{0,12}", 6)) {
            let body = serde_json::json!({
                "reference_id": values[0], "external_id": values[1], "status": {"code": values[2]},
                "user_response": {"phone_number": values[3], "sender_id": values[4], "action": values[5]},
            });
            let _reply = testing::telesign().inbound(&post(&body.to_string()));
            let _report = testing::telesign().inbound(&post(&body.to_string().replace("user_response", "other")));
        }
    }
}
