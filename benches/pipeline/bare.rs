//! What the pipeline is held against: the bare client, set as the engine's transport sets it, with the adapter's own
//! requests, as many at a time, and nothing else to do.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use herald::{
    clock::{Clock, Stopwatch},
    config::Config,
    provider::HttpRequest,
};
use reqwest::{Client, redirect};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{audience, process};

/// Bodies that are made beforehand and sent over and over.
const BODIES: u64 = 5_000;

/// What to call, and for how long.
#[derive(Debug, Args)]
pub struct Bare {
    #[arg(long)]
    sink: String,
    #[arg(long)]
    concurrency: usize,
    #[arg(long)]
    seconds: u64,
}

/// What was found.
#[derive(Debug, Deserialize, Serialize)]
pub struct Found {
    /// Calls in the best of the seconds.
    pub per_second: f64,
    /// Processor time of a million calls: unlike the rate, the machine's other work hardly touches it.
    pub cpu_seconds_per_million: Option<f64>,
}

/// Calls for so many seconds, after one that does not count.
pub fn measure(bare: &Bare) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let found = runtime.block_on(call_for_a_while(bare))?;
    process::say(&serde_json::to_string(&found)?);
    Ok(ExitCode::SUCCESS)
}

async fn call_for_a_while(bare: &Bare) -> anyhow::Result<Found> {
    let client = client(bare.concurrency)?;
    let calls = audience::calls(&audience::channel()?, &bare.sink, BODIES)?;
    let requests: Arc<[HttpRequest]> = calls.into_iter().map(|call| call.request).collect();
    let answered = Arc::new(AtomicU64::new(0));
    let mut calling = JoinSet::new();
    for first in 0..bare.concurrency {
        calling.spawn(call(client.clone(), requests.clone(), first, answered.clone()));
    }
    let clock = Clock::system();
    let mut best = 0.0_f64;
    let mut since = (process::cpu_seconds(), 0);
    for second in 0..=bare.seconds {
        let (watch, before) = (Stopwatch::start(), answered.load(Ordering::Relaxed));
        tokio::select! {
            Some(ended) = calling.join_next() => {
                ended??;
                bail!("a caller of the bare client has ended");
            }
            () = clock.sleep(Duration::from_secs(1)) => {}
        }
        let calls = answered.load(Ordering::Relaxed) - before;
        match second {
            0 => since = (process::cpu_seconds(), before + calls),
            _ => best = best.max(calls as f64 / watch.elapsed().as_secs_f64()),
        }
    }
    let calls = (answered.load(Ordering::Relaxed) - since.1) as f64;
    let cpu_seconds = process::cpu_seconds().zip(since.0).map(|(after, before)| after - before);
    Ok(Found { per_second: best, cpu_seconds_per_million: cpu_seconds.map(|seconds| seconds * 1e6 / calls) })
}

/// As `engine/transport.rs` makes it.
fn client(concurrency: usize) -> anyhow::Result<Client> {
    // Chosen once a process; nothing here is encrypted, but the client asks for it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let worker = Config::default().worker;
    let builder = Client::builder()
        .connect_timeout(worker.connect_timeout)
        .timeout(worker.answer_timeout)
        .pool_max_idle_per_host(concurrency)
        .pool_idle_timeout(Duration::from_secs(90))
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION")));
    builder.build().context("the bare client cannot be made")
}

async fn call(
    client: Client,
    requests: Arc<[HttpRequest]>,
    first: usize,
    answered: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    for request in requests.iter().cycle().skip(first * 79 % requests.len()) {
        let mut post = client.post(&request.url).body(request.body.clone());
        for (name, value) in &request.headers {
            post = post.header(*name, value);
        }
        let answer = post.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if status != 201 || body.is_empty() {
            bail!("the sink answered {status}");
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
