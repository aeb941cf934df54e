//! When to try again, and when to stop (SPEC 9): exponential with jitter, `Retry-After` honoured, bounded by age and attempts.
//!
//! Whether trying can help at all is the [`Reason`]'s own word. Chance comes in as a number, so that this file has none.

use std::time::Duration;

use super::{
    reason::{Reason, Retry},
    time::Timestamp,
};

/// The longest wait that a provider's `Retry-After` can ask for; more is taken as this.
pub const ASKED_LIMIT: Duration = Duration::from_hours(1);

/// How tries are spaced.
///
/// The defaults wait 2 s, 8 s, 32 s, 2 min, 9 min, 30 min, 30 min: eight tries outlast a provider's outage of an hour,
/// and cost few requests of the hour's quota, for every try counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first try, where a retry may help soon.
    pub first: Duration,
    /// The wait after the first try, where it may help but not within seconds ([`Retry::Later`]).
    pub later: Duration,
    /// By what each further wait is multiplied; 0 counts as 1.
    pub factor: u32,
    /// The longest wait of herald's own choosing.
    pub cap: Duration,
    /// How many tries there are, the first included; 0 counts as 1.
    pub attempts: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(2),
            later: Duration::from_mins(5),
            factor: 4,
            cap: Duration::from_mins(30),
            attempts: 8,
        }
    }
}

/// A try that failed, and all that counts for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The number of this try, counted from 1.
    pub attempt: u32,
    /// Why it failed.
    pub reason: Reason,
    /// The wait that the provider asked for, if it did.
    pub asked: Option<Duration>,
    /// When the message came in.
    pub accepted_at: Timestamp,
    /// How old it may get.
    pub valid_for: Duration,
}

/// What follows a try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another try, not before this.
    RetryAt(Timestamp),
    /// None: it cannot help, for this reason.
    Hopeless(Reason),
    /// None: this many were made, and that is all there are.
    Spent(u32),
    /// None: the message would be older than its `valid_for` by then.
    TooOld,
}

impl Next {
    /// The reason that the message ends with, if it ends.
    pub const fn end(self) -> Option<Reason> {
        match self {
            Self::RetryAt(_) => None,
            Self::Hopeless(reason) => Some(reason),
            Self::Spent(_) => Some(Reason::AttemptsSpent),
            Self::TooOld => Some(Reason::Expired),
        }
    }
}

/// What follows a try that failed at `now`. `jitter` is a random number from 0 to 1.
///
/// The jitter is *equal*: half of the wait is certain, half is chance, so that requests that failed together come back
/// spread out but never at once. A wait that the provider asked for replaces the certain half where it is longer.
pub fn next(policy: &RetryPolicy, tried: &Tried, now: Timestamp, jitter: f64) -> Next {
    let first = match tried.reason.retry() {
        Retry::Never => return Next::Hopeless(tried.reason),
        Retry::Soon => policy.first,
        Retry::Later => policy.later,
    };
    if tried.attempt >= policy.attempts.max(1) {
        return Next::Spent(tried.attempt);
    }
    let half = backoff(policy, first, tried.attempt) / 2;
    let certain = tried.asked.unwrap_or_default().min(ASKED_LIMIT).max(half);
    let at = now.plus(certain).plus(part(half, jitter));
    if at > tried.accepted_at.plus(tried.valid_for) { Next::TooOld } else { Next::RetryAt(at) }
}

/// `first × factor ^ (attempt − 1)`, at most the cap.
fn backoff(policy: &RetryPolicy, first: Duration, attempt: u32) -> Duration {
    let times = policy.factor.max(1).saturating_pow(attempt.saturating_sub(1));
    first.saturating_mul(times).min(policy.cap)
}

/// That part of a length of time; no number from 0 to 1 counts as the nearest that is, and none at all as 0.
fn part(of: Duration, jitter: f64) -> Duration {
    Duration::try_from_secs_f64(of.as_secs_f64() * jitter.clamp(0.0, 1.0)).unwrap_or_default().min(of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn tried(attempt: u32, reason: Reason) -> Tried {
        Tried { attempt, reason, asked: None, accepted_at: START, valid_for: DAY }
    }

    fn wait(tried: &Tried, jitter: f64) -> Duration {
        match next(&RetryPolicy::default(), tried, START, jitter) {
            Next::RetryAt(at) => at.since(START),
            end @ (Next::Hopeless(_) | Next::Spent(_) | Next::TooOld) => panic!("{end:?}"),
        }
    }

    #[test]
    fn waits_grow_up_to_the_cap() {
        let waits = |reason| (1..8).map(|attempt| wait(&tried(attempt, reason), 1.0).as_secs()).collect::<Vec<_>>();
        assert_eq!(waits(Reason::ProviderFault), [2, 8, 32, 128, 512, 1800, 1800]);
        assert_eq!(waits(Reason::Unreachable), [300, 1200, 1800, 1800, 1800, 1800, 1800]);
        assert_eq!(wait(&tried(4, Reason::Throttled), 0.0).as_secs(), 64, "half of it is certain");
        assert_eq!(wait(&tried(4, Reason::Throttled), f64::NAN).as_secs(), 64);
    }

    #[test]
    fn every_end_says_why() {
        let policy = RetryPolicy::default();
        let old = Tried { valid_for: Duration::from_secs(1), ..tried(2, Reason::ProviderFault) };
        for (tried, next_is, end) in [
            (tried(1, Reason::InvalidNumber), Next::Hopeless(Reason::InvalidNumber), Reason::InvalidNumber),
            (tried(1, Reason::NoAnswer), Next::Hopeless(Reason::NoAnswer), Reason::NoAnswer),
            (tried(8, Reason::NoConnection), Next::Spent(8), Reason::AttemptsSpent),
            (old, Next::TooOld, Reason::Expired),
        ] {
            let next = next(&policy, &tried, START, 0.5);
            assert_eq!((next, next.end()), (next_is, Some(end)));
        }
    }

    #[test]
    fn what_the_provider_asks_is_honoured_within_reason() {
        let asked = |asked| wait(&Tried { asked: Some(asked), ..tried(1, Reason::Throttled) }, 0.0);
        assert_eq!(asked(Duration::from_secs(45)), Duration::from_secs(45));
        assert_eq!(asked(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(asked(Duration::from_hours(100)), ASKED_LIMIT);
    }

    fn duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (0u64..10_000_000).prop_map(Duration::from_millis),
            any::<u64>().prop_map(Duration::from_millis),
            Just(Duration::MAX)
        ]
    }

    proptest! {
        #[test]
        fn a_retry_is_in_its_bounds(
            (first, later, cap) in (duration(), duration(), duration()), factor: u32, attempts: u32, attempt: u32,
            reason in prop::sample::select(Reason::ALL), asked in prop::option::of(duration()), valid_for in duration(),
            age in 0u64..100_000_000, jitter: f64,
        ) {
            let policy = RetryPolicy { first, later, factor, cap, attempts };
            let tried = Tried { attempt, reason, asked, accepted_at: START, valid_for };
            let now = START.plus(Duration::from_millis(age));
            match next(&policy, &tried, now, jitter) {
                Next::RetryAt(at) => {
                    prop_assert!(reason.retry() != Retry::Never && attempt < attempts);
                    prop_assert!(at >= now.plus(asked.unwrap_or_default().min(ASKED_LIMIT)));
                    prop_assert!(at <= START.plus(valid_for));
                    prop_assert!(at <= now.plus(ASKED_LIMIT.max(cap)).plus(cap / 2));
                }
                Next::Hopeless(why) => prop_assert!(why == reason && reason.retry() == Retry::Never),
                Next::Spent(made) => prop_assert!(made == attempt && attempt >= attempts.max(1)),
                Next::TooOld => prop_assert!(now.plus(cap).plus(ASKED_LIMIT) > START.plus(valid_for)),
            }
        }

        #[test]
        fn later_tries_wait_no_less(attempt in 1u32..6, jitter in 0.0f64..=1.0) {
            let policy = RetryPolicy::default();
            prop_assert!(backoff(&policy, policy.first, attempt) <= backoff(&policy, policy.first, attempt + 1));
            let waited = wait(&tried(attempt, Reason::ProviderFault), jitter);
            let whole = backoff(&policy, policy.first, attempt);
            prop_assert!(waited >= whole / 2 && waited <= whole);
        }
    }
}
