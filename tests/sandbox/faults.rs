//! What goes wrong: magic recipients, and faults by share.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald::sandbox::{Faults, Throttle};
use reqwest::Method;
use serde_json::{Value, json};

use super::bench::{AC, Bench, DEADLINE, FROM, TOKEN, form, settings};

#[tokio::test]
async fn magic_recipients_do_what_the_table_says() {
    let bench = Bench::new(settings()).await;
    let twice = async |suffix: &str| {
        let to = format!("+49170123{suffix}");
        (bench.send_to(&to).await.status, bench.send_to(&to).await.status)
    };
    for (suffix, first, second) in [
        ("90401", 401, 401),
        ("90429", 429, 201),
        ("99429", 429, 429),
        ("90500", 500, 201),
        ("90503", 503, 503),
        ("91211", 400, 400),
        ("91611", 429, 201),
        ("95005", 500, 500),
    ] {
        assert_eq!(twice(suffix).await, (first, second), "{suffix}");
    }
    let tables = herald::sandbox::magic::TABLES;
    for table in tables {
        let shared = herald::sandbox::magic::COMMON.rows.iter().filter(|_| table.of != "any");
        let suffixes: Vec<&str> = table.rows.iter().chain(shared).map(|row| row.suffix).collect();
        let different: HashSet<&str> = suffixes.iter().copied().filter(|suffix| suffix.len() == 5).collect();
        assert_eq!(different.len(), suffixes.len(), "{}", table.of);
    }
    let shown = bench.control(Method::GET, "/sandbox/magic", Value::Null).await.json;
    let rows = shown.as_array().unwrap();
    assert_eq!(rows.len(), tables.iter().map(|table| table.rows.len()).sum::<usize>());
    let once = rows.iter().find(|row| row["of"] == "twilio" && row["suffix"] == "90429").unwrap();
    assert_eq!(once["behaviour"], json!({ "refuse_once": 20429 }));
}

#[tokio::test]
async fn what_hangs_or_is_cut_is_counted_as_it_was() {
    let bench = Bench::new(settings()).await;
    let params = |to| [("To", to), ("From", FROM), ("Body", "x")];
    // Hangs after accepting: the caller gives up when the sandbox has it in the log.
    let hanging = params("+4917012390999");
    tokio::select! {
        answer = bench.try_send(&hanging) => panic!("answered: {:?}", answer.map(|answer| answer.status)),
        () = bench.until(|summary| summary.accepted == 1) => {}
    }
    assert!(bench.try_send(&params("+4917012390996")).await.is_err(), "accepted and cut");
    assert!(bench.try_send(&params("+4917012390997")).await.is_err(), "cut before accepting");
    assert_eq!(bench.send_to("+4917012390997").await.status, 201);
    let summary = bench.sandbox.summary();
    assert_eq!((summary.calls, summary.accepted, summary.unanswered), (4, 3, 3));
    assert_eq!(summary.refused.get("dropped"), Some(&1));
    let calls = bench.sandbox.calls(0, 10, None).calls;
    let seen: Vec<_> = calls.iter().map(|call| (call.accepted, call.answered, call.status)).collect();
    assert_eq!(seen, [(true, false, None), (true, false, None), (false, false, None), (true, true, Some(201))]);

    // Stopping does not wait for ever for a call that hangs.
    let hung = tokio::spawn({
        let (client, url) = (bench.client.clone(), bench.sandbox.base_url());
        async move {
            let request = client
                .post(format!("{url}/2010-04-01/Accounts/{AC}/Messages.json"))
                .header("authorization", format!("Basic {}", STANDARD.encode(format!("{AC}:{TOKEN}"))))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form(&[("To", "+4917112390999"), ("From", FROM), ("Body", "x")]));
            request.send().await.is_err()
        }
    });
    bench.until(|summary| summary.accepted == 4).await;
    bench.sandbox.stop().await.unwrap();
    assert!(hung.await.unwrap());
}

#[tokio::test]
async fn faults_are_set_live_and_by_share() {
    let bench = Bench::new(settings()).await;
    let set = async |faults: Value| bench.control(Method::PUT, "/sandbox/faults", faults).await;
    assert_eq!(set(json!({ "error_5xx": 1.5 })).await.status, 400);
    let unknown = set(json!({ "error_6xx": 1.0 })).await;
    assert!(unknown.json["error"].as_str().unwrap().contains("error_6xx"), "{}", unknown.json);

    assert_eq!(set(json!({ "throttle": { "share": 1.0, "retry_after_s": 7 } })).await.status, 200);
    let throttled = bench.send_to("+4917012345678").await;
    assert_eq!((throttled.status, &throttled.json["code"]), (429, &json!(20429)));
    assert_eq!(throttled.headers["retry-after"], "7");
    let expected = Faults { throttle: Throttle { share: 1.0, retry_after_s: 7 }, ..Faults::default() };
    let shown = bench.control(Method::GET, "/sandbox/faults", Value::Null).await.json;
    assert_eq!(serde_json::from_value::<Faults>(shown).unwrap(), expected);

    set(json!({ "error_5xx": 1.0 })).await;
    assert!(bench.send_to("+4917012345678").await.status >= 500);
    set(json!({ "drop_before_accept": 1.0 })).await;
    let params = [("To", "+4917012345678"), ("From", FROM), ("Body", "x")];
    assert!(bench.try_send(&params).await.is_err());
    assert_eq!(bench.sandbox.summary().accepted, 0);
    set(json!({ "error_after_accept": 1.0 })).await;
    assert_eq!(bench.send_to("+4917012345678").await.status, 500);
    assert_eq!(bench.sandbox.summary().accepted, 1);
    set(json!({ "slow": { "share": 1.0, "ms": 20 } })).await;
    let slow = bench.send_to("+4917012345678");
    assert_eq!(tokio::time::timeout(DEADLINE, slow).await.unwrap().status, 201);
    set(json!({ "rate_limit_per_second": 1 })).await;
    let mut statuses = [0; 3];
    for status in &mut statuses {
        *status = bench.send_to("+4917012345678").await.status;
    }
    assert!(statuses.contains(&429), "{statuses:?}");

    // By share: about a third, the same third for the same seed.
    let third = async || {
        let mut settings = settings();
        settings.faults.error_5xx = 1.0 / 3.0;
        settings.seed = 7;
        let bench = Bench::new(settings).await;
        let mut statuses = Vec::new();
        for _ in 0..60 {
            statuses.push(bench.send_to("+4917012345678").await.status);
        }
        statuses
    };
    let (first, second) = (third().await, third().await);
    assert_eq!(first, second);
    let failed = first.iter().filter(|status| **status >= 500).count();
    assert!((8..35).contains(&failed), "{failed} of 60");
}
