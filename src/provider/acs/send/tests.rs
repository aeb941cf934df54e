//! Requests, to the byte, and who shares one.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::provider::{
    Method, Provider as _,
    acs::{AcsAccount, testing},
};

fn calls(messages: &[Outgoing]) -> Vec<Call> {
    testing::acs().calls(testing::stamp(), &testing::sender(), messages)
}

fn body(call: &Call) -> Value {
    serde_json::from_slice(&call.request.body).unwrap()
}

/// The places in the run that each call carries.
fn places(calls: &[Call]) -> Vec<Vec<i64>> {
    calls.iter().map(|call| call.carries.iter().map(|(id, _)| id.seq).collect()).collect()
}

/// PROVIDERS.md, "Known answers".
#[test]
fn the_known_body() {
    let body = Body {
        from: &address(&testing::sender()),
        sms_recipients: vec![Recipient {
            to: "+11234567890".into(),
            repeatability_request_id: "fda6d242-46aa-4247-8bf6-619a1206f9c3".into(),
            repeatability_first_sent: http_date(testing::NOW),
        }],
        message: "Hello world!",
        sms_send_options: Options {
            enable_delivery_report: true,
            tag: "camp-1".into(),
            validity_period_seconds: None,
            delivery_report_timeout_in_seconds: None,
        },
    };
    let expected = r#"{"from":"+18001110000","smsRecipients":[{"to":"+11234567890","repeatabilityRequestId":"fda6d242-46aa-4247-8bf6-619a1206f9c3","repeatabilityFirstSent":"Fri, 20 Nov 2026 08:00:00 GMT"}],"message":"Hello world!","smsSendOptions":{"enableDeliveryReport":true,"tag":"camp-1"}}"#;
    assert_eq!(serde_json::to_string(&body).unwrap(), expected);
}

#[test]
fn the_exact_request() {
    let messages = [testing::outgoing(12, "Hello Ünï \"x\"\n😀"), testing::outgoing(15, "Hello Ünï \"x\"\n😀")];
    let calls = calls(&messages);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].carries, [(messages[0].id, messages[0].to), (messages[1].id, messages[1].to)]);
    let request = &calls[0].request;
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.url, "https://contoso.communication.azure.com/sms?api-version=2021-03-07");
    let shown = std::str::from_utf8(&request.body).unwrap().replace(",\"", ",\n\"").replace("},{", "},\n{");
    insta::assert_snapshot!(shown, @r#"
    {"from":"+18001110000",
    "smsRecipients":[{"to":"+4915112340012",
    "repeatabilityRequestId":"c456e360-e41c-4a82-adc2-272a443d4139",
    "repeatabilityFirstSent":"Fri, 20 Nov 2026 08:00:00 GMT"},
    {"to":"+4915112340015",
    "repeatabilityRequestId":"c29f07ae-8e97-4764-a80e-a29b3d10b155",
    "repeatabilityFirstSent":"Fri, 20 Nov 2026 08:00:00 GMT"}],
    "message":"Hello Ünï \"x\"\n😀",
    "smsSendOptions":{"enableDeliveryReport":true,
    "tag":"run_01M7VZGC0000000W0000000000_1_100"}}
    "#);
}

#[test]
fn messages_with_one_text_share_a_call() {
    let texts = ["a", "b", "a", "c", "b", "a"];
    let messages: Vec<_> = (1..).zip(texts).map(|(seq, text)| testing::outgoing(seq, text)).collect();
    let calls = calls(&messages);
    assert_eq!(places(&calls), [vec![1, 3, 6], vec![2, 5], vec![4]]);
    let tag = format!("{}_1_100", testing::run());
    assert!(calls.iter().all(|call| body(call)["smsSendOptions"]["tag"] == *tag));
}

#[test]
fn a_number_that_stands_twice_never_shares() {
    let twin = |seq, text| Outgoing { to: testing::number(1), ..testing::outgoing(seq, text) };
    let messages = [twin(1, "a"), testing::outgoing(2, "a"), twin(3, "a"), testing::outgoing(4, "a"), twin(5, "b")];
    assert_eq!(places(&calls(&messages)), [vec![1], vec![2, 4], vec![3], vec![5]]);
}

#[test]
fn runs_and_requests_do_not_share_and_a_hundred_is_the_most() {
    let many: Vec<_> = (1..=250).map(|seq| testing::outgoing(seq, "a")).collect();
    let sizes: Vec<_> = calls(&many).iter().map(|call| call.carries.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    let other = RunId::new(testing::NOW, 8 << 100);
    let messages = [
        testing::outgoing(1, "a"),
        Outgoing { id: MessageId { run: other, seq: 2 }, ..testing::outgoing(2, "a") },
        testing::outgoing(3, "a"),
        Outgoing { among: (101, 200), ..testing::outgoing(104, "a") },
    ];
    assert_eq!(places(&calls(&messages)), [vec![1, 3], vec![2], vec![104]]);
    assert!(calls(&[]).is_empty());
}

/// Whatever goes with it.
#[test]
fn a_message_bears_the_same_id_in_every_try_and_another_when_sent_anew() {
    let message = testing::outgoing(12, "a");
    let tried = |message: &Outgoing, company: &[Outgoing], at: Timestamp| {
        let messages: Vec<_> = std::iter::once(message.clone()).chain(company.iter().cloned()).collect();
        let calls = testing::acs().calls(Stamp { now: at, nonce: 99 }, &testing::sender(), &messages);
        let body = body(&calls[0]);
        let recipient = &body["smsRecipients"][0];
        let texts = [
            &recipient["repeatabilityRequestId"],
            &recipient["repeatabilityFirstSent"],
            &body["smsSendOptions"]["tag"],
        ];
        texts.map(|text| text.as_str().unwrap().to_owned())
    };
    let first = tried(&message, &[], testing::NOW);
    let tag = format!("{}_1_100", testing::run());
    assert_eq!(first, ["c456e360-e41c-4a82-adc2-272a443d4139", "Fri, 20 Nov 2026 08:00:00 GMT", &tag]);
    let later = testing::NOW.plus(Duration::from_secs(3600));
    assert_eq!(tried(&message, &[testing::outgoing(13, "a")], later), first);
    let [id, date, _] = tried(&Outgoing { first_sent: later, ..message.clone() }, &[], later);
    assert!(id != first[0] && date == "Fri, 20 Nov 2026 09:00:00 GMT");
    assert_ne!(tried(&testing::outgoing(13, "a"), &[], testing::NOW)[0], first[0]);
    let alone = Outgoing { among: (12, 12), ..message.clone() };
    assert_eq!(tried(&alone, &[], testing::NOW)[2], message.id.to_string());
}

#[test]
fn senders_are_written_as_azure_writes_them() {
    for (written, kind, expected) in [
        ("18001110000", SenderKind::TollFree, "+18001110000"),
        ("+18001110000", SenderKind::Geographic, "+18001110000"),
        ("26225", SenderKind::ShortCode, "26225"),
        ("ACME Co", SenderKind::Alphanumeric, "ACME Co"),
    ] {
        let sender = Sender { address: written.into(), kind };
        let calls = testing::acs().calls(testing::stamp(), &sender, &[testing::outgoing(1, "Hi")]);
        assert_eq!(body(&calls[0])["from"], expected);
    }
}

#[test]
fn each_version_has_its_own_word_for_giving_up() {
    let options = |version: &str, seconds: &[u64]| {
        let account = AcsAccount { api_version: version.into(), ..testing::account() };
        let acs = Acs::new(account).unwrap();
        let message = |(seq, seconds): (i64, &u64)| Outgoing {
            valid_at_first: Duration::from_secs(*seconds),
            ..testing::outgoing(seq, "a")
        };
        let messages: Vec<_> = (1..).zip(seconds).map(message).collect();
        let calls = acs.calls(testing::stamp(), &testing::sender(), &messages);
        assert!(calls[0].request.url.ends_with(&format!("/sms?api-version={version}")));
        let options = body(&calls[0])["smsSendOptions"].clone();
        let value = |name: &str| options.get(name).and_then(Value::as_u64);
        (value("validityPeriodSeconds"), value("deliveryReportTimeoutInSeconds"))
    };
    for (version, seconds, expected) in [
        ("2021-03-07", &[86_400][..], (None, None)),
        ("2021-03-07", &[43_200], (None, None)),
        ("2021-03-07", &[43_199], (Some(43_199), None)),
        ("2021-03-07", &[600, 300, 86_400], (Some(300), None)),
        ("2021-03-07", &[0], (Some(60), None)),
        ("2025-09-17", &[600], (None, Some(600))),
        ("2026-01-23", &[5], (None, Some(60))),
        ("2026-01-23", &[86_400], (None, None)),
        ("2024-12-10-preview", &[600], (None, None)),
    ] {
        assert_eq!(options(version, seconds), expected, "{version} {seconds:?}");
    }
}

proptest! {
    #[test]
    fn every_message_is_carried_once(
        batch in proptest::collection::vec((1..20i64, "[ab]"), 0..150),
    ) {
        let messages: Vec<_> = (1..).zip(&batch).map(|(seq, (to, text))| {
            Outgoing { to: testing::number(*to), ..testing::outgoing(seq, text) }
        }).collect();
        let calls = calls(&messages);
        let mut carried: Vec<_> = calls.iter().flat_map(|call| &call.carries).map(|(id, _)| id.seq).collect();
        carried.sort_unstable();
        prop_assert_eq!(carried, (1..).take(messages.len()).collect::<Vec<i64>>());
        for call in &calls {
            let numbers: BTreeSet<_> = call.carries.iter().map(|(_, to)| to).collect();
            let body = body(call);
            let recipients = body["smsRecipients"].as_array().unwrap();
            prop_assert!(numbers.len() == call.carries.len() && recipients.len() == numbers.len() && numbers.len() <= MOST);
            for ((id, to), recipient) in call.carries.iter().zip(recipients) {
                let message = &messages[usize::try_from(id.seq).unwrap() - 1];
                prop_assert_eq!(&recipient["to"], &to.to_string());
                prop_assert_eq!(&body["message"], &message.text);
            }
        }
    }
}
