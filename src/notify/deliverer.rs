//! Who is posted to, and how much at once: an organization's lane that is due is looked at, and what is due in it is taken up
//! endpoint by endpoint, as far as there is room.
//!
//! An endpoint that hangs holds its own places and no others; one whose last post failed has few until a post arrives.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
};

use super::{
    client::{Client, TIMEOUT},
    guard::Reach,
    post,
};
use crate::{
    book::{Book, Books},
    clock::Clock,
    config::WebhooksConfig,
    domain::{id::OrgId, time::Timestamp},
    engine::{Committer, NoClient, Patience},
    store::{
        Store, StoreError,
        deliveries::{Delivery, Order, Posted},
        lanes::LaneKind,
    },
    telemetry::Metrics,
};

/// Posts that are open at a time.
const PLACES: usize = 512;
/// Posts to one endpoint that are open at a time.
const PLACES_OF_ONE: usize = 32;
/// Posts to one endpoint while its last one has failed.
const PLACES_OF_A_FAILING_ONE: usize = 2;
/// How long what was taken up is ours: much more than a post takes.
const LEASE: Duration = Duration::from_secs(60);
/// Organizations that are looked at in one go.
const LANES: i64 = 1_000;
/// Between two looks when nothing was found.
const IDLE: Duration = Duration::from_millis(50);
/// Between two looks when the database is in trouble.
const TROUBLE: Duration = Duration::from_secs(1);
/// How long what is in flight may take to finish (SPEC 9).
const PATIENCE: Duration = Duration::from_secs(30);

/// What the deliverer is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
    /// The time.
    pub clock: Clock,
    /// The figures.
    pub metrics: Arc<Metrics>,
}

/// What posts share.
#[derive(Debug)]
struct Shared {
    parts: Parts,
    client: Client,
    words: Committer<(OrgId, Delivery, Posted), ()>,
}

/// An endpoint, of one organization.
type Key = (OrgId, String);

/// How it goes with an endpoint, as this process sees it.
#[derive(Debug, Default)]
struct Gate {
    in_flight: usize,
    /// Its last post has failed.
    failing: bool,
    /// More is due for it than there was room for.
    behind: bool,
}

impl Gate {
    fn room(&self) -> usize {
        let places = if self.failing { PLACES_OF_A_FAILING_ONE } else { PLACES_OF_ONE };
        places.saturating_sub(self.in_flight)
    }
}

/// A post has ended.
#[derive(Debug)]
struct Ended {
    of: Key,
    arrived: bool,
}

/// The loop that posts.
#[derive(Debug)]
pub struct Deliverer {
    shared: Arc<Shared>,
    committing: JoinHandle<()>,
    posting: JoinSet<Ended>,
    gates: HashMap<Key, Gate>,
    /// Organizations for which there is room again.
    again: BTreeSet<OrgId>,
}

impl Deliverer {
    /// With nothing taken up.
    pub fn new(parts: Parts, settings: &WebhooksConfig) -> Result<Self, NoClient> {
        let reach = if settings.allow_private { Reach::Anywhere } else { Reach::World };
        let client = Client::new(reach, TIMEOUT)?;
        let (store, clock) = (parts.store.clone(), parts.clock.clone());
        let (words, committing) = Committer::start(
            parts.clock.clone(),
            Patience::Endless,
            Box::new(move |words: Arc<Vec<(OrgId, Delivery, Posted)>>| {
                let (store, clock) = (store.clone(), clock.clone());
                Box::pin(async move {
                    let said: Vec<_> = words.iter().map(|(org, delivery, posted)| (org, delivery, posted)).collect();
                    store.settle_deliveries(&said, clock.now()).await?;
                    Ok(vec![(); said.len()])
                })
            }),
        );
        let shared = Arc::new(Shared { parts, client, words });
        Ok(Self { shared, committing, posting: JoinSet::new(), gates: HashMap::new(), again: BTreeSet::new() })
    }

    /// Posts until told to stop; then waits for what is in flight.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), JoinError> {
        let clock = self.shared.parts.clock.clone();
        while !*stop.borrow() {
            let pause = match self.tick(clock.now()).await {
                Ok(_) => IDLE,
                // One organization's trouble, or the database's: neither ends the loop.
                Err(problem) => {
                    tracing::error!(problem = %crate::telemetry::chain(&problem), "webhooks wait for the database");
                    TROUBLE
                }
            };
            tokio::select! {
                () = clock.sleep(pause) => {}
                Some(ended) = self.posting.join_next(), if pause == IDLE => self.reap(ended)?,
                _ = stop.changed() => {}
            }
            while let Some(ended) = self.posting.try_join_next() {
                self.reap(ended)?;
            }
        }
        self.drain().await
    }

    /// One look: takes up what there is room for, and begins to post it. How many deliveries that was.
    pub async fn tick(&mut self, now: Timestamp) -> Result<usize, StoreError> {
        let due = self.shared.parts.store.due_work(now, LANES).await?;
        let due = due.into_iter().filter(|work| work.kind == LaneKind::Deliveries).map(|work| work.org);
        let mut orgs: Vec<OrgId> = due.collect();
        let again = std::mem::take(&mut self.again);
        orgs.extend(again.into_iter().filter(|org| !orgs.contains(org)).collect::<Vec<_>>());
        let mut taken = 0;
        for org in orgs {
            taken += self.look(&org, now).await?;
        }
        let behind = self.gates.values().filter(|gate| gate.behind).count();
        self.shared.parts.metrics.posting(self.posting.len(), behind);
        Ok(taken)
    }

    /// Waits until nothing is in flight.
    pub async fn settled(&mut self) -> Result<(), JoinError> {
        while let Some(ended) = self.posting.join_next().await {
            self.reap(ended)?;
        }
        Ok(())
    }

    async fn look(&mut self, org: &OrgId, now: Timestamp) -> Result<usize, StoreError> {
        let Some(book) = self.shared.parts.books.current(org).await? else { return Ok(0) };
        let (mut live, mut disabled, mut ended) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let mut left = PLACES.saturating_sub(self.posting.len());
        for (name, state) in self.shared.parts.store.endpoint_states(org).await? {
            if !book.endpoint(&name).is_ok_and(|ready| ready.endpoint.active) {
                ended.insert(name);
            } else if state.disabled.is_some() {
                disabled.insert(name);
            } else {
                let room = self.gates.get(&(org.clone(), name.clone())).map_or(PLACES_OF_ONE, Gate::room).min(left);
                left -= room;
                live.insert(name, room);
            }
        }
        if !live.is_empty() && live.values().all(|room| *room == 0) {
            return Ok(0);
        }
        let order = Order { live: &live, disabled: &disabled, ended: &ended, now, lease_until: now.plus(LEASE) };
        let taken = self.shared.parts.store.take_deliveries(org, &order).await?;
        for _ in 0..taken.dropped {
            self.shared.parts.metrics.posted("dropped");
        }
        for name in live.into_keys() {
            let behind = taken.more.contains(&name);
            if behind || self.gates.contains_key(&(org.clone(), name.clone())) {
                self.gates.entry((org.clone(), name)).or_default().behind = behind;
            }
        }
        let count = taken.deliveries.len();
        for delivery in taken.deliveries {
            self.gates.entry((org.clone(), delivery.endpoint.clone())).or_default().in_flight += 1;
            let (shared, org, book) = (self.shared.clone(), org.clone(), book.clone());
            self.posting.spawn(async move { deliver(&shared, org, &book, delivery, now).await });
        }
        Ok(count)
    }

    /// A post has ended: there is room for another one.
    fn reap(&mut self, ended: Result<Ended, JoinError>) -> Result<(), JoinError> {
        let Ended { of, arrived } = ended?;
        let gate = self.gates.entry(of.clone()).or_default();
        gate.in_flight = gate.in_flight.saturating_sub(1);
        gate.failing = !arrived;
        if gate.behind && gate.room() > 0 {
            self.again.insert(of.0.clone());
        }
        if gate.in_flight == 0 && !gate.failing && !gate.behind {
            self.gates.remove(&of);
        }
        Ok(())
    }

    async fn drain(mut self) -> Result<(), JoinError> {
        match tokio::time::timeout(PATIENCE, self.settled()).await {
            Ok(ended) => ended?,
            Err(_) => {
                tracing::warn!(
                    posts = self.posting.len(),
                    "webhooks are still in flight; they are posted again when their leases end"
                );
                self.posting.shutdown().await;
                self.committing.abort();
                return Ok(());
            }
        }
        // The last who has anything to say: what was said is being written.
        drop(self.shared);
        self.committing.await
    }
}

/// Posts a delivery, and keeps what became of it.
async fn deliver(shared: &Shared, org: OrgId, book: &Book, delivery: Delivery, taken_at: Timestamp) -> Ended {
    let of = (org.clone(), delivery.endpoint.clone());
    let clock = &shared.parts.clock;
    // It was there when the delivery was taken up, by this book.
    let Ok(to) = book.endpoint(&delivery.endpoint) else { return Ended { of, arrived: false } };
    let answer = post::attempt(&shared.client, to, &delivery, clock.now()).await;
    let posted = post::judge(answer, delivery.failed, taken_at, clock.now(), rand::random());
    let result = tell(&org, &delivery, &posted);
    let arrived = posted == Posted::Arrived;
    if let Err(problem) = shared.words.say((org.clone(), delivery, posted)).await {
        tracing::error!(%org, endpoint = of.1, %problem, "a webhook was posted and nobody will know; it is posted again when its lease ends");
    }
    shared.parts.metrics.posted(result);
    Ended { of, arrived }
}

/// For the log, where an operator can do something: the endpoint by its name, for its URL may hold a secret. The name that the
/// figures have for it.
fn tell(org: &OrgId, delivery: &Delivery, posted: &Posted) -> &'static str {
    let (endpoint, id) = (delivery.endpoint.as_str(), delivery.id);
    match posted {
        Posted::Arrived => "arrived",
        Posted::RetryAt(at, why) => {
            tracing::debug!(%org, endpoint, delivery = %id, retry_at = %at, why, "a webhook did not arrive");
            "retried"
        }
        Posted::GivenUp(why) => {
            tracing::warn!(%org, endpoint, delivery = %id, why, "a webhook is given up");
            "failed"
        }
        Posted::Gone(gone) => {
            tracing::warn!(%org, endpoint, why = gone.why, "an endpoint is disabled; `POST /v1/endpoints/{{name}}/enable` or another definition of it lets it hear again");
            "gone"
        }
    }
}
