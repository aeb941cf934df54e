//! What programs hand over: events with a key, the cases that they tell of, and contacts.

use std::{collections::BTreeSet, time::Duration};

use herald::{
    domain::{
        contact::OptIn,
        definition::{AudienceRef, CaseQuery},
        fairness::Priority,
        message::Status,
        run::RunStatus,
    },
    http::keys::Scope,
    intake::{
        audience::{self, NotStarted, Start},
        upload::OnInvalid,
    },
};
use serde_json::{Value, json};

use crate::{
    automatic::case,
    operator::buckets,
    support::{Database, Setup, Stage, phone},
};

fn resolved() -> AudienceRef {
    AudienceRef::Cases(CaseQuery { status: Some("Resolved".into()) })
}

/// An event of a case, as a program hands it over; at so many minutes past nine.
fn about(id: &str, event_type: &str, minute: u32, data: Value) -> Value {
    json!({ "id": id, "type": event_type, "time": format!("2026-11-20T09:{minute:02}:00Z"), "data": data })
}

/// A case of somebody who agreed.
fn of(nth: u32, case: &str, title: &str) -> Value {
    let customer = json!({ "mobile": phone(nth), "name": format!("P{nth}"), "language": "en", "do_not_phone": false });
    json!({ "id": case, "title": title, "priority": "low", "customer": customer })
}

impl Stage {
    /// Hands events over; what was said of each.
    async fn hand_events(&self, key: &str, events: Value) -> Vec<(String, String)> {
        let answer = self.json(key, "POST", "/v1/events", events).await.good(202);
        let known =
            |event: &Value| (event["id"].as_str().unwrap().to_owned(), event["status"].as_str().unwrap().to_owned());
        answer["events"].as_array().unwrap().iter().map(known).collect()
    }

    /// What was made of an event, once something was.
    async fn made_of(&self, key: &str, id: &str) -> String {
        self.until(&format!("{id} is dealt with"), async || {
            let shown = self.json(key, "GET", &format!("/v1/events/{id}"), Value::Null).await.good(200);
            (shown["status"] == "done").then(|| shown["result"].as_str().unwrap().to_owned())
        })
        .await
    }

    async fn start(&self, configuration: &str, audience: AudienceRef, on_invalid: OnInvalid) -> Start {
        let book = self.app.organization(Some(&self.org)).await.unwrap();
        let configuration = book.configuration(configuration).unwrap().clone();
        Start { book, configuration, audience, on_invalid, attested: None }
    }

    /// Cases of five people: the first has two that are resolved, the third's is open, the fourth wants no calls, and of the fifth
    /// nothing is said.
    async fn cases(&self, key: &str) {
        let not_asked = json!({ "id": "C5", "title": "Roof", "contact": { "tocontactid": phone(5), "contextitems": { "CustomerName": "P5" } } });
        let mut unwilling = of(4, "C4", "Gate");
        unwilling["customer"]["do_not_phone"] = true.into();
        let events = json!([
            about("e1", "case.created", 1, of(1, "C1", "Door")),
            about("e2", "case.resolved", 9, json!({ "id": "C1" })),
            about("e3", "case.resolved", 8, of(1, "C0", "Lamp")),
            // It comes late: what it says of the status is old, and whose case it is was not known.
            about("e4", "case.resolved", 7, json!({ "id": "C2" })),
            about("e5", "case.created", 2, of(2, "C2", "Window")),
            about("e6", "case.created", 3, of(3, "C3", "Wall")),
            about("e7", "case.closed", 4, unwilling.clone()),
            about("e8", "case.updated", 5, json!({ "id": "C4", "status": "RESOLVED" })),
            about("e9", "case.resolved", 6, not_asked),
        ]);
        assert!(self.hand_events(key, events).await.iter().all(|(_, status)| status == "recorded"));
        for id in ["e1", "e9"] {
            let made = self.made_of(key, id).await;
            assert!(
                made.starts_with(if id == "e1" { "case C1 is kept as open" } else { "case C5 is kept as resolved" }),
                "{made}"
            );
        }
    }
}

pub async fn a_burst_of_events_is_as_few_requests_as_hold_it(database: Database) {
    let mut setup = Setup::new(database);
    // Longer than this test takes: only what is full goes.
    setup.config.intake.coalesce = Duration::from_secs(600);
    let stage = Stage::set(setup).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let event = |nth: u32| {
        let mut event: Value = serde_json::from_str(&case(nth, "en", "Door", "high")).unwrap();
        event["id"] = format!("evt_{nth}").into();
        event
    };
    // The same id is the same event, however it comes.
    assert!(stage.event("evt_0", &case(0, "en", "Door", "high")).await);
    assert_eq!(stage.hand_events(&key, event(0)).await, [("evt_0".to_owned(), "known".to_owned())]);
    assert_eq!(stage.hand_events(&key, event(1)).await, [("evt_1".to_owned(), "recorded".to_owned())]);
    assert!(!stage.event("evt_1", &case(1, "en", "Door", "high")).await);
    let mut odd = event(5_000);
    odd["data"].as_object_mut().unwrap().remove("priority");
    stage.hand_events(&key, odd).await;

    let calls = (0..10).map(|call| {
        let (stage, key) = (&stage, &key);
        let first = if call == 0 { 2 } else { call * 100 };
        let events: Value = (first..(call + 1) * 100).map(event).collect();
        async move { stage.hand_events(key, events).await }
    });
    for said in futures::future::join_all(calls).await {
        assert!(said.iter().all(|(_, status)| status == "recorded"));
    }
    // What is full goes; the rest is too little, and its request waits for company.
    stage
        .until("what is full has gone", async || {
            let waiting = stage.app.store.new_events(&stage.org, 200).await.unwrap().len();
            let run = stage.app.store.runs(&stage.org, None, 1).await.unwrap().pop()?;
            let claimed = stage.number("SELECT COUNT(*) FROM requests WHERE state <> 'done' AND token > 0").await;
            (waiting < 100 && run.messages >= 900 && run.open_requests <= 1 && claimed == 0).then_some(())
        })
        .await;
    stage.hand.advance(Duration::from_secs(130));
    let run = stage.day("case-created", 1_001).await;
    let done = stage.run(run).await;
    assert_eq!((done.messages, done.requests, done.dispatched), (1_000, 10, 10), "as few as hold a thousand");
    assert_eq!(buckets(&stage.sums(run).await), [("delivered", 1_000), ("invalid", 1)].into());
    assert!(stage.accepted().len() == 1_000 && stage.accepted().values().all(|times| *times == 1));
    stage.assert_adds_up(run, 1_001).await;

    // What cannot be judged is said of that event, and of no other.
    let made = stage.made_of(&key, "evt_5000").await;
    assert!(
        made.contains("0 contacts, 1 refused (mapping_failed, trigger.when: the event has no \"priority\""),
        "{made}"
    );
    let made = stage.made_of(&key, "evt_7").await;
    assert_eq!(made, "case CAS-7 is kept as open; case-created: 1 contacts, 0 refused");
    stage.strike().await;
}

pub async fn everybody_with_a_resolved_case_hears_once(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let refused = audience::start(
        &stage.app.store,
        &stage.app.clock,
        &stage.start("case-resolved", resolved(), OnInvalid::Refuse).await,
        None,
    )
    .await;
    assert!(matches!(refused, Err(NotStarted::Nobody(_))), "{refused:?}");
    stage.cases(&key).await;

    // What it would send, by the configuration's own word on whom to send to.
    let (shown, code) = stage.herald(&["send", "case-resolved", "--dry-run"]).await;
    let preview = &shown["dry_run"];
    assert_eq!((code, preview["rows"].as_i64(), preview["valid"].as_i64()), (2, Some(4), Some(3)), "{preview}");
    assert_eq!((preview["invalid"].as_i64(), preview["not_opted_in"].as_i64()), (Some(1), Some(1)));
    assert_eq!(preview["texts"]["en"]["rows"], 3);
    assert!(preview["problems"][0].as_str().unwrap().starts_with("case C5: /optin: "), "{preview}");
    let (shown, _) = stage.herald(&["send", "case-resolved", "--cases", "open", "--dry-run"]).await;
    assert_eq!((&shown["dry_run"]["rows"], &shown["dry_run"]["valid"]), (&json!(1), &json!(1)), "{shown}");
    let (_, code) = stage.herald(&["send", "shipping-delay", "--dry-run"]).await;
    assert_eq!(code, 2, "it has no audience of its own");

    let mut start = stage.start("case-resolved", resolved(), OnInvalid::Refuse).await;
    match audience::start(&stage.app.store, &stage.app.clock, &start, None).await {
        Err(NotStarted::Invalid(preview)) => {
            assert_eq!((preview.bad, preview.summary().as_str()), (1, "missing_value (optin) in 1"))
        }
        other => panic!("{other:?}"),
    }
    start.on_invalid = OnInvalid::Skip;
    let run = audience::start(&stage.app.store, &stage.app.clock, &start, None).await.unwrap().id;
    let sums = stage.over(run).await;
    assert_eq!(buckets(&sums), [("delivered", 2), ("suppressed", 1), ("invalid", 1)].into());
    stage.assert_adds_up(run, 4).await;
    let done = stage.run(run).await;
    assert_eq!((done.status, done.priority), (RunStatus::Completed, Priority::Instant));
    assert_eq!(done.source, "cases with the status Resolved");
    // One message to whoever has two, about the latest; on its timeline without anybody's saying so.
    let texts = stage.texts_to(&phone(1));
    assert!(texts.len() == 1 && texts[0].contains("P1") && texts[0].contains("\"Door\""), "{texts:?}");
    assert!(stage.texts_to(&phone(2))[0].contains("\"Window\""));
    assert_eq!((done.unlinked, stage.number("SELECT COUNT(*) FROM activities").await), (0, 3));

    // Attested, the fifth is written to as well.
    start.attested = Some(OptIn::Yes);
    let again = audience::start(&stage.app.store, &stage.app.clock, &start, None).await.unwrap().id;
    assert_eq!(buckets(&stage.over(again).await), [("delivered", 3), ("suppressed", 1)].into());
    assert_eq!(stage.number("SELECT COUNT(*) FROM run_cursors").await, 0);

    let reads = stage.key_for(&stage.org, Scope::Read).await;
    let listed = stage.json(&reads, "GET", "/v1/cases?status=Resolved", Value::Null).await.good(200);
    let ids: Vec<&str> = listed["cases"].as_array().unwrap().iter().map(|case| case["id"].as_str().unwrap()).collect();
    assert_eq!((ids, &listed["next"]), (vec!["C0", "C1", "C2", "C4", "C5"], &Value::Null));
    let case = stage.json(&reads, "GET", "/v1/cases/C2", Value::Null).await.good(200);
    assert_eq!((&case["title"], &case["contact"]["to"]), (&json!("Window"), &json!(phone(2))));
    assert_eq!(
        (&case["opened_at"], &case["event_at"]),
        (&json!("2026-11-20T09:02:00.000Z"), &json!("2026-11-20T09:07:00.000Z"))
    );
    stage.strike().await;
}

pub async fn a_schedule_goes_over_cases(database: Database) {
    let mut setup = Setup::new(database);
    setup.set.configurations.get_mut("monthly-reminder").unwrap().audience = Some(resolved());
    let stage = Stage::set(setup).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    stage.cases(&key).await;
    let book = stage.app.organization(Some(&stage.org)).await.unwrap();
    let id = book.configuration("monthly-reminder").unwrap().id;
    let due = stage.app.store.next_firing(&stage.org, id).await.unwrap().unwrap();
    stage.hand.advance(due.since(stage.app.clock.now()) + Duration::from_secs(1));
    let run = stage
        .until("the schedule has fired", async || {
            let runs = stage.app.store.runs(&stage.org, None, 10).await.unwrap();
            runs.into_iter().find(|run| run.name == "monthly-reminder").map(|run| run.id)
        })
        .await;
    // Whoever cannot be written to is counted, and keeps nobody from hearing.
    assert_eq!(buckets(&stage.over(run).await), [("delivered", 2), ("suppressed", 1), ("invalid", 1)].into());
    stage.assert_adds_up(run, 4).await;
    let rejected = stage.app.store.rejected_rows(&stage.org, run, 0, 10).await.unwrap();
    assert!(rejected.len() == 1 && rejected[0].problems.starts_with("case C5: "), "{rejected:?}");
    assert_eq!((rejected[0].fields[0].as_str(), stage.run(run).await.priority), (phone(5).as_str(), Priority::Bulk));
    stage.strike().await;
}

pub async fn a_list_is_sent_to_at_once(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let list = AudienceRef::List("customers".into());
    let start = stage.start("case-resolved", list.clone(), OnInvalid::Refuse).await;
    let preview = audience::preview(&stage.app.store, &start).await.unwrap();
    assert_eq!((preview.rows, preview.good, preview.bad), (120, 120, 0));
    let run = audience::start(&stage.app.store, &stage.app.clock, &start, None).await.unwrap().id;
    assert_eq!(stage.over(run).await.of(Status::Delivered), 120);
    stage.assert_adds_up(run, 120).await;
    let done = stage.run(run).await;
    assert_eq!((done.requests, done.source.as_str()), (2, "list customers, version 1"));
    assert!(stage.accepted().len() == 120 && stage.accepted().values().all(|times| *times == 1));

    // A list that lacks what the template needs is refused before anybody hears of it.
    let wrong = stage.start("shipping-delay", list, OnInvalid::Refuse).await;
    match audience::start(&stage.app.store, &stage.app.clock, &wrong, None).await {
        Err(NotStarted::Invalid(preview)) => {
            assert_eq!((preview.bad, preview.problems.len()), (120, 100));
            assert_eq!(preview.summary(), "missing_slug (OrderNumber) in 120");
        }
        other => panic!("{other:?}"),
    }
    let unknown = stage.start("case-resolved", AudienceRef::List("nobody".into()), OnInvalid::Skip).await;
    let problem = audience::start(&stage.app.store, &stage.app.clock, &unknown, None).await.unwrap_err();
    assert_eq!(problem.to_string(), "there is no list \"nobody\"; there is customers");
    assert_eq!(stage.app.store.runs(&stage.org, None, 10).await.unwrap().len(), 1);
    stage.strike().await;
}

pub async fn a_call_is_one_request(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let contact = |nth: u32| {
        json!({ "tocontactid": phone(nth), "optin": true, "locale": "de", "contextitems":
            { "CustomerName": "Ana", "OrderNumber": "AC-1", "DeliveryDate": "Montag" } })
    };
    let (mut unwilling, mut nameless, mut nobody) = (contact(3), contact(4), contact(5));
    unwilling["optin"] = false.into();
    nameless["contextitems"]["CustomerName"] = "".into();
    nobody["tocontactid"] = "12".into();
    let body = json!({ "contacts": [contact(1), nobody, unwilling, contact(1), nameless, contact(2)] }).to_string();
    let path = "/v1/outbound-configurations/shipping-delay/requests";
    let headers = [("content-type", "application/json"), ("idempotency-key", "call-1")];
    let calls = (0..3).map(|_| stage.call(&key, "POST", path, &headers, body.clone()));
    let answers = futures::future::join_all(calls).await;
    let first = answers.iter().find(|answer| answer.status == 202).unwrap();
    for answer in &answers {
        assert!(answer.status == 202 || answer.body["code"] == "idempotency_key_in_use", "{}", answer.body);
    }
    let again = stage.call(&key, "POST", path, &headers, body).await;
    assert_eq!((again.status, again.replayed, &again.body), (202, true, &first.body));

    let said: Vec<_> = first.body["contacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|contact| {
            let word = |name: &str| contact[name].as_str().unwrap_or("-").to_owned();
            (word("status"), word("code"), word("pointer"))
        })
        .collect();
    let said: Vec<(&str, &str, &str)> = said.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(
        said,
        [
            ("accepted", "-", "-"),
            ("refused", "invalid_number", "/contacts/1/tocontactid"),
            ("suppressed", "not_opted_in", "-"),
            ("suppressed", "duplicate", "-"),
            ("refused", "missing_slug", "/contacts/4/contextitems/CustomerName"),
            ("accepted", "-", "-"),
        ]
    );
    let run = first.body["run"].as_str().unwrap().parse().unwrap();
    let single = stage.json(&key, "POST", path, contact(6)).await.good(202);
    assert_eq!(single["run"], first.body["run"], "a day's calls are one run");
    stage
        .until("everything is delivered", async || (stage.sums(run).await.of(Status::Delivered) == 3).then_some(()))
        .await;
    let sums = stage.sums(run).await;
    assert_eq!(buckets(&sums), [("delivered", 3), ("suppressed", 2), ("invalid", 2)].into());
    stage.assert_adds_up(run, 7).await;
    let done = stage.run(run).await;
    assert_eq!((done.requests, done.dispatched, done.priority), (2, 2, Priority::Instant), "a request a call");
    assert!(stage.accepted().values().all(|times| *times == 1));
    for (place, nth) in [(0, 1), (2, 3), (3, 1), (5, 2)] {
        let message = first.body["contacts"][place]["message"].as_str().unwrap();
        let shown = stage.json(&key, "GET", &format!("/v1/messages/{message}"), Value::Null).await.good(200);
        assert_eq!(shown["message"]["to"], phone(nth), "{shown}");
        assert_eq!(shown["message"]["row"], place + 1);
    }
    let messages: BTreeSet<&str> =
        first.body["contacts"].as_array().unwrap().iter().filter_map(|contact| contact["message"].as_str()).collect();
    assert_eq!(messages.len(), 4);
    stage.strike().await;
}
