//! The schema: made once, by one process, and never touched by a herald that does not know it.

use std::collections::BTreeSet;

use herald::store::{Store, StoreError};

use crate::bench::Bench;

pub async fn opening_twice_changes_nothing(bench: Bench) {
    let org = bench.acme().await;
    let versions = bench.ask("SELECT version, checksum FROM herald_schema ORDER BY version").await;
    let again = Store::open(&bench.url).await.unwrap();
    again.ready().await.unwrap();
    assert!(again.organization(&org).await.unwrap().is_some());
    again.close().await;
    assert_eq!(bench.ask("SELECT version, checksum FROM herald_schema ORDER BY version").await, versions);
}

pub async fn several_processes_may_open_at_once(bench: Bench) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let texts = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let tables: BTreeSet<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| Some(line.strip_prefix("CREATE TABLE ")?.split(' ').next()?.to_owned()))
        .collect();
    assert!(tables.len() > 10);
    for table in tables.iter().map(String::as_str).chain(["herald_schema"]) {
        bench.ask(&format!("DROP TABLE IF EXISTS {table}")).await;
    }
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
