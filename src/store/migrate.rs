//! The schema's versions: applied in order, once, and never by an older herald than the database has seen.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{
    Store, StoreError,
    db::{Tx, args},
};

/// Every migration, oldest first.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../migrations/0001_initial.sql")),
    (2, include_str!("../../migrations/0002_every_provider.sql")),
    (3, include_str!("../../migrations/0003_conversations.sql")),
    (4, include_str!("../../migrations/0004_outbox.sql")),
    (5, include_str!("../../migrations/0005_timeline.sql")),
    (6, include_str!("../../migrations/0006_once.sql")),
    (7, include_str!("../../migrations/0007_cases.sql")),
    (8, include_str!("../../migrations/0008_contact_rules.sql")),
    (9, include_str!("../../migrations/0009_control.sql")),
    (11, include_str!("../../migrations/0011_door.sql")),
];

/// The version that this herald brings a database to.
pub(super) fn latest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, _)| *version)
}

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS herald_schema (version BIGINT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL)";

impl Store {
    /// Brings the schema up to date, in one transaction.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if let Some(lock) = self.dialect().schema_lock() {
            tx.rows(lock, vec![]).await?;
        }
        tx.execute(TABLE, vec![]).await?;
        let applied = tx.rows("SELECT version, checksum FROM herald_schema ORDER BY version", vec![]).await?;
        let mut version = 0;
        for row in &applied {
            version = row.int(0)?;
            let Some((_, text)) = MIGRATIONS.iter().find(|(known, _)| *known == version) else {
                return Err(StoreError::Newer { found: version, known: latest() });
            };
            if row.text(1)? != checksum(text) {
                return Err(StoreError::Altered(version));
            }
        }
        for (next, text) in MIGRATIONS.iter().filter(|(next, _)| *next > version) {
            apply(&mut tx, text).await?;
            tx.execute("INSERT INTO herald_schema (version, checksum) VALUES ($1, $2)", args![*next, checksum(text)])
                .await?;
        }
        tx.commit().await
    }

    /// The version that the database is at.
    pub(super) async fn version(&self) -> Result<i64, StoreError> {
        let row = self.row("SELECT MAX(version) FROM herald_schema", vec![]).await?;
        Ok(row.map(|row| row.maybe_int(0)).transpose()?.flatten().unwrap_or(0))
    }
}

/// One statement after another: a prepared statement holds only one.
async fn apply(tx: &mut Tx<'_>, text: &str) -> Result<(), StoreError> {
    let bare: String = text.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code)).fold(
        String::new(),
        |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        },
    );
    for statement in bare.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        tx.execute(statement, vec![]).await?;
    }
    Ok(())
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}
