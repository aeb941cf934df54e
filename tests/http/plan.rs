//! `/v1/runs/{id}/plan`: before a run starts to move, while it waits, and when it is over.

use herald::definitions;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    assert_problem,
    support::{CHANNEL, Database, Setup, Stage, phone, shipping},
};

fn shown(plan: &Value, fields: &[&str]) -> Value {
    fields.iter().map(|field| plan[*field].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_has_a_plan_until_it_is_over() {
    let mut setup = Setup::new(Database::Sqlite);
    // 700 texts of one segment through a channel that carries seven a minute.
    setup.set.channels.get_mut(CHANNEL).unwrap().pace = Some("7/min".parse().unwrap());
    let stage = Stage::set(setup).await;
    let (key, _) = stage.key(&stage.org).await;
    let csv = shipping((0..700).map(phone)) + &shipping([phone(0)]).lines().nth(1).map(str::to_owned).unwrap();
    let run = stage.send("shipping-delay", &csv).await;
    assert!(stage.app.store.stop_run(&stage.org, run, "paused", "paused by an operator").await.unwrap());
    let path = format!("/v1/runs/{run}/plan");
    let plan = stage
        .until("what was under way has stopped", async || {
            let plan = stage.get(&path, &key).await;
            (plan["requests"] == 8 && plan["notes"][0].as_str()?.contains("the run is paused")).then_some(plan)
        })
        .await;
    let (messages, seconds) = (plan["messages"].as_u64().unwrap(), plan["seconds"].as_f64().unwrap());
    assert!((690..=700).contains(&messages), "one repeats a number, a few may have left: {plan}");
    assert!((seconds - messages as f64 * 60.0 / 7.0).abs() < 60.0, "{plan}");
    assert_eq!(
        shown(&plan, &["bound_by", "because", "expiring"]),
        json!(["pace", "the pace of channel \"support-sms\", 7 messages a minute".replace("messages", "segments"), 0])
    );
    assert_eq!(shown(&plan["texts"][0], &["locale", "encoding"]), json!(["en", "gsm7"]), "{plan}");
    assert_eq!(plan["countries"][0]["country"], "DE", "{plan}");
    // 700 to Germany at 0.0850.
    assert_eq!(
        plan["whole"],
        json!({ "messages": 700, "segments": 700, "cost": { "amount": "59.5000", "currency": "EUR" } })
    );

    assert!(stage.app.store.begin_cancel(&stage.org, run).await.unwrap());
    while stage.app.store.cancel_some(&stage.org, run, stage.app.clock.now()).await.unwrap() {}
    stage.over(run).await;
    let over = stage.get(&path, &key).await;
    assert_eq!(
        shown(&over, &["requests", "messages", "bound_by", "summary", "notes"]),
        json!([0, 0, "nothing", "nothing is left to send", ["the run is cancelled"]])
    );
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_its_organizations() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let run = stage.send("shipping-delay", &shipping([phone(1)])).await;
    let path = format!("/v1/runs/{run}/plan");
    assert_problem(&stage.ask(Method::GET, &path, None).await, 401, "unauthorized", "no key");
    let (stranger, _) = stage.key(&other.organization.id).await;
    let (key, _) = stage.key(&stage.org).await;
    for (path, key) in [(path.as_str(), &stranger), ("/v1/runs/nonsense/plan", &key)] {
        let answer = stage.ask(Method::GET, path, Some(&format!("Bearer {key}"))).await;
        assert_problem(&answer, 404, "not_found", path);
    }
    stage.get(&path, &key).await;
    stage.strike().await;
}
