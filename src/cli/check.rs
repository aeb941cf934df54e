//! `herald check`: definitions, templates, store and accounts; every problem at once.

use std::{path::PathBuf, process::ExitCode};

use anyhow::anyhow;
use serde_json::json;

use super::{Context, Failure, apply, input};
use crate::{
    app::App,
    book::ReadyAccount,
    domain::id::OrgId,
    engine::{Answer, Transport},
    provider::{Credentials, Stamp},
    store::accounts::AccountState,
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
    let mut report = Vec::new();
    if let Some(dir) = args.dir {
        let set = apply::read(dir.clone()).await?;
        context.out.line(format!("{}: good", dir.display()));
        for notice in set.notices(crate::clock::Clock::system().now()) {
            context.out.line(format!("note: {notice}"));
        }
        report.push(json!({ "definitions": dir, "problems": [] }));
    }
    let app = context.app().await?;
    app.store.ready().await?;
    context.out.line(format!("{}: answers, and its schema is this herald's", app.config.database_url));
    let mut bad = 0;
    if args.providers {
        let book = app.organization(context.org.as_ref()).await.map_err(input)?;
        let transport = Transport::new(&app.config.worker)?;
        for account in book.accounts() {
            let found = prove(&app, &transport, &book.organization.id, account).await?;
            bad += usize::from(!matches!(found, Credentials::Good));
            context.out.line(format!("account {} ({}): {}", account.name, account.provider_name, in_words(&found)));
            report.push(json!({ "account": account.name, "provider": account.provider_name, "result": in_words(&found), "good": found == Credentials::Good }));
        }
    }
    context.out.document(&json!({ "checks": report, "good": bad == 0 }));
    if bad > 0 {
        return Err(Failure::Work(anyhow!("{bad} accounts could not be proven")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the provider, and keeps what it says: a good answer lets a stopped account send again.
async fn prove(app: &App, transport: &Transport, org: &OrgId, account: &ReadyAccount) -> Result<Credentials, Failure> {
    let provider = account.provider.as_ref().map_err(|problem| input(problem.clone()))?;
    let stamp = Stamp { now: app.clock.now(), nonce: rand::random() };
    let found = match transport.call(&provider.credential_check(stamp)).await {
        Answer::Reply(reply) => provider.credentials(&reply),
        Answer::NotSent(detail) | Answer::PerhapsSent(detail) => Credentials::Unknown(
            crate::domain::reason::Why::detailed(crate::domain::reason::Reason::NoConnection, detail),
        ),
    };
    let before = app.store.account_state(org, &account.name).await?.unwrap_or_default();
    let stopped = match &found {
        Credentials::Good => String::new(),
        Credentials::Bad(why) => why.to_string(),
        Credentials::Unknown(_) => before.stopped,
    };
    let state = AccountState { stopped, checked_at: Some(app.clock.now()), checked: in_words(&found) };
    app.store.set_account_state(org, &account.name, &state).await?;
    Ok(found)
}

fn in_words(found: &Credentials) -> String {
    match found {
        Credentials::Good => "the credentials work".to_owned(),
        Credentials::Bad(why) => format!("the credentials do not work: {why}"),
        Credentials::Unknown(why) => format!("could not be told: {why}"),
    }
}
