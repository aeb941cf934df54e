//! A contact as JSON hands it over (SPEC 5): the names are the ones that Dynamics 365 flows send. The same reading serves
//! events and the API; what is wrong is said with a stable code, the field, and a sentence that repeats no number.

use chrono_tz::Tz;
use serde_json::{Map, Value};

use crate::domain::{
    contact::{ChannelType, Contact, OptIn, Slugs, TIMEZONE, fold},
    id::ConfigurationId,
    locale::Locale,
    phone::{Country, E164},
    wishes::{BadWish, EXPECTED_SWITCH, SEND_AS_TEMPLATE, SendAs, TEMPLATE_PARAMETERS, canonical, read_parameters},
};

/// What contacts are held against: the configuration's side of SPEC 5.
#[derive(Clone, Copy, Debug)]
pub struct ContactRules {
    /// A `channelid` that differs is refused.
    pub channel_type: ChannelType,
    /// A `msdyn_ocoutboundconfigurationid` that differs is refused; `None`: whatever it is.
    pub configuration: Option<ConfigurationId>,
    /// For numbers in national form.
    pub default_country: Option<Country>,
    /// What stands in for a missing `optin`.
    pub attested: Option<OptIn>,
}

/// Why something is no contact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Refused {
    /// The stable code that programs go by; the same as a CSV row's.
    pub code: &'static str,
    /// Where: a JSON pointer into the contact, or the key of the mapping.
    pub field: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Refused {
    /// A refusal.
    pub fn new(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, field: field.into(), message: message.into() }
    }
}

/// The key among the context items that names the configuration.
const CONFIGURATION: &str = "msdyn_ocoutboundconfigurationid";

/// Reads one contact. Unknown keys are passed over: flows send more than herald needs.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse_contact(value: &Value, rules: &ContactRules) -> Result<Contact, Refused> {
    let Some(contact) = value.as_object() else {
        let message = format!("expected an object with tocontactid, optin and contextitems, found {}", kind(value));
        return Err(Refused::new("not_a_contact", "", message));
    };
    let to = read_number(contact.get("tocontactid"), rules.default_country)?;
    check_channel(contact.get("channelid"), rules.channel_type)?;
    let opted_in = read_opt_in(contact.get("optin"), rules.attested)?;
    let locale = read_locale(contact.get("locale"))?;
    let mut slugs = parse_items(contact.get("contextitems"), rules)?;
    for name in [SEND_AS_TEMPLATE, TEMPLATE_PARAMETERS] {
        if let Some(value) = contact.get(name).filter(|_| rules.channel_type == ChannelType::WhatsApp) {
            wish(&mut slugs, name, value, &format!("/{name}"))?;
        }
    }
    match given(contact.get(TIMEZONE)) {
        None => {}
        Some(Value::String(text)) if text.trim().is_empty() => {}
        Some(Value::String(text)) => keep_timezone(&mut slugs, text, "/timezone")?,
        Some(other) => {
            let message = format!("expected an IANA time zone like \"Europe/Berlin\", found {}", kind(other));
            return Err(Refused::new("invalid_timezone", "/timezone", message));
        }
    }
    Ok(Contact { to, opted_in, locale, slugs })
}

/// Keeps a contact's time zone among its slugs, under the name that is reserved for it.
pub(super) fn keep_timezone(slugs: &mut Slugs, text: &str, field: &str) -> Result<(), Refused> {
    let zone: Tz = text.trim().parse().map_err(|_| {
        Refused::new("invalid_timezone", field, "is not a time zone; expected an IANA name like \"Europe/Berlin\"")
    })?;
    let kept = slugs.insert(TIMEZONE, zone.name());
    kept.map_err(|problem| Refused::new("ambiguous_slug", field, problem.to_string()))
}

/// Reads a contact's context items.
///
/// # Errors
/// The first thing that is wrong with them.
pub fn parse_items(value: Option<&Value>, rules: &ContactRules) -> Result<Slugs, Refused> {
    match given(value) {
        None => Ok(Slugs::default()),
        Some(Value::Object(items)) => read_items(items, rules),
        Some(other) => {
            let message = format!("expected an object of names and values, found {}", kind(other));
            Err(Refused::new("invalid_slug", "/contextitems", message))
        }
    }
}

/// `null` is as good as absent.
fn given(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

fn read_number(value: Option<&Value>, default_country: Option<Country>) -> Result<E164, Refused> {
    let field = "/tocontactid";
    let text = match given(value) {
        None => {
            return Err(Refused::new("missing_value", field, "is missing; expected a number in international form"));
        }
        Some(Value::String(text)) => text,
        Some(other) => {
            let message = format!("expected a number as text, like \"+4915112345678\", found {}", kind(other));
            return Err(Refused::new("invalid_number", field, message));
        }
    };
    E164::parse(text, default_country).map_err(|problem| Refused::new("invalid_number", field, problem.to_string()))
}

fn check_channel(value: Option<&Value>, expected: ChannelType) -> Result<(), Refused> {
    let Some(value) = given(value) else { return Ok(()) };
    if value.as_str().is_some_and(|text| text.parse() == Ok(expected)) {
        return Ok(());
    }
    let message = format!("is not the configuration's channel type; expected \"{expected}\", or nothing");
    Err(Refused::new("wrong_channel", "/channelid", message))
}

fn read_opt_in(value: Option<&Value>, attested: Option<OptIn>) -> Result<OptIn, Refused> {
    match given(value) {
        Some(Value::Bool(true)) => Ok(OptIn::Yes),
        Some(Value::Bool(false)) => Ok(OptIn::No),
        Some(other) => {
            Err(Refused::new("invalid_optin", "/optin", format!("expected true or false, found {}", kind(other))))
        }
        None => attested.ok_or_else(|| {
            let message = "is missing; expected true or false (nobody has attested that all have agreed)";
            Refused::new("missing_value", "/optin", message)
        }),
    }
}

fn read_locale(value: Option<&Value>) -> Result<Option<Locale>, Refused> {
    let text = match given(value) {
        None => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(other) => {
            let message = format!("expected a tag like \"fr-CA\" or a Windows number like 1036, found {}", kind(other));
            return Err(Refused::new("invalid_locale", "/locale", message));
        }
    };
    text.parse().map(Some).map_err(|problem: crate::domain::locale::NotALocale| {
        Refused::new("invalid_locale", "/locale", problem.to_string())
    })
}

fn read_items(items: &Map<String, Value>, rules: &ContactRules) -> Result<Slugs, Refused> {
    let mut slugs = Slugs::default();
    for (name, value) in items {
        let field = || format!("/contextitems/{}", pointed(name));
        let wished = wished(name);
        if let Some(known) = wished.filter(|_| rules.channel_type == ChannelType::WhatsApp) {
            wish(&mut slugs, known, value, &field())?;
            continue;
        }
        let text = match value {
            Value::Null => continue,
            // Of no use to an SMS, and no mistake.
            Value::Array(_) | Value::Object(_) if wished.is_some() => continue,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Array(_) | Value::Object(_) => {
                let message = format!("expected a text, a number or a truth, found {}", kind(value));
                return Err(Refused::new("invalid_slug", field(), message));
            }
        };
        if name.trim().eq_ignore_ascii_case(CONFIGURATION) {
            check_configuration(&text, rules.configuration)
                .map_err(|message| Refused::new("wrong_configuration", field(), message))?;
            continue;
        }
        slugs.insert(name, text).map_err(|problem| Refused::new("ambiguous_slug", field(), problem.to_string()))?;
    }
    Ok(slugs)
}

/// The one name of what is asked of a WhatsApp message, if this is one of them.
pub(super) fn wished(name: &str) -> Option<&'static str> {
    [SEND_AS_TEMPLATE, TEMPLATE_PARAMETERS].into_iter().find(|known| *known == fold(name))
}

/// Reads what is asked of a WhatsApp message, and keeps it in the one form that it always has.
pub(super) fn wish(slugs: &mut Slugs, name: &'static str, value: &Value, field: &str) -> Result<(), Refused> {
    let text = if name == SEND_AS_TEMPLATE {
        send_as_template(value).map_err(|message| Refused::new("invalid_sendastemplate", field, message))?
    } else {
        let under = |bad: BadWish| match bad.variable {
            Some(variable) => {
                Refused::new("invalid_templateparameters", format!("{field}/{}", pointed(&variable)), bad.message)
            }
            None => Refused::new("invalid_templateparameters", field, bad.message),
        };
        let parameters = read_parameters(value).map_err(under)?;
        (!parameters.is_empty()).then(|| canonical(&parameters))
    };
    let Some(text) = text else { return Ok(()) };
    slugs.insert(name, text).map_err(|problem| Refused::new("ambiguous_slug", field, problem.to_string()))
}

fn send_as_template(value: &Value) -> Result<Option<String>, String> {
    let wish = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => SendAs::parse(text),
        Value::Bool(true) => Some(SendAs::Template),
        Value::Bool(false) => Some(SendAs::Text),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(format!("expected true or false, found {}", kind(value)));
        }
    };
    wish.map(|wish| Some(wish.as_str().to_owned())).ok_or_else(|| EXPECTED_SWITCH.to_owned())
}

/// A name as a JSON pointer has it.
pub(super) fn pointed(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn check_configuration(given: &str, expected: Option<ConfigurationId>) -> Result<(), String> {
    match expected {
        Some(expected) if !given.trim().is_empty() && given.trim().parse() != Ok(expected) => {
            Err(format!("is not the configuration that was invoked; expected \"{expected}\", or nothing"))
        }
        _ => Ok(()),
    }
}

/// What a JSON value is, for messages that must not repeat it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULES: ContactRules =
        ContactRules { channel_type: ChannelType::Sms, configuration: None, default_country: None, attested: None };

    #[test]
    fn what_flows_send_is_a_contact() {
        let value = json!({ "tocontactid": "+4915112345678", "channelid": "SMS", "optin": true, "locale": 1036,
            "contextitems": { "CustomerName": "Ana", "customername": "Ana", "Total": 12.5, "Late": false, "Note": null,
                CONFIGURATION: "whatever", "regardingobjectid": "0a1b" }, "more": [1] });
        let contact = parse_contact(&value, &RULES).unwrap();
        let slugs: Vec<_> = contact.slugs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(slugs, ["customername=Ana", "late=false", "regardingobjectid=0a1b", "total=12.5"]);
        assert_eq!((contact.opted_in, contact.locale.unwrap().to_string()), (OptIn::Yes, "fr-FR".to_owned()));
        let bare = json!({ "tocontactid": "+4915112345678" });
        let attested = ContactRules { attested: Some(OptIn::Yes), ..RULES };
        assert_eq!(parse_contact(&bare, &attested).unwrap().opted_in, OptIn::Yes);
    }

    #[test]
    fn what_is_asked_of_a_whatsapp_message_is_kept_in_one_form() {
        let read = |channel_type, top: Value, items: Value| {
            let mut contact = json!({ "tocontactid": "+4915112345678", "optin": true, "contextitems": items });
            top.as_object().unwrap().iter().for_each(|(key, value)| contact[key] = value.clone());
            let read = parse_contact(&contact, &ContactRules { channel_type, ..RULES });
            let slugs = |slugs: &Slugs| slugs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
            read.map(|contact| slugs(&contact.slugs).join(" ")).map_err(|refused| {
                assert!(!refused.message.contains("Zoe"), "{refused}");
                format!("{} {}", refused.code, refused.field)
            })
        };
        let (both, none) = (json!({ "sendastemplate": true, "templateparameters": { "2": 7, "1": "Zoe" } }), json!({}));
        let kept = Ok(r#"sendastemplate=true templateparameters={"1":"Zoe","2":"7"}"#.to_owned());
        let texts = json!({ "SendAsTemplate": "Yes", "TemplateParameters": "{\"1\": \"Zoe\", \"2\": \"7\"}" });
        use ChannelType::{Sms, WhatsApp};
        for (channel_type, top, items, expected) in [
            (WhatsApp, both.clone(), none.clone(), kept.clone()),
            (WhatsApp, none.clone(), both.clone(), kept.clone()),
            (WhatsApp, both.clone(), texts.clone(), kept.clone()),
            (WhatsApp, json!({ "sendastemplate": false }), none.clone(), Ok("sendastemplate=false".to_owned())),
            (WhatsApp, json!({ "sendastemplate": null, "templateparameters": {} }), none.clone(), Ok(String::new())),
            (WhatsApp, json!({ "sendastemplate": 1 }), none.clone(), Err("invalid_sendastemplate /sendastemplate")),
            (
                WhatsApp,
                none.clone(),
                json!({ "sendastemplate": "x" }),
                Err("invalid_sendastemplate /contextitems/sendastemplate"),
            ),
            (
                WhatsApp,
                json!({ "templateparameters": "Zoe" }),
                none.clone(),
                Err("invalid_templateparameters /templateparameters"),
            ),
            (
                WhatsApp,
                json!({ "templateparameters": { "a/b": "Zoe\n" } }),
                none.clone(),
                Err("invalid_templateparameters /templateparameters/a~1b"),
            ),
            (
                WhatsApp,
                json!({ "sendastemplate": true }),
                json!({ "sendastemplate": false }),
                Err("ambiguous_slug /sendastemplate"),
            ),
            (Sms, json!({ "sendastemplate": 1, "templateparameters": [] }), none.clone(), Ok(String::new())),
            (
                Sms,
                none.clone(),
                json!({ "templateparameters": { "1": "Zoe" }, "sendastemplate": true }),
                Ok("sendastemplate=true".to_owned()),
            ),
        ]
        .map(|(channel, top, items, expected)| (channel, top, items, expected.map_err(str::to_owned)))
        {
            assert_eq!(read(channel_type, top.clone(), items.clone()), expected, "{channel_type} {top} {items}");
        }
    }

    #[test]
    fn a_time_zone_is_kept_among_the_slugs() {
        let read = |zone: Value, items: Value| {
            let contact =
                json!({ "tocontactid": "+4915112345678", "optin": true, "timezone": zone, "contextitems": items });
            let read = parse_contact(&contact, &RULES).map(|contact| contact.slugs.get(TIMEZONE).map(str::to_owned));
            read.map_err(|refused| format!("{} {}", refused.code, refused.field))
        };
        let (none, kept) = (json!({}), Ok(Some("Asia/Tokyo".to_owned())));
        assert_eq!(read(json!(" Asia/Tokyo "), none.clone()), kept);
        assert_eq!(read(json!("Asia/Tokyo"), json!({ "TimeZone": "Asia/Tokyo" })), kept);
        assert_eq!((read(Value::Null, none.clone()), read(json!(""), none.clone())), (Ok(None), Ok(None)));
        assert_eq!(read(json!("Tokyo"), none.clone()), Err("invalid_timezone /timezone".to_owned()));
        assert_eq!(read(json!(9), none), Err("invalid_timezone /timezone".to_owned()));
        let twice = read(json!("Asia/Tokyo"), json!({ "timezone": "UTC" }));
        assert_eq!(twice, Err("ambiguous_slug /timezone".to_owned()));
    }

    #[test]
    fn everything_else_is_refused_with_its_field_and_code() {
        let good = || json!({ "tocontactid": "+4915198765432", "optin": true, "contextitems": {} });
        let with = |key: &str, value: Value| {
            let mut contact = good();
            contact[key] = value;
            contact
        };
        let own = ConfigurationId::new(crate::domain::time::Timestamp::from_millis(1), 1);
        let rules = ContactRules { configuration: Some(own), ..RULES };
        for (contact, expected) in [
            (json!("+49"), "not_a_contact "),
            (with("tocontactid", json!(4915198765432_u64)), "invalid_number /tocontactid"),
            (with("tocontactid", json!("0151")), "invalid_number /tocontactid"),
            (with("tocontactid", Value::Null), "missing_value /tocontactid"),
            (with("channelid", json!("whatsapp")), "wrong_channel /channelid"),
            (with("optin", json!("yes")), "invalid_optin /optin"),
            (with("optin", Value::Null), "missing_value /optin"),
            (with("locale", json!("klingonish!")), "invalid_locale /locale"),
            (with("locale", json!(99_999_999)), "invalid_locale /locale"),
            (with("contextitems", json!([])), "invalid_slug /contextitems"),
            (with("contextitems", json!({ "a/b": {} })), "invalid_slug /contextitems/a~1b"),
            (with("contextitems", json!({ "A": "1", "a": "2" })), "ambiguous_slug /contextitems/a"),
            (
                with("contextitems", json!({ CONFIGURATION: "cfg_1" })),
                "wrong_configuration /contextitems/msdyn_ocoutboundconfigurationid",
            ),
        ] {
            let refused = parse_contact(&contact, &rules).unwrap_err();
            assert_eq!(format!("{} {}", refused.code, refused.field), expected, "{refused}");
            assert!(!refused.message.contains("15198765432"), "{refused}");
        }
        let named = with("contextitems", json!({ CONFIGURATION: own.to_string() }));
        assert!(parse_contact(&named, &rules).is_ok());
    }
}
