//! Stored audiences by API: taken in wholly or not at all, looked at, taken away.

use herald::http::keys::Scope;
use serde_json::{Value, json};

use crate::support::{Database, Setup, Stage, people::Called, phone};

impl Stage {
    async fn put_list(&self, key: &str, name: &str, csv: &str) -> Called {
        self.call(key, "PUT", &format!("/v1/lists/{name}"), &[("content-type", "text/csv")], csv.to_owned()).await
    }
}

fn people(people: std::ops::Range<u32>) -> String {
    let rows: String = people.map(|nth| format!("{},yes,fr,Ana,AC-{nth}\n", phone(nth))).collect();
    format!("to,optin,locale,CustomerName,CaseName\n{rows}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_taken_in_wholly_or_not() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let listed = stage.json(&reads, "GET", "/v1/lists", Value::Null).await.good(200);
    let shown = &listed["lists"][0];
    assert_eq!((shown["name"].as_str(), shown["rows"].as_u64()), (Some("customers"), Some(120)), "{listed}");
    assert_eq!(shown["columns"], json!(["tocontactid", "optin", "locale", "CustomerName", "CaseName"]));
    assert_eq!(shown["used_by"], json!(["monthly-reminder"]));

    stage.put_list(&reads, "vips", &people(0..3)).await.refused(403, "forbidden", &["scope admin"]);
    let made = stage.put_list(&admin, "vips", &people(0..230)).await.good(201);
    assert_eq!((made["change"].as_str(), made["list"]["version"].as_u64()), (Some("created"), Some(1)), "{made}");
    let same = stage.put_list(&admin, "vips", &people(0..230)).await.good(200);
    assert_eq!((same["change"].as_str(), &same["list"]), (Some("unchanged"), &made["list"]));

    // Pages follow one another, and end.
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let page = stage.json(&reads, "GET", &format!("/v1/lists/vips/entries{after}"), Value::Null).await.good(200);
        seen.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_i64() else { break };
        after = format!("?after={next}");
    }
    assert_eq!(seen.len(), 230);
    let last = json!({ "place": 230, "to": phone(229), "opted_in": true, "locale": "fr", "context": { "customername": "Ana", "casename": "AC-229" } });
    assert_eq!(seen[229], last);
    stage.json(&reads, "GET", "/v1/lists/vips/entries?after=x", Value::Null).await.refused(400, "invalid_cursor", &[]);

    let repeated = format!("{}{},yes,fr,Ana,AC-1\n12,yes,fr,Bo,AC-2\n", people(0..3), phone(1));
    let refused = stage.put_list(&admin, "vips", &repeated).await;
    refused.refused(422, "invalid_rows", &["wholly good", "fix 1 phone number", "1 row repeats"]);
    assert_eq!((&refused.body["errors"][0]["line"], &refused.body["duplicates"]), (&json!(6), &json!(1)));
    // What is sent to it needs these.
    let bare = "to,optin\n+4915155500001,yes\n";
    let missing = stage.put_list(&admin, "customers", bare).await;
    missing.refused(422, "missing_columns", &["CustomerName"]);
    let unattested = "to,CustomerName\n+4915155500001,Ana\n";
    stage.put_list(&admin, "vips", unattested).await.refused(422, "no_optin_column", &["opted_in=true"]);
    stage.put_list(&admin, "a%20b", bare).await.refused(422, "invalid_name", &["a b"]);
    stage.call(&admin, "PUT", "/v1/lists/vips", &[], bare).await.refused(415, "unsupported_media_type", &["text/csv"]);
    let still = stage.json(&reads, "GET", "/v1/lists/vips", Value::Null).await.good(200);
    assert_eq!(still["list"], made["list"], "what was refused has changed nothing");

    let attested = stage.put_list(&admin, "vips?opted_in=true", unattested).await.good(200);
    assert_eq!((attested["change"].as_str(), attested["list"]["version"].as_u64()), (Some("changed"), Some(2)));
    assert_eq!(attested["list"]["rows"], 1);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_nobody_uses_is_taken_away() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let delete = async |name: &str| stage.json(&admin, "DELETE", &format!("/v1/lists/{name}"), Value::Null).await;
    delete("customers").await.refused(409, "in_use", &["monthly-reminder"]);
    delete("nobody").await.refused(404, "not_found", &["nobody"]);
    stage.put_list(&admin, "vips", &people(0..3)).await.good(201);
    assert_eq!(delete("vips").await.status, 204);
    stage.json(&admin, "GET", "/v1/lists/vips", Value::Null).await.refused(404, "not_found", &["vips"]);
    stage.json(&admin, "GET", "/v1/lists/vips/entries", Value::Null).await.refused(404, "not_found", &["vips"]);
    // Another of the name begins anew, with its own entries.
    let anew = stage.put_list(&admin, "vips", &people(5..6)).await.good(201);
    assert_eq!((anew["list"]["version"].as_u64(), anew["list"]["rows"].as_u64()), (Some(1), Some(1)));
    let entries = stage.json(&admin, "GET", "/v1/lists/vips/entries", Value::Null).await.good(200);
    assert_eq!(entries["entries"].as_array().unwrap().len(), 1, "{entries}");
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    other.lists.clear();
    other.configurations.retain(|_, one| one.audience.is_none());
    herald::definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;
    stage.json(&stranger, "GET", "/v1/lists/vips", Value::Null).await.refused(404, "not_found", &[]);
    stage.json(&stranger, "DELETE", "/v1/lists/vips", Value::Null).await.refused(404, "not_found", &[]);
    stage.strike().await;
}
