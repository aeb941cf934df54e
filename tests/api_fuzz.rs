//! The running server against its own description: for every operation of `/openapi.json`, requests made of the schemas (good
//! ones, and ones gone wrong), with keys of every scope and of another organization. An operation that is added is asked, too.
//!
//! Held: no answer is a 5xx; each has a status that is described, and a body of the form that is described for it, with nothing
//! beyond; who may not ask is told so before anything else; another organization's things are not there.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers panic as its tests do")]

#[path = "api_fuzz/asked.rs"]
mod asked;
#[path = "api_fuzz/described.rs"]
mod described;
#[path = "api_fuzz/house.rs"]
mod house;
#[path = "api_fuzz/values.rs"]
mod values;

#[expect(dead_code, reason = "the journeys need more of the stage than these tests")]
mod support;

use std::collections::BTreeMap;

use asked::{Case, Sent};
use described::{Description, Operation};
use house::{House, Who};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use support::Database;
use values::Kind;

/// What the requests are drawn from: the same seed asks the same.
const SEED: u64 = 0x6865_7261_6c64;
/// Requests drawn for each operation.
const DRAWN: usize = 40;
/// The most kinds of failures that are told.
const TOLD: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_as_described_on_sqlite() {
    the_server_is_as_described(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_as_described_on_postgres() {
    the_server_is_as_described(Database::Postgres).await;
}

/// A fuzzer that finds nothing holds nothing: each of these answers is a fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_described_is_found() {
    let house = House::set(Database::Sqlite).await;
    let description = Description::read(&house).await;
    let shows = description.operations.iter().find(|one| one.name() == "GET /v1/runs/{id}").unwrap();
    let lists = description.operations.iter().find(|one| one.name() == "GET /v1/runs").unwrap();
    let said = house.send(&Case::plain(lists, Who::Nobody, &house.found)).await;
    assert_eq!((said.status, description.holds(lists, &said)), (401, Ok(())));
    let listed = house.send(&Case::plain(lists, Who::Reads, &house.found)).await;
    let mut run = serde_json::from_str::<Value>(&listed.body).unwrap()["runs"][0].clone();
    let answer = |status: u16, body: &Value| Sent {
        status,
        kind: if status < 400 { "application/json" } else { "application/problem+json" }.to_owned(),
        allow: String::new(),
        body: body.to_string(),
    };
    assert_eq!(description.holds(shows, &answer(200, &json!({ "run": run }))), Ok(()));
    let problem = |code: &str, status: u16| json!({ "type": "about:blank", "title": "x", "status": status, "code": code, "detail": "x" });
    assert_eq!(description.holds(shows, &answer(404, &problem("not_found", 404))), Ok(()));
    let with = |name: &str, value: Value| {
        let mut other = run.clone();
        other[name] = value;
        json!({ "run": other })
    };
    for (status, body, fault) in [
        (200, with("id", json!("run_x")), "/run/id"),
        (200, with("rows", json!("3")), "/run/rows"),
        (200, with("status", json!("perhaps")), "/run/status"),
        (200, with("secret", json!("x")), "/run"),
        (200, with("finished_at", json!("yesterday")), "/run/finished_at"),
        (200, json!({ "run": run, "more": 1 }), "more"),
        (418, problem("not_found", 418), "is not described"),
        (404, problem("no_such_code", 404), "/code"),
        (404, problem("conversation_ended", 404), "http/codes.rs"),
        (404, problem("not_found", 400), "http/codes.rs"),
    ] {
        let found = description.holds(shows, &answer(status, &body)).expect_err(fault);
        assert!(found.contains(fault), "{fault} is not in: {found}");
    }
    run.as_object_mut().unwrap().remove("rows");
    assert!(description.holds(shows, &answer(200, &json!({ "run": run }))).is_err(), "a field is missing");
    house.stage.strike().await;
}

async fn the_server_is_as_described(database: Database) {
    let mut house = House::set(database).await;
    let description = Description::read(&house).await;
    house.harvest(&description).await;
    assert!(house.found.ids().len() > 5, "too little was found to ask about: {:?}", house.found);
    // One of each kind is told.
    let mut failures: BTreeMap<String, String> = BTreeMap::new();
    let mut good = 0;
    for operation in &description.operations {
        house.new_keys().await;
        for case in cases(operation, &house) {
            let sent = house.send(&case).await;
            good += usize::from((200..300).contains(&sent.status));
            for fault in judge(&description, operation, &house, &case, &sent) {
                let kind = format!("{}: {fault}", operation.name());
                failures.entry(kind).or_insert_with(|| format!("{case}\n{sent}"));
            }
        }
        if let Some((fault, what)) = methods(operation, &description, &house).await {
            failures.insert(format!("{}: {fault}", operation.name()), what);
        }
    }
    let told: Vec<String> = failures.iter().take(TOLD).map(|(fault, what)| format!("{fault}\n{what}")).collect();
    assert!(told.is_empty(), "{} kinds of failures; the first of them:\n\n{}", failures.len(), told.join("\n\n"));
    assert!(good > 4 * description.operations.len(), "only {good} requests were answered well: too few are good ones");
    house.stage.strike().await;
}

/// What is asked of an operation. Each has its own dice, so that a new operation changes nothing for the others.
fn cases(operation: &Operation, house: &House) -> Vec<Case> {
    let salt = operation.name().bytes().fold(SEED, |salt, byte| salt.rotate_left(5) ^ u64::from(byte));
    let mut dice = StdRng::seed_from_u64(salt);
    let mut cases = Vec::new();
    for nth in 0..DRAWN {
        let wrong = if nth % 2 == 0 { Kind::Good } else { Kind::Odd };
        let who = if dice.random_bool(0.8) { operation.least_key() } else { *Who::pick(&mut dice) };
        cases.push(Case::drawn(operation, who, wrong, &house.found, &mut dice));
    }
    for who in Who::ALL {
        cases.extend((0..3).map(|_| Case::drawn(operation, who, Kind::Good, &house.found, &mut dice)));
    }
    cases.extend(Case::of_another(operation, &house.found, &mut dice));
    cases.extend(Case::bad_bodies(operation, &house.found, &mut dice));
    cases
}

/// Everything that is wrong with an answer.
fn judge(description: &Description, operation: &Operation, house: &House, case: &Case, sent: &Sent) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |good: bool, fault: &dyn Fn() -> String| faults.extend((!good).then(fault));
    check(sent.status < 500, &|| "herald failed".to_owned());
    if let Err(fault) = description.holds(operation, sent) {
        check(false, &|| fault.clone());
    }
    let scope = operation.scope();
    match (scope, case.who) {
        (Some(_), Who::Nobody) => check(sent.status == 401, &|| "who gives no key is told so".to_owned()),
        (Some(scope), who) if who.may(scope) => {
            check(![401, 403].contains(&sent.status), &|| format!("the key may do this: it needs {scope}"));
        }
        (Some(scope), _) => check(sent.status == 403, &|| format!("the key may not do this: it needs {scope}")),
        (None, _) => {}
    }
    if let Some(expected) = &case.expected {
        check(expected.contains(&sent.status), &|| format!("expected one of {expected:?}"));
    }
    if case.who == Who::Stranger {
        let leaked = house.found.ids().into_iter().find(|id| sent.body.contains(id.as_str()) && !case.mentions(id));
        check(leaked.is_none(), &|| format!("{leaked:?} is another organization's"));
    }
    faults
}

/// A method that a path does not take is refused, with those that it takes.
async fn methods(operation: &Operation, description: &Description, house: &House) -> Option<(String, String)> {
    let taken: Vec<&str> = description.methods(&operation.path);
    let other = ["PUT", "DELETE", "PATCH", "POST", "GET", "BREW"].into_iter().find(|method| !taken.contains(method))?;
    let mut case = Case::plain(operation, Who::Admin, &house.found);
    other.clone_into(&mut case.method);
    let sent = house.send(&case).await;
    let mut allowed: Vec<&str> = sent.allow.split(',').map(str::trim).filter(|one| *one != "HEAD").collect();
    allowed.sort_unstable();
    let code = serde_json::from_str::<Value>(&sent.body).unwrap_or_default()["code"].clone();
    let good = sent.status == 405 && allowed == taken && code == "method_not_allowed";
    (!good).then(|| (format!("expected 405 with Allow: {taken:?}, not {allowed:?}"), format!("{case}\n{sent}")))
}
