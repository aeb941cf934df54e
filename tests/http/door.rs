//! Who comes in: keys by API, how often an organization may ask, and listening to what happens.

use herald::{definitions, http::keys::Scope};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{DEADLINE, Database, Setup, Stage, phone, shipping};

async fn stage() -> Stage {
    Stage::set(Setup::new(Database::Sqlite)).await
}

/// A key of another organization.
async fn stranger(stage: &Stage) -> String {
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    stage.key_for(&other.organization.id, Scope::Admin).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_shown_once_and_revoked() {
    let stage = stage().await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let stranger = stranger(&stage).await;
    let made = stage.json(&admin, "POST", "/v1/keys", json!({ "name": " crm ", "scope": "send" })).await.good(201);
    let (secret, id) = (made["secret"].as_str().unwrap(), made["key"]["id"].as_str().unwrap());
    let own = json!({ "id": id, "name": "crm", "scope": "send", "created_at": made["key"]["created_at"], "last_used_at": null, "revoked_at": null });
    assert_eq!(made["key"], own);

    // It opens what its scope says, and no more.
    stage.json(secret, "GET", "/v1/runs", Value::Null).await.good(200);
    stage.json(secret, "GET", "/v1/keys", Value::Null).await.refused(403, "forbidden", &["scope send"]);
    stage.json(secret, "POST", "/v1/keys", json!({ "name": "x", "scope": "admin" })).await.refused(
        403,
        "forbidden",
        &[],
    );
    let listed = stage.json(&admin, "GET", "/v1/keys", Value::Null).await.good(200);
    let found = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
    assert!(found["last_used_at"].is_string(), "{found}");
    assert!(!listed.to_string().contains(secret.rsplit_once('_').unwrap().1));

    // Another organization sees and revokes nothing of it.
    let theirs = stage.json(&stranger, "GET", "/v1/keys", Value::Null).await.good(200);
    assert!(!theirs.to_string().contains(id));
    let path = format!("/v1/keys/{id}");
    stage.json(&stranger, "DELETE", &path, Value::Null).await.refused(404, "not_found", &[]);
    stage.json(&admin, "DELETE", "/v1/keys/nonsense", Value::Null).await.refused(404, "not_found", &[]);
    let revoked = stage.json(&admin, "DELETE", &path, Value::Null).await.good(200);
    assert!(revoked["key"]["revoked_at"].is_string());
    stage.json(secret, "GET", "/v1/runs", Value::Null).await.refused(401, "unauthorized", &["does not hold"]);
    assert_eq!(stage.json(&admin, "DELETE", &path, Value::Null).await.good(200), revoked, "it stays revoked");

    for (body, pointers) in [
        (json!({ "name": "", "scope": "send" }), vec!["/name"]),
        (json!({ "name": "x".repeat(81), "scope": "all" }), vec!["/name", "/scope"]),
    ] {
        let refused = stage.json(&admin, "POST", "/v1/keys", body).await;
        refused.refused(422, "invalid_key", &[]);
        let errors = refused.body["errors"].as_array().unwrap();
        assert_eq!(errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect::<Vec<_>>(), pointers);
    }
    stage.json(&admin, "POST", "/v1/keys", json!({ "name": "x" })).await.refused(422, "invalid_body", &["scope"]);
    stage.call(&admin, "POST", "/v1/keys", &[], "{}").await.refused(415, "unsupported_media_type", &[]);
    stage.strike().await;
}

async fn raw(stage: &Stage, key: &str, path: &str) -> Response {
    let request = stage.client.request(Method::GET, format!("{}{path}", stage.base_url));
    request.header("authorization", format!("Bearer {key}")).send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_may_ask_only_so_often() {
    let mut setup = Setup::new(Database::Sqlite);
    setup.config.api.requests_per_hour = 3;
    let stage = Stage::set(setup).await;
    let keys = [stage.key_for(&stage.org, Scope::Read).await, stage.key_for(&stage.org, Scope::Send).await];
    let stranger = stranger(&stage).await;
    for (place, left) in [(0, 2), (1, 1), (0, 0)] {
        let answer = raw(&stage, &keys[place], "/v1/quota").await;
        let standing = header(&answer, "ratelimit").unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), header(&answer, "ratelimit-policy")), (200, Some("\"hour\";q=3;w=3600")));
        assert!(standing.starts_with(&format!("\"hour\";r={left};t=")), "{standing}");
    }
    let refused = raw(&stage, &keys[1], "/v1/runs").await;
    assert_eq!(refused.status().as_u16(), 429);
    let seconds: i64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((3500..=3660).contains(&seconds), "{seconds}");
    assert_eq!(header(&refused, "ratelimit"), Some(format!("\"hour\";r=0;t={seconds}").as_str()));
    let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!((body["code"].as_str(), body["status"].as_u64()), (Some("too_many_requests"), Some(429)));

    // Nobody else notices, a key that does not hold is not counted, and room comes back.
    assert_eq!(raw(&stage, &stranger, "/v1/runs").await.status().as_u16(), 200);
    let unknown = raw(&stage, "herald_acme_x", "/v1/runs").await;
    assert_eq!((unknown.status().as_u16(), header(&unknown, "ratelimit")), (401, None));
    stage.hand.advance(std::time::Duration::from_secs(seconds.try_into().unwrap()));
    assert_eq!(raw(&stage, &keys[0], "/v1/runs").await.status().as_u16(), 200);
    stage.strike().await;
}

/// Somebody who listens.
struct Listener {
    answer: Response,
    heard: String,
}

impl Listener {
    async fn new(stage: &Stage, key: &str, query: &str) -> Self {
        let answer = raw(stage, key, &format!("/v1/stream{query}")).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, Some("text/event-stream")));
        Self { answer, heard: String::new() }
    }

    /// The next event: its type, and what it says.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.heard.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let found = field("event: ").zip(field("data: "));
                self.heard = rest.to_owned();
                if let Some((kind, data)) = found {
                    return Some((kind, serde_json::from_str(&data).unwrap()));
                }
                continue; // a comment, to keep the connection
            }
            let chunk = tokio::time::timeout(DEADLINE, self.answer.chunk()).await.unwrap().ok()??;
            self.heard.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_hears_what_happens() {
    let stage = stage().await;
    let key = stage.key_for(&stage.org, Scope::Read).await;
    let stranger = stranger(&stage).await;
    let mut all = Listener::new(&stage, &key, "").await;
    let mut delivered = Listener::new(&stage, &key, "?events=message.delivered").await;
    let mut other = Listener::new(&stage, &stranger, "").await;
    let run = stage.send("shipping-delay", &shipping([phone(1), phone(2)])).await;
    stage.over(run).await;

    let (mut kinds, mut last) = (Vec::new(), Value::Null);
    while !kinds.iter().any(|kind| kind == "run.completed") || last["status"] != "completed" {
        let (kind, event) = all.next().await.unwrap();
        assert_eq!(event["type"].as_str(), Some(kind.as_str()), "{event}");
        if kind == "run.progress" {
            last = event["data"]["run"].clone();
            assert_eq!(last["id"], run.to_string());
        }
        kinds.push(kind);
    }
    assert_eq!(last["buckets"]["delivered"], 2, "{last}");
    for (kind, times) in [("message.sent", 2), ("message.delivered", 2), ("run.completed", 1)] {
        assert_eq!(kinds.iter().filter(|heard| *heard == kind).count(), times, "{kinds:?}");
    }
    for _ in 0..2 {
        assert_eq!(delivered.next().await.unwrap().0, "message.delivered");
    }
    for query in ["?events=message.lost", "?run=x", "?colour=red"] {
        let refused = raw(&stage, &key, &format!("/v1/stream{query}")).await;
        assert_eq!(refused.status().as_u16(), 400, "{query}");
    }
    // The process ends in good order although somebody listens, and they have heard nothing of another organization.
    stage.strike().await;
    assert_eq!(other.next().await, None);
    assert_eq!(delivered.next().await, None);
}
