//! A worker in a world where only the pace and the hour take time: slots are handed out by [`pick`], requests are granted by
//! [`quota`], and messages leave in waves through the engine's [`Pace`], on a clock that is moved from one wait to the next.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::task::JoinSet;

use super::hold;
use crate::{
    clock::{Clock, ManualClock},
    domain::{
        fairness::{DueLane, InFlight, Lane, Priority, Slots, pick},
        plan::{self, Part, Situation, Whose},
        quota::{self, Allowance, Usage},
        rate::Rate,
        run::REQUEST_SIZE,
        time::Timestamp,
    },
    engine::pace::{Pace, Paces},
};

const MESSAGES: usize = 200_000;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Between two looks of the dispatcher.
const POLL: Duration = Duration::from_millis(200);

/// A run's requests that nobody has claimed yet: the segments of each one's messages.
struct Waiting {
    lane: Lane,
    requests: VecDeque<Vec<u32>>,
    due_at: Timestamp,
}

struct World {
    clock: Clock,
    hand: ManualClock,
    pace: Arc<Pace>,
    rate: Rate,
    allowance: Allowance,
    slots: Slots,
    waiting: Vec<Waiting>,
    in_flight: InFlight,
    hour: BTreeMap<i64, Usage>,
    /// What has left, by lane.
    left: BTreeMap<Priority, Arc<Gone>>,
}

#[derive(Default)]
struct Gone {
    messages: AtomicU64,
    segments: AtomicU64,
    requests: AtomicU64,
}

/// The texts of a run: most take one segment, some two or three.
fn segments(place: usize) -> u32 {
    [1, 1, 1, 2, 1, 1, 3, 1, 1, 1][place % 10]
}

impl World {
    fn new(rate: &str, allowance: Allowance) -> Self {
        let (clock, hand) = Clock::manual(START);
        let rate: Rate = rate.parse().unwrap();
        let pace = Paces::new(clock.clone()).of(&"acme".parse().unwrap(), "sms", rate);
        Self {
            clock,
            hand,
            pace,
            rate,
            allowance,
            slots: Slots::of(16),
            waiting: Vec::new(),
            in_flight: InFlight::default(),
            hour: BTreeMap::new(),
            left: BTreeMap::new(),
        }
    }

    fn add(&mut self, priority: Priority, messages: usize) {
        let all: Vec<u32> = (0..messages).map(segments).collect();
        let requests = all.chunks(REQUEST_SIZE).map(<[u32]>::to_vec).collect();
        let lane = Lane { org: "acme".parse().unwrap(), priority };
        self.waiting.push(Waiting { lane, requests, due_at: START });
        self.left.insert(priority, Arc::default());
    }

    /// As the store books it.
    fn grant(&mut self, priority: Priority, now: Timestamp) -> Result<(), Timestamp> {
        self.hour.retain(|bucket, _| *bucket >= quota::first_bucket_counted(now));
        let buckets: Vec<(i64, Usage)> = self.hour.clone().into_iter().collect();
        let used: Usage = self.hour.values().copied().sum();
        if quota::grant(self.allowance, used, priority.into(), 1) == 0 {
            return Err(quota::retry_at(self.allowance, &buckets, priority.into(), now));
        }
        let bucket = self.hour.entry(quota::bucket(now)).or_default();
        bucket.total += 1;
        bucket.bulk += u64::from(priority != Priority::Automatic);
        Ok(())
    }

    /// Claims what the free slots can take.
    fn tick(&mut self, working: &mut JoinSet<Lane>) {
        let now = self.clock.now();
        loop {
            let due = |waiting: &&Waiting| !waiting.requests.is_empty() && waiting.due_at <= now;
            let lanes: Vec<DueLane> = self
                .waiting
                .iter()
                .filter(due)
                .map(|waiting| DueLane { lane: waiting.lane.clone(), due_at: waiting.due_at })
                .collect();
            let Some(lane) = pick(&lanes, &self.in_flight, self.slots).cloned() else { return };
            let granted = self.grant(lane.priority, now);
            let waiting = self.waiting.iter_mut().find(|waiting| waiting.lane == lane).unwrap();
            match granted {
                Err(again) => waiting.due_at = again,
                Ok(()) => {
                    let request = waiting.requests.pop_front().unwrap();
                    self.in_flight.take(&lane);
                    let (pace, gone) = (self.pace.clone(), self.left[&lane.priority].clone());
                    working.spawn(send(pace, request, gone, lane));
                }
            }
        }
    }

    /// The forecast of a lane's run as things stand, the more urgent lanes before it.
    fn forecast(&self, priority: Priority) -> plan::Forecast {
        let part = |waiting: &Waiting| {
            let (gone, lane) = (&self.left[&waiting.lane.priority], waiting.lane.priority);
            let unclaimed = waiting.requests.len() as u64;
            let claimed = self.in_flight.of_priority(lane) as u64;
            let whole = if lane == Priority::Bulk { MESSAGES } else { AHEAD };
            let units: u64 = (0..whole).map(|place| u64::from(segments(place))).sum();
            Part {
                whose: if lane == priority { Whose::Own } else { Whose::Others },
                channel: 0,
                rate: self.rate,
                ask: lane.into(),
                requests: unclaimed + claimed,
                claimed,
                messages: whole as u64 - gone.messages.load(Ordering::Relaxed),
                units: units - gone.segments.load(Ordering::Relaxed),
                closed: vec![],
            }
        };
        let mut waiting: Vec<&Waiting> = self.waiting.iter().filter(|w| w.lane.priority <= priority).collect();
        waiting.sort_by_key(|waiting| waiting.lane.priority);
        plan::forecast(&Situation {
            now: self.clock.now(),
            allowance: self.allowance,
            used: self.hour.clone().into_iter().collect(),
            slots: self.slots.usable(priority),
            expires_at: None,
            parts: waiting.into_iter().map(part).collect(),
        })
    }

    /// Works until the run has ended; the forecast halfway, and the end.
    async fn play(&mut self, priority: Priority) -> ((Timestamp, plan::Forecast), Timestamp) {
        let (mut working, mut halfway) = (JoinSet::new(), None);
        let all = self.waiting.iter().find(|waiting| waiting.lane.priority == priority).unwrap().requests.len() as u64;
        loop {
            self.tick(&mut working);
            let done = self.left[&priority].requests.load(Ordering::Relaxed);
            if halfway.is_none() && done >= all / 2 {
                halfway = Some((self.clock.now(), self.forecast(priority)));
            }
            if done == all {
                return (halfway.unwrap(), self.clock.now());
            }
            tokio::select! {
                Some(lane) = working.join_next() => self.in_flight.give_back(&lane.unwrap()),
                () = self.clock.sleep(POLL), if self.in_flight.total() < self.slots.total => {}
                () = still(&self.hand) => {}
            }
        }
    }
}

/// Sends a request, as the sender does: wave by wave, the messages of a wave side by side.
async fn send(pace: Arc<Pace>, request: Vec<u32>, gone: Arc<Gone>, lane: Lane) -> Lane {
    for wave in request.chunks(pace.wave()) {
        join_all(wave.iter().map(async |segments| {
            pace.ready(*segments).await;
            gone.messages.fetch_add(1, Ordering::Relaxed);
            gone.segments.fetch_add(u64::from(*segments), Ordering::Relaxed);
        }))
        .await;
    }
    gone.requests.fetch_add(1, Ordering::Relaxed);
    lane
}

/// Moves the clock on whenever nobody has anything to do; never ends.
async fn still(hand: &ManualClock) {
    loop {
        // Whoever was woken, and whoever they wake, runs before this goes on: all share one thread.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        if let Some(next) = hand.next_wait() {
            hand.set(next);
        }
    }
}

/// More urgent messages that share channel and hour, in the second world.
const AHEAD: usize = 10_000;

async fn accurate(what: &str, rate: &str, allowance: Allowance, ahead: bool, bound: plan::Bound) {
    let mut world = World::new(rate, allowance);
    world.add(Priority::Bulk, MESSAGES);
    if ahead {
        world.add(Priority::Instant, AHEAD);
    }
    let before = world.forecast(Priority::Bulk);
    assert_eq!(before.bound_by, bound, "{what}: {before:?}");
    let ((half, halfway), ended) = world.play(Priority::Bulk).await;
    hold(&format!("{what}, before the start"), START, before.ends_at, ended);
    hold(&format!("{what}, halfway"), half, halfway.ends_at, ended);
}

#[tokio::test]
async fn two_hundred_thousand_messages_at_a_channels_pace_end_when_it_was_said() {
    accurate("200,000 at 100/s", "100/s", Allowance::default(), false, plan::Bound::Pace).await;
}

#[tokio::test]
async fn two_hundred_thousand_messages_in_a_small_hour_end_when_it_was_said() {
    let allowance = Allowance { limit: 300, reserved_percent: 5 };
    accurate("200,000 at 300 requests an hour", "1000/s", allowance, false, plan::Bound::Quota).await;
}

#[tokio::test]
async fn two_hundred_thousand_messages_behind_others_end_when_it_was_said() {
    // Neither bound is far from the other: 30 s of the channel a request, 130 requests an hour.
    let allowance = Allowance { limit: 130, reserved_percent: 5 };
    accurate("200,000 behind 10,000, both bounds close", "5/s", allowance, true, plan::Bound::Quota).await;
}
