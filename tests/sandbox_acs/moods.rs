//! Magic recipients, and faults by share.

use herald::sandbox::{Behaviour, Faults, Throttle, magic::TABLES};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, Customer, Draft, SEND, TO, date, item, message, repeatable, settings};

const GUID: &str = "00000000-0000-4000-8000-000000000001";

fn magic(suffix: &str) -> String {
    format!("+49170123{suffix}")
}

#[tokio::test]
async fn items_are_refused_as_the_table_says() {
    let bench = Bench::new(settings()).await;
    let rows = TABLES.iter().find(|table| table.of == "acs").unwrap().rows;
    for row in rows {
        assert_eq!((row.suffix.len(), rows.iter().filter(|other| other.suffix == row.suffix).count()), (5, 1));
        let to = magic(row.suffix);
        let (Behaviour::Refuse(code) | Behaviour::RefuseOnce(code)) = row.behaviour else { continue };
        if code == 401 {
            assert_eq!(bench.send(&message(&[&to, TO])).await.json["error"]["code"], "Denied");
            continue;
        }
        let first = bench.send_to(&to).await;
        let expected = if code == 4007 { 400 } else { code };
        assert_eq!((&first["httpStatusCode"], &first["successful"]), (&json!(expected), &json!(false)));
        assert!(!first["errorMessage"].as_str().unwrap().is_empty());
        let once = matches!(row.behaviour, Behaviour::RefuseOnce(_));
        assert_eq!(bench.send_to(&to).await["successful"], once, "{}", row.suffix);
    }
    assert_eq!(bench.send_to(&magic("91610")).await["errorMessage"], "Sender blocked for given recipient.");
    assert_eq!(bench.send_to(&magic("90400")).await["errorMessage"], "Invalid To phone number format.");
    let shown = bench.control(Method::GET, "/sandbox/magic", &Value::Null).await.json;
    let shown = shown.as_array().unwrap().iter().filter(|row| row["of"] == "acs").count();
    assert_eq!(shown, rows.len());
}

#[tokio::test]
async fn reports_have_the_codes_that_the_table_says() {
    let (mut customer, bench) = Customer::and_bench().await;
    let rows = TABLES.iter().find(|table| table.of == "acs").unwrap().rows;
    let mut codes = Vec::new();
    for row in rows {
        let Behaviour::Failed(code) = row.behaviour else { continue };
        assert_eq!(bench.send_to(&magic(row.suffix)).await["httpStatusCode"], 202);
        let (status, details) = customer.report().await;
        assert_eq!(status, "Failed");
        assert!(details.starts_with(&code.to_string()), "{details}");
        codes.push(code);
    }
    for code in [4004, 4005, 4006, 4007, 4008, 4020, 5000, 5001, 5002, 9999] {
        assert!(codes.contains(&code), "{code}");
    }
}

#[tokio::test]
async fn receipts_are_lost_doubled_and_early() {
    let (mut customer, bench) = Customer::and_bench().await;
    bench.send_to(&magic("90994")).await;
    assert_eq!(customer.next().await.event()["id"], customer.next().await.event()["id"]);
    for suffix in ["90995", "90992"] {
        bench.send_to(&magic(suffix)).await;
    }
    bench.until(|summary| summary.receipts.withheld == 2 && summary.pending == 0).await;
    assert!(customer.is_idle());
    // The report comes before the call is answered.
    let to = magic("90993");
    let answered = bench.send_to(&to);
    tokio::pin!(answered);
    let report = tokio::select! {
        biased;
        report = customer.next() => report,
        item = &mut answered => panic!("answered first: {item}"),
    };
    assert_eq!(answered.await["messageId"], report.event()["id"]);
}

#[tokio::test]
async fn recipients_answer_by_magic() {
    let (mut customer, bench) = Customer::and_bench().await;
    let to = magic("97867");
    bench.send_to(&to).await;
    assert_eq!(customer.report().await.0, "Delivered");
    let reply = customer.next().await;
    assert_eq!(reply.event()["data"]["message"], "STOP");
    bench.send_to(&to).await;
    assert_eq!(customer.report().await.1, "4007 - Sender blocked for given recipient.");
    bench.until(|summary| summary.pending == 0).await;
    assert!(customer.is_idle(), "who gets nothing answers nothing");
}

#[tokio::test]
async fn what_hangs_or_is_cut_is_counted_as_it_was() {
    let bench = Bench::new(settings()).await;
    let hanging = message(&[&magic("90999"), TO]);
    tokio::select! {
        answer = bench.try_call(Draft::post(SEND, &hanging)) => panic!("answered: {:?}", answer.map(|answer| answer.status)),
        () = bench.until(|summary| summary.accepted == 2) => {}
    }
    let cut = |suffix: &str| message(&["+4917012345679", &magic(suffix)]);
    assert!(bench.try_call(Draft::post(SEND, &cut("90996"))).await.is_err(), "accepted and cut");
    assert_eq!(bench.sandbox.summary().accepted, 4);
    assert!(bench.try_call(Draft::post(SEND, &cut("90997"))).await.is_err(), "cut before accepting");
    assert_eq!(bench.sandbox.summary().accepted, 4);
    assert_eq!(bench.send(&cut("90997")).await.status, 202);
    assert_eq!(bench.send(&cut("95005")).await.status, 500);
    let summary = bench.sandbox.summary();
    assert_eq!((summary.calls, summary.accepted, summary.unanswered), (10, 8, 6));
    assert_eq!(summary.refused.into_iter().collect::<Vec<_>>(), [("dropped".to_owned(), 2)]);
    let statuses: Vec<_> = bench.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [None, None, None, None, None, None, Some(202), Some(202), Some(500), Some(500)]);
}

#[tokio::test]
async fn a_call_without_an_answer_is_repeated_without_a_second_message() {
    let bench = Bench::new(settings()).await;
    let to = magic("90998");
    let body = repeatable(&to, GUID, &date(0));
    tokio::select! {
        answer = bench.try_call(Draft::post(SEND, &body)) => panic!("answered: {:?}", answer.map(|answer| answer.status)),
        () = bench.until(|summary| summary.accepted == 1) => {}
    }
    let again = item(&bench.send(&body).await, &to);
    assert_eq!(again["messageId"].as_str(), bench.calls()[0].sid.as_deref());
    let summary = bench.sandbox.summary();
    assert_eq!((summary.accepted, summary.repeats, summary.recipients_more_than_once), (1, 1, 0));
}

#[tokio::test]
async fn faults_come_by_share() {
    let bench = Bench::new(settings()).await;
    let set = |faults| bench.sandbox.set_faults(faults).unwrap();
    let body = message(&[TO, "+4917012345679"]);
    set(Faults { throttle: Throttle { share: 1.0, retry_after_s: 7 }, ..Faults::default() });
    let throttled = bench.send(&body).await;
    assert_eq!((throttled.status, &throttled.json["error"]["code"]), (429, &json!("TooManyRequests")));
    assert_eq!(throttled.headers["retry-after"], "7");
    assert_eq!(bench.sandbox.summary().refused["429"], 2, "an entry for each recipient");
    set(Faults { error_5xx: 1.0, ..Faults::default() });
    assert!(bench.send(&body).await.status >= 500);
    set(Faults { drop_before_accept: 1.0, ..Faults::default() });
    assert!(bench.try_call(Draft::post(SEND, &body)).await.is_err());
    assert_eq!(bench.sandbox.summary().accepted, 0);
    set(Faults { error_after_accept: 1.0, ..Faults::default() });
    assert_eq!(bench.send(&body).await.status, 500);
    assert_eq!(bench.sandbox.summary().accepted, 2);
    // What is refused for all its recipients is refused plainly.
    assert_eq!(bench.send(&message(&["+123"])).await.status, 202);
    set(Faults { drop_after_accept: 1.0, ..Faults::default() });
    assert!(bench.try_call(Draft::post(SEND, &body)).await.is_err());
    assert_eq!(bench.sandbox.summary().accepted, 4);
}
