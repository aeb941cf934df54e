//! What a channel's pace means for the messages that leave through it: how far apart, how many at once, how many under one
//! intent. Who waits, and how, is the engine's.

use std::time::Duration;

use super::{account::ProviderKind, contact::ChannelType, definition::NumberType, rate::Rate, run::REQUEST_SIZE};

/// How much of a second's worth may leave at once: providers count by the second, so a twentieth is never seen as a burst.
const BURST_PART: f64 = 0.05;
/// The largest burst, in units.
const LARGEST_BURST: f64 = 100_000.0;
/// How much of a channel's pace one intent covers: a crash leaves at most so much in doubt, a pause is noticed so soon.
const WAVE: Duration = Duration::from_millis(500);

/// What a pace counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Segments: what carriers count.
    Segments,
    /// Messages, however long.
    Messages,
}

/// What the provider counts on such a channel: Twilio's SMS senders by segment (PROVIDERS A.8), WhatsApp by message, Azure by
/// message to one recipient (C.5), TeleSign by call.
pub const fn unit(provider: ProviderKind, channel_type: ChannelType) -> Unit {
    match (provider, channel_type) {
        (ProviderKind::Twilio, ChannelType::Sms) => Unit::Segments,
        (ProviderKind::Twilio, ChannelType::WhatsApp) | (ProviderKind::TeleSign | ProviderKind::Acs, _) => {
            Unit::Messages
        }
    }
}

/// What a sender of this kind may send in a second, unless the channel says otherwise.
///
/// Twilio (PROVIDERS A.8): a long code 1, toll free 3, a short code 100, WhatsApp 80; a name 10, for which no figure is
/// published. Azure (C.5): toll free 200 in 60 seconds, a short code 6,000, a name 600; a long code as toll free. TeleSign
/// publishes no figure (B.1): 10, whatever the sender.
pub fn default_rate(provider: ProviderKind, channel_type: ChannelType, number_type: NumberType) -> Rate {
    let a_second = |count| Rate { count, per: Duration::from_secs(1) };
    let a_minute = |count| Rate { count, per: Duration::from_secs(60) };
    match (provider, channel_type, number_type) {
        (ProviderKind::Twilio, ChannelType::WhatsApp, _) => a_second(80),
        (ProviderKind::Twilio, ChannelType::Sms, NumberType::Geographic) => a_second(1),
        (ProviderKind::Twilio, ChannelType::Sms, NumberType::TollFree) => a_second(3),
        (ProviderKind::Twilio, ChannelType::Sms, NumberType::ShortCode) => a_second(100),
        (ProviderKind::Twilio, ChannelType::Sms, NumberType::Alphanumeric) | (ProviderKind::TeleSign, ..) => {
            a_second(10)
        }
        (ProviderKind::Acs, _, NumberType::Geographic | NumberType::TollFree) => a_minute(200),
        (ProviderKind::Acs, _, NumberType::ShortCode) => a_minute(6_000),
        (ProviderKind::Acs, _, NumberType::Alphanumeric) => a_minute(600),
    }
}

/// The time between two units, at least a nanosecond.
pub fn interval(rate: Rate) -> Duration {
    Duration::try_from_secs_f64(1.0 / rate.per_second()).unwrap_or(Duration::MAX).max(Duration::from_nanos(1))
}

/// Units that may leave at once, at least one.
pub fn burst(rate: Rate) -> u32 {
    // In range by the clamp.
    (rate.per_second() * BURST_PART).clamp(1.0, LARGEST_BURST) as u32
}

/// Messages of a request that one intent covers: 1 to 100.
pub fn wave(rate: Rate) -> usize {
    (rate.per_second() * WAVE.as_secs_f64()).clamp(1.0, REQUEST_SIZE as f64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_pace_means() {
        for (rate, apart_ms, at_once, under_one_intent) in [
            ("1/s", 1000.0, 1, 1),
            ("10/s", 100.0, 1, 5),
            ("100/s", 10.0, 5, 50),
            ("2000/s", 0.5, 100, 100),
            ("1_000_000/s", 0.001, 50_000, 100),
            ("6/min", 10_000.0, 1, 1),
        ] {
            let rate: Rate = rate.parse().unwrap();
            assert!((interval(rate).as_secs_f64() * 1000.0 - apart_ms).abs() < 1e-6, "{rate}");
            assert_eq!((burst(rate), wave(rate)), (at_once, under_one_intent), "{rate}");
        }
    }

    proptest! {
        #[test]
        fn no_rate_leaves_its_bounds(count in 1u64.., per in 1u64..u64::from(u32::MAX)) {
            let rate = Rate { count, per: Duration::from_millis(per) };
            prop_assert!(burst(rate) >= 1 && (1..=REQUEST_SIZE).contains(&wave(rate)) && interval(rate) > Duration::ZERO);
            // A burst is never more than a twentieth of a second's worth, or one.
            prop_assert!(f64::from(burst(rate)) <= (rate.per_second() * BURST_PART).max(1.0));
        }
    }
}
