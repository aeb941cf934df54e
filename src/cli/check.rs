//! `herald check`: definitions, templates, store and accounts; every problem at once.

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use super::{Context, Failure, input};
use crate::{
    clock::Clock,
    definitions::{DefinitionSet, Problems},
    engine::{self, Transport},
    provider::Credentials,
    store::StoreError,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder with definitions; the store only, if left out.
    dir: Option<PathBuf>,
    /// Proves each stored account's credentials with a call to its provider that messages nobody.
    #[arg(long)]
    providers: bool,
}

pub async fn run(context: Context, args: Args) -> Result<ExitCode, Failure> {
    let (mut checks, mut wrong_input, mut failed) = (Vec::new(), false, false);
    let mut firings = Vec::new();
    let mut told = |what: String, problems: Vec<String>| {
        let good = problems.is_empty();
        context.out.line(format!("{what}: {}", if good { "good" } else { "not good" }));
        problems.iter().for_each(|problem| context.out.line(format!("  {problem}")));
        checks.push(json!({ "checked": what, "good": good, "problems": problems }));
        good
    };
    if let Some(dir) = args.dir {
        let (what, folder) = (dir.display().to_string(), dir);
        let problems = match tokio::task::spawn_blocking(move || DefinitionSet::read(&folder)).await? {
            Ok(set) => {
                let now = Clock::system().now();
                firings = set.firings(now);
                set.notices(now).iter().for_each(|notice| context.out.line(format!("note: {notice}")));
                Vec::new()
            }
            Err(Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        };
        wrong_input |= !told(what, problems);
    }
    let database = context.config.database_url.to_string();
    match context.app().await {
        Err(Failure::Input(problem) | Failure::Work(problem)) => {
            // Before the first apply there is none, and nothing is wrong with that; only who asks for accounts misses it.
            let missing =
                problem.downcast_ref::<StoreError>().is_some_and(|problem| matches!(problem, StoreError::Missing(_)));
            let expected = missing && !args.providers;
            failed |= !told(database, if expected { vec![] } else { vec![format!("{problem:#}")] });
        }
        Ok(app) => {
            failed |=
                !told(database, app.store.ready().await.err().map(|problem| problem.to_string()).into_iter().collect());
            if args.providers {
                let book = app.organization(context.org.as_ref()).await.map_err(input)?;
                let transport = Transport::new(&app.config.worker)?;
                for account in book.accounts() {
                    let validated = engine::validate(&app.store, &transport, &app.clock, &book, account).await?;
                    for run in validated.released {
                        context.out.line(format!("{run} was held, and goes on"));
                    }
                    let good = validated.found == Credentials::Good;
                    let problems = if good { vec![] } else { vec![validated.state.checked] };
                    failed |= !told(format!("account {} ({})", account.name, account.kind.as_str()), problems);
                }
            }
        }
    }
    let good = !wrong_input && !failed;
    context.out.document(&json!({ "checks": checks, "good": good, "firings": firings }));
    Ok(ExitCode::from(if wrong_input { 2 } else { u8::from(failed) }))
}
