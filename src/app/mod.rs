//! The parts put together: one value that the commands share, and the processes that run in it.

mod running;

use std::sync::Arc;

pub use running::{Broken, Roles, Running};

use crate::{
    book::{Book, Books},
    clock::Clock,
    config::Config,
    domain::id::OrgId,
    secret::Secrets,
    store::{Store, StoreError},
    telemetry::Metrics,
};

/// Everything that a command or a server works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// The settings.
    pub config: Config,
    /// The store, opened and up to date.
    pub store: Store,
    /// The organizations' books.
    pub books: Books,
    /// The time.
    pub clock: Clock,
    /// Where secrets are found.
    pub secrets: Secrets,
    /// The figures.
    pub metrics: Arc<Metrics>,
}

/// Which organization a command is about could not be told.
#[derive(Debug, thiserror::Error)]
pub enum WhichOrg {
    /// None is there.
    #[error("the database holds no organization yet; load one with `herald apply DIR`")]
    None,
    /// Several are there, and none was named.
    #[error("the database holds several organizations ({0}); name one with --org")]
    Several(String),
    /// The named one is not there.
    #[error("there is no organization \"{0}\" in the database; there is {1}")]
    Unknown(String, String),
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] StoreError),
}

impl App {
    /// Opens the store, making it if it is not there, and puts the parts together.
    pub async fn open(config: Config, secrets: Secrets, clock: Clock) -> Result<Self, StoreError> {
        let store = Store::open(config.database_url.expose()).await?;
        Ok(Self::with(store, config, secrets, clock))
    }

    /// The same over a store that must be there already.
    pub async fn open_existing(config: Config, secrets: Secrets, clock: Clock) -> Result<Self, StoreError> {
        let store = Store::open_existing(config.database_url.expose()).await?;
        Ok(Self::with(store, config, secrets, clock))
    }

    fn with(store: Store, config: Config, secrets: Secrets, clock: Clock) -> Self {
        let secrets = secrets.sealed_with(config.seal_key.clone());
        let books = Books::new(store.clone(), secrets.clone());
        Self { config, store, books, clock, secrets, metrics: Arc::new(Metrics::new()) }
    }

    /// The organization that a command is about: the named one, or the only one.
    pub async fn organization(&self, named: Option<&OrgId>) -> Result<Arc<Book>, WhichOrg> {
        let known = self.store.organizations().await?;
        let names = || known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let org = match (named, known.as_slice()) {
            (_, []) => return Err(WhichOrg::None),
            (Some(named), _) if known.contains(named) => named,
            (Some(named), _) => return Err(WhichOrg::Unknown(named.to_string(), names())),
            (None, [only]) => only,
            (None, _) => return Err(WhichOrg::Several(names())),
        };
        self.books.current(org).await?.ok_or(WhichOrg::None)
    }
}
