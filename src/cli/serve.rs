//! `herald serve`: the API, the scheduler and the worker, until told to stop.

use std::{collections::BTreeSet, net::SocketAddr, process::ExitCode};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{Context, Failure};
use crate::app::{Roles, Running};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen, like 0.0.0.0:8080.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// What this process does; several may share one Postgres.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "api,scheduler,worker")]
    role: Vec<Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Role {
    /// Answers HTTP.
    Api,
    /// Fires schedules, makes requests of events, applies receipts and replies.
    Scheduler,
    /// Sends.
    Worker,
}

pub async fn run(context: Context, args: Args) -> Result<ExitCode, Failure> {
    let roles: BTreeSet<Role> = args.role.into_iter().collect();
    let listen = context.config.listen;
    let listener = match roles.contains(&Role::Api) {
        true => Some(
            TcpListener::bind(listen)
                .await
                .with_context(|| format!("cannot listen on {listen}: is the port in use?"))?,
        ),
        false => None,
    };
    let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let app = context.app_anew().await?;
    let has = |role| roles.contains(&role);
    let roles = Roles {
        api: has(Role::Api),
        scheduler: has(Role::Scheduler),
        worker: has(Role::Worker),
        only: context.org.clone(),
    };
    let mut running = Running::start(&app, &roles, listener)?;
    let base = address.map(|address| format!("http://{address}"));
    context.out.line(format!(
        "herald {} on {}; {}",
        env!("CARGO_PKG_VERSION"),
        app.config.database_url,
        base.as_deref().unwrap_or("no API")
    ));
    context.out.document(&serde_json::json!({ "base_url": base, "version": env!("CARGO_PKG_VERSION") }));
    if app.config.public_url.is_none() && roles.worker {
        tracing::warn!("public_url is not set: providers are not told where to send receipts");
    }
    tokio::select! {
        broken = running.broken() => {
            broken?;
            return Err(anyhow::anyhow!("something ended that should not have").into());
        }
        () = told_to_stop() => {}
    }
    tracing::info!("stopping: taking nothing new, finishing what is in flight; a second signal leaves at once");
    tokio::select! {
        stopped = running.stop() => stopped?,
        () = told_to_stop() => return Ok(ExitCode::from(1)),
    }
    app.store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for SIGTERM or SIGINT.
pub async fn told_to_stop() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
