//! Orders by API: who may give them, what a run in no state for one is answered with, and the same order given twice.

use std::time::Duration;

use herald::{
    definitions,
    domain::{id::RunId, rate::Rate, run::RunStatus},
    http::keys::Scope,
};
use serde_json::{Value, json};

use crate::support::{Database, Setup, Stage, phone, shipping};

/// A stage whose sender is slow enough to be interrupted, a run of a hundred and fifty under way, and keys that may read and send.
async fn stage() -> (Stage, RunId, String, String) {
    let mut setup = Setup::new(Database::Sqlite);
    setup.set.channels.get_mut("support-sms").unwrap().pace = Some(Rate { count: 20, per: Duration::from_secs(1) });
    setup.config.worker.slots = 1;
    let stage = Stage::set(setup).await;
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    let sends = stage.key_for(&stage.org, Scope::Send).await;
    let run = stage.send("shipping-delay", &shipping((0..150).map(phone))).await;
    (stage, run, reads, sends)
}

impl Stage {
    async fn orders(&self, key: &str, run: RunId, order: &str) -> crate::support::people::Called {
        self.json(key, "POST", &format!("/v1/runs/{run}/{order}"), Value::Null).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_paused_resumed_and_cancelled() {
    let (stage, run, _, sends) = stage().await;
    let paused = stage.orders(&sends, run, "pause").await.good(200);
    assert_eq!(
        (paused["run"]["status"].as_str(), paused["run"]["why"].as_str()),
        (Some("paused"), Some("paused by an operator"))
    );
    assert!(paused["note"].as_str().unwrap().contains("of 150 messages were already dealt with"), "{paused}");
    let again = stage.orders(&sends, run, "pause").await.good(200);
    assert_eq!(
        (again["run"]["status"].as_str(), again["note"].as_str()),
        (Some("paused"), Some("it was paused already"))
    );
    let none = stage.orders(&sends, run, "retry-failed").await.good(200);
    assert_eq!((none["retried"].as_i64(), none["run"]["status"].as_str()), (Some(0), Some("paused")), "{none}");
    let resumed = stage.orders(&sends, run, "resume").await.good(200);
    assert_eq!((resumed["run"]["status"].as_str(), resumed["run"]["why"].as_str()), (Some("running"), Some("")));
    stage.orders(&sends, run, "resume").await.refused(409, "conflict", &["is running", "neither paused nor held"]);

    stage.until("some are sent", async || (stage.accepted_so_far() >= 3).then_some(())).await;
    let cancelled = stage.orders(&sends, run, "cancel").await.good(200);
    let note = cancelled["note"].as_str().unwrap();
    assert!(note.contains("messages are cancelled") && note.contains("already with the provider"), "{note}");
    let sums = stage.over(run).await;
    assert_eq!(stage.run(run).await.status, RunStatus::Cancelled);
    assert_eq!(
        sums.of(herald::domain::message::Status::Cancelled) + i64::try_from(stage.accepted_so_far()).unwrap(),
        150
    );
    for (order, word) in [
        ("pause", "only a run that is running"),
        ("resume", "neither"),
        ("cancel", "it is over"),
        ("retry-failed", "what was cancelled"),
    ] {
        stage.orders(&sends, run, order).await.refused(409, "conflict", &["is cancelled", word]);
    }
    let shown = stage.json(&sends, "GET", &format!("/v1/runs/{run}"), Value::Null).await.good(200);
    assert_eq!((shown["run"]["adds_up"].as_bool(), shown["run"]["rows"].as_i64()), (Some(true), Some(150)), "{shown}");
    stage.strike().await;
}

impl Stage {
    fn accepted_so_far(&self) -> u64 {
        self.sandbox().summary().accepted
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_tried_again() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let sends = stage.key_for(&stage.org, Scope::Send).await;
    let run = stage.send("shipping-delay", &shipping([1, 91_211, 90_003].map(phone))).await;
    stage.over(run).await;
    let path = format!("/v1/runs/{run}/retry-failed");
    let once = [("idempotency-key", "again-1")];
    let first = stage.call(&sends, "POST", &path, &once, "").await;
    assert_eq!((first.replayed, first.body["retried"].as_i64()), (false, Some(2)), "{}", first.body);
    stage.over(run).await;
    let second = stage.call(&sends, "POST", &path, &once, "").await;
    assert_eq!((second.replayed, &second.body), (true, &first.body), "the same key is the same order");
    let other = stage.call(&sends, "POST", &format!("/v1/runs/{run}/pause"), &once, "").await;
    other.refused(422, "idempotency_key_reused", &["another request"]);
    let accepted = stage.sandbox().calls(0, 100, None).calls.iter().filter(|call| *call.to == *phone(90_003)).count();
    assert_eq!(accepted, 2, "handed over twice in all");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_order() {
    let (stage, run, reads, sends) = stage().await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;
    for order in ["pause", "resume", "cancel", "retry-failed"] {
        stage.orders(&reads, run, order).await.refused(403, "forbidden", &["scope read"]);
        stage.orders("herald_acme_x", run, order).await.refused(401, "unauthorized", &[]);
        stage.orders(&stranger, run, order).await.refused(404, "not_found", &["there is no run"]);
        let nonsense = stage.json(&sends, "POST", &format!("/v1/runs/nonsense/{order}"), Value::Null).await;
        nonsense.refused(404, "not_found", &["there is no run \"nonsense\""]);
        let got = stage.json(&sends, "GET", &format!("/v1/runs/{run}/{order}"), Value::Null).await;
        got.refused(405, "method_not_allowed", &[]);
    }
    assert_eq!(stage.run(run).await.status, RunStatus::Running, "nobody has touched it");
    let described = stage.json(&reads, "GET", "/openapi.json", Value::Null).await.good(200);
    for order in ["pause", "resume", "cancel", "retry-failed"] {
        let answers = &described["paths"][format!("/v1/runs/{{id}}/{order}")]["post"]["responses"];
        assert_eq!(
            answers["200"]["content"]["application/json"]["schema"],
            json!({ "$ref": "#/components/schemas/Controlled" })
        );
        assert!(answers["409"].is_object(), "{answers}");
    }
    stage.orders(&sends, run, "cancel").await.good(200);
    stage.over(run).await;
    stage.strike().await;
}
