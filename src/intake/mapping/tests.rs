//! Expressions and events in tables.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::contact::ChannelType;

const RULES: ContactRules =
    ContactRules { channel_type: ChannelType::Sms, configuration: None, default_country: None, attested: None };

fn event(data: serde_json::Value) -> Event {
    let body = serde_json::json!({ "type": "case.created", "timestamp": "2026-12-01T09:00:00Z", "data": data });
    Event::parse(body.to_string().as_bytes(), "evt_1").unwrap()
}

fn case() -> Event {
    event(serde_json::json!({
        "title": "Broken heater", "priority": "high", "count": 3, "price": 12.5, "big": 18_446_744_073_709_551_615_u64,
        "tags": ["a", "b"], "none": null,
        "customer": { "mobile": "+4915112345678", "name": "Ana", "language": "de-DE", "lcid": 1036, "do_not_phone": false },
    }))
}

fn mapping(to: &str, optin: Option<&str>, locale: Option<&str>, context: &[(&str, &str)]) -> Mapping {
    let context = context.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let owned = |text: &str| text.to_owned();
    Mapping {
        to: to.to_owned(),
        optin: optin.map(owned),
        locale: locale.map(owned),
        timezone: None,
        context: context.collect::<BTreeMap<_, _>>(),
    }
}

/// The value of a slug that is mapped by this expression, or the refusal.
fn slug(text: &str) -> String {
    let mapping = mapping("event.data.customer.mobile", Some("true"), None, &[("S", text)]);
    let compiled = CompiledMapping::compile(None, Some(&mapping)).unwrap();
    match compiled.contacts(&case(), &RULES) {
        Made::Contacts(made) => match &made[..] {
            [Ok(contact)] => contact.slugs.get("s").unwrap_or("(none)").to_owned(),
            [Err(refused)] => format!("{}: {refused}", refused.code),
            _ => panic!("one contact"),
        },
        Made::NotMeant => panic!("there is no condition"),
    }
}

#[test]
fn the_example_of_the_contract_makes_a_contact() {
    let data = "event.data";
    let mapping = mapping(
        "event.data.customer.mobile",
        Some("!event.data.customer.do_not_phone"),
        Some("event.data.customer.language"),
        &[("CustomerName", "event.data.customer.name"), ("CaseName", &format!("{data}.title"))],
    );
    let compiled = CompiledMapping::compile(Some(r#"event.data.priority == "high""#), Some(&mapping)).unwrap();
    let Made::Contacts(made) = compiled.contacts(&case(), &RULES) else { panic!("it is meant") };
    let contact = made[0].as_ref().unwrap();
    assert_eq!((contact.to.to_string().as_str(), contact.opted_in), ("+4915112345678", OptIn::Yes));
    assert_eq!(contact.locale.as_ref().unwrap().to_string(), "de-DE");
    assert_eq!(
        (contact.slugs.get("CaseName"), contact.slugs.get("CustomerName")),
        (Some("Broken heater"), Some("Ana"))
    );
    assert_eq!(compiled.slugs().unwrap().collect::<Vec<_>>(), ["casename", "customername"]);
}

#[test]
fn values_become_text() {
    for (expression, expected) in [
        ("event.data.title", "Broken heater"),
        ("event.type + '/' + event.id", "case.created/evt_1"),
        ("event.time", "2026-12-01T09:00:00+00:00"),
        ("event.time > timestamp('2026-01-01T00:00:00Z')", "true"),
        ("event.data.count + 1", "4"),
        ("event.data.big", "18446744073709551615"),
        ("event.data.price", "12.5"),
        ("event.data.none", "(none)"),
        ("has(event.data.absent) ? event.data.absent : 'there'", "there"),
        ("event.data.tags.exists(t, t == 'b')", "true"),
        ("event.data.tags[1]", "b"),
        ("event.data['title'].size()", "13"),
        ("event.data.title.startsWith('B') && event.data.title.matches('heat')", "true"),
        ("string(event.data.count)", "3"),
    ] {
        assert_eq!(slug(expression), expected, "{expression}");
    }
}

#[test]
fn what_is_asked_of_a_whatsapp_message_is_kept_in_one_form_or_refused() {
    let made = |name: &str, text: &str, channel_type| {
        let mapping = mapping("event.data.customer.mobile", Some("true"), None, &[(name, text)]);
        let compiled = CompiledMapping::compile(None, Some(&mapping)).unwrap();
        let Made::Contacts(made) = compiled.contacts(&case(), &ContactRules { channel_type, ..RULES }) else {
            panic!()
        };
        match &made[..] {
            [Ok(contact)] => contact.slugs.get(name).unwrap_or("(none)").to_owned(),
            [Err(refused)] => format!("{} {}", refused.code, refused.field),
            _ => panic!("one contact"),
        }
    };
    use ChannelType::{Sms, WhatsApp};
    for (name, text, channel_type, expected) in [
        ("SendAsTemplate", "true", WhatsApp, "true"),
        ("sendastemplate", r#""no""#, WhatsApp, "false"),
        ("sendastemplate", "7", WhatsApp, "invalid_sendastemplate trigger.contact.context.sendastemplate"),
        (
            "templateparameters",
            r#"{"2": event.data.count, "1": event.data.customer.name}"#,
            WhatsApp,
            r#"{"1":"Ana","2":"3"}"#,
        ),
        ("templateparameters", r#""{\"1\": \"Ana\"}""#, WhatsApp, r#"{"1":"Ana"}"#),
        (
            "templateparameters",
            "event.data.title",
            WhatsApp,
            "invalid_templateparameters trigger.contact.context.templateparameters",
        ),
        ("templateparameters", "event.data.title", Sms, "Broken heater"),
    ] {
        assert_eq!(made(name, text, channel_type), expected, "{name} {text}");
    }
}

#[test]
fn an_evaluation_that_fails_refuses_the_contact_with_its_key() {
    let shown: Vec<_> = [
        "event.data.absent.name",
        "event.data.tags",
        "event.data.tags[9]",
        "event.data.title + 1",
        "int(event.data.title)",
        "1 / 0",
    ]
    .into_iter()
    .map(|expression| format!("{expression} => {}", slug(expression)))
    .collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert!(!shown.join("\n").contains("Broken heater"));
}

#[test]
fn a_condition_chooses() {
    for (when, meant) in [
        ("event.data.priority == 'high'", "yes"),
        ("event.data.priority == 'low'", "no"),
        ("event.data.absent", "refused"),
        ("1", "refused"),
    ] {
        let mapping = mapping("event.data.customer.mobile", Some("true"), Some("event.data.customer.lcid"), &[]);
        let made = CompiledMapping::compile(Some(when), Some(&mapping)).unwrap().contacts(&case(), &RULES);
        let shown = match &made {
            Made::NotMeant => "no",
            Made::Contacts(made) if made[0].is_ok() => "yes",
            Made::Contacts(_) => "refused",
        };
        assert_eq!(shown, meant, "{when}: {made:?}");
    }
}

#[test]
fn contacts_need_a_number_and_consent() {
    for (to, optin, locale, expected) in [
        ("event.data.customer.mobile", None, None, "missing_value trigger.contact.optin"),
        ("event.data.customer.mobile", Some("'yes'"), None, "mapping_failed trigger.contact.optin"),
        ("event.data.count", Some("true"), None, "invalid_number trigger.contact.to"),
        ("event.data.title", Some("true"), None, "invalid_number trigger.contact.to"),
        ("event.data.customer.mobile", Some("true"), Some("'!'"), "invalid_locale trigger.contact.locale"),
        ("event.data.customer.mobile", Some("false"), Some("''"), "No"),
    ] {
        let compiled = CompiledMapping::compile(None, Some(&mapping(to, optin, locale, &[]))).unwrap();
        let Made::Contacts(made) = compiled.contacts(&case(), &RULES) else { panic!("no condition") };
        let shown = match &made[0] {
            Ok(contact) => format!("{:?}", contact.opted_in),
            Err(refused) => format!("{} {}", refused.code, refused.field),
        };
        assert_eq!(shown, expected, "{to} {optin:?}");
    }
}

#[test]
fn without_a_mapping_the_event_carries_its_contacts() {
    let contact = serde_json::json!({ "tocontactid": "+4915112345678", "optin": true });
    for (data, expected) in [
        (serde_json::json!({ "contact": contact }), "ok"),
        (serde_json::json!({ "contacts": [contact, {}, 1] }), "ok, /data/contacts/1/tocontactid, /data/contacts/2"),
        (serde_json::json!({ "contact": contact, "contacts": [contact] }), "/data"),
        (serde_json::json!({ "contacts": [] }), "/data/contacts"),
        (serde_json::json!({}), "/data"),
    ] {
        let made = CompiledMapping::compile(None, None).unwrap().contacts(&event(data.clone()), &RULES);
        let Made::Contacts(made) = made else { panic!("no condition") };
        let shown: Vec<_> =
            made.iter().map(|made| made.as_ref().map_or_else(|refused| refused.field.as_str(), |_| "ok")).collect();
        assert_eq!(shown.join(", "), expected, "{data}");
    }
}

#[test]
fn mistakes_are_found_when_compiled() {
    let long = format!("'{}'", "x".repeat(5000));
    let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    let walks = ["event.data.tags.exists(x, x == 'a')"; 5].join(" || ");
    let expressions = [
        "",
        "event.data.",
        "events.data.title",
        "event.titel",
        "event.dta",
        "event.data.x == nobody",
        "event.data.title.startswith('a')",
        "lower(event.data.title)",
        "event.data.a.all(x, event.data.b.all(y, x == y))",
        &long,
        &deep,
        &walks,
        "event.data.a &&\n event.datum",
        "'Größe 🔥' == event.data.x && lower( event.id )",
        "'🔥' == )",
    ];
    let shown = expressions.map(|text| {
        let problems = CompiledMapping::compile(Some(text), None).unwrap_err();
        let name: String = text.chars().take(40).collect();
        format!("{name:?} => {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
    });
    insta::assert_snapshot!(shown.join("\n"));
    let twice = mapping("event.id", None, Some("x"), &[("A", "1"), ("a", "2"), ("B", "y")]);
    let problems = CompiledMapping::compile(Some("z"), Some(&twice)).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["when", "contact.locale", "contact.context.B", "contact.context.a"]);
}

#[test]
fn nothing_is_evaluated_over_an_event_without_bounds() {
    let compiled = CompiledMapping::compile(Some("true"), None).unwrap();
    let list: Vec<u32> = (0..=1000).collect();
    let Made::Contacts(made) = compiled.contacts(&event(serde_json::json!({ "list": list })), &RULES) else {
        panic!("refused")
    };
    assert_eq!(made[0].as_ref().unwrap_err().code, "event_too_large");
}

/// On a small stack, as a thread of the runtime has: no shape of text may overflow it.
#[test]
fn no_shape_of_expression_is_too_deep_for_the_stack() {
    let parts = [
        "(", "[", "{", "!", "-", "a.", "a[", "a?", "1+", "a&&", "a||", "f(", "1?1:", "1==", "[1,", "-!", "{1:", "'",
        "x.all(x,", "a.f(",
    ];
    let chains = parts.into_iter().flat_map(|part| {
        let most = 250 / part.chars().filter(|c| !c.is_alphanumeric() && *c != ',').count().max(1);
        [4000 / part.len(), most, 49, 48, 47, 46, 40, 39, 20]
            .map(|times| [part.repeat(times), format!("{}1", part.repeat(times))])
            .into_iter()
            .flatten()
    });
    let whole = [
        ("(", ")"),
        ("[", "]"),
        ("string(", ")"),
        ("!", ""),
        ("-", ""),
        ("1 + ", ""),
        ("true && ", ""),
        ("event.data.tags.exists(t, ", ")"),
        ("[1, ", "].size()"),
    ]
    .into_iter()
    .flat_map(|(open, close)| {
        [1, 4, 13, 20, 39, 40, 45, 46, 47, 48, 120, 240]
            .map(|times| format!("{}true{}", open.repeat(times), close.repeat(times)))
    });
    let paths = [".data", "[0]", ".size()", "['a'].size()"]
        .into_iter()
        .flat_map(|part| [10, 39, 46, 240].map(|times| format!("event{}", part.repeat(times))));
    let shapes: Vec<String> = chains.chain(whole).chain(paths).collect();
    let work = move || {
        for text in shapes {
            if let Ok(compiled) = CompiledMapping::compile(Some(&text), None) {
                compiled.contacts(&case(), &RULES);
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_compiled_mapping_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<CompiledMapping>();
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,60}", parts in "(event|\\.data|\\.x|[0-9]|'|\"|\\(|\\)|\\[|\\]|!|-|\\+|&&|\\?|:|,|x\\.all\\(y| ){0,12}") {
        for text in [text, parts] {
            if let Ok(compiled) = CompiledMapping::compile(Some(&text), None) {
                compiled.contacts(&case(), &RULES);
            }
        }
    }
}

#[test]
fn a_time_zone_is_kept_under_its_own_name() {
    let with = |zone: &str| {
        let base = mapping("event.data.customer.mobile", Some("true"), None, &[]);
        let compiled =
            CompiledMapping::compile(None, Some(&Mapping { timezone: Some(zone.to_owned()), ..base })).unwrap();
        let Made::Contacts(mut made) = compiled.contacts(&case(), &RULES) else { panic!("it is meant") };
        let made = made.remove(0).map(|contact| contact.slugs.get("timezone").map(str::to_owned));
        made.map_err(|refused| format!("{} {}", refused.code, refused.field))
    };
    assert_eq!(with("'america/New_York'"), Err("invalid_timezone trigger.contact.timezone".to_owned()));
    assert_eq!(with("'America/New_York'"), Ok(Some("America/New_York".to_owned())));
    assert_eq!((with("''"), with("null")), (Ok(None), Ok(None)));
}
