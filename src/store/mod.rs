//! The only SQL: one text for embedded SQLite and for Postgres.
//!
//! Read [`db`] first (the engines behind one face), then [`requests`] (the claim) and [`settle`] (outcomes and receipts): they
//! carry the promises. Every method names one organization, except [`lanes`], which asks where there is work.

pub mod access;
pub mod accounts;
pub mod answers;
pub mod audiences;
pub mod callbacks;
pub mod canary;
pub mod cases;
pub mod consents;
pub mod control;
pub mod conversations;
pub mod days;
pub mod db;
pub mod definitions;
pub mod deliveries;
pub mod endpoints;
pub mod events;
pub mod held;
pub mod imports;
pub mod lanes;
pub mod lists;
pub mod messages;
pub mod migrate;
pub mod once;
mod outbox;
pub mod polls;
pub mod recent;
pub mod replies;
pub mod requests;
pub mod runs;
pub mod schedules;
pub mod settle;
pub mod states;
pub mod streams;
pub mod timeline;
mod told;
mod watch;

use std::{str::FromStr, time::Duration};

use sqlx::{
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use db::{Arg, Dialect};
use db::{Pools, Row, Tx};

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names neither engine.
    #[error("\"{0}\" is not a database URL; expected sqlite:FILE or postgres://USER@HOST/DATABASE")]
    Url(String),
    /// The database could not be opened.
    #[error("the database {url} cannot be opened")]
    Open {
        /// Without its password.
        url: String,
        /// What the engine said.
        source: sqlx::Error,
    },
    /// There is no database yet, and this is not what makes one.
    #[error("there is no database at {0}; `herald apply DIR` makes one, or name another with --database-url")]
    Missing(String),
    /// The database was made by a newer herald.
    #[error(
        "the database is at version {found}, and this herald knows versions up to {known}: use a newer herald, or restore a backup"
    )]
    Newer {
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A migration that was applied is not the one that this herald has.
    #[error("migration {0} was applied with another text than this herald has: the database belongs to another build")]
    Altered(i64),
    /// Another process holds the write lock, or two transactions were in each other's way.
    #[error("the database is locked: another process has been writing to it for longer than {0:?}")]
    Locked(Duration),
    /// The database is not there, or went away.
    #[error("the database does not answer")]
    Unreachable(#[source] sqlx::Error),
    /// A value that herald cannot have written.
    #[error("the database holds something that herald cannot have written, in column {column}: {problem}")]
    Damaged {
        /// Where.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Anything else the engine refuses: a mistake of herald's.
    #[error("the database refused a statement")]
    Refused(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum: what is not named here is a refusal")]
    fn from(error: sqlx::Error) -> Self {
        let locked = |code: &str| matches!(code, "5" | "6" | "261" | "517" | "40001" | "40P01");
        match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unreachable(error)
            }
            sqlx::Error::Database(inner) if inner.code().is_some_and(|code| locked(&code)) => Self::Locked(BUSY),
            sqlx::Error::Database(inner)
                if inner.code().is_some_and(|code| ["57P", "08", "53"].iter().any(|class| code.starts_with(class))) =>
            {
                Self::Unreachable(error)
            }
            _ => Self::Refused(error),
        }
    }
}

impl StoreError {
    /// Whether the same statement may succeed a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Locked(_) | Self::Unreachable(_) | Self::Open { .. })
    }
}

/// How long a SQLite statement waits for another process's write.
const BUSY: Duration = Duration::from_secs(10);
/// Connections that read, on SQLite.
const READERS: u32 = 8;
/// Connections in all, on Postgres.
const CONNECTIONS: u32 = 24;

/// The store. Cheap to clone; closed when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    pools: Pools,
}

impl Store {
    /// Opens the database, making it (SQLite) and bringing its schema up to date.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self::connect(url).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database that must be there already: looking at one must not make one.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("sqlite:") {
            let options =
                sqlite_options(url).map_err(|source| StoreError::Open { url: without_password(url), source })?;
            if !options.get_filename().exists() {
                return Err(StoreError::Missing(options.get_filename().display().to_string()));
            }
        }
        Self::open(url).await
    }

    /// Opens the database as it is.
    async fn connect(url: &str) -> Result<Self, StoreError> {
        let shown = without_password(url);
        let failed = |source| StoreError::Open { url: shown.clone(), source };
        if url.starts_with("sqlite:") {
            let options = sqlite_options(url).map_err(failed)?;
            let write =
                SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.map_err(failed)?;
            let read = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await.map_err(failed)?;
            return Ok(Self { pools: Pools::Sqlite { read, write } });
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(url)
                .map_err(failed)?
                .application_name("herald")
                .statement_cache_capacity(200);
            let pool = PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(Duration::from_secs(10))
                .connect_with(options);
            return Ok(Self { pools: Pools::Postgres(pool.await.map_err(failed)?) });
        }
        Err(StoreError::Url(shown))
    }

    /// Which engine it is.
    pub fn dialect(&self) -> Dialect {
        self.pools.dialect()
    }

    /// Whether the database answers and its schema is ours.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let version = self.version().await?;
        let known = migrate::latest();
        if version == known { Ok(()) } else { Err(StoreError::Newer { found: version, known }) }
    }

    /// The settings that a commit's durability hangs on, as the engine has them now: what a figure measured on it is worth.
    pub async fn durability(&self) -> Result<Vec<(&'static str, String)>, StoreError> {
        let (sql, names): (_, &[_]) = match self.dialect() {
            Dialect::Sqlite => ("PRAGMA synchronous", &["sqlite_synchronous"]),
            Dialect::Postgres => (
                "SELECT current_setting('fsync'), current_setting('synchronous_commit')",
                &["fsync", "synchronous_commit"],
            ),
        };
        // On SQLite the setting is the connection's, so the one that writes is asked.
        let Some(row) = self.begin().await?.row(sql, vec![]).await? else { return Ok(vec![]) };
        let value = |column| match self.dialect() {
            Dialect::Sqlite => row
                .int(column)
                .map(|level| ["off", "normal", "full", "extra"].get(level as usize).unwrap_or(&"?").to_string()),
            Dialect::Postgres => row.text(column).map(str::to_owned),
        };
        names.iter().enumerate().map(|(column, name)| Ok((*name, value(column)?))).collect()
    }

    /// Closes every connection, waiting for what is in flight.
    pub async fn close(self) {
        match self.pools {
            Pools::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    async fn begin(&self) -> Result<Tx<'static>, StoreError> {
        self.pools.begin().await
    }

    async fn rows(&self, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        self.pools.rows(sql, args).await
    }

    async fn row(&self, sql: &str, args: Vec<Arg>) -> Result<Option<Row>, StoreError> {
        self.pools.row(sql, args).await
    }

    /// One statement in a transaction of its own.
    async fn execute(&self, sql: &str, args: Vec<Arg>) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let touched = tx.execute(sql, args).await?;
        tx.commit().await?;
        Ok(touched)
    }
}

/// A file; WAL, and a commit that survives a power cut.
fn sqlite_options(url: &str) -> Result<SqliteConnectOptions, sqlx::Error> {
    Ok(SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .pragma("cache_size", "-16000")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .pragma("temp_store", "memory")
        // A request's messages in one go: with fewer places the connection's thread waits for the reader in between.
        .row_buffer_size(256)
        .statement_cache_capacity(200))
}

/// The URL as it may be shown.
fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let hidden = parsed.set_password(Some("…"));
            hidden.map_or_else(|()| "postgres://…".to_owned(), |()| parsed.to_string())
        }
        _ => url.to_owned(),
    }
}
