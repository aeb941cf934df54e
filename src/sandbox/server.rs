//! The running server: start, where it is, stop. Owns the two tasks (HTTP and callbacks) and notices when one ends.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::DefaultBodyLimit};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinError, JoinSet},
};

use super::{
    acs, callbacks,
    connection::{CuttableListener, Line},
    control,
    faults::Faults,
    log::{CallPage, Summary},
    settings::{Settings, SettingsError},
    state::State,
    telesign, twilio,
};

/// No body of a send call or of the control surface comes near it.
const BODY_LIMIT: usize = 256 * 1024;
/// How long open connections may take to end when stopping.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A running sandbox. Dropping it ends it at once; [`Sandbox::stop`] ends it in good order.
pub struct Sandbox {
    state: Arc<State>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), SandboxError>>,
}

/// Why a sandbox could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The settings are not usable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The listener has no address, or the server could not go on.
    #[error("the sandbox's server failed")]
    Server(#[source] io::Error),
    /// The client for receipts and replies could not be made.
    #[error("the sandbox's HTTP client could not be made")]
    Client(#[source] reqwest::Error),
    /// A task failed.
    #[error("a task of the sandbox failed")]
    Task(#[from] JoinError),
    /// A task ended although nobody asked it to.
    #[error("a task of the sandbox ended by itself")]
    Ended,
    /// Connections did not end in time when stopping.
    #[error("the sandbox's connections did not end in time")]
    SlowStop,
}

impl Sandbox {
    /// Starts serving on the listener. Returns at once; the sandbox runs until stopped or dropped.
    pub async fn start(listener: TcpListener, settings: Settings) -> Result<Sandbox, SandboxError> {
        settings.check()?;
        let address = listener.local_addr().map_err(SandboxError::Server)?;
        let (stop, stopping) = watch::channel(false);
        let state = State::new(settings, stopping.clone()).map_err(SandboxError::Client)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, state.clone(), stopping.clone()));
        let callbacks = callbacks::run(state.clone(), stopping);
        tasks.spawn(async move { Ok(callbacks.await?) });
        tracing::info!(%address, "sandbox: listening");
        Ok(Sandbox { state, address, stop, tasks })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What an account's `base_url` is set to, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happened so far; the same as `GET /sandbox/summary`.
    pub fn summary(&self) -> Summary {
        self.state.summary()
    }

    /// Reads the log of calls; the same as `GET /sandbox/calls`.
    pub fn calls(&self, after: u64, limit: usize, to: Option<&str>) -> CallPage {
        self.state.log.page(after, limit, to)
    }

    /// Changes the faults; the same as `PUT /sandbox/faults`.
    pub fn set_faults(&self, faults: Faults) -> Result<(), SettingsError> {
        faults.check().map_err(|why| SettingsError(format!("faults.{why}")))?;
        self.state.dice.set(faults);
        Ok(())
    }

    /// Runs until a task fails or ends, which none does unless stopped.
    pub async fn wait(&mut self) -> Result<(), SandboxError> {
        match self.tasks.join_next().await {
            None => Ok(()),
            Some(Ok(Ok(()))) if *self.stop.borrow() => Ok(()),
            Some(Ok(Ok(()))) => Err(SandboxError::Ended),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Takes no more calls, lets answers that are under way finish, cuts the hanging ones, and reports a failed task.
    /// Receipts and replies that are still to come are not posted.
    pub async fn stop(mut self) -> Result<(), SandboxError> {
        self.stop.send_replace(true);
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended??;
            }
            Ok(())
        };
        tokio::time::timeout(STOP_WITHIN, ended).await.unwrap_or(Err(SandboxError::SlowStop))
    }
}

async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), SandboxError> {
    let router = Router::new()
        .merge(control::routes())
        .merge(twilio::routes())
        .merge(telesign::routes())
        .merge(acs::routes())
        .fallback(control::not_found)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(state);
    axum::serve(CuttableListener(listener), router.into_make_service_with_connect_info::<Line>())
        .with_graceful_shutdown(async move {
            // An error means that the sandbox was dropped, which is a reason to stop as well.
            let _dropped = stopping.wait_for(|stop| *stop).await;
        })
        .await
        .map_err(SandboxError::Server)
}
