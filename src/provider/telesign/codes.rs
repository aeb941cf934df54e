//! TeleSign's codes and what they mean here (PROVIDERS.md B.1, B.2). One table for every phase: the answer to a call, the
//! answer to a question, a delivery report. TeleSign's texts change and its HTTP statuses are not to be gone by; codes do not.

use crate::domain::reason::Reason;

/// What a code says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It reached the handset.
    Delivered,
    /// TeleSign or a carrier has it; the end is open, or nobody will ever know it.
    Taken,
    /// It was not, or will not be, delivered.
    Failed(Reason),
    /// It is not about a message of ours: a person wrote one.
    Inbound,
}

use Meaning::{Delivered, Failed, Inbound, Taken};

/// One code.
pub(super) struct CodeRow {
    pub(super) code: i64,
    pub(super) meaning: Meaning,
}

const fn row(code: i64, meaning: Meaning) -> CodeRow {
    CodeRow { code, meaning }
}

const fn failed(code: i64, reason: Reason) -> CodeRow {
    row(code, Failed(reason))
}

/// Every code that herald knows, in order (a lookup is a binary search).
pub(super) const CODES: &[CodeRow] = &[
    // Behind "not attempted", in `errors`.
    failed(-90001, Reason::ProviderFault),
    failed(-40008, Reason::Throttled),
    failed(-40007, Reason::Throttled),
    // Where a message stands.
    row(200, Delivered),
    row(201, Taken), // completed, and suspected of fraud: another report may follow
    row(203, Taken), // at the gateway
    failed(207, Reason::CarrierFault),
    failed(210, Reason::Unreachable),
    failed(211, Reason::NotMobile),
    failed(220, Reason::Unroutable),
    failed(221, Reason::Unreachable), // waited at the carrier for too long
    failed(222, Reason::NotMobile),
    failed(229, Reason::Blocked), // by the customer's own request
    failed(230, Reason::Blocked), // by TeleSign's list
    failed(231, Reason::InvalidContent),
    failed(233, Reason::Blocked), // too risky
    failed(237, Reason::RegionNotEnabled),
    failed(238, Reason::Blocked), // by prefix
    row(250, Taken),              // the end is not known and will not be
    row(251, Taken),              // the same
    failed(286, Reason::NotMobile),
    row(290, Taken),
    row(292, Taken),
    row(293, Taken),
    row(295, Taken),
    // Why it does not arrive.
    failed(500, Reason::ProviderFault), // not attempted, without the error that should stand behind it
    failed(501, Reason::AccountRefused),
    failed(502, Reason::SenderRefused), // the short code's campaign
    failed(503, Reason::CarrierFault),
    failed(504, Reason::Blocked), // the carrier, for good
    failed(505, Reason::CarrierFault),
    failed(506, Reason::NotDelivered),
    failed(507, Reason::InvalidNumber),
    failed(508, Reason::SenderRefused),
    failed(509, Reason::Refused),
    failed(510, Reason::OptedOut),
    failed(511, Reason::Unreachable), // the recipient's credit is spent
    failed(512, Reason::Unreachable), // roaming
    failed(513, Reason::CarrierFault),
    failed(514, Reason::Unreachable),
    failed(515, Reason::Filtered),
    failed(516, Reason::NotOnChannel),
    failed(517, Reason::InvalidTemplate), // India's registry does not have it
    failed(518, Reason::Blocked),         // the SIM was swapped lately
    failed(519, Reason::Blocked),         // nobody can say whether it was
    failed(520, Reason::InvalidContent),
    failed(521, Reason::Unroutable), // this sender is not allowed at this destination
    row(599, Taken),
    row(1500, Inbound),
    // Refused: the account and the call.
    failed(10000, Reason::ProviderFault),
    failed(10002, Reason::AccountRefused), // nonce used before
    failed(10003, Reason::AccountRefused), // nonce's length
    failed(10004, Reason::AccountRefused), // the clock is wrong
    failed(10005, Reason::AccountRefused), // the date's form
    failed(10006, Reason::AccountRefused), // the method of signing
    failed(10007, Reason::AccountRefused), // no date
    failed(10008, Reason::AccountRefused), // signature
    failed(10009, Reason::AccountRefused), // not signed
    failed(10010, Reason::AccountSuspended),
    failed(10011, Reason::AccountRefused), // the product is not enabled
    failed(10013, Reason::AccountRefused), // no such account
    failed(10014, Reason::AccountRefused), // this worker's address is not allowed
    failed(10015, Reason::AccountRefused), // customer id
    failed(10017, Reason::Refused),        // no such message
    failed(10019, Reason::Throttled),
    failed(10020, Reason::LimitReached),
    failed(10022, Reason::AccountRefused),   // API key
    failed(10028, Reason::AccountRefused),   // the header's form
    failed(10030, Reason::AccountSuspended), // the wallet is empty
    failed(10031, Reason::AccountRefused),   // this host is not allowed; in a report it means another thing
    failed(10032, Reason::Blocked),
    failed(10033, Reason::TrialAccount),
    failed(10034, Reason::RegionNotEnabled),
    failed(10035, Reason::AccountRefused), // the API's host is not allowed
    failed(10036, Reason::Refused),        // the message is too old to be asked after
    // Refused: the fields.
    failed(11000, Reason::InvalidNumber),
    failed(11001, Reason::InvalidNumber), // its country
    failed(11003, Reason::Refused),       // account_lifecycle_event
    failed(11004, Reason::Refused),       // callback_url
    failed(11009, Reason::InvalidContent),
    failed(11010, Reason::Refused), // originating_ip
    failed(11011, Reason::Refused), // reference_id
    failed(11013, Reason::SenderRefused),
    failed(11016, Reason::Refused), // external_id
    failed(11017, Reason::Refused), // message_type
    failed(11027, Reason::Refused), // integration_name
    failed(11034, Reason::Refused), // dlt_template_id
    failed(11035, Reason::Refused), // dlt_entity_id
    failed(12000, Reason::InvalidNumber),
    failed(12009, Reason::EmptyMessage),
    failed(12017, Reason::Refused), // no message_type
];

/// What a code means; `None` if it is not in the table.
pub(super) fn known(code: i64) -> Option<Meaning> {
    let place = CODES.binary_search_by_key(&code, |row| row.code).ok()?;
    CODES.get(place).map(|row| row.meaning)
}

/// What a code that is not in the table means, by its family; `None` if the family says nothing either: among those of two
/// hundred and more are good news and bad.
pub(super) fn family(code: i64) -> Option<Reason> {
    match code {
        500..=599 => Some(Reason::NotDelivered),
        10_000..=19_999 | ..0 => Some(Reason::Refused),
        _ => None,
    }
}

/// What a code means in a report on a message: nothing there is about the call.
pub(super) fn in_report(code: i64) -> Option<Meaning> {
    match code {
        10031 => Some(Failed(Reason::Blocked)), // by the customer's own request
        _ => known(code).or_else(|| family(code).map(Failed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
        assert!(CODES.iter().all(|row| known(row.code) == Some(row.meaning)));
    }

    #[test]
    fn a_code_without_a_row_goes_by_its_family() {
        for (code, expected) in [
            (522, Some(Failed(Reason::NotDelivered))),
            (10099, Some(Failed(Reason::Refused))),
            (-10001, Some(Failed(Reason::Refused))),
            (10031, Some(Failed(Reason::Blocked))),
            (204, None),
            (3001, None),
            (0, None),
        ] {
            assert_eq!(in_report(code), expected, "{code}");
        }
        assert_eq!(known(10031), Some(Failed(Reason::AccountRefused)));
    }
}
