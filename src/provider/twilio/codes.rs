//! Twilio's error codes and what they mean here (PROVIDERS.md A.2). Twilio's texts change; the codes do not, so nothing
//! is ever judged by text.

use crate::domain::reason::{Reason, Why};

/// One code, in whatever phase it comes: at once as an HTTP refusal, or later in a status callback.
pub(super) struct CodeRow {
    pub(super) code: u32,
    pub(super) reason: Reason,
}

const fn row(code: u32, reason: Reason) -> CodeRow {
    CodeRow { code, reason }
}

/// Every code that herald knows, in order (a lookup is a binary search).
pub(super) const CODES: &[CodeRow] = &[
    // The account and the API.
    row(20003, Reason::AccountRefused),
    row(20404, Reason::Refused),
    row(20429, Reason::Throttled),
    row(20500, Reason::ProviderFault),
    row(20503, Reason::ProviderFault),
    // Refused at once.
    row(21211, Reason::InvalidNumber),
    row(21212, Reason::SenderRefused), // From is not valid
    row(21408, Reason::RegionNotEnabled),
    row(21602, Reason::EmptyMessage),
    row(21603, Reason::SenderRefused), // no From
    row(21604, Reason::InvalidNumber), // no To
    row(21606, Reason::SenderRefused), // From cannot send SMS
    row(21608, Reason::TrialAccount),
    row(21610, Reason::OptedOut),
    row(21611, Reason::QueueFull), // more than ten hours of traffic wait behind this From
    row(21612, Reason::Unroutable),
    row(21614, Reason::NotMobile),
    row(21617, Reason::MessageTooLong),
    row(21619, Reason::EmptyMessage),    // neither text nor media
    row(21635, Reason::NotMobile),       // a landline
    row(21654, Reason::InvalidTemplate), // variables without content
    row(21655, Reason::InvalidTemplate), // no such content on the account
    row(21656, Reason::InvalidTemplate), // variables that the content does not take
    row(21659, Reason::SenderRefused),   // From is not on the account
    row(21660, Reason::SenderRefused),
    // Not delivered, later.
    row(30001, Reason::QueueFull),
    row(30002, Reason::AccountSuspended),
    row(30003, Reason::Unreachable),
    row(30004, Reason::Blocked),
    row(30005, Reason::UnknownNumber),
    row(30006, Reason::NotMobile), // a landline, or a carrier that cannot be reached
    row(30007, Reason::Filtered),
    row(30008, Reason::CarrierFault),
    row(30010, Reason::LimitReached),  // price
    row(30022, Reason::LimitReached),  // A2P rate
    row(30023, Reason::LimitReached),  // A2P messages a day
    row(30032, Reason::SenderRefused), // toll-free number not verified
    row(30034, Reason::SenderRefused), // A2P 10DLC not registered
    row(30036, Reason::Expired),
    row(30450, Reason::Blocked), // protection against pumped traffic
    row(30610, Reason::QuietHoursAtProvider),
    row(30640, Reason::Blocked), // a known litigator
    // WhatsApp and other channels.
    row(63001, Reason::SenderRefused), // the channel does not know the sender's credentials
    row(63003, Reason::NotOnChannel),
    row(63005, Reason::ProviderFault),
    row(63007, Reason::SenderRefused),
    row(63010, Reason::ProviderFault),
    row(63012, Reason::ProviderFault),
    row(63013, Reason::InvalidContent), // the channel's policy
    row(63014, Reason::OptedOut),       // the recipient blocked the sender
    row(63015, Reason::SandboxNotJoined),
    row(63016, Reason::SessionClosed),
    row(63017, Reason::LimitReached),
    row(63018, Reason::LimitReached),
    row(63019, Reason::MediaFailed),
    row(63020, Reason::SenderRefused), // the business has not accepted the invitation
    row(63021, Reason::InvalidContent),
    row(63022, Reason::SenderRefused), // the business's certificate is not valid
    row(63024, Reason::NotOnChannel),
    row(63027, Reason::InvalidTemplate),
    row(63028, Reason::InvalidTemplate),
    row(63029, Reason::InvalidTemplate),
    row(63030, Reason::InvalidContent),  // a parameter that the channel does not take
    row(63032, Reason::Blocked),         // part of an experiment of Meta's
    row(63040, Reason::InvalidTemplate), // rejected
    row(63049, Reason::Blocked),         // Meta declined to deliver marketing
    row(63054, Reason::InvalidTemplate),
    row(63062, Reason::SenderRefused), // terms not accepted
];

/// What a code means; `None` if it is not in the table.
pub(super) fn known(code: u32) -> Option<Reason> {
    let place = CODES.binary_search_by_key(&code, |row| row.code).ok()?;
    CODES.get(place).map(|row| row.reason)
}

/// What a code that is not in the table means, by its family; `None` if the family says nothing either.
///
/// Unknown faults of delivery (3xxxx, 63xxx) are worth another try, unknown refusals (2xxxx) are not.
pub(super) fn family(code: u32) -> Option<Reason> {
    match code {
        20_000..=29_999 => Some(Reason::Refused),
        30_000..=39_999 | 63_000..=63_999 => Some(Reason::CarrierFault),
        _ => None,
    }
}

/// Why a message that Twilio had taken was not delivered.
pub(super) fn undelivered(code: Option<u32>, text: &str) -> Why {
    let Some(code) = code else { return Why::detailed(Reason::NotDelivered, text) };
    let reason = known(code).or_else(|| family(code)).unwrap_or(Reason::NotDelivered);
    Why::detailed(reason, text).with_code(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
        assert!(CODES.iter().all(|row| known(row.code) == Some(row.reason)));
    }

    #[test]
    fn a_code_without_a_row_goes_by_its_family() {
        for (code, expected) in [
            (Some(21999), Reason::Refused),
            (Some(30999), Reason::CarrierFault),
            (Some(63999), Reason::CarrierFault),
            (Some(11200), Reason::NotDelivered),
            (Some(64000), Reason::NotDelivered),
            (None, Reason::NotDelivered),
        ] {
            assert_eq!(undelivered(code, "text").reason, expected, "{code:?}");
        }
        let why = undelivered(Some(30999), "text");
        assert_eq!((why.provider_code.as_str(), why.detail.as_str()), ("30999", "text"));
    }
}
