//! `herald list`: stored audiences, taken in from CSV and looked at.

use std::{path::PathBuf, process::ExitCode};

use anyhow::anyhow;
use serde_json::json;

use super::{Context, Failure, input, out::Out};
use crate::{
    app::App,
    definitions::{self, ApplyError, NotPut, PutList},
    domain::{contact::OptIn, id::OrgId},
    http::lists::{ListView, change_name},
    intake::csv::RowProblem,
};

/// Row problems that are shown.
const SHOWN: usize = 20;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Takes in a CSV file as a stored list: all of its rows, or none.
    #[command(after_help = "Example: herald list import customers --csv customers.csv")]
    Import(ImportArgs),
    /// One stored list, or all of them.
    #[command(after_help = "Example: herald list show customers")]
    Show {
        /// The list's name; all of them if left out.
        name: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The list's name.
    name: String,
    /// The file: a header line, one contact a row.
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// Attests that everybody in the file without an `optin` has agreed.
    #[arg(long)]
    opted_in: bool,
}

pub async fn run(context: Context, command: Command) -> Result<ExitCode, Failure> {
    let app = context.app().await?;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    match command {
        Command::Import(args) => import(context.out, &app, &book.organization.id, args).await?,
        Command::Show { name } => {
            let names: Vec<&str> = match &name {
                Some(name) => vec![name],
                None => book.lists().map(|(name, _)| name).collect(),
            };
            let mut shown = Vec::new();
            for name in names {
                let list = book.list(name).map_err(input)?;
                let view = ListView::of(&book, name, list);
                print(context.out, &view);
                shown.push(view);
            }
            context.out.document(&json!({ "lists": shown }));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(out: Out, list: &ListView) {
    let used = if list.used_by.is_empty() { "nothing is sent to it".into() } else { list.used_by.join(", ") };
    out.line(format!("{}  {} entries, version {}; {used}", list.name, list.rows, list.version));
    if !list.columns.is_empty() {
        out.line(format!("  {}", list.columns.join(", ")));
    }
}

async fn import(out: Out, app: &App, org: &OrgId, args: ImportArgs) -> Result<(), Failure> {
    let attested = args.opted_in.then_some(OptIn::Yes);
    let put = PutList { org: org.clone(), name: args.name, path: args.csv, attested };
    if let Err(problem) = std::fs::File::open(&put.path) {
        return Err(input(anyhow!(problem).context(format!("cannot read {}", put.path.display()))));
    }
    let done = definitions::put_list(&app.store, &app.books, &app.clock, &put).await;
    let (list, change) = done.map_err(|problem| refused(out, problem))?;
    out.line(format!("list {} is {}: {} entries, version {}", put.name, change_name(change), list.rows, list.version));
    let book = app.organization(Some(org)).await.map_err(input)?;
    out.document(&json!({ "list": ListView::of(&book, &put.name, &list), "change": change_name(change) }));
    Ok(())
}

/// What is wrong with the file is the caller's to mend; a store that refuses is not.
fn refused(out: Out, problem: NotPut) -> Failure {
    let mend = |problem: &RowProblem| out.note(format!("  {problem}"));
    match &problem {
        NotPut::Rows(bad) => bad.problems.iter().take(SHOWN).for_each(mend),
        NotPut::Apply(ApplyError::Problems(_) | ApplyError::Needed(_))
        | NotPut::Name(_)
        | NotPut::File(_)
        | NotPut::NoOrganization
        | NotPut::Busy(_) => {}
        NotPut::Apply(
            ApplyError::Contended
            | ApplyError::Store(_)
            | ApplyError::Body(_)
            | ApplyError::Text(_)
            | ApplyError::Random(_)
            | ApplyError::Reader(_),
        )
        | NotPut::Store(_) => return Failure::Work(problem.into()),
    }
    input(problem)
}
