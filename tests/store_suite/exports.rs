//! What is kept of an uploaded file so that its report is the file itself.

use std::time::Duration;

use herald::{
    domain::{fairness::Priority, id::OrgId},
    store::{
        exports::{FileRows, Refused},
        imports::Day,
        runs::{NewRun, Rejected},
    },
};

use crate::bench::{Bench, PLENTY, at, new_messages, new_run};

fn rows(refused: std::ops::Range<i64>) -> FileRows {
    let row = |row| Rejected { row, fields: vec!["12".into(), "x\"y".into()], problems: "column to: \"12\"".into() };
    FileRows {
        messages: new_messages(1, 120),
        otherwise: vec![(0, r#"{"0":"+49 151"}"#.into()), (119, r#"{"1":"1","7":" é "}"#.into())],
        refused: refused.map(|n| Refused { row: row(n), code: "invalid_number".into() }).collect(),
    }
}

pub async fn rows_of_a_file_keep_what_they_say_otherwise(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let run = store.begin_run(&org, &new_run(Priority::Instant), at(0)).await.unwrap();
    for _ in 0..2 {
        store.add_file_rows(&org, run, 0, &rows(500..505), at(0)).await.unwrap(); // once, however often it is said
    }
    let more = FileRows { refused: rows(505..508).refused, ..FileRows::default() };
    store.add_file_rows(&org, run, 120, &more, at(0)).await.unwrap();
    let found = bench.run(&org, run).await;
    assert_eq!((found.messages, found.rejected, found.requests), (120, 8, 2));

    let all = store.message_cells(&org, run, (1, 120)).await.unwrap();
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), [1, 120]);
    assert_eq!((all[&1][&0].as_str(), all[&120][&1].as_str(), all[&120][&7].as_str()), ("+49 151", "1", " é "));
    assert!(store.message_cells(&org, run, (2, 119)).await.unwrap().is_empty());

    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = store.refused_rows(&org, run, (after, i64::MAX), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.row.row;
        seen.extend(page.into_iter().map(|refused| (refused.row.row, refused.code)));
    }
    assert_eq!(seen, (500..508).map(|row| (row, "invalid_number".to_owned())).collect::<Vec<_>>());
    let within = store.refused_rows(&org, run, (501, 503), 100).await.unwrap();
    assert_eq!(within.iter().map(|refused| refused.row.row).collect::<Vec<_>>(), [502, 503]);
    assert_eq!(within[0].row.fields, ["12", "x\"y"]);

    let other: OrgId = bench.organization("globex", PLENTY, 0).await;
    assert!(store.message_cells(&other, run, (1, 120)).await.unwrap().is_empty());
    assert!(store.refused_rows(&other, run, (0, i64::MAX), 100).await.unwrap().is_empty());
    store.add_file_rows(&other, run, 120, &rows(600..601), at(0)).await.unwrap();
    assert_eq!(bench.run(&org, run).await.messages, 120, "another organization adds nothing to it");
}

pub async fn the_rows_of_an_upload_that_failed_are_cleared_away(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let new = NewRun { digest: "d".into(), ..new_run(Priority::Instant) };
    let run = store.begin_run(&org, &new, at(0)).await.unwrap();
    store.add_file_rows(&org, run, 0, &rows(500..505), at(0)).await.unwrap();
    let other = store.begin_run(&org, &new_run(Priority::Instant), at(0)).await.unwrap();
    store.add_file_rows(&org, other, 0, &rows(500..501), at(0)).await.unwrap();
    store.fail_run(&org, run, "broken", at(1)).await.unwrap();
    let today = Day { began: at(0), ends: at(86_400_000) };
    while store.tidy(&org, Duration::from_secs(60), "left", today, at(2)).await.unwrap().more {}
    for (table, left) in [("message_cells", "2"), ("rejected_rows", "1"), ("messages", "120")] {
        let found = bench.ask(&format!("SELECT run_id, COUNT(*) FROM {table} GROUP BY run_id")).await;
        assert_eq!(found, [[other.to_string(), left.to_owned()]], "{table}");
    }
}
