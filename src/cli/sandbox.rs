//! `herald sandbox`: the provider simulator alone.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::{Context, Failure, input};
use crate::sandbox::{Sandbox, Settings};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:4010")]
    listen: SocketAddr,
    /// Settings as a TOML file: accounts (Twilio's), telesign, acs, receipts, replies, whatsapp, faults.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Where replies are posted: an account's callback URL, as `herald apply` shows it.
    #[arg(long, value_name = "URL")]
    inbound_url: Option<String>,
}

pub async fn run(context: Context, args: Args) -> Result<ExitCode, Failure> {
    let mut settings: Settings = match &args.settings {
        Some(path) => {
            let text = tokio::fs::read_to_string(path)
                .await
                .with_context(|| format!("cannot read {}", path.display()))
                .map_err(input)?;
            toml::from_str(&text)
                .with_context(|| format!("{} is no settings file of the sandbox", path.display()))
                .map_err(input)?
        }
        None => Settings::default(),
    };
    settings.inbound_url = args.inbound_url.or(settings.inbound_url);
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}: is the port in use?", args.listen))?;
    let accounts: Vec<String> = settings.accounts.iter().map(|account| account.account_sid.clone()).collect();
    let telesign: Vec<String> = settings.telesign.iter().map(|account| account.customer_id.clone()).collect();
    let acs: Vec<String> = settings.acs.iter().map(|resource| resource.name.clone()).collect();
    let mut sandbox = Sandbox::start(listener, settings).await?;
    let base = sandbox.base_url();
    context.out.line(format!("sandbox at {base} for accounts {}", accounts.join(", ")));
    context.out.line(format!("  TeleSign  {}     Azure  {}", telesign.join(", "), acs.join(", ")));
    context.out.line(format!("  calls     {base}/sandbox/calls     summary  {base}/sandbox/summary"));
    context.out.line(format!("  faults    {base}/sandbox/faults    magic numbers  {base}/sandbox/magic"));
    context
        .out
        .document(&serde_json::json!({ "base_url": base, "accounts": accounts, "telesign": telesign, "acs": acs }));
    tokio::select! {
        ended = sandbox.wait() => ended?,
        () = super::serve::told_to_stop() => sandbox.stop().await?,
    }
    Ok(ExitCode::SUCCESS)
}
