//! The rolling hour: at most so many requests of an organization in **any** 60 consecutive minutes (SPEC 8), with a
//! part of it kept for automatic messages.
//!
//! The store keeps one row for each organization and [`bucket`] of 10 seconds: how many requests were granted in it, and
//! how many of them were not automatic. In the transaction that claims a request it adds up the buckets from
//! [`first_bucket_counted`] on, **with no upper end** (another machine's clock may be ahead), and books what [`grant`]
//! says. When that is nothing, [`retry_at`] says when to ask again. This file decides and stores nothing.
//!
//! # Why no 60 minutes ever hold more than the limit
//!
//! Take the requests *used* (handed to a provider) within some 60 minutes, and of those the one that was granted last.
//! Every other one was granted no more than [`IN_FLIGHT_MS`] before the 60 minutes began, for a grant not used by then
//! lapses ([`use_by`]). So by true time it is at most 60 minutes + `IN_FLIGHT_MS` older than the last grant, and by the
//! clocks that numbered the two buckets at most [`CLOCKS_APART_MS`] more. A sum that reaches back [`REACH_MS`], the three
//! together, to the beginning of the bucket that it ends in, has therefore counted all of them, and was within the limit.
//!
//! # Why the buckets are 10 seconds long
//!
//! The price of that certainty is that a grant is counted for up to `REACH_MS` and one bucket: 3,630 s instead of 3,600.
//! That leaves 99.2 % of the allowance usable. Buckets of a minute with a minute in flight would leave 96.7 %; shorter
//! buckets gain little (at most 0.3 %) and cost rows: a sum reads at most [`BUCKETS_COUNTED`] of them.

use super::{
    fairness::Priority,
    time::{MINUTE_MS, Timestamp},
};

/// The hour of SPEC 8, in milliseconds.
pub const WINDOW_MS: i64 = 60 * MINUTE_MS;

/// The length of a bucket, in milliseconds. A change makes the stored bucket numbers mean another time.
pub const BUCKET_MS: i64 = 10_000;

/// The longest time between a grant and its use, in milliseconds.
pub const IN_FLIGHT_MS: i64 = 15_000;

/// How far the clocks of two workers may lie apart, or one clock may be set back, in milliseconds.
pub const CLOCKS_APART_MS: i64 = 5_000;

/// How far back a sum reaches, in milliseconds.
pub const REACH_MS: i64 = WINDOW_MS + IN_FLIGHT_MS + CLOCKS_APART_MS;

/// The most buckets between the first that is counted and now's, both included. Older ones may be deleted.
pub const BUCKETS_COUNTED: i64 = (REACH_MS + BUCKET_MS - 1) / BUCKET_MS + 1;

/// The number of the bucket that an instant lies in, counted from the epoch.
pub const fn bucket(now: Timestamp) -> i64 {
    now.millis().div_euclid(BUCKET_MS)
}

/// The first bucket that a sum made now must contain; it has no last one.
pub const fn first_bucket_counted(now: Timestamp) -> i64 {
    now.millis().saturating_sub(REACH_MS).div_euclid(BUCKET_MS)
}

/// When a grant made now lapses. What was not handed to the provider by then must be granted again: it counts twice,
/// which is the safe side.
pub const fn use_by(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_add(IN_FLIGHT_MS))
}

/// The first instant at which a bucket is counted no more.
const fn leaves_at(bucket: i64) -> Timestamp {
    Timestamp::from_millis(bucket.saturating_add(1).saturating_mul(BUCKET_MS).saturating_add(REACH_MS))
}

/// What an organization may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in any 60 consecutive minutes. Zero stops the organization.
    pub limit: u64,
    /// The part of the limit that only automatic messages may use, in percent; more than 100 counts as 100.
    pub reserved_percent: u8,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { limit: 30_000, reserved_percent: 5 }
    }
}

impl Allowance {
    /// Requests kept for automatic messages, rounded up, so that a small limit keeps at least one.
    pub fn reserved(self) -> u64 {
        let percent = u128::from(self.reserved_percent.min(100));
        u64::try_from((u128::from(self.limit) * percent).div_ceil(100)).unwrap_or(self.limit)
    }

    /// The most that requests which are not automatic may use, in requests.
    pub fn bulk_limit(self) -> u64 {
        self.limit - self.reserved()
    }
}

/// What was granted: in one bucket, or in all that are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All requests.
    pub total: u64,
    /// Those of them that were not automatic.
    pub bulk: u64,
}

impl Usage {
    /// What is left when the other is taken off.
    pub(super) fn minus(self, other: Self) -> Self {
        Self { total: self.total.saturating_sub(other.total), bulk: self.bulk.saturating_sub(other.bulk) }
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            total: sum.total.saturating_add(one.total),
            bulk: sum.bulk.saturating_add(one.bulk),
        })
    }
}

/// For whom a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// An automatic message: it may use the whole limit.
    Automatic,
    /// Everything else, instant and scheduled: it leaves the reserve alone.
    Bulk,
}

impl From<Priority> for Ask {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Automatic => Self::Automatic,
            Priority::Instant | Priority::Bulk => Self::Bulk,
        }
    }
}

/// How many of `want` requests may go now, `usage` being the sum from [`first_bucket_counted`] on. Book the answer in
/// now's [`bucket`], in the same transaction.
pub fn grant(allowance: Allowance, usage: Usage, ask: Ask, want: u64) -> u64 {
    let left = allowance.limit.saturating_sub(usage.total);
    let left = match ask {
        Ask::Automatic => left,
        Ask::Bulk => left.min(allowance.bulk_limit().saturating_sub(usage.bulk)),
    };
    want.min(left)
}

/// When at least one request may be granted, if nobody else asks in between: now, or the moment at which the bucket
/// that blocks leaves the sum. `buckets` are those from [`first_bucket_counted`] on, by number, in any order. An
/// allowance under which nothing may ever go is looked at again after an hour, for it may have been raised.
pub fn retry_at(allowance: Allowance, buckets: &[(i64, Usage)], ask: Ask, now: Timestamp) -> Timestamp {
    let first = first_bucket_counted(now);
    let mut counted: Vec<(i64, Usage)> = buckets.iter().filter(|(number, _)| *number >= first).copied().collect();
    counted.sort_unstable_by_key(|(number, _)| *number);
    let mut usage: Usage = counted.iter().map(|(_, used)| *used).sum();
    if grant(allowance, usage, ask, 1) == 1 {
        return now;
    }
    for (number, used) in counted {
        usage = usage.minus(used);
        if grant(allowance, usage, ask, 1) == 1 {
            return leaves_at(number);
        }
    }
    Timestamp::from_millis(now.millis().saturating_add(WINDOW_MS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The store's part, as far as this file needs it.
    #[derive(Default)]
    struct Books(BTreeMap<i64, Usage>);

    impl Books {
        fn book(&mut self, allowance: Allowance, ask: Ask, want: u64, clock: Timestamp) -> u64 {
            self.0.retain(|number, _| *number >= first_bucket_counted(clock) - 10);
            let usage = self.0.range(first_bucket_counted(clock)..).map(|(_, used)| *used).sum();
            let granted = grant(allowance, usage, ask, want);
            let row = self.0.entry(bucket(clock)).or_default();
            row.total += granted;
            row.bulk += if ask == Ask::Bulk { granted } else { 0 };
            granted
        }

        fn retry_at(&self, allowance: Allowance, ask: Ask, clock: Timestamp) -> Timestamp {
            let rows: Vec<_> = self.0.range(first_bucket_counted(clock)..).map(|(n, used)| (*n, *used)).collect();
            retry_at(allowance, &rows, ask, clock)
        }
    }

    /// The most that lies within any 60 minutes, both ends included.
    fn most_in_a_window(mut uses: Vec<(i64, u64)>) -> u64 {
        uses.sort_unstable();
        let (mut start, mut sum, mut most) = (0, 0, 0);
        for (at, count) in &uses {
            sum += count;
            while uses[start].0 < at - WINDOW_MS {
                sum -= uses[start].1;
                start += 1;
            }
            most = most.max(sum);
        }
        most
    }

    #[derive(Clone, Debug)]
    struct Step {
        gap: i64,
        skew: i64,
        delay: i64,
        want: u64,
        ask: Ask,
    }

    fn step() -> impl Strategy<Value = Step> {
        let gap = prop_oneof![0i64..2_000, 0i64..BUCKET_MS * 2, 0i64..WINDOW_MS / 3, Just(WINDOW_MS), Just(REACH_MS)];
        let edge = |most: i64| prop_oneof![Just(0), Just(most), 0..=most];
        let ask = prop_oneof![Just(Ask::Automatic), Just(Ask::Bulk)];
        (gap, edge(CLOCKS_APART_MS), edge(IN_FLIGHT_MS), 0u64..60, ask).prop_map(|(gap, skew, delay, want, ask)| Step {
            gap,
            skew,
            delay,
            want,
            ask,
        })
    }

    proptest! {
        #[test]
        fn no_sixty_minutes_hold_more_than_the_limit(
            start in 0i64..BUCKET_MS, limit in 1u64..200, reserved_percent in 0u8..=100, steps in prop::collection::vec(step(), 1..150),
        ) {
            let allowance = Allowance { limit, reserved_percent };
            let (mut books, mut now) = (Books::default(), 1_795_000_000_000 + start);
            let (mut uses, mut bulk_uses) = (Vec::new(), Vec::new());
            for step in steps {
                now += step.gap;
                // The worker's clock lies behind true time by up to what clocks may lie apart, and jumps about in there.
                let granted = books.book(allowance, step.ask, step.want, Timestamp::from_millis(now - step.skew));
                uses.push((now + step.delay, granted));
                if step.ask == Ask::Bulk {
                    bulk_uses.push((now + step.delay, granted));
                }
            }
            prop_assert!(most_in_a_window(uses) <= limit);
            prop_assert!(most_in_a_window(bulk_uses) <= allowance.bulk_limit());
        }

        #[test]
        fn a_grant_is_there_at_retry_at_and_not_before(
            limit in 1u64..50, ask in prop_oneof![Just(Ask::Automatic), Just(Ask::Bulk)],
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let allowance = Allowance { limit, reserved_percent: 5 };
            let (mut books, mut now) = (Books::default(), 0);
            for step in steps {
                now += step.gap;
                books.book(allowance, step.ask, step.want, Timestamp::from_millis(now));
            }
            let usage_at = |at: i64| books.0.range(first_bucket_counted(Timestamp::from_millis(at))..).map(|(_, u)| *u).sum();
            let at = books.retry_at(allowance, ask, Timestamp::from_millis(now)).millis();
            if at > now {
                prop_assert_eq!(grant(allowance, usage_at(at - 1), ask, 1), 0);
            }
            if allowance.bulk_limit() > 0 || ask == Ask::Automatic {
                prop_assert_eq!(grant(allowance, usage_at(at), ask, 1), 1);
            }
        }
    }

    /// The part of the allowance that is used in many hours in which work always waits and is taken as fast as
    /// `per_second` allows. The first hour is left out, for it spends what the hour before it did not use. 121 hours
    /// are 120 times 3,630 seconds, so that no rest of a turn blurs the figure.
    fn share_used(hours: i64, per_second: u64, start: i64, late: i64) -> f64 {
        let (allowance, mut books) = (Allowance::default(), Books::default());
        let (mut clock, mut used) = (start, 0);
        while clock < start + hours * WINDOW_MS {
            let now = Timestamp::from_millis(clock);
            let granted = books.book(allowance, Ask::Automatic, per_second * 10, now);
            used += if clock >= start + WINDOW_MS { granted } else { 0 };
            let retry_at = || books.retry_at(allowance, Ask::Automatic, now).millis() + late;
            clock = if granted > 0 { clock + 10_000 } else { retry_at() };
        }
        used as f64 / ((hours - 1) * 30_000) as f64
    }

    #[test]
    fn at_least_99_percent_of_the_allowance_is_usable() {
        for (hours, per_second, start, late) in
            [(363, 100_000, 0, 0), (363, 100_000, 9_999, 500), (121, 100, 1, 0), (121, 9, 5_000, 0)]
        {
            let share = share_used(hours, per_second, start, late);
            assert!(share >= 0.99, "{per_second}/s from {start} ms, woken {late} ms late: {share}");
        }
    }

    #[test]
    fn the_reserve_is_for_automatic_messages() {
        let allowance = Allowance::default();
        assert_eq!((allowance.reserved(), allowance.bulk_limit(), BUCKETS_COUNTED), (1_500, 28_500, 363));
        for (total, bulk, ask, want, granted) in [
            (0, 0, Ask::Bulk, 30_000, 28_500),
            (28_500, 28_500, Ask::Bulk, 1, 0),
            (28_500, 28_500, Ask::Automatic, 2_000, 1_500),
            (29_990, 20_000, Ask::Bulk, 100, 10),
            (2_000, 0, Ask::Bulk, 30_000, 28_000),
            (30_000, 0, Ask::Automatic, 1, 0),
            (40_000, 40_000, Ask::Automatic, 1, 0),
            (0, 0, Ask::Automatic, 0, 0),
        ] {
            assert_eq!(grant(allowance, Usage { total, bulk }, ask, want), granted, "{total} {bulk} {ask:?} {want}");
        }
        assert_eq!(Allowance { limit: 10, reserved_percent: 5 }.bulk_limit(), 9);
        assert_eq!(Allowance { limit: u64::MAX, reserved_percent: 255 }.bulk_limit(), 0);
    }

    #[test]
    fn an_allowance_of_nothing_is_looked_at_again_after_an_hour() {
        let nothing = Allowance { limit: 0, reserved_percent: 5 };
        let now = Timestamp::from_millis(0);
        assert_eq!(retry_at(nothing, &[(0, Usage { total: 5, bulk: 5 })], Ask::Automatic, now).millis(), WINDOW_MS);
    }
}
