//! What Azure says of messages, and what it means here (PROVIDERS.md C.1, C.4): the codes in a delivery report's details, and the
//! few texts that stand where there is no code.

use crate::domain::reason::{Reason, Why};

/// What a code in a delivery report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It arrived.
    Arrived,
    /// The carrier gives no reports: nobody knows, and it must not be sent again.
    NoNews,
    /// It did not arrive.
    Failed(Reason),
}

use Meaning::{Arrived, Failed, NoNews};

/// Every code that herald knows, in order (a lookup is a binary search).
pub(super) const CODES: &[(u16, Meaning)] = &[
    (2000, Arrived),
    (4000, Failed(Reason::Filtered)), // fraud
    (4001, Failed(Reason::SenderRefused)),
    (4002, Failed(Reason::InvalidNumber)),
    (4003, Failed(Reason::Unroutable)),
    (4004, Failed(Reason::UnknownNumber)),
    (4005, Failed(Reason::Blocked)), // by the carrier
    (4006, Failed(Reason::Unreachable)),
    (4007, Failed(Reason::OptedOut)),
    (4008, Failed(Reason::LimitReached)),  // messages a day, or a minute
    (4009, Failed(Reason::SenderRefused)), // the sender is not entitled to this
    (4010, Failed(Reason::SenderRefused)), // the toll-free number is not verified
    (4020, Failed(Reason::LimitReached)),
    (5000, Failed(Reason::NotDelivered)),
    (5001, Failed(Reason::ProviderFault)), // for a while
    (5002, NoNews),                        // until 2021 it said that no report came in time, which is the same
    (9999, Failed(Reason::CarrierFault)),
];

/// Texts, in lower case, and what they mean wherever they stand.
const TEXTS: &[(&str, Reason)] = &[
    ("sender blocked for given recipient", Reason::OptedOut),
    ("opted out", Reason::OptedOut),
    ("opted-out", Reason::OptedOut),
    ("to phone number", Reason::InvalidNumber),
    ("from phone number", Reason::SenderRefused),
];

/// What the details of a failed message say; `None`: nothing that would make it one.
pub(super) fn failure(details: &str) -> Option<Why> {
    let code = code(details);
    let why = |reason| Some(Why::detailed(reason, details).with_code(code.unwrap_or_default()));
    match code.and_then(|code| known(code.parse().ok()?)) {
        Some(NoNews) => None,
        Some(Failed(reason)) => why(reason),
        // It failed, and it arrived: the word that it failed is the plainer one.
        Some(Arrived) | None => why(by_text(details).unwrap_or(Reason::NotDelivered)),
    }
}

/// What a text means, if it is one of those that herald knows.
pub(super) fn by_text(text: &str) -> Option<Reason> {
    let text = text.to_lowercase();
    TEXTS.iter().find(|(known, _)| text.contains(known)).map(|(_, reason)| *reason)
}

fn known(code: u16) -> Option<Meaning> {
    let place = CODES.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    CODES.get(place).map(|(_, meaning)| *meaning)
}

/// The code in the details. How it is written there is not documented, so it is the first number of four digits that herald knows,
/// and else the first.
fn code(details: &str) -> Option<&str> {
    let codes = || details.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() == 4);
    codes().find(|code| code.parse().is_ok_and(|code| known(code).is_some())).or_else(|| codes().next())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(CODES.iter().all(|(code, meaning)| known(*code) == Some(*meaning)));
    }

    /// PROVIDERS C.4, a row a code.
    const FAILURES: &[(u16, Option<Reason>)] = &[
        (2000, Some(Reason::NotDelivered)),
        (4000, Some(Reason::Filtered)),
        (4001, Some(Reason::SenderRefused)),
        (4002, Some(Reason::InvalidNumber)),
        (4003, Some(Reason::Unroutable)),
        (4004, Some(Reason::UnknownNumber)),
        (4005, Some(Reason::Blocked)),
        (4006, Some(Reason::Unreachable)),
        (4007, Some(Reason::OptedOut)),
        (4008, Some(Reason::LimitReached)),
        (4009, Some(Reason::SenderRefused)),
        (4010, Some(Reason::SenderRefused)),
        (4020, Some(Reason::LimitReached)),
        (5000, Some(Reason::NotDelivered)),
        (5001, Some(Reason::ProviderFault)),
        (5002, None),
        (9999, Some(Reason::CarrierFault)),
        (4999, Some(Reason::NotDelivered)),
    ];

    #[test]
    fn every_code_is_found_wherever_it_stands() {
        for (code, reason) in FAILURES {
            for details in [
                code.to_string(),
                format!("ErrorCode: {code}. ErrorMessage: In words"),
                format!("Failed ({code})"),
                format!("code={code};at=12:34:56"),
            ] {
                let expected = reason.map(|reason| Why::detailed(reason, &details).with_code(code));
                assert_eq!(failure(&details), expected, "{details}");
            }
        }
        let untested = CODES.iter().find(|(code, _)| FAILURES.iter().all(|(tested, _)| tested != code));
        assert!(untested.is_none(), "{untested:?}");
    }

    #[test]
    fn a_text_without_a_code_says_what_it_can() {
        for (details, code, reason) in [
            ("Sender blocked for given recipient.", "", Reason::OptedOut),
            ("The recipient has OPTED OUT", "", Reason::OptedOut),
            ("2026-11-20: 4006 at the handset", "4006", Reason::Unreachable),
            ("No error.", "", Reason::NotDelivered),
            ("40061 12345", "", Reason::NotDelivered),
            ("in 2026, error 1234", "2026", Reason::NotDelivered),
            ("", "", Reason::NotDelivered),
        ] {
            assert_eq!(failure(details), Some(Why::detailed(reason, details).with_code(code)), "{details}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _any = (failure(&text), by_text(&text));
        }
    }
}
