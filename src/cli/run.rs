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
    domain::{
        id::{OrgId, RunId},
        run::RunStatus,
    },
    http::views::{self, Audit},
};

mod export;

use export::Rows;

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
    /// The run's report: the file's own columns and row numbers, and what became of each row; or the rejected rows alone.
    #[command(after_help = "Example: herald run export run_06F3XN6B5W7V0J8Q2K4M9T1C3D --to report.csv")]
    Export {
        /// The run's id.
        run: RunId,
        /// Where to; standard output if left out, which is not for `--output json`.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Only the rows that were rejected, as a CSV to correct and send.
        #[arg(long)]
        rejected: bool,
    },
}

pub async fn run(context: Context, command: Command) -> Result<ExitCode, Failure> {
    let app = context.app().await?;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    let org = &book.organization.id;
    match command {
        Command::List { limit } => list(&context, &app, org, limit).await?,
        Command::Show { run } => show(&context, &app, org, run).await?,
        Command::Pause { run } => {
            let done = app.store.stop_run(org, run, "paused", "paused by an operator").await?;
            changed(&context, &app, org, run, done, "it is not running").await?;
        }
        Command::Resume { run } => {
            release_account(&app, org, run).await?;
            let done = app.store.resume_run(org, run, app.clock.now()).await?;
            changed(&context, &app, org, run, done, "it is neither paused nor held").await?;
        }
        Command::Cancel { run } => {
            let done = app.store.begin_cancel(org, run).await?;
            while done && app.store.cancel_some(org, run, app.clock.now()).await? {}
            changed(&context, &app, org, run, done, "it is over").await?;
        }
        Command::RetryFailed { run } => {
            let known = look(&app, org, run).await?;
            let retried = app.store.retry_failed(org, run, app.clock.now()).await?;
            context
                .out
                .line(format!("{retried} messages of {} are queued again; herald serve sends them", known.run.id));
            context.out.document(&json!({ "run": known.run.id, "retried": retried }));
        }
        Command::Export { run, to, rejected } => {
            let known = look(&app, org, run).await?;
            if to.is_none() && context.out.is_json() {
                return Err(input(anyhow!("a report is no JSON document: name its file with --to")));
            }
            let rows = if rejected { Rows::Rejected } else { Rows::All };
            let rows = export::export(&app, org, known.run, rows, to.clone()).await?;
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
        context.out.line(format!(
            "{}  {}  {:10} {:20} {}",
            run.id,
            run.created_at,
            run.status,
            run.name,
            buckets.join(", ")
        ));
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

/// Says how the run stands now, or why nothing was done.
async fn changed(
    context: &Context,
    app: &App,
    org: &OrgId,
    run: RunId,
    done: bool,
    why_not: &str,
) -> Result<(), Failure> {
    let known = look(app, org, run).await?;
    if !done {
        return Err(input(anyhow!("run {run} is {}: {why_not}", known.run.status)));
    }
    let with_provider = known.sums.messages - known.sums.waiting();
    context.out.line(format!(
        "{run} is {}; {with_provider} of {} messages were already dealt with",
        known.run.status, known.sums.messages
    ));
    context.out.document(&json!({ "run": views::run(&known.run, &known.sums, &known.audit, app.clock.now()) }));
    Ok(())
}

/// Resuming a run that is held because its account is stopped says: the account is in order again.
async fn release_account(app: &App, org: &OrgId, run: RunId) -> Result<(), Failure> {
    let (Some((pinned, RunStatus::Held)), Some(book)) =
        (app.store.run_facts(org, run).await?, app.books.current(org).await?)
    else {
        return Ok(());
    };
    let Ok(channel) = book.channel(&pinned.channel) else { return Ok(()) };
    if let Some(state) = app.store.account_state(org, &channel.account).await? {
        let released = crate::store::accounts::AccountState { stopped: String::new(), ..state };
        app.store.set_account_state(org, &channel.account, &released).await?;
    }
    Ok(())
}
