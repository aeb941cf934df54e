//! How often is too often (SPEC 7, rule 4): the guard against loops, and what caps on marketing look back on.
//!
//! Both count by acceptance. Loops are made by what is accepted, and of two messages that two workers judge at one moment the
//! one that was accepted first always counts for the other, never the other way round: so neither needs a lock.

use std::time::Duration;

use super::{id::MessageId, time::Timestamp};

/// The same text to the same number goes out so often within [`LOOP_SPAN`]; every further one is suppressed. As suppressed ones
/// are counted as well, a loop stays shut until it has calmed down.
pub const LOOP: usize = 20;

/// The time that the guard against loops looks back on.
pub const LOOP_SPAN: Duration = Duration::from_hours(1);

/// The most messages to one person that the guard compares: what was said twenty times in a crowd of others is no loop.
pub const LOOP_CROWD: usize = 200;

/// A cap counts what was handed over within its time, however long before that it was accepted, up to this: retries and quiet
/// hours lie in between.
pub const LATE: Duration = Duration::from_hours(7 * 24);

/// A message to somebody, as far as the guard against loops needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// When it was accepted.
    pub at: Timestamp,
    /// Which.
    pub id: MessageId,
    /// Its text; `None` if it has none any more.
    pub text: Option<String>,
}

/// Whether a message goes round in a loop: among what was accepted for the same person before it, within the span, the same
/// text stands often enough already. One that is not among them has nothing before it.
pub fn loops(said: &[Said], id: MessageId, text: &str) -> bool {
    let Some(this) = said.iter().find(|said| said.id == id) else { return false };
    let before = said.iter().filter(|other| {
        (other.at, other.id) < (this.at, this.id)
            && this.at.since(other.at) < LOOP_SPAN
            && other.text.as_deref() == Some(text)
    });
    before.count() >= LOOP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::RunId;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn said(seq: i64, ago: Duration, text: &str) -> Said {
        Said { at: NOW.minus(ago), id: MessageId { run: RunId::new(NOW, 1), seq }, text: Some(text.to_owned()) }
    }

    /// How many of these get through, each judged by itself.
    fn through(all: &[Said]) -> usize {
        all.iter().filter(|one| !loops(all, one.id, one.text.as_deref().unwrap_or_default())).count()
    }

    #[test]
    fn twenty_get_through() {
        let now = Duration::ZERO;
        let minutes = |seq: i64| Duration::from_mins(100 - seq.unsigned_abs());
        assert_eq!(through(&(0..25).map(|seq| said(seq, now, "Hi")).collect::<Vec<_>>()), 20, "all at once");
        assert_eq!(through(&(0..25).map(|seq| said(seq, minutes(seq), "Hi")).collect::<Vec<_>>()), 20);
        assert_eq!(
            through(&(0..25).map(|seq| said(seq, 4 * minutes(seq), "Hi")).collect::<Vec<_>>()),
            25,
            "15 an hour"
        );
        assert_eq!(through(&(0..25).map(|seq| said(seq, now, ["Hi", "Ho"][seq as usize % 2])).collect::<Vec<_>>()), 25);
        let gone: Vec<Said> = (0..25).map(|seq| Said { text: None, ..said(seq, now, "") }).collect();
        assert_eq!(through(&gone), 25, "texts that are not there any more are not the same");
        assert!(!loops(&[], gone[0].id, "Hi"));
    }

    #[test]
    fn an_hour_is_an_hour() {
        let mut all: Vec<Said> = (0..20).map(|seq| said(seq, LOOP_SPAN, "Hi")).collect();
        all.push(said(20, Duration::ZERO, "Hi"));
        assert_eq!(through(&all), 21);
        all[0].at = NOW.minus(LOOP_SPAN - Duration::from_millis(1));
        assert_eq!(through(&all), 21, "only one of them is within the hour");
        all.iter_mut().take(20).for_each(|one| one.at = NOW.minus(LOOP_SPAN - Duration::from_millis(1)));
        assert_eq!(through(&all), 20);
    }
}
