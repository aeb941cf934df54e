//! Event Grid: the handshake, the forms of an event, tries again, replies and their keywords.

use herald::sandbox::{AcsEvents, AcsResource, Casing, Faults, Provider, Settings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, Customer, Draft, FROM, Hand, KEY, SEND, TO, item, message, settings, subscribed};

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_subscription_starts_with_a_validation_event() {
    let mut customer = Customer::new(Hand::Shaken, &[]).await;
    let mut events = customer.events();
    events.headers.insert("x-secret".into(), "s".into());
    let bench = Bench::new(subscribed(events)).await;
    bench.send_to(TO).await;
    let handshake = customer.next().await;
    assert_eq!(handshake.header("aeg-event-type"), Some("SubscriptionValidation"));
    assert_eq!(handshake.header("aeg-subscription-name"), Some("SANDBOX-SMS"));
    let event = handshake.event();
    assert_eq!(event["eventType"], "Microsoft.EventGrid.SubscriptionValidationEvent");
    assert!(event["data"]["validationCode"].is_string() && event["data"]["validationUrl"].is_string());
    let report = customer.next().await;
    assert_eq!(report.header("aeg-event-type"), Some("Notification"));
    assert_eq!(report.header("content-type"), Some("application/json; charset=utf-8"));
    for came in [&handshake, &report] {
        assert_eq!((came.uri.as_str(), came.header("x-secret")), ("/hook?secret=s%20t&x=1", Some("s")));
    }
    // Once is enough.
    bench.send_to(TO).await;
    assert_eq!(customer.next().await.header("aeg-event-type"), Some("Notification"));
    bench.until(|summary| summary.receipts.sent == 2 && summary.pending == 0).await;
}

#[tokio::test]
async fn cloud_events_start_with_options() {
    for hand in [Hand::Shaken, Hand::Anybody] {
        let mut customer = Customer::new(hand, &[]).await;
        let bench = Bench::new(subscribed(customer.cloud_events())).await;
        bench.send_to(TO).await;
        let handshake = customer.next().await;
        assert_eq!(handshake.method, axum::http::Method::OPTIONS);
        assert_eq!(handshake.header("webhook-request-origin"), Some("eventgrid.azure.net"));
        let report = customer.next().await;
        assert_eq!(report.header("content-type"), Some("application/cloudevents+json; charset=utf-8"));
        assert_eq!(report.header("webhook-request-origin"), Some("eventgrid.azure.net"));
        assert_eq!(report.json["specversion"], "1.0", "a single object: {}", report.json);
    }
}

#[tokio::test]
async fn who_fails_the_handshake_gets_nothing() {
    for (hand, cloud) in [
        (Hand::With(202), false),
        (Hand::With(404), false),
        (Hand::Another, false),
        (Hand::With(503), false),
        (Hand::With(204), true),
        (Hand::With(405), true),
        (Hand::Another, true),
    ] {
        let mut customer = Customer::new(hand, &[]).await;
        let events = if cloud { customer.cloud_events() } else { customer.events() };
        let bench = Bench::new(subscribed(events)).await;
        bench.send_to(TO).await;
        bench.send_to(TO).await;
        bench.until(|summary| summary.receipts.withheld == 2 && summary.failed_handshakes == 1).await;
        assert_eq!(bench.sandbox.summary().receipts.sent, 0);
        while let Ok(came) = tokio::time::timeout(std::time::Duration::ZERO, customer.next()).await {
            assert_ne!(came.header("aeg-event-type"), Some("Notification"));
        }
    }
    // A receiver that is not up yet gets another chance.
    let customer = Customer::new(Hand::Late(2), &[]).await;
    let bench = Bench::new(subscribed(customer.events())).await;
    bench.send_to(TO).await;
    bench.until(|summary| summary.receipts.sent == 1 && summary.failed_handshakes == 0).await;
}

#[tokio::test]
async fn events_have_the_form_that_was_asked_for() {
    let camel = "messageId,from,to,deliveryStatus,deliveryStatusDetails,deliveryAttempts,receivedTimestamp,tag";
    let pascal = "MessageId,From,To,DeliveryStatus,DeliveryStatusDetails,DeliveryAttempts,ReceivedTimestamp,Tag";
    let sampled = &camel.replace("tag", "Tag");
    let sorted = |names: &str| {
        let mut names: Vec<String> = names.split(',').map(str::to_owned).collect();
        names.sort();
        names
    };
    for (cloud, casing, expected, details, version) in [
        (false, Casing::Camel, camel, "2000 - The message was delivered.", ""),
        (false, Casing::Pascal, pascal, "2000 - The message was delivered.", ""),
        (false, Casing::Mixed, sampled, "No error.", ""),
        (true, Casing::Camel, camel, "2000 - The message was delivered.", "specversion"),
        (true, Casing::Mixed, pascal, "No error.", "specVersion"),
    ] {
        let mut customer = Customer::new(Hand::Shaken, &[]).await;
        let events = if cloud { customer.cloud_events() } else { customer.events() };
        let bench = Bench::new(subscribed(AcsEvents { casing, ..events })).await;
        let sent = bench.send_to(TO).await;
        customer.next().await;
        let report = customer.next().await;
        let event = report.event();
        let mut found: Vec<String> = names(&event["data"]).into_iter().map(str::to_owned).collect();
        found.sort();
        assert_eq!(found, sorted(expected), "{casing:?}");
        let data: serde_json::Map<String, Value> = event["data"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.clone()))
            .collect();
        assert_eq!((&data["messageid"], &event["id"]), (&sent["messageId"], &sent["messageId"]));
        assert_eq!((&data["from"], &data["to"]), (&json!("18001110000"), &json!(TO)));
        assert_eq!((&data["deliverystatus"], &data["deliverystatusdetails"]), (&json!("Delivered"), &json!(details)));
        assert_eq!(data["tag"], "camp-1");
        let attempt = &data["deliveryattempts"][0];
        let pascal_attempt = attempt.get("SegmentsSucceeded").is_some();
        assert_eq!(pascal_attempt, data["deliveryattempts"][0].get("segmentsSucceeded").is_none());
        assert_eq!(event["subject"], "/phonenumber/18001110000");
        let kind = if cloud { "type" } else { "eventType" };
        assert_eq!(event[kind], "Microsoft.Communication.SMSDeliveryReportReceived");
        let envelope: &[&str] = if cloud {
            &["id", "source", "subject", "data", "type", "time", "specversion"]
        } else {
            &["id", "topic", "subject", "data", "eventType", "eventTime", "dataVersion", "metadataVersion"]
        };
        let mut envelope = envelope.to_vec();
        envelope.sort_unstable();
        let mut found = names(event);
        found.sort_unstable();
        assert_eq!(found, envelope);

        let asked = json!({ "from": TO, "to": FROM, "body": "Hi", "provider": "acs" });
        assert_eq!(bench.control(Method::POST, "/sandbox/reply", &asked).await.status, 202);
        let reply = customer.next().await;
        let event = reply.event();
        let (from, message) = if casing == Casing::Camel { ("from", "message") } else { ("From", "Message") };
        assert_eq!((&event["data"][from], &event["data"][message]), (&json!("4917012345678"), &json!("Hi")));
        assert!(version.is_empty() || event[version] == "1.0", "{event}");
        let id = event["id"].as_str().unwrap();
        assert!(id.starts_with("Incoming_"), "{id}");
    }
}

#[tokio::test]
async fn several_events_go_in_one_post() {
    for cloud in [false, true] {
        let mut customer = Customer::new(Hand::Shaken, &[]).await;
        let events = if cloud { customer.cloud_events() } else { customer.events() };
        let mut settings = subscribed(AcsEvents { batch: 40, ..events });
        settings.receipts.max_delay_ms = 0;
        let bench = Bench::new(settings).await;
        let to: Vec<String> = (0..100).map(|nth| format!("+4917012{nth:06}")).collect();
        bench.send(&message(&to.iter().map(String::as_str).collect::<Vec<_>>())).await;
        customer.next().await;
        let (mut posts, mut told) = (0, Vec::new());
        while told.len() < 100 {
            let came = customer.next().await;
            let events = came.json.as_array().cloned().unwrap_or_else(|| vec![came.json.clone()]);
            assert!(events.len() <= 40, "{}", events.len());
            posts += 1;
            told.extend(events.iter().map(|event| event["data"]["to"].as_str().unwrap().to_owned()));
        }
        told.sort();
        assert_eq!(told, to);
        assert!(posts < 100, "{posts} posts");
        bench.until(|summary| summary.pending == 0 && summary.receipts.sent == posts).await;
    }
}

#[tokio::test]
async fn events_are_tried_again_unless_they_will_never_be_wanted() {
    let mut customer = Customer::new(Hand::Shaken, &[500, 205, 404, 204]).await;
    let bench = Bench::new(subscribed(customer.events())).await;
    bench.send_to(TO).await;
    customer.next().await;
    let first = customer.next().await.event()["id"].clone();
    for _ in 0..3 {
        assert_eq!(customer.next().await.event()["id"], first, "the same event");
    }
    bench.until(|summary| summary.receipts.sent == 1 && summary.receipts.retried == 3).await;
    for status in [400, 413] {
        let mut customer = Customer::new(Hand::Shaken, &[status]).await;
        let bench = Bench::new(subscribed(customer.events())).await;
        bench.send_to(TO).await;
        bench.until(|summary| summary.receipts.failed == 1 && summary.pending == 0).await;
        customer.next().await;
        customer.next().await;
        assert!(customer.is_idle());
    }
}

#[tokio::test]
async fn no_report_comes_unasked() {
    let (mut customer, bench) = Customer::and_bench().await;
    let mut quiet = message(&[TO]);
    quiet["smsSendOptions"]["enableDeliveryReport"] = false.into();
    bench.send(&quiet).await;
    quiet.as_object_mut().unwrap().remove("smsSendOptions");
    bench.send(&quiet).await;
    bench.until(|summary| summary.pending == 0).await;
    assert!(customer.is_idle());
    bench.sandbox.set_faults(Faults { lose_receipt: 1.0, ..Faults::default() }).unwrap();
    bench.send_to(TO).await;
    bench.until(|summary| summary.receipts.withheld == 1).await;
    bench.sandbox.set_faults(Faults { duplicate_receipt: 1.0, ..Faults::default() }).unwrap();
    bench.send_to(TO).await;
    assert_eq!(customer.next().await.event()["id"], customer.next().await.event()["id"], "the same event, twice");
}

#[tokio::test]
async fn stop_and_start_are_heeded_and_passed_on() {
    let (mut customer, bench) = Customer::and_bench().await;
    let reply = async |body: &str| {
        let asked = json!({ "from": TO, "to": FROM, "body": body, "provider": "acs" });
        assert_eq!(bench.control(Method::POST, "/sandbox/reply", &asked).await.status, 202, "{body}");
    };
    let delivered = ("Delivered".to_owned(), "2000 - The message was delivered.".to_owned());
    let blocked = ("Failed".to_owned(), "4007 - Sender blocked for given recipient.".to_owned());
    for (keyword, expected) in [("Stop", &blocked), ("START", &delivered), ("stop ", &blocked), ("unstop", &delivered)]
    {
        reply(keyword).await;
        assert_eq!(customer.next().await.event()["data"]["message"], keyword);
        assert_eq!(bench.send_to(TO).await["httpStatusCode"], 202, "the service accepts, and then tells");
        assert_eq!(&customer.report().await, expected, "{keyword}");
    }
    reply("stop please").await;
    customer.next().await;
    bench.send_to(TO).await;
    assert_eq!(customer.report().await, delivered, "only the whole word counts");

    // An opt-out holds for one sender, and never for a name, which receives nothing.
    reply("STOP").await;
    customer.next().await;
    let mut other = message(&[TO]);
    for from in ["+18001110001", "Herald"] {
        other["from"] = from.into();
        bench.send(&other).await;
        assert_eq!(customer.report().await, delivered, "{from}");
    }
    let optouts = json!({ "from": FROM, "recipients": [{ "to": TO }] });
    let checked = bench.call(Draft::post("/sms/optouts:check?api-version=2026-01-23", &optouts)).await;
    assert_eq!(item(&checked, TO)["isOptedOut"], true);
    let to_a_name = json!({ "from": TO, "to": "Herald", "body": "x", "provider": "acs" });
    assert_eq!(bench.control(Method::POST, "/sandbox/reply", &to_a_name).await.status, 400);
    // A reset forgets it.
    bench.control(Method::POST, "/sandbox/reset", &Value::Null).await;
    bench.send_to(TO).await;
    assert_eq!(customer.report().await, delivered);
}

#[tokio::test]
async fn replies_find_their_resource() {
    let mut customer = Customer::new(Hand::Shaken, &[]).await;
    let resource = AcsResource { numbers: vec![FROM.into(), "12345".into()], ..AcsResource::new("sandbox", KEY) };
    let bench = Bench::new(Settings { acs: vec![resource], ..settings() }).await;
    let reply = async |to: &str| {
        let asked = json!({ "from": TO, "to": to, "body": "Hi" });
        bench.control(Method::POST, "/sandbox/reply", &asked).await
    };
    assert_eq!(reply(FROM).await.status, 400, "nobody has subscribed");
    let events = json!({ "events": { "callback_url": customer.url } });
    assert_eq!(bench.control(Method::PUT, "/sandbox/acs/events", &events).await.status, 204);
    for to in [FROM, "12345"] {
        assert_eq!(reply(to).await.status, 202);
        let mut came = customer.next().await;
        if came.header("aeg-event-type") == Some("SubscriptionValidation") {
            came = customer.next().await;
        }
        assert_eq!(came.event()["data"]["to"], to.trim_start_matches('+'));
    }
    for (wrong, word) in [
        (json!({ "resource": "another", "events": { "callback_url": customer.url } }), "resource"),
        (json!({ "events": { "callback_url": "nowhere" } }), "callback_url"),
        (json!({ "events": { "callback_url": customer.url, "batches": 1 } }), "batches"),
    ] {
        let answer = bench.control(Method::PUT, "/sandbox/acs/events", &wrong).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json["error"].as_str().unwrap().contains(word), "{}", answer.json);
    }
    let replies = bench.sandbox.summary().providers[&Provider::Acs].replies;
    assert_eq!((replies.sent, replies.failed), (2, 0));
}

#[tokio::test]
async fn recipients_reply_by_share() {
    let mut customer = Customer::new(Hand::Shaken, &[]).await;
    let mut settings = subscribed(customer.events());
    settings.replies.share = 1.0;
    let bench = Bench::new(settings).await;
    bench.send_to(TO).await;
    for field in ["validationCode", "deliveryStatus", "message"] {
        assert!(customer.next().await.event()["data"][field].is_string(), "{field}");
    }
    let mut named = message(&[TO]);
    named["from"] = "Herald".into();
    bench.call(Draft::post(SEND, &named)).await;
    bench.until(|summary| summary.receipts.sent == 2 && summary.pending == 0).await;
    assert_eq!(bench.sandbox.summary().replies.sent, 1, "a name receives nothing");
}
