//! When a provider is asked about messages of which no receipt has come: receipts get lost, and some accounts have none.

use std::time::Duration;

use super::time::Timestamp;

/// Whether the provider knows where to send receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipts {
    /// It does: asking is for those that got lost.
    Expected,
    /// It does not: asking is the only way.
    Never,
}

/// How long after the sending the provider is first asked.
const FIRST: Duration = Duration::from_mins(15);
/// The same where no receipt can come.
const FIRST_WITHOUT: Duration = Duration::from_mins(1);
/// How long after each time it is asked again; after the last, what is known stays as it is.
const AGAIN: [Duration; 4] =
    [Duration::from_mins(15), Duration::from_hours(1), Duration::from_hours(6), Duration::from_hours(24)];

/// When the provider is first asked about what was sent now.
pub fn first(receipts: Receipts, now: Timestamp) -> Timestamp {
    now.plus(match receipts {
        Receipts::Expected => FIRST,
        Receipts::Never => FIRST_WITHOUT,
    })
}

/// When it is asked again after having been asked so many times; `None`: no more.
pub fn again(times: i64, now: Timestamp) -> Option<Timestamp> {
    let place = usize::try_from(times).ok()?.checked_sub(1)?;
    AGAIN.get(place).map(|wait| now.plus(*wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_after_a_day_and_some() {
        let sent = Timestamp::from_millis(0);
        let mut asked = vec![first(Receipts::Expected, sent)];
        while let Some(next) = again(i64::try_from(asked.len()).unwrap(), *asked.last().unwrap()) {
            asked.push(next);
        }
        let minutes: Vec<i64> = asked.iter().map(|at| at.millis() / 60_000).collect();
        assert_eq!(minutes, [15, 30, 90, 450, 1_890]);
        assert_eq!((again(0, sent), again(-1, sent)), (None, None));
        assert!(first(Receipts::Never, sent) < first(Receipts::Expected, sent));
    }
}
