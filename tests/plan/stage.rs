//! The whole engine, from a file to the last outcome: the store, the claim, the waves, the provider over HTTP, on a clock that is
//! moved on when nothing moves. The plans are those that people see.

use std::{fmt::Write as _, time::Duration};

use tokio::net::TcpListener;

use super::hold;
use crate::{
    book::Books,
    clock::{Clock, ManualClock, Stopwatch},
    config::{Config, WorkerConfig},
    definitions::{self, DefinitionSet},
    domain::{
        contact::ChannelType,
        id::{ConsentChangeId, OrgId, RunId},
        message::Status,
        phone::E164,
        plan::Bound,
        rate::Rate,
        run::RunStatus,
        time::Timestamp,
    },
    engine::{Engine, Parts},
    intake::{
        plan::{self, Desk, PlanView},
        upload::{self, OnInvalid, OnSameFile, Upload},
    },
    sandbox::{Sandbox, Settings},
    secret::Secrets,
    store::{
        Store,
        consents::{Consent, ConsentChange},
    },
    telemetry::Metrics,
};

const ROWS: u64 = 5_000;
/// Each twentieth repeats the number before it, and as many have opted out.
const SPARED: u64 = ROWS / 20 * 2;
const SLOTS: usize = 16;
/// What is no further away than this is moved to at once: nobody is overtaken by so little.
const NEAR: Duration = Duration::from_millis(50);
/// Between two looks at the database.
const LOOK: Duration = Duration::from_millis(5);
/// While nothing is being worked on, nothing moves any more when nothing has for so long, by the machine's clock.
const STILL: Duration = Duration::from_millis(15);
/// The same while something is being worked on, which may be slow where many share the machine.
const STUCK: Duration = Duration::from_secs(2);
/// The longest that the engine may take by the machine's clock.
const DEADLINE: Duration = Duration::from_secs(120);

struct Stage {
    store: Store,
    books: Books,
    clock: Clock,
    hand: ManualClock,
    sandbox: Sandbox,
    org: OrgId,
    folder: tempfile::TempDir,
}

fn number(row: u64) -> E164 {
    let repeats = row.is_multiple_of(20);
    E164::from_digits(4_915_110_000_000 + row - u64::from(repeats && row > 0))
}

fn file() -> String {
    let mut text = "Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate\n".to_owned();
    for row in 1..=ROWS {
        let locale = ["en", "de", "ja"][(row % 3) as usize];
        writeln!(text, "{},yes,{locale},Ana,AC-1,Monday", number(row)).unwrap();
    }
    text
}

impl Stage {
    /// Everything leaves through a number at Twilio, which does not care what time it is here.
    async fn set(quota: u64, pace: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("herald.db").display())).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::start(listener, Settings::default()).await.unwrap();
        let mut set = DefinitionSet::from_source(&definitions::acme()).unwrap();
        set.accounts.values_mut().for_each(|account| account.redirect(sandbox.base_url()));
        set.organization.quota = Rate { count: quota, per: Duration::from_hours(1) };
        let channel = set.channels.get_mut("support-sms").unwrap();
        (channel.pace, channel.fallback) = (Some(pace.parse().unwrap()), None);
        channel.prices =
            Some(toml::from_str("currency = \"EUR\"\ndefault = \"0.01\"\n[country]\nDE = \"0.0850\"").unwrap());
        "support-sms".clone_into(&mut set.configurations.get_mut("shipping-delay").unwrap().channel);
        let (clock, hand) = Clock::manual(Clock::system().now());
        definitions::apply(&store, &set, clock.now(), rand::random).await.unwrap();
        let secrets = Secrets::from_environment().with_override("ACME_TWILIO_TOKEN", Settings::DEFAULT_AUTH_TOKEN);
        let books = Books::new(store.clone(), secrets);
        let org = set.organization.id.clone();
        let opted_out = (1..=ROWS).filter(|row| row % 20 == 5).map(|row| ConsentChange {
            id: ConsentChangeId::new(clock.now(), rand::random()),
            channel_type: ChannelType::Sms,
            of: number(row),
            consent: Consent::Out,
            source: "import".to_owned(),
            actor: "operator".to_owned(),
            at: clock.now(),
        });
        store.set_consents(&org, &opted_out.collect::<Vec<_>>()).await.unwrap();
        std::fs::write(folder.path().join("people.csv"), file()).unwrap();
        Self { store, books, clock, hand, sandbox, org, folder }
    }

    async fn upload(&self) -> Upload {
        let book = self.books.current(&self.org).await.unwrap().unwrap();
        let configuration = book.configuration("shipping-delay").unwrap().clone();
        let path = self.folder.path().join("people.csv");
        let (on_invalid, on_same_file) = (OnInvalid::Refuse, OnSameFile::Refuse);
        Upload { book, configuration, path, on_invalid, on_same_file, attested: None }
    }

    fn desk<'a>(&'a self, upload: &'a Upload) -> Desk<'a> {
        Desk { store: &self.store, book: &upload.book, slots: SLOTS, now: self.clock.now() }
    }

    fn engine(&self) -> Engine {
        let parts = Parts {
            store: self.store.clone(),
            books: self.books.clone(),
            clock: self.clock.clone(),
            metrics: std::sync::Arc::new(Metrics::new()),
            worker: WorkerConfig {
                slots: SLOTS,
                // The clock moves by leaps here: between two of them nothing may run out.
                lease: Duration::from_mins(10),
                poll: Duration::from_mins(1),
                ..Config::default().worker
            },
            public_url: None,
            only: None,
        };
        Engine::start(parts).unwrap()
    }

    /// How many of the run's messages wait, and whether any of its requests is being worked on.
    async fn look(&self, run: RunId) -> (i64, bool) {
        let waiting = self.store.sums(&self.org, run).await.unwrap().waiting();
        let run = self.store.run(&self.org, run).await.unwrap().unwrap();
        (waiting, run.dispatched > run.requests - run.open_requests)
    }

    /// Moves the clock on until so many of the run's messages wait no longer; when that was.
    async fn until(&self, run: RunId, waiting: i64) -> Timestamp {
        let (machine, watch) = (Clock::system(), Stopwatch::start());
        let (mut working, mut seen, mut since) = (true, (0, None), Stopwatch::start());
        let mut looked = Stopwatch::start();
        loop {
            machine.sleep(Duration::from_millis(1)).await;
            if looked.elapsed() > LOOK {
                let (left, busy) = self.look(run).await;
                if left <= waiting {
                    return self.clock.now();
                }
                (working, looked) = (busy, Stopwatch::start());
            }
            let (next, calls) = (self.hand.next_wait(), self.sandbox.summary().calls);
            if seen != (calls, next) {
                (seen, since) = ((calls, next), Stopwatch::start());
            }
            let still = if working { STUCK } else { STILL };
            let near = next.is_some_and(|next| next.since(self.clock.now()) <= NEAR);
            if let Some(next) = next.filter(|_| near || since.elapsed() > still) {
                self.hand.set(next);
                since = Stopwatch::start();
            }
            assert!(watch.elapsed() < DEADLINE, "{waiting} were to be left, {:?}", self.look(run).await);
        }
    }
}

/// Sends a file; what the plan said before the start and halfway is held against the end. The first plan.
async fn accurate(what: &str, quota: u64, pace: &str) -> PlanView {
    let stage = Stage::set(quota, pace).await;
    let upload = stage.upload().await;
    let preview = upload::preview(&upload, |_| ()).await.unwrap();
    let before = plan::of_preview(stage.desk(&upload), &upload.configuration, &preview).await.unwrap();
    let run = upload::start(&stage.store, &stage.clock, &upload, |_| ()).await.unwrap();
    let started = stage.clock.now();
    let first = stage.store.run(&stage.org, run).await.unwrap().unwrap();
    let begun = plan::of_run(stage.desk(&upload), &first).await.unwrap();
    // Whom nothing is sent to costs nothing: the repetitions are known before, the opt-outs when the audience is taken in.
    assert_eq!((before.messages, begun.messages, begun.requests), (ROWS - SPARED / 2, ROWS - SPARED, ROWS / 100));
    assert_eq!(begun.whole.as_ref().unwrap().messages, begun.messages);

    let engine = stage.engine();
    let half = stage.until(run, i64::try_from(ROWS / 2).unwrap()).await;
    let halfway = stage.store.run(&stage.org, run).await.unwrap().unwrap();
    let halfway = plan::of_run(stage.desk(&upload), &halfway).await.unwrap();
    let ended = stage.until(run, 0).await;
    hold(&format!("{what}, before the start"), started, before.ends_at, ended);
    hold(&format!("{what}, as it starts"), started, begun.ends_at, ended);
    hold(&format!("{what}, halfway"), half, halfway.ends_at, ended);
    engine.stop(Duration::from_secs(10)).await.unwrap();

    let over = stage.store.run(&stage.org, run).await.unwrap().unwrap();
    let sums = stage.store.sums(&stage.org, run).await.unwrap();
    assert_eq!((over.status, sums.of(Status::Sent)), (RunStatus::Completed, i64::try_from(ROWS - SPARED).unwrap()));
    // What was planned is what was sent, to the segment; and then nothing is left.
    assert_eq!(i64::try_from(begun.segments).unwrap(), sums.segments());
    let after = plan::of_run(stage.desk(&upload), &over).await.unwrap();
    assert_eq!((after.messages, after.requests, after.ends_at), (0, 0, over.finished_at));
    assert_eq!(after.whole.unwrap().cost.unwrap().amount, begun.cost.unwrap().amount);
    stage.sandbox.stop().await.unwrap();
    before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_through_the_whole_engine_ends_when_its_pace_said() {
    let plan = accurate("5,000 through the engine at 100/s", 30_000, "100/s").await;
    assert_eq!(plan.bound_by, Bound::Pace);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_through_the_whole_engine_ends_when_its_hour_said() {
    let plan = accurate("5,000 through the engine, 12 requests an hour", 12, "100/s").await;
    assert_eq!(plan.bound_by, Bound::Quota);
}
