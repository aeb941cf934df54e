//! Events that a system posts.

use std::time::Duration;

use herald::{
    domain::{id::RunId, message::Status, run::RunStatus},
    inbound::webhook,
    secret::Secret,
};
use serde_json::{Value, json};

use crate::{
    operator::buckets,
    support::{Database, HOOK_SECRET, Setup, Stage, phone},
};

/// An event as a system of cases posts it.
pub fn case(nth: u32, language: &str, title: &str, priority: &str) -> String {
    let customer = json!({ "mobile": phone(nth), "name": "Ana", "language": language, "do_not_phone": false });
    let data = json!({ "customer": customer, "id": format!("CAS-{nth}"), "title": title, "priority": priority });
    json!({ "type": "case.created", "timestamp": "2026-11-20T09:00:00Z", "data": data }).to_string()
}

impl Stage {
    /// Posts an event that was signed so many seconds ago, with a secret; the answer's status and body.
    pub async fn post_signed(&self, id: &str, body: &str, secret: &str, seconds_ago: i64) -> (u16, Value) {
        let at = self.app.clock.now().seconds() - seconds_ago;
        let signature = webhook::sign(&Secret::new(secret), id, at, body.as_bytes()).unwrap();
        let url = format!("{}/hooks/{}", self.base_url, self.applied.hook_tokens["crm"]);
        let headers =
            [("webhook-id", id.to_owned()), ("webhook-timestamp", at.to_string()), ("webhook-signature", signature)];
        self.post(&url, &headers, body.to_owned()).await
    }

    /// Posts something; the answer's status and body.
    pub async fn post(&self, url: &str, headers: &[(&str, String)], body: String) -> (u16, Value) {
        let mut request = self.client.post(url).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// Posts an event as it should be; whether it was news.
    pub async fn event(&self, id: &str, body: &str) -> bool {
        let (status, answer) = self.post_signed(id, body, HOOK_SECRET, 0).await;
        assert_eq!((status, answer["id"].as_str()), (202, Some(id)), "{answer}");
        answer["new"].as_bool().unwrap()
    }

    /// The day's run of a configuration, once it has taken in and dealt with so many rows.
    pub async fn day(&self, configuration: &str, rows: i64) -> RunId {
        let found = self
            .until(&format!("{rows} rows of {configuration}"), async || {
                let runs = self.app.store.runs(&self.org, None, 10).await.unwrap();
                let run = runs.into_iter().find(|run| run.name == configuration)?;
                let sums = self.sums(run.id).await;
                (sums.rows() >= rows && sums.waiting() == 0 && run.open_requests == 0).then_some(run.id)
            })
            .await;
        self.quiet().await;
        found
    }
}

pub async fn signed_events_become_messages(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let german = case(1, "de", "Heizung \"kaputt\"", "high");

    for (what, secret, ago, status) in [
        ("another secret", "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI=", 0, 401),
        ("too long ago", HOOK_SECRET, 302, 401),
        ("from the future", HOOK_SECRET, -302, 401),
    ] {
        let (answered, problem) = stage.post_signed("evt_0", &german, secret, ago).await;
        assert_eq!((answered, problem["code"].as_str()), (status, Some("unauthorized")), "{what}: {problem}");
    }
    let (answered, problem) = stage.post_signed("evt_0", "no event", HOOK_SECRET, 0).await;
    assert_eq!((answered, problem["code"].as_str()), (400, Some("invalid_event")), "{problem}");
    for token in ["acme.00000000000000000000000000000000", "nobody.00000000000000000000000000000000", "x"] {
        let url = format!("{}/hooks/{token}", stage.base_url);
        assert_eq!(stage.post(&url, &[], german.clone()).await.0, 404, "{token}");
    }

    // Two cases of one customer on one day, another customer, one whose condition does not hold, one without a good number.
    assert!(stage.event("evt_1", &german).await);
    assert!(stage.event("evt_2", &case(1, "fr", "Porte", "high")).await);
    assert!(stage.event("evt_3", &case(2, "xx", "Door", "high")).await);
    assert!(stage.event("evt_4", &case(3, "en", "Window", "low")).await);
    assert!(stage.event("evt_5", &case(4, "en", "Roof", "high").replace(&phone(4), "12")).await);
    assert!(!stage.event("evt_1", &german).await, "the same id is the same event");
    assert!(!stage.event("evt_1", &case(9, "en", "Other", "high")).await, "whatever it says");

    let run = stage.day("case-created", 4).await;
    let sums = stage.sums(run).await;
    assert_eq!(buckets(&sums), [("delivered", 3), ("invalid", 1)].into());
    stage.assert_adds_up(run, 4).await;
    assert_eq!(stage.run(run).await.status, RunStatus::Running, "its day is not over");
    assert_eq!(stage.app.store.runs(&stage.org, None, 10).await.unwrap().len(), 1);
    let mut texts = stage.texts_to(&phone(1));
    texts.sort();
    assert!(texts[0].starts_with("Bonjour Ana, votre demande \"Porte\""), "{texts:?}");
    assert!(texts[1].starts_with("Guten Tag Ana, Ihre Anfrage \"Heizung \"kaputt\"\""), "{texts:?}");
    assert!(stage.texts_to(&phone(2))[0].starts_with("Hello Ana, we have opened your case \"Door\""));
    assert_eq!(stage.calls().len(), 3);

    let refused = stage.app.store.rejected_rows(&stage.org, run, 0, 10).await.unwrap();
    assert!(refused.len() == 1 && refused[0].problems.contains("evt_5"), "{refused:?}");
    stage.strike().await;
}

pub async fn events_that_come_together_share_a_request(database: Database) {
    let mut setup = Setup::new(database);
    // They wait for company as long as this test likes.
    setup.config.intake.coalesce = Duration::from_secs(600);
    let stage = Stage::set(setup).await;
    for nth in 0..30 {
        assert!(stage.event(&format!("evt_{nth}"), &case(nth, "en", "Door", "high")).await);
    }
    stage.hand.advance(Duration::from_secs(600));
    let run = stage.day("case-created", 30).await;
    let done = stage.run(run).await;
    assert_eq!((done.messages, done.requests, done.dispatched), (30, 1, 1));
    assert_eq!(stage.sums(run).await.of(Status::Delivered), 30);
    assert!(stage.accepted().len() == 30 && stage.accepted().values().all(|times| *times == 1));

    // As many as a request holds wait for nobody.
    for nth in 100..200 {
        assert!(stage.event(&format!("evt_{nth}"), &case(nth, "en", "Door", "high")).await);
    }
    assert_eq!(stage.day("case-created", 130).await, run);
    assert_eq!((stage.run(run).await.requests, stage.accepted().len()), (2, 130));
    stage.strike().await;
}
