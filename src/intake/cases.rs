//! Cases as events tell of them, and contacts as cases make them.
//!
//! An event of a type `case.…` says of a case what its data says: `id` (required), `title`, `status`, and whose it is: `contact`
//! in the shape of SPEC 5, or `customer` with a number under `tocontactid`, `mobile`, `phone` or `to`, and besides, if they are
//! there, `optin` or `do_not_phone`, `locale` or `language`, `timezone`, `name` and `contextitems`. Whatever is missing stays
//! as it was. Without `status` the type says it: `case.resolved` is `resolved`; `case.created`, `case.opened` and
//! `case.reopened` are `open`; `case.updated` says nothing of it.

use serde_json::{Map, Value, json};

use super::{
    mapping::Event,
    payload::{ContactRules, Refused, kind, parse_contact},
};
use crate::{
    domain::{
        contact::{ChannelType, Contact, OptIn, REGARDING, RELATIONSHIP},
        phone::Country,
    },
    store::cases::{Case, CaseContact, CaseWord, OPEN},
};

/// The beginning of the types of events about cases.
const PREFIX: &str = "case.";
/// How cases are related to messages about them, where the contact does not say.
const INCIDENT: &str = "incident_msdyn_ocoutboundmessages";
/// The longest id and the longest status, in bytes: they are keys.
const LONGEST: usize = 200;
/// The slugs that a case itself fills, where its contact does not.
const CASE_NAME: &str = "CaseName";
const CUSTOMER_NAME: &str = "CustomerName";

/// What an event says of a case; `None`: it is about none.
///
/// # Errors
/// Why nothing of it can be kept, in words.
pub(super) fn word(event: &Event, default_country: Option<Country>) -> Option<Result<(CaseWord, String), String>> {
    let about = event.event_type.strip_prefix(PREFIX)?;
    Some(read(event, about, default_country))
}

fn read(event: &Event, about: &str, default_country: Option<Country>) -> Result<(CaseWord, String), String> {
    let id = text(event.data.get("id")).ok_or("no case is kept: expected its id in data.id, as a text or a number")?;
    if id.len() > LONGEST {
        return Err(format!("no case is kept: data.id has {} bytes; expected at most {LONGEST}", id.len()));
    }
    let status = text(event.data.get("status")).map(|status| status.to_lowercase()).or_else(|| status_of(about));
    if status.as_ref().is_some_and(|status| status.len() > LONGEST) {
        return Err(format!("no case is kept: data.status is longer than {LONGEST} bytes"));
    }
    let (contact, wrong) = match contact(&event.data, default_country) {
        Ok(contact) => (contact, None),
        Err(refused) => (None, Some(refused)),
    };
    let mut words = format!("case {id} is kept");
    if let Some(status) = &status {
        words.push_str(&format!(" as {status}"));
    }
    if let Some(refused) = wrong {
        words.push_str(&format!(", but not its contact: {refused}"));
    }
    let title = text(event.data.get("title"));
    Ok((CaseWord { id, at: event.time, status, title, contact }, words))
}

/// What the last part of an event's type says of the status.
fn status_of(about: &str) -> Option<String> {
    match about.rsplit('.').next().unwrap_or(about).to_lowercase().as_str() {
        "created" | "opened" | "reopened" => Some(OPEN.to_owned()),
        "updated" | "changed" => None,
        other => Some(other.to_owned()),
    }
}

/// A text or a number that is not blank.
fn text(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Whose case it is, if the event says so.
fn contact(data: &Map<String, Value>, default_country: Option<Country>) -> Result<Option<CaseContact>, Refused> {
    let (value, place) = match (data.get("contact"), data.get("customer")) {
        (Some(contact), _) if !contact.is_null() => (contact.clone(), "/data/contact"),
        (_, Some(Value::Object(customer))) => match of_customer(customer) {
            Some(contact) => (contact, "/data/customer"),
            None => return Ok(None),
        },
        (_, Some(other)) if !other.is_null() => {
            let message = format!("expected an object with the customer's number, found {}", kind(other));
            return Err(Refused::new("not_a_contact", "/data/customer", message));
        }
        _ => return Ok(None),
    };
    let said = value.get("optin").is_some_and(|said| !said.is_null());
    let channel_type = value.get("channelid").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let rules = ContactRules {
        channel_type: channel_type.unwrap_or(ChannelType::Sms),
        configuration: None,
        default_country,
        attested: Some(OptIn::No), // stands for nothing said: what was said is looked at beside it
    };
    let read = parse_contact(&value, &rules);
    let read = read.map_err(|refused| Refused { field: format!("{place}{}", refused.field), ..refused })?;
    let opted_in = said.then_some(read.opted_in);
    Ok(Some(CaseContact { to: read.to, opted_in, channel_type, locale: read.locale, slugs: read.slugs }))
}

/// A customer in the shape of a contact; `None`: no number is there.
fn of_customer(customer: &Map<String, Value>) -> Option<Value> {
    let first = |names: &[&str]| names.iter().find_map(|name| customer.get(*name).filter(|value| !value.is_null()));
    let to = first(&["tocontactid", "mobile", "phone", "to"])?;
    let agreed = customer.get("do_not_phone").and_then(Value::as_bool).map(|not| json!(!not));
    let mut items = customer.get("contextitems").and_then(Value::as_object).cloned().unwrap_or_default();
    if let (Some(name), false) =
        (text(customer.get("name")), items.keys().any(|item| item.eq_ignore_ascii_case(CUSTOMER_NAME)))
    {
        items.insert(CUSTOMER_NAME.to_owned(), name.into());
    }
    Some(json!({
        "tocontactid": to, "optin": first(&["optin"]).cloned().or(agreed), "locale": first(&["locale", "language"]),
        "timezone": first(&["timezone"]), "channelid": first(&["channelid"]), "contextitems": items,
    }))
}

/// The contact of a case, as a configuration's audience: its title and its place on a timeline among the slugs, where the
/// contact itself brings none.
///
/// # Errors
/// Why it cannot be written to, as it would be said of a contact that came by itself.
pub(super) fn contact_of(case: &Case, rules: &ContactRules) -> Result<Contact, Refused> {
    let Some(contact) = &case.contact else {
        return Err(Refused::new("missing_value", "/tocontactid", "no event has named the case's contact"));
    };
    if contact.channel_type.is_some_and(|only| only != rules.channel_type) {
        let message =
            format!("is not the configuration's channel type; expected \"{}\", or nothing", rules.channel_type);
        return Err(Refused::new("wrong_channel", "/channelid", message));
    }
    let opted_in = contact.opted_in.or(rules.attested).ok_or_else(|| {
        let message = "no event has said whether the contact agreed, and nobody has attested that all have";
        Refused::new("missing_value", "/optin", message)
    })?;
    let mut slugs = contact.slugs.clone();
    let own = [(CASE_NAME, case.title.as_str()), (RELATIONSHIP, INCIDENT), (REGARDING, case.id.as_str())];
    for (name, value) in own.into_iter().filter(|(_, value)| !value.is_empty()) {
        if slugs.get(name).is_none_or(|given| given.trim().is_empty()) {
            slugs.set(name, value);
        }
    }
    Ok(Contact { to: contact.to, opted_in, locale: contact.locale.clone(), slugs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    const RULES: ContactRules =
        ContactRules { channel_type: ChannelType::Sms, configuration: None, default_country: None, attested: None };

    fn said(event_type: &str, data: Value) -> Option<Result<(CaseWord, String), String>> {
        let Value::Object(data) = data else { return None };
        word(&Event { event_type: event_type.into(), id: "e".into(), time: Timestamp::from_millis(5), data }, None)
    }

    #[test]
    fn a_case_is_what_its_event_says() {
        assert_eq!(said("order.created", json!({ "id": 1 })), None);
        for (event_type, data, status) in [
            ("case.created", json!({ "id": 1 }), Some("open")),
            ("case.reopened", json!({ "id": "1" }), Some("open")),
            ("case.updated", json!({ "id": "1" }), None),
            ("case.resolved", json!({ "id": "1" }), Some("resolved")),
            ("case.status.Closed", json!({ "id": " 1 " }), Some("closed")),
            ("case.updated", json!({ "id": "1", "status": " In Progress " }), Some("in progress")),
            ("case.resolved", json!({ "id": "1", "status": "closed" }), Some("closed")),
        ] {
            let (word, _) = said(event_type, data.clone()).unwrap().unwrap();
            assert_eq!(
                (word.id.as_str(), word.status.as_deref(), word.contact),
                ("1", status, None),
                "{event_type} {data}"
            );
        }
        for data in [json!({}), json!({ "id": "" }), json!({ "id": [1] }), json!({ "id": "x".repeat(201) })] {
            assert!(said("case.created", data.clone()).unwrap().unwrap_err().starts_with("no case is kept"), "{data}");
        }
    }

    #[test]
    fn a_case_names_its_contact_in_either_shape() {
        let to = "+4915112345678";
        let items = json!({ "CaseName": "Own" });
        for (data, expected) in [
            (json!({ "contact": { "tocontactid": to, "locale": "de" } }), "None de "),
            (
                json!({ "contact": { "tocontactid": to, "optin": false, "contextitems": items } }),
                "Some(No) - casename=Own",
            ),
            (
                json!({ "customer": { "mobile": to, "name": "Ana", "language": "fr", "do_not_phone": false, "timezone": "UTC" } }),
                "Some(Yes) fr customername=Ana timezone=UTC",
            ),
            (json!({ "customer": { "phone": to, "do_not_phone": true, "optin": true } }), "Some(Yes) - "),
            (json!({ "contact": null, "customer": { "to": to } }), "None - "),
        ] {
            let mut data = data;
            data["id"] = json!("C");
            let (word, _) = said("case.updated", data.clone()).unwrap().unwrap();
            let contact = word.contact.unwrap();
            let slugs: Vec<String> = contact.slugs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let locale = contact.locale.map_or("-".to_owned(), |locale| locale.to_string());
            assert_eq!(format!("{:?} {locale} {}", contact.opted_in, slugs.join(" ")), expected, "{data}");
        }
        for (data, place) in [
            (json!({ "id": "C", "contact": { "tocontactid": "12" } }), "/data/contact/tocontactid"),
            (json!({ "id": "C", "customer": { "mobile": to, "language": "?!" } }), "/data/customer/locale"),
            (json!({ "id": "C", "customer": 7 }), "/data/customer"),
        ] {
            let (word, words) = said("case.resolved", data).unwrap().unwrap();
            assert!(word.contact.is_none() && words.starts_with("case C is kept as resolved, but not its contact"));
            assert!(words.contains(place), "{words}");
        }
    }

    #[test]
    fn a_cases_contact_has_its_title_and_its_place() {
        let contact =
            json!({ "tocontactid": "+4915112345678", "channelid": "sms", "contextitems": { "CaseName": " " } });
        let (word, _) =
            said("case.resolved", json!({ "id": "C-1", "title": "Door", "contact": contact })).unwrap().unwrap();
        let at = word.at;
        let case = Case {
            id: word.id,
            status: "resolved".into(),
            title: "Door".into(),
            contact: word.contact,
            opened_at: at,
            event_at: at,
            changed_at: at,
        };
        assert_eq!(contact_of(&case, &RULES).unwrap_err().field, "/optin");
        let attested = ContactRules { attested: Some(OptIn::Yes), ..RULES };
        let made = contact_of(&case, &attested).unwrap();
        assert_eq!((made.slugs.get("CaseName"), made.slugs.get(REGARDING)), (Some("Door"), Some("C-1")));
        assert_eq!((made.slugs.get(RELATIONSHIP), made.opted_in), (Some(INCIDENT), OptIn::Yes));
        let whatsapp = ContactRules { channel_type: ChannelType::WhatsApp, ..attested };
        assert_eq!(contact_of(&case, &whatsapp).unwrap_err().code, "wrong_channel");
        assert_eq!(contact_of(&Case { contact: None, ..case }, &attested).unwrap_err().field, "/tocontactid");
    }
}
