//! What moves messages: a request is claimed when a slot is free for it, judged, sent in waves, and given back.
//!
//! Read `dispatcher` (who is next), `sender` (one request), then `committer` (how words become durable). The database is
//! the only queue: nothing waits in memory but what a slot is working on.

mod circuits;
mod committer;
mod control;
mod dispatcher;
mod doubts;
mod judge;
mod lease;
mod pace;
mod route;
mod rules;
mod sender;
mod transport;
mod validate;
mod verdict;

// It needs the engine's inside, and everything around it as well (definitions, intake, the sandbox), which no file here may
// know: so it is a module of the engine that lies with the other crash tests.
#[cfg(test)]
#[path = "../../tests/crash/await_points.rs"]
mod await_points;

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

pub use committer::{Committer, NotWritten, Patience};
pub use control::{Obeyed, Order, Refused, control};
pub use dispatcher::Ended;
pub use transport::{Answer, NoClient, Transport};
pub use validate::{Validated, validate};

use crate::{
    book::{Book, Books},
    clock::Clock,
    config::WorkerConfig,
    domain::{
        fairness::Slots,
        id::{OrgId, RunId},
        message::Status,
        reason::{Reason, Scope, Why},
        retry::RetryPolicy,
        run::Pinned,
        time::Timestamp,
    },
    provider::Stamp,
    store::{
        Store, StoreError,
        accounts::AccountState,
        requests::Claimed,
        settle::{Fence, Word},
    },
    telemetry::Metrics,
};
use circuits::Circuits;
use pace::Paces;
use route::Route;
use verdict::{Trial, Verdict};

/// Slots that only automatic messages may use, in percent of all.
const RESERVED_PERCENT: usize = 20;

/// What the engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
    /// The time.
    pub clock: Clock,
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// How much at once, how long to wait.
    pub worker: WorkerConfig,
    /// The address that providers can reach herald at, if there is one.
    pub public_url: Option<String>,
    /// Work for this organization only; for commands that are about one.
    pub only: Option<OrgId>,
}

/// What senders share.
#[derive(Debug)]
struct Shared {
    store: Store,
    books: Books,
    clock: Clock,
    metrics: Arc<Metrics>,
    transport: Transport,
    paces: Paces,
    circuits: Circuits,
    policy: RetryPolicy,
    public_url: Option<String>,
    words: Committer<(Arc<Claimed>, Word), Fence>,
}

/// A running engine. It ends when it is told to stop, or when something in it has broken; its owner waits for that.
#[derive(Debug)]
pub struct Engine {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Ended>>,
}

impl Engine {
    /// Starts to claim and send.
    pub fn start(parts: Parts) -> Result<Self, NoClient> {
        let (worker, only) = (parts.worker.clone(), parts.only.clone());
        let (shared, committing) = Shared::assemble(parts)?;
        let total = worker.slots.max(1);
        let slots = Slots { total, reserved_for_automatic: total * RESERVED_PERCENT / 100 };
        let (stop, stopped) = watch::channel(false);
        let dispatcher = dispatcher::Dispatcher::new(shared, slots, &worker, only);
        let task = tokio::spawn(async move {
            let ended = dispatcher.run(stopped).await;
            // The senders are gone and so is the last committer: what they said is being written.
            committing.await.map_err(Ended::Task)?;
            ended
        });
        Ok(Self { stop, task })
    }

    /// Takes nothing new, finishes what is in flight, and ends; no later than `patience`, after which the rest is left to its
    /// leases.
    pub async fn stop(self, patience: Duration) -> Result<(), Ended> {
        self.stop.send_replace(true);
        let mut task = self.task;
        match tokio::time::timeout(patience, &mut task).await {
            Ok(ended) => ended.map_err(Ended::Task)?,
            Err(_) => {
                tracing::warn!(
                    patience_s = patience.as_secs(),
                    "requests are still in flight; they come round again when their leases end"
                );
                task.abort();
                Ok(())
            }
        }
    }

    /// Waits until the engine ends by itself, which it does only when something has broken.
    pub async fn ended(&mut self) -> Result<(), Ended> {
        (&mut self.task).await.map_err(Ended::Task)?
    }
}

/// Writes a group of words.
fn settle(store: Store, clock: Clock, metrics: Arc<Metrics>) -> committer::Write<(Arc<Claimed>, Word), Fence> {
    Box::new(move |words| {
        let (store, clock, metrics) = (store.clone(), clock.clone(), metrics.clone());
        Box::pin(async move {
            let watch = crate::clock::Stopwatch::start();
            let said: Vec<(&Claimed, &Word)> = words.iter().map(|(request, word)| (&**request, word)).collect();
            let fences = store.settle(&said, clock.now()).await?;
            metrics.committed(said.iter().map(|(_, word)| word.states.len()).sum(), watch.elapsed());
            Ok(fences)
        })
    })
}

impl Shared {
    /// With a committer of its own, which ends when the last clone is dropped and everything is written.
    fn assemble(parts: Parts) -> Result<(Arc<Self>, JoinHandle<()>), NoClient> {
        let transport = Transport::new(&parts.worker)?;
        let (store, clock, metrics) = (parts.store.clone(), parts.clock.clone(), parts.metrics.clone());
        let (words, committing) =
            Committer::start(parts.clock.clone(), Patience::Endless, settle(store, clock, metrics));
        let shared = Arc::new(Self {
            paces: Paces::new(parts.clock.clone()),
            circuits: Circuits::default(),
            policy: RetryPolicy::default(),
            store: parts.store,
            books: parts.books,
            clock: parts.clock,
            metrics: parts.metrics,
            transport,
            public_url: parts.public_url.map(|url| url.trim_end_matches('/').to_owned()),
            words,
        });
        Ok((shared, committing))
    }

    async fn say(&self, request: &Arc<Claimed>, word: Word) -> Result<Fence, NotWritten> {
        self.words.say((request.clone(), word)).await
    }

    fn stamp(&self) -> Stamp {
        Stamp { now: self.clock.now(), nonce: rand::random() }
    }

    fn callback_url(&self, book: &Book, account: &str) -> Option<String> {
        let token = book.callback_token(account)?;
        self.public_url.as_ref().map(|base| format!("{base}/callbacks/{token}"))
    }

    fn trial<'a>(&'a self, request: &Claimed, pinned: &Pinned, now: Timestamp) -> Trial<'a> {
        Trial {
            policy: &self.policy,
            attempt: u32::try_from(request.attempts).unwrap_or(u32::MAX),
            accepted_at: request.accepted_at,
            valid_for: pinned.valid_for.0,
            now,
            jitter: rand::random(),
        }
    }

    fn count(&self, verdict: &Verdict, provider: &'static str) {
        for (status, reason) in verdict.counted() {
            self.metrics.message(*status, *reason, provider);
            if let (Status::Queued, Some(reason)) = (status, reason)
                && *reason != Reason::QuietHours
            {
                self.metrics.retry(provider, *reason);
            }
        }
    }

    /// Stops whatever sends through a refused sender and has no other way: every running run of the account, or of the channel
    /// only; and the run that met the refusal.
    async fn stop_sender(&self, book: &Book, route: &Route, met: RunId, why: &Why) -> Result<(), StoreError> {
        let (org, account) = (&book.organization.id, route.account.name.as_str());
        let whole_account = why.reason.scope() == Scope::Account;
        if whole_account {
            let before = self.store.account_state(org, account).await?.unwrap_or_default();
            self.store.set_account_state(org, account, &AccountState { stopped: why.to_string(), ..before }).await?;
        }
        for run in self.store.running_runs(org).await? {
            let Some((pinned, _)) = self.store.run_facts(org, run).await? else { continue };
            let Ok(channel) = book.channel(&pinned.channel) else { continue };
            let stopped = if whole_account {
                // Its fallback, if it has one, is tried by whoever claims next; should that be stopped too, the run is held then.
                channel.account == account && channel.fallback.is_none()
            } else {
                pinned.channel == route.channel_name || run == met
            };
            if stopped {
                self.store.stop_run(org, run, "held", &why.to_string()).await?;
            }
        }
        Ok(())
    }
}
