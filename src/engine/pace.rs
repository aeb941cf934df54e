//! The pace of each channel: governor's buckets, one a channel, in segments a second. A provider that asks to slow down stops
//! that channel for a while, and no other.
//!
//! governor is told the time by herald's own clock, so that what is played on a manual clock keeps the pace as well. Whoever has to
//! wait stands in line: only the first of a line asks governor again, and what came first leaves first.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter, clock as governor_clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

use crate::{
    clock::{Clock, Ticker},
    domain::{id::OrgId, pace, rate::Rate, time::Timestamp},
};

/// A channel that nobody asked to slow down, but that was told "too many": how long it rests.
const REST: Duration = Duration::from_secs(1);
/// The longest rest that one answer can bring about.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The longest time between two units: a rate below it is nobody's pace, and more is more than governor can count.
const LONGEST_INTERVAL: Duration = Duration::from_hours(24 * 365);
/// Timers wake by the millisecond, and late. What wakes no later than this counts as on time: else every wait would cost the
/// channel a little of its pace.
const ON_TIME: Duration = Duration::from_millis(20);

/// Tells governor the time.
#[derive(Clone, Debug)]
struct Face {
    ticker: Ticker,
    /// How late whoever asks now was woken, in nanoseconds.
    late: Arc<AtomicU64>,
}

impl Face {
    fn since_start(&self) -> Nanos {
        // 584 years of nanoseconds fit.
        Nanos::new(u64::try_from(self.ticker.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl governor_clock::Clock for Face {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.since_start().as_u64().saturating_sub(self.late.load(Ordering::Relaxed)))
    }
}

/// One channel's pace.
#[derive(Debug)]
pub struct Pace {
    rate: Rate,
    bucket: RateLimiter<NotKeyed, InMemoryState, Face, NoOpMiddleware<Nanos>>,
    face: Face,
    rest_until: Mutex<Timestamp>,
    /// Whoever holds it is the first in line.
    line: tokio::sync::Mutex<()>,
    /// How many stand in line.
    waiting: AtomicUsize,
    clock: Clock,
}

/// A place in the line.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pace {
    fn new(rate: Rate, clock: Clock) -> Self {
        let interval = pace::interval(rate).min(LONGEST_INTERVAL);
        let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
        let quota = quota.allow_burst(NonZeroU32::new(pace::burst(rate)).unwrap_or(NonZeroU32::MIN));
        let face = Face { ticker: clock.ticker(), late: Arc::default() };
        Self {
            rate,
            bucket: RateLimiter::direct_with_clock(quota, face.clone()),
            face,
            rest_until: Mutex::new(Timestamp::from_millis(0)),
            line: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
            clock,
        }
    }

    /// Waits until a message of so many segments may leave.
    pub async fn ready(&self, segments: u32) {
        let mut left = segments.max(1);
        if self.waiting.load(Ordering::Acquire) == 0 && self.rests_until().is_none() {
            while left > 0 && self.bucket.check().is_ok() {
                left -= 1;
            }
        }
        if left > 0 {
            self.stand_in_line(left).await;
        }
    }

    async fn stand_in_line(&self, mut left: u32) {
        let _place = Place::take(&self.waiting);
        let _first = self.line.lock().await;
        while left > 0 {
            while let Some(until) = self.rests_until() {
                self.clock.sleep_until(until).await;
            }
            match self.bucket.check() {
                Ok(()) => left -= 1,
                Err(not_until) => {
                    left -= u32::from(self.due(&not_until).await);
                }
            }
        }
    }

    /// Waits until governor would let one pass, and asks it again; whether it did.
    async fn due(&self, not_until: &NotUntil<Nanos>) -> bool {
        let due = not_until.earliest_possible();
        let wait = not_until.wait_time_from(self.face.since_start());
        // Clocks sleep for whole milliseconds; one that was cut short would be asked again and again until it is over.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        self.clock.sleep(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))).await;
        let late = self.face.since_start().as_u64().saturating_sub(due.as_u64());
        let late = if late <= ON_TIME.as_nanos() as u64 { late } else { 0 };
        self.face.late.store(late, Ordering::Relaxed);
        let passed = self.bucket.check().is_ok();
        self.face.late.store(0, Ordering::Relaxed);
        passed
    }

    /// Until when the channel rests, if it does.
    fn rests_until(&self) -> Option<Timestamp> {
        let until = *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner);
        (until > self.clock.now()).then_some(until)
    }

    /// The provider asks to slow down.
    pub fn slow_down(&self, asked: Option<Duration>) {
        let until = self.clock.now().plus(asked.unwrap_or(REST).min(LONGEST_REST));
        let mut rest_until = self.rest_until.lock().unwrap_or_else(PoisonError::into_inner);
        *rest_until = until.max(*rest_until);
    }

    /// How many messages one intent covers.
    pub fn wave(&self) -> usize {
        pace::wave(self.rate)
    }
}

/// By organization and channel name.
type Channels = HashMap<(OrgId, String), Arc<Pace>>;

/// Every channel's pace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Paces {
    clock: Clock,
    channels: Arc<Mutex<Channels>>,
}

impl Paces {
    /// With no channel yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, channels: Arc::default() }
    }

    /// The pace of a channel; a changed rate begins anew.
    pub fn of(&self, org: &OrgId, channel: &str, rate: Rate) -> Arc<Pace> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = channels
            .entry((org.clone(), channel.to_owned()))
            .or_insert_with(|| Arc::new(Pace::new(rate, self.clock.clone())));
        if pace.rate != rate {
            *pace = Arc::new(Pace::new(rate, self.clock.clone()));
        }
        pace.clone()
    }
}

#[cfg(test)]
mod tests;
