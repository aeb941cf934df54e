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
    domain::{id::OrgId, pace, rate::Rate, time::Timestamp},
};

/// A channel that nobody asked to slow down, but that was told "too many": how long it rests.
const REST: Duration = Duration::from_secs(1);
/// The longest rest that one answer can bring about.
const LONGEST_REST: Duration = Duration::from_secs(60);

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
        let quota = Quota::with_period(pace::interval(rate)).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
        let bucket =
            RateLimiter::direct(quota.allow_burst(NonZeroU32::new(pace::burst(rate)).unwrap_or(NonZeroU32::MIN)));
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
