//! What each definition must obey by itself (SPEC 3): sender numbers, quotas, credentials, expressions, schedules.

use std::time::Duration;

use chrono_tz::Tz;

use super::{page::Page, problem::Problem};
use crate::{
    domain::{
        account::Account,
        contact::ChannelType,
        definition::{CONTRACT_QUOTA, Channel, Configuration, Endpoint, Mapping, NumberType, Organization, Trigger},
        schedule::{NotASchedule, Schedule},
        webhook::EventType,
    },
    intake::mapping::{CompiledMapping, check_type},
};

/// An hour: what a quota is counted over.
const HOUR: Duration = Duration::from_secs(3600);

/// The organization's own settings.
pub(super) fn organization(page: &Page, organization: &Organization) -> Vec<Problem> {
    let quota = organization.quota;
    if quota.per == HOUR && quota.count <= CONTRACT_QUOTA {
        return Vec::new();
    }
    vec![
        page.problem(
            "quota",
            format!("\"{quota}\" is not a quota; expected requests an hour, at most \"30_000/hour\""),
        ),
    ]
}

/// An account's credentials, as far as they can be judged without the provider.
pub(super) fn account(page: &Page, account: &Account) -> Vec<Problem> {
    let Account::Twilio(settings) = account else { return Vec::new() };
    let mut problems = Vec::new();
    if !is_sid(&settings.account_sid, "AC") {
        let message = "is not a Twilio account sid; expected AC and 32 hexadecimal digits";
        problems.push(page.problem("account_sid", message));
    }
    match (&settings.api_key, &settings.api_secret) {
        (Some(_), None) => problems.push(page.problem("api_key", "stands alone; expected api_secret with it")),
        (None, Some(_)) => problems.push(page.problem("api_secret", "stands alone; expected api_key with it")),
        (Some(key), Some(_)) if !is_sid(key, "SK") => {
            problems.push(page.problem("api_key", "is not a Twilio API key; expected SK and 32 hexadecimal digits"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let web =
        |text: &str| url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if settings.base_url.as_deref().is_some_and(|text| !web(text)) {
        problems.push(page.problem("base_url", "is not a web address; expected one like \"https://api.twilio.com\""));
    }
    problems
}

fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Where an endpoint is, and what it asks for.
pub(super) fn endpoint(page: &Page, endpoint: &Endpoint) -> Vec<Problem> {
    let mut problems = Vec::new();
    match url::Url::parse(&endpoint.url) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let message = "has a user or a password in it; expected none, for the signature is what proves who posts";
            problems.push(page.problem("url", message));
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
        Ok(_) | Err(_) => {
            let message = "is not a web address; expected one like \"https://example.com/herald\"";
            problems.push(page.problem("url", message));
        }
    }
    let asks_for_nothing = |pattern: &&String| !EventType::ALL.iter().any(|event| event.is_asked_for_by(pattern));
    problems.extend(endpoint.events.iter().filter(asks_for_nothing).map(|pattern| {
        let known = EventType::ALL.map(EventType::as_str).join(", ");
        page.problem("events", format!("\"{pattern}\" is no event; expected of {known}, a family like message.*, or *"))
    }));
    problems
}

/// A channel's number.
pub(super) fn channel(page: &Page, channel: &Channel) -> Vec<Problem> {
    let expected = sender_number(channel.channel_type, channel.number_type, &channel.number);
    let message = |expected| format!("\"{}\" cannot be this channel's sender; expected {expected}", channel.number);
    expected.map(|expected| page.problem("number", message(expected))).into_iter().collect()
}

/// What was expected of a sender's number, if this is not it.
fn sender_number(channel_type: ChannelType, number_type: NumberType, number: &str) -> Option<&'static str> {
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit())
    };
    let (good, expected) = match (channel_type, number_type) {
        (ChannelType::WhatsApp, _) => (
            number.strip_prefix('+').is_some_and(|rest| digits(rest, 7..=15) && !rest.starts_with('0')),
            "a leading + and 7 to 15 digits, like \"+14252306549\" (type whatsapp)",
        ),
        (ChannelType::Sms, NumberType::Geographic | NumberType::TollFree) => (
            digits(number, 7..=15) && !number.starts_with('0'),
            "7 to 15 digits with the country code and nothing else, like \"14252306549\": no +, no blanks (number_type geographic or toll_free)",
        ),
        (ChannelType::Sms, NumberType::ShortCode) => {
            (digits(number, 3..=8), "3 to 8 digits, like \"26225\" (number_type short_code)")
        }
        (ChannelType::Sms, NumberType::Alphanumeric) => (
            (1..=11).contains(&number.len())
                && number.trim() == number
                && number.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '+' | '&'))
                && number.contains(|c: char| c.is_ascii_alphabetic()),
            "at most 11 letters and digits with at least one letter, like \"ACME\" (number_type alphanumeric)",
        ),
    };
    (!good).then_some(expected)
}

/// A configuration's own settings, its expressions and its times. The mapping, compiled, if there is a good one.
pub(super) fn configuration(
    page: &Page,
    configuration: &Configuration,
    zone: Tz,
    problems: &mut Vec<Problem>,
) -> Option<CompiledMapping> {
    if configuration.valid_for.0.is_zero() {
        problems.push(page.problem("valid_for", "is no time at all; expected a length of time like \"24h\""));
    }
    match &configuration.trigger {
        Trigger::Automatic { event, when, contact, .. } => {
            if let Err(problem) = check_type(event) {
                problems.push(page.problem("trigger.event", problem.to_string()));
            }
            automatic(page, configuration, when.as_deref(), contact.as_ref(), problems)
        }
        Trigger::Instant {} => None,
        Trigger::Scheduled { at, cron, .. } => {
            let key = if cron.is_some() { "trigger.cron" } else { "trigger.at" };
            if at.is_empty() == cron.is_none() {
                let message = "expected either at (local times) or cron (an expression), not both and not neither";
                problems.push(page.problem("trigger", message));
            } else if let Some(Err(problem)) = schedule(configuration, zone) {
                problems.push(page.problem(key, problem.to_string()));
            }
            if configuration.audience.is_none() {
                let message =
                    "missing; expected a stored list to send to, as a scheduled configuration has no other audience";
                problems.push(page.problem("audience.list", message));
            }
            None
        }
    }
}

fn automatic(
    page: &Page,
    configuration: &Configuration,
    when: Option<&str>,
    contact: Option<&Mapping>,
    problems: &mut Vec<Problem>,
) -> Option<CompiledMapping> {
    if configuration.audience.is_some() {
        let message = "an automatic configuration has none; expected its contacts to come from the event";
        problems.push(page.problem("audience", message));
    }
    if contact.is_some_and(|contact| contact.optin.is_none()) && configuration.attested().is_none() {
        let message = "missing; expected an expression that says whether the contact agreed, or opted_in = true to attest that all have";
        problems.push(page.problem("trigger.contact.optin", message));
    }
    let compiled = CompiledMapping::compile(when, contact);
    let said = compiled.map_err(|found| {
        problems.extend(found.into_iter().map(|found| {
            let place =
                found.position.map(|(line, column)| format!("line {line}, column {column} of the expression: "));
            let message = format!("{}{}", place.unwrap_or_default(), found.message);
            page.problem(&format!("trigger.{}", found.key), message)
        }));
    });
    said.ok()
}

/// When a scheduled configuration fires, in its own time zone or this one; `None` for other triggers.
pub(super) fn schedule(configuration: &Configuration, zone: Tz) -> Option<Result<Schedule, NotASchedule>> {
    let Trigger::Scheduled { at, cron, timezone, .. } = &configuration.trigger else { return None };
    let zone = timezone.unwrap_or(zone);
    Some(match cron {
        Some(cron) => Schedule::cron(cron, zone),
        None => Schedule::at(at, zone),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_numbers_are_what_their_type_says() {
        use ChannelType::{Sms, WhatsApp};
        use NumberType::{Alphanumeric, Geographic, ShortCode, TollFree};
        for (channel_type, number_type, number, good) in [
            (Sms, Geographic, "14252306549", true),
            (Sms, Geographic, "+14252306549", false),
            (Sms, Geographic, "1 425 2306549", false),
            (Sms, Geographic, "123456", false),
            (Sms, Geographic, "1234567890123456", false),
            (Sms, Geographic, "04252306549", false),
            (Sms, TollFree, "18005550100", true),
            (Sms, TollFree, "1-800-5550100", false),
            (Sms, ShortCode, "26225", true),
            (Sms, ShortCode, "12", false),
            (Sms, ShortCode, "123456789", false),
            (Sms, Alphanumeric, "ACME", true),
            (Sms, Alphanumeric, "ACME Corp 1", true),
            (Sms, Alphanumeric, "ACME Corp 12", false),
            (Sms, Alphanumeric, "12345", false),
            (Sms, Alphanumeric, "ÄCME", false),
            (Sms, Alphanumeric, "", false),
            (WhatsApp, Geographic, "+14252306549", true),
            (WhatsApp, Geographic, "14252306549", false),
            (WhatsApp, Geographic, "+1", false),
        ] {
            assert_eq!(
                sender_number(channel_type, number_type, number).is_none(),
                good,
                "{channel_type} {number_type:?} {number}"
            );
        }
    }

    #[test]
    fn sids_are_their_prefix_and_hexadecimal() {
        assert!(is_sid("AC00000000000000000000000000000001", "AC"));
        for text in [
            "AC0000000000000000000000000000001",
            "SK00000000000000000000000000000001",
            "AC0000000000000000000000000000000g",
            "",
        ] {
            assert!(!is_sid(text, "AC"), "{text}");
        }
    }
}
