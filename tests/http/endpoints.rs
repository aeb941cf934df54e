//! `/v1/endpoints`: what is shown of them, who may enable and test them.

use axum::http::StatusCode;
use herald::{
    definitions,
    domain::{definition::Endpoint, secret_ref::SecretRef},
    http::keys::Scope,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Answer, assert_problem,
    support::{Database, HOOK_SECRET, Setup, Stage, listener},
};

fn endpoint(url: &str, active: bool) -> Endpoint {
    let secret = SecretRef::Env("ACME_HOOK_SECRET".to_owned());
    Endpoint { url: url.to_owned(), secret, events: vec!["run.completed".to_owned()], active }
}

async fn stage(endpoints: impl IntoIterator<Item = (&str, Endpoint)>) -> Stage {
    let mut setup = Setup::new(Database::Sqlite);
    setup.config.webhooks.allow_private = true;
    setup.set.endpoints = endpoints.into_iter().map(|(name, endpoint)| (name.to_owned(), endpoint)).collect();
    Stage::set(setup).await
}

impl Stage {
    async fn do_with(&self, method: Method, path: &str, key: &str) -> Answer {
        self.ask(method, path, Some(&format!("Bearer {key}"))).await
    }

    /// Waits until the API says this of an endpoint.
    async fn until_shown(&self, key: &str, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.until(what, async || {
            let shown = self.get("/v1/endpoints", key).await;
            let shown = shown["endpoints"].as_array().unwrap().iter().find(|shown| shown["name"] == name)?.clone();
            is(&shown).then_some(shown)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_not_arrived_is_shown_with_its_reason() {
    let closed = listener("127.0.0.1:0").await.local_addr().unwrap();
    let unknown =
        Endpoint { secret: SecretRef::Env("HERALD_TEST_NOWHERE".to_owned()), ..endpoint("https://a.example/", true) };
    let url = format!("http://{closed}/hear?key=1");
    let stage = stage([("crm", endpoint(&url, true)), ("quiet", endpoint(&url, false)), ("unsigned", unknown)]).await;
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let shown = stage.get("/v1/endpoints", &reads).await;
    let nothing = json!({ "disabled": null, "last_success_at": null, "last_failure": null });
    for (place, name, active) in [(0, "crm", true), (1, "quiet", false)] {
        let mut expected =
            json!({ "name": name, "url": url, "events": ["run.completed"], "active": active, "problem": null });
        expected.as_object_mut().unwrap().extend(nothing.as_object().unwrap().clone());
        assert_eq!(shown["endpoints"][place], expected);
    }
    let problem = shown["endpoints"][2]["problem"].as_str().unwrap();
    assert!(problem.contains("HERALD_TEST_NOWHERE is not set"), "{problem}");

    let answer = stage.do_with(Method::POST, "/v1/endpoints/crm/test", &admin).await;
    let id = answer.body["delivery"].as_str().unwrap().to_owned();
    assert_eq!((answer.status, id.starts_with("dlv_")), (202, true));
    let failed = |shown: &Value| !shown["last_failure"].is_null();
    let shown = stage.until_shown(&reads, "crm", "the post has failed", failed).await;
    assert!(shown["last_failure"]["why"].as_str().unwrap().contains("could not be reached"), "{shown}");
    for path in ["/v1/endpoints/crm/deliveries", "/v1/endpoints/crm/deliveries?state=waiting"] {
        let listed = stage.get(path, &reads).await;
        let delivery = &listed["deliveries"][0];
        assert_eq!((listed["deliveries"].as_array().unwrap().len(), &listed["next"]), (1, &Value::Null));
        assert_eq!((&delivery["id"], &delivery["type"]), (&json!(id), &json!("endpoint.test")));
        assert_eq!((&delivery["state"], &delivery["failed_tries"]), (&json!("waiting"), &json!(1)));
        assert_eq!(
            (&delivery["event"]["type"], &delivery["event"]["data"]["endpoint"]),
            (&json!("endpoint.test"), &json!("crm"))
        );
        assert_eq!(delivery["last_error"], shown["last_failure"]["why"]);
        assert!(delivery["next_try_at"].as_str() > delivery["created_at"].as_str(), "{delivery}");
    }
    for path in ["/v1/endpoints/crm/deliveries?state=failed", &format!("/v1/endpoints/crm/deliveries?after={id}")] {
        assert_eq!(stage.get(path, &reads).await, json!({ "deliveries": [], "next": null }), "{path}");
    }
    let text = stage.get("/v1/endpoints", &reads).await.to_string();
    assert!(!text.contains(HOOK_SECRET) && !text.contains("whsec_"), "{text}");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_gone_is_enabled_by_an_administrator() {
    let listener = listener("127.0.0.1:0").await;
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let gone = axum::Router::new().fallback(async || StatusCode::GONE);
    tokio::spawn(async move { axum::serve(listener, gone).await.unwrap() });
    let stage = stage([("crm", endpoint(&url, true)), ("quiet", endpoint(&url, false))]).await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    other.endpoints.clear();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    let sends = stage.key_for(&stage.org, Scope::Send).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;
    assert_eq!(stage.get("/v1/endpoints", &stranger).await, json!({ "endpoints": [] }));
    for (method, path, key, status, code) in [
        (Method::POST, "/v1/endpoints/crm/test", &sends, 403, "forbidden"),
        (Method::POST, "/v1/endpoints/crm/enable", &reads, 403, "forbidden"),
        (Method::POST, "/v1/endpoints/crm/test", &stranger, 404, "not_found"),
        (Method::POST, "/v1/endpoints/crm/enable", &stranger, 404, "not_found"),
        (Method::GET, "/v1/endpoints/crm/deliveries", &stranger, 404, "not_found"),
        (Method::GET, "/v1/endpoints/nobody/deliveries", &reads, 404, "not_found"),
        (Method::GET, "/v1/endpoints/crm/deliveries?state=lost", &reads, 400, "invalid_query"),
        (Method::GET, "/v1/endpoints/crm/deliveries?after=lost", &reads, 400, "invalid_cursor"),
        (Method::GET, "/v1/endpoints/crm/deliveries?colour=red", &reads, 400, "invalid_query"),
        (Method::GET, "/v1/endpoints/crm/test", &admin, 405, "method_not_allowed"),
        (Method::POST, "/v1/endpoints/quiet/test", &admin, 409, "endpoint_inactive"),
    ] {
        let answer = stage.do_with(method.clone(), path, key).await;
        assert_problem(&answer, status, code, &format!("{method} {path}"));
    }
    assert_problem(&stage.ask(Method::GET, "/v1/endpoints", None).await, 401, "unauthorized", "nobody");

    assert_eq!(stage.do_with(Method::POST, "/v1/endpoints/crm/test", &admin).await.status, 202);
    let disabled = |shown: &Value| !shown["disabled"].is_null();
    let shown = stage.until_shown(&reads, "crm", "it is disabled", disabled).await;
    assert!(shown["disabled"]["why"].as_str().unwrap().contains("410 Gone") && shown["disabled"]["at"].is_string());
    let answer = stage.do_with(Method::POST, "/v1/endpoints/crm/test", &admin).await;
    assert_problem(&answer, 409, "endpoint_disabled", "a test of what is disabled");
    let answer = stage.do_with(Method::POST, "/v1/endpoints/crm/enable", &admin).await;
    assert_eq!((answer.status, &answer.body["endpoint"]["disabled"]), (200, &Value::Null), "{}", answer.body);
    // What was waiting is posted again, and it is gone again.
    stage.until_shown(&reads, "crm", "it is disabled again", disabled).await;
    stage.strike().await;
}
