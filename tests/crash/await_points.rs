//! A crash at every await point of one request: its future is polled n times and dropped, n = 1, 2, 3, …; another engine then
//! takes the request over, and the sandbox's log has every message exactly once.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{net::TcpListener, task::JoinSet};

use super::{Parts, Shared, lease::Lease, sender};
use crate::{
    book::Books,
    clock::{Clock, Stopwatch},
    config::Config,
    definitions::{self, DefinitionSet},
    domain::{
        contact::{Contact, OptIn, Slugs},
        fairness::Priority,
        id::{OrgId, RunId},
        message::Status,
        phone::E164,
        rate::Rate,
        run::RunStatus,
    },
    intake::begin,
    sandbox::{Sandbox, Settings},
    secret::Secrets,
    store::{
        Store,
        requests::{ClaimOrder, Claimed},
        runs::{NewMessage, Repeat},
    },
    telemetry::Metrics,
};

/// More than leave at once at this pace, so that answers come one by one.
const MESSAGES: usize = 8;
const PACE: Rate = Rate { count: 60, per: Duration::from_secs(1) };
const LEASE: Duration = Duration::from_secs(60);
/// What a dropped call may still do at the other end, it has done when nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(20);

struct Stage {
    store: Store,
    books: Books,
    clock: Clock,
    hand: crate::clock::ManualClock,
    sandbox: Sandbox,
    org: OrgId,
    _folder: tempfile::TempDir,
    _ticking: JoinSet<()>,
}

impl Stage {
    /// Everything leaves through this channel.
    async fn set(channel: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("herald.db").display())).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::start(listener, Settings::default()).await.unwrap();
        let mut set = DefinitionSet::from_source(&definitions::acme()).unwrap();
        set.accounts.values_mut().for_each(|account| account.redirect(sandbox.base_url()));
        for channel in set.channels.values_mut() {
            (channel.pace, channel.fallback) = (Some(PACE), None);
        }
        channel.clone_into(&mut set.configurations.get_mut("case-resolved").unwrap().channel);
        // The sandbox dates messages by the machine's clock, and look-ups go by its dates.
        let (clock, hand) = Clock::manual(Clock::system().now());
        definitions::apply(&store, &set, clock.now(), rand::random).await.unwrap();
        let secrets = Secrets::from_environment()
            .with_override("ACME_TWILIO_TOKEN", Settings::DEFAULT_AUTH_TOKEN)
            .with_override("ACME_ACS_KEY", Settings::DEFAULT_ACS_ACCESS_KEY);
        let books = Books::new(store.clone(), secrets);
        // The pace goes by this clock: it runs.
        let mut ticking = JoinSet::new();
        ticking.spawn(tick(hand.clone()));
        Self { store, books, clock, hand, sandbox, org: set.organization.id, _folder: folder, _ticking: ticking }
    }

    fn engine(&self) -> Arc<Shared> {
        let parts = Parts {
            store: self.store.clone(),
            books: self.books.clone(),
            clock: self.clock.clone(),
            metrics: Arc::new(Metrics::new()),
            worker: Config::default().worker,
            public_url: None,
            only: None,
        };
        Shared::assemble(parts).unwrap().0
    }

    /// One request of a run to people who have not been written to.
    async fn run(&self, round: usize) -> RunId {
        let book = self.books.current(&self.org).await.unwrap().unwrap();
        let ready = book.configuration("case-resolved").unwrap();
        let pinned = begin::pin(&book, ready).unwrap();
        let new = begin::new_run(&self.clock, ready, pinned, Priority::Instant, "a test".to_owned());
        let run = self.store.begin_run(&self.org, &new, self.clock.now()).await.unwrap();
        let messages: Vec<NewMessage> = (0..MESSAGES).map(|place| message(round * MESSAGES + place)).collect();
        self.store.add_chunk(&self.org, run, 0, &messages, &[], self.clock.now()).await.unwrap();
        self.store.open_run(&self.org, run, self.clock.now()).await.unwrap();
        run
    }

    async fn claim(&self) -> Option<Claimed> {
        let now = self.clock.now();
        let order =
            ClaimOrder { org: &self.org, priority: Priority::Instant, want: 1, now, lease_until: now.plus(LEASE) };
        self.store.claim(order).await.unwrap().requests.pop()
    }

    /// Works on a claimed request for so many polls; whether it came to its end.
    async fn work(&self, engine: &Shared, request: Claimed, polls: usize) -> bool {
        let book = self.books.current(&self.org).await.unwrap().unwrap();
        let now = self.clock.now();
        let lease = Lease::new(now.plus(LEASE), LEASE);
        let mut future = pin!(sender::send(engine, Arc::new(request), lease, book, now));
        let mut left = polls;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            match future.as_mut().poll(context) {
                Poll::Ready(done) => {
                    done.unwrap();
                    Poll::Ready(true)
                }
                Poll::Pending if left == 0 => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// The run is paused before whoever took over has made a call: what may have been sent is still known as that, and is not
    /// taken for something that never left.
    async fn paused_at_once(&self, request: Claimed, run: RunId, rounds: u64) {
        assert!(self.store.stop_run(&self.org, run, "paused", "").await.unwrap());
        self.work(&self.engine(), request, usize::MAX).await;
        self.quiet().await;
        let sums = self.store.sums(&self.org, run).await.unwrap();
        let known = self.store.handed_over(&self.org, run).await.unwrap() + sums.of(Status::Uncertain);
        let accepted = self.sandbox.summary().accepted - rounds * MESSAGES as u64;
        assert!(accepted <= u64::try_from(known).unwrap(), "{accepted} were accepted, {known} are known: {sums:?}");
        assert!(self.store.resume_run(&self.org, run, self.clock.now()).await.unwrap());
    }

    /// Waits until the sandbox has dealt with what was on its way.
    async fn quiet(&self) {
        let real = Clock::system();
        let (mut seen, mut since) = (self.sandbox.summary().calls, Stopwatch::start());
        while since.elapsed() < QUIET {
            real.sleep(Duration::from_millis(2)).await;
            let calls = self.sandbox.summary().calls;
            if calls != seen {
                (seen, since) = (calls, Stopwatch::start());
            }
        }
    }
}

async fn tick(hand: crate::clock::ManualClock) {
    let step = Duration::from_millis(5);
    loop {
        Clock::system().sleep(step).await;
        hand.advance(step);
    }
}

fn message(place: usize) -> NewMessage {
    let mut slugs = Slugs::default();
    slugs.insert("CustomerName", "Ana".to_owned()).unwrap();
    // Some texts are the same: where a provider takes many recipients at once, they share a call.
    slugs.insert("CaseName", format!("Heater {}", place % 4)).unwrap();
    let to = E164::from_digits(4_915_110_000_000 + place as u64);
    let contact = Contact { to, opted_in: OptIn::Yes, locale: None, slugs };
    NewMessage { row: i64::try_from(place).unwrap(), contact, repeat: Repeat::First }
}

/// Twilio is asked about what is in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_every_await_point_loses_nothing_and_sends_nothing_twice() {
    crash_at_every_await_point("support-sms").await;
}

/// Azure is handed it again, under the same id and the same first time.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_every_await_point_repeats_only_what_is_known_as_a_repeat() {
    let repeats = crash_at_every_await_point("reminders-acs").await;
    assert!(repeats > 0, "nothing was ever handed over again");
}

/// How often the provider was handed something again that it had taken already.
async fn crash_at_every_await_point(channel: &str) -> u64 {
    let stage = Stage::set(channel).await;
    let (mut doubts, mut rounds) = (0, 0);
    for polls in 1..2_000 {
        let run = stage.run(polls).await;
        let request = stage.claim().await.unwrap();
        let engine = stage.engine();
        let done = stage.work(&engine, request, polls).await;
        drop(engine);
        stage.quiet().await;

        // The lease ends, and another engine takes over; again and again if something is still in doubt.
        let known = stage.store.handed_over(&stage.org, run).await.unwrap();
        doubts += stage.sandbox.summary().accepted - u64::try_from(known).unwrap() - rounds * MESSAGES as u64;
        let mut takeovers = 0;
        while stage.store.run(&stage.org, run).await.unwrap().unwrap().status != RunStatus::Completed {
            stage.hand.advance(LEASE + Duration::from_secs(1));
            takeovers += 1;
            assert!(takeovers < 9, "dropped after {polls} polls, the request has no end");
            let Some(request) = stage.claim().await else { continue };
            if takeovers == 1 {
                stage.paused_at_once(request, run, rounds).await;
                continue;
            }
            // The first one that takes over crashes as well, while it asks about what is in doubt or sends the rest.
            let polls = if takeovers == 2 { polls / 2 + 1 } else { usize::MAX };
            stage.work(&stage.engine(), request, polls).await;
            stage.quiet().await;
        }
        rounds += 1;
        audit(&stage, run, polls, rounds).await;
        stage.hand.set(Clock::system().now());
        if done {
            println!(
                "{rounds} crashes, {doubts} messages accepted but not written when it crashed, none lost, none twice"
            );
            assert!(rounds > 10 && doubts > 0, "it crashed where it matters: {rounds} rounds, {doubts} doubts");
            return stage.sandbox.summary().repeats;
        }
    }
    unreachable!("2,000 polls are enough");
}

async fn audit(stage: &Stage, run: RunId, polls: usize, rounds: u64) {
    let summary = stage.sandbox.summary();
    assert_eq!(
        (summary.accepted, summary.recipients_more_than_once),
        (rounds * MESSAGES as u64, 0),
        "dropped after {polls} polls: {:?}",
        summary.more_than_once
    );
    let (kept, counted) =
        (stage.store.sums(&stage.org, run).await.unwrap(), stage.store.recount(&stage.org, run).await.unwrap());
    assert_eq!(kept.disagreements(&counted), Vec::<String>::new(), "dropped after {polls} polls");
    // What a look-up found may have been delivered already.
    let handed_over = kept.of(Status::Sent) + kept.of(Status::Delivered);
    assert_eq!(handed_over, i64::try_from(MESSAGES).unwrap(), "dropped after {polls} polls: {kept:?}");
}
