//! The two engines behind one face: connections, transactions, parameters and rows.
//!
//! Every statement is one text for both. The three places where the engines differ are [`Dialect`]'s: the locking of rows in
//! a claim, rows from a JSON parameter, and who may write. Parameters and rows go through two small enums, so that the rest
//! of the store is plain code that is compiled once.

use sqlx::{
    AssertSqlSafe, Column, Postgres, Row as _, Sqlite, Transaction, postgres::PgPool, postgres::PgRow,
    sqlite::SqlitePool, sqlite::SqliteRow,
};

use super::{
    StoreError,
    outbox::{self, Outbox},
    watch::{self, Watched},
};

/// Which engine a statement is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded.
    Sqlite,
    /// A server.
    Postgres,
}

impl Dialect {
    /// What keeps two processes from changing the schema at once. SQLite's transactions that write exclude each other anyway.
    pub(super) fn schema_lock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT CAST(pg_advisory_xact_lock(4857214553) AS TEXT)"),
        }
    }

    /// The engine's own text of a statement.
    ///
    /// - `ROWS($1)` stands for the rows of a JSON array of arrays, as `r`; a cell is `r.value ->> 0`. SQLite knows nothing of
    ///   how many they are, and would go through the other table instead: CROSS JOIN and MATERIALIZED put them first, and a list of
    ///   keys (`IN`) casts each of its columns.
    /// - `SKIP LOCKED ROWS` and `LOCKED ROWS` end a SELECT that claims or locks; SQLite has one writer and needs neither.
    pub fn text(self, sql: &str) -> String {
        match self {
            Self::Sqlite => sql
                .replace("ROWS($1)", "json_each($1) AS r")
                .replace("SKIP LOCKED ROWS", "")
                .replace("LOCKED ROWS", "")
                .replace("/* clustered */", "WITHOUT ROWID"),
            Self::Postgres => sql
                .replace("ROWS($1)", "jsonb_array_elements($1::jsonb) AS r(value)")
                .replace("SKIP LOCKED ROWS", "FOR UPDATE SKIP LOCKED")
                .replace("LOCKED ROWS", "FOR UPDATE"),
        }
    }
}

/// The pools. SQLite has many readers and one writer; Postgres one pool for both.
#[derive(Clone, Debug)]
pub(super) enum Pools {
    Sqlite { read: SqlitePool, write: SqlitePool },
    Postgres(PgPool),
}

/// A parameter.
#[derive(Clone, Debug)]
pub enum Arg {
    /// A whole number.
    Int(i64),
    /// A whole number or NULL.
    MaybeInt(Option<i64>),
    /// A text.
    Text(String),
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::MaybeInt(value)
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// Parameters in the order of `$1`, `$2`, …; ids and times are written as the store keeps them.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::db::Arg::from($value)),*] };
}
pub(super) use args;

/// Rows (tuples, arrays) as the JSON text that `ROWS($1)` reads.
pub(super) fn json_rows<T: serde::Serialize>(rows: impl Iterator<Item = T>) -> String {
    let mut text = vec![b'['];
    for row in rows {
        if text.len() > 1 {
            text.push(b',');
        }
        // Neither the memory nor our own types refuse.
        let _infallible = serde_json::to_writer(&mut text, &row);
    }
    text.push(b']');
    String::from_utf8(text).unwrap_or_default()
}

/// A row of either engine.
#[derive(Debug)]
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From Postgres.
    Postgres(PgRow),
}

impl Row {
    /// A whole number.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }?)
    }

    /// A whole number that may be NULL.
    pub fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }?)
    }

    /// A text.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }?)
    }

    /// A text that may be NULL.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }?)
    }

    /// A text that is one of ours: an id, a status. What cannot be read is damage, and says in which column.
    pub fn parsed<T: std::str::FromStr>(&self, column: usize) -> Result<T, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(column)?;
        text.parse().map_err(|problem: T::Err| self.damaged(column, problem))
    }

    /// A text that holds JSON of ours.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|problem| self.damaged(column, problem))
    }

    fn damaged(&self, column: usize, problem: impl std::fmt::Display) -> StoreError {
        let name = match self {
            Self::Sqlite(row) => row.columns().get(column).map(|c| c.name().to_owned()),
            Self::Postgres(row) => row.columns().get(column).map(|c| c.name().to_owned()),
        };
        StoreError::Damaged { column: name.unwrap_or_default(), problem: problem.to_string() }
    }
}

/// A transaction on either engine. Dropped without [`Tx::commit`], it is rolled back.
pub struct Tx<'a> {
    inner: Inner<'a>,
    /// What it knows of who wants to hear of what it does.
    pub(super) outbox: Outbox,
    /// The runs whose limits it has to look at before it ends.
    pub(super) watched: Watched,
}

enum Inner<'a> {
    Sqlite(Transaction<'a, Sqlite>),
    Postgres(Transaction<'a, Postgres>),
}

/// Runs `$query` with the engine's own argument binding on the engine's own connection.
macro_rules! run {
    ($dialect:expr, $sql:expr, $args:expr, $connection:expr, $method:ident) => {{
        let mut query = sqlx::query(AssertSqlSafe($dialect.text($sql)));
        for arg in $args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::MaybeInt(value) => query.bind(value),
                Arg::Text(value) => query.bind(storable(value)),
            };
        }
        query.$method($connection).await
    }};
}

/// Postgres keeps no NUL in a text and refuses one in JSON; a person may write one all the same. It becomes the mark for what
/// cannot be shown, on both engines.
pub(super) fn storable(text: String) -> String {
    const ESCAPED: &str = "\\u0000";
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    if !text.contains(ESCAPED) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(ESCAPED) {
        let (before, after) = rest.split_at(at);
        clean.push_str(before);
        // After an odd number of backslashes its own is a backslash that is meant.
        let backslashes = clean.len() - clean.trim_end_matches('\\').len();
        clean.push_str(if backslashes.is_multiple_of(2) { "\\ufffd" } else { ESCAPED });
        rest = &after[ESCAPED.len()..];
    }
    clean.push_str(rest);
    clean
}

impl Tx<'_> {
    /// Which engine it is on.
    pub fn dialect(&self) -> Dialect {
        match &self.inner {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; how many rows it touched.
    pub async fn execute(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64, StoreError> {
        Ok(match &mut self.inner {
            Inner::Sqlite(tx) => run!(Dialect::Sqlite, sql, args, &mut **tx, execute)?.rows_affected(),
            Inner::Postgres(tx) => run!(Dialect::Postgres, sql, args, &mut **tx, execute)?.rows_affected(),
        })
    }

    /// Runs a statement; its rows.
    pub async fn rows(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        Ok(match &mut self.inner {
            Inner::Sqlite(tx) => {
                run!(Dialect::Sqlite, sql, args, &mut **tx, fetch_all)?.into_iter().map(Row::Sqlite).collect()
            }
            Inner::Postgres(tx) => {
                run!(Dialect::Postgres, sql, args, &mut **tx, fetch_all)?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Runs a statement; its first row, if any.
    pub async fn row(&mut self, sql: &str, args: Vec<Arg>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Makes everything since the transaction began durable.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        watch::look_at_all(&mut self).await?;
        outbox::wake(&mut self).await?;
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await?,
            Inner::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

impl Pools {
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Begins a transaction that may write. SQLite takes the write lock at once: a transaction that reads first and then
    /// writes could not be carried through beside another one.
    pub(super) async fn begin(&self) -> Result<Tx<'static>, StoreError> {
        let inner = match self {
            Self::Sqlite { write, .. } => Inner::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Inner::Postgres(pool.begin().await?),
        };
        Ok(Tx { inner, outbox: Outbox::default(), watched: Watched::default() })
    }

    /// Reads outside any transaction.
    pub(super) async fn rows(&self, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        Ok(match self {
            Self::Sqlite { read, .. } => {
                run!(Dialect::Sqlite, sql, args, read, fetch_all)?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(pool) => {
                run!(Dialect::Postgres, sql, args, pool, fetch_all)?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(super) async fn row(&self, sql: &str, args: Vec<Arg>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }
}
