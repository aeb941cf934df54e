//! Due times: decided once, whoever looks; and what did not fire is there to be read.

use herald::{
    domain::{fairness::Priority, run::RunStatus},
    store::{
        runs::NewRun,
        schedules::{DueFiring, Unfired},
    },
};

use crate::bench::{Bench, at, configuration, new_messages, new_run, patiently};

fn firing(key: &str) -> NewRun {
    NewRun { firing: Some(key.to_owned()), source: "its schedule".to_owned(), ..new_run(Priority::Bulk) }
}

fn missed(key: &str) -> Unfired {
    Unfired { run: firing(&format!("missed {key}")), why: "missed: due long ago".to_owned() }
}

pub async fn a_due_time_is_decided_once_and_what_was_missed_is_kept(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    store.set_schedule(&org, configuration(1), Some(at(100))).await.unwrap();
    let leased = store.lease_firings(&org, at(100), at(1_000)).await.unwrap()[0];
    assert_eq!(leased, DueFiring { configuration: configuration(1), at: at(100), decided: None });
    // Whoever had the lease before has a say as long as nobody else has: one of them decides.
    let racing: Vec<_> = (0..4)
        .map(|n| {
            let (bench, org) = (bench.clone(), org.clone());
            tokio::spawn(async move {
                let (at, missed) = (at(200 + n), missed("100"));
                patiently(|| bench.store.decide_firing(&org, leased, at, Some(&missed), at)).await.then_some(at)
            })
        })
        .collect();
    let mut decided = Vec::new();
    for task in racing {
        decided.extend(task.await.unwrap());
    }
    assert_eq!(decided.len(), 1, "{decided:?}");
    let runs = store.runs(&org, None, 10).await.unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let found = &runs[0];
    assert_eq!((found.status, found.why.as_str(), found.messages), (RunStatus::Failed, "missed: due long ago", 0));
    assert_eq!((found.created_at, found.finished_at), (decided[0], Some(decided[0])));
    bench.adds_up(&org, found.id).await;
    // It broke off there: whoever takes it up is told what was decided.
    let again = store.lease_firings(&org, at(1_000), at(2_000)).await.unwrap();
    assert_eq!(again, [DueFiring { decided: Some(decided[0]), ..leased }]);
    assert!(!store.decide_firing(&org, again[0], at(900), None, at(900)).await.unwrap());
    // Begun and half filled, it turns out that it cannot be made: it says so itself, and there is no other run of that time.
    let begun = store.begin_run(&org, &firing("200"), at(1_000)).await.unwrap();
    store.add_chunk(&org, begun, 0, &new_messages(1, 5), &[], at(1_000)).await.unwrap();
    let unfired = Unfired { run: firing("200"), why: "could not fire".to_owned() };
    for _ in 0..2 {
        store.finish_unfired(&org, again[0], Some(at(5_000)), &unfired, at(1_100)).await.unwrap();
    }
    let found = bench.run(&org, begun).await;
    assert_eq!((found.status, found.why.as_str()), (RunStatus::Failed, "could not fire"));
    assert_eq!(store.runs(&org, None, 10).await.unwrap().len(), 2);
    assert_eq!(store.next_firing(&org, configuration(1)).await.unwrap(), Some(at(5_000)));
    let next = store.lease_firings(&org, at(5_000), at(6_000)).await.unwrap();
    assert_eq!(next, [DueFiring { configuration: configuration(1), at: at(5_000), decided: None }], "anew");
    store.decide_firing(&org, next[0], at(5_000), None, at(5_000)).await.unwrap();
    store.set_schedule(&org, configuration(1), Some(at(7_000))).await.unwrap();
    let changed = store.lease_firings(&org, at(7_000), at(8_000)).await.unwrap();
    assert_eq!(changed[0].decided, None, "another time is another decision");
}

pub async fn what_was_said_counts_from_when_it_was_said(bench: Bench) {
    let org = bench.acme().await;
    let other = bench.organization("other", 10, 0).await;
    let store = &bench.store;
    for (said, now, since) in [("2h", 10, 10), ("2h", 20, 10), ("3h", 30, 30), ("3h", 40, 30), ("2h", 50, 50)] {
        assert_eq!(store.say_after(&org, configuration(1), said, at(now)).await.unwrap(), at(since), "{said} at {now}");
    }
    let known = store.said_after(&org).await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), [(configuration(1), ("2h".to_owned(), at(50)))]);
    assert!(store.said_after(&other).await.unwrap().is_empty());
    store.unsay_after(&other, configuration(1)).await.unwrap();
    assert_eq!(store.said_after(&org).await.unwrap().len(), 1);
    store.unsay_after(&org, configuration(1)).await.unwrap();
    assert_eq!(store.say_after(&org, configuration(1), "2h", at(60)).await.unwrap(), at(60), "anew");
}
