//! `herald run`: looks at runs and controls them.

use std::{path::PathBuf, process::ExitCode};

use anyhow::anyhow;
use serde_json::json;

use super::{
    Context, Failure,
    follow::{self, Followed},
    input,
};
use crate::{
    app::App,
    domain::id::{OrgId, RunId},
    engine::{self, Order, Refused},
    http::views::{self, Audit},
};

mod export;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The newest runs, newest first.
    #[command(after_help = "Example: herald run list --limit 5")]
    List {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: i64,
    },
    /// One run: its buckets, reasons and figures.
    #[command(after_help = "Example: herald run show run_06F3XN6B5W7V0J8Q2K4M9T1C3D")]
    Show {
        /// The run's id.
        run: RunId,
    },
    /// Sends nothing more of a run for now.
    #[command(after_help = "Example: herald run pause run_06F3XN6B5W7V0J8Q2K4M9T1C3D")]
    Pause {
        /// The run's id.
        run: RunId,
    },
    /// Goes on with a run that is paused or held.
    #[command(after_help = "Example: herald run resume run_06F3XN6B5W7V0J8Q2K4M9T1C3D")]
    Resume {
        /// The run's id.
        run: RunId,
    },
    /// Ends a run: what is not yet sent is cancelled.
    #[command(after_help = "Example: herald run cancel run_06F3XN6B5W7V0J8Q2K4M9T1C3D")]
    Cancel {
        /// The run's id.
        run: RunId,
    },
    /// Puts a run's failed and undelivered messages back into the queue.
    #[command(after_help = "Example: herald run retry-failed run_06F3XN6B5W7V0J8Q2K4M9T1C3D")]
    RetryFailed {
        /// The run's id.
        run: RunId,
    },
    /// The run's report: the file's own columns and row numbers, and what became of each row.
    #[command(after_help = "Example: herald run export run_06F3XN6B5W7V0J8Q2K4M9T1C3D --to report.csv")]
    Export {
        /// The run's id.
        run: RunId,
        /// Where to; standard output if left out, which is not for `--output json`.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

pub async fn run(context: Context, command: Command) -> Result<ExitCode, Failure> {
    let app = context.app().await?;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    let org = &book.organization.id;
    match command {
        Command::List { limit } => list(&context, &app, org, limit).await?,
        Command::Show { run } => show(&context, &app, org, run).await?,
        Command::Pause { run } => obey(&context, &app, org, run, Order::Pause).await?,
        Command::Resume { run } => obey(&context, &app, org, run, Order::Resume).await?,
        Command::Cancel { run } => obey(&context, &app, org, run, Order::Cancel).await?,
        Command::RetryFailed { run } => obey(&context, &app, org, run, Order::RetryFailed).await?,
        Command::Export { run, to } => {
            let known = look(&app, org, run).await?;
            if to.is_none() && context.out.is_json() {
                return Err(input(anyhow!("a report is no JSON document: name its file with --to")));
            }
            let rows = export::export(&app, org, &known.run, to.clone()).await?;
            if let Some(path) = to {
                context.out.line(format!("{rows} rows are in {}", path.display()));
                context.out.document(&json!({ "run": run, "rows": rows, "file": path }));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn look(app: &App, org: &OrgId, run: RunId) -> Result<Followed, Failure> {
    Followed::look(app, org, run).await?.ok_or_else(|| input(anyhow!("there is no run {run}")))
}

async fn list(context: &Context, app: &App, org: &OrgId, limit: i64) -> Result<(), Failure> {
    let mut shown = Vec::new();
    for run in app.store.runs(org, None, limit.clamp(1, 1000)).await? {
        let sums = app.store.sums(org, run.id).await?;
        let buckets: Vec<String> =
            sums.buckets().into_iter().map(|(bucket, count)| format!("{bucket} {count}")).collect();
        // What ended or stopped it says more than that it has.
        let why = if run.why.is_empty() { String::new() } else { format!("  {}", run.why) };
        let buckets = buckets.join(", ");
        context.out.line(format!("{}  {}  {:10} {:20} {buckets}{why}", run.id, run.created_at, run.status, run.name));
        shown.push(views::run(&run, &sums, &Audit::Running, app.clock.now()));
    }
    context.out.document(&json!({ "runs": shown }));
    Ok(())
}

async fn show(context: &Context, app: &App, org: &OrgId, run: RunId) -> Result<(), Failure> {
    let known = look(app, org, run).await?;
    follow::print(context.out, app, &known);
    context.out.document(&json!({ "run": views::run(&known.run, &known.sums, &known.audit, app.clock.now()) }));
    Ok(())
}

/// Has an order carried out, and says how the run stands since, or why nothing was done.
async fn obey(context: &Context, app: &App, org: &OrgId, run: RunId, order: Order) -> Result<(), Failure> {
    let obeyed = engine::control(&app.store, &app.books, &app.clock, org, run, order).await;
    let obeyed = obeyed.map_err(|refused| match refused {
        Refused::Missing(_) | Refused::Unfit { .. } => input(refused),
        Refused::Store(problem) => Failure::Work(problem.into()),
    })?;
    context.out.line(format!("{run} is {}; {}", obeyed.run.status, obeyed.note));
    let audit = if obeyed.run.status.is_over() { follow::recount(app, org, run).await? } else { Audit::Running };
    context.out.document(&json!({
        "run": views::run(&obeyed.run, &obeyed.sums, &audit, app.clock.now()), "note": obeyed.note,
        "cancelled": obeyed.cancelled(), "with_provider": obeyed.with_provider(), "retried": obeyed.retried,
    }));
    Ok(())
}
