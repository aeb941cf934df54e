//! Timelines: activities are written with their messages, and read a page at a time, each once.

use std::{collections::BTreeSet, time::Duration};

use herald::{
    domain::{
        contact::{ChannelType, REGARDING, RELATIONSHIP},
        fairness::Priority,
        id::{ConversationId, MessageId, OrgId, ReplyId, RequestId, RunId},
        message::Status,
        run::{Pinned, RunStatus},
        timeline::Before,
    },
    store::{
        callbacks::Effects,
        events::Batch,
        imports::Day,
        replies::NewReply,
        runs::{Lasting, NewMessage, NewRun},
        timeline::{Activity, LONGEST_LINK},
    },
};

use crate::bench::{Bench, answer, at, new_messages, new_run, number, retry_at};

/// A run that leaves activities.
pub fn shown() -> NewRun {
    let new = new_run(Priority::Instant);
    NewRun { pinned: Pinned { show_in_timeline: true, ..new.pinned.clone() }, ..new }
}

/// A message that says what it is about.
pub fn about(mut message: NewMessage, relationship: &str, regarding: &str) -> NewMessage {
    let slugs = &mut message.contact.slugs;
    slugs.insert(RELATIONSHIP, relationship).unwrap();
    slugs.insert(REGARDING, regarding).unwrap();
    message
}

/// Messages to persons from the first on, each about a case of its own.
fn linked(first: i64, count: i64) -> Vec<NewMessage> {
    let messages = new_messages(first, count).into_iter();
    messages
        .map(|one| {
            let case = format!("case {}", one.row - 1);
            about(one, "incident", &case)
        })
        .collect()
}

async fn of(bench: &Bench, org: &OrgId, n: i64) -> Vec<Activity> {
    bench.store.activities_of(org, number(n), Before::NOTHING, 1_000).await.unwrap()
}

pub async fn messages_of_runs_that_say_so_leave_activities(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let silent = bench.open(&org, Priority::Instant, 3).await;
    let hidden = store.begin_run(&org, &new_run(Priority::Bulk), at(0)).await.unwrap();
    store.add_chunk(&org, hidden, 0, &linked(1, 3), &[], at(0)).await.unwrap();
    assert_eq!(of(&bench, &org, 1).await, [], "their configurations do not show them");
    assert_eq!((bench.run(&org, silent).await.unlinked, bench.run(&org, hidden).await.unlinked), (0, 0));

    let run = store.begin_run(&org, &shown(), at(1)).await.unwrap();
    let longest = "é".repeat(LONGEST_LINK / 2);
    let mut odd = new_messages(121, 6);
    odd[0] = about(odd[0].clone(), "incident", " ");
    odd[1].contact.slugs.insert(REGARDING, "case").unwrap();
    odd[2] = about(odd[2].clone(), "incident", &"x".repeat(LONGEST_LINK + 1));
    odd[3] = about(odd[3].clone(), "incident", &"x".repeat(100_000));
    odd[4] = about(odd[4].clone(), &longest, &format!(" {longest}\t"));
    odd[5] = about(odd[5].clone(), "inci\0dent", "'; DROP TABLE activities; --");
    for _ in 0..2 {
        store.add_chunk(&org, run, 0, &linked(1, 120), &[], at(2)).await.unwrap();
        store.add_chunk(&org, run, 120, &odd, &[], at(3)).await.unwrap();
    }
    let found = bench.run(&org, run).await;
    assert_eq!((found.messages, found.unlinked, found.requests), (126, 4, 3), "all are sent, linked or not");
    let activity = |seq, number, relationship: &str, regarding: &str, millis| Activity {
        id: MessageId { run, seq },
        request: RequestId { run, number },
        relationship: relationship.to_owned(),
        regarding: regarding.to_owned(),
        created_at: at(millis),
    };
    assert_eq!(of(&bench, &org, 1).await, [activity(1, 1, "incident", "case 1", 2)]);
    assert_eq!(of(&bench, &org, 100).await, [activity(100, 1, "incident", "case 100", 2)]);
    assert_eq!(of(&bench, &org, 101).await, [activity(101, 2, "incident", "case 101", 2)]);
    for person in 121..125 {
        assert_eq!(of(&bench, &org, person).await, [], "{person}");
    }
    assert_eq!(of(&bench, &org, 125).await, [activity(125, 3, &longest, &longest, 3)]);
    let sql = "'; DROP TABLE activities; --";
    let regarding = store.activities_regarding(&org, sql, Before::NOTHING, 9).await.unwrap();
    assert_eq!(regarding, [activity(126, 3, "inci\u{fffd}dent", sql, 3)]);
    bench.adds_up(&org, run).await;
    // The request that an activity names is the one that holds its message.
    store.open_run(&org, run, at(4)).await.unwrap();
    for request in bench.claim(&org, Priority::Instant, 9, at(4)).await.iter().filter(|claimed| claimed.id.run == run) {
        for message in store.messages_of(request).await.unwrap() {
            let n = message.id.seq;
            assert!(
                of(&bench, &org, n)
                    .await
                    .iter()
                    .filter(|one| one.id == message.id)
                    .all(|one| one.request == request.id)
            );
        }
    }
}

pub async fn an_upload_that_failed_leaves_no_activities(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let new = NewRun { digest: "d".into(), ..shown() };
    let run = store.begin_run(&org, &new, at(0)).await.unwrap();
    store.add_chunk(&org, run, 0, &linked(1, 120), &[], at(0)).await.unwrap();
    let other = store.begin_run(&org, &shown(), at(0)).await.unwrap();
    store.add_chunk(&org, other, 0, &linked(1, 1), &[], at(0)).await.unwrap();
    store.fail_run(&org, run, "broken", at(1)).await.unwrap();
    let today = Day { began: at(0), ends: at(86_400_000) };
    while store.tidy(&org, Duration::from_secs(60), "left", today, at(2)).await.unwrap().more {}
    assert_eq!(
        bench.ask("SELECT run_id, COUNT(*) FROM activities GROUP BY run_id").await,
        [[other.to_string(), "1".into()]]
    );
}

/// Walks through all pages of a size.
async fn walk(bench: &Bench, org: &OrgId, regarding: Option<&str>, size: i64) -> Vec<MessageId> {
    let (mut before, mut seen) = (Before::NOTHING, Vec::new());
    loop {
        let page = match regarding {
            Some(case) => bench.store.activities_regarding(org, case, before, size).await.unwrap(),
            None => bench.store.activities_of(org, number(1), before, size).await.unwrap(),
        };
        seen.extend(page.iter().map(|activity| activity.id));
        let Some(last) = page.last() else { return seen };
        before = Before { at: last.created_at, id: Some(last.id) };
    }
}

pub async fn pages_of_activities_follow_one_another(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let mut expected = Vec::new();
    // Five runs, three of them at one time, each with more messages to one person about one case than it has requests.
    for millis in [10, 20, 20, 20, 30] {
        let run = store.begin_run(&org, &shown(), at(millis)).await.unwrap();
        let mut messages = linked(1, 120);
        for one in &mut messages {
            one.contact.to = number(1);
            one.contact.slugs = about(new_messages(1, 1).remove(0), "incident", "the case").contact.slugs;
        }
        store.add_chunk(&org, run, 0, &messages, &[], at(millis)).await.unwrap();
        expected.extend((1..=120).map(|seq| (millis, MessageId { run, seq })));
    }
    expected.sort();
    let expected: Vec<MessageId> = expected.into_iter().rev().map(|(_, id)| id).collect();
    for size in [7, 50, 601] {
        assert_eq!(walk(&bench, &org, None, size).await, expected);
        assert_eq!(walk(&bench, &org, Some("the case"), size).await, expected);
    }
    // All of a time, and nothing of it.
    let twenty = |before| store.activities_of(&org, number(1), before, 1_000);
    assert_eq!(twenty(Before { at: at(20), id: None }).await.unwrap().len(), 120);
    assert_eq!(twenty(Before { at: at(21), id: None }).await.unwrap().len(), 480);
    assert_eq!(walk(&bench, &org, Some("THE CASE"), 50).await, [], "an id is an id, letter for letter");

    // A day's run that events are added to.
    let run = NewRun { lasting: Lasting::OpenEnded, firing: Some("2027-01-15".into()), ..shown() };
    let batch = |n| Batch {
        run: run.clone(),
        due: at(99),
        day_ends: at(999),
        company: None,
        messages: linked(n, 1),
        rejected: vec![],
    };
    for n in [7, 8] {
        assert!(store.finish_events(&org, &[], &[], &[batch(n)], at(40 + n)).await.unwrap());
    }
    let requests: Vec<i64> =
        [of(&bench, &org, 7).await, of(&bench, &org, 8).await].concat().iter().map(|one| one.request.number).collect();
    assert_eq!(requests, [1, 2]);
}

pub async fn pages_of_replies_follow_one_another(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let mut ids = BTreeSet::new();
    let replies = (0..25u128).map(|n| {
        let millis = [10, 20, 20, 30][n as usize % 4];
        let id = ReplyId::new(at(millis), rand::random());
        ids.insert((millis, id));
        let from = number(if n == 24 { 2 } else { 1 });
        NewReply {
            id,
            channel: "main".into(),
            channel_type: ChannelType::Sms,
            provider_id: format!("SM{n}"),
            from,
            text: format!("{n}"),
            media: vec!["https://example.com/1".into()],
            media_refused: 2,
            keyword: "",
            answers: None,
            opens: ConversationId::new(at(millis), rand::random()),
            locale: String::new(),
            received_at: at(millis),
        }
    });
    let effects = Effects { replies: replies.collect(), ..Effects::default() };
    store.apply_callbacks(&org, &[], &effects).await.unwrap();
    let stranger = effects.replies[24].id;
    let expected: Vec<ReplyId> = ids.into_iter().rev().map(|(_, id)| id).filter(|id| *id != stranger).collect();
    let (mut before, mut seen) = (Before::NOTHING, Vec::new());
    loop {
        let page = store.replies_of(&org, number(1), before, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        assert_eq!((&*last.media, last.media_refused), (&["https://example.com/1".to_owned()][..], 2));
        assert!(last.conversation.is_some());
        before = Before { at: last.received_at, id: Some(last.id) };
        seen.extend(page.iter().map(|reply| reply.id));
    }
    assert_eq!(seen, expected);
}

pub async fn what_activities_show_is_found_by_ids(bench: Bench) {
    let (org, store) = (bench.acme().await, &bench.store);
    let new = shown();
    let run = store.begin_run(&org, &new, at(0)).await.unwrap();
    store.add_chunk(&org, run, 0, &linked(1, 150), &[], at(0)).await.unwrap();
    store.open_run(&org, run, at(0)).await.unwrap();
    let claimed = bench.claim(&org, Priority::Instant, 1, at(0)).await.remove(0);
    let mut word = retry_at(at(500));
    word.states = vec![answer(&claimed, 1, Status::Sent, at(1)), answer(&claimed, 2, Status::Queued, at(1))];
    bench.say(&claimed, &word, at(1)).await;

    let id = |seq| MessageId { run, seq };
    let gone = MessageId { run: RunId::new(at(9), 9), seq: 1 };
    let mut found = store.messages_by_id(&org, &[id(2), id(1), id(140), id(151), gone]).await.unwrap();
    found.sort_by_key(|message| message.id);
    let told: Vec<_> = found.iter().map(|message| (message.id.seq, message.to, message.status())).collect();
    let expected = [(1, number(1), Status::Sent), (2, number(2), Status::Queued), (140, number(140), Status::Queued)];
    assert_eq!(told, expected);
    assert_eq!(found[0].state.as_ref().unwrap().provider_id, "SM1");
    assert!(found[2].state.is_none());

    let runs = store.activity_runs(&org, [run, gone.run]).await.unwrap();
    let shown = &runs[&run];
    assert_eq!((runs.len(), shown.status, &shown.pinned, &shown.name), (1, RunStatus::Running, &new.pinned, &new.name));
    let request = |number| RequestId { run, number };
    let requests = store.activity_requests(&org, [request(1), request(2), request(3)]).await.unwrap();
    let told: Vec<_> = requests.iter().map(|(id, one)| (id.number, one.due_at, one.token)).collect();
    assert_eq!(told, [(1, at(500), 1), (2, at(0), 0)]);
}
