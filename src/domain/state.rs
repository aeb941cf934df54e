//! What became of a message, and how two reports about it amount to one.

use super::{message::Status, reason::Why, time::Timestamp};

/// All that is known of a message beyond what came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageState {
    /// Where it stands.
    pub status: Status,
    /// Why, for every status that has a reason.
    pub why: Option<Why>,
    /// The provider's id; empty until it has one.
    pub provider_id: String,
    /// The locale of the text that was chosen; empty until it was rendered.
    pub locale: String,
    /// Segments of the rendered text; 0 until it was rendered.
    pub segments: i64,
    /// The channel that it left through, if that was not its run's own; else empty.
    pub via: String,
    /// The attempt that says so: the request's fencing token; 0 for a receipt.
    pub token: i64,
    /// When the provider took it.
    pub sent_at: Option<Timestamp>,
    /// Until when it waits, if it is held: queued, for a time that is set.
    pub held_until: Option<Timestamp>,
    /// When this was learnt.
    pub changed_at: Timestamp,
}

impl MessageState {
    /// With nothing but a status.
    pub fn new(status: Status, why: Option<Why>, now: Timestamp) -> Self {
        Self {
            status,
            why,
            provider_id: String::new(),
            locale: String::new(),
            segments: 0,
            via: String::new(),
            token: 0,
            sent_at: None,
            held_until: None,
            changed_at: now,
        }
    }

    /// Before the provider has said yes or no, the later attempt knows best; from then on, the higher rank.
    fn order(&self) -> (bool, i64, i64) {
        let open = matches!(self.status, Status::Queued | Status::Sending | Status::Uncertain);
        if open { (false, self.token, self.status.rank()) } else { (true, self.status.rank(), 0) }
    }

    /// What this and another report amount to. Which of the two came first does not matter for the status; what only one of
    /// them knows (the provider's id, the locale, the segments) is kept.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let (mut upper, lower) = if other.order() > self.order() { (other, self) } else { (self, other) };
        if upper.provider_id.is_empty() {
            upper.provider_id = lower.provider_id;
        }
        // What was said, and by which way, is known by the answer that it was taken with; before there is one, by the last try.
        let knows_better = upper.sent_at.is_none() && lower.sent_at.is_some() && !lower.locale.is_empty();
        if upper.locale.is_empty() || knows_better {
            upper.locale = lower.locale;
            upper.segments = lower.segments;
            upper.via = lower.via;
        }
        upper.sent_at = match (upper.sent_at, lower.sent_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        upper.token = upper.token.max(lower.token);
        upper
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::domain::reason::Reason;

    fn states() -> impl Strategy<Value = MessageState> {
        (select(&Status::ALL[..]), 0i64..4, select(vec!["", "SM1"]), select(vec![("", 0), ("fr", 2)])).prop_map(
            |(status, token, id, (locale, segments))| MessageState {
                provider_id: id.into(),
                locale: locale.into(),
                segments,
                token,
                ..MessageState::new(status, None, Timestamp::from_millis(0))
            },
        )
    }

    proptest! {
        #[test]
        fn receipts_may_come_in_any_order(mut all in proptest::collection::vec(states(), 1..6)) {
            let settled = |list: &[MessageState]| {
                let merged = list.iter().cloned().reduce(MessageState::merged);
                merged.map(|state| (state.order(), state.provider_id, state.locale, state.segments))
            };
            let forwards = settled(&all);
            all.reverse();
            prop_assert_eq!(forwards, settled(&all));
        }
    }

    #[test]
    fn a_receipt_that_overtakes_the_answer_loses_nothing() {
        let now = Timestamp::from_millis(5);
        let receipt = MessageState { provider_id: "SM1".into(), ..MessageState::new(Status::Delivered, None, now) };
        let answer = MessageState {
            provider_id: "SM1".into(),
            locale: "fr".into(),
            segments: 2,
            token: 3,
            sent_at: Some(now),
            ..MessageState::new(Status::Sent, None, now)
        };
        let both = receipt.merged(answer);
        assert_eq!(
            (both.status, both.locale.as_str(), both.segments, both.token, both.sent_at),
            (Status::Delivered, "fr", 2, 3, Some(now))
        );
    }

    /// Refused by the first way and taken by the second, with a receipt that is quicker than the answer.
    #[test]
    fn the_way_that_took_it_is_kept_whatever_comes_first() {
        let now = Timestamp::from_millis(5);
        let with = |status, via: &str, locale: &str, sent_at| MessageState {
            via: via.into(),
            locale: locale.into(),
            sent_at,
            ..MessageState::new(status, None, now)
        };
        let refused = with(Status::Queued, "", "fr", None);
        let answer = with(Status::Sent, "spare", "fr", Some(now));
        let receipt = with(Status::Delivered, "", "", None);
        for order in [[&refused, &receipt, &answer], [&refused, &answer, &receipt], [&receipt, &answer, &refused]] {
            let all = order.into_iter().cloned().reduce(MessageState::merged).unwrap();
            assert_eq!((all.status, all.via.as_str(), all.locale.as_str()), (Status::Delivered, "spare", "fr"));
        }
    }

    #[test]
    fn a_later_attempt_that_is_deferred_is_queued_again_after_a_doubt() {
        let doubt = MessageState {
            token: 1,
            ..MessageState::new(Status::Uncertain, Some(Reason::NoAnswer.into()), Timestamp::from_millis(1))
        };
        let deferred = MessageState {
            token: 2,
            ..MessageState::new(Status::Queued, Some(Reason::Throttled.into()), Timestamp::from_millis(2))
        };
        assert_eq!(doubt.merged(deferred).status, Status::Queued);
    }
}
