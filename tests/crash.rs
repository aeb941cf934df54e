//! Never lost, never twice: the real binary is killed, again and again, and the provider's own log is held against the store.

#![expect(clippy::unwrap_used, reason = "a test stops at what is not as it should be")]
#![expect(clippy::print_stdout, reason = "what was counted is worth seeing")]

#[path = "support/database.rs"]
mod database;
#[path = "crash/stage.rs"]
mod stage;

use std::time::Duration;

use database::Database;
use herald::{
    book::Books,
    clock::Stopwatch,
    domain::{message::Status, run::RunStatus},
    intake::{
        upkeep::{PATIENCE, Upkeep},
        upload::{self, NotSent},
    },
    sandbox::{Faults, Provider, Slow},
    secret::Secrets,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stage::Stage;

/// A short lease, so that what a killed worker held comes round again soon.
const IMPATIENT: [(&str, &str); 4] = [
    ("HERALD_WORKER__SLOTS", "6"),
    ("HERALD_WORKER__LEASE", "2500ms"),
    ("HERALD_WORKER__CONNECT_TIMEOUT", "500ms"),
    ("HERALD_WORKER__ANSWER_TIMEOUT", "1500ms"),
];

/// German mobile numbers, none of them magic to the sandbox.
fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|place| format!("+49151{}", 10_000_000 + place)).collect()
}

fn rows(numbers: &[String]) -> Vec<String> {
    numbers.iter().map(|to| format!("{to},yes,Ana")).collect()
}

mod kill_nine {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        kill_nine(Provider::Twilio, Database::Sqlite, 9).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        kill_nine(Provider::Twilio, Database::Postgres, 31).await;
    }

    /// What is in doubt is handed over again, and known by its id.
    #[tokio::test(flavor = "multi_thread")]
    async fn repeats_on_sqlite() {
        kill_nine(Provider::Acs, Database::Sqlite, 17).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn repeats_on_postgres() {
        kill_nine(Provider::Acs, Database::Postgres, 5).await;
    }
}

/// Killed at random moments of a run, `herald send` first and then every `herald serve` that takes its place.
async fn kill_nine(provider: Provider, database: Database, seed: u64) {
    const KILLS: u64 = 6;
    let stage = Stage::at(provider, database, "160/s", &IMPATIENT).await;
    // Some answers are late, so that there is always something in flight.
    stage.sandbox.set_faults(Faults { slow: Slow { share: 0.3, ms: 150 }, ..Faults::default() }).unwrap();
    let good = numbers(2_000);
    let mut file = rows(&good);
    file.extend(rows(&good[..20])); // duplicates
    file.extend((0..30).map(|place| format!("+49151{},no,Bo", 20_000_000 + place)));
    let refused = if provider == Provider::Acs { "190400" } else { "191211" };
    file.extend((20..25).map(|place| format!("+49151{place}{refused},yes,Cy"))); // not a valid number
    stage.file("people.csv", &file);

    let mut dice = StdRng::seed_from_u64(seed);
    let mut child = stage.start(&["send", "note", "--csv", "people.csv"]);
    let mut unwritten = 0;
    for _ in 0..KILLS {
        let more = dice.random_range(60..330);
        stage.accepted((stage.sandbox.summary().accepted + more).min(1_950)).await;
        child.kill();
        let run = stage.newest_run().await.unwrap();
        let known = u64::try_from(stage.store.handed_over(&stage.org, run.id).await.unwrap()).unwrap();
        unwritten += stage.sandbox.summary().accepted.saturating_sub(known);
        child = stage.start(&["serve"]);
    }
    let run = stage.newest_run().await.unwrap();
    stage.completed(run.id).await;
    let audit = stage.audit(run.id, &good, &[(Status::Suppressed, 50), (Status::Failed, 5)]).await;
    drop(child);
    let repeats = stage.sandbox.summary().repeats;
    println!(
        "{provider:?}, {database:?}: {KILLS} kills, {unwritten} accepted but not yet written when killed, {repeats} repeats, {audit:?}"
    );
}

mod sigterm {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        sigterm(Database::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        sigterm(Database::Postgres).await;
    }
}

/// Told to stop in full flow, it finishes what is in flight: nothing is in doubt, and the next one does the rest.
async fn sigterm(database: Database) {
    let stage = Stage::set(database, "300/s", &[]).await;
    stage.sandbox.set_faults(Faults { slow: Slow { share: 0.5, ms: 300 }, ..Faults::default() }).unwrap();
    let good = numbers(2_500);
    stage.file("people.csv", &rows(&good));
    let run = upload::start(&stage.store, &stage.clock, &stage.upload("people.csv").await, |_| ()).await.unwrap();

    let mut child = stage.start(&["serve"]);
    stage.accepted(100).await;
    child.terminate();
    let watch = Stopwatch::start();
    let status = stage.ended(&mut child).await;
    assert!(status.success() && watch.elapsed() < Duration::from_secs(35), "{status} {:?}", watch.elapsed());
    let accepted = stage.sandbox.summary().accepted;
    assert!(accepted < good.len() as u64, "it stopped before the end");
    let known = stage.store.handed_over(&stage.org, run).await.unwrap();
    assert_eq!(u64::try_from(known).ok(), Some(accepted), "everything that was handed over is written");

    let _child = stage.start(&["serve"]);
    stage.completed(run).await;
    let audit = stage.audit(run, &good, &[]).await;
    println!("{database:?}: stopped after {accepted} in {:?}, {audit:?}", watch.elapsed());
}

mod second_sigterm {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        second_sigterm(Database::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        second_sigterm(Database::Postgres).await;
    }
}

/// The provider accepts and never answers; whoever cannot wait says so twice, and nothing is lost or sent again.
async fn second_sigterm(database: Database) {
    let settings = [("HERALD_WORKER__LEASE", "9s"), ("HERALD_WORKER__ANSWER_TIMEOUT", "7s"), IMPATIENT[2]];
    let stage = Stage::set(database, "300/s", &settings).await;
    stage.sandbox.set_faults(Faults { hang_after_accept: 1.0, ..Faults::default() }).unwrap();
    let good = numbers(150);
    stage.file("people.csv", &rows(&good));
    let run = upload::start(&stage.store, &stage.clock, &stage.upload("people.csv").await, |_| ()).await.unwrap();

    let mut child = stage.start(&["serve"]);
    stage.accepted(20).await;
    child.terminate();
    stage
        .until("it says that it stops", async || stage.log().contains("a second signal leaves at once").then_some(()))
        .await;
    let watch = Stopwatch::start();
    let status = stage
        .until("it left", async || {
            child.terminate();
            child.has_ended()
        })
        .await;
    assert_eq!(status.code(), Some(1), "not everything was finished");
    assert!(watch.elapsed() < Duration::from_secs(4), "{:?}", watch.elapsed());

    stage.sandbox.set_faults(Faults::default()).unwrap();
    let _child = stage.start(&["serve"]);
    stage.completed(run).await;
    let audit = stage.audit(run, &good, &[]).await;
    println!("{database:?}: left at once, {audit:?}");
}

mod import {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        import(Database::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        import(Database::Postgres).await;
    }
}

/// Killed while it takes a file in: nothing of it is sent, and it can be sent again.
async fn import(database: Database) {
    let stage = Stage::set(database, "1000/s", &[]).await;
    stage.file("people.csv", &rows(&numbers(40_000)));
    let child = stage.start(&["send", "note", "--csv", "people.csv"]);
    let half = async || stage.newest_run().await.filter(|run| run.messages > 0);
    let broken = stage.until("half taken in", half).await;
    child.kill();
    let broken = stage.store.run(&stage.org, broken.id).await.unwrap().unwrap();
    assert_eq!((broken.status, broken.started_at), (RunStatus::Importing, None), "killed in the middle");

    // At once it cannot be told from one that is alive; a moment later it can.
    let upload = stage.upload("people.csv").await;
    let again = upload::start(&stage.store, &stage.clock, &upload, |_| ()).await;
    assert!(matches!(again, Err(NotSent::BeingTakenIn { run, .. }) if run == broken.id), "{again:?}");
    let books = Books::new(stage.store.clone(), Secrets::from_environment());
    let upkeep = Upkeep { store: stage.store.clone(), books };
    assert_eq!(upkeep.tick(stage.clock.now()).await.unwrap(), 0, "too early to call it left");
    let later = stage.clock.now().plus(PATIENCE + Duration::from_secs(1));
    while upkeep.tick(later).await.unwrap() > 0 {}
    let failed = stage.store.run(&stage.org, broken.id).await.unwrap().unwrap();
    assert_eq!((failed.status, failed.messages, failed.requests), (RunStatus::Failed, 0, 0), "{}", failed.why);
    let rows = stage.store.recount(&stage.org, broken.id).await.unwrap();
    assert_eq!(rows.messages, 0, "its rows are gone");

    let run = upload::start(&stage.store, &stage.clock, &upload, |_| ()).await.unwrap();
    assert_ne!(run, broken.id);
    let taken_in = stage.store.run(&stage.org, run).await.unwrap().unwrap();
    assert_eq!((taken_in.status, taken_in.messages), (RunStatus::Running, 40_000));
    assert_eq!(stage.sandbox.summary().calls, 0, "nothing was sent meanwhile");
    println!("{database:?}: killed after {} of 40000 rows, and sent again", broken.messages);
}
