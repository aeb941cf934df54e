//! The HTTP API as a program meets it: who may ask, what the answers look like, what a mistake is answered with.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers panic as its tests do")]

#[expect(dead_code, reason = "the journeys need more of the stage than these tests")]
mod support;
#[path = "http/timeline.rs"]
mod timeline;

#[path = "http/accounts.rs"]
mod accounts;
#[path = "http/consents.rs"]
mod consents;
#[path = "http/control.rs"]
mod control;
#[path = "http/conversations.rs"]
mod conversations;
#[path = "http/definitions.rs"]
mod definitions_by_api;
#[path = "http/description.rs"]
mod description;
#[path = "http/door.rs"]
mod door;
#[path = "http/endpoints.rs"]
mod endpoints;
#[path = "http/lists.rs"]
mod lists;
#[path = "http/plan.rs"]
mod plan;
#[path = "http/preview.rs"]
mod preview;
#[path = "http/requests.rs"]
mod requests;
#[path = "http/uploads.rs"]
mod uploads;

use herald::{
    definitions,
    domain::{id::OrgId, message::Status},
    http::keys::{Scope, mint},
    sandbox::Faults,
};
use serde_json::{Value, json};
use support::{Database, HOOK_SECRET, Setup, Stage, bucket, phone, shipping};

/// An answer.
struct Answer {
    status: u16,
    kind: String,
    body: Value,
    challenge: Option<String>,
}

impl Stage {
    /// A new key of an organization, and its id.
    async fn key(&self, org: &OrgId) -> (String, herald::domain::id::KeyId) {
        let (stored, text) = mint(org, "test", Scope::Read, self.app.clock.now()).unwrap();
        self.app.store.add_key(org, &stored).await.unwrap();
        (text.expose().to_owned(), stored.id)
    }

    async fn ask(&self, method: reqwest::Method, path: &str, authorization: Option<&str>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base_url));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, kind, challenge) =
            (answer.status().as_u16(), header("content-type").unwrap_or_default(), header("www-authenticate"));
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, kind, body, challenge }
    }

    async fn get(&self, path: &str, key: &str) -> Value {
        let answer = self.ask(reqwest::Method::GET, path, Some(&format!("Bearer {key}"))).await;
        assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"), "{path}: {}", answer.body);
        answer.body
    }
}

/// The answer is a problem with this status and code.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str, what: &str) {
    let body = &answer.body;
    assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"), "{what}: {body}");
    assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(status.into()), Some(code)), "{what}");
    assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10) && body["title"].is_string(), "{body}");
}

/// Puts a word in the place of everything that is another on each run of the test.
fn redacted(mut value: Value) -> Value {
    redact(&mut value);
    value
}

fn redact(value: &mut Value) {
    const CHANGING: [&str; 8] =
        ["id", "run", "conversation", "sent_on", "configuration_id", "provider_id", "seconds", "messages_per_second"];
    if let Value::Array(values) = value {
        values.iter_mut().for_each(redact);
    } else if let Value::Object(fields) = value {
        for (name, value) in fields {
            if !name.ends_with("_at") && !CHANGING.contains(&name.as_str()) || value.is_null() {
                redact(value);
            } else if value.is_number() {
                *value = "[number]".into();
            } else if let Some(text) = value.as_str() {
                let word = match text.split_once('_') {
                    Some((prefix, _)) => prefix,
                    None if text.starts_with("20") => "time",
                    None => &text[..2],
                };
                *value = format!("[{word}]").into();
            } else {
                redact(value);
            }
        }
    }
}

async fn stage() -> Stage {
    Stage::set(Setup::new(Database::Sqlite)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_ask() {
    let stage = stage().await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let run = stage.send("shipping-delay", &shipping([phone(1)])).await;
    stage.over(run).await;
    let (key, _) = stage.key(&stage.org).await;
    let (stranger, _) = stage.key(&other.organization.id).await;
    let (revoked, id) = stage.key(&stage.org).await;
    assert_eq!(stage.get("/v1/runs", &revoked).await["runs"].as_array().unwrap().len(), 1);
    assert!(stage.app.store.revoke_key(&stage.org, id, stage.app.clock.now()).await.unwrap());

    let foreign = key.replace("herald_acme_", "herald_globex_");
    let cut = &key[..key.len() - 1];
    let message = format!("/v1/messages/{run}.1");
    for path in ["/v1/runs", &format!("/v1/runs/{run}"), "/v1/messages?to=%2B4915155500001", &message, "/v1/quota"] {
        for (what, authorization) in [
            ("no key", None),
            ("another scheme", Some(format!("Basic {key}"))),
            ("garbage", Some("Bearer garbage".to_owned())),
            ("nothing", Some("Bearer ".to_owned())),
            ("half a key", Some(format!("Bearer {cut}"))),
            ("another organization's name", Some(format!("Bearer {foreign}"))),
            ("revoked", Some(format!("Bearer {revoked}"))),
        ] {
            let answer = stage.ask(reqwest::Method::GET, path, authorization.as_deref()).await;
            assert_problem(&answer, 401, "unauthorized", &format!("{path} with {what}"));
            assert_eq!(answer.challenge.as_deref(), Some("Bearer"));
            assert!(!answer.body.to_string().contains(cut), "the key is not repeated");
        }
    }
    // Another organization's things are not there.
    let bearer = format!("Bearer {stranger}");
    let found = stage.get(&format!("/v1/runs/{run}"), &key).await;
    assert_eq!(found["run"]["id"].as_str(), Some(run.to_string().as_str()));
    let id =
        stage.get(&format!("/v1/messages?run={run}"), &key).await["messages"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(stage.get(&format!("/v1/messages/{id}"), &key).await["message"]["id"].as_str(), Some(id.as_str()));
    for path in [format!("/v1/runs/{run}"), format!("/v1/messages/{id}")] {
        let answer = stage.ask(reqwest::Method::GET, &path, Some(&bearer)).await;
        assert_problem(&answer, 404, "not_found", &path);
    }
    for path in [format!("/v1/messages?run={run}"), "/v1/messages?to=%2B4915155500001".to_owned()] {
        assert_eq!(stage.get(&path, &stranger).await, json!({ "messages": [], "next": null }), "{path}");
    }
    assert_eq!(stage.get("/v1/runs", &stranger).await, json!({ "runs": [], "next": null }));
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_answers_look_like() {
    let stage = stage().await;
    let (key, _) = stage.key(&stage.org).await;
    let csv = shipping([phone(1), phone(90_003), phone(1)]).replacen(",yes,en,", ",yes,fr-CA,", 1);
    let run = stage.send("shipping-delay", &csv).await;
    let sums = stage.over(run).await;
    assert_eq!(bucket(&sums, Status::Undelivered, Some("unreachable")), 1);
    insta::assert_json_snapshot!("run", redacted(stage.get(&format!("/v1/runs/{run}"), &key).await));
    insta::assert_json_snapshot!("messages", redacted(stage.get(&format!("/v1/messages?run={run}"), &key).await));
    insta::assert_json_snapshot!("quota", redacted(stage.get("/v1/quota", &key).await));
    let listed = stage.get("/v1/runs", &key).await;
    let shown = stage.get(&format!("/v1/runs/{run}"), &key).await;
    assert_eq!((listed["runs"].as_array().unwrap().len(), &listed["runs"][0]), (1, &shown["run"]));
    let of_run = stage.get(&format!("/v1/runs/{run}/messages"), &key).await;
    assert_eq!(of_run, stage.get(&format!("/v1/messages?run={run}"), &key).await);
    assert_eq!(stage.get(&format!("/v1/runs/{run}/messages?status=read"), &key).await["messages"], json!([]));
    let nobodys = stage
        .ask(reqwest::Method::GET, "/v1/runs/run_00000000000000000000000000/messages", Some(&format!("Bearer {key}")))
        .await;
    assert_problem(&nobodys, 404, "not_found", "the messages of a run that is not there");
    let by_status = stage.get(&format!("/v1/messages?run={run}&status=suppressed"), &key).await;
    assert_eq!(by_status["messages"].as_array().unwrap().len(), 1, "{by_status}");
    assert_eq!(by_status["messages"][0]["code"].as_str(), Some("duplicate"));
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_after_another() {
    let stage = stage().await;
    stage.sandbox().set_faults(Faults { lose_receipt: 1.0, ..Faults::default() }).unwrap();
    let (key, _) = stage.key(&stage.org).await;
    let run = stage.send("shipping-delay", &shipping((0..230).map(phone))).await;
    stage.over(run).await;
    let mut seen: Vec<String> = Vec::new();
    let (mut path, mut pages) = (format!("/v1/messages?run={run}"), Vec::new());
    loop {
        let page = stage.get(&path, &key).await;
        let messages = page["messages"].as_array().unwrap();
        pages.push(messages.len());
        seen.extend(messages.iter().map(|message| message["to"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/messages?run={run}&after={next}");
    }
    assert_eq!(pages, [100, 100, 30]);
    assert_eq!(seen, (0..230).map(phone).collect::<Vec<_>>());

    let second = stage.send("shipping-delay", &shipping([phone(0)])).await;
    stage.over(second).await;
    let of_person = stage.get(&format!("/v1/messages?to={}", phone(0).replace('+', "%2B")), &key).await;
    let runs: Vec<&str> =
        of_person["messages"].as_array().unwrap().iter().map(|message| message["run"].as_str().unwrap()).collect();
    assert_eq!(runs, [second.to_string(), run.to_string()], "newest first");
    let plus = stage.get(&format!("/v1/messages?to={}", phone(0)), &key).await;
    assert_eq!(plus, of_person, "a plus that was not encoded is understood");
    let newest = stage.get("/v1/runs", &key).await;
    assert_eq!(newest["runs"][0]["id"].as_str(), Some(second.to_string().as_str()));
    let older = stage.get(&format!("/v1/runs?after={second}"), &key).await;
    assert_eq!(older["runs"].as_array().unwrap().len(), 1);
    assert_eq!(older["runs"][0]["id"].as_str(), Some(run.to_string().as_str()));
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_answered_with_what_is_wrong() {
    let stage = stage().await;
    let (key, _) = stage.key(&stage.org).await;
    let bearer = format!("Bearer {key}");
    use reqwest::Method;
    for (method, path, status, code) in [
        (Method::GET, "/v1/messages", 400, "invalid_query"),
        (Method::GET, "/v1/messages?to=12", 400, "invalid_query"),
        (Method::GET, "/v1/messages?run=nonsense", 400, "invalid_query"),
        (Method::GET, "/v1/messages?to=%2B4915155500001&status=lost", 400, "invalid_query"),
        (Method::GET, "/v1/messages?to=%2B4915155500001&after=x", 400, "invalid_cursor"),
        (Method::GET, "/v1/messages?to=%2B4915155500001&colour=red", 400, "invalid_query"),
        (Method::GET, "/v1/runs?after=x", 400, "invalid_cursor"),
        (Method::GET, "/v1/runs?before=x", 400, "invalid_query"),
        (Method::GET, "/v1/runs/nonsense", 404, "not_found"),
        (Method::GET, "/v1/runs/run_00000000000000000000000000", 404, "not_found"),
        (Method::GET, "/v1/messages/nonsense", 404, "not_found"),
        (Method::GET, "/v1/nothing", 404, "not_found"),
        (Method::GET, "/", 404, "not_found"),
        (Method::DELETE, "/v1/runs", 405, "method_not_allowed"),
        (Method::POST, "/v1/quota", 405, "method_not_allowed"),
        (Method::GET, "/hooks/acme.00000000000000000000000000000000", 405, "method_not_allowed"),
        (Method::POST, "/hooks/acme.00000000000000000000000000000000", 404, "not_found"),
    ] {
        let answer = stage.ask(method.clone(), path, Some(&bearer)).await;
        assert_problem(&answer, status, code, &format!("{method} {path}"));
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_it_is_said_to_be() {
    let stage = stage().await;
    let get = async |path: &str| stage.ask(reqwest::Method::GET, path, None).await;
    assert_eq!((get("/healthz").await.status, get("/healthz").await.body), (200, json!({ "status": "ok" })));
    assert_eq!((get("/readyz").await.status, get("/readyz").await.body), (200, json!({ "status": "ready" })));

    let run = stage.send("shipping-delay", &shipping([phone(1), phone(90_003), phone(91_211), phone(2)])).await;
    stage.over(run).await;
    let url = format!("{}/hooks/{}", stage.base_url, stage.applied.hook_tokens["crm"]);
    let refused = stage.client.post(&url).header("webhook-id", HOOK_SECRET.len().to_string()).body("{}").send().await;
    assert_eq!(refused.unwrap().status().as_u16(), 401);
    let figures = get("/metrics").await;
    assert_eq!((figures.status, figures.kind.as_str()), (200, herald::telemetry::METRICS_CONTENT_TYPE));
    let text = figures.body.as_str().unwrap();
    for line in [
        "herald_requests_claimed_total{priority=\"instant\"} 1",
        "herald_messages_total{status=\"sent\",reason=\"none\",provider=\"twilio\"} 3",
        "herald_messages_total{status=\"failed\",reason=\"invalid_number\",provider=\"twilio\"} 1",
        "herald_provider_call_seconds_count{provider=\"twilio\"} 4",
        "herald_callbacks_total{provider=\"twilio\",result=\"recorded\"} 6",
        "herald_webhooks_total{result=\"not_genuine\"} 1",
        "herald_http_requests_total{route=\"/healthz\",class=\"2xx\"} 2",
        "herald_http_requests_total{route=\"/hooks/{token}\",class=\"4xx\"} 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|had| had == line), "{line} is not in\n{text}");
    }
    assert!(
        !text.contains("acme") && !text.contains("49151555"),
        "no organization and no person stands in the figures"
    );

    stage.app.store.clone().close().await;
    let answer = get("/readyz").await;
    assert_problem(&answer, 503, "unavailable", "a store that is closed");
    assert_eq!(get("/healthz").await.status, 200);
}
