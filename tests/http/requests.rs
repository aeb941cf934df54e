//! Contacts, events and cases by API: who may hand them over, and what a mistake is answered with.

use herald::{definitions, http::keys::Scope};
use serde_json::{Value, json};

use crate::support::{Database, Setup, Stage, phone};

const PATH: &str = "/v1/outbound-configurations/shipping-delay/requests";

async fn stage() -> (Stage, String) {
    let mut setup = Setup::new(Database::Sqlite);
    setup.set.configurations.get_mut("appointment-reminder").unwrap().active = false;
    let stage = Stage::set(setup).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    (stage, key)
}

fn contact(nth: u32) -> Value {
    json!({ "tocontactid": phone(nth), "optin": true,
        "contextitems": { "CustomerName": "Ana", "OrderNumber": "AC-1", "DeliveryDate": "Monday" } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_must_be() {
    let (stage, key) = stage().await;
    for (body, status, code, words) in [
        (json!(7), 422, "invalid_body", "expected {\"contacts\": […]}"),
        (json!({ "contacts": 7 }), 422, "invalid_body", "/contacts: expected a list"),
        (json!({ "contacts": [] }), 422, "invalid_body", "expected 1 to 100"),
        (json!([]), 422, "invalid_body", "expected 1 to 100"),
        (json!({ "contacts": [contact(1)], "dry_run": "yes" }), 422, "invalid_body", "/dry_run"),
        (json!({ "contacts": [contact(1)], "dryrun": true }), 422, "invalid_body", "unknown field \"dryrun\""),
        (json!({ "contacts": vec![contact(1); 101] }), 422, "too_many_contacts", "101 contacts; at most 100"),
        (json!({ "contacts": [{}, 7] }), 422, "no_good_contacts", "none of the 2 contacts"),
    ] {
        stage.json(&key, "POST", PATH, body).await.refused(status, code, &[words]);
    }
    let json = ("content-type", "application/json");
    stage.call(&key, "POST", PATH, &[json], "{").await.refused(400, "invalid_body", &[]);
    stage.call(&key, "POST", PATH, &[], "{}").await.refused(415, "unsupported_media_type", &[]);
    let blank = [json, ("idempotency-key", " ")];
    stage.call(&key, "POST", PATH, &blank, contact(1).to_string()).await.refused(400, "invalid_idempotency_key", &[]);
    let inactive = PATH.replace("shipping-delay", "appointment-reminder");
    let words = &["appointment-reminder", "is inactive"];
    stage.json(&key, "POST", &inactive, contact(1)).await.refused(409, "configuration_inactive", words);
    for path in ["nothing", "cfg_00000000000000000000000000"].map(|name| PATH.replace("shipping-delay", name)) {
        stage.json(&key, "POST", &path, contact(1)).await.refused(404, "not_found", &["no outbound configuration"]);
    }
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    stage.json(&reads, "POST", PATH, contact(1)).await.refused(403, "forbidden", &["send"]);
    assert!(stage.app.store.runs(&stage.org, None, 10).await.unwrap().is_empty(), "nothing of it was taken");

    // What refused a call frees its key; another call under a key that was answered is a mistake.
    let keyed = [json, ("idempotency-key", "k")];
    let bad = json!({ "tocontactid": "12" }).to_string();
    stage.call(&key, "POST", PATH, &keyed, bad).await.refused(422, "no_good_contacts", &[]);
    stage.call(&key, "POST", PATH, &keyed, contact(1).to_string()).await.good(202);
    let other = contact(2).to_string();
    stage.call(&key, "POST", PATH, &keyed, other).await.refused(422, "idempotency_key_reused", &[]);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_contact_is_judged_with_its_place() {
    let (stage, key) = stage().await;
    let book = stage.app.organization(Some(&stage.org)).await.unwrap();
    let id = book.configuration("shipping-delay").unwrap().id;
    let with = |change: fn(&mut Value)| {
        let mut changed = contact(1);
        change(&mut changed);
        changed
    };
    let table: Vec<(Value, &str, &str)> = vec![
        (json!("+4915155500001"), "not_a_contact", ""),
        (with(|contact| contact["tocontactid"] = Value::Null), "missing_value", "/tocontactid"),
        (with(|contact| contact["channelid"] = "whatsapp".into()), "wrong_channel", "/channelid"),
        (with(|contact| contact["optin"] = Value::Null), "missing_value", "/optin"),
        (with(|contact| contact["locale"] = "?!".into()), "invalid_locale", "/locale"),
        (with(|contact| contact["timezone"] = "Mars".into()), "invalid_timezone", "/timezone"),
        (
            with(|contact| contact["contextitems"]["customername"] = "Bob".into()),
            "ambiguous_slug",
            "/contextitems/customername",
        ),
        (
            with(|contact| contact["contextitems"]["OrderNumber"] = " ".into()),
            "missing_slug",
            "/contextitems/OrderNumber",
        ),
        (
            with(|contact| contact["contextitems"]["OrderNumber"] = "x".repeat(1_600).into()),
            "message_too_long",
            "/contextitems",
        ),
        (
            with(|contact| {
                contact["contextitems"]["msdyn_ocoutboundconfigurationid"] = "cfg_00000000000000000000000000".into()
            }),
            "wrong_configuration",
            "/contextitems/msdyn_ocoutboundconfigurationid",
        ),
    ];
    let contacts: Vec<&Value> = table.iter().map(|(contact, ..)| contact).collect();
    let path = PATH.replace("shipping-delay", &id.to_string());
    let refused = stage.json(&key, "POST", &path, json!({ "contacts": contacts })).await;
    refused.refused(422, "no_good_contacts", &[]);
    for (nth, (contact, code, field)) in table.iter().enumerate() {
        let said = &refused.body["errors"][nth];
        let pointer = format!("/contacts/{nth}{field}");
        assert_eq!(
            (said["code"].as_str(), said["pointer"].as_str()),
            (Some(*code), Some(pointer.as_str())),
            "{contact}"
        );
        assert!(!said["detail"].as_str().unwrap().contains("15155500001"), "{said}");
        // As a list, and alone, the places are the body's own.
        let listed = stage.json(&key, "POST", &path, json!([contact])).await;
        assert_eq!(listed.body["errors"][0]["pointer"], format!("/0{field}"));
        if contact.is_object() {
            let alone = stage.json(&key, "POST", &path, contact.clone()).await;
            assert_eq!(alone.body["errors"][0]["pointer"], *field, "{}", alone.body);
        }
    }
    // A dry run says what would be sent, and sends nothing.
    let mut german = contact(2);
    german["locale"] = "de-AT".into();
    let body = json!({ "contacts": [german, contacts[3], contact(2)], "dry_run": true });
    let shown = stage.json(&key, "POST", &path, body).await.good(200);
    assert_eq!((&shown["run"], &shown["dry_run"]), (&Value::Null, &json!(true)));
    let counts = ["accepted", "suppressed", "refused"].map(|name| shown[name].as_u64().unwrap());
    assert_eq!((counts, &shown["contacts"][0]["locale"]), ([1, 1, 1], &json!("de")), "{shown}");
    assert!(shown["contacts"][0]["text"].as_str().unwrap().contains("Ana"), "{shown}");
    assert_eq!((&shown["contacts"][0]["message"], &shown["contacts"][2]["code"]), (&Value::Null, &json!("duplicate")));
    assert!(stage.app.store.runs(&stage.org, None, 10).await.unwrap().is_empty());
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_event_must_be() {
    let (stage, key) = stage().await;
    let good = json!({ "id": "e1", "type": "order.placed", "time": "2026-11-20T09:00:00Z", "data": {} });
    let with = |name: &str, value: Value| {
        let mut event = good.clone();
        event[name] = value;
        event
    };
    for (event, pointer, words) in [
        (json!(7), "", "expected an object with id, type, time and data"),
        (with("id", json!("")), "/id", "id: expected a text"),
        (with("id", json!(7)), "/id", "id: expected a text"),
        (with("id", json!("a\nb")), "/id", "id: expected a text"),
        (with("type", json!("no type")), "/type", "type: expected an event type"),
        (with("time", json!("yesterday")), "/time", "time: expected a time"),
        (with("data", json!([])), "/data", "data: expected an object, found a list"),
        (with("more", json!(1)), "", "unknown field \"more\""),
    ] {
        let refused = stage.json(&key, "POST", "/v1/events", json!([good, event])).await;
        refused.refused(422, "invalid_event", &["1 of 2 events", words]);
        assert_eq!(refused.body["errors"][0]["pointer"], format!("/1{pointer}"), "{}", refused.body);
        let alone = stage.json(&key, "POST", "/v1/events", event).await;
        assert_eq!(alone.body["errors"][0]["pointer"], pointer);
    }
    for events in [json!([]), json!(vec![good.clone(); 101])] {
        stage.json(&key, "POST", "/v1/events", events).await.refused(422, "too_many_events", &["1 to 100"]);
    }
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    stage.json(&reads, "POST", "/v1/events", good.clone()).await.refused(403, "forbidden", &[]);
    stage.json(&reads, "GET", "/v1/events/e1", Value::Null).await.refused(404, "not_found", &["no event \"e1\""]);

    // Without a time it is now; twice in one call it is one.
    let mut timeless = good.clone();
    timeless.as_object_mut().unwrap().remove("time");
    let answer = stage.json(&key, "POST", "/v1/events", json!([timeless, good])).await.good(202);
    assert_eq!(answer, json!({ "events": [{ "id": "e1", "status": "recorded" }, { "id": "e1", "status": "known" }] }));
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    for (replayed, status) in [(false, "known"), (true, "known")] {
        let answer = stage.call(&key, "POST", "/v1/events", &headers, good.to_string()).await;
        assert_eq!((answer.replayed, answer.body["events"][0]["status"].as_str()), (replayed, Some(status)));
    }
    let shown = stage
        .until("the event is dealt with", async || {
            let shown = stage.json(&reads, "GET", "/v1/events/e1", Value::Null).await.good(200);
            (shown["status"] == "done").then_some(shown)
        })
        .await;
    assert_eq!(shown["result"], "no outbound configuration is triggered by order.placed");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_organizations_events_and_cases_are_not_there() {
    let (stage, key) = stage().await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;
    let events: Value = (0..103)
        .map(|nth| json!({ "id": format!("e{nth}"), "type": "case.resolved", "data": { "id": format!("C{nth:03}") } }))
        .collect();
    let (first, rest) = (events.as_array().unwrap()[..100].to_vec(), events.as_array().unwrap()[100..].to_vec());
    stage.json(&key, "POST", "/v1/events", first.into()).await.good(202);
    stage.json(&key, "POST", "/v1/events", rest.into()).await.good(202);
    stage
        .until("every case is kept", async || {
            let kept = stage.app.store.cases(&stage.org, Some("resolved"), "", 200).await.unwrap();
            (kept.len() == 103).then_some(())
        })
        .await;
    let page = stage.json(&key, "GET", "/v1/cases?status=resolved", Value::Null).await.good(200);
    assert_eq!((page["cases"].as_array().unwrap().len(), &page["next"]), (100, &json!("C099")));
    let page = stage.json(&key, "GET", "/v1/cases?after=C099", Value::Null).await.good(200);
    assert_eq!((page["cases"].as_array().unwrap().len(), &page["next"]), (3, &Value::Null));
    stage.json(&key, "GET", "/v1/cases?state=x", Value::Null).await.refused(400, "invalid_query", &["state"]);
    stage.json(&key, "GET", "/v1/cases/none", Value::Null).await.refused(404, "not_found", &["a case \"none\""]);
    stage.json(&stranger, "GET", "/v1/cases/C001", Value::Null).await.refused(404, "not_found", &[]);
    stage.json(&stranger, "GET", "/v1/events/e1", Value::Null).await.refused(404, "not_found", &[]);
    let theirs = stage.json(&stranger, "GET", "/v1/cases", Value::Null).await.good(200);
    assert_eq!(theirs, json!({ "cases": [], "next": null }));
    stage.strike().await;
}
