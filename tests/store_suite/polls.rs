//! What follows a request's end: the questions about messages of which no receipt came; and what of one that was put off.

use std::time::Duration;

use herald::{
    domain::{
        fairness::Priority,
        id::MessageId,
        message::Status,
        polling::{self, Receipts},
        time::Timestamp,
    },
    store::settle::{Finish, Intent, Word},
};

use crate::bench::{Bench, all_sent, at, intent, state};

const BULK: Priority = Priority::Bulk;

pub async fn a_request_is_asked_about_until_there_is_no_use(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 250).await;
    let first = polling::first(Receipts::Expected, at(0));
    for request in bench.claim(&org, BULK, 3, at(0)).await {
        let word = Word { finish: Some(Finish::Done { poll_at: Some(first) }), ..all_sent(&request, at(0)) };
        bench.say(&request, &word, at(0)).await;
    }
    // Half of them are heard of meanwhile.
    let heard: Vec<_> = (1..=125).map(|n| (MessageId { run, seq: 2 * n }, state(Status::Delivered, at(5)))).collect();
    bench.store.apply_receipts(&org, &heard).await.unwrap();

    let before = Timestamp::from_millis(first.millis() - 1);
    assert!(bench.store.claim_polls(&org, before, 9).await.unwrap().is_empty(), "too early");
    assert!(!bench.due(before).await.iter().any(|(_, lane)| *lane == "polls"));
    let mut now = first;
    for round in 1..=5 {
        assert!(bench.due(now).await.contains(&("acme".to_owned(), "polls")), "round {round}");
        let some = bench.store.claim_polls(&org, now, 2).await.unwrap();
        let rest = bench.store.claim_polls(&org, now, 2).await.unwrap();
        let unheard: Vec<_> = some.iter().chain(&rest).map(|one| (one.id.seq, one.provider_id.clone())).collect();
        let expected: Vec<_> = (0..125).map(|n| (2 * n + 1, format!("SM{}", 2 * n + 1))).collect();
        assert_eq!((some.len(), rest.len(), unheard), (100, 25, expected), "round {round}");
        assert!(bench.store.claim_polls(&org, now, 9).await.unwrap().is_empty(), "asked once in round {round}");
        match polling::again(round, now) {
            Some(next) => now = next,
            None => break,
        }
    }
    let ages = now.plus(Duration::from_hours(10_000));
    assert!(bench.store.claim_polls(&org, ages, 9).await.unwrap().is_empty(), "there is no use any more");
    assert!(!bench.due(ages).await.iter().any(|(_, lane)| *lane == "polls"));
}

pub async fn what_was_put_off_is_neither_tried_nor_counted(bench: Bench) {
    let org = bench.organization("acme", 1, 0).await;
    let run = bench.open(&org, BULK, 100).await;
    for round in 1..4 {
        let now = at(round * 1_000);
        let request = bench.claim(&org, BULK, 9, now).await.remove(0);
        assert_eq!((request.token, request.attempts), (round, 1), "claimed again, tried for the first time");
        assert_eq!(bench.run(&org, run).await.dispatched, 1);
        let finish = Finish::PutOff { until: now.plus(Duration::from_secs(1)), claimed_at: now };
        bench.say(&request, &Word { finish: Some(finish), ..Word::default() }, now).await;
        let used: u64 =
            bench.store.usage(&org, now).await.unwrap().iter().map(|(_, used)| used.total + used.bulk).sum();
        assert_eq!((used, bench.run(&org, run).await.dispatched), (0, 0), "an hour of one request is free again");
    }
    let request = bench.claim(&org, BULK, 9, at(9_000)).await.remove(0);
    bench.send(&request, at(9_000)).await;
    assert_eq!(bench.run(&org, run).await.dispatched, 1);
    bench.adds_up(&org, run).await;
}

pub async fn the_way_and_the_first_time_are_kept_with_the_intent(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 1).await;
    let request = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
    assert_eq!((request.via.as_str(), request.first_sent), ("", None));
    let meant = Intent { begun: 1, via: "spare".to_owned(), first_sent: at(7) };
    bench.say(&request, &Word { intent: Some(meant), ..Word::default() }, at(7)).await;
    let again = bench.claim(&org, BULK, 1, at(1_000_000)).await.remove(0);
    assert_eq!((again.via.as_str(), again.first_sent, again.begun), ("spare", Some(at(7)), 1));
    // It failed and is sent anew: to the provider that is another message, so its first time is forgotten.
    let failed = Word {
        states: vec![(1, state(Status::Failed, at(8)))],
        finish: Some(Finish::Done { poll_at: None }),
        ..intent(1)
    };
    bench.say(&again, &failed, at(8)).await;
    assert_eq!(bench.store.retry_failed(&org, run, at(9)).await.unwrap(), 1);
    let anew = bench.claim(&org, BULK, 1, at(1_000_009)).await.remove(0);
    assert_eq!(anew.first_sent, None);
}
