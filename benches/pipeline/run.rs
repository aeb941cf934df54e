//! The pipeline, once: a file is checked, taken in, claimed, rendered, handed over, and every outcome is durable.
//!
//! The same parts as in `herald serve`, the engine running before the file comes. What is timed begins with the file on
//! disk and ends when the store says that the run is completed; that the sums hold is checked after that.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use herald::{
    book::Books,
    clock::{Clock, Stopwatch},
    config::Config,
    domain::{
        account::{Account, TwilioSettings},
        definition::{Configuration, Organization, Trigger},
        id::{OrgId, RunId},
        message::Status,
        run::RunStatus,
        secret_ref::SecretRef,
        time::Span,
    },
    engine::{Engine, Parts},
    intake::upload::{self, OnInvalid, OnSameFile, Upload},
    secret::Secrets,
    store::{
        Store,
        definitions::{Kind, NewDefinition},
    },
    telemetry::Metrics,
    template::starter,
};
use serde::{Deserialize, Serialize};

use super::{Load, audience, process};

/// Between two looks whether the run is over.
const POLL: Duration = Duration::from_millis(10);
const TOKEN: &str = "BENCH_TWILIO_TOKEN";

/// What to run, on what.
#[derive(Debug, Args)]
pub struct Run {
    #[arg(long)]
    url: String,
    #[arg(long)]
    csv: PathBuf,
    #[arg(long)]
    sink: String,
    #[command(flatten)]
    load: Load,
}

/// What came of it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Done {
    /// Rows that the store counts as sent, and what else there is.
    pub sent: i64,
    /// Every bucket.
    pub buckets: Vec<(String, i64)>,
    /// Where the running sums and a count of the rows disagree.
    pub disagreements: Vec<String>,
    /// From the file to the open run.
    pub import_seconds: f64,
    /// From the open run to the completed one.
    pub send_seconds: f64,
    /// Processor time of the two.
    pub cpu_seconds: Option<f64>,
    /// The most memory.
    pub peak_rss_mb: Option<f64>,
    /// How the store makes a commit durable, as the engine itself says.
    pub durability: Vec<(String, String)>,
}

/// Runs it and says what came of it.
pub fn once(run: &Run) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(drive(run))?;
    process::say(&serde_json::to_string(&done)?);
    Ok(ExitCode::SUCCESS)
}

async fn drive(run: &Run) -> anyhow::Result<Done> {
    let clock = Clock::system();
    let store = Store::open(&run.url).await?;
    let durability = store.durability().await?.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let org: OrgId = "bench".parse()?;
    define(&store, &clock, &org, &run.sink).await?;
    let books = Books::new(store.clone(), Secrets::from_environment().with_override(TOKEN, audience::AUTH_TOKEN));
    let book = books.current(&org).await?.context("the organization is gone")?;
    let worker = herald::config::WorkerConfig {
        slots: run.load.slots,
        concurrency: run.load.concurrency,
        ..Config::default().worker
    };
    let metrics = Arc::new(Metrics::new());
    let parts = Parts {
        store: store.clone(),
        books,
        clock: clock.clone(),
        metrics: metrics.clone(),
        worker,
        public_url: None,
        only: None,
    };
    let mut engine = Engine::start(parts)?;
    let file = Upload {
        configuration: book.configuration("bench")?.clone(),
        book,
        path: run.csv.clone(),
        on_invalid: OnInvalid::Refuse,
        on_same_file: OnSameFile::Refuse,
        attested: None,
    };

    let (watch, cpu) = (Stopwatch::start(), process::cpu_seconds());
    let id = upload::start(&store, &clock, &file, |_| ()).await?;
    let import_seconds = watch.elapsed().as_secs_f64();
    tokio::select! {
        completed = completion(&store, &clock, &org, id) => completed?,
        ended = engine.ended() => {
            ended?;
            bail!("the engine has ended by itself");
        }
    }
    let send_seconds = watch.elapsed().as_secs_f64() - import_seconds;
    let cpu_seconds = process::cpu_seconds().zip(cpu).map(|(after, before)| after - before);
    let peak_rss_mb = process::peak_rss_mb();
    engine.stop(Duration::from_secs(10)).await?;
    if std::env::var_os("HERALD_BENCH_METRICS").is_some() {
        process::tell(&metrics.render());
    }
    let sums = store.sums(&org, id).await?;
    let disagreements = sums.disagreements(&store.recount(&org, id).await?);
    store.close().await;
    let buckets = sums.buckets().into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    Ok(Done {
        sent: sums.of(Status::Sent),
        buckets,
        disagreements,
        import_seconds,
        send_seconds,
        cpu_seconds,
        peak_rss_mb,
        durability,
    })
}

async fn completion(store: &Store, clock: &Clock, org: &OrgId, id: RunId) -> anyhow::Result<()> {
    loop {
        let (_, status) = store.run_facts(org, id).await?.context("the run is gone")?;
        match status {
            RunStatus::Completed => return Ok(()),
            RunStatus::Importing | RunStatus::Running => clock.sleep(POLL).await,
            RunStatus::Paused | RunStatus::Held | RunStatus::Cancelling | RunStatus::Cancelled | RunStatus::Failed => {
                let why = store.run(org, id).await?.map(|run| run.why).unwrap_or_default();
                bail!("the run is {status}: {why}");
            }
        }
    }
}

/// An organization whose quota does not bind, and what it sends with.
async fn define(store: &Store, clock: &Clock, org: &OrgId, sink: &str) -> anyhow::Result<()> {
    let organization = Organization {
        id: org.clone(),
        name: "Bench".to_owned(),
        timezone: chrono_tz::UTC,
        default_country: None,
        quota: "1_000_000_000/hour".parse()?,
        reserved_for_automatic: 5,
        frequency_cap: None,
        quiet_hours: None,
        templates: None,
    };
    let account = Account::Twilio(TwilioSettings {
        account_sid: audience::ACCOUNT_SID.to_owned(),
        auth_token: SecretRef::Env(TOKEN.to_owned()),
        api_key: None,
        api_secret: None,
        messaging_service: None,
        base_url: Some(sink.to_owned()),
    });
    let configuration = Configuration {
        name: "bench".to_owned(),
        active: true,
        channel: "sms".to_owned(),
        template: audience::TEMPLATE.to_owned(),
        show_in_timeline: false,
        valid_for: Span(Duration::from_secs(86_400)),
        opted_in: false,
        on_uncertain: Default::default(),
        canary: None,
        canary_wait: None,
        limits: Default::default(),
        trigger: Trigger::Instant {},
        audience: None,
    };
    let library = starter().map_err(|problems| anyhow::anyhow!("the starter library: {problems:?}"))?;
    let new =
        |kind, id: &str, name: &str, body| NewDefinition { kind, fresh_id: id.to_owned(), name: name.to_owned(), body };
    let id = |prefix| format!("{prefix}_{:026}", 1);
    let definitions = [
        new(Kind::Account, &id("acc"), "twilio", serde_json::to_string(&account)?),
        new(Kind::Channel, &id("chn"), "sms", serde_json::to_string(&audience::channel()?)?),
        new(Kind::Template, &id("tpl"), audience::TEMPLATE, serde_json::to_string(&library[audience::TEMPLATE])?),
        new(Kind::Configuration, &id("cfg"), "bench", serde_json::to_string(&configuration)?),
    ];
    store.save_definitions(&organization, &definitions, clock.now()).await?;
    Ok(())
}
