//! The life of a message: a status that only moves forward, so that the order of receipts cannot matter.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// Where a message stands.
///
/// `queued → sending → sent → delivered → read`; the others are ends of another kind (SPEC 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Accepted by herald, not yet handed over (or handed back by the provider for a later try).
    Queued,
    /// Handed to a worker; the call may have begun.
    Sending,
    /// The call may have reached the provider, and nobody knows. A later receipt resolves it.
    Uncertain,
    /// The provider has taken it.
    Sent,
    /// Never attempted, on purpose.
    Suppressed,
    /// Too old to be worth sending.
    Expired,
    /// Its run was cancelled before it was sent.
    Cancelled,
    /// Refused, by the provider or by herald.
    Failed,
    /// Taken by the provider, then not delivered.
    Undelivered,
    /// It reached the handset.
    Delivered,
    /// It was read.
    Read,
}

impl Status {
    /// Every status, in the order of a report.
    pub const ALL: [Self; 11] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Failed,
        Self::Undelivered,
        Self::Suppressed,
        Self::Expired,
        Self::Cancelled,
        Self::Uncertain,
    ];

    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Uncertain => "uncertain",
            Self::Sent => "sent",
            Self::Suppressed => "suppressed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Undelivered => "undelivered",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }

    /// How far along: a higher rank overrules a lower one, and never the other way round.
    ///
    /// `uncertain` lies below `sent`, so that any news resolves it. `delivered` overrules `undelivered` and `failed`: a
    /// handset that has the message is better evidence than a report that it has not.
    pub const fn rank(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Sending => 1,
            Self::Uncertain => 2,
            Self::Suppressed | Self::Expired | Self::Cancelled => 3,
            Self::Sent => 4,
            Self::Failed => 5,
            Self::Undelivered => 6,
            Self::Delivered => 7,
            Self::Read => 8,
        }
    }

    /// Whether herald itself has nothing more to do for the message (receipts may still come).
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Queued | Self::Sending)
    }

    /// Whether it was handed to a provider and has an end, good or bad: what says something of how a run goes.
    pub const fn was_tried(self) -> bool {
        matches!(self, Self::Sent | Self::Delivered | Self::Read | Self::Failed | Self::Undelivered | Self::Uncertain)
    }

    /// What two reports amount to together. Commutative, associative, idempotent: their order cannot matter.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if (other.rank(), other) > (self.rank(), self) { other } else { self }
    }
}

/// A text that names no status.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a message status")]
pub struct NotAStatus(String);

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| NotAStatus(text.to_owned()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    proptest! {
        #[test]
        fn the_order_of_reports_never_matters(mut reports in proptest::collection::vec(select(&Status::ALL[..]), 0..12), seed: u64) {
            let forwards = reports.iter().fold(Status::Queued, |a, b| a.merge(*b));
            let turn = usize::try_from(seed % 12).unwrap_or(0).min(reports.len());
            reports.rotate_left(turn);
            reports.reverse();
            let shuffled = reports.iter().fold(Status::Queued, |a, b| a.merge(*b));
            let doubled = reports.iter().chain(&reports).fold(Status::Queued, |a, b| a.merge(*b));
            prop_assert_eq!(forwards, shuffled);
            prop_assert_eq!(forwards, doubled);
        }

        #[test]
        fn a_status_never_moves_back(a in select(&Status::ALL[..]), b in select(&Status::ALL[..])) {
            prop_assert!(a.merge(b).rank() >= a.rank());
        }
    }

    #[test]
    fn every_status_is_read_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("gone".parse::<Status>().is_err());
    }
}
