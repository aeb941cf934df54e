//! Senders: the number that each provider takes, who stands in for whom, and what may be sent along.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::super::{page::Page, problem::Problem};
use crate::{
    domain::{
        account::{Account, ProviderKind},
        contact::ChannelType,
        definition::{Channel, Configuration, NumberType},
    },
    template::Template,
};

/// Every channel and account that could be read, by name.
#[derive(Clone, Copy)]
pub(in super::super) struct Senders<'a> {
    pub channels: &'a BTreeMap<String, &'a Channel>,
    pub accounts: &'a BTreeMap<String, &'a Account>,
}

impl Senders<'_> {
    /// At which provider a channel's account is; `None` if there is no such account, or it could not be read.
    fn provider(self, channel: &Channel) -> Option<ProviderKind> {
        self.accounts.get(&channel.account).map(|account| account.provider())
    }
}

/// What is wrong with a channel, by itself and among the others.
pub(in super::super) fn channel(page: &Page, name: &str, channel: &Channel, senders: Senders<'_>) -> Vec<Problem> {
    let provider = senders.provider(channel);
    let mut problems = Vec::new();
    if let Some(provider) = provider.filter(|provider| !provider.carries(channel.channel_type)) {
        let message = format!(
            "\"{}\" is at {}, and {} goes through Twilio only; expected an account of provider = \"twilio\", or type = \"sms\"",
            channel.account,
            provider.name(),
            channel.channel_type
        );
        problems.push(page.problem("account", message));
    }
    if channel.channel_type == ChannelType::WhatsApp && channel.number_type != NumberType::Geographic {
        let message = "a WhatsApp sender is a number like any other; expected \"geographic\", or none of this key";
        problems.push(page.problem("number_type", message));
    }
    if channel.channel_type == ChannelType::WhatsApp && channel.smart_encoding {
        let message =
            "is for SMS, where look-alikes cost segments; a text for whatsapp is sent as it is: expected false";
        problems.push(page.problem("smart_encoding", message));
    }
    if let Some(expected) = sender_number(provider, channel.channel_type, channel.number_type, &channel.number) {
        let message = format!("\"{}\" cannot be this channel's sender; expected {expected}", channel.number);
        problems.push(page.problem("number", message));
    }
    let fallback = channel.fallback.as_deref().and_then(|other| fallback(name, channel, other, senders));
    problems.extend(fallback.map(|message| page.problem("fallback", message)));
    problems
}

/// What was expected of a sender's number, if this is not it.
fn sender_number(
    provider: Option<ProviderKind>,
    channel_type: ChannelType,
    number_type: NumberType,
    number: &str,
) -> Option<&'static str> {
    let digits = |text: &str, lengths: RangeInclusive<usize>| {
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
        (ChannelType::Sms, NumberType::ShortCode) if provider == Some(ProviderKind::Acs) => (
            digits(number, 5..=6),
            "5 or 6 digits, like \"26225\" (number_type short_code at Azure Communication Services)",
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

/// What is wrong with a stand-in that exists.
fn fallback(name: &str, channel: &Channel, other: &str, senders: Senders<'_>) -> Option<String> {
    if other == name {
        return Some("is this channel itself; expected another one".to_owned());
    }
    let stand_in = senders.channels.get(other)?;
    if stand_in.channel_type != channel.channel_type {
        let (theirs, ours) = (stand_in.channel_type, channel.channel_type);
        return Some(format!("\"{other}\" is {theirs}, and this channel is {ours}; expected both to be of one type"));
    }
    if stand_in.account == channel.account {
        return Some(format!(
            "\"{other}\" is on account \"{}\" as well; expected one on another account, as it is used when this one's is stopped",
            channel.account
        ));
    }
    let chained = stand_in.fallback.is_some();
    chained.then(|| format!("\"{other}\" has a fallback of its own; expected one that has none"))
}

/// What keeps a template's media from being sent through a configuration's channel, or through the one that stands in for it.
pub(in super::super) fn media(
    page: &Page,
    configuration: &Configuration,
    template: &Template,
    senders: Senders<'_>,
) -> Vec<Problem> {
    if template.media().is_empty() {
        return Vec::new();
    }
    let Some(channel) = senders.channels.get(&configuration.channel) else { return Vec::new() };
    let own = (configuration.channel.as_str(), *channel, "channel");
    let stand_in =
        channel.fallback.as_deref().and_then(|name| Some((name, *senders.channels.get(name)?, "its fallback")));
    let mut problems = Vec::new();
    for (name, channel, what) in [Some(own), stand_in].into_iter().flatten() {
        let sends = format!("\"{}\" sends attachments, and {what} \"{name}\"", configuration.template);
        if let Some(provider) = senders.provider(channel).filter(|provider| !provider.carries_media()) {
            let message =
                format!("{sends} is at {}, which carries none; expected one on a Twilio account", provider.name());
            problems.push(page.problem("template", message));
        } else if !channel.attachments.from_organization {
            let message = format!(
                "{sends} does not allow the organization's; expected attachments.from_organization = true in channels/{name}.toml"
            );
            problems.push(page.problem("template", message));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_numbers_are_what_their_provider_and_type_say() {
        use ChannelType::{Sms, WhatsApp};
        use NumberType::{Alphanumeric, Geographic, ShortCode, TollFree};
        use ProviderKind::{Acs, TeleSign, Twilio};
        let all = &[None, Some(Twilio), Some(TeleSign), Some(Acs)][..];
        let not_acs = &all[..3];
        let acs = &all[3..];
        for (providers, channel_type, number_type, number, good) in [
            (all, Sms, Geographic, "14252306549", true),
            (all, Sms, Geographic, "+14252306549", false),
            (all, Sms, Geographic, "1 425 2306549", false),
            (all, Sms, Geographic, "123456", false),
            (all, Sms, Geographic, "1234567890123456", false),
            (all, Sms, Geographic, "04252306549", false),
            (all, Sms, TollFree, "18005550100", true),
            (all, Sms, TollFree, "1-800-5550100", false),
            (all, Sms, ShortCode, "26225", true),
            (all, Sms, ShortCode, "262256", true),
            (not_acs, Sms, ShortCode, "262", true),
            (not_acs, Sms, ShortCode, "26225678", true),
            (acs, Sms, ShortCode, "2622", false),
            (acs, Sms, ShortCode, "2622567", false),
            (all, Sms, ShortCode, "12", false),
            (all, Sms, ShortCode, "123456789", false),
            (all, Sms, Alphanumeric, "ACME", true),
            (all, Sms, Alphanumeric, "ACME Corp 1", true),
            (all, Sms, Alphanumeric, "A+B-C_D&E", true),
            (all, Sms, Alphanumeric, "ACME Corp 12", false),
            (all, Sms, Alphanumeric, "ACME.", false),
            (all, Sms, Alphanumeric, "12345", false),
            (all, Sms, Alphanumeric, "ÄCME", false),
            (all, Sms, Alphanumeric, "", false),
            (all, WhatsApp, Geographic, "+14252306549", true),
            (all, WhatsApp, Geographic, "14252306549", false),
            (all, WhatsApp, Geographic, "+1", false),
        ] {
            for provider in providers {
                let found = sender_number(*provider, channel_type, number_type, number);
                assert_eq!(found.is_none(), good, "{provider:?} {channel_type} {number_type:?} {number}");
            }
        }
    }
}
