//! `herald apply`: an organization's definitions from files, all or nothing.

use std::{path::PathBuf, process::ExitCode};

use serde_json::{Map, Value, json};

use super::{Context, Failure, input};
use crate::{
    definitions::{self, Applied, ApplyError, DefinitionSet},
    store::definitions::Change,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with organization.toml.
    dir: PathBuf,
    /// Only shows what would change.
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(context: Context, args: Args) -> Result<ExitCode, Failure> {
    let set = read(args.dir).await?;
    let app = context.app_anew().await?;
    let now = app.clock.now();
    let applied = match args.dry_run {
        true => definitions::plan_apply(&app.store, &set, now).await,
        false => definitions::apply(&app.store, &set, now, rand::random).await,
    };
    let applied = applied.map_err(refused)?;
    let out = context.out;
    out.line(format!("{:10} organization   {}", told(applied.organization), set.organization.id));
    for (kind, name, change) in &applied.changes {
        out.line(format!("{:10} {:14} {name}", told(*change), kind.as_str()));
    }
    for notice in &applied.notices {
        out.line(format!("note: {notice}"));
    }
    let base = app.config.public_url.clone().unwrap_or_else(|| "https://YOUR-PUBLIC-URL".to_owned());
    let base = base.trim_end_matches('/');
    for (account, token) in &applied.callback_tokens {
        out.line(format!("receipts and replies of account {account} come to {base}/callbacks/{token}"));
    }
    for (hook, token) in &applied.hook_tokens {
        out.line(format!("events of hook {hook} are posted to            {base}/hooks/{token}"));
    }
    if args.dry_run {
        out.line("nothing was saved (--dry-run)");
    }
    out.document(&document(&set, &applied, args.dry_run));
    Ok(ExitCode::SUCCESS)
}

/// Reads and validates a folder, on a thread that may block.
pub async fn read(dir: PathBuf) -> Result<DefinitionSet, Failure> {
    tokio::task::spawn_blocking(move || DefinitionSet::read(&dir)).await?.map_err(input)
}

fn refused(problem: ApplyError) -> Failure {
    match problem {
        ApplyError::Store(_) | ApplyError::Random(_) | ApplyError::Reader(_) => Failure::Work(problem.into()),
        ApplyError::Problems(_) | ApplyError::Body(_) => input(problem),
    }
}

fn told(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Changed => "changed",
        Change::Unchanged => "unchanged",
    }
}

fn document(set: &DefinitionSet, applied: &Applied, dry_run: bool) -> Value {
    let changes: Vec<Value> = applied
        .changes
        .iter()
        .map(|(kind, name, change)| json!({ "kind": kind.as_str(), "name": name, "change": told(*change) }))
        .collect();
    let paths = |prefix: &str, tokens: &std::collections::BTreeMap<String, String>| -> Map<String, Value> {
        tokens.iter().map(|(name, token)| (name.clone(), format!("/{prefix}/{token}").into())).collect()
    };
    json!({
        "organization": set.organization.id, "change": told(applied.organization), "changes": changes, "dry_run": dry_run,
        "callbacks": paths("callbacks", &applied.callback_tokens), "hooks": paths("hooks", &applied.hook_tokens),
        "firings": applied.firings, "notes": applied.notices.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
