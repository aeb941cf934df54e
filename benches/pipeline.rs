//! The yardstick: `cargo bench --bench pipeline [-- --messages 1000000 --store sqlite]`.
//!
//! It drives N messages from a CSV file to durable `sent`, through the real Twilio adapter over HTTP, into a sink in a
//! process of its own; and right before and right after, on the same sink, it measures the bare HTTP client with the same
//! bodies. One JSON line a store. The ratio of the two is what counts: both had the same machine, the same minute and
//! the same neighbours. Each part is this program again in another role, so that memory and processor time are
//! the pipeline's alone.
//!
//! Read `measure` (the order of things), then `run` (the pipeline), `bare` (what it is held against) and `sink`.

#[path = "pipeline/audience.rs"]
mod audience;
#[path = "pipeline/bare.rs"]
mod bare;
#[path = "pipeline/database.rs"]
mod database;
#[path = "pipeline/measure.rs"]
mod measure;
#[path = "pipeline/process.rs"]
mod process;
#[path = "pipeline/run.rs"]
mod run;
#[path = "pipeline/sink.rs"]
mod sink;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use herald::config::Config;

/// Measures CSV to durable `sent`, and the bare HTTP client on the same sink.
#[derive(Debug, Parser)]
struct Bench {
    /// Rows of the file.
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// On which store.
    #[arg(long, value_enum, default_value_t = Stores::Both)]
    store: Stores,
    /// A Postgres server; without one a private one is started, as durable as Postgres comes.
    #[arg(long, env = "HERALD_TEST_POSTGRES_URL")]
    postgres: Option<String>,
    #[command(flatten)]
    load: Load,
    /// Where the file and the SQLite database lie for the time being: on a disk, not in memory.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    dir: PathBuf,
    /// How long the bare client is measured, before and after.
    #[arg(long, default_value_t = 4)]
    bare_seconds: u64,
    /// Cargo's own; nothing comes of it.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// How much at once.
#[derive(Clone, Copy, Debug, Args)]
struct Load {
    /// Calls that are open at a time.
    #[arg(long, default_value_t = Config::default().worker.concurrency)]
    concurrency: usize,
    /// Requests that are worked on at a time.
    #[arg(long, default_value_t = Config::default().worker.slots)]
    slots: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stores {
    Sqlite,
    Postgres,
    Both,
}

/// What a process of this program is for; none: it measures.
#[derive(Debug, Subcommand)]
enum Role {
    /// Answers like Twilio, and counts.
    #[command(hide = true)]
    Sink,
    /// Calls the sink as fast as the client goes.
    #[command(hide = true)]
    Bare(bare::Bare),
    /// Runs the pipeline once.
    #[command(hide = true)]
    Run(run::Run),
}

fn main() -> ExitCode {
    let bench = Bench::parse();
    let done = match &bench.role {
        Some(Role::Sink) => sink::serve(),
        Some(Role::Bare(bare)) => bare::measure(bare),
        Some(Role::Run(run)) => run::once(run),
        None => measure::all(&bench),
    };
    match done {
        Ok(code) => code,
        Err(problem) => {
            process::tell(&format!("pipeline: {problem:#}"));
            ExitCode::from(measure::FAILED)
        }
    }
}
