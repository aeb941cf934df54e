//! Fresh databases, and how durable they are.

use std::{fs::File, io::Write as _, path::Path, str::FromStr as _};

use anyhow::Context as _;
use herald::clock::Stopwatch;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};

/// A database of its own on a Postgres server; dropped with [`Fresh::drop_it`].
#[derive(Debug)]
pub struct Fresh {
    server: String,
    name: String,
    /// Where it is.
    pub url: String,
}

impl Fresh {
    /// Makes it.
    pub async fn on(server: &str) -> anyhow::Result<Self> {
        let name = format!("herald_bench_{}", std::process::id());
        let mut url = url::Url::parse(server).context("--postgres is not a URL")?;
        url.set_path(&name);
        let mut connection = connect(server).await?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
        connection.close().await?;
        Ok(Self { server: server.to_owned(), name, url: url.into() })
    }

    /// Takes it away again.
    pub async fn drop_it(self) -> anyhow::Result<()> {
        let mut connection = connect(&self.server).await?;
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

async fn connect(server: &str) -> anyhow::Result<PgConnection> {
    PgConnection::connect_with(&PgConnectOptions::from_str(server)?).await.context("Postgres does not answer")
}

/// How long this disk takes to make a page durable, in milliseconds: the median of some tries. A disk that takes no time
/// keeps no promise, and a figure measured on it is worth as much.
pub fn sync_ms(folder: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("sync"))?;
    let mut times = Vec::with_capacity(50);
    for _ in 0..50 {
        let watch = Stopwatch::start();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(watch.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
