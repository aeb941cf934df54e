//! `herald key`: API keys. The key itself is shown once.

use std::process::ExitCode;

use serde_json::json;

use super::{Context, Failure, input};
use crate::{
    domain::id::KeyId,
    http::keys::{Scope, mint},
};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Makes a key and shows it, this once.
    #[command(after_help = "Example: herald key create crm --scope send")]
    Create {
        /// What it is for.
        name: String,
        /// What it may do.
        #[arg(long, value_enum, default_value_t = Scope::Read)]
        scope: Scope,
    },
    /// Shows every key, without its secret.
    #[command(after_help = "Example: herald key list")]
    List,
    /// Ends a key.
    #[command(after_help = "Example: herald key revoke key_06F3XN6B5W7V0J8Q2K4M9T1C3D")]
    Revoke {
        /// Its id, like key_….
        id: KeyId,
    },
}

pub async fn run(context: Context, command: Command) -> Result<ExitCode, Failure> {
    let app = context.app().await?;
    let book = app.organization(context.org.as_ref()).await.map_err(input)?;
    let org = &book.organization.id;
    match command {
        Command::Create { name, scope } => {
            let (stored, text) = mint(org, &name, scope, app.clock.now())?;
            app.store.add_key(org, &stored).await?;
            context.out.line(format!(
                "{} ({}, {}): keep this key, it is not shown again",
                stored.id,
                name,
                scope.as_str()
            ));
            context.out.line(text.expose());
            context
                .out
                .document(&json!({ "id": stored.id, "name": name, "scope": scope.as_str(), "key": text.expose() }));
        }
        Command::List => {
            let keys = app.store.keys(org).await?;
            for key in &keys {
                let state = key.revoked_at.map_or_else(|| "holds".to_owned(), |at| format!("revoked {at}"));
                let used = key.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("last used {at}"));
                context.out.line(format!("{}  {:5}  {}  {state}, {used}", key.id, key.scope, key.name));
            }
            let shown = |key: &crate::store::access::StoredKey| json!({ "id": key.id, "name": key.name, "scope": key.scope, "created_at": key.created_at, "last_used_at": key.last_used_at, "revoked_at": key.revoked_at });
            context.out.document(&json!({ "keys": keys.iter().map(shown).collect::<Vec<_>>() }));
        }
        Command::Revoke { id } => {
            if !app.store.revoke_key(org, id, app.clock.now()).await? {
                return Err(input(anyhow::anyhow!("there is no key {id} that still holds")));
            }
            context.out.line(format!("{id} is revoked"));
            context.out.document(&json!({ "id": id, "revoked": true }));
        }
    }
    Ok(ExitCode::SUCCESS)
}
