//! The outbox: what happens is told once to whoever asks for it, and to nobody else; deliveries are taken up once at a time and
//! kept until they have arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald::{
    domain::{
        contact::ChannelType,
        fairness::Priority,
        id::{DeliveryId, EndpointId, MessageId, OrgId, ReplyId},
        message::Status,
        state::MessageState,
        time::Timestamp,
        webhook::KEPT_FOR,
    },
    store::{
        callbacks::Effects,
        consents::Consent,
        definitions::{Kind, NewDefinition},
        deliveries::{Delivery, Order, Posted, TakenUp},
        endpoints::{DeliveryState, Gone},
        replies::NewReply,
        settle::Word,
    },
};
use serde_json::{Value, json};

use crate::bench::{Bench, LEASE, PLENTY, all_sent, answer, at, number, organization, patiently, seqs, state};
use crate::inbound::{self, change};

const BULK: Priority = Priority::Bulk;
/// The name of the endpoint.
pub const CRM: &str = "crm";

/// Defines an endpoint; `active` may be left out.
async fn define(bench: &Bench, org: &str, name: &str, endpoint: Value, when: Timestamp) {
    let mut body = json!({ "url": "https://example.com/", "secret": { "env": "X" }, "active": true });
    body.as_object_mut().unwrap().extend(endpoint.as_object().unwrap().clone());
    let fresh_id = EndpointId::new(at(0), rand::random()).to_string();
    let new = NewDefinition { kind: Kind::Endpoint, fresh_id, name: name.to_owned(), body: body.to_string() };
    bench.store.save_definitions(&organization(org, PLENTY, 0), &[new], when).await.unwrap();
}

/// An organization whose endpoint asks for these events.
pub async fn asking(bench: &Bench, events: &[&str]) -> OrgId {
    define(bench, "acme", CRM, json!({ "events": events }), at(0)).await;
    "acme".parse().unwrap()
}

/// What is kept for an endpoint: the types and the data, the oldest first, of one time by type.
async fn told(bench: &Bench, org: &OrgId, endpoint: &str) -> Vec<(String, Value)> {
    let mut kept = bench.store.deliveries(org, endpoint, None, None, 100_000).await.unwrap();
    kept.sort_by_key(|delivery| (delivery.created_at, delivery.event_type.clone(), delivery.id));
    let read = kept.iter().map(|delivery| {
        let body: Value = serde_json::from_str(&delivery.body).unwrap();
        assert_eq!((body["type"].as_str(), body.as_object().unwrap().len()), (Some(delivery.event_type.as_str()), 3));
        assert_eq!(body["timestamp"].as_str(), Some(delivery.created_at.to_string().as_str()));
        (delivery.event_type.clone(), body["data"].clone())
    });
    read.collect()
}

fn types(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(event, _)| event.as_str()).collect()
}

fn lanes(org: &str) -> (String, &'static str) {
    (org.to_owned(), "deliveries")
}

pub async fn nobody_asks_and_nothing_is_kept(bench: Bench) {
    define(&bench, "acme", "inactive", json!({ "active": false }), at(0)).await;
    define(&bench, "acme", "elsewhere", json!({ "events": ["reply.received", "no.such"] }), at(0)).await;
    define(&bench, "other", CRM, json!({}), at(0)).await;
    let org: OrgId = "acme".parse().unwrap();
    let run = bench.open(&org, BULK, 100).await;
    let request = bench.claim(&org, BULK, 1, at(1)).await.remove(0);
    bench.send(&request, at(2)).await;
    bench.store.apply_receipts(&org, &[(MessageId { run, seq: 1 }, state(Status::Delivered, at(3)))]).await.unwrap();
    assert_eq!(bench.ask("SELECT COUNT(*) FROM deliveries").await, [["0"]]);
    let wanted = bench.ask("SELECT org_id, endpoint, pattern FROM subscriptions ORDER BY org_id, pattern").await;
    assert_eq!(
        wanted,
        [["acme", "elsewhere", "no.such"], ["acme", "elsewhere", "reply.received"], ["other", CRM, "*"]]
    );
}

pub async fn every_change_of_a_status_is_told_once(bench: Bench) {
    let org = asking(&bench, &["message.*"]).await;
    let run = bench.open(&org, BULK, 4).await;
    let request = bench.claim(&org, BULK, 1, at(1)).await.remove(0);
    let id = |seq| MessageId { run, seq };
    // The third is put off, which is nobody's business; the fourth is in doubt.
    let states = vec![
        answer(&request, 1, Status::Sent, at(2)),
        answer(&request, 2, Status::Failed, at(2)),
        answer(&request, 3, Status::Queued, at(2)),
        answer(&request, 4, Status::Uncertain, at(2)),
    ];
    let word = Word { states, ..Word::default() };
    for _ in 0..2 {
        bench.say(&request, &word, at(2)).await; // the second time as after a commit whose confirmation was lost
    }
    let first = told(&bench, &org, CRM).await;
    assert_eq!(types(&first), ["message.failed", "message.sent", "message.uncertain"]);
    assert_eq!(
        first[0].1,
        json!({
            "id": id(2), "run": run, "configuration": "Reminder", "channel": "main", "to": number(2), "status": "failed",
            "code": "invalid_number", "reason": first[0].1["reason"], "provider_code": null, "provider_id": null,
            "locale": "fr", "segments": 2, "sent_at": null, "at": at(2),
        })
    );
    assert!(first[0].1["reason"].as_str().unwrap().len() > 10);
    assert_eq!(first[1].1["provider_id"], "SM1");

    let receipt = |seq, status, when| (id(seq), state(status, at(when)));
    let elsewhere = MessageState { via: "second".to_owned(), ..state(Status::Delivered, at(5)) };
    for receipts in [
        vec![receipt(1, Status::Sent, 4), receipt(4, Status::Sent, 4)],
        vec![(id(1), elsewhere), receipt(1, Status::Sent, 5), receipt(9, Status::Read, 5)],
        vec![receipt(1, Status::Delivered, 6), receipt(1, Status::Undelivered, 6)],
        vec![receipt(1, Status::Read, 7), receipt(1, Status::Delivered, 7)],
        vec![receipt(3, Status::Delivered, 8)],
    ] {
        bench.store.apply_receipts(&org, &receipts).await.unwrap();
    }
    // Its own answer comes after the receipt that overtook it.
    bench
        .say(&request, &Word { states: vec![answer(&request, 3, Status::Sent, at(9))], ..Word::default() }, at(9))
        .await;
    let later = told(&bench, &org, CRM).await.split_off(3);
    let shown: Vec<_> = later.iter().map(|(event, data)| (event.as_str(), data["id"].clone())).collect();
    let expected = [
        ("message.sent", json!(id(4))),
        ("message.delivered", json!(id(1))),
        ("message.read", json!(id(1))),
        ("message.delivered", json!(id(3))),
    ];
    assert_eq!(shown, expected);
    bench.adds_up(&org, run).await;
}

pub async fn racing_reports_are_told_once_each(bench: Bench) {
    let org = asking(&bench, &["*"]).await;
    let run = bench.open(&org, BULK, 300).await;
    let mut racing = Vec::new();
    for request in bench.claim(&org, BULK, 3, at(0)).await {
        let bench = bench.clone();
        racing.push(tokio::spawn(async move {
            let word = all_sent(&request, at(1));
            let words = [(&request, &word)];
            for _ in 0..2 {
                patiently(|| bench.store.settle(&words, at(1))).await;
            }
        }));
    }
    for status in [Status::Sent, Status::Delivered, Status::Delivered, Status::Read, Status::Undelivered] {
        let (bench, org) = (bench.clone(), org.clone());
        racing.push(tokio::spawn(async move {
            let receipts: Vec<_> = (1..=300).map(|seq| (MessageId { run, seq }, state(status, at(2)))).collect();
            for chunk in receipts.chunks(70) {
                patiently(|| bench.store.apply_receipts(&org, chunk)).await;
            }
        }));
    }
    for task in racing {
        task.await.unwrap();
    }
    let mut by_message: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ends = 0;
    for (event, data) in told(&bench, &org, CRM).await {
        match event.as_str() {
            "run.completed" => ends += 1,
            _ => by_message.entry(data["id"].as_str().unwrap().to_owned()).or_default().push(event),
        }
    }
    assert_eq!((by_message.len(), ends), (300, 1));
    for (id, events) in by_message {
        let different: BTreeSet<&String> = events.iter().collect();
        assert_eq!(different.len(), events.len(), "{id}: {events:?}");
        assert!(events.contains(&"message.read".to_owned()), "{id}: {events:?}");
    }
    bench.adds_up(&org, run).await;
}

pub async fn the_end_of_a_run_is_told(bench: Bench) {
    let org = asking(&bench, &["run.completed", "message.cancelled"]).await;
    let run = bench.open(&org, BULK, 150).await;
    for request in bench.claim(&org, BULK, 2, at(1)).await {
        let states = seqs(&request)
            .map(|seq| answer(&request, seq, if seq % 3 == 0 { Status::Suppressed } else { Status::Sent }, at(2)));
        let word = Word { states: states.collect(), ..all_sent(&request, at(2)) };
        bench.say(&request, &word, at(2)).await;
        bench.say(&request, &word, at(2)).await;
    }
    let cancelled = bench.open(&org, BULK, 120).await;
    let request = bench.claim(&org, BULK, 1, at(3)).await.remove(0);
    bench.send(&request, at(3)).await;
    bench.cancel(&org, cancelled, at(4)).await;
    bench.store.begin_cancel(&org, cancelled).await.unwrap();
    let told = told(&bench, &org, CRM).await;
    assert_eq!(types(&told).iter().filter(|event| **event == "message.cancelled").count(), 20);
    let ends: Vec<&Value> = told.iter().filter(|(event, _)| event == "run.completed").map(|(_, data)| data).collect();
    assert_eq!(ends.len(), 2);
    assert_eq!(
        *ends[0],
        json!({
            "id": run, "configuration": "Reminder", "configuration_id": ends[0]["configuration_id"], "status": "completed",
            "source": "customers.csv", "rows": 150, "buckets": { "sent": 100, "suppressed": 50 }, "segments": 300,
            "created_at": at(0), "at": at(2),
        })
    );
    let shown = (&ends[1]["id"], &ends[1]["status"], &ends[1]["buckets"]);
    assert_eq!(shown, (&json!(cancelled), &json!("cancelled"), &json!({ "sent": 100, "cancelled": 20 })));
}

fn reply(n: i64, provider_id: &str) -> NewReply {
    NewReply { id: ReplyId::new(at(n), rand::random()), ..inbound::reply(n, provider_id) }
}

pub async fn replies_and_consents_are_told_when_they_are_news(bench: Bench) {
    use ChannelType::Sms;
    use Consent::{In, Out};
    let org = asking(&bench, &["reply.received", "consent.*"]).await;
    let other = bench.organization("other", PLENTY, 0).await;
    let store = &bench.store;
    for (replies, consents) in [
        (vec![reply(1, "SM1"), reply(1, "SM1"), reply(2, "SM2")], vec![change(Sms, 1, Out, 1), change(Sms, 2, In, 1)]),
        (vec![reply(3, "SM2"), reply(4, "SM4")], vec![change(Sms, 1, Out, 4), change(Sms, 2, Out, 0)]),
        (vec![], vec![change(Sms, 1, In, 5), change(Sms, 1, In, 6)]),
    ] {
        let effects = || Effects { replies: replies.clone(), consents: consents.clone(), ..Effects::default() };
        store.apply_callbacks(&org, &[], &effects()).await.unwrap();
        store.apply_callbacks(&other, &[], &effects()).await.unwrap();
    }
    let told = told(&bench, &org, CRM).await;
    let replies: Vec<_> = told.iter().filter(|(event, _)| event == "reply.received").map(|(_, data)| data).collect();
    let from: Vec<_> = replies.iter().map(|data| data["from"].clone()).collect();
    assert_eq!(from, [number(1), number(2), number(4)].map(|number| json!(number)));
    assert_eq!(
        (&replies[0]["text"], &replies[0]["channel"]),
        (&json!("merci\u{fffd} 👍"), &json!("main")),
        "as it is stored"
    );
    assert_eq!((&replies[0]["media"][0], &replies[0]["keyword"]), (&json!("https://example.com/1"), &json!("stop")));
    let conversation = replies[0]["conversation"].as_str().unwrap().parse().unwrap();
    let found = store.conversation(&org, conversation).await.unwrap().unwrap();
    assert_eq!((found.contact, &replies[0]["place"]), (number(1), &json!(1)));
    let mut consents: Vec<_> = told
        .iter()
        .filter(|(event, _)| event == "consent.changed")
        .map(|(_, data)| (data["at"].clone(), data["number"].clone(), data["state"].clone()))
        .collect();
    consents.sort_by_key(|(when, who, _)| (when.to_string(), who.to_string()));
    let (one, two) = (json!(number(1)), json!(number(2)));
    assert_eq!(consents.len(), 3, "{consents:?}");
    let changes: Vec<_> = consents.iter().map(|(_, who, state)| (who, state.as_str().unwrap())).collect();
    assert_eq!(changes, [(&one, "opted_out"), (&two, "opted_in"), (&one, "opted_in")]);
    assert_eq!(bench.ask("SELECT COUNT(*) FROM deliveries WHERE org_id = 'other'").await, [["0"]]);
}

pub async fn each_endpoint_hears_what_it_asks_for(bench: Bench) {
    let org = asking(&bench, &["message.sent", "message.*"]).await;
    define(&bench, "acme", "ends", json!({ "events": ["message.delivered", "run.*"] }), at(0)).await;
    let run = bench.open(&org, BULK, 2).await;
    let request = bench.claim(&org, BULK, 1, at(1)).await.remove(0);
    bench.send(&request, at(2)).await;
    bench.store.apply_receipts(&org, &[(MessageId { run, seq: 1 }, state(Status::Delivered, at(3)))]).await.unwrap();
    let crm = told(&bench, &org, CRM).await;
    assert_eq!(types(&crm), ["message.sent", "message.sent", "message.delivered"], "once, though asked for twice");
    assert_eq!(types(&told(&bench, &org, "ends").await), ["run.completed", "message.delivered"]);
    let ids = bench.ask("SELECT COUNT(DISTINCT delivery_id) FROM deliveries").await;
    assert_eq!(ids, [["5"]], "each delivery has an id of its own");
    // What it asks for from now on; and nothing at all once it is inactive.
    define(&bench, "acme", CRM, json!({ "events": ["message.read"] }), at(4)).await;
    define(&bench, "acme", "ends", json!({ "active": false }), at(4)).await;
    bench.store.apply_receipts(&org, &[(MessageId { run, seq: 2 }, state(Status::Delivered, at(5)))]).await.unwrap();
    bench.store.apply_receipts(&org, &[(MessageId { run, seq: 2 }, state(Status::Read, at(6)))]).await.unwrap();
    assert_eq!(types(&told(&bench, &org, CRM).await).split_off(3), ["message.read"]);
    assert_eq!(told(&bench, &org, "ends").await.len(), 2);
    let test = bench.store.test_endpoint(&org, CRM, at(7)).await.unwrap();
    let newest = bench.store.deliveries(&org, CRM, None, None, 1).await.unwrap().remove(0);
    assert_eq!((newest.id, newest.event_type.as_str()), (test, "endpoint.test"), "whatever it asks for");
}

/// Takes up what there is room for at one endpoint.
pub async fn take(bench: &Bench, org: &OrgId, endpoint: &str, room: usize, now: Timestamp) -> TakenUp {
    let (live, nobody) = (BTreeMap::from([(endpoint.to_owned(), room)]), BTreeSet::new());
    let lease_until = now.plus(Duration::from_millis(LEASE.unsigned_abs()));
    let order = Order { live: &live, disabled: &nobody, ended: &nobody, now, lease_until };
    patiently(|| bench.store.take_deliveries(org, &order)).await
}

async fn settle(bench: &Bench, org: &OrgId, delivery: &Delivery, posted: Posted, now: Timestamp) {
    bench.store.settle_deliveries(&[(org, delivery, &posted)], now).await.unwrap();
}

/// So many events, in one go.
async fn tested(bench: &Bench, org: &OrgId, count: i64) {
    for n in 0..count {
        bench.store.test_endpoint(org, CRM, at(n)).await.unwrap();
    }
}

pub async fn a_delivery_is_taken_up_once_at_a_time(bench: Bench) {
    let org = asking(&bench, &["*"]).await;
    tested(&bench, &org, 40).await;
    assert!(bench.due(at(0)).await.contains(&lanes("acme")));
    let racing: Vec<_> = (0..6)
        .map(|_| {
            let (bench, org) = (bench.clone(), org.clone());
            tokio::spawn(async move { take(&bench, &org, CRM, 5, at(100)).await.deliveries })
        })
        .collect();
    let mut taken = Vec::new();
    for task in racing {
        taken.extend(task.await.unwrap());
    }
    taken.extend(take(&bench, &org, CRM, 40, at(100)).await.deliveries);
    let ids: BTreeSet<DeliveryId> = taken.iter().map(|delivery| delivery.id).collect();
    assert_eq!((taken.len(), ids.len()), (40, 40));
    assert!(taken.iter().all(|delivery| delivery.failed == 0 && delivery.endpoint == CRM));
    assert_eq!(take(&bench, &org, CRM, 9, at(100)).await.deliveries.len(), 0);
    assert!(!bench.due(at(100 + LEASE - 1)).await.contains(&lanes("acme")), "the lane sleeps while they are leased");

    // One slept through its lease, and another deliverer has it: only its arrival counts.
    let late = &taken[0];
    let again = take(&bench, &org, CRM, 40, at(100 + LEASE)).await.deliveries;
    assert_eq!(again.len(), 40, "the leases have ended");
    settle(&bench, &org, late, Posted::RetryAt(at(9), "x".into()), at(100 + LEASE)).await;
    settle(&bench, &org, late, Posted::GivenUp("x".into()), at(100 + LEASE)).await;
    assert_eq!(take(&bench, &org, CRM, 9, at(100 + LEASE)).await.deliveries.len(), 0);
    settle(&bench, &org, late, Posted::Arrived, at(100 + LEASE)).await;
    assert_eq!(bench.ask("SELECT COUNT(*) FROM deliveries").await, [["39"]]);
    let words: Vec<_> = again.iter().map(|delivery| (&org, delivery, &Posted::Arrived)).collect();
    bench.store.settle_deliveries(&words, at(200 + LEASE)).await.unwrap();
    assert_eq!(bench.ask("SELECT COUNT(*) FROM deliveries").await, [["0"]]);
    assert_eq!(take(&bench, &org, CRM, 9, at(300 + LEASE)).await.deliveries.len(), 0);
    assert!(!bench.due(at(i64::from(i32::MAX))).await.contains(&lanes("acme")), "nothing to do, ever");
    let state = bench.store.endpoint_states(&org).await.unwrap().remove(CRM).unwrap();
    assert_eq!(state.last_success_at, Some(at(200 + LEASE)));
}

pub async fn what_happens_as_the_lane_goes_to_rest_is_not_forgotten(bench: Bench) {
    let org = asking(&bench, &["*"]).await;
    let (mut arrived, rounds) = (0, 60);
    let post = async |bench: &Bench, org: &OrgId, now| {
        let taken = take(bench, org, CRM, 5, now).await.deliveries;
        for delivery in &taken {
            patiently(|| async { bench.store.settle_deliveries(&[(org, delivery, &Posted::Arrived)], now).await })
                .await;
        }
        taken.len()
    };
    for round in 0..rounds {
        let adding = tokio::spawn({
            let (bench, org) = (bench.clone(), org.clone());
            async move { bench.store.test_endpoint(&org, CRM, at(round)).await.unwrap() }
        });
        let posting: Vec<_> = (0..3)
            .map(|_| {
                let (bench, org) = (bench.clone(), org.clone());
                tokio::spawn(async move { post(&bench, &org, at(100)).await })
            })
            .collect();
        for count in posting {
            arrived += count.await.unwrap();
        }
        adding.await.unwrap();
    }
    // What somebody else was just holding is looked at again a second later.
    while bench.due(at(2_000)).await.contains(&lanes("acme")) {
        arrived += post(&bench, &org, at(2_000)).await;
    }
    assert_eq!((arrived, i64::try_from(arrived).unwrap()), (60, rounds));
}

pub async fn a_failed_delivery_comes_round_again_until_it_is_given_up(bench: Bench) {
    let org = asking(&bench, &["*"]).await;
    tested(&bench, &org, 2).await;
    let one = take(&bench, &org, CRM, 1, at(10)).await;
    assert_eq!((one.deliveries.len(), one.more.contains(CRM)), (1, true), "more is due than there was room for");
    assert!(bench.due(at(1_010)).await.contains(&lanes("acme")), "and it is looked at again soon");
    settle(&bench, &org, &one.deliveries[0], Posted::RetryAt(at(5_000), "HTTP 500".into()), at(11)).await;
    let other = take(&bench, &org, CRM, 9, at(12)).await;
    assert_eq!((other.deliveries.len(), other.more.len()), (1, 0));
    settle(&bench, &org, &other.deliveries[0], Posted::Arrived, at(13)).await;
    assert_eq!(take(&bench, &org, CRM, 9, at(14)).await.deliveries.len(), 0);
    assert!(
        !bench.due(at(4_999)).await.contains(&lanes("acme")) && bench.due(at(5_000)).await.contains(&lanes("acme"))
    );
    let again = take(&bench, &org, CRM, 9, at(5_000)).await.deliveries.remove(0);
    assert_eq!((again.id, again.failed), (one.deliveries[0].id, 1));
    assert_eq!(again.body, one.deliveries[0].body, "to the byte");
    settle(&bench, &org, &again, Posted::GivenUp("HTTP 500 for good".into()), at(5_001)).await;
    assert_eq!(take(&bench, &org, CRM, 9, at(900_000)).await.deliveries.len(), 0);
    let failed = bench.store.deliveries(&org, CRM, Some(DeliveryState::Failed), None, 9).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].id, failed[0].failed, failed[0].last_error.as_str()), (again.id, 2, "HTTP 500 for good"));
    assert_eq!(bench.store.deliveries(&org, CRM, Some(DeliveryState::Waiting), None, 9).await.unwrap().len(), 0);
    let state = bench.store.endpoint_states(&org).await.unwrap().remove(CRM).unwrap();
    assert_eq!(state.last_failure, Some((at(5_001), "HTTP 500 for good".to_owned())));
    assert_eq!(state.last_success_at, Some(at(13)));
    // It is kept to be looked at for its time, and the lane comes round to drop it.
    let over = again.id.to_string();
    assert!(bench.due(failed[0].created_at.plus(KEPT_FOR)).await.contains(&lanes("acme")), "{over}");
    let last = take(&bench, &org, CRM, 9, failed[0].created_at.plus(KEPT_FOR).plus(Duration::from_secs(1))).await;
    assert_eq!((last.dropped, bench.ask("SELECT COUNT(*) FROM deliveries").await), (1, vec![vec!["0".to_owned()]]));
}

pub async fn an_endpoint_that_is_gone_hears_nothing_until_it_is_enabled(bench: Bench) {
    let org = asking(&bench, &["*"]).await;
    tested(&bench, &org, 3).await;
    let gone = |taken_at| Posted::Gone(Gone { why: "410".into(), taken_at });
    let disabled = async || bench.store.endpoint_states(&org).await.unwrap().remove(CRM).unwrap().disabled;
    let subscribed = async || bench.ask("SELECT COUNT(*) FROM subscriptions").await[0][0].clone();
    let taken = take(&bench, &org, CRM, 2, at(10)).await.deliveries;
    // It was defined anew after this was taken up: the answer is about what was there before.
    define(&bench, "acme", CRM, json!({ "events": ["*"], "url": "https://example.com/new" }), at(20)).await;
    settle(&bench, &org, &taken[0], gone(at(10)), at(21)).await;
    assert_eq!((disabled().await, subscribed().await), (None, "1".to_owned()));
    settle(&bench, &org, &taken[1], gone(at(20)), at(22)).await;
    assert_eq!((disabled().await, subscribed().await), (Some((at(22), "410".to_owned())), "0".to_owned()));
    // Nothing more is kept for it; what was waiting waits, is not tried, and does not wake the lane.
    let run = bench.open(&org, BULK, 1).await;
    let request = bench.claim(&org, BULK, 1, at(30)).await.remove(0);
    bench.send(&request, at(30)).await;
    let waiting = bench.store.deliveries(&org, CRM, None, None, 9).await.unwrap();
    assert_eq!(waiting.len(), 3, "{run}");
    assert!(waiting.iter().all(|delivery| delivery.state == DeliveryState::Waiting && delivery.failed == 0));
    let (nobody, names) = (BTreeSet::new(), BTreeSet::from([CRM.to_owned()]));
    let live = BTreeMap::new();
    let order = Order { live: &live, disabled: &names, ended: &nobody, now: at(40), lease_until: at(50) };
    let taken = bench.store.take_deliveries(&org, &order).await.unwrap();
    assert_eq!((taken.deliveries.len(), taken.dropped), (0, 0));
    assert!(!bench.due(at(900_000)).await.contains(&lanes("acme")));
    assert!(bench.due(at(0).plus(KEPT_FOR)).await.contains(&lanes("acme")), "but what is too old is dropped");

    assert!(bench.store.enable_endpoint(&org, CRM, at(60)).await.unwrap());
    assert!(!bench.store.enable_endpoint(&org, "nobody", at(60)).await.unwrap());
    assert_eq!((disabled().await, subscribed().await), (None, "1".to_owned()));
    assert!(bench.due(at(60)).await.contains(&lanes("acme")));
    let taken = take(&bench, &org, CRM, 9, at(60 + LEASE)).await.deliveries;
    assert_eq!(taken.len(), 3);
    // Another definition enables it as well.
    settle(&bench, &org, &taken[0], gone(at(60 + LEASE)), at(60 + LEASE)).await;
    assert!(disabled().await.is_some());
    define(&bench, "acme", CRM, json!({ "events": ["run.*"] }), at(70 + LEASE)).await;
    assert_eq!((disabled().await, subscribed().await), (None, "1".to_owned()));
}

pub async fn what_nobody_will_hear_of_is_dropped(bench: Bench) {
    let org = asking(&bench, &["message.*"]).await;
    let run = bench.open(&org, BULK, 1_200).await;
    for request in bench.claim(&org, BULK, 12, at(1)).await {
        bench.send(&request, at(2)).await;
    }
    let count = async || bench.ask("SELECT COUNT(*) FROM deliveries").await[0][0].clone();
    assert_eq!(count().await, "1200", "{run}");
    let (live, nobody) = (BTreeMap::new(), BTreeSet::new());
    let names = BTreeSet::from([CRM.to_owned()]);
    let order = Order { live: &live, disabled: &nobody, ended: &names, now: at(3), lease_until: at(4) };
    assert_eq!(bench.store.take_deliveries(&org, &order).await.unwrap().dropped, 1_000);
    assert!(bench.due(at(3)).await.contains(&lanes("acme")), "there is more");
    assert_eq!(bench.store.take_deliveries(&org, &order).await.unwrap().dropped, 200);
    assert!(!bench.due(at(3).plus(KEPT_FOR)).await.contains(&lanes("acme")));
    assert_eq!(bench.ask("SELECT COUNT(*) FROM subscriptions").await, [["0"]], "whoever is gone asks for nothing");

    // Of those that have failed for good the newest thousand are kept.
    define(&bench, "acme", CRM, json!({ "events": ["message.delivered"] }), at(5)).await;
    let receipts: Vec<_> = (1..=1_200).map(|seq| (MessageId { run, seq }, state(Status::Delivered, at(seq)))).collect();
    bench.store.apply_receipts(&org, &receipts).await.unwrap();
    let taken = take(&bench, &org, CRM, 5_000, at(2_000)).await.deliveries;
    assert_eq!(taken.len(), 1_200);
    let given_up = Posted::GivenUp("x".into());
    for some in taken.chunks(500) {
        let words: Vec<_> = some.iter().map(|delivery| (&org, delivery, &given_up)).collect();
        bench.store.settle_deliveries(&words, at(3_000)).await.unwrap();
    }
    assert_eq!(count().await, "1000");
    let oldest = bench.ask("SELECT MIN(created_at) FROM deliveries").await[0][0].clone();
    assert_eq!(oldest, at(201).millis().to_string());
    let page = bench.store.deliveries(&org, CRM, Some(DeliveryState::Failed), None, 600).await.unwrap();
    let rest = bench.store.deliveries(&org, CRM, None, page.last().map(|last| last.id), 600).await.unwrap();
    assert_eq!((page.len(), rest.len(), page[0].created_at), (600, 400, at(1_200)));
}
