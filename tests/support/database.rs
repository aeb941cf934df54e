//! A database of a test's own, on either engine.

use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// Where the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of its own.
    Sqlite,
    /// A database of its own on the server that HERALD_TEST_POSTGRES_URL names.
    Postgres,
}

impl Database {
    /// The URL of a database that nobody has used.
    pub async fn fresh(self, folder: &TempDir) -> String {
        if self == Self::Sqlite {
            return format!("sqlite:{}", folder.path().join("herald.db").display());
        }
        let server = std::env::var("HERALD_TEST_POSTGRES_URL");
        assert!(server.is_ok(), "HERALD_TEST_POSTGRES_URL is not set: run ./test, which brings a server");
        let server = server.unwrap();
        let name = format!("herald_{:032x}", rand::random::<u128>());
        let mut admin = PgConnection::connect(&server).await.unwrap();
        admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        format!("{base}/{name}")
    }
}
