//! What became of a message in doubt: Twilio has no idempotency key, so its list of messages is asked.
//!
//! The list is asked by recipient and sender, *not* by `DateSent`: a message that Twilio has only queued has no such date
//! and would be missing from the answer, which would read as *not sent*. Age is judged here, by `date_created`. A page
//! that may not reach back to the doubt settles nothing, and neither does a message that may or may not be ours.
//!
//! Two messages with the same text to the same number within moments cannot be told apart: the nearer one is taken.
//!
//! Of an approved template Twilio lists the text that it made itself, from its own copy of the content. Where that is the text
//! that herald expects, the message is as certain as any other. Where it is not, it may be the one in doubt in other words or
//! another message altogether: nothing that Twilio lists could tell, so nothing is claimed, and nothing is sent again.

use std::time::Duration;

use chrono::DateTime;
use unicode_normalization::UnicodeNormalization as _;
use url::form_urlencoded::Serializer;

use super::{
    Twilio, answer, send,
    wire::{self, Answer, Listed, Page},
};
use crate::{
    domain::{
        message::Status,
        reason::{Reason, Why},
        time::Timestamp,
    },
    provider::{Found, HttpReply, HttpRequest, InDoubt},
};

/// How far Twilio's clock (whole seconds) may be behind ours.
const TOLERANCE: Duration = Duration::from_secs(60);

/// How many messages of one sender to one recipient a page holds. Twilio lists the newest first.
const PAGE_SIZE: &str = "50";

/// What Twilio puts before the text while an account is on trial.
const TRIAL_PREFIX: &str = "Sent from your Twilio trial account - ";

impl Twilio {
    /// With a Messaging Service the sender is left out: Twilio knows it only once the service has chosen.
    pub(super) fn look_up(&self, doubt: &InDoubt) -> HttpRequest {
        let mut query = Serializer::new(String::new());
        query.append_pair("To", &send::recipient(&doubt.sender, doubt.message.to));
        if self.messaging_service.is_none() {
            query.append_pair("From", &send::address(&doubt.sender));
        }
        query.append_pair("PageSize", PAGE_SIZE);
        self.get(format!("{}?{}", self.messages_url, query.finish()))
    }
}

/// What the list says about the message in doubt.
pub(super) fn found(doubt: &InDoubt, reply: &HttpReply) -> Found {
    if !(200..=299).contains(&reply.status) {
        return Found::Unknown(refused(reply));
    }
    let page: Option<Page<'_>> = wire::object(&reply.body);
    let Some((messages, next)) = page.and_then(|page| Some((page.messages?, page.next_page_uri))) else {
        return unknown("the answer has no list of messages");
    };
    let since = doubt.since.minus(TOLERANCE);
    let judged: Vec<_> = messages.iter().map(|message| (message, judge(doubt, since, message))).collect();
    let ours = judged.iter().filter_map(|(message, likeness)| match likeness {
        Likeness::Ours(created) => Some((message, distance(*created, doubt.since))),
        Likeness::Unclear | Likeness::Other => None,
    });
    if let Some((message, _)) = ours.min_by_key(|(_, distance)| *distance) {
        return sent(message);
    }
    if judged.iter().any(|(_, likeness)| *likeness == Likeness::Unclear) {
        return unknown("a listed message may or may not be this one");
    }
    if next.text().is_some() && !reaches_back(&messages, since) {
        return unknown("the list goes on and may not reach back far enough");
    }
    Found::NotSent
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// The message in doubt, created at this time.
    Ours(Timestamp),
    /// Nothing rules it out, and nothing proves it.
    Unclear,
    /// Certainly another one.
    Other,
}

fn judge(doubt: &InDoubt, since: Timestamp, listed: &Listed<'_>) -> Likeness {
    let differs = |given: Option<&str>, own: &str| given.is_some_and(|given| !same_address(given, own));
    let created = created(listed);
    let other = listed.direction.or_empty().starts_with("inbound")
        || differs(listed.to.text(), &send::recipient(&doubt.sender, doubt.message.to))
        || differs(listed.from.text(), &send::address(&doubt.sender))
        || created.is_some_and(|at| at < since)
        || listed.sid.text().is_some_and(|sid| doubt.others.iter().any(|other| other == sid));
    if other {
        return Likeness::Other;
    }
    let named = listed.to.text().is_some() && listed.sid.text().is_some();
    match (same_text(listed.body.or_empty(), &doubt.message.text), created) {
        (Text::Same, Some(at)) if named => Likeness::Ours(at),
        (Text::Same | Text::Alike, _) => Likeness::Unclear,
        (Text::Different, _) if doubt.message.approved.is_some() => Likeness::Unclear,
        (Text::Different, _) => Likeness::Other,
    }
}

enum Text {
    Same,
    /// Redacted, or written with other look-alikes (a Messaging Service's smart encoding).
    Alike,
    Different,
}

fn same_text(given: &str, own: &str) -> Text {
    let bare = |text: &str| -> String { text.nfkc().filter(|c| c.is_alphanumeric()).collect() };
    if given == own || given.strip_prefix(TRIAL_PREFIX) == Some(own) {
        Text::Same
    } else if given.is_empty() || bare(given) == bare(own) {
        Text::Alike
    } else {
        Text::Different
    }
}

/// Addresses without `+`; names regardless of case. One number may write to the same person by SMS and by WhatsApp, so that
/// channel's prefix counts; others are what a Messaging Service may make of an SMS.
fn same_address(a: &str, b: &str) -> bool {
    let bare = |address: &str| address.rsplit(':').next().unwrap_or(address).trim_start_matches('+').to_lowercase();
    let whatsapp = |address: &str| address.get(..9).is_some_and(|prefix| prefix.eq_ignore_ascii_case("whatsapp:"));
    whatsapp(a) == whatsapp(b) && bare(a) == bare(b)
}

fn created(listed: &Listed<'_>) -> Option<Timestamp> {
    let read = |text: &str| DateTime::parse_from_rfc2822(text).or_else(|_| DateTime::parse_from_rfc3339(text)).ok();
    let date = [&listed.date_created, &listed.date_sent].into_iter().find_map(|date| read(date.text()?));
    date.map(|date| Timestamp::from(date.to_utc()))
}

/// Whether this page is newest first, as documented, and its last message is older than the doubt: then the pages after
/// it are older still.
fn reaches_back(messages: &[Listed<'_>], since: Timestamp) -> bool {
    let dates: Option<Vec<_>> = messages.iter().map(created).collect();
    dates.is_some_and(|dates| {
        let last = dates.last().copied();
        last.is_some_and(|last| last < since) && dates.iter().min().copied() == last
    })
}

fn distance(a: Timestamp, b: Timestamp) -> Duration {
    a.since(b).max(b.since(a))
}

fn sent(listed: &Listed<'_>) -> Found {
    let word = listed.status.or_empty();
    let status = wire::status(word).unwrap_or(Status::Sent);
    Found::Sent {
        provider_id: listed.sid.or_empty().to_owned(),
        status,
        why: wire::why(status, word, listed.error_code.code(), listed.error_message.or_empty()),
    }
}

fn unknown(words: &str) -> Found {
    Found::Unknown(Why::detailed(Reason::Unreadable, words))
}

fn refused(reply: &HttpReply) -> Why {
    let answer: Option<Answer<'_>> = wire::object(&reply.body);
    match reply.status {
        400..=499 => answer::refusal(reply.status, answer.as_ref()),
        500..=599 => answer::with_answer(Reason::ProviderFault, reply.status, answer.as_ref()),
        _ => answer::with_answer(Reason::Unreadable, reply.status, answer.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::provider::{
        Approved, Method, Outgoing, Provider as _, Sender, SenderKind,
        twilio::{TwilioAccount, testing},
    };

    #[test]
    fn the_exact_request() {
        let service = Some("MG0123456789abcdef0123456789abcdef".to_owned());
        let pooled = Twilio::new(TwilioAccount { messaging_service: service, ..testing::account() }).unwrap();
        let named = Sender { address: "ACME Co".into(), kind: SenderKind::Alphanumeric };
        let list = format!("https://api.twilio.com/2010-04-01/Accounts/{}/Messages.json", testing::ACCOUNT_SID);
        for (twilio, sender, query) in [
            (testing::twilio(), testing::sender(), "To=%2B4915112345678&From=%2B15005550006&PageSize=50"),
            (testing::twilio(), named, "To=%2B4915112345678&From=ACME+Co&PageSize=50"),
            (pooled, testing::sender(), "To=%2B4915112345678&PageSize=50"),
            (
                testing::twilio(),
                testing::whatsapp(),
                "To=whatsapp%3A%2B4915112345678&From=whatsapp%3A%2B15005550006&PageSize=50",
            ),
        ] {
            let request = twilio.lookup(testing::stamp(), &InDoubt { sender, ..testing::doubt("Hi") }).unwrap();
            assert_eq!((request.method, request.url), (Method::Get, format!("{list}?{query}")));
            assert!(request.body.is_empty() && request.headers.len() == 1);
        }
    }

    const TIME: &str = r#""date_created":"Wed, 18 Nov 2026 11:06:41 +0000""#;
    const OLD: &str = r#""date_created":"Wed, 18 Nov 2026 11:05:39 +0000""#;
    const WHO: &str = r#""sid":"SM1","to":"+4915112345678","from":"+15005550006","direction":"outbound-api""#;

    /// `S` sent, `N` not sent, `?` unknown.
    fn kind(found: &Found) -> char {
        match found {
            Found::Sent { .. } => 'S',
            Found::NotSent => 'N',
            Found::Unknown(_) => '?',
        }
    }

    #[test]
    fn a_message_is_ours_or_not_or_unclear() {
        let table = [
            (format!(r#"{{{WHO},{TIME},"body":"Hi"}}"#), 'S'),
            (format!(r#"{{{WHO},{TIME},"body":"Hi","date_sent":null,"status":"queued"}}"#), 'S'),
            (format!(r#"{{{WHO},{TIME},"body":"{TRIAL_PREFIX}Hi"}}"#), 'S'),
            (format!(r#"{{{WHO},"date_created":"Wed, 18 Nov 2026 11:05:41 +0000","body":"Hi"}}"#), 'S'),
            (
                format!(r#"{{{WHO},"date_created":null,"date_sent":"Thu, 19 Nov 2026 00:00:01 +0000","body":"Hi"}}"#),
                'S',
            ),
            (format!(r#"{{"sid":"SM1","to":"+4915112345678","from":null,{TIME},"body":"Hi"}}"#), 'S'),
            (format!(r#"{{{WHO},{OLD},"body":"Hi"}}"#), 'N'),
            (format!(r#"{{{WHO},{TIME},"body":"Hi there"}}"#), 'N'),
            (format!(r#"{{"sid":"SM1","to":"+4915112345679","from":"+15005550006",{TIME},"body":"Hi"}}"#), 'N'),
            (format!(r#"{{"sid":"SM1","to":"+4915112345678","from":"12345",{TIME},"body":"Hi"}}"#), 'N'),
            (format!(r#"{{"sid":"SM1","direction":"inbound",{TIME},"body":"Hi"}}"#), 'N'),
            (format!(r#"{{{WHO},{TIME},"body":"“Hi”"}}"#), '?'),
            (format!(r#"{{{WHO},{TIME},"body":""}}"#), '?'),
            (format!(r#"{{{WHO},{TIME}}}"#), '?'),
            (format!(r#"{{{WHO},"body":"Hi"}}"#), '?'),
            (format!(r#"{{{WHO},"date_created":"yesterday","body":"Hi"}}"#), '?'),
            (format!(r#"{{"sid":"SM1",{TIME},"body":"Hi"}}"#), '?'),
        ];
        for (message, expected) in table {
            let body = format!(r#"{{"messages":[{message}],"next_page_uri":null}}"#);
            assert_eq!(kind(&found(&testing::doubt("Hi"), &testing::reply(200, &body))), expected, "{message}");
        }
    }

    #[test]
    fn on_whatsapp_the_channel_counts_and_approved_content_is_claimed_only_by_its_words() {
        let listed = |prefix: &str, body: &str| {
            format!(
                r#"{{"messages":[{{"sid":"SM1","to":"{prefix}+4915112345678","from":"{prefix}+15005550006","direction":"outbound-api",{TIME},"body":"{body}"}}]}}"#
            )
        };
        let approved = Approved { content_id: "HX0123456789abcdef0123456789abcdef".into(), variables: BTreeMap::new() };
        let free = InDoubt { sender: testing::whatsapp(), ..testing::doubt("Hi Ana") };
        let templated =
            InDoubt { message: Outgoing { approved: Some(approved), ..testing::outgoing("Hi Ana") }, ..free.clone() };
        let known = InDoubt { others: vec!["SM1".to_owned()], ..templated.clone() };
        let sms = testing::doubt("Hi Ana");
        for (doubt, prefix, body, expected) in [
            (&free, "whatsapp:", "Hi Ana", 'S'),
            (&free, "WhatsApp:", "Hi Ana", 'S'),
            (&free, "", "Hi Ana", 'N'),
            (&free, "whatsapp:", "Hello Ana", 'N'),
            (&templated, "whatsapp:", "Hi Ana", 'S'),
            (&templated, "whatsapp:", "Hello Ana", '?'),
            (&templated, "whatsapp:", "", '?'),
            (&templated, "", "Hi Ana", 'N'),
            (&known, "whatsapp:", "Hello Ana", 'N'),
            (&sms, "whatsapp:", "Hi Ana", 'N'),
            (&sms, "", "Hi Ana", 'S'),
            (&sms, "rcs:", "Hi Ana", 'S'),
        ] {
            let found = found(doubt, &testing::reply(200, &listed(prefix, body)));
            assert_eq!(kind(&found), expected, "{:?} {prefix} {body}", doubt.sender.kind);
        }
        let none = found(&templated, &testing::reply(200, r#"{"messages":[]}"#));
        assert_eq!(none, Found::NotSent);
    }

    #[test]
    fn answers_of_every_shape_are_judged() {
        let newer = format!(r#"{{{WHO},{TIME},"body":"Other"}}"#);
        let older = format!(r#"{{{WHO},{OLD},"body":"Hi"}}"#);
        let next = r#""next_page_uri":"/2010-04-01/x?Page=1""#;
        let table = [
            (200, r#"{"messages":[]}"#.to_owned(), 'N'),
            (200, format!(r#"{{"messages":[{newer}],{next}}}"#), '?'),
            (200, format!(r#"{{"messages":[],{next}}}"#), '?'),
            (200, format!(r#"{{"messages":[{newer},{older}],{next}}}"#), 'N'),
            (200, format!(r#"{{"messages":[{older},{newer}],{next}}}"#), '?'),
            (200, format!(r#"{{"messages":[{older},{newer}]}}"#), 'N'),
            (200, "{}".to_owned(), '?'),
            (200, r#"{"messages":null}"#.to_owned(), '?'),
            (200, r#"{"messages":{}}"#.to_owned(), '?'),
            (200, format!(r#"{{"messages":[{newer}"#), '?'),
            (200, "<html>".to_owned(), '?'),
            (401, r#"{"code":20003}"#.to_owned(), '?'),
            (404, String::new(), '?'),
            (429, String::new(), '?'),
            (500, String::new(), '?'),
            (302, r#"{"messages":[]}"#.to_owned(), '?'),
        ];
        for (status, body, expected) in table {
            assert_eq!(
                kind(&found(&testing::doubt("Hi"), &testing::reply(status, &body))),
                expected,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn what_is_found_tells_where_the_message_stands() {
        let ours = |sid: &str, second: u8, rest: &str| {
            format!(
                r#"{{"sid":"{sid}","to":"+4915112345678","from":"+15005550006","body":"Hi","date_created":"Wed, 18 Nov 2026 11:06:{second:02} +0000",{rest}}}"#
            )
        };
        let late = ours("SM2", 55, r#""status":"delivered""#);
        let near = ours("SM1", 41, r#""status":"undelivered","error_code":30005,"error_message":"Gone""#);
        let body = format!(r#"{{"messages":[{late},{near}]}}"#);
        let why = Why::detailed(Reason::UnknownNumber, "Gone").with_code(30005);
        let expected = Found::Sent { provider_id: "SM1".into(), status: Status::Undelivered, why: Some(why) };
        assert_eq!(found(&testing::doubt("Hi"), &testing::reply(200, &body)), expected);
        // The nearer one is known to be another message: the other is this one, and without it there is none.
        let both = format!(r#"{{"messages":[{late},{near}]}}"#);
        let known = |others: &[&str]| InDoubt {
            others: others.iter().map(|&sid| sid.into()).collect(),
            ..testing::doubt("Hi")
        };
        let expected = Found::Sent { provider_id: "SM2".into(), status: Status::Delivered, why: None };
        assert_eq!(found(&known(&["SM1"]), &testing::reply(200, &both)), expected);
        assert_eq!(found(&known(&["SM1", "SM2"]), &testing::reply(200, &both)), Found::NotSent);
        for (word, status) in [("queued", Status::Sent), ("new-word", Status::Sent), ("read", Status::Read)] {
            let body = format!(r#"{{"messages":[{}]}}"#, ours("SM1", 41, &format!(r#""status":"{word}""#)));
            let expected = Found::Sent { provider_id: "SM1".into(), status, why: None };
            assert_eq!(found(&testing::doubt("Hi"), &testing::reply(200, &body)), expected);
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_settles_nothing(status: u16, body: Vec<u8>) {
            let reply = HttpReply { status, retry_after: None, body: Bytes::from(body) };
            prop_assert_eq!(kind(&found(&testing::doubt("Hi"), &reply)), '?');
        }
    }
}
