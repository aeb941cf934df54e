//! What time it is, and waiting: the only file that asks the machine.
//!
//! Everything else is handed a [`Clock`]. Tests hold the [`ManualClock`] that moves it; `tokio::time::pause` is not used,
//! because a paused runtime breaks the store's connection pools. What a wait *costs* is measured with a [`Stopwatch`].

use std::{
    collections::BTreeMap,
    future::Future,
    ops::Bound::{Excluded, Unbounded},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use crate::domain::time::Timestamp;

/// The longest nap of a wait for a point in time: the machine's clock may be set while we wait, so it is asked again.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// Tells the time and waits. Cheap to clone; all clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(watch::Receiver<Timestamp>, Waits),
}

/// What is waited for on a manual clock: how many wait for which time.
#[derive(Clone, Debug, Default)]
struct Waits(Arc<Mutex<BTreeMap<Timestamp, usize>>>);

impl Waits {
    fn enter(&self, at: Timestamp) -> Waiting {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(at).or_default() += 1;
        Waiting { waits: self.clone(), at }
    }
}

/// One of them, as long as it waits.
#[derive(Debug)]
struct Waiting {
    waits: Waits,
    at: Timestamp,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waits = self.waits.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waits.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                waits.remove(&self.at);
            }
        }
    }
}

impl Clock {
    /// The machine's own clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let (hand, face) = watch::channel(start);
        let waits = Waits::default();
        (Self(Source::Manual(face, waits.clone())), ManualClock { hand, waits })
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(face, _) => *face.borrow(),
        }
    }

    /// Begins to count time as it goes by.
    pub fn ticker(&self) -> Ticker {
        Ticker(match &self.0 {
            Source::System => Ticks::Measured(Stopwatch::start()),
            Source::Manual(face, _) => Ticks::Moved(face.clone(), self.now()),
        })
    }

    /// Waits for `duration`, counted from this call and not from the first poll.
    ///
    /// On the machine's clock, setting the clock does not lengthen or shorten the wait.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let end = match &self.0 {
            Source::System => End::Measured(Stopwatch::start(), duration),
            Source::Manual(face, waits) => End::moved(face, waits, self.now().plus(duration)),
        };
        end.reached()
    }

    /// Waits until it is `at`; not at all if that is past.
    pub fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + use<> {
        let end = match &self.0 {
            Source::System => End::Told(at),
            Source::Manual(face, waits) => End::moved(face, waits, at),
        };
        end.reached()
    }
}

/// How a wait knows that it is over.
enum End {
    /// So much time has gone by.
    Measured(Stopwatch, Duration),
    /// The machine's clock tells this time.
    Told(Timestamp),
    /// The manual clock was moved to this time.
    Moved(watch::Receiver<Timestamp>, Waiting),
}

impl End {
    fn moved(face: &watch::Receiver<Timestamp>, waits: &Waits, at: Timestamp) -> Self {
        Self::Moved(face.clone(), waits.enter(at))
    }

    async fn reached(self) {
        match self {
            Self::Measured(since, duration) => tokio::time::sleep(duration.saturating_sub(since.elapsed())).await,
            Self::Told(at) => loop {
                let left = at.since(system_now());
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            },
            Self::Moved(mut face, waiting) => {
                if face.wait_for(|now| *now >= waiting.at).await.is_err() {
                    // Whoever could move the clock is gone: that time will never come.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// Counts time as it goes by: on the machine's clock it is measured, and setting that clock changes nothing; on a manual clock it
/// is what the clock was moved by.
#[derive(Clone, Debug)]
pub struct Ticker(Ticks);

#[derive(Clone, Debug)]
enum Ticks {
    Measured(Stopwatch),
    Moved(watch::Receiver<Timestamp>, Timestamp),
}

impl Ticker {
    /// How much has gone by since it was made.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Ticks::Measured(since) => since.elapsed(),
            Ticks::Moved(face, since) => face.borrow().since(*since),
        }
    }
}

/// Moves a manual clock. When the last one is dropped, the clock stands still for good.
#[derive(Clone, Debug)]
pub struct ManualClock {
    hand: watch::Sender<Timestamp>,
    waits: Waits,
}

impl ManualClock {
    /// Moves the clock forward; waits that end by then are over.
    pub fn advance(&self, by: Duration) {
        self.hand.send_modify(|now| *now = now.plus(by));
    }

    /// The next time that somebody waits for: where to move the clock if nothing else is to happen before.
    pub fn next_wait(&self) -> Option<Timestamp> {
        let (now, waits) = (*self.hand.borrow(), self.waits.0.lock().unwrap_or_else(PoisonError::into_inner));
        waits.range((Excluded(now), Unbounded)).next().map(|(at, _)| *at)
    }

    /// Sets the clock, forwards or back: machines' clocks are set back as well.
    pub fn set(&self, to: Timestamp) {
        self.hand.send_replace(to);
    }
}

/// Measures how long something took, on a clock that nobody can set.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "this is the file that others take the time from")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago it was started.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the file that others take the time from")]
fn system_now() -> Timestamp {
    // A machine whose clock stands before 1970 has no time to tell: it gets the epoch.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_epoch)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_all_clones_together() {
        let (clock, hand) = Clock::manual(START);
        let other = clock.clone();
        assert_eq!(clock.now(), START);
        hand.advance(Duration::from_secs(5));
        assert_eq!((clock.now(), other.now()), (Timestamp::from_millis(1_005_000), Timestamp::from_millis(1_005_000)));
        hand.set(Timestamp::from_millis(7));
        assert_eq!(other.now(), Timestamp::from_millis(7));
    }

    #[test]
    fn a_wait_ends_when_the_clock_has_been_moved_far_enough() {
        let (clock, hand) = Clock::manual(START);
        let mut nap = Box::pin(clock.sleep(Duration::from_millis(100)));
        let mut date = Box::pin(clock.sleep_until(START.plus(Duration::from_millis(150))));
        hand.advance(Duration::from_millis(99));
        assert_eq!(((&mut nap).now_or_never(), (&mut date).now_or_never()), (None, None));
        hand.advance(Duration::from_millis(1));
        assert_eq!(((&mut nap).now_or_never(), (&mut date).now_or_never()), (Some(()), None));
        hand.advance(Duration::from_millis(50));
        assert_eq!(date.now_or_never(), Some(()));
    }

    #[test]
    fn a_wait_counts_from_the_call_and_the_past_is_no_wait() {
        let (clock, hand) = Clock::manual(START);
        let never_polled_yet = clock.sleep(Duration::from_secs(1));
        hand.advance(Duration::from_secs(1));
        assert_eq!(never_polled_yet.now_or_never(), Some(()));
        assert_eq!(clock.sleep_until(START).now_or_never(), Some(()));
    }

    #[test]
    fn without_a_hand_the_time_never_comes() {
        let (clock, hand) = Clock::manual(START);
        drop(hand);
        assert_eq!(clock.now(), START);
        assert_eq!(clock.sleep(Duration::from_millis(1)).now_or_never(), None);
        assert_eq!(clock.sleep(Duration::ZERO).now_or_never(), Some(()));
    }

    #[test]
    fn the_hand_knows_what_is_waited_for() {
        let (clock, hand) = Clock::manual(START);
        let ticker = clock.ticker();
        assert_eq!((hand.next_wait(), ticker.elapsed()), (None, Duration::ZERO));
        let soon = clock.sleep(Duration::from_secs(1));
        let later = [clock.sleep(Duration::from_secs(2)), clock.sleep(Duration::from_secs(2))];
        assert_eq!(hand.next_wait(), Some(START.plus(Duration::from_secs(1))));
        drop(soon);
        assert_eq!(hand.next_wait(), Some(START.plus(Duration::from_secs(2))));
        hand.advance(Duration::from_secs(2));
        assert_eq!((hand.next_wait(), ticker.elapsed()), (None, Duration::from_secs(2)));
        drop(later);
        hand.set(START);
        assert_eq!((hand.next_wait(), ticker.elapsed()), (None, Duration::ZERO));
    }

    #[tokio::test]
    async fn moving_the_clock_wakes_a_task_that_waits() {
        let (clock, hand) = Clock::manual(START);
        let waiting = tokio::spawn(clock.sleep(Duration::from_secs(3600)));
        tokio::task::yield_now().await;
        hand.advance(Duration::from_secs(3600));
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn the_machines_clock_runs() {
        let (clock, watch) = (Clock::system(), Stopwatch::start());
        let begin = clock.now();
        assert!(begin > Timestamp::from_millis(1_700_000_000_000), "{begin}");
        clock.sleep(Duration::from_millis(5)).await;
        clock.sleep_until(begin.plus(Duration::from_millis(10))).await;
        assert!(watch.elapsed() >= Duration::from_millis(5));
        assert!(clock.now() >= begin.plus(Duration::from_millis(10)));
    }
}
