//! The sandbox's own time: the wall clock that is written into resources and the log, and the steady one for due dates.
//!
//! Deliberately not herald's clock: a provider's time is its own, and a test that stops herald's must not stop it.

use chrono::{DateTime, NaiveDate, Utc};
use tokio::time::Instant;

/// Milliseconds since 1970, by the wall clock.
#[expect(clippy::disallowed_methods, reason = "the sandbox stands for somebody else's machine and has its own clock")]
pub(super) fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

/// The steady clock that due dates are kept in.
pub(super) fn now() -> Instant {
    Instant::now()
}

fn utc(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// `Thu, 24 Aug 2023 05:01:45 +0000`: always two digits for the day, as Twilio writes it.
pub(super) fn rfc2822(ms: i64) -> String {
    utc(ms).format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// `YYMMDDhhmm`, the form of a receipt's `RawDlrDoneDate`.
pub(super) fn done_date(ms: i64) -> String {
    utc(ms).format("%y%m%d%H%M").to_string()
}

/// The calendar day, in UTC.
pub(super) fn day(ms: i64) -> NaiveDate {
    utc(ms).date_naive()
}

/// `2023-08-24T05:01:45.120Z`.
pub(super) fn iso8601(ms: i64) -> String {
    utc(ms).format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Reads a date as mails and HTTP headers have it.
pub(super) fn read_rfc2822(date: &str) -> Option<i64> {
    DateTime::parse_from_rfc2822(date).ok().map(|at| at.timestamp_millis())
}
