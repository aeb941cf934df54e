//! Who is next: a free slot looks for a lane, claims a request from it, and works on it until it is given back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};

use super::{
    Shared,
    lease::Lease,
    sender::{self, LetGo},
};
use crate::{
    config::WorkerConfig,
    domain::{
        fairness::{DueLane, InFlight, Lane, Priority, Slots, pick},
        id::OrgId,
        time::Timestamp,
    },
    store::{
        StoreError,
        lanes::LaneKind,
        requests::{ClaimOrder, Claimed},
    },
};

/// Lanes that are looked at in one go.
const LANES: i64 = 1_000;
/// What the gauges of the quota look back on.
const HOUR: Duration = Duration::from_secs(3600);
/// Between two looks when the database is in trouble.
const TROUBLE: Duration = Duration::from_secs(1);

/// Why the engine has ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The store refused something that it should not have.
    #[error("the store refused")]
    Store(#[from] StoreError),
    /// A task panicked.
    #[error("a task of the engine has broken")]
    Task(#[source] JoinError),
}

/// A request that a task works on.
struct Held {
    lane: Lane,
    request: Arc<Claimed>,
    lease: Lease,
}

/// The dispatcher.
pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    slots: Slots,
    lease: Duration,
    poll: Duration,
    only: Option<OrgId>,
    in_flight: InFlight,
    working: JoinSet<Result<(), LetGo>>,
    held: HashMap<Id, Held>,
    renew_at: Timestamp,
    hours: HashMap<OrgId, Hour>,
}

/// How much of an organization's hour was used at its last claim.
struct Hour {
    claimed_at: Timestamp,
    used: u64,
    limit: u64,
}

impl Dispatcher {
    pub(super) fn new(shared: Arc<Shared>, slots: Slots, worker: &WorkerConfig, only: Option<OrgId>) -> Self {
        let renew_at = shared.clock.now().plus(worker.lease / 3);
        Self {
            shared,
            slots,
            lease: worker.lease,
            poll: worker.poll,
            only,
            in_flight: InFlight::default(),
            working: JoinSet::new(),
            held: HashMap::new(),
            renew_at,
            hours: HashMap::new(),
        }
    }

    /// Claims and sends until told to stop; then waits for what is in flight.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Ended> {
        while !*stop.borrow() {
            let now = self.shared.clock.now();
            let pause = match self.tick(now).await {
                Ok(0) => self.poll,
                // Something was claimed; whether there is more is seen at once, if a slot is left for it.
                Ok(_) => Duration::ZERO,
                // One organization's trouble, or the database's: neither ends the work for the others.
                Err(problem) => {
                    tracing::error!(problem = %crate::telemetry::chain(&problem), passing = problem.is_passing(), "the dispatcher waits for the database");
                    TROUBLE
                }
            };
            let full = self.in_flight.total() >= self.slots.total;
            tokio::select! {
                Some(ended) = self.working.join_next_with_id() => self.reap(ended)?,
                () = self.shared.clock.sleep(pause), if !full => {}
                () = self.shared.clock.sleep_until(self.renew_at), if full => {}
                _ = stop.changed() => {}
            }
            while let Some(ended) = self.working.try_join_next_with_id() {
                self.reap(ended)?;
            }
        }
        self.drain().await
    }

    /// One look: claims what the free slots can take. How many requests that was.
    pub(super) async fn tick(&mut self, now: Timestamp) -> Result<usize, StoreError> {
        self.renew(now).await?;
        if self.in_flight.total() >= self.slots.total {
            return Ok(0);
        }
        let due = self.shared.store.due_work(now, LANES).await?;
        let lanes: Vec<DueLane> = due
            .into_iter()
            .filter_map(|work| match work.kind {
                LaneKind::Requests(priority) => {
                    Some(DueLane { lane: Lane { org: work.org, priority }, due_at: work.due_at })
                }
                LaneKind::Events
                | LaneKind::Callbacks
                | LaneKind::Schedules
                | LaneKind::Upkeep
                | LaneKind::Polls
                | LaneKind::Deliveries => None,
            })
            .filter(|due| self.only.as_ref().is_none_or(|only| *only == due.lane.org))
            .collect();
        for priority in Priority::ALL {
            let waiting = || lanes.iter().filter(|due| due.lane.priority == priority);
            let oldest = waiting().map(|due| now.since(due.due_at)).max().unwrap_or_default();
            self.shared.metrics.lane(priority.as_str(), waiting().count() as u64, oldest);
        }
        let mut claimed = 0;
        for (lane, want) in self.turns(&lanes) {
            claimed += self.claim(&lane, want, now).await?;
        }
        Ok(claimed)
    }

    /// Hands the free slots out, one turn after another, and sums up what each lane got.
    fn turns(&self, lanes: &[DueLane]) -> Vec<(Lane, usize)> {
        let mut trial = self.in_flight.clone();
        let mut turns: Vec<(Lane, usize)> = Vec::new();
        while let Some(lane) = pick(lanes, &trial, self.slots) {
            trial.take(lane);
            match turns.iter_mut().find(|(known, _)| known == lane) {
                Some((_, want)) => *want += 1,
                None => turns.push((lane.clone(), 1)),
            }
        }
        turns
    }

    async fn claim(&mut self, lane: &Lane, want: usize, now: Timestamp) -> Result<usize, StoreError> {
        let lease_until = now.plus(self.lease);
        let order = ClaimOrder { org: &lane.org, priority: lane.priority, want, now, lease_until };
        let claim = self.shared.store.claim(order).await?;
        self.hours.insert(lane.org.clone(), Hour { claimed_at: now, used: claim.used, limit: claim.limit });
        if let Some(until) = claim.exhausted_until {
            tracing::info!(org = %lane.org, until = %until, "the organization's hour is used up");
        }
        if claim.requests.is_empty() {
            return Ok(0);
        }
        let Some(book) = self.shared.books.at(&lane.org, claim.revision).await? else {
            return Ok(0); // the leases run out, and the requests come round again
        };
        self.shared.metrics.claimed(lane.priority.as_str(), claim.requests.len() as u64);
        let count = claim.requests.len();
        for request in claim.requests {
            let request = Arc::new(request);
            let (shared, book, mine) = (self.shared.clone(), book.clone(), request.clone());
            let lease = Lease::new(lease_until, self.lease);
            let held = lease.clone();
            let task = self.working.spawn(async move { sender::send(&shared, mine, held, book, now).await });
            self.in_flight.take(lane);
            self.held.insert(task.id(), Held { lane: lane.clone(), request, lease });
        }
        Ok(count)
    }

    /// Sets the gauges of the hour, over the organizations that have claimed within it.
    fn tell_quota(&mut self, now: Timestamp) {
        self.hours.retain(|_, hour| now.since(hour.claimed_at) < HOUR);
        let used = self.hours.values().map(|hour| hour.used).sum();
        let fullest = self.hours.values().map(|hour| hour.used as f64 / hour.limit.max(1) as f64).fold(0.0, f64::max);
        self.shared.metrics.quota(used, fullest);
    }

    /// Moves the leases of everything in flight, a third of a lease after the last time.
    async fn renew(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if now < self.renew_at {
            return Ok(());
        }
        self.renew_at = now.plus(self.lease / 3);
        self.tell_quota(now);
        let held: Vec<Claimed> = self.held.values().map(|held| (*held.request).clone()).collect();
        if held.is_empty() {
            return Ok(());
        }
        let until = now.plus(self.lease);
        self.shared.store.renew(&held, until).await?;
        let written = self.shared.clock.now();
        self.held.values().for_each(|held| held.lease.prolong(until, written));
        Ok(())
    }

    /// A request has been given back, or let go: its slot is free.
    fn reap(&mut self, ended: Result<(Id, Result<(), LetGo>), JoinError>) -> Result<(), Ended> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(broken) => broken.id(),
        };
        let freed = self.held.remove(&id);
        if let Some(held) = &freed {
            self.in_flight.give_back(&held.lane);
        }
        match ended {
            Ok((_, Ok(()))) => Ok(()),
            Ok((_, Err(let_go))) => {
                let request = freed.map(|held| held.request.id.to_string()).unwrap_or_default();
                tracing::error!(request, problem = %crate::telemetry::chain(&let_go), "a request was let go; it comes round again when its lease ends");
                Ok(())
            }
            Err(broken) => Err(Ended::Task(broken)),
        }
    }

    async fn drain(mut self) -> Result<(), Ended> {
        if !self.held.is_empty() {
            tracing::info!(requests = self.held.len(), "finishing what is in flight");
        }
        while !self.working.is_empty() {
            tokio::select! {
                Some(ended) = self.working.join_next_with_id() => self.reap(ended)?,
                () = self.shared.clock.sleep_until(self.renew_at) => {
                    let now = self.shared.clock.now();
                    // What is in flight finishes all the same; it is tried again a third of a lease later.
                    if let Err(problem) = self.renew(now).await {
                        tracing::error!(problem = %crate::telemetry::chain(&problem), "leases could not be renewed while stopping");
                    }
                }
            }
        }
        Ok(())
    }
}
