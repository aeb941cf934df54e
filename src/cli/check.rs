//! `herald check`: definitions, templates, store and accounts; every problem at once.

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use super::{Context, Failure, input};
use crate::{
    app::App,
    clock::Clock,
    definitions::{DefinitionSet, Problems},
    domain::{
        id::{OrgId, RunId},
        reason::{Reason, Why},
    },
    engine::{Answer, Transport},
    provider::{Credentials, Provider, Stamp},
    store::{StoreError, accounts::AccountState},
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
                set.notices(Clock::system().now())
                    .iter()
                    .for_each(|notice| context.out.line(format!("note: {notice}")));
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
                    let problems = match &account.provider {
                        Err(problem) => vec![problem.to_string()],
                        Ok(provider) => {
                            let org = &book.organization.id;
                            let found = prove(&app, &transport, org, &account.name, &**provider).await?;
                            if found == Credentials::Good {
                                for run in release_runs(&app, org, &account.name).await? {
                                    context.out.line(format!("{run} was held, and goes on"));
                                }
                                vec![]
                            } else {
                                vec![in_words(&found)]
                            }
                        }
                    };
                    failed |= !told(format!("account {} ({})", account.name, account.kind.as_str()), problems);
                }
            }
        }
    }
    let good = !wrong_input && !failed;
    context.out.document(&json!({ "checks": checks, "good": good }));
    Ok(ExitCode::from(if wrong_input { 2 } else { u8::from(failed) }))
}

/// Asks the provider, and keeps what it says: a good answer lets a stopped account send again.
async fn prove(
    app: &App,
    transport: &Transport,
    org: &OrgId,
    account: &str,
    provider: &dyn Provider,
) -> Result<Credentials, Failure> {
    let stamp = Stamp { now: app.clock.now(), nonce: rand::random() };
    let found = match transport.call(&provider.credential_check(stamp)).await {
        Answer::Reply(reply) => provider.credentials(&reply),
        Answer::NotSent(detail) | Answer::PerhapsSent(detail) => {
            Credentials::Unknown(Why::detailed(Reason::NoConnection, detail))
        }
    };
    let before = app.store.account_state(org, account).await?.unwrap_or_default();
    let stopped = match &found {
        Credentials::Good => String::new(),
        Credentials::Bad(why) => why.to_string(),
        Credentials::Unknown(_) => before.stopped,
    };
    let state = AccountState { stopped, checked_at: Some(app.clock.now()), checked: in_words(&found) };
    app.store.set_account_state(org, account, &state).await?;
    Ok(found)
}

/// Lets the account's held runs go on (SPEC 3). One that is held for another reason meets it again, and is held again.
async fn release_runs(app: &App, org: &OrgId, account: &str) -> Result<Vec<RunId>, Failure> {
    let mut released = Vec::new();
    let Some(book) = app.books.current(org).await? else { return Ok(released) };
    for (run, _) in app.store.held_runs(org).await? {
        let Some((pinned, _)) = app.store.run_facts(org, run).await? else { continue };
        let through = book.channel(&pinned.channel).is_ok_and(|channel| channel.account == account);
        if through && app.store.resume_run(org, run, app.clock.now()).await? {
            released.push(run);
        }
    }
    Ok(released)
}

fn in_words(found: &Credentials) -> String {
    match found {
        Credentials::Good => "the credentials work".to_owned(),
        Credentials::Bad(why) => format!("the credentials do not work: {why}"),
        Credentials::Unknown(why) if why.detail.is_empty() => format!("could not be told: {why}"),
        Credentials::Unknown(why) => format!("could not be told: {}", why.detail),
    }
}
