//! `herald demo`: the main job on real input, with nothing to install.
//!
//! Nothing is pretended: a database in a temporary folder, the API on loopback, and the sandbox, which speaks the provider's
//! wire formats over HTTP and checks what it gets. Only the providers are not the real ones.

mod receiver;
mod stage;
mod story;
mod summary;
mod talk;

use std::process::ExitCode;

use serde_json::json;

use super::{Context, Failure, follow};
use crate::http::views;
use stage::Stage;
use story::Story;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stays up afterwards, with the API, until told to stop.
    #[arg(long)]
    serve: bool,
}

pub async fn run(context: Context, args: Args) -> Result<ExitCode, Failure> {
    let out = context.out;
    let mut stage = Stage::set(&context).await?;
    let mut story = Story::new(&mut stage, out);
    story.definitions().await?;
    story.opt_outs().await?;
    story.instant().await?;
    story.replies().await?;
    story.next_run().await?;
    story.whatsapp().await?;
    story.automatic().await?;
    story.resolved().await?;
    story.timeline().await?;
    story.scheduled().await?;
    story.webhooks().await?;
    let runs = story.finish().await?;

    let verdict = summary::verdict(&stage, &runs).await?;
    summary::print(&stage, out, &runs, &verdict).await?;
    let now = stage.app.clock.now();
    let shown: Vec<_> = runs.iter().map(|run| views::run(&run.run, &run.sums, &run.audit, now)).collect();
    out.document(&json!({ "runs": shown, "adds_up": verdict.holds(), "problems": verdict.problems }));
    if args.serve {
        out.line(format!("\nStill up at {}; stop with Ctrl-C.", stage.base_url));
        tokio::select! {
            () = super::serve::told_to_stop() => {}
            broken = stage.running.broken() => broken?,
        }
    }
    let holds = verdict.holds();
    stage.strike().await?;
    Ok(ExitCode::from(u8::from(!holds)))
}

/// The runs of the demo, as they ended.
type Runs = Vec<follow::Followed>;
