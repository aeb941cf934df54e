//! What is right and worth knowing before it is applied: when schedules fire next, and what a provider, a sender or a template
//! cannot carry (SPEC 10).

use std::collections::BTreeSet;

use super::{firings::Firings, problem::Notice, set::DefinitionSet};
use crate::domain::{
    account::{Account, ProviderKind},
    contact::{ChannelType, REGARDING, RELATIONSHIP, fold},
    definition::{AudienceRef, Channel, Configuration, NumberType, Trigger},
    pace::{self, Unit},
    purpose::Purpose,
    rate::Rate,
};

/// Everything that is worth knowing.
pub(super) fn of(set: &DefinitionSet, firings: &[Firings]) -> Vec<Notice> {
    let mut notices: Vec<Notice> =
        firings.iter().map(|one| notice("outbound", &one.configuration, one.in_words())).collect();
    notices.extend(accounts(set));
    notices.extend(senders(set));
    notices.extend(pace_of_runs(set));
    notices.extend(templates(set));
    notices.extend(timelines(set));
    notices
}

fn notice(kind: &str, name: &str, message: impl Into<String>) -> Notice {
    Notice { file: format!("{kind} {name}"), message: message.into() }
}

/// TeleSign's address for customers without a contract.
const SELF_SERVICE: &str = "rest-api.telesign.com";

fn accounts(set: &DefinitionSet) -> Vec<Notice> {
    let at_self_service = |base_url: &Option<String>| {
        let url = base_url.as_deref().and_then(|text| url::Url::parse(text).ok());
        url.is_some_and(|url| url.host_str() == Some(SELF_SERVICE))
    };
    let found = set.accounts.iter().filter(|(_, account)| match account {
        Account::TeleSign(settings) => at_self_service(&settings.base_url),
        Account::Twilio(_) | Account::Acs(_) => false,
    });
    let message = format!(
        "{SELF_SERVICE} is TeleSign's address for self-service, which carries at most {} messages a month; for more, leave base_url out and send as an enterprise customer",
        grouped(LARGE_RUN)
    );
    found.map(|(name, _)| notice("account", name, message.clone())).collect()
}

/// Nobody can answer a name: neither with a question nor with STOP.
fn senders(set: &DefinitionSet) -> Vec<Notice> {
    let is_name = |channel: &Channel| channel.number_type == NumberType::Alphanumeric;
    let mut notices: Vec<Notice> = set
        .channels
        .iter()
        .filter(|(_, channel)| is_name(channel))
        .map(|(name, _)| notice("channel", name, "nobody can answer a name: neither replies nor STOP will come"))
        .collect();
    for (name, configuration) in &set.configurations {
        let marketing =
            set.templates.get(&configuration.template).is_some_and(|source| source.purpose == Purpose::Marketing);
        if marketing && set.channels.get(&configuration.channel).is_some_and(is_name) {
            let message = format!(
                "is marketing, and nobody can say STOP to channel \"{}\"; name another way to opt out in the text",
                configuration.channel
            );
            notices.push(notice("outbound", name, message));
        }
    }
    notices
}

/// What is meant where an operator has not said how many there will be.
const LARGE_RUN: u64 = 100_000;
/// A list that takes longer than this is worth a word, in seconds.
const LONG: f64 = 3_600.0;
/// So is a sender that a large run would keep busy for longer than this.
const VERY_LONG: f64 = 86_400.0;

/// How long runs will take where that may surprise.
fn pace_of_runs(set: &DefinitionSet) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut slow: BTreeSet<&str> = BTreeSet::new();
    for (name, configuration) in &set.configurations {
        let Some(channel) = set.channels.get(&configuration.channel) else { continue };
        let Some(provider) = set.accounts.get(&channel.account).map(Account::provider) else { continue };
        let rate = channel.pace(provider);
        match (&configuration.trigger, &configuration.audience) {
            (Trigger::Automatic { .. }, _) => {}
            (Trigger::Instant {} | Trigger::Scheduled { .. }, Some(AudienceRef::List(list))) => {
                let rows = set.rows.get(list).copied().unwrap_or_default();
                if seconds(rows, rate) > LONG {
                    let list = format!("its list of {} rows", grouped(rows));
                    notices.push(notice("outbound", name, takes(&list, rows, configuration, channel, provider)));
                }
            }
            // How many cases there will be is not known before there are any.
            (Trigger::Instant {} | Trigger::Scheduled { .. }, None | Some(AudienceRef::Cases(_))) => {
                if seconds(LARGE_RUN, rate) > VERY_LONG && slow.insert(&configuration.channel) {
                    let run = format!("a run of {} rows", grouped(LARGE_RUN));
                    notices.push(notice("outbound", name, takes(&run, LARGE_RUN, configuration, channel, provider)));
                }
            }
        }
    }
    notices
}

/// In rows, each of one text: what a text takes more than one segment of takes as many times longer.
fn seconds(rows: u64, rate: Rate) -> f64 {
    rows as f64 / rate.per_second()
}

fn takes(what: &str, rows: u64, configuration: &Configuration, channel: &Channel, provider: ProviderKind) -> String {
    let rate = channel.pace(provider);
    let unit = match pace::unit(provider, channel.channel_type) {
        Unit::Segments => "segments",
        Unit::Messages => "messages",
    };
    let sender = match (channel.channel_type, channel.number_type) {
        (ChannelType::WhatsApp, _) => "a WhatsApp number",
        (ChannelType::Sms, NumberType::Geographic) => "a long code",
        (ChannelType::Sms, NumberType::ShortCode) => "a short code",
        (ChannelType::Sms, NumberType::TollFree) => "a toll-free number",
        (ChannelType::Sms, NumberType::Alphanumeric) => "a name",
    };
    let (long, valid_for) = (seconds(rows, rate), configuration.valid_for);
    let expires = if long > valid_for.0.as_secs_f64() {
        format!("; what is not sent within {valid_for} expires")
    } else {
        String::new()
    };
    let (name, takes) = (&configuration.channel, in_words(long));
    format!("{what} takes {takes} through channel \"{name}\" ({sender}, {rate} in {unit}){expires}")
}

fn in_words(seconds: f64) -> String {
    let (minutes, hours, days) = ((seconds / 60.0).round(), (seconds / 3600.0).round(), (seconds / 86_400.0).round());
    match hours {
        ..2.0 => format!("{minutes} minutes"),
        ..72.0 => format!("{hours} hours"),
        _ => format!("{days} days"),
    }
}

/// A number as people read it: 100,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let from_the_end = |at: usize| digits.len() - at;
    digits.char_indices().fold(String::new(), |mut text, (at, digit)| {
        if at > 0 && from_the_end(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

/// WhatsApp templates that nobody has approved, and approved ones whose stand-in cannot send them.
fn templates(set: &DefinitionSet) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (name, configuration) in &set.configurations {
        let approved = set.templates.get(&configuration.template).is_some_and(|source| !source.approved.is_empty());
        let fallback = set.channels.get(&configuration.channel).and_then(|channel| channel.fallback.as_ref());
        if let Some(fallback) = fallback.filter(|_| approved) {
            let message = format!(
                "approved content belongs to the account that it was approved for: fallback \"{fallback}\" is refused it"
            );
            notices.push(notice("outbound", name, message));
        }
    }
    let free = set
        .templates
        .iter()
        .filter(|(_, source)| source.channel_type == ChannelType::WhatsApp && source.approved.is_empty());
    let message =
        "has no approved content: free text only, which reaches only people who wrote within the last 24 hours";
    notices.extend(free.map(|(name, _)| notice("template", name, message)));
    notices
}

/// Messages that are to stand on a timeline, made by a mapping that does not say what they are about.
fn timelines(set: &DefinitionSet) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (name, configuration) in set.configurations.iter().filter(|(_, one)| one.show_in_timeline) {
        let Trigger::Automatic { contact: Some(mapping), .. } = &configuration.trigger else { continue };
        let filled: BTreeSet<String> = mapping.context.keys().map(|key| fold(key)).collect();
        let missing: Vec<&str> = [RELATIONSHIP, REGARDING].into_iter().filter(|slug| !filled.contains(*slug)).collect();
        if !missing.is_empty() {
            let message = format!(
                "show_in_timeline is on, and [trigger.contact.context] has no {}: its messages leave no activity",
                missing.join(" and no ")
            );
            notices.push(notice("outbound", name, message));
        }
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_that_does_not_say_what_it_is_about_is_told() {
        let mut set = DefinitionSet::from_source(&crate::definitions::acme()).unwrap();
        assert_eq!(timelines(&set), []);
        let created = set.configurations.get_mut("case-created").unwrap();
        if let Trigger::Automatic { contact: Some(mapping), .. } = &mut created.trigger {
            mapping.context.remove(REGARDING).unwrap();
        }
        let told: Vec<String> = timelines(&set).iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("case-created") && told[0].contains("has no regardingobjectid:"), "{told:?}");
        set.configurations.get_mut("case-created").unwrap().show_in_timeline = false;
        assert_eq!(timelines(&set), []);
    }

    #[test]
    fn lengths_and_numbers_are_told_as_people_read_them() {
        for (rows, rate, expected) in [
            (100_000, "1/s", "28 hours"),
            (100_000, "10/s", "3 hours"),
            (5_000, "1/s", "83 minutes"),
            (1_000_000, "1/s", "12 days"),
        ] {
            assert_eq!(in_words(seconds(rows, rate.parse().unwrap())), expected, "{rows} {rate}");
        }
        assert_eq!([0, 999, 1_000, 100_000, 1_234_567].map(grouped).join(" "), "0 999 1,000 100,000 1,234,567");
    }
}
