//! Delivery of receipts and replies: one task takes what is due from the schedule and posts it with bounded concurrency,
//! at least once, with a few attempts when the receiver cannot be reached or answers 5xx.
//!
//! Deliberately knows no provider: the request was built and signed where the wire format is known.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Serialize;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

use super::{log::Provider, schedule::Event, settings::Callbacks, state::State};

/// A request to the customer's server.
#[derive(Clone)]
pub(super) struct Callback {
    pub provider: Provider,
    pub kind: Kind,
    pub terms: &'static Terms,
    pub url: url::Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    /// Attempts made so far.
    pub attempts: u32,
    /// What follows once this one is over, so that a message's receipts leave in order.
    pub then: Option<Followup>,
}

/// What follows a callback, and how much later.
#[derive(Clone)]
pub(super) struct Followup {
    pub after: Duration,
    pub event: Event,
}

/// What a provider expects of an answer, and when it tries again.
pub(super) struct Terms {
    /// The statuses that it takes for received.
    pub taken: RangeInclusive<u16>,
    /// Whether it tries again after a status that it does not take. It always does when there is no answer at all.
    pub again: fn(u16) -> bool,
    /// How long it waits for the answer at most; the settings may say less.
    pub within_ms: u64,
}

/// What must be settled with a receiver before anything is posted to it.
pub(super) trait Gate: Send + Sync {
    /// Whether it lets posts through, once that is settled.
    fn open<'a>(&'a self, state: &'a State) -> BoxFuture<'a, bool>;
}

/// A callback, and what must be settled before it is posted for the first time, if anything.
pub(super) type Gated = (Option<Arc<dyn Gate>>, Callback);

/// What a callback carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Receipt,
    Reply,
}

/// What became of the receipts, or of the replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallbackCounts {
    /// Posted and answered as the provider wants it.
    pub sent: u64,
    /// Given up: refused for good, or out of attempts.
    pub failed: u64,
    /// Attempts that were answered, but not as the provider wants it.
    pub refused: u64,
    /// Attempts after the first.
    pub retried: u64,
    /// Not posted on purpose (a fault or a magic number), or because no URL is known.
    pub withheld: u64,
    /// Posted a second time on purpose.
    pub duplicated: u64,
}

/// The same, while counting.
#[derive(Default)]
pub(super) struct Counters {
    pub sent: AtomicU64,
    pub failed: AtomicU64,
    pub refused: AtomicU64,
    pub retried: AtomicU64,
    pub withheld: AtomicU64,
    pub duplicated: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> CallbackCounts {
        CallbackCounts {
            sent: self.sent.load(Relaxed),
            failed: self.failed.load(Relaxed),
            refused: self.refused.load(Relaxed),
            retried: self.retried.load(Relaxed),
            withheld: self.withheld.load(Relaxed),
            duplicated: self.duplicated.load(Relaxed),
        }
    }

    pub(super) fn clear(&self) {
        let all = [&self.sent, &self.failed, &self.refused, &self.retried, &self.withheld, &self.duplicated];
        for counter in all {
            counter.store(0, Relaxed);
        }
    }
}

impl std::ops::AddAssign for CallbackCounts {
    fn add_assign(&mut self, more: CallbackCounts) {
        self.sent += more.sent;
        self.failed += more.failed;
        self.refused += more.refused;
        self.retried += more.retried;
        self.withheld += more.withheld;
        self.duplicated += more.duplicated;
    }
}

/// Runs until told to stop. A failure of a single post's task ends it, which the server notices.
pub(super) async fn run(state: Arc<State>, mut stop: watch::Receiver<bool>) -> Result<(), JoinError> {
    let concurrency = state.settings.callbacks.concurrency;
    let mut posting: JoinSet<()> = JoinSet::new();
    loop {
        let free = concurrency.saturating_sub(posting.len());
        let (due, next) = state.schedule.take_due(free);
        for event in due {
            match prepare(&state, event) {
                Some((gate, callback)) => {
                    let state = state.clone();
                    posting.spawn(async move {
                        match gate {
                            Some(gate) if !gate.open(&state).await => withhold(&state, callback),
                            Some(_) | None => post(&state, callback).await,
                        }
                        state.schedule.over();
                    });
                }
                None => state.schedule.over(),
            }
        }
        let full = posting.len() >= concurrency;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = posting.join_next(), if !posting.is_empty() => ended?,
            () = state.schedule.earlier.notified(), if !full => {}
            () = until(next), if !full => {}
        }
    }
    posting.shutdown().await;
    Ok(())
}

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn prepare(state: &Arc<State>, event: Event) -> Option<Gated> {
    match event {
        Event::Twilio(event) => state.twilio.perform(state, event).map(|callback| (None, callback)),
        Event::TeleSign(event) => state.telesign.perform(state, event).map(|callback| (None, callback)),
        Event::Acs(event) => state.acs.perform(state, event),
        Event::Post(callback) => Some((None, *callback)),
    }
}

fn withhold(state: &State, callback: Callback) {
    state.counters(callback.provider, callback.kind).withheld.fetch_add(1, Relaxed);
    go_on(state, callback);
}

async fn post(state: &State, mut callback: Callback) {
    let within = state.settings.callbacks.timeout_ms.min(callback.terms.within_ms);
    let request = state.client.post(callback.url.clone()).timeout(Duration::from_millis(within));
    let request = callback.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = request.body(callback.body.clone()).send().await.map(|response| response.status().as_u16());
    callback.attempts += 1;
    let counters = state.counters(callback.provider, callback.kind);
    let again = match answer {
        Ok(status) if callback.terms.taken.contains(&status) => {
            counters.sent.fetch_add(1, Relaxed);
            return go_on(state, callback);
        }
        Ok(status) => {
            tracing::warn!(status, "sandbox: a callback was refused");
            counters.refused.fetch_add(1, Relaxed);
            (callback.terms.again)(status)
        }
        Err(_) => true,
    };
    if again && callback.attempts < state.settings.callbacks.attempts {
        counters.retried.fetch_add(1, Relaxed);
        let wait = backoff(&state.settings.callbacks, callback.attempts);
        return state.schedule.add(wait, Event::Post(Box::new(callback)));
    }
    tracing::warn!(attempts = callback.attempts, "sandbox: a callback was given up");
    counters.failed.fetch_add(1, Relaxed);
    go_on(state, callback);
}

fn go_on(state: &State, callback: Callback) {
    if let Some(then) = callback.then {
        state.schedule.add(then.after, then.event);
    }
}

pub(super) fn backoff(settings: &Callbacks, attempts: u32) -> Duration {
    let doubled = settings.retry_ms.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    Duration::from_millis(doubled.min(60_000))
}

/// The client that posts. It follows no redirects, as a redirected post loses its body and its signature.
pub(super) fn client(settings: &Callbacks) -> reqwest::Result<reqwest::Client> {
    // Somebody may have installed a provider before; theirs is as good.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_millis(settings.timeout_ms))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}
