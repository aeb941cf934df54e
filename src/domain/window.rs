//! So many in any hour: a count that is kept in memory, by the minute. What may be *dispatched* in an hour is another's matter
//! ([`super::quota`]): that is counted in the store, over all workers.

use std::{collections::VecDeque, time::Duration};

use super::time::Timestamp;

/// The length of the window.
pub const WINDOW: Duration = Duration::from_hours(1);
const WINDOW_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// How many there were in the last hour, by the minute. At most 61 minutes are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    minutes: VecDeque<(i64, u64)>,
}

/// What was found when one more came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether it may come in.
    pub verdict: Verdict,
    /// The most in any hour.
    pub limit: u64,
    /// How many more may come now.
    pub left: u64,
    /// How long until there is more room than now; zero if all of it is there.
    pub more_in: Duration,
}

/// Whether one more may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and was counted.
    Admitted,
    /// There were too many.
    Refused,
}

impl Window {
    /// One more comes. Minutes are counted whole: no 60 minutes hold more than the limit, and up to a minute's worth is given
    /// up for it.
    pub fn admit(&mut self, limit: u64, now: Timestamp) -> Admission {
        let minute = now.millis().div_euclid(MINUTE_MS);
        self.forget(now);
        let used: u64 = self.minutes.iter().map(|(_, count)| count).sum();
        let verdict = if used < limit { Verdict::Admitted } else { Verdict::Refused };
        if verdict == Verdict::Admitted {
            match self.minutes.back_mut() {
                // A clock that was set back counts in the latest minute.
                Some((latest, count)) if *latest >= minute => *count += 1,
                _ => self.minutes.push_back((minute, 1)),
            }
        }
        let used = used + u64::from(verdict == Verdict::Admitted);
        let leaves = self.minutes.front().map_or(now.millis(), |(minute, _)| leaves_at(*minute));
        let more_in = Duration::from_millis(u64::try_from(leaves - now.millis()).unwrap_or(0));
        Admission { verdict, limit, left: limit.saturating_sub(used), more_in }
    }

    /// Whether nothing is counted any more.
    pub fn is_empty_at(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        self.minutes.is_empty()
    }

    fn forget(&mut self, now: Timestamp) {
        while self.minutes.front().is_some_and(|(minute, _)| leaves_at(*minute) <= now.millis()) {
            self.minutes.pop_front();
        }
    }
}

/// When a minute is wholly more than an hour ago.
const fn leaves_at(minute: i64) -> i64 {
    (minute + 1) * MINUTE_MS + WINDOW_MS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_limit_is_the_limit_and_room_comes_back() {
        let mut window = Window::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        assert_eq!(window.admit(2, at(30)).left, 1);
        let second = window.admit(2, at(90));
        assert_eq!((second.verdict, second.left, second.more_in), (Verdict::Admitted, 0, Duration::from_secs(3570)));
        let third = window.admit(2, at(100));
        assert_eq!((third.verdict, third.left, third.more_in), (Verdict::Refused, 0, Duration::from_secs(3560)));
        assert_eq!(window.admit(2, at(3659)).verdict, Verdict::Refused);
        assert_eq!(window.admit(2, at(3660)).verdict, Verdict::Admitted);
        assert!(!window.is_empty_at(at(3661 + 3600)) && window.is_empty_at(at(3720 + 3600)));
    }

    proptest! {
        #[test]
        fn no_hour_holds_more_than_the_limit(limit in 1u64..20, gaps in prop::collection::vec(0i64..600_000, 1..200)) {
            let (mut window, mut now, mut admitted) = (Window::default(), 0, Vec::new());
            for gap in gaps {
                now += gap;
                let admission = window.admit(limit, Timestamp::from_millis(now));
                if admission.verdict == Verdict::Admitted {
                    admitted.push(now);
                }
                let within = admitted.iter().filter(|at| now - **at <= WINDOW_MS).count() as u64;
                prop_assert!(within <= limit && admission.left + within <= limit && window.minutes.len() <= 62);
                if admission.verdict == Verdict::Refused {
                    let mut later = window.clone();
                    let then = Timestamp::from_millis(now).plus(admission.more_in);
                    prop_assert_eq!(later.admit(limit, then).verdict, Verdict::Admitted);
                }
            }
        }
    }
}
