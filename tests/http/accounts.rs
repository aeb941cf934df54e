//! `/v1/accounts`: what is shown of them, and how one that was refused is let go on.

use herald::{definitions, domain::run::RunStatus, http::keys::Scope, sandbox::Settings};
use reqwest::Method;

use crate::{
    Answer, assert_problem,
    support::{Database, Setup, Stage, phone, shipping},
};

impl Stage {
    async fn with_key(&self, method: Method, path: &str, key: &str) -> Answer {
        self.ask(method, path, Some(&format!("Bearer {key}"))).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_account_is_shown_stopped_and_a_good_validation_lets_its_runs_go_on() {
    let mut setup = Setup::new(Database::Sqlite);
    setup.token = "0000000000000000000000000000bad0".to_owned();
    let stage = Stage::set(setup).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let run = stage.send("shipping-delay", &shipping((0..3).map(phone))).await;
    stage.until("it is held", async || (stage.run(run).await.status == RunStatus::Held).then_some(())).await;

    let shown = stage.get("/v1/accounts/twilio", &admin).await;
    let account = &shown["account"];
    assert!(account["stopped"].as_str().unwrap().contains("credentials"), "{shown}");
    assert_eq!((account["provider"].as_str(), account["usable"].as_bool()), (Some("twilio"), Some(true)));
    let token = &stage.applied.callback_tokens["twilio"];
    assert_eq!(account["callback_url"].as_str(), Some(format!("{}/callbacks/{token}", stage.base_url).as_str()));
    assert!(!shown.to_string().contains("bad0"), "no secret is shown");

    let answer = stage.with_key(Method::POST, "/v1/accounts/twilio/validate", &admin).await;
    assert_eq!((answer.status, answer.body["good"].as_bool()), (200, Some(false)), "{}", answer.body);
    assert!(answer.body["account"]["checked"].as_str().unwrap().contains("do not work"), "{}", answer.body);
    assert_eq!(stage.run(run).await.status, RunStatus::Held, "its messages stay queued");

    // The token is put right: another account's definition, so that its secret is looked up again.
    let mut set = stage.set.clone();
    let herald::domain::account::Account::Twilio(twilio) = set.accounts.get_mut("twilio").unwrap() else {
        unreachable!()
    };
    let file = stage.folder.path().join("token");
    std::fs::write(&file, Settings::DEFAULT_AUTH_TOKEN).unwrap();
    twilio.auth_token = herald::domain::secret_ref::SecretRef::File(file);
    definitions::apply(&stage.app.store, &set, stage.app.clock.now(), rand::random).await.unwrap();
    let answer = stage.with_key(Method::POST, "/v1/accounts/twilio/validate", &admin).await;
    assert_eq!((answer.status, answer.body["good"].as_bool()), (200, Some(true)), "{}", answer.body);
    assert_eq!(answer.body["released_runs"][0].as_str(), Some(run.to_string().as_str()));
    assert!(answer.body["account"]["stopped"].is_null() && answer.body["account"]["checked_at"].is_string());
    stage.over(run).await;
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_provider_is_validated_and_only_for_those_who_may() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    other.accounts.retain(|name, _| name == "twilio");
    other.channels.retain(|_, channel| channel.account == "twilio");
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let sends = stage.key_for(&stage.org, Scope::Send).await;
    let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;

    let all = stage.get("/v1/accounts", &admin).await;
    let names: Vec<_> = all["accounts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["acs", "telesign", "twilio"]);
    for name in names {
        let path = format!("/v1/accounts/{name}/validate");
        let answer = stage.with_key(Method::POST, &path, &admin).await;
        assert_eq!((answer.status, answer.body["good"].as_bool()), (200, Some(true)), "{name}: {}", answer.body);
        assert_problem(&stage.with_key(Method::POST, &path, &sends).await, 403, "forbidden", name);
        if name != "twilio" {
            assert_problem(&stage.with_key(Method::POST, &path, &stranger).await, 404, "not_found", name);
        }
    }
    assert_eq!(stage.sandbox().summary().accepted, 0, "nobody was messaged");
    assert_problem(&stage.with_key(Method::GET, "/v1/accounts/nobody", &admin).await, 404, "not_found", "nobody");
    assert_problem(
        &stage.with_key(Method::GET, "/v1/accounts", &sends).await,
        403,
        "forbidden",
        "the addresses are secret",
    );
    stage.strike().await;
}
