//! What a run has still to send: what its texts amount to, less what has been reported on.

use std::collections::BTreeMap;

use crate::domain::{
    figures::{Alphabet, Amount, Figures, TextKind},
    message::Status,
    reason::Reason,
    run::{Sums, Tally},
};

/// What is left of a run.
pub(super) struct Left {
    /// What its texts amount to.
    pub texts: Figures,
    /// How sure that is, if it is not.
    pub note: Option<String>,
}

impl Left {
    pub(super) fn of(texts: &Figures, sums: &Sums) -> Self {
        let waiting = unsigned(sums.waiting());
        if texts.is_empty() {
            return Self::guessed(waiting, sums);
        }
        let mut done: BTreeMap<String, u64> = BTreeMap::new();
        for tally in settled(sums).filter(|tally| !tally.locale.is_empty()) {
            *done.entry(tally.locale.clone()).or_default() += unsigned(tally.messages);
        }
        // Who is known to get nothing waits like all others, and costs nothing.
        let spared = unsigned(sums.messages).saturating_sub(texts.total().messages);
        let spared_so_far: u64 =
            settled(sums).filter(|tally| is_spared(tally)).map(|tally| unsigned(tally.messages)).sum();
        let waiting = waiting.saturating_sub(spared.saturating_sub(spared_so_far));
        Self { texts: texts.less(&done).scaled(waiting), note: None }
    }

    /// Nobody has counted: each message is taken for what those before it took, or for one segment.
    fn guessed(waiting: u64, sums: &Sums) -> Self {
        let rendered = || sums.tallies.iter().filter(|tally| tally.segments > 0);
        let messages: i64 = rendered().map(|tally| tally.messages).sum();
        let segments: i64 = rendered().map(|tally| tally.segments).sum();
        let each = if messages > 0 { segments as f64 / messages as f64 } else { 1.0 };
        let mut texts = Figures::default();
        if waiting > 0 {
            let kind = TextKind { locale: String::new(), alphabet: Alphabet::Gsm7, country: None };
            texts.add(kind, Amount { messages: waiting, segments: (waiting as f64 * each).ceil() as u64 });
        }
        let known = if messages > 0 { "what the messages so far took" } else { "one segment a message" };
        let note = (waiting > 0).then(|| format!("the texts of this run were not counted: taken for {known}"));
        Self { texts, note }
    }
}

fn settled(sums: &Sums) -> impl Iterator<Item = &Tally> {
    sums.tallies.iter().filter(|tally| tally.status.is_settled())
}

fn is_spared(tally: &Tally) -> bool {
    let codes = [Reason::Duplicate, Reason::NotOptedIn, Reason::OptedOut].map(Reason::code);
    tally.status == Status::Suppressed && codes.contains(&tally.code.as_str())
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(status: Status, code: &str, locale: &str, messages: i64) -> Tally {
        Tally { status, code: code.into(), locale: locale.into(), messages, segments: 2 * messages }
    }

    fn left(counted: u64, tallies: Vec<Tally>) -> Amount {
        let mut texts = Figures::default();
        if counted > 0 {
            let kind = TextKind { locale: "en".into(), alphabet: Alphabet::Gsm7, country: None };
            texts.add(kind, Amount { messages: counted, segments: 2 * counted });
        }
        Left::of(&texts, &Sums { tallies, messages: 100, rejected: 7 }).texts.total()
    }

    #[test]
    fn what_has_been_reported_on_is_not_left() {
        let sent = || tally(Status::Sent, "", "en", 30);
        for (counted, tallies, messages, segments) in [
            (100, vec![], 100, 200),
            (90, vec![], 90, 180), // ten are known to get nothing
            (90, vec![sent()], 60, 120),
            (90, vec![sent(), tally(Status::Suppressed, "duplicate", "", 10)], 60, 120),
            (90, vec![sent(), tally(Status::Suppressed, "duplicate", "", 4)], 60, 120),
            (100, vec![sent(), tally(Status::Cancelled, "cancelled", "", 5)], 65, 130),
            (100, vec![tally(Status::Queued, "throttled", "en", 40)], 100, 200),
            (100, vec![tally(Status::Delivered, "", "en", 100)], 0, 0),
            (0, vec![], 100, 100),
            (0, vec![sent()], 70, 140),
        ] {
            let found = left(counted, tallies.clone());
            assert_eq!(found, Amount { messages, segments }, "{counted} {tallies:?}");
        }
    }
}
