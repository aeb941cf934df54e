//! The order of things: the sink, the file, and for each store the bare client, the pipeline, the bare client again.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{Bench, Stores, audience, bare, database, process, process::Role, run};

/// The exit status when something went wrong that is no missing server.
pub const FAILED: u8 = 3;
const SCENARIO: &str = "csv-to-sent";

/// Measures what was asked for.
pub fn all(bench: &Bench) -> anyhow::Result<ExitCode> {
    if !(1..=audience::MOST_ROWS).contains(&bench.messages) {
        bail!("--messages must be from 1 to {}", audience::MOST_ROWS);
    }
    if bench.store != Stores::Postgres {
        on_sqlite(bench)?;
    }
    match &bench.postgres {
        _ if bench.store == Stores::Sqlite => Ok(ExitCode::SUCCESS),
        Some(server) => on_postgres(bench, server).map(|()| ExitCode::SUCCESS),
        None => under_private_postgres(bench),
    }
}

fn on_sqlite(bench: &Bench) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("herald-bench").tempdir_in(&bench.dir).context("--dir")?;
    let url = format!("sqlite:{}", folder.path().join("herald.db").display());
    let extra = json!({ "disk_sync_ms": rounded(database::sync_ms(folder.path())?, 2) });
    measure(bench, "sqlite", &url, folder.path(), extra)
}

fn on_postgres(bench: &Bench, server: &str) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("herald-bench").tempdir_in(&bench.dir).context("--dir")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fresh = runtime.block_on(database::Fresh::on(server))?;
    let measured = measure(bench, "postgres", &fresh.url, folder.path(), json!({}));
    let dropped = runtime.block_on(fresh.drop_it());
    measured.and(dropped)
}

/// This program again, with a server that lives as long as it does.
fn under_private_postgres(bench: &Bench) -> anyhow::Result<ExitCode> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/postgres.sh");
    let status = Command::new("bash")
        .arg(&script)
        .arg("run")
        .arg(std::env::current_exe()?)
        .args(["--store", "postgres", "--messages", &bench.messages.to_string()])
        .args(["--bare-seconds", &bench.bare_seconds.to_string()])
        .arg("--dir")
        .arg(&bench.dir)
        .args(load(bench))
        .env("HERALD_TEST_POSTGRES_DURABLE", "1")
        .stdin(Stdio::null())
        .status();
    match status.context("bash cannot be started").map(|status| status.code()) {
        Ok(Some(0)) => Ok(ExitCode::SUCCESS),
        // The script's own status when there is no server; what it tried stands on standard error.
        Ok(Some(1)) => skip(
            "no Postgres server: neither --postgres, HERALD_TEST_POSTGRES_URL, nor one that tests/support/postgres.sh could start",
        ),
        Ok(_) => Ok(ExitCode::from(FAILED)),
        Err(problem) => skip(&format!("{problem:#}")),
    }
}

fn skip(why: &str) -> anyhow::Result<ExitCode> {
    process::say(&json!({ "scenario": SCENARIO, "store": "postgres", "skipped": why }).to_string());
    Ok(ExitCode::SUCCESS)
}

fn load(bench: &Bench) -> [String; 4] {
    let load = bench.load;
    ["--concurrency".into(), load.concurrency.to_string(), "--slots".into(), load.slots.to_string()]
}

fn measure(bench: &Bench, store: &str, url: &str, folder: &Path, extra: Value) -> anyhow::Result<()> {
    let csv = folder.join("audience.csv");
    audience::write(&csv, bench.messages).context("the file cannot be written")?;
    let (_sink, sink) = Role::start(&["sink".to_owned()])?;
    let bare = || -> anyhow::Result<bare::Found> {
        let seconds = bench.bare_seconds.max(1).to_string();
        let concurrency = bench.load.concurrency.to_string();
        let role = ["bare", "--sink", &sink, "--concurrency", &concurrency, "--seconds", &seconds].map(str::to_owned);
        Ok(serde_json::from_str(&Role::start(&role)?.1)?)
    };
    let before = bare()?;
    let count = taken(&sink)?;
    let csv = csv.display().to_string();
    let role = ["run", "--url", url, "--csv", &csv, "--sink", &sink].map(str::to_owned);
    let done: run::Done = serde_json::from_str(&Role::start(&[role.as_slice(), &load(bench)].concat())?.1)?;
    let count = taken(&sink)? - count;
    verify(bench.messages, count, &done)?;
    let after = bare()?;

    let mut line = report(bench, store, &done, &before, &after);
    if let (Some(line), Value::Object(extra)) = (line.as_object_mut(), extra) {
        line.extend(done.durability.iter().map(|(name, value)| (name.clone(), json!(value))));
        line.extend(extra);
    }
    process::say(&line.to_string());
    Ok(())
}

/// A figure of a run that lost or doubled something is worth nothing.
fn verify(messages: u64, taken: u64, done: &run::Done) -> anyhow::Result<()> {
    if u64::try_from(done.sent) != Ok(messages) || taken != messages || !done.disagreements.is_empty() {
        bail!(
            "of {messages} messages the sink took {taken} and the store says {:?}; {:?}",
            done.buckets,
            done.disagreements
        );
    }
    Ok(())
}

fn report(bench: &Bench, store: &str, done: &run::Done, before: &bare::Found, after: &bare::Found) -> Value {
    let messages = bench.messages as f64;
    let per_second = messages / (done.import_seconds + done.send_seconds);
    let bare = f64::midpoint(before.per_second, after.per_second);
    let bare_cpu = before.cpu_seconds_per_million.zip(after.cpu_seconds_per_million);
    json!({
        "scenario": SCENARIO,
        "store": store,
        "messages": bench.messages,
        "messages_per_second": rounded(per_second, 0),
        "bare_client_per_second": rounded(bare, 0),
        "ratio": rounded(per_second / bare, 3),
        "peak_rss_mb": done.peak_rss_mb.map(|mb| rounded(mb, 1)),
        "cpu_seconds_per_million": done.cpu_seconds.map(|seconds| rounded(seconds * 1e6 / messages, 1)),
        "import_seconds": rounded(done.import_seconds, 3),
        "send_seconds": rounded(done.send_seconds, 3),
        "bare_client_before": rounded(before.per_second, 0),
        "bare_client_after": rounded(after.per_second, 0),
        "bare_client_cpu_seconds_per_million": bare_cpu.map(|(before, after)| rounded(f64::midpoint(before, after), 1)),
        "concurrency": bench.load.concurrency,
        "slots": bench.load.slots,
        "cores": std::thread::available_parallelism().ok().map(usize::from),
        "load_average": process::load_average(),
        "herald": env!("CARGO_PKG_VERSION"),
    })
}

/// What the sink has answered so far.
fn taken(sink: &str) -> anyhow::Result<u64> {
    let address = sink.strip_prefix("http://").context("the sink's address")?;
    let mut connection = TcpStream::connect(address)?;
    connection.write_all(b"GET / HTTP/1.1\r\nhost: sink\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let count = connection.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..count]);
        if count == 0 {
            bail!("the sink does not say what it has taken");
        }
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: "))
            && body.len() >= length.parse()?
        {
            return Ok(body.parse()?);
        }
    }
}

fn rounded(value: f64, digits: i32) -> Value {
    let scale = 10_f64.powi(digits);
    let rounded = (value * scale).round() / scale;
    if digits == 0 { json!(rounded as i64) } else { json!(rounded) }
}
