//! `herald org`: an organization without files, for those who define everything by API.

use std::process::ExitCode;

use serde_json::json;

use super::{Context, Failure, input};
use crate::{
    definitions::{self, DefinitionSet},
    domain::id::OrgId,
    http::keys::{Scope, mint},
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Makes an organization that defines nothing yet, and an admin's key, which is shown this once.
    #[command(after_help = "Example: herald org create acme --name \"Acme\" --timezone Europe/Berlin")]
    Create {
        /// Its short name: a-z, 0-9 and -.
        id: OrgId,
        /// Its name, for people.
        #[arg(long)]
        name: String,
        /// Where its days begin, like Europe/Berlin; UTC if left out.
        #[arg(long)]
        timezone: Option<String>,
    },
}

pub async fn run(context: Context, command: Command) -> Result<ExitCode, Failure> {
    let Command::Create { id, name, timezone } = command;
    let set = DefinitionSet::of_nothing(&id, &name, timezone.as_deref()).map_err(input)?;
    let app = context.app_anew().await?;
    if app.store.organization(&id).await?.is_some() {
        return Err(input(anyhow::anyhow!(
            "there is an organization \"{id}\" already; `herald key create NAME --scope admin --org {id}` makes a key for it"
        )));
    }
    let now = app.clock.now();
    definitions::apply(&app.store, &set, now, rand::random).await?;
    let (stored, text) = mint(&id, "admin", Scope::Admin, now)?;
    app.store.add_key(&id, &stored).await?;
    context.out.line(format!("organization {id} is made; this is its admin's key ({}), not shown again:", stored.id));
    context.out.line(text.expose());
    context.out.document(
        &json!({ "organization": id, "key": { "id": stored.id, "scope": Scope::Admin.as_str(), "key": text.expose() } }),
    );
    Ok(ExitCode::SUCCESS)
}
