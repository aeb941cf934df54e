//! What an organization's endpoints can hear of, who wants to, and when a post that failed is made again (PROVIDERS D).
//!
//! Standard Webhooks: a body is `{"type", "timestamp", "data"}`. Posts arrive at least once and in no order; their id tells
//! a repetition, the timestamp what was first.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::{message::Status, time::Timestamp};

/// Something that an endpoint can hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A provider has taken a message.
    MessageSent,
    /// It reached the handset.
    MessageDelivered,
    /// It was read.
    MessageRead,
    /// It was refused.
    MessageFailed,
    /// It was taken and then not delivered.
    MessageUndelivered,
    /// It was not attempted, on purpose.
    MessageSuppressed,
    /// It became too old.
    MessageExpired,
    /// Its run was cancelled first.
    MessageCancelled,
    /// It may or may not have been sent.
    MessageUncertain,
    /// Somebody wrote back.
    ReplyReceived,
    /// Somebody agreed to be written to, or refused.
    ConsentChanged,
    /// Every message of a run has its end.
    RunCompleted,
    /// An operator wants to see whether posts arrive. It goes to one endpoint, whatever that wants to hear of.
    EndpointTest,
}

impl EventType {
    /// Every event that an endpoint can ask for.
    pub const ALL: [Self; 12] = [
        Self::MessageSent,
        Self::MessageDelivered,
        Self::MessageRead,
        Self::MessageFailed,
        Self::MessageUndelivered,
        Self::MessageSuppressed,
        Self::MessageExpired,
        Self::MessageCancelled,
        Self::MessageUncertain,
        Self::ReplyReceived,
        Self::ConsentChanged,
        Self::RunCompleted,
    ];

    /// The type on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageSent => "message.sent",
            Self::MessageDelivered => "message.delivered",
            Self::MessageRead => "message.read",
            Self::MessageFailed => "message.failed",
            Self::MessageUndelivered => "message.undelivered",
            Self::MessageSuppressed => "message.suppressed",
            Self::MessageExpired => "message.expired",
            Self::MessageCancelled => "message.cancelled",
            Self::MessageUncertain => "message.uncertain",
            Self::ReplyReceived => "reply.received",
            Self::ConsentChanged => "consent.changed",
            Self::RunCompleted => "run.completed",
            Self::EndpointTest => "endpoint.test",
        }
    }

    /// What it means that a message has come to a status; `None` while herald still works on it.
    pub const fn of(status: Status) -> Option<Self> {
        match status {
            Status::Queued | Status::Sending => None,
            Status::Sent => Some(Self::MessageSent),
            Status::Delivered => Some(Self::MessageDelivered),
            Status::Read => Some(Self::MessageRead),
            Status::Failed => Some(Self::MessageFailed),
            Status::Undelivered => Some(Self::MessageUndelivered),
            Status::Suppressed => Some(Self::MessageSuppressed),
            Status::Expired => Some(Self::MessageExpired),
            Status::Cancelled => Some(Self::MessageCancelled),
            Status::Uncertain => Some(Self::MessageUncertain),
        }
    }

    /// Whether a pattern asks for it: `*`, a family like `message.*`, or the type itself.
    pub fn is_asked_for_by(self, pattern: &str) -> bool {
        let type_ = self.as_str();
        match pattern.strip_suffix(".*") {
            Some(family) => type_.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')),
            None => pattern == "*" || pattern == type_,
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Serialize)]
struct Envelope<'a, D: Serialize> {
    #[serde(rename = "type")]
    type_: &'a str,
    timestamp: Timestamp,
    data: &'a D,
}

/// The body of a post: what happened, when, and what belongs to it.
pub fn body(event: EventType, at: Timestamp, data: &impl Serialize) -> String {
    // Neither the memory nor our own types refuse.
    serde_json::to_string(&Envelope { type_: event.as_str(), timestamp: at, data }).unwrap_or_default()
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

const fn hours(count: u64) -> Duration {
    minutes(60 * count)
}

/// The waits after the first, second, … try that failed: what Standard Webhooks recommends. With the first, ten tries in
/// three days and four hours.
pub const WAITS: [Duration; 9] =
    [Duration::from_secs(5), minutes(5), minutes(30), hours(2), hours(5), hours(10), hours(14), hours(20), hours(24)];

/// The longest wait that an endpoint's `Retry-After` can ask for; more is taken as this.
pub const ASKED_LIMIT: Duration = hours(24);

/// How long a delivery is kept in all: while it waits, and to be looked at when it has failed.
pub const KEPT_FOR: Duration = hours(7 * 24);

/// When to post again after so many tries that have failed (from 1), the last one now; `None`: never. Up to a tenth is added to
/// a wait, `jitter` (0 to 1) of it, so that what failed together does not come back together.
pub fn next_try(failed: i64, asked: Option<Duration>, jitter: f64, now: Timestamp) -> Option<Timestamp> {
    let wait = WAITS.get(usize::try_from(failed - 1).ok()?)?;
    let most = wait.as_secs_f64() / 10.0;
    let added = Duration::try_from_secs_f64(most * jitter.clamp(0.0, 1.0)).unwrap_or_default();
    Some(now.plus((*wait + added).max(asked.unwrap_or_default().min(ASKED_LIMIT))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn a_pattern_asks_for_what_it_says() {
        for (pattern, event, asked) in [
            ("*", EventType::RunCompleted, true),
            ("message.*", EventType::MessageSent, true),
            ("message.*", EventType::ReplyReceived, false),
            ("message.sent", EventType::MessageSent, true),
            ("message.sent", EventType::MessageDelivered, false),
            ("mess.*", EventType::MessageSent, false),
            ("message", EventType::MessageSent, false),
            ("message.", EventType::MessageSent, false),
            (".*", EventType::MessageSent, false),
            ("", EventType::MessageSent, false),
            ("Message.*", EventType::MessageSent, false),
        ] {
            assert_eq!(event.is_asked_for_by(pattern), asked, "{pattern} {event}");
        }
    }

    #[test]
    fn every_status_that_is_an_end_or_a_doubt_is_an_event_of_its_name() {
        for status in Status::ALL {
            let event = EventType::of(status);
            assert_eq!(event.is_some(), status.is_settled(), "{status}");
            let expected = event.map(|_| format!("message.{status}"));
            assert_eq!(event.map(|event| event.to_string()), expected);
        }
        let types: std::collections::BTreeSet<_> = EventType::ALL.iter().map(|event| event.as_str()).collect();
        assert!(types.len() == EventType::ALL.len() && !types.contains("endpoint.test"));
    }

    #[test]
    fn a_body_is_as_the_standard_has_it() {
        let body = body(EventType::ConsentChanged, NOW, &serde_json::json!({ "state": "out" }));
        assert_eq!(body, r#"{"type":"consent.changed","timestamp":"2026-11-18T11:06:40.000Z","data":{"state":"out"}}"#);
    }

    #[test]
    fn tries_are_spaced_as_the_standard_recommends() {
        let wait = |failed, jitter| next_try(failed, None, jitter, NOW).map(|at| at.since(NOW).as_secs());
        let waits: Vec<_> = (1..=10).map(|failed| wait(failed, 0.0)).collect();
        let expected = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map(Some);
        assert_eq!(waits, [expected.as_slice(), &[None]].concat());
        assert_eq!((wait(2, 1.0), wait(2, 0.5), wait(2, 7.0)), (Some(330), Some(315), Some(330)));
        assert_eq!((wait(2, f64::NAN), wait(2, -1.0)), (Some(300), Some(300)));
        assert_eq!((wait(0, 0.0), wait(-3, 0.0), wait(i64::MAX, 0.0)), (None, None, None));
        let longest: Duration = WAITS.iter().map(|wait| *wait + *wait / 10).sum();
        assert!(longest < KEPT_FOR, "the last try is made before it is dropped");
    }

    #[test]
    fn what_the_endpoint_asks_for_is_honoured_where_it_is_longer() {
        let asked =
            |seconds| next_try(2, Some(Duration::from_secs(seconds)), 0.0, NOW).map(|at| at.since(NOW).as_secs());
        assert_eq!((asked(0), asked(299), asked(301)), (Some(300), Some(300), Some(301)));
        assert_eq!(asked(u64::MAX), Some(ASKED_LIMIT.as_secs()));
        assert_eq!(next_try(10, Some(Duration::from_secs(1)), 0.0, NOW), None, "asking brings no further try");
    }
}
