//! Who comes in: idempotency keys, and those who listen.

use std::time::Duration;

use herald::{
    domain::{fairness::Priority, id::StreamId, time::Timestamp},
    store::{
        imports::Day,
        once::{Asked, KEPT},
        streams::{LEASE as STREAM_LEASE, MOST},
    },
};

use crate::bench::{Bench, all_sent, at};

/// The upkeep of a day that never ends.
async fn tidy(bench: &Bench, now: Timestamp) {
    let org = "acme".parse().unwrap();
    let day = Day { began: at(0), ends: Timestamp::from_millis(i64::MAX / 2) };
    while bench.store.tidy(&org, Duration::from_secs(60), "left", day, now).await.unwrap().more {}
}

async fn rows(bench: &Bench, table: &str) -> String {
    bench.ask(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await.remove(0).remove(0)
}

fn answered(status: u16, answer: &str) -> Asked {
    Asked::Answered { status, answer: answer.to_owned() }
}

pub async fn a_key_is_answered_once(bench: Bench) {
    let (org, other) = (bench.acme().await, bench.organization("other", 100, 0).await);
    let store = &bench.store;
    let Asked::Anew(hold) = store.ask_once(&org, "k", "one", at(0)).await.unwrap() else { panic!() };
    assert_eq!(store.ask_once(&org, "k", "one", at(1)).await.unwrap(), Asked::Underway);
    assert_eq!(store.ask_once(&org, "k", "two", at(1)).await.unwrap(), Asked::Other);
    assert!(
        matches!(store.ask_once(&other, "k", "two", at(1)).await.unwrap(), Asked::Anew(_)),
        "another organization's"
    );
    store.answer_once(&org, &hold, 202, "{}").await.unwrap();
    store.answer_once(&org, &hold, 500, "late").await.unwrap();
    assert_eq!(store.ask_once(&org, "k", "one", at(2)).await.unwrap(), answered(202, "{}"));
    assert_eq!(store.ask_once(&org, "k", "two", at(2)).await.unwrap(), Asked::Other);
    store.let_go(&org, &hold).await.unwrap();
    assert_eq!(store.ask_once(&org, "k", "one", at(3)).await.unwrap(), answered(202, "{}"), "an answer stays");

    let Asked::Anew(failed) = store.ask_once(&org, "f", "one", at(0)).await.unwrap() else { panic!() };
    store.let_go(&org, &failed).await.unwrap();
    assert!(
        matches!(store.ask_once(&org, "f", "two", at(1)).await.unwrap(), Asked::Anew(_)),
        "what failed may come again"
    );
}

pub async fn a_key_whose_holder_has_vanished_is_taken_up_by_one_other(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let Asked::Anew(vanished) = store.ask_once(&org, "k", "one", at(0)).await.unwrap() else { panic!() };
    let later = at(0).plus(Duration::from_secs(3600));
    assert_eq!(store.ask_once(&org, "k", "two", later).await.unwrap(), Asked::Other, "another request, even so");
    let asked = futures::future::join_all((0..8).map(|_| store.ask_once(&org, "k", "one", later))).await;
    let mut taken = asked.into_iter().filter_map(|asked| match asked.unwrap() {
        Asked::Anew(hold) => Some(hold),
        Asked::Underway | Asked::Other | Asked::Answered { .. } => None,
    });
    let hold = taken.next().unwrap();
    assert_eq!(taken.next(), None, "by one only");
    // Whoever slept through its lease changes nothing.
    store.answer_once(&org, &vanished, 500, "late").await.unwrap();
    store.let_go(&org, &vanished).await.unwrap();
    assert_eq!(store.ask_once(&org, "k", "one", later).await.unwrap(), Asked::Underway);
    store.answer_once(&org, &hold, 202, "{}").await.unwrap();
    assert_eq!(store.ask_once(&org, "k", "one", later).await.unwrap(), answered(202, "{}"));
}

pub async fn a_key_is_forgotten_after_a_day(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let Asked::Anew(hold) = store.ask_once(&org, "k", "one", at(0)).await.unwrap() else { panic!() };
    store.answer_once(&org, &hold, 202, "{}").await.unwrap();
    tidy(&bench, at(0).plus(KEPT).minus(Duration::from_millis(1))).await;
    assert_eq!(rows(&bench, "idempotency_keys").await, "1");
    tidy(&bench, at(0).plus(KEPT)).await;
    assert_eq!(rows(&bench, "idempotency_keys").await, "0");
    assert!(matches!(store.ask_once(&org, "k", "two", at(0).plus(KEPT)).await.unwrap(), Asked::Anew(_)));
}

fn stream(n: u128) -> StreamId {
    StreamId::new(at(0), n << 64)
}

pub async fn a_listener_is_told_once_and_cleared_away_when_it_is_gone(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    for (n, pattern) in [(1, "message.*"), (2, "run.completed")] {
        assert!(store.open_stream(&org, stream(n), &[pattern.to_owned()], at(0)).await.unwrap());
    }
    let run = bench.open(&org, Priority::Bulk, 3).await;
    let request = bench.claim(&org, Priority::Bulk, 1, at(1)).await.remove(0);
    bench.say(&request, &all_sent(&request, at(2)), at(2)).await;

    let told = store.read_stream(&org, stream(1), 2).await.unwrap();
    assert_eq!(told.iter().map(|told| told.event_type.as_str()).collect::<Vec<_>>(), ["message.sent"; 2]);
    assert!(told[0].body.contains(&run.to_string()));
    assert_eq!(store.read_stream(&org, stream(1), 10).await.unwrap().len(), 1);
    assert_eq!(store.read_stream(&org, stream(1), 10).await.unwrap(), []);
    let over = store.read_stream(&org, stream(2), 10).await.unwrap();
    assert_eq!(over.iter().map(|told| told.event_type.as_str()).collect::<Vec<_>>(), ["run.completed"]);

    // One renews its lease, the other is gone, with something still waiting for it.
    let run = bench.open(&org, Priority::Bulk, 2).await;
    let request = bench.claim(&org, Priority::Bulk, 1, at(3)).await.remove(0);
    bench.say(&request, &all_sent(&request, at(4)), at(4)).await;
    let half = at(0).plus(STREAM_LEASE / 2);
    assert!(store.renew_stream(&org, stream(2), half).await.unwrap());
    tidy(&bench, at(0).plus(STREAM_LEASE)).await;
    assert!(!store.renew_stream(&org, stream(1), half).await.unwrap());
    assert_eq!(store.read_stream(&org, stream(1), 10).await.unwrap(), []);
    assert_eq!(store.read_stream(&org, stream(2), 10).await.unwrap().len(), 1, "{run}");
    assert_eq!(rows(&bench, "subscriptions").await, "1");
    store.close_stream(&org, stream(2)).await.unwrap();
    assert_eq!(rows(&bench, "subscriptions").await, "0");
}

pub async fn only_so_many_listen(bench: Bench) {
    let (org, other) = (bench.acme().await, bench.organization("other", 100, 0).await);
    let open = async |org, n: i64| {
        let id = stream(u128::try_from(n).unwrap());
        bench.store.open_stream(org, id, &["*".to_owned()], at(0)).await.unwrap()
    };
    for n in 0..MOST {
        assert!(open(&org, n).await);
    }
    assert!(!open(&org, MOST).await && open(&other, 0).await);
    bench.store.close_stream(&org, stream(0)).await.unwrap();
    assert!(open(&org, MOST).await);
}
