//! What comes in: consent, events, callbacks, replies, and the clock's firings. Each counts once.

use herald::{
    domain::{
        contact::ChannelType,
        fairness::Priority,
        id::{CallbackId, ConsentChangeId, ConversationId, MessageId, ReplyId, RunId},
        message::Status,
        run::RunStatus,
        time::Timestamp,
    },
    store::{
        callbacks::{Applied, Effects, StoredCallback},
        consents::{Consent, ConsentChange},
        events::{Batch, Recorded, StoredEvent},
        imports::Day,
        replies::NewReply,
        runs::{Lasting, NewRun, Rejected},
        schedules::DueFiring,
    },
};

use crate::bench::{Bench, at, configuration, new_messages, new_run, number, patiently, state};

pub fn change(channel_type: ChannelType, of: i64, consent: Consent, when: i64) -> ConsentChange {
    ConsentChange {
        id: ConsentChangeId::new(at(when), rand::random()),
        channel_type,
        of: number(of),
        consent,
        source: format!("at {when}"),
        actor: "contact".to_owned(),
        at: at(when),
    }
}

pub async fn the_latest_word_on_consent_holds(bench: Bench) {
    use ChannelType::{Sms, WhatsApp};
    use Consent::{In, Out};
    let org = bench.acme().await;
    let store = &bench.store;
    store
        .set_consents(&org, &[change(Sms, 1, Out, 10), change(Sms, 2, In, 10), change(WhatsApp, 2, Out, 10)])
        .await
        .unwrap();
    store.set_consents(&org, &[change(Sms, 1, In, 9), change(Sms, 2, Out, 12), change(Sms, 2, In, 11)]).await.unwrap();
    store.set_consents(&org, &[]).await.unwrap();
    let people = [number(1), number(2), number(3)];
    assert_eq!(store.consents(&org, Sms, &people).await.unwrap(), [(number(1), Out), (number(2), Out)].into());
    assert_eq!(store.consents(&org, WhatsApp, &people).await.unwrap(), [(number(2), Out)].into());
    assert_eq!(store.consents(&org, Sms, &[]).await.unwrap().len(), 0);
    store.set_consents(&org, &[change(Sms, 2, In, 12)]).await.unwrap();
    let of = store.consent_of(&org, number(2)).await.unwrap();
    let shown: Vec<_> =
        of.iter().map(|one| (one.channel_type, one.consent, one.source.as_str(), one.changed_at)).collect();
    assert_eq!(
        shown,
        [(Sms, In, "at 12", at(12)), (WhatsApp, Out, "at 10", at(10))],
        "at the same moment, the last word"
    );
}

fn event(id: &str, when: i64) -> StoredEvent {
    StoredEvent { id: id.to_owned(), body: format!("{{\"id\": \"{id}\"}}"), received_at: at(when) }
}

pub async fn an_event_is_recorded_once(bench: Bench) {
    use Recorded::{Known, New};
    let org = bench.acme().await;
    let other = bench.organization("other", 100, 0).await;
    let store = &bench.store;
    let first = store
        .record_events(&[(&org, event("b", 2)), (&org, event("a", 1)), (&other, event("a", 1)), (&org, event("b", 3))])
        .await
        .unwrap();
    assert_eq!(first, [New, New, New, Known]);
    assert_eq!(store.record_events(&[(&org, event("a", 9)), (&org, event("c", 9))]).await.unwrap(), [Known, New]);
    assert_eq!(store.record_events(&[]).await.unwrap(), []);
    let waiting = store.new_events(&org, 2).await.unwrap();
    let shown: Vec<_> = waiting.iter().map(|e| (e.id.as_str(), e.received_at)).collect();
    assert_eq!(shown, [("a", at(1)), ("b", at(2))], "the oldest first, as they first came");
    assert_eq!(waiting[0].body, event("a", 1).body);
    assert_eq!(bench.due(at(5)).await, [("acme".to_owned(), "events"), ("other".to_owned(), "events")]);
    let racing: Vec<_> = (0..8)
        .map(|n| {
            let (store, org) = (store.clone(), org.clone());
            tokio::spawn(async move {
                let mut events: Vec<_> = (0..50).map(|n| (&org, event(&format!("e{n}"), 20))).collect();
                events.rotate_left(n * 6);
                patiently(|| store.record_events(&events)).await.iter().filter(|r| **r == New).count()
            })
        })
        .collect();
    let mut new = 0;
    for count in racing {
        new += count.await.unwrap();
    }
    assert_eq!(new, 50);
}

fn day() -> NewRun {
    NewRun { lasting: Lasting::OpenEnded, firing: Some("2027-01-15".into()), ..new_run(Priority::Automatic) }
}

pub async fn events_become_requests_exactly_once(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    for round in 0..8 {
        let ids = [format!("a{round}"), format!("b{round}")];
        store.record_events(&[(&org, event(&ids[0], round)), (&org, event(&ids[1], round))]).await.unwrap();
        let racing: Vec<_> = (0..2)
            .map(|worker| {
                let (store, org, ids) = (store.clone(), org.clone(), ids.clone());
                tokio::spawn(async move {
                    let rejected = Rejected { row: 1, fields: vec!["?".into()], problems: "no number".into() };
                    let batch = Batch {
                        run: day(),
                        due: at(round),
                        day_ends: at(1_000_000),
                        company: None,
                        messages: new_messages(1, 130),
                        rejected: vec![rejected],
                    };
                    let mut results: Vec<_> = ids.iter().map(|id| (id.clone(), "made".to_owned())).collect();
                    if worker == 1 {
                        results.reverse();
                    }
                    patiently(|| store.finish_events(&org, &results, &[], std::slice::from_ref(&batch), at(round)))
                        .await
                })
            })
            .collect();
        let mut done = 0;
        for finished in racing {
            done += usize::from(finished.await.unwrap());
        }
        assert_eq!(done, 1, "one worker makes them, the other one is told");
    }
    assert_eq!(store.new_events(&org, 9).await.unwrap().len(), 0);
    assert!(!bench.due(at(99)).await.contains(&("acme".to_owned(), "events")), "the lane rests");
    let run = store.runs(&org, None, 9).await.unwrap().remove(0);
    assert_eq!((run.messages, run.rejected, run.requests, run.status), (8 * 130, 8, 16, RunStatus::Running));
    bench.adds_up(&org, run.id).await;
    let mut requests = bench.claim(&org, Priority::Automatic, 99, at(99)).await;
    requests.sort_by_key(|request| request.id);
    assert_eq!(requests.iter().map(|r| r.size).sum::<i64>(), 8 * 130);
    assert!(requests.windows(2).all(|two| two[0].first_seq + two[0].size == two[1].first_seq));
    for request in &requests {
        bench.send(request, at(100)).await;
    }
    assert_eq!(bench.status(&org, run.id).await, RunStatus::Running, "the day is not over");
    assert_eq!(
        store.record_events(&[(&org, event("a0", 200))]).await.unwrap(),
        [Recorded::Known],
        "also when it is done"
    );
    // Half of them done leaves the lane awake for the rest.
    store.record_events(&[(&org, event("x", 300)), (&org, event("y", 310))]).await.unwrap();
    assert!(store.finish_events(&org, &[("x".into(), "nothing to send".into())], &[], &[], at(320)).await.unwrap());
    assert_eq!(bench.due(at(309)).await, []);
    assert_eq!(bench.due(at(310)).await, [("acme".to_owned(), "events")]);
    assert!(store.finish_events(&org, &[("y".into(), "nothing to send".into())], &[], &[], at(330)).await.unwrap());

    // The day's end is looked at when it has come, and not before.
    let looked_after = async |when| bench.due(when).await.contains(&("acme".to_owned(), "upkeep"));
    assert!(!looked_after(at(999_999)).await && looked_after(at(1_000_000)).await);
    let patience = std::time::Duration::from_secs(60);
    let same_day = Day { began: at(0), ends: at(1_000_000) };
    store.tidy(&org, patience, "left", same_day, at(999_999)).await.unwrap();
    assert_eq!(bench.status(&org, run.id).await, RunStatus::Running, "the day is not over");
    assert!(looked_after(at(1_000_000)).await, "and it is looked at again");
    let next_day = Day { began: at(1_000_000), ends: at(2_000_000) };
    store.tidy(&org, patience, "left", next_day, at(1_000_000)).await.unwrap();
    assert_eq!(bench.status(&org, run.id).await, RunStatus::Completed);
    assert!(!looked_after(at(9_000_000)).await, "nothing is left to look after");
}

pub async fn events_for_a_run_that_is_over_are_not_lost(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    let run = store.begin_run(&org, &day(), at(0)).await.unwrap();
    bench.cancel(&org, run, at(1)).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled);
    store.record_events(&[(&org, event("late", 2))]).await.unwrap();
    let batch = Batch {
        run: day(),
        due: at(2),
        day_ends: at(1_000_000),
        company: None,
        messages: new_messages(1, 2),
        rejected: vec![],
    };
    assert!(store.finish_events(&org, &[("late".into(), "2".into())], &[], &[batch], at(2)).await.unwrap());
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelling, "there is something to cancel again");
    assert_eq!(bench.due(at(2)).await, [("acme".to_owned(), "automatic")]);
    bench.cancel(&org, run, at(3)).await;
    assert_eq!(bench.status(&org, run).await, RunStatus::Cancelled);
    assert_eq!(store.sums(&org, run).await.unwrap().buckets(), [("cancelled", 2)]);
    bench.adds_up(&org, run).await;
}

fn callback(n: i64) -> StoredCallback {
    StoredCallback {
        id: CallbackId::new(at(n), 0),
        account: "twilio".into(),
        body: format!("{{\"n\": {n}}}"),
        received_at: at(n),
    }
}

pub fn reply(n: i64, provider_id: &str) -> NewReply {
    NewReply {
        id: ReplyId::new(at(n), 0),
        channel: "main".into(),
        channel_type: ChannelType::Sms,
        provider_id: provider_id.into(),
        from: number(n),
        text: "merci\0 👍".into(),
        media: vec!["https://example.com/1".into()],
        media_refused: 2,
        keyword: "stop",
        answers: Some(MessageId { run: RunId::new(at(0), 0), seq: n }),
        opens: ConversationId::new(at(n), rand::random()),
        locale: "fr".into(),
        received_at: at(n),
    }
}

pub async fn callbacks_are_applied_and_forgotten(bench: Bench) {
    let org = bench.acme().await;
    let other = bench.organization("other", 100, 0).await;
    let (run, theirs) = (bench.open(&org, Priority::Bulk, 5).await, bench.open(&other, Priority::Bulk, 5).await);
    bench.claim(&org, Priority::Bulk, 9, at(0)).await;
    bench.claim(&other, Priority::Bulk, 9, at(0)).await;
    let store = &bench.store;
    store
        .record_callbacks(&[(&org, callback(2)), (&org, callback(1)), (&other, callback(1)), (&org, callback(30))])
        .await
        .unwrap();
    store.record_callbacks(&[(&org, callback(2))]).await.unwrap();
    let waiting = store.waiting_callbacks(&org, 2).await.unwrap();
    assert_eq!(
        waiting.iter().map(|c| (c.id, c.body.clone())).collect::<Vec<_>>(),
        [1, 2].map(|n| (callback(n).id, callback(n).body))
    );
    assert_eq!(bench.due(at(5)).await, [("acme".to_owned(), "callbacks"), ("other".to_owned(), "callbacks")]);

    let receipt = |run, seq| (MessageId { run, seq }, state(Status::Delivered, at(5)));
    let effects = Effects {
        receipts: vec![receipt(run, 1), receipt(run, 2), receipt(theirs, 1), receipt(run, 6)],
        replies: vec![reply(1, "SM1"), reply(2, "SM2")],
        consents: vec![change(ChannelType::Sms, 1, Consent::Out, 5)],
    };
    let done: Vec<CallbackId> = waiting.iter().map(|c| c.id).collect();
    let racing: Vec<_> = (0..3)
        .map(|_| {
            let (store, org, done) = (store.clone(), org.clone(), done.clone());
            let effects = Effects {
                receipts: effects.receipts.clone(),
                replies: effects.replies.clone(),
                consents: effects.consents.clone(),
            };
            tokio::spawn(async move { patiently(|| store.apply_callbacks(&org, &done, &effects)).await })
        })
        .collect();
    let mut new_replies = 0;
    for applied in racing {
        let Applied { unknown, new_replies: news } = applied.await.unwrap();
        assert_eq!(unknown, 2, "another organization's message is as unknown as one that never was");
        new_replies += news;
    }
    assert_eq!(new_replies, 2, "applied three times, kept once");
    assert_eq!(store.sums(&org, run).await.unwrap().of(Status::Delivered), 2);
    assert_eq!(store.sums(&other, theirs).await.unwrap().tallies, []);
    bench.adds_up(&org, run).await;
    assert_eq!(store.consents(&org, ChannelType::Sms, &[number(1)]).await.unwrap().len(), 1);
    assert_eq!(store.waiting_callbacks(&org, 9).await.unwrap().len(), 1);
    assert_eq!(store.waiting_callbacks(&other, 9).await.unwrap().len(), 1);
    assert_eq!(bench.due(at(29)).await, [("other".to_owned(), "callbacks")], "the lane sleeps until the next one");
    assert_eq!(bench.due(at(30)).await.len(), 2);
    store.apply_callbacks(&org, &[callback(30).id], &Effects::default()).await.unwrap();
    assert_eq!(bench.due(at(40)).await, [("other".to_owned(), "callbacks")]);
}

pub async fn a_reply_is_kept_once(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    let elsewhere = NewReply { channel: "second".into(), ..reply(3, "SM1") };
    for (replies, news) in [
        (vec![reply(1, "SM1"), reply(1, "SM1"), elsewhere.clone()], 2),
        (vec![reply(2, "SM1"), reply(4, "SM4"), elsewhere], 1),
    ] {
        let applied = store.apply_callbacks(&org, &[], &Effects { replies, ..Effects::default() }).await.unwrap();
        assert_eq!(applied, Applied { unknown: 0, new_replies: news });
    }
    let kept = store.replies(&org, at(0), 9).await.unwrap();
    let shown: Vec<_> = kept.iter().map(|r| (r.channel.as_str(), r.from, r.received_at)).collect();
    assert_eq!(
        shown,
        [("main", number(4), at(4)), ("second", number(3), at(3)), ("main", number(1), at(1))],
        "newest first"
    );
    assert_eq!((kept[0].text.as_str(), kept[0].keyword.as_str()), ("merci\u{fffd} 👍", "stop"));
    assert_eq!((kept[0].media.as_slice(), kept[0].media_refused), (&["https://example.com/1".to_owned()][..], 2));
    assert_eq!(kept[0].answers, MessageId { run: RunId::new(at(0), 0), seq: 4 }.to_string());
    assert_eq!(store.replies(&org, at(3), 1).await.unwrap().len(), 1);
}

pub async fn a_firing_is_leased_and_finished_once(bench: Bench) {
    let org = bench.acme().await;
    let store = &bench.store;
    let next = async || store.next_firing(&org, configuration(1)).await.unwrap();
    let lease = async |now, until| -> Vec<DueFiring> { store.lease_firings(&org, at(now), at(until)).await.unwrap() };
    store.set_schedule(&org, configuration(1), Some(at(100))).await.unwrap();
    store.set_schedule(&org, configuration(2), Some(at(5_000))).await.unwrap();
    assert_eq!(bench.due(at(99)).await, []);
    assert_eq!(bench.due(at(100)).await, [("acme".to_owned(), "schedules")]);
    let racing: Vec<_> = (0..8)
        .map(|_| {
            let (store, org) = (store.clone(), org.clone());
            tokio::spawn(async move { patiently(|| store.lease_firings(&org, at(100), at(1_100))).await })
        })
        .collect();
    let mut firings = Vec::new();
    for leased in racing {
        firings.extend(leased.await.unwrap());
    }
    let fired = DueFiring { configuration: configuration(1), at: at(100), decided: None };
    assert_eq!(firings, [fired], "exactly once");
    assert_eq!(bench.due(at(1_099)).await, [], "the lane sleeps until the lease ends");
    store.set_schedule(&org, configuration(1), Some(at(100))).await.unwrap();
    assert_eq!(lease(1_099, 9_000).await, [], "saying the same again ends no lease");
    assert_eq!(bench.due(at(1_100)).await.len(), 1);
    assert_eq!(lease(1_100, 2_000).await, [fired], "whoever had it has vanished");
    for at_next in [at(3_000), at(4_000)] {
        store.finish_firing(&org, fired, Some(at_next)).await.unwrap();
        assert_eq!(next().await, Some(at(3_000)), "the schedule has moved on: the second one changes nothing");
    }
    assert_eq!(bench.due(at(2_999)).await, []);
    store.set_schedule(&org, configuration(1), Some(at(2_500))).await.unwrap();
    assert_eq!(
        lease(2_500, 9_000).await,
        [DueFiring { configuration: configuration(1), at: at(2_500), decided: None }]
    );
    store
        .finish_firing(&org, DueFiring { configuration: configuration(1), at: at(2_500), decided: None }, None)
        .await
        .unwrap();
    assert_eq!(next().await, None, "never again");
    assert_eq!(bench.due(at(4_999)).await, []);
    store.set_schedule(&org, configuration(2), None).await.unwrap();
    assert_eq!(bench.due(Timestamp::from_millis(i64::MAX - 1)).await, []);
}
