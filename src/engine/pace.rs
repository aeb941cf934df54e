//! The pace of each channel: governor's buckets, one a channel, in segments a second. A provider that asks to slow down stops
//! that channel for a while, and no other.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::{
    clock::Clock,
    domain::{id::OrgId, rate::Rate, run::REQUEST_SIZE, time::Timestamp},
};

/// A channel that nobody asked to slow down, but that was told "too many": how long it rests.
const REST: Duration = Duration::from_secs(1);
/// The longest rest that one answer can bring about.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// How much of a second's worth may leave at once.
const BURST_PART: u64 = 20;
/// How much of a channel's pace one intent covers: a crash leaves at most so much in doubt.
const WAVE: Duration = Duration::from_millis(500);

/// One channel's pace.
#[derive(Debug)]
pub struct Pace {
    rate: Rate,
    bucket: DefaultDirectRateLimiter,
    rest_until: Mutex<Timestamp>,
    clock: Clock,
}

impl Pace {
    fn new(rate: Rate, clock: Clock) -> Self {
        // The bucket's period: one segment each so long. A rate faster than a segment a nanosecond is no limit.
        let each = rate.per.div_f64(rate.count.max(1) as f64).max(Duration::from_nanos(1));
        let burst = u32::try_from((rate.per_second() as u64 / BURST_PART).clamp(1, 100_000)).unwrap_or(1);
        let quota = Quota::with_period(each).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
        let bucket = RateLimiter::direct(quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)));
        Self { rate, bucket, rest_until: Mutex::new(Timestamp::from_millis(0)), clock }
    }

    /// Waits until a message of so many segments may leave.
    pub async fn ready(&self, segments: u32) {
        let rest_until = *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner);
        if rest_until > self.clock.now() {
            self.clock.sleep_until(rest_until).await;
        }
        for _ in 0..segments.max(1) {
            self.bucket.until_ready().await;
        }
    }

    /// The provider asks to slow down.
    pub fn slow_down(&self, asked: Option<Duration>) {
        let until = self.clock.now().plus(asked.unwrap_or(REST).min(LONGEST_REST));
        let mut rest_until = self.rest_until.lock().unwrap_or_else(PoisonError::into_inner);
        *rest_until = until.max(*rest_until);
    }

    /// How many messages one intent covers.
    pub fn wave(&self) -> usize {
        let fits = self.rate.per_second() * WAVE.as_secs_f64();
        (fits as usize).clamp(1, REQUEST_SIZE)
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
