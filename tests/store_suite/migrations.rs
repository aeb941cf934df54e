//! The schema: made once, by one process, and never touched by a herald that does not know it.

use std::collections::BTreeSet;

use herald::store::{Store, StoreError};
use sha2::{Digest as _, Sha256};

use crate::bench::Bench;

/// Every migration's text, oldest first.
fn migrations() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Leaves the database without any table.
async fn empty(bench: &Bench) {
    let texts = migrations();
    let made = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("CREATE TABLE "));
    let tables: BTreeSet<&str> = made.filter_map(|rest| rest.split([' ', '(']).next()).collect();
    assert!(tables.len() > 10);
    for table in tables.into_iter().chain(["herald_schema"]) {
        bench.ask(&format!("DROP TABLE IF EXISTS {table}")).await;
    }
}

pub async fn an_earlier_database_is_brought_up_to_date(bench: Bench) {
    empty(&bench).await;
    let first = migrations().swap_remove(0);
    let code: String =
        first.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    for statement in code.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        bench.ask(&bench.store.dialect().text(statement)).await;
    }
    let checksum: String = Sha256::digest(&first).iter().map(|byte| format!("{byte:02x}")).collect();
    bench.ask("CREATE TABLE herald_schema (version BIGINT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL)").await;
    bench.ask(&format!("INSERT INTO herald_schema (version, checksum) VALUES (1, '{checksum}')")).await;
    bench.ask("INSERT INTO lanes (org_id, lane, due_at) VALUES ('acme', 'upkeep', 7)").await;
    bench.ask("INSERT INTO definitions (org_id, kind, definition_id, name, body, version, changed_at) VALUES ('acme', 'hook', 'h', 'crm', '{}', 3, 1)").await;
    bench.ask("INSERT INTO requests (org_id, run_id, number, priority, state, first_seq, size, due_at, token, attempts, begun, accepted_at) VALUES ('acme', 'r', 1, 'bulk', 'ready', 1, 5, 0, 2, 1, 0, 0)").await;
    let store = Store::open(&bench.url).await.unwrap();
    store.ready().await.unwrap();
    store.close().await;
    assert_eq!(bench.ask("SELECT lane, CAST(due_at AS TEXT) FROM lanes").await, [["upkeep", "7"]]);
    assert_eq!(bench.ask("SELECT name, body, CAST(version AS TEXT) FROM definitions").await, [["crm", "{}", "3"]]);
    assert_eq!(bench.ask("SELECT via, CAST(token AS TEXT), CAST(polls AS TEXT) FROM requests").await, [["", "2", "0"]]);
}

pub async fn opening_twice_changes_nothing(bench: Bench) {
    let org = bench.acme().await;
    let versions = bench.ask("SELECT COUNT(*) FROM herald_schema").await;
    let again = Store::open(&bench.url).await.unwrap();
    again.ready().await.unwrap();
    assert!(again.organization(&org).await.unwrap().is_some());
    again.close().await;
    assert_eq!(bench.ask("SELECT COUNT(*) FROM herald_schema").await, versions);
}

pub async fn several_processes_may_open_at_once(bench: Bench) {
    empty(&bench).await;
    let opening: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn({
                let url = bench.url.clone();
                async move { Store::open(&url).await }
            })
        })
        .collect();
    for opened in opening {
        let store = opened.await.unwrap().unwrap();
        store.ready().await.unwrap();
        store.close().await;
    }
}

pub async fn a_newer_database_is_refused_in_words(bench: Bench) {
    bench.ask("INSERT INTO herald_schema (version, checksum) VALUES (99, 'x')").await;
    let refused = Store::open(&bench.url).await.unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused:?}");
    assert!(refused.to_string().contains("version 99") && refused.to_string().contains("newer herald"), "{refused}");
    assert!(bench.store.ready().await.is_err(), "and a running one says that it is not ready");
}

pub async fn an_altered_migration_is_refused(bench: Bench) {
    bench.ask("UPDATE herald_schema SET checksum = 'another text'").await;
    let refused = Store::open(&bench.url).await.unwrap_err();
    assert!(matches!(refused, StoreError::Altered(1)), "{refused:?}");
    assert!(refused.to_string().contains("another build"), "{refused}");
}
