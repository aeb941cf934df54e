//! The pace on a clock that is moved by hand, and by the machine's.

use futures::{FutureExt as _, future::join_all};

use super::*;
use crate::clock::{ManualClock, Stopwatch};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn pace(rate: &str) -> (Arc<Pace>, ManualClock) {
    let (clock, hand) = Clock::manual(START);
    (Paces::new(clock).of(&"acme".parse().unwrap(), "sms", rate.parse().unwrap()), hand)
}

/// Moves the clock from one wait to the next until all have passed; how long that took.
fn play(pace: &Arc<Pace>, hand: &ManualClock, messages: usize, segments: u32) -> Duration {
    let began = pace.clock.now();
    let mut all = Box::pin(join_all((0..messages).map(|_| pace.ready(segments))));
    while (&mut all).now_or_never().is_none() {
        hand.set(hand.next_wait().unwrap());
    }
    pace.clock.now().since(began)
}

#[test]
fn a_channel_keeps_its_pace_to_the_millisecond() {
    for (rate, messages, segments, expected_ms) in [
        ("1/s", 1, 1, 0),
        ("1/s", 10, 1, 9_000),
        ("1/s", 10, 3, 29_000),
        ("3/s", 301, 1, 100_000), // of 333.33 ms each: none is lost to a clock of whole milliseconds
        ("39/s", 3_901, 1, 100_000),
        ("100/s", 1_005, 1, 10_000), // five leave at once
        ("2000/s", 20_100, 1, 10_000),
        ("6/min", 7, 1, 60_000),
    ] {
        let (pace, hand) = pace(rate);
        let took = play(&pace, &hand, messages, segments).as_millis();
        assert!(took.abs_diff(expected_ms) <= 1, "{messages} of {segments} at {rate}: {took} ms, not {expected_ms}");
    }
}

#[test]
fn a_rest_is_everybodys_and_the_line_keeps_its_order() {
    let (pace, hand) = pace("10/s");
    assert_eq!(play(&pace, &hand, 1, 1), Duration::ZERO);
    let mut first = Box::pin(pace.ready(1));
    let mut second = Box::pin(pace.ready(1));
    assert_eq!(((&mut first).now_or_never(), (&mut second).now_or_never()), (None, None));
    pace.slow_down(Some(Duration::from_secs(5)));
    hand.advance(Duration::from_millis(100));
    assert_eq!((&mut first).now_or_never(), Some(()), "it had its turn before");
    assert_eq!((&mut second).now_or_never(), None);
    hand.advance(Duration::from_millis(4_899));
    assert_eq!((&mut second).now_or_never(), None);
    hand.advance(Duration::from_millis(1));
    assert_eq!((&mut second).now_or_never(), Some(()));
}

#[test]
fn who_gives_up_holds_up_nobody() {
    let (pace, hand) = pace("10/s");
    assert_eq!(play(&pace, &hand, 1, 1), Duration::ZERO);
    let (mut gone, mut behind) = (Box::pin(pace.ready(1)), Box::pin(pace.ready(1)));
    assert_eq!(((&mut gone).now_or_never(), (&mut behind).now_or_never()), (None, None));
    drop(gone);
    assert_eq!(play(&pace, &hand, 0, 1), Duration::ZERO);
    assert_eq!((&mut behind).now_or_never(), None);
    hand.advance(Duration::from_millis(100));
    assert_eq!((&mut behind).now_or_never(), Some(()));
    assert_eq!(pace.waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn the_slowest_rate_can_be_counted() {
    let (pace, _hand) = pace("1/99999999d");
    assert_eq!(pace.ready(1).now_or_never(), Some(()));
    assert_eq!(pace.ready(1).now_or_never(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_the_machines_clock_no_pace_is_lost_to_late_timers() {
    let pace = Paces::new(Clock::system()).of(&"acme".parse().unwrap(), "sms", "35/s".parse().unwrap());
    let watch = Stopwatch::start();
    join_all((0..36).map(|_| pace.ready(1))).await;
    let took = watch.elapsed();
    // Never faster; how much slower is the machine's affair.
    assert!(took >= Duration::from_millis(980), "{took:?}");
}
