//! How the engines go about each statement: by a key or an index that begins with the organization, never through a table.

use herald::{domain::fairness::Priority, store::Dialect};

use crate::{
    bench::{Bench, at},
    source::{Statement, statements},
};

/// Statements that may read a table from end to end: small ones, and those about all organizations.
const MAY_SCAN: &[&str] = &["herald_schema", "FROM organizations ORDER BY", "pg_advisory", "current_setting("];

/// Statements about given rows must go straight to each of them on SQLite, by the whole key; a claim, by its index.
fn by_the_whole_key(sql: &str) -> Option<&'static str> {
    let keys = [
        ("runs.marketing = 1", "messages_recipient (org_id=? AND recipient=? AND accepted_at>?)"),
        ("LIMIT 1 OFFSET $6", "messages_recipient (org_id=? AND recipient=? AND accepted_at>? AND accepted_at<?)"),
        (
            "x.accepted_at DESC LIMIT 1",
            "m USING INDEX messages_recipient (org_id=? AND recipient=? AND accepted_at>? AND accepted_at<?)",
        ),
        ("MIN(held_until)", "COVERING INDEX message_states_held (org_id=? AND run_id=? AND held_until>?)"),
        ("UPDATE requests SET begun", "(org_id=? AND run_id=? AND number=?)"),
        ("UPDATE requests SET due_at", "(org_id=? AND run_id=? AND number=?)"),
        ("CROSS JOIN requests", "(org_id=? AND run_id=? AND number=?)"),
        ("UPDATE message_states SET status = r", "(org_id=? AND run_id=? AND seq=?)"),
        ("status = 'sent' AND provider_id", "(org_id=? AND run_id=? AND seq>? AND seq<?)"),
        ("CROSS JOIN message", "(org_id=? AND run_id=? AND seq=?)"),
        ("CROSS JOIN runs", "(org_id=? AND run_id=?)"),
        (
            "FROM activities WHERE org_id = $1 AND recipient",
            "activities_recipient (org_id=? AND recipient=? AND (created_at",
        ),
        (
            "FROM activities WHERE org_id = $1 AND regarding",
            "activities_regarding (org_id=? AND regarding=? AND (created_at",
        ),
        ("(received_at, reply_id) <", "replies_recipient (org_id=? AND recipient=? AND "),
        ("event_id = r.value", "(org_id=? AND event_id=?)"),
        ("callback_id IN", "(org_id=? AND callback_id=?)"),
        ("ROW_NUMBER() OVER", "messages_recipient (org_id=? AND recipient=?)"),
        ("FROM sessions WHERE", "(org_id=? AND channel=? AND recipient=?)"),
        ("UPDATE consents SET state", "(org_id=? AND channel_type=? AND recipient=?)"),
        ("UPDATE consents SET said_at", "channel_type=? AND recipient=?)"),
        ("UPDATE replies SET", "(org_id=? AND channel=? AND provider_id=?)"),
        ("c.channel = $4 AND c.state = $5", "(org_id=? AND channel=? AND state=? AND conversation_id<?)"),
        ("recipient > $3 AND state = $5", "(org_id=? AND state=? AND channel_type=? AND recipient>?)"),
        ("FROM replies WHERE org_id = $1 AND conversation", "(org_id=? AND conversation=? AND place>?)"),
        ("CROSS JOIN consents", "(org_id=? AND channel_type=? AND recipient=?)"),
        ("seq >= $3 AND seq < $4", "(org_id=? AND run_id=? AND seq>? AND seq<?)"),
        ("poll_at <= $2", "requests_polls (org_id=? AND poll_at>? AND poll_at<?)"),
        ("UPDATE requests SET due_at = $5", "requests_due (org_id=? AND priority=? AND due_at<?)"),
        ("UPDATE deliveries SET due_at = $5", "deliveries_due (org_id=? AND endpoint=? AND due_at<?)"),
        ("UPDATE deliveries SET state = r", "(org_id=? AND endpoint=? AND delivery_id=?)"),
        ("(endpoint, delivery_id) IN", "(org_id=? AND endpoint=? AND delivery_id=?)"),
        (
            "state = 'failed' AND delivery_id < $3",
            "COVERING INDEX deliveries_failed (org_id=? AND endpoint=? AND delivery_id<?)",
        ),
        ("state = 'failed' ORDER BY delivery_id DESC", "deliveries_failed (org_id=? AND endpoint=?"),
    ];
    keys.into_iter().find(|(part, _)| sql.contains(part)).map(|(_, key)| key)
}

pub async fn no_statement_scans_a_table(bench: Bench) {
    let org = bench.acme().await;
    for _ in 0..3 {
        bench.open(&org, Priority::Bulk, 1_000).await;
    }
    for request in bench.claim(&org, Priority::Bulk, 30, at(0)).await {
        bench.send(&request, at(0)).await;
    }
    if bench.store.dialect() == Dialect::Postgres {
        bench.ask("ANALYZE").await; // as its server does by itself; nobody does on SQLite
    }
    for statement in statements().iter().filter(|s| !MAY_SCAN.iter().any(|part| s.sql.contains(part))) {
        let Statement { place, sql } = statement;
        let plan = plan(&bench, &bench.store.dialect().text(sql)).await;
        for line in &plan {
            assert!(!scans(line, bench.store.dialect()), "{place}: {sql}\n{}", plan.join("\n"));
        }
        if bench.store.dialect() == Dialect::Sqlite
            && let Some(wanted) = by_the_whole_key(sql)
        {
            assert!(plan.iter().any(|line| line.contains(wanted)), "{place}\n{}", plan.join("\n"));
        }
    }
}

fn scans(line: &str, dialect: Dialect) -> bool {
    match dialect {
        // Rows from a parameter, and what a part of the statement has put aside, are read whole.
        Dialect::Sqlite => {
            let aside = [
                "SCAN r",
                "SCAN said",
                "SCAN held",
                "SCAN found",
                "SCAN next",
                "SCAN mine",
                "SCAN idle",
                "SCAN stopped",
                "SCAN oldest",
                "SCAN CONSTANT",
                "SCAN (sub",
            ];
            line.contains("SCAN ") && !aside.iter().any(|part| line.contains(part))
        }
        Dialect::Postgres => line.contains("Seq Scan on "),
    }
}

async fn plan(bench: &Bench, sql: &str) -> Vec<String> {
    match bench.store.dialect() {
        Dialect::Sqlite => {
            bench.ask(&format!("EXPLAIN QUERY PLAN {sql}")).await.iter().map(|row| row[3].clone()).collect()
        }
        Dialect::Postgres => {
            let most = (1..=20).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
            let nulls = vec!["NULL"; most].join(", ");
            let arguments = if most == 0 { String::new() } else { format!("({nulls})") };
            // The plan that is kept for any values; a table is read whole only if there is no other way.
            let asked = format!(
                "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; PREPARE asked AS {sql}; EXPLAIN EXECUTE asked{arguments}"
            );
            bench.ask(&asked).await.iter().map(|row| row[0].clone()).collect()
        }
    }
}
