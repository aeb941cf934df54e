//! What operators do to a run: nothing is lost by it, and nothing that happened is denied.

use herald::{
    domain::{fairness::Priority, id::MessageId, message::Status, reason::Reason, run::RunStatus},
    store::{
        events::{Batch, StoredEvent},
        runs::{Lasting, NewRun},
        settle::{Fence, Finish, Word},
    },
};

use crate::bench::{Bench, LEASE, answer, at, intent, new_messages, new_run, retry_at, seqs, state};

const BULK: Priority = Priority::Bulk;

pub async fn a_stopped_run_is_not_claimed_until_it_is_resumed(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 300).await;
    let store = &bench.store;
    assert!(!store.resume_run(&org, run, at(0)).await.unwrap(), "it is running");
    assert_eq!(store.running_runs(&org).await.unwrap(), [run]);
    assert!(store.stop_run(&org, run, "held", "the key is refused").await.unwrap());
    assert!(!store.stop_run(&org, run, "held", "").await.unwrap(), "it is stopped already");
    assert_eq!(store.held_runs(&org).await.unwrap(), [(run, "the key is refused".to_owned())]);
    assert_eq!(store.running_runs(&org).await.unwrap(), []);
    assert_eq!(bench.claim(&org, BULK, 9, at(1)).await.len(), 0);
    assert_eq!(bench.due(at(1)).await, []);
    assert!(store.resume_run(&org, run, at(2)).await.unwrap());
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.why.as_str()), (RunStatus::Running, ""));
    assert_eq!(bench.due(at(2)).await, [("acme".to_owned(), "bulk")]);
    assert_eq!(bench.claim(&org, BULK, 9, at(2)).await.len(), 3);
    // What is held may be paused, and then goes on only when somebody says so; what is paused is not held.
    assert!(store.stop_run(&org, run, "held", "the key is refused").await.unwrap());
    assert!(store.stop_run(&org, run, "paused", "by hand").await.unwrap());
    assert!(!store.stop_run(&org, run, "paused", "again").await.unwrap());
    assert!(!store.stop_run(&org, run, "held", "the key is refused").await.unwrap());
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.why.as_str()), (RunStatus::Paused, "by hand"));
    assert_eq!(store.held_runs(&org).await.unwrap(), []);
}

pub async fn what_is_given_back_to_a_stopped_run_stays_stopped(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 200).await;
    let held = bench.claim(&org, BULK, 2, at(0)).await;
    bench.store.stop_run(&org, run, "paused", "").await.unwrap();
    assert_eq!(bench.say(&held[0], &intent(10), at(1)).await, Fence::Held(RunStatus::Paused), "the holder is told");
    bench.say(&held[0], &retry_at(at(2)), at(2)).await;
    assert_eq!(bench.claim(&org, BULK, 9, at(LEASE * 2)).await.len(), 0);
    bench.send(&held[1], at(3)).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Paused);
    bench.store.resume_run(&org, run, at(4)).await.unwrap();
    let again = bench.claim(&org, BULK, 9, at(4)).await;
    assert_eq!(again.iter().map(|r| r.id).collect::<Vec<_>>(), [held[0].id]);
    bench.store.stop_run(&org, run, "paused", "").await.unwrap();
    bench.send(&again[0], at(5)).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Paused, "everything is sent");
    bench.store.resume_run(&org, run, at(6)).await.unwrap();
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
    bench.adds_up(&org, run).await;
}

pub async fn what_is_added_while_a_run_is_stopped_goes_with_it(bench: Bench) {
    let org = bench.acme().await;
    let new = NewRun { lasting: Lasting::OpenEnded, firing: Some("2027-01-15".into()), ..new_run(Priority::Automatic) };
    let run = bench.store.begin_run(&org, &new, at(0)).await.unwrap();
    let mut added = 0;
    for round in 0..12 {
        let ids: Vec<String> = (0..2).map(|n| format!("evt-{round}-{n}")).collect();
        let event = |id: &String| StoredEvent { id: id.clone(), body: "{}".into(), received_at: at(0) };
        let events: Vec<_> = ids.iter().map(|id| (&org, event(id))).collect();
        bench.store.record_events(&events).await.unwrap();
        let mut racing = Vec::new();
        for id in ids {
            added += 1;
            let (bench, org, new, messages) = (bench.clone(), org.clone(), new.clone(), new_messages(added, 1));
            racing.push(tokio::spawn(async move {
                let results = [(id, "1 message".to_owned())];
                let batches = [Batch {
                    run: new,
                    due: at(0),
                    day_ends: at(1_000_000),
                    company: None,
                    messages,
                    rejected: vec![],
                }];
                crate::bench::patiently(|| bench.store.finish_events(&org, &results, &[], &batches, at(0))).await;
            }));
        }
        for stop in [round % 2 == 0, round % 2 == 1] {
            let (bench, org) = (bench.clone(), org.clone());
            racing.push(tokio::spawn(async move {
                crate::bench::patiently(|| async {
                    match stop {
                        true => bench.store.stop_run(&org, run, "paused", "").await,
                        false => bench.store.resume_run(&org, run, at(0)).await,
                    }
                })
                .await;
            }));
        }
        for task in racing {
            task.await.unwrap();
        }
        if bench.status(&org, run).await == RunStatus::Paused {
            assert_eq!(bench.claim(&org, Priority::Automatic, 99, at(0)).await.len(), 0, "not while it is stopped");
        }
    }
    bench.store.resume_run(&org, run, at(0)).await.unwrap();
    assert_eq!(bench.claim(&org, Priority::Automatic, 99, at(0)).await.len(), 24, "and all of it afterwards");
    bench.adds_up(&org, run).await;
}

pub async fn cancelling_shuts_out_whoever_wrote_no_intent(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 300).await;
    let held = bench.claim(&org, BULK, 2, at(0)).await;
    bench.say(&held[1], &intent(100), at(1)).await;
    bench.cancel(&org, run, at(2)).await;
    assert_eq!(bench.say(&held[0], &intent(100), at(3)).await, Fence::Lost);
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelling, "one is still in flight");
    bench.adds_up(&org, run).await;
    assert_eq!(bench.send(&held[1], at(4)).await, Fence::Held(RunStatus::Cancelling));
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.finished_at), (RunStatus::Cancelled, Some(at(4))));
    let sums = bench.store.sums(&org, run).await.unwrap();
    assert_eq!(sums.buckets(), [("sent", 100), ("cancelled", 200)]);
    bench.adds_up(&org, run).await;
    assert!(!bench.store.begin_cancel(&org, run).await.unwrap(), "it is over");
    assert_eq!(bench.store.retry_failed(&org, run, at(5)).await.unwrap(), 0);
}

pub async fn cancelling_leaves_doubts_and_ends_as_they_are(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 6).await;
    let request = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
    let ends = [Status::Sent, Status::Failed, Status::Suppressed, Status::Uncertain, Status::Queued];
    let states = (1..).zip(ends).map(|(seq, status)| answer(&request, seq, status, at(1))).collect();
    bench.say(&request, &Word { intent: None, states, finish: Some(Finish::RetryAt(at(500))) }, at(1)).await;
    bench.cancel(&org, run, at(2)).await;
    let kept =
        [Status::Sent, Status::Failed, Status::Suppressed, Status::Uncertain, Status::Cancelled, Status::Cancelled];
    for (seq, status) in (1..).zip(kept) {
        assert_eq!(bench.message(run, seq, &org).await.status, status, "message {seq}");
    }
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled);
    bench.adds_up(&org, run).await;
    bench.store.apply_receipts(&org, &[(MessageId { run, seq: 4 }, state(Status::Delivered, at(3)))]).await.unwrap();
    assert_eq!(bench.message(run, 4, &org).await.status, Status::Delivered);
    bench.adds_up(&org, run).await;
}

pub async fn a_run_with_a_vanished_worker_can_be_cancelled(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 200).await;
    let vanished = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
    bench.say(&vanished, &intent(100), at(1)).await;
    bench.store.stop_run(&org, run, "paused", "").await.unwrap();
    bench.cancel(&org, run, at(2)).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelling);
    let found = bench.claim(&org, BULK, 9, at(LEASE)).await.remove(0);
    assert_eq!((found.id, found.begun), (vanished.id, 100), "somebody has to find out what became of it");
    bench.send(&found, at(LEASE)).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled);
    bench.adds_up(&org, run).await;
    let importing = bench.store.begin_run(&org, &new_run(BULK), at(0)).await.unwrap();
    bench.store.add_chunk(&org, importing, 0, &new_messages(1, 150), &[], at(0)).await.unwrap();
    bench.cancel(&org, importing, at(1)).await;
    bench.store.open_run(&org, importing, at(2)).await.unwrap();
    assert_eq!(bench.status(&org, importing).await, RunStatus::Cancelled);
    assert_eq!(bench.claim(&org, BULK, 9, at(2)).await.len(), 0);
    bench.adds_up(&org, importing).await;
}

pub async fn many_requests_are_cancelled_in_turns(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.store.begin_run(&org, &new_run(BULK), at(0)).await.unwrap();
    for n in 0..230 {
        bench.store.add_chunk(&org, run, n, &new_messages(n + 1, 1), &[], at(0)).await.unwrap();
    }
    bench.store.open_run(&org, run, at(0)).await.unwrap();
    bench.store.stop_run(&org, run, "paused", "").await.unwrap();
    assert!(bench.store.begin_cancel(&org, run).await.unwrap());
    for (more, left) in [(true, 130), (true, 30), (false, 0)] {
        assert_eq!(bench.store.cancel_some(&org, run, at(1)).await.unwrap(), more);
        assert_eq!(bench.run(&org, run).await.open_requests, left);
        bench.adds_up(&org, run).await;
    }
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled);
}

pub async fn failures_are_tried_again(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.open(&org, BULK, 200).await;
    for request in bench.claim(&org, BULK, 2, at(0)).await {
        let status = |seq: i64| if request.id.number == 2 && seq % 10 == 0 { Status::Failed } else { Status::Sent };
        let states = seqs(&request).map(|seq| answer(&request, seq, status(seq), at(1))).collect();
        bench.say(&request, &Word { intent: None, states, finish: Some(Finish::Done { poll_at: None }) }, at(1)).await;
    }
    bench
        .store
        .apply_receipts(&org, &[(MessageId { run, seq: 111 }, state(Status::Undelivered, at(2)))])
        .await
        .unwrap();
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
    let racing = [0, 1].map(|_| {
        let (bench, org) = (bench.clone(), org.clone());
        tokio::spawn(async move { crate::bench::patiently(|| bench.store.retry_failed(&org, run, at(100))).await })
    });
    let mut retried = 0;
    for count in racing {
        retried += count.await.unwrap();
    }
    assert_eq!(retried, 11, "each once");
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.open_requests, found.finished_at), (RunStatus::Running, 1, None));
    bench.adds_up(&org, run).await;
    assert_eq!(bench.due(at(100)).await, [("acme".to_owned(), "bulk")]);
    let request = bench.claim(&org, BULK, 9, at(100)).await.remove(0);
    assert_eq!((request.id.number, request.attempts, request.accepted_at), (2, 1, at(100)));
    let messages = bench.store.messages_of(&request).await.unwrap();
    let queued: Vec<i64> = messages.iter().filter(|m| m.status() == Status::Queued).map(|m| m.id.seq).collect();
    assert_eq!(queued, [110, 111, 120, 130, 140, 150, 160, 170, 180, 190, 200]);
    assert!(
        messages[9]
            .state
            .as_ref()
            .is_some_and(|s| s.provider_id.is_empty() && s.why == Some(Reason::InvalidNumber.into()))
    );
    let states = queued.iter().map(|seq| answer(&request, *seq, Status::Sent, at(101))).collect();
    bench.say(&request, &Word { intent: None, states, finish: Some(Finish::Done { poll_at: None }) }, at(101)).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
    assert_eq!(bench.store.sums(&org, run).await.unwrap().buckets(), [("sent", 200)]);
    bench.adds_up(&org, run).await;
    assert_eq!(bench.store.retry_failed(&org, run, at(200)).await.unwrap(), 0, "nothing has failed");
    assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
}

pub async fn retrying_does_not_resume_a_stopped_run(bench: Bench) {
    let org = bench.acme().await;
    for _ in 0..10 {
        let run = bench.open(&org, BULK, 3).await;
        let request = bench.claim(&org, BULK, 1, at(0)).await.remove(0);
        let states = seqs(&request).map(|seq| answer(&request, seq, Status::Failed, at(1))).collect();
        bench.say(&request, &Word { intent: None, states, finish: Some(Finish::RetryAt(at(1))) }, at(1)).await;
        let request = bench.claim(&org, BULK, 1, at(1)).await.remove(0);
        let last = Word { finish: Some(Finish::Done { poll_at: None }), ..Word::default() };
        let (store, of) = (bench.store.clone(), org.clone());
        bench.say(&request, &last, at(1)).await;
        let retrying = tokio::spawn(async move { store.retry_failed(&of, run, at(2)).await.unwrap() });
        let (store, of) = (bench.store.clone(), org.clone());
        let stopping = tokio::spawn(async move { store.stop_run(&of, run, "paused", "").await.unwrap() });
        let (retried, stopped) = (retrying.await.unwrap(), stopping.await.unwrap());
        assert_eq!((retried, stopped), (3, bench.status(&org, run).await == RunStatus::Paused));
        if stopped {
            assert_eq!(bench.claim(&org, BULK, 9, at(2)).await.len(), 0);
            bench.store.resume_run(&org, run, at(2)).await.unwrap();
        }
        let request = bench.claim(&org, BULK, 9, at(2)).await.remove(0);
        bench.send(&request, at(2)).await;
        assert_eq!(bench.status(&org, run).await, RunStatus::Completed);
        bench.adds_up(&org, run).await;
    }
}
