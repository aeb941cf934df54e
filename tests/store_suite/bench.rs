//! A database for each test, and the few things that most tests need.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use herald::{
    domain::{
        canary::Guard,
        contact::{ChannelType, Contact, OptIn, Slugs},
        definition::{OnUncertain, Organization},
        fairness::Priority,
        id::{ConfigurationId, MessageId, OrgId, RunId, TemplateId},
        message::Status,
        phone::E164,
        purpose::Purpose,
        rate::Rate,
        reason::Reason,
        run::{Pinned, Run, RunStatus},
        state::MessageState,
        time::{Span, Timestamp},
    },
    store::{
        Dialect, Store, StoreError,
        requests::{Claim, ClaimOrder, Claimed},
        runs::{Lasting, NewMessage, NewRun, Repeat},
        settle::{Fence, Finish, Intent, Word},
    },
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

/// When every test begins.
pub const START: i64 = 1_800_000_000_000;
/// How long a claim lasts here, in milliseconds.
pub const LEASE: i64 = 60_000;
/// A quota that nothing here uses up.
pub const PLENTY: u64 = 1_000_000;

/// So many milliseconds after the beginning.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// A store of its own.
#[derive(Clone)]
pub struct Bench {
    pub store: Store,
    pub url: Arc<str>,
}

pub async fn on_sqlite<F: Future<Output = ()> + Send + 'static>(body: fn(Bench) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("herald.db").display());
    run(&url, body).await;
}

pub async fn on_postgres<F: Future<Output = ()> + Send + 'static>(body: fn(Bench) -> F) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let server = std::env::var("HERALD_TEST_POSTGRES_URL");
    let server = server.expect("HERALD_TEST_POSTGRES_URL is not set: run ./test, which starts a server and sets it");
    let name = format!("herald_suite_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&server).await.unwrap();
    // Texts sort as they do on most servers, not by their bytes: what relies on bytes shall fail here.
    let usual = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'"
    );
    if sqlx::raw_sql(AssertSqlSafe(usual)).execute(&mut admin).await.is_err() {
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    }
    let (base, options) = server.split_once('?').map_or((server.as_str(), ""), |(base, options)| (base, options));
    let (base, _) = base.rsplit_once('/').unwrap();
    let url = format!("{base}/{name}{}{options}", if options.is_empty() { "" } else { "?" });
    let ended = tokio::spawn(async move { run(&url, body).await }).await;
    let dropped = sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut admin).await;
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic.into_panic());
    }
    dropped.unwrap();
}

async fn run<F: Future<Output = ()> + Send + 'static>(url: &str, body: fn(Bench) -> F) {
    let bench = Bench { store: Store::open(url).await.unwrap(), url: url.into() };
    let ended = tokio::spawn(body(bench.clone())).await;
    bench.store.close().await;
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic.into_panic());
    }
}

impl Bench {
    /// What any statement says, with a connection of its own: the texts and numbers of each row, one after another.
    pub async fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        macro_rules! ask {
            ($connection:ty) => {{
                let mut connection = <$connection>::connect(&self.url).await.unwrap();
                for row in sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap() {
                    let cell = |column: usize| {
                        let text = row.try_get_unchecked::<Option<String>, _>(column);
                        let number = || row.try_get_unchecked::<Option<i64>, _>(column).unwrap().map(|n| n.to_string());
                        text.unwrap_or_else(|_| number()).unwrap_or_default()
                    };
                    all.push((0..row.len()).map(cell).collect());
                }
            }};
        }
        match self.store.dialect() {
            Dialect::Sqlite => ask!(SqliteConnection),
            Dialect::Postgres => ask!(PgConnection),
        }
        all
    }

    /// An organization with so many requests an hour, and so many percent of them kept for automatic messages.
    pub async fn organization(&self, name: &str, limit: u64, reserved: u8) -> OrgId {
        let organization = organization(name, limit, reserved);
        self.store.save_definitions(&organization, &[], at(0)).await.unwrap();
        organization.id
    }

    /// An organization that no quota hinders.
    pub async fn acme(&self) -> OrgId {
        self.organization("acme", PLENTY, 0).await
    }

    /// A run of so many messages that is open from the beginning.
    pub async fn open(&self, org: &OrgId, priority: Priority, messages: i64) -> RunId {
        self.open_at(org, priority, messages, at(0)).await
    }

    pub async fn open_at(&self, org: &OrgId, priority: Priority, messages: i64, now: Timestamp) -> RunId {
        let run = self.store.begin_run(org, &new_run(priority), now).await.unwrap();
        self.store.add_chunk(org, run, 0, &new_messages(1, messages), &[], now).await.unwrap();
        self.store.open_run(org, run, now).await.unwrap();
        run
    }

    pub async fn try_claim(
        &self,
        org: &OrgId,
        priority: Priority,
        want: usize,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let lease_until = now.plus(Duration::from_millis(LEASE.unsigned_abs()));
        self.store.claim(ClaimOrder { org, priority, want, now, lease_until }).await
    }

    pub async fn claim(&self, org: &OrgId, priority: Priority, want: usize, now: Timestamp) -> Vec<Claimed> {
        self.try_claim(org, priority, want, now).await.unwrap().requests
    }

    pub async fn say(&self, request: &Claimed, word: &Word, now: Timestamp) -> Fence {
        self.store.settle(&[(request, word)], now).await.unwrap()[0]
    }

    /// Every message of the request has been taken by the provider.
    pub async fn send(&self, request: &Claimed, now: Timestamp) -> Fence {
        self.say(request, &all_sent(request, now), now).await
    }

    pub async fn run(&self, org: &OrgId, run: RunId) -> Run {
        self.store.run(org, run).await.unwrap().expect("the run")
    }

    pub async fn status(&self, org: &OrgId, run: RunId) -> RunStatus {
        self.run(org, run).await.status
    }

    pub async fn message(&self, run: RunId, seq: i64, org: &OrgId) -> MessageState {
        let message = self.store.message(org, MessageId { run, seq }).await.unwrap().expect("the message");
        message.state.expect("a state")
    }

    /// The running sums are what a fresh count finds, and the run counts its open requests as they are.
    pub async fn adds_up(&self, org: &OrgId, run: RunId) {
        let (kept, counted) = (self.store.sums(org, run).await.unwrap(), self.store.recount(org, run).await.unwrap());
        assert_eq!(kept.disagreements(&counted), Vec::<String>::new());
        assert_eq!(kept.segments(), counted.segments(), "segments");
        let open = format!(
            "SELECT COUNT(*) FROM requests WHERE org_id = '{org}' AND run_id = '{run}' AND state NOT IN ('done')"
        );
        assert_eq!(self.ask(&open).await, [[self.run(org, run).await.open_requests.to_string()]], "open requests");
    }

    /// Cancels a run to its end.
    pub async fn cancel(&self, org: &OrgId, run: RunId, now: Timestamp) {
        assert!(self.store.begin_cancel(org, run).await.unwrap());
        while self.store.cancel_some(org, run, now).await.unwrap() {}
    }

    /// The lanes that are due, by organization and name.
    pub async fn due(&self, now: Timestamp) -> Vec<(String, &'static str)> {
        let due = self.store.due_work(now, 100).await.unwrap();
        let mut due: Vec<_> = due.iter().map(|work| (work.org.to_string(), work.kind.as_str())).collect();
        due.sort();
        due
    }
}

/// Tries again what failed in passing, as the committer does.
pub async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(mut attempt: impl FnMut() -> F) -> T {
    for _ in 0..200 {
        match attempt().await {
            Ok(done) => return done,
            Err(problem) => assert!(problem.is_passing(), "{problem:?}"),
        }
    }
    panic!("no end of passing trouble");
}

pub fn organization(name: &str, limit: u64, reserved: u8) -> Organization {
    Organization {
        id: name.parse().unwrap(),
        name: name.to_owned(),
        timezone: "Europe/Berlin".parse().unwrap(),
        default_country: None,
        quota: Rate { count: limit, per: Duration::from_secs(3600) },
        reserved_for_automatic: reserved,
        frequency_cap: None,
        quiet_hours: None,
        templates: None,
    }
}

pub fn configuration(n: u128) -> ConfigurationId {
    ConfigurationId::new(at(0), n << 64)
}

pub fn new_run(priority: Priority) -> NewRun {
    NewRun {
        id: RunId::new(at(0), rand::random()),
        configuration: configuration(1),
        name: "Reminder".to_owned(),
        priority,
        firing: None,
        pinned: Pinned {
            channel: "main".to_owned(),
            template: Some(TemplateId::new(at(0), 1 << 64)),
            version: 1,
            valid_for: Span(Duration::from_secs(86_400)),
            on_uncertain: OnUncertain::Keep,
            show_in_timeline: false,
            purpose: Purpose::Transactional,
            channel_type: ChannelType::Sms,
            guard: Guard::none(),
        },
        source: "customers.csv".to_owned(),
        digest: String::new(),
        columns: vec!["to".to_owned(), "name".to_owned()],
        lasting: Lasting::OneAudience,
    }
}

/// The number of the n-th person.
pub fn number(n: i64) -> E164 {
    E164::from_digits(4_915_100_000_000 + n.unsigned_abs())
}

pub fn contact(n: i64) -> Contact {
    let mut slugs = Slugs::default();
    slugs.insert("name", format!("person {n}")).unwrap();
    Contact { to: number(n), opted_in: OptIn::Yes, locale: Some("fr-CA".parse().unwrap()), slugs }
}

pub fn new_messages(first: i64, count: i64) -> Vec<NewMessage> {
    (first..first + count).map(|n| NewMessage { row: n + 1, contact: contact(n), repeat: Repeat::First }).collect()
}

/// What an answer says.
pub fn state(status: Status, now: Timestamp) -> MessageState {
    let why = match status {
        Status::Queued => Some(Reason::Throttled.into()),
        Status::Uncertain => Some(Reason::NoAnswer.into()),
        Status::Failed => Some(Reason::InvalidNumber.into()),
        Status::Undelivered => Some(Reason::NotDelivered.into()),
        Status::Suppressed => Some(Reason::OptedOut.into()),
        Status::Expired => Some(Reason::Expired.into()),
        Status::Cancelled => Some(Reason::Cancelled.into()),
        Status::Sending | Status::Sent | Status::Delivered | Status::Read => None,
    };
    let sent_at = (status == Status::Sent).then_some(now);
    MessageState { sent_at, ..MessageState::new(status, why, now) }
}

/// What the holder of a request writes of a message.
pub fn answer(request: &Claimed, seq: i64, status: Status, now: Timestamp) -> (i64, MessageState) {
    let provider_id = if status == Status::Sent { format!("SM{seq}") } else { String::new() };
    let said =
        MessageState { token: request.token, provider_id, locale: "fr".to_owned(), segments: 2, ..state(status, now) };
    (seq, said)
}

pub fn all_sent(request: &Claimed, now: Timestamp) -> Word {
    let states = seqs(request).map(|seq| answer(request, seq, Status::Sent, now)).collect();
    Word { intent: None, states, finish: Some(Finish::Done { poll_at: None }) }
}

pub fn intent(begun: i64) -> Word {
    Word { intent: Some(Intent { begun, via: String::new(), first_sent: at(0) }), ..Word::default() }
}

pub fn retry_at(when: Timestamp) -> Word {
    Word { finish: Some(Finish::RetryAt(when)), ..Word::default() }
}

/// The places of a request's messages.
pub fn seqs(request: &Claimed) -> std::ops::Range<i64> {
    request.first_seq..request.first_seq + request.size
}

/// Chance that is the same every time.
pub struct Dice(pub u64);

impl Dice {
    /// A whole number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }
}
