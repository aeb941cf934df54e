//! A whole herald in this process: a fresh database, the API, the loops and the engine, and the sandbox in the provider's
//! place, over real HTTP. What is played on it is `tests/journeys` and `tests/http.rs`.
//!
//! The time is a clock that runs with the machine's and can be moved ahead by hand; nothing here waits for a time to pass, only
//! for conditions, each with a deadline.

pub mod database;
pub mod people;

use std::{path::PathBuf, time::Duration};

use herald::{
    app::{App, Roles, Running},
    clock::{Clock, ManualClock},
    config::{Config, DatabaseUrl},
    definitions::{self, Applied, DefinitionSet},
    domain::{
        id::{OrgId, RunId},
        message::Status,
        run::{Run, Sums},
    },
    intake::upload::{self, NotSent, OnInvalid, OnSameFile, Upload},
    sandbox::{Callbacks, Receipts, Replies, Sandbox, Settings},
    secret::Secrets,
};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, SqliteConnection};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};

pub use database::Database;

/// The longest that anything may take to come about.
pub const DEADLINE: Duration = Duration::from_secs(40);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// The signing secret of the example's hook.
pub const HOOK_SECRET: &str = "whsec_dGVzdC10ZXN0LXRlc3QtdGVzdC10ZXN0LXRlc3QtdGU=";
/// The channel of the example that journeys send through.
pub const CHANNEL: &str = "support-sms";
/// The sender of the example's channel.
pub const SENDER: &str = "+14252306549";

/// How a stage is to be set.
pub struct Setup {
    /// On which engine.
    pub database: Database,
    /// The sandbox.
    pub sandbox: Settings,
    /// herald's settings; the database and the addresses are filled in.
    pub config: Config,
    /// The example's definitions, which a journey may change before they are applied.
    pub set: DefinitionSet,
    /// What herald knows as the account's auth token.
    pub token: String,
}

impl Setup {
    /// The example organization on a fresh database, with a sandbox that is quick to report.
    pub fn new(database: Database) -> Self {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Settings {
            receipts: Receipts { enabled: true, min_delay_ms: 0, max_delay_ms: 5 },
            replies: Replies { min_delay_ms: 0, max_delay_ms: 5, ..Replies::default() },
            callbacks: Callbacks { retry_ms: 50, concurrency: 8, ..Callbacks::default() },
            ..Settings::default()
        };
        let mut config = Config::default();
        config.worker.poll = Duration::from_millis(50);
        let mut set = DefinitionSet::from_source(&definitions::acme()).unwrap();
        one_sender(&mut set);
        Self { database, sandbox, config, set, token: Settings::DEFAULT_AUTH_TOKEN.to_owned() }
    }
}

/// Everything that runs. Dropping it ends it at once; [`Stage::strike`] ends it in good order.
pub struct Stage {
    pub app: App,
    pub org: OrgId,
    pub running: Option<Running>,
    pub sandbox: Option<Sandbox>,
    pub sandbox_settings: Settings,
    pub base_url: String,
    pub set: DefinitionSet,
    pub applied: Applied,
    pub client: reqwest::Client,
    pub folder: TempDir,
    pub hand: ManualClock,
    _ticking: JoinSet<()>,
}

impl Stage {
    /// Starts everything and applies the definitions; `None` where the engine is not to be had.
    pub async fn set(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = setup.database.fresh(&folder).await;
        let (clock, hand) = Clock::manual(Clock::system().now());
        let mut ticking = JoinSet::new();
        ticking.spawn(tick(hand.clone()));

        let sandbox = Sandbox::start(listener("127.0.0.1:0").await, setup.sandbox.clone()).await.unwrap();
        let listener = listener("127.0.0.1:0").await;
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = setup.config;
        config.database_url = DatabaseUrl::from(url);
        config.public_url = Some(base_url.clone());
        let app = App::open(config, secrets(&setup.token), clock).await.unwrap();
        let mut set = setup.set;
        point_at(&mut set, &sandbox);
        let applied = definitions::apply(&app.store, &set, app.clock.now(), rand::random).await.unwrap();
        let running = Running::start(&app, &everything(), Some(listener)).unwrap();
        let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap();
        if let Some(token) = applied.callback_tokens.get("acs") {
            // Azure is told where its events go; the others hear it with each message.
            let events = serde_json::json!({ "events": { "callback_url": format!("{base_url}/callbacks/{token}") } });
            let place = format!("{}/sandbox/acs/events", sandbox.base_url());
            assert!(client.put(place).body(events.to_string()).send().await.unwrap().status().is_success());
        }
        Self {
            org: set.organization.id.clone(),
            app,
            running: Some(running),
            sandbox: Some(sandbox),
            sandbox_settings: setup.sandbox,
            base_url,
            set,
            applied,
            client,
            folder,
            hand,
            _ticking: ticking,
        }
    }

    /// The sandbox, which is up.
    pub fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().unwrap()
    }

    /// Ends everything in good order, and finds out whether something had broken.
    pub async fn strike(mut self) {
        self.running.take().unwrap().stop().await.unwrap();
        self.sandbox.take().unwrap().stop().await.unwrap();
        self.app.store.close().await;
    }

    /// Waits until `look` finds what it looks for.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let mut again = tokio::time::interval(LOOK);
        let looking = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                again.tick().await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, looking).await;
        found.unwrap_or_else(|_| {
            panic!("after {DEADLINE:?} still not: {what}; {:?}", self.sandbox.as_ref().map(Sandbox::summary))
        })
    }

    /// What is to be sent through a configuration.
    pub async fn upload(&self, configuration: &str, csv: &str) -> Upload {
        let path = self.file(csv);
        let book = self.app.organization(Some(&self.org)).await.unwrap();
        let configuration = book.configuration(configuration).unwrap().clone();
        let (on_invalid, on_same_file) = (OnInvalid::Refuse, OnSameFile::Refuse);
        Upload { book, configuration, path, on_invalid, on_same_file, attested: None }
    }

    fn file(&self, csv: &str) -> PathBuf {
        let name = format!("upload-{}.csv", std::fs::read_dir(self.folder.path()).unwrap().count());
        let path = self.folder.path().join(name);
        std::fs::write(&path, csv).unwrap();
        path
    }

    /// Makes a run of an upload, as `herald send` does.
    pub async fn begin(&self, upload: &Upload) -> Result<RunId, NotSent> {
        upload::start(&self.app.store, &self.app.clock, upload, |_| ()).await
    }

    /// Makes a run of a file that is good.
    pub async fn send(&self, configuration: &str, csv: &str) -> RunId {
        let upload = self.upload(configuration, csv).await;
        self.begin(&upload).await.unwrap()
    }

    /// A run as it stands.
    pub async fn run(&self, run: RunId) -> Run {
        self.app.store.run(&self.org, run).await.unwrap().unwrap()
    }

    /// A run's sums as they stand.
    pub async fn sums(&self, run: RunId) -> Sums {
        self.app.store.sums(&self.org, run).await.unwrap()
    }

    /// Waits until a run is over and every receipt and reply has come and been applied.
    pub async fn over(&self, run: RunId) -> Sums {
        self.until(&format!("{run} is over"), async || self.run(run).await.status.is_over().then_some(())).await;
        self.quiet().await;
        self.sums(run).await
    }

    /// Waits until the sandbox has nothing more to say, and herald has applied all that it said.
    pub async fn quiet(&self) {
        self.until("all callbacks are posted and applied", async || {
            let posted = self.sandbox().summary().pending == 0;
            (posted && self.app.store.waiting_callbacks(&self.org, 1).await.unwrap().is_empty()).then_some(())
        })
        .await;
    }

    /// One number that a statement finds in the database, past the store.
    pub async fn number(&self, sql: &str) -> i64 {
        let url = self.app.config.database_url.expose();
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        if url.starts_with("sqlite:") {
            SqliteConnection::connect(url).await.unwrap().fetch_one(sql).await.unwrap().get(0)
        } else {
            PgConnection::connect(url).await.unwrap().fetch_one(sql).await.unwrap().get(0)
        }
    }
}

/// How many messages stand in a bucket, for one reason's code or for any.
pub fn bucket(sums: &Sums, status: Status, code: Option<&str>) -> i64 {
    let tallies =
        sums.tallies.iter().filter(|tally| tally.status == status && code.is_none_or(|code| tally.code == code));
    tallies.map(|tally| tally.messages).sum()
}

/// All that a herald can be.
pub fn everything() -> Roles {
    Roles { api: true, scheduler: true, worker: true, only: None }
}

/// What the definitions' references lead to.
pub fn secrets(token: &str) -> Secrets {
    Secrets::from_environment()
        .with_override("ACME_TWILIO_TOKEN", token)
        .with_override("ACME_TELESIGN_KEY", Settings::DEFAULT_API_KEY)
        .with_override("ACME_ACS_KEY", Settings::DEFAULT_ACS_ACCESS_KEY)
        .with_override("ACME_HOOK_SECRET", HOOK_SECRET)
        .with_override("ACME_ENDPOINT_SECRET", HOOK_SECRET)
        .with_override("HERALD_SEAL_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
}

/// Lets every SMS of the example leave through its Twilio number, which nobody stands in for: what is played is herald's own part.
/// A journey through other providers says so itself.
pub fn one_sender(set: &mut DefinitionSet) {
    set.channels.get_mut(CHANNEL).unwrap().fallback = None;
    for name in ["case-resolved", "monthly-reminder"] {
        CHANNEL.clone_into(&mut set.configurations.get_mut(name).unwrap().channel);
    }
}

/// Lets every account of a set be one of the sandbox's.
pub fn point_at(set: &mut DefinitionSet, sandbox: &Sandbox) {
    for account in set.accounts.values_mut() {
        account.redirect(sandbox.base_url());
    }
}

/// An address of this machine, taken.
pub async fn listener(address: &str) -> TcpListener {
    TcpListener::bind(address).await.unwrap()
}

/// A file for the configuration `shipping-delay`: one row for each number.
pub fn shipping(numbers: impl IntoIterator<Item = String>) -> String {
    let rows = numbers.into_iter().map(|number| format!("{number},yes,en,Ana,AC-1,Monday\n"));
    format!("Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate\n{}", rows.collect::<String>())
}

/// The nth of a hundred thousand numbers, of which some are magic: those named in `sandbox::MAGIC`.
pub fn phone(nth: u32) -> String {
    format!("+49151555{nth:05}")
}

async fn tick(hand: ManualClock) {
    let step = Duration::from_millis(10);
    let mut ticks = tokio::time::interval(step);
    loop {
        ticks.tick().await;
        hand.advance(step);
    }
}
