//! What runs: the engine, the loops, the HTTP server. Each has an owner here that notices its end; when one breaks, the rest is
//! stopped in good order and the reason is told.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
};

use super::App;
use crate::{
    clock::Clock,
    domain::{id::OrgId, time::Timestamp},
    engine::{Answer, Committer, Ended, Engine, NoClient, Parts, Patience, Transport},
    http::{self, Api, Doorkeeper},
    inbound::{
        callbacks::{Applier, Reader},
        keywords::{BadKeywords, Keywords},
        poller::{Ask, Poller},
    },
    intake::{events::EventLoop, schedule::Scheduler, upkeep::Upkeep},
    notify::{self, Deliverer},
    store::StoreError,
};

/// How long what is in flight may take to finish (SPEC 9).
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks of a loop that found nothing.
const IDLE: Duration = Duration::from_millis(50);
/// Between two looks of a loop whose database is in trouble.
const TROUBLE: Duration = Duration::from_secs(1);

/// What this process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP, on this listener's address.
    pub api: bool,
    /// Fires schedules, makes requests of events, applies callbacks, posts webhooks.
    pub scheduler: bool,
    /// Sends.
    pub worker: bool,
    /// Sends for this organization only.
    pub only: Option<OrgId>,
}

/// Why a running herald has ended.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The HTTP client could not be made.
    #[error(transparent)]
    Client(#[from] NoClient),
    /// The engine.
    #[error("the engine has ended")]
    Engine(#[from] Ended),
    /// The HTTP server.
    #[error("the HTTP server has ended")]
    Server(#[from] io::Error),
    /// A task panicked.
    #[error("a task has broken")]
    Task(#[from] JoinError),
    /// The settings name a word that cannot be a keyword.
    #[error(transparent)]
    Keywords(#[from] BadKeywords),
}

/// A running herald.
#[derive(Debug)]
pub struct Running {
    engine: Option<Engine>,
    tasks: JoinSet<Result<(), Broken>>,
    committers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Starts what the roles name; the listener is needed for the API.
    pub fn start(app: &App, roles: &Roles, listener: Option<TcpListener>) -> Result<Self, Broken> {
        let (stop, stopped) = watch::channel(false);
        let mut running = Self { engine: None, tasks: JoinSet::new(), committers: Vec::new(), stop };
        if let (true, Some(listener)) = (roles.api, listener) {
            running.serve(app, listener, &stopped)?;
        }
        if roles.scheduler {
            running.schedule(app, &stopped)?;
            running.poll(app, &stopped)?;
            running.notify(app, stopped)?;
        }
        if roles.worker {
            let parts = Parts {
                store: app.store.clone(),
                books: app.books.clone(),
                clock: app.clock.clone(),
                metrics: app.metrics.clone(),
                worker: app.config.worker.clone(),
                public_url: app.config.public_url.clone(),
                only: roles.only.clone(),
            };
            running.engine = Some(Engine::start(parts)?);
        }
        Ok(running)
    }

    fn serve(&mut self, app: &App, listener: TcpListener, stopped: &watch::Receiver<bool>) -> Result<(), NoClient> {
        let transport = Transport::new(&app.config.worker)?;
        let store = app.store.clone();
        let (events, recording) = Committer::start(
            app.clock.clone(),
            Patience::None,
            Box::new(move |events| {
                let store = store.clone();
                Box::pin(async move {
                    let events: Vec<_> =
                        events.iter().map(|(org, event): &(OrgId, _)| (org, Clone::clone(event))).collect();
                    store.record_events(&events).await
                })
            }),
        );
        self.committers.push(recording);
        let store = app.store.clone();
        let (callbacks, recording) = Committer::start(
            app.clock.clone(),
            Patience::None,
            Box::new(move |callbacks| {
                let store = store.clone();
                Box::pin(async move {
                    let callbacks: Vec<_> =
                        callbacks.iter().map(|(org, callback): &(OrgId, _)| (org, Clone::clone(callback))).collect();
                    store.record_callbacks(&callbacks).await?;
                    Ok(vec![(); callbacks.len()])
                })
            }),
        );
        self.committers.push(recording);
        let api = Arc::new(Api {
            slots: app.config.worker.slots,
            store: app.store.clone(),
            books: app.books.clone(),
            clock: app.clock.clone(),
            metrics: app.metrics.clone(),
            events,
            callbacks,
            reader: Reader { public_url: app.config.public_url.clone() },
            transport,
            door: Doorkeeper::new(app.config.api.requests_per_hour as u64),
            stopped: stopped.clone(),
            max_body_bytes: app.config.api.max_body_bytes,
            max_upload_bytes: app.config.api.max_upload_bytes as u64,
        });
        let mut stopped = stopped.clone();
        self.tasks.spawn(async move {
            let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
            Ok(axum::serve(listener, http::router(api)).with_graceful_shutdown(stop).await?)
        });
        Ok(())
    }

    fn schedule(&mut self, app: &App, stopped: &watch::Receiver<bool>) -> Result<(), Broken> {
        let (store, books, clock) = (app.store.clone(), app.books.clone(), app.clock.clone());
        let scheduler = Scheduler { store: store.clone(), books: books.clone(), clock: clock.clone() };
        let upkeep = Upkeep { store: store.clone(), books: books.clone() };
        let intake = &app.config.intake;
        let events =
            EventLoop::new(store.clone(), books.clone(), clock.clone(), intake.coalesce, intake.coalesce_contacts);
        let applier = Applier {
            store,
            books,
            clock: clock.clone(),
            metrics: app.metrics.clone(),
            keywords: Arc::new(Keywords::configured(&app.config.keywords)?),
        };
        self.tasks.spawn(every("schedules", clock.clone(), stopped.clone(), move |now| {
            let scheduler = scheduler.clone();
            async move { scheduler.tick(now).await }
        }));
        self.tasks.spawn(every("events", clock.clone(), stopped.clone(), move |now| {
            let events = events.clone();
            async move { events.tick(now).await }
        }));
        self.tasks.spawn(every("upkeep", clock.clone(), stopped.clone(), move |now| {
            let upkeep = upkeep.clone();
            async move { upkeep.tick(now).await }
        }));
        self.tasks.spawn(every("callbacks", clock, stopped.clone(), move |now| {
            let applier = applier.clone();
            async move { applier.tick(now).await }
        }));
        Ok(())
    }

    fn poll(&mut self, app: &App, stopped: &watch::Receiver<bool>) -> Result<(), NoClient> {
        let transport = Transport::new(&app.config.worker)?;
        let ask: Ask = Arc::new(move |request| {
            let transport = transport.clone();
            Box::pin(async move {
                match transport.call(&request).await {
                    Answer::Reply(reply) => Some(reply),
                    Answer::NotSent(_) | Answer::PerhapsSent(_) => None,
                }
            })
        });
        let (store, books, clock) = (app.store.clone(), app.books.clone(), app.clock.clone());
        let poller = Poller { store, books, clock: clock.clone(), ask };
        self.tasks.spawn(every("polls", clock, stopped.clone(), move |now| {
            let poller = poller.clone();
            async move { poller.tick(now).await }
        }));
        Ok(())
    }

    /// Posts what organizations want to hear of.
    fn notify(&mut self, app: &App, stopped: watch::Receiver<bool>) -> Result<(), Broken> {
        let parts = notify::Parts {
            store: app.store.clone(),
            books: app.books.clone(),
            clock: app.clock.clone(),
            metrics: app.metrics.clone(),
        };
        let deliverer = Deliverer::new(parts, &app.config.webhooks)?;
        self.tasks.spawn(async move { Ok(deliverer.run(stopped).await?) });
        Ok(())
    }

    /// Waits until something ends by itself, which it does only when it has broken.
    pub async fn broken(&mut self) -> Result<(), Broken> {
        let engine = async {
            match &mut self.engine {
                Some(engine) => engine.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = engine => Ok(ended?),
            Some(ended) = self.tasks.join_next() => ended?,
        }
    }

    /// Takes nothing new, finishes what is in flight, and ends.
    pub async fn stop(mut self) -> Result<(), Broken> {
        self.stop.send_replace(true);
        if let Some(engine) = self.engine {
            engine.stop(PATIENCE).await?;
        }
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        for recording in self.committers {
            recording.await?;
        }
        Ok(())
    }
}

/// Ticks until told to stop: at once again while there is work, a moment later when there is none.
async fn every<F, T>(
    name: &'static str,
    clock: Clock,
    mut stopped: watch::Receiver<bool>,
    tick: F,
) -> Result<(), Broken>
where
    F: Fn(Timestamp) -> T,
    T: Future<Output = Result<usize, StoreError>>,
{
    while !*stopped.borrow() {
        let pause = match tick(clock.now()).await {
            Ok(0) => IDLE,
            Ok(_) => continue,
            // One organization's trouble, or the database's: neither ends the loop.
            Err(problem) => {
                tracing::error!(name, problem = %crate::telemetry::chain(&problem), "a loop waits for the database");
                TROUBLE
            }
        };
        tokio::select! {
            () = clock.sleep(pause) => {}
            _ = stopped.changed() => {}
        }
    }
    Ok(())
}
