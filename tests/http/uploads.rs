//! Files over HTTP: taken in, looked at first, refused in words; and audiences that herald holds itself.

use herald::http::keys::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Database, Setup, Stage, people::Called, phone, shipping};

const RUNS: &str = "/v1/outbound-configurations/shipping-delay/runs";
const CSV: (&str, &str) = ("content-type", "text/csv");

async fn stage() -> (Stage, String) {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    (stage, key)
}

impl Stage {
    async fn upload_csv(&self, key: &str, query: &str, csv: &str) -> Called {
        self.call(key, "POST", &format!("{RUNS}{query}"), &[CSV], csv.to_owned()).await
    }
}

fn good() -> String {
    shipping((0..3).map(phone))
}

fn bad() -> String {
    format!("{}12,perhaps,en,Ana,AC-1,Monday\n{},yes,en,,AC-2,Monday\n", good(), phone(4))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_looked_at_refused_sent_and_not_sent_again() {
    let (stage, key) = stage().await;
    let looked = stage.upload_csv(&key, "?dry_run=true", &bad()).await.good(200);
    let dry = &looked["dry_run"];
    let counts = ["rows", "valid", "invalid", "duplicates", "not_opted_in", "requests", "segments"];
    assert_eq!(counts.map(|name| dry[name].as_u64().unwrap()), [5, 3, 2, 0, 0, 1, 3], "{dry}");
    let mend = "fix 1 phone number; write yes or no into OptIn in 1 row; fill in CustomerName in 1 row";
    assert_eq!(dry["summary"], mend);
    assert_eq!(
        dry["errors"][0],
        json!({ "line": 5, "column": "Phone Number", "value": "12", "code": "invalid_number",
            "detail": "line 5, column Phone Number: \"12\" has no leading +; expected international form, like +4915112345678 (or set the organization's default_country)",
            "reason": "has no leading +; expected international form, like +4915112345678 (or set the organization's default_country)" })
    );
    assert_eq!(dry["columns"][0], json!({ "name": "Phone Number", "means": "recipient" }));
    assert_eq!(dry["columns"][3], json!({ "name": "CustomerName", "means": "slug" }));
    let sample = &dry["texts"]["en"]["sample"];
    assert!(sample["text"].as_str().unwrap().starts_with("Hello Ana, your order AC-1"), "{dry}");
    assert_eq!((sample["encoding"].as_str(), sample["segments"].as_u64()), (Some("gsm7"), Some(1)));

    let refused = stage.upload_csv(&key, "", &bad()).await;
    refused.refused(422, "invalid_rows", &["2 of 5 rows", "fix 1 phone number", "on_invalid=skip"]);
    assert_eq!((&refused.body["errors"], &refused.body["summary"]), (&dry["errors"], &json!(mend)));
    assert!(refused.body["rejected_csv"].as_str().unwrap().contains("Accept: text/csv"), "{}", refused.body);
    assert!(stage.app.store.runs(&stage.org, None, 9).await.unwrap().is_empty(), "nothing was made of it");

    let as_csv = [CSV, ("accept", "text/csv")];
    let path = format!("{RUNS}?dry_run=true");
    let rejected = stage.call(&key, "POST", &path, &as_csv, bad()).await.good(200);
    let text = rejected.as_str().unwrap();
    assert!(
        text.starts_with("Phone Number,OptIn,Locale,CustomerName,OrderNumber,DeliveryDate,error\r\n12,perhaps"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 3);
    assert_eq!(stage.call(&key, "POST", &path, &as_csv, good()).await.status, 204);

    let sent = stage.upload_csv(&key, "?on_invalid=skip&name=..%2Fcustomers.csv", &bad()).await.good(202);
    let id = sent["run"]["id"].as_str().unwrap();
    let facts = (sent["run"]["status"].as_str(), sent["run"]["source"].as_str(), sent["run"]["rows"].as_u64());
    assert_eq!(facts, (Some("running"), Some("file customers.csv"), Some(5)));
    assert_eq!(sent["file"]["rejected_csv"], format!("/v1/runs/{id}/rejected.csv"));
    stage.over(id.parse().unwrap()).await;
    let again = stage.upload_csv(&key, "?on_invalid=skip", &bad()).await;
    again.refused(409, "already_sent", &[id, "again=true"]);
    assert_eq!(again.body["run"], id);
    let second = stage.upload_csv(&key, "?on_invalid=skip&again=true", &bad()).await.good(202);
    assert_ne!(second["run"]["id"], id);
    stage.over(second["run"]["id"].as_str().unwrap().parse().unwrap()).await;
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_is_one_run() {
    let (stage, key) = stage().await;
    let headers = [CSV, ("idempotency-key", "monday")];
    let call =
        async |query: &str, csv: String| stage.call(&key, "POST", &format!("{RUNS}{query}"), &headers, csv).await;
    call("", bad()).await.refused(422, "invalid_rows", &[]);
    let first = call("?again=true", good()).await;
    assert!(!first.replayed, "what was refused is forgotten");
    let first = first.good(202);
    let second = call("?again=true", good()).await;
    assert!(second.replayed);
    assert_eq!(second.good(202), first);
    call("?again=true", bad()).await.refused(422, "idempotency_key_reused", &[]);
    call("", good()).await.refused(422, "idempotency_key_reused", &[]);
    assert_eq!(stage.app.store.runs(&stage.org, None, 9).await.unwrap().len(), 1);
    stage.over(first["run"]["id"].as_str().unwrap().parse().unwrap()).await;
    assert!(stage.accepted_numbers().await == 3);
    stage.strike().await;
}

impl Stage {
    async fn accepted_numbers(&self) -> u64 {
        self.sandbox().summary().accepted
    }
}

/// A form with these parts: name, file's name, text.
fn form(parts: &[(&str, Option<&str>, &str)]) -> String {
    let part = |(name, file, text): &(&str, Option<&str>, &str)| {
        let file = file.map(|file| format!("; filename=\"{file}\"\r\nContent-Type: text/csv")).unwrap_or_default();
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n")
    };
    format!("{}--edge--\r\n", parts.iter().map(part).collect::<String>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_brings_the_file_and_its_options() {
    let (stage, key) = stage().await;
    let kind = [("content-type", "multipart/form-data; boundary=edge")];
    let call = async |query: &str, parts: &[(&str, Option<&str>, &str)]| {
        stage.call(&key, "POST", &format!("{RUNS}{query}"), &kind, form(parts)).await
    };
    let no_optin = "to,CustomerName,OrderNumber,DeliveryDate\n+4915155500009,Ana,AC-1,Monday\n12,Bo,AC-2,Monday\n";
    let file = ("file", Some("märz.csv"), no_optin);
    call("", &[file]).await.refused(422, "no_optin_column", &["opted_in=true"]);
    let attested = [file, ("opted_in", None, "true"), ("on_invalid", None, "skip")];
    let dry = call("?dry_run=true", &attested).await.good(200);
    assert_eq!((dry["dry_run"]["valid"].as_u64(), dry["dry_run"]["invalid"].as_u64()), (Some(1), Some(1)));
    let sent = call("", &attested).await.good(202);
    assert_eq!(sent["run"]["source"], "file märz.csv");
    stage.over(sent["run"]["id"].as_str().unwrap().parse().unwrap()).await;
    let named = call("?again=true", &[("name", None, "april.csv"), file, attested[1], attested[2]]).await.good(202);
    assert_eq!(named["run"]["source"], "file april.csv");
    stage.over(named["run"]["id"].as_str().unwrap().parse().unwrap()).await;

    for (query, parts, code, word) in [
        ("", &[("opted_in", None, "true")][..], "invalid_body", "no part \"file\""),
        ("", &[file, file], "invalid_body", "two parts \"file\""),
        ("", &[file, ("colour", None, "red")], "invalid_body", "no part \"colour\""),
        ("", &[file, ("again", None, "perhaps")], "invalid_body", "true or false"),
        ("", &[file, ("on_invalid", None, "stop")], "invalid_body", "refuse"),
    ] {
        call(query, parts).await.refused(422, code, &[word]);
    }
    let contradiction = call("?on_invalid=refuse", &attested).await;
    contradiction.refused(400, "invalid_query", &["on_invalid", "different values"]);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_says_why() {
    let mut setup = Setup::new(Database::Sqlite);
    setup.config.api.max_upload_bytes = 10_000;
    setup.set.configurations.get_mut("case-resolved").unwrap().active = false;
    let stage = Stage::set(setup).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    stage.upload_csv(&reads, "", &good()).await.refused(403, "forbidden", &["send or admin"]);
    stage.upload_csv(&key, "?colour=red", &good()).await.refused(400, "invalid_query", &["colour"]);
    stage.upload_csv(&key, "?on_invalid=stop", &good()).await.refused(400, "invalid_query", &["skip"]);
    let large = shipping((0..2_000).map(phone));
    stage.upload_csv(&key, "", &large).await.refused(413, "body_too_large", &["10000 bytes", "max_upload_bytes"]);
    let kind = [("content-type", "multipart/form-data; boundary=edge")];
    let in_a_form = stage.call(&key, "POST", RUNS, &kind, form(&[("file", Some("x.csv"), &large)])).await;
    in_a_form.refused(413, "body_too_large", &["10000 bytes"]);
    stage.call(&key, "POST", RUNS, &[], good()).await.refused(
        415,
        "unsupported_media_type",
        &["text/csv", "multipart"],
    );
    let nowhere = "/v1/outbound-configurations/nothing/runs";
    stage.call(&key, "POST", nowhere, &[CSV], good()).await.refused(404, "not_found", &["nothing"]);
    let inactive = "/v1/outbound-configurations/case-resolved/runs";
    stage.call(&key, "POST", inactive, &[CSV], good()).await.refused(409, "configuration_inactive", &["active again"]);

    for (file, code, member, value) in [
        ("", "empty_file", "byte", Value::Null),
        ("to,optin,CustomerName,OrderNumber,DeliveryDate\n", "no_rows", "line", Value::Null),
        ("a\nx\0y\n", "nul_byte", "byte", json!(3)),
        ("to,optin,CustomerName,OrderNumber,DeliveryDate\n1,\"x\"y\n", "stray_quote", "line", json!(2)),
        ("to,optin,CustomerName,OrderNumber,DeliveryDate\n1,\"yes\n", "open_quote", "line", json!(2)),
        ("to,optin,CustomerName,OrderNumber,DeliveryDate\n1\r2\n", "bare_carriage_return", "byte", json!(48)),
        ("name,optin\n", "no_recipient_column", "found", json!(["name", "optin"])),
        ("to,mobile\n", "two_recipient_columns", "columns", json!(["to", "mobile"])),
        ("to,Case Name,case_name\n", "duplicate_column", "columns", json!(["Case Name", "case_name"])),
        ("to,optin,OrderNumber\n", "missing_columns", "missing", json!(["CustomerName", "DeliveryDate"])),
    ] {
        let refused = stage.upload_csv(&key, "", file).await;
        refused.refused(422, code, &[]);
        assert_eq!(refused.body[member], value, "{}", refused.body);
    }
    for (bytes, words) in [
        (&b"to,optin,Name\n1,1,Ren\xe9\n"[..], ["byte offset 21", "Latin-1"]),
        (b"\xff\xfet\0o\0\n\0", ["byte offset 0", "UTF-16"]),
    ] {
        let refused = stage.call(&key, "POST", RUNS, &[CSV], bytes.to_vec()).await;
        refused.refused(422, "not_utf8", &words);
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audience_that_herald_holds_is_sent_to() {
    let (stage, key) = stage().await;
    let runs = "/v1/outbound-configurations/case-resolved/runs";
    let call = async |body: Value| stage.json(&key, "POST", runs, body).await;
    let dry = call(json!({ "list": "customers", "dry_run": true })).await.good(200);
    assert_eq!((dry["dry_run"]["rows"].as_u64(), dry["dry_run"]["valid"].as_u64()), (Some(120), Some(120)));
    let headers = [("content-type", "application/json"), ("idempotency-key", "list")];
    let body = r#"{"list": "customers"}"#;
    let sent = stage.call(&key, "POST", runs, &headers, body).await.good(202);
    assert_eq!((sent["run"]["rows"].as_u64(), &sent["file"]), (Some(120), &Value::Null));
    let again = stage.call(&key, "POST", runs, &headers, body).await;
    assert!(again.replayed && again.good(202) == sent);
    stage.over(sent["run"]["id"].as_str().unwrap().parse().unwrap()).await;

    call(json!({ "list": "nobody" })).await.refused(422, "unusable", &["nobody", "customers"]);
    call(json!({ "cases": { "status": "on fire" } })).await.refused(422, "nobody", &["on fire"]);
    call(json!({ "list": "customers", "cases": {} })).await.refused(422, "invalid_body", &["one of them"]);
    call(json!({ "colour": "red" })).await.refused(422, "invalid_body", &["colour"]);
    let own = stage.json(&key, "POST", RUNS, json!({})).await;
    own.refused(422, "no_audience", &["shipping-delay", "no audience of its own"]);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_are_files_and_nobody_elses() {
    let (stage, key) = stage().await;
    let sent = stage.upload_csv(&key, "?on_invalid=skip", &bad()).await.good(202);
    let id = sent["run"]["id"].as_str().unwrap();
    stage.over(id.parse().unwrap()).await;
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    for (name, lines) in [("report", 6), ("rejected", 3)] {
        let url = format!("{}/v1/runs/{id}/{name}.csv", stage.base_url);
        let answer = stage.client.request(Method::GET, url).bearer_auth(&reads).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let told = (header("content-type"), header("content-disposition"), header("cache-control"));
        let file = format!("attachment; filename=\"{id}-{name}.csv\"");
        assert_eq!(told, ("text/csv; charset=utf-8".to_owned(), file, "no-store".to_owned()));
        assert_eq!(answer.text().await.unwrap().lines().count(), lines);
        let mut other = stage.set.clone();
        other.organization.id = "globex".parse().unwrap();
        herald::definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
        let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;
        let path = format!("/v1/runs/{id}/{name}.csv");
        stage.json(&stranger, "GET", &path, Value::Null).await.refused(404, "not_found", &[id]);
    }
    stage.strike().await;
}
