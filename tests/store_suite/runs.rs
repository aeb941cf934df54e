//! Runs: made once, filled by chunks, opened when they are whole.

use std::collections::BTreeSet;

use herald::{
    domain::{
        fairness::Priority,
        id::{MessageId, RunId},
        message::Status,
        run::RunStatus,
    },
    store::{
        imports::Begun,
        messages::MessageSearch,
        runs::{NewRun, Rejected, Repeat},
    },
};

use crate::bench::{Bench, answer, at, configuration, new_messages, new_run, number, retry_at};

fn rejected(rows: std::ops::Range<i64>) -> Vec<Rejected> {
    rows.map(|row| Rejected { row, fields: vec!["x".into(), "y\"z".into()], problems: "to: is empty".into() }).collect()
}

pub async fn the_same_firing_is_one_run(bench: Bench) {
    let org = bench.acme().await;
    let firing = |name: &str| NewRun { firing: Some(name.to_owned()), ..new_run(Priority::Bulk) };
    let racing: Vec<_> = (0..8)
        .map(|_| {
            let (store, org, new) = (bench.store.clone(), org.clone(), firing("2027-01-15T09:00"));
            tokio::spawn(async move { store.begin_run(&org, &new, at(0)).await.unwrap() })
        })
        .collect();
    let mut made = BTreeSet::new();
    for run in racing {
        made.insert(run.await.unwrap());
    }
    assert_eq!(made.len(), 1);
    let other = bench.store.begin_run(&org, &firing("2027-01-16T09:00"), at(0)).await.unwrap();
    assert!(!made.contains(&other));
    let elsewhere = NewRun { configuration: configuration(2), ..firing("2027-01-15T09:00") };
    assert!(!made.contains(&bench.store.begin_run(&org, &elsewhere, at(0)).await.unwrap()));
    assert_eq!(bench.store.runs(&org, None, 100).await.unwrap().len(), 3);
}

pub async fn rows_are_cut_into_requests_of_a_hundred(bench: Bench) {
    let org = bench.acme().await;
    let new = new_run(Priority::Instant);
    let run = bench.store.begin_run(&org, &new, at(0)).await.unwrap();
    bench.store.add_chunk(&org, run, 0, &new_messages(1, 250), &rejected(500..502), at(0)).await.unwrap();
    bench.store.add_chunk(&org, run, 250, &new_messages(251, 30), &[], at(0)).await.unwrap();
    bench.store.open_run(&org, run, at(7)).await.unwrap();
    let found = bench.run(&org, run).await;
    assert_eq!((found.messages, found.rejected, found.requests, found.open_requests), (280, 2, 4, 4));
    assert_eq!((found.status, found.started_at, found.finished_at), (RunStatus::Running, Some(at(7)), None));
    assert_eq!((found.pinned, found.columns, found.source), (new.pinned.clone(), new.columns, new.source));
    assert_eq!(bench.store.run_facts(&org, run).await.unwrap(), Some((new.pinned, RunStatus::Running)));
    let mut claimed = bench.claim(&org, Priority::Instant, 10, at(7)).await;
    claimed.sort_by_key(|request| request.id);
    let shapes: Vec<_> = claimed.iter().map(|r| (r.id.number, r.first_seq, r.size, r.accepted_at)).collect();
    assert_eq!(shapes, [(1, 1, 100, at(0)), (2, 101, 100, at(0)), (3, 201, 50, at(0)), (4, 251, 30, at(0))]);
    let messages = bench.store.messages_of(&claimed[2]).await.unwrap();
    assert_eq!(messages.iter().map(|m| m.id.seq).collect::<Vec<_>>(), (201..251).collect::<Vec<_>>());
    let first = &messages[0];
    assert_eq!(
        (first.row, first.to, first.opted_in, first.repeat, first.locale.as_str()),
        (202, number(201), true, false, "fr-CA")
    );
    assert_eq!(first.read_slugs().unwrap().get("name"), Some("person 201"));
    assert_eq!(first.state, None);
    bench.adds_up(&org, run).await;
}

pub async fn a_repeated_chunk_adds_nothing(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.store.begin_run(&org, &new_run(Priority::Bulk), at(0)).await.unwrap();
    for _ in 0..3 {
        bench.store.add_chunk(&org, run, 0, &new_messages(1, 120), &rejected(1000..1003), at(0)).await.unwrap();
        bench.store.add_chunk(&org, run, 120, &[], &rejected(1003..1005), at(0)).await.unwrap();
    }
    let racing: Vec<_> = (0..6)
        .map(|_| {
            let (store, org) = (bench.store.clone(), org.clone());
            tokio::spawn(
                async move { store.add_chunk(&org, run, 120, &new_messages(121, 10), &[], at(0)).await.unwrap() },
            )
        })
        .collect();
    for added in racing {
        added.await.unwrap();
    }
    let found = bench.run(&org, run).await;
    assert_eq!((found.messages, found.rejected, found.requests), (130, 5, 3));
    let rows = bench.store.rejected_rows(&org, run, 1001, 2).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.row).collect::<Vec<_>>(), [1002, 1003]);
    assert_eq!(rows[0].fields, ["x", "y\"z"]);
    bench.adds_up(&org, run).await;
}

pub async fn nothing_is_claimed_before_a_run_is_opened(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.store.begin_run(&org, &new_run(Priority::Bulk), at(0)).await.unwrap();
    bench.store.add_chunk(&org, run, 0, &new_messages(1, 100), &[], at(0)).await.unwrap();
    assert_eq!(bench.claim(&org, Priority::Bulk, 10, at(1)).await.len(), 0);
    bench.store.open_run(&org, run, at(2)).await.unwrap();
    bench.store.add_chunk(&org, run, 100, &new_messages(101, 100), &[], at(2)).await.unwrap();
    assert_eq!(bench.run(&org, run).await.messages, 100, "an open run takes in no more");
    assert_eq!(bench.due(at(2)).await, [("acme".to_owned(), "bulk")]);
    let claimed = bench.claim(&org, Priority::Bulk, 10, at(2)).await;
    assert_eq!(claimed.len(), 1);
    bench.say(&claimed[0], &retry_at(at(500)), at(3)).await;
    bench.store.open_run(&org, run, at(4)).await.unwrap();
    assert_eq!(bench.claim(&org, Priority::Bulk, 10, at(5)).await.len(), 0, "opening again makes nothing due");
    let empty = bench.open(&org, Priority::Bulk, 0).await;
    assert_eq!(bench.status(&org, empty).await, RunStatus::Completed, "a run of nothing is over at once");
}

pub async fn a_failed_run_is_never_sent(bench: Bench) {
    let org = bench.acme().await;
    let run = bench.store.begin_run(&org, &new_run(Priority::Bulk), at(0)).await.unwrap();
    bench.store.add_chunk(&org, run, 0, &new_messages(1, 100), &[], at(0)).await.unwrap();
    bench.store.fail_run(&org, run, "the file ended early", at(1)).await.unwrap();
    bench.store.open_run(&org, run, at(2)).await.unwrap();
    bench.store.add_chunk(&org, run, 100, &new_messages(101, 100), &[], at(2)).await.unwrap();
    assert_eq!(bench.claim(&org, Priority::Bulk, 10, at(3)).await.len(), 0);
    let found = bench.run(&org, run).await;
    assert_eq!((found.status, found.why.as_str(), found.messages), (RunStatus::Failed, "the file ended early", 100));
    assert_eq!(found.finished_at, Some(at(1)));
    assert!(
        !bench.store.begin_cancel(&org, run).await.unwrap() && !bench.store.resume_run(&org, run, at(3)).await.unwrap()
    );
    let open = bench.open(&org, Priority::Bulk, 1).await;
    bench.store.fail_run(&org, open, "too late", at(1)).await.unwrap();
    assert_eq!(bench.status(&org, open).await, RunStatus::Running, "what has begun does not fail");
}

pub async fn runs_are_listed_newest_first(bench: Bench) {
    let org = bench.acme().await;
    let mut ids = Vec::new();
    for millis in [1, 5_000, 99_000_000, 100_000_000_000] {
        let new = NewRun { id: RunId::new(at(millis), rand::random()), ..new_run(Priority::Bulk) };
        ids.insert(0, bench.store.begin_run(&org, &new, at(millis)).await.unwrap());
    }
    let list = async |before, limit| -> Vec<RunId> {
        bench.store.runs(&org, before, limit).await.unwrap().iter().map(|run| run.id).collect()
    };
    assert_eq!(list(None, 10).await, ids);
    assert_eq!(list(None, 2).await, ids[..2]);
    assert_eq!(list(Some(ids[1]), 10).await, ids[2..]);
}

pub async fn the_same_file_is_found(bench: Bench) {
    let org = bench.acme().await;
    let new = NewRun { digest: "d1".into(), ..new_run(Priority::Bulk) };
    let run = bench.store.begin_run(&org, &new, at(100)).await.unwrap();
    let found = async |digest: &str, configuration, since| {
        let again = NewRun { digest: digest.into(), configuration, ..new_run(Priority::Bulk) };
        match bench.store.begin_upload(&org, &again, Some(at(since)), at(200)).await.unwrap() {
            Begun::Same(run, _) => Some(run),
            // Out of the way of the next question.
            Begun::Run(run) => {
                bench.store.fail_run(&org, run, "only asked", at(201)).await.unwrap();
                None
            }
        }
    };
    assert_eq!(found("d1", configuration(1), 100).await, Some(run));
    assert_eq!(found("d1", configuration(1), 101).await, None, "long ago");
    assert_eq!(found("d2", configuration(1), 0).await, None);
    assert_eq!(found("d1", configuration(2), 0).await, None);
    bench.store.fail_run(&org, run, "broken", at(101)).await.unwrap();
    assert_eq!(found("d1", configuration(1), 0).await, None, "a failed run sent nothing");
}

pub async fn messages_are_found_by_run_number_and_status(bench: Bench) {
    let org = bench.acme().await;
    let new = new_run(Priority::Bulk);
    let run = bench.store.begin_run(&org, &new, at(0)).await.unwrap();
    let mut messages = new_messages(1, 10);
    messages[9].contact.to = number(3);
    messages[9].repeat = Repeat::Again;
    bench.store.add_chunk(&org, run, 0, &messages, &[], at(0)).await.unwrap();
    bench.store.open_run(&org, run, at(0)).await.unwrap();
    let request = bench.claim(&org, Priority::Bulk, 1, at(0)).await.remove(0);
    let mut word = retry_at(at(9));
    word.states = vec![answer(&request, 3, Status::Sent, at(1)), answer(&request, 4, Status::Queued, at(1))];
    bench.say(&request, &word, at(1)).await;
    let search = async |search: MessageSearch, limit| -> Vec<i64> {
        bench.store.search_messages(&org, &search, limit).await.unwrap().iter().map(|m| m.id.seq).collect()
    };
    let of_run = MessageSearch { run: Some(run), ..MessageSearch::default() };
    let to = MessageSearch { to: Some(number(3)), ..MessageSearch::default() };
    assert_eq!(search(of_run.clone(), 3).await, [1, 2, 3]);
    assert_eq!(search(MessageSearch { after: Some(MessageId { run, seq: 8 }), ..of_run.clone() }, 3).await, [9, 10]);
    assert_eq!(search(MessageSearch { status: Some(Status::Sent), ..of_run.clone() }, 9).await, [3]);
    assert_eq!(search(MessageSearch { status: Some(Status::Queued), ..of_run }, 4).await, [1, 2, 4, 5]);
    assert_eq!(search(to.clone(), 9).await, [10, 3], "newest first");
    assert_eq!(search(MessageSearch { run: Some(run), ..to.clone() }, 1).await, [10]);
    assert_eq!(search(MessageSearch { after: Some(MessageId { run, seq: 10 }), ..to.clone() }, 9).await, [3]);
    assert_eq!(search(MessageSearch { status: Some(Status::Sent), ..to }, 9).await, [3]);
    assert_eq!(search(MessageSearch::default(), 9).await, Vec::<i64>::new(), "a search names a run or a number");
    let taken = async |id, to, except| {
        bench.store.provider_id_taken(&org, number(to), id, MessageId { run, seq: except }).await.unwrap()
    };
    assert!(
        taken("SM3", 3, 10).await
            && !taken("SM3", 3, 3).await
            && !taken("SM3", 4, 10).await
            && !taken("SM9", 3, 10).await
    );
}
