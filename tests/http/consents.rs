//! Consent by API: one person, all of them, and a file.

use herald::{definitions, domain::contact::ChannelType, http::keys::Scope, store::consents::Consent};
use serde_json::{Value, json};

use crate::support::{Database, Setup, Stage, people::Called, phone};

impl Stage {
    async fn import(&self, key: &str, query: &str, csv: &str) -> Called {
        let path = format!("/v1/consents/import{query}");
        self.call(key, "POST", &path, &[("content-type", "text/csv")], csv.to_owned()).await
    }
}

fn of(nth: u32) -> String {
    format!("/v1/consents/{}", phone(nth).replace('+', "%2B"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person() {
    let stage = Stage::set(Setup::new(Database::Sqlite).with_whatsapp()).await;
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    let sends = stage.key_for(&stage.org, Scope::Send).await;
    let unknown = stage.json(&reads, "GET", &of(1), Value::Null).await.good(200);
    let nobody = json!({ "number": phone(1), "channel": "sms", "state": "unknown", "source": null, "actor": null, "changed_at": null });
    assert_eq!((&unknown["consents"][0], &unknown["history"], &unknown["next"]), (&nobody, &json!([]), &Value::Null));

    let out = json!({ "channel": "sms", "state": "opted_out", "note": "by phone" });
    stage.json(&reads, "PUT", &of(1), out.clone()).await.refused(403, "forbidden", &["send or admin"]);
    let set = stage.json(&sends, "PUT", &of(1), out.clone()).await.good(200);
    assert_eq!(
        (set["consents"][0]["state"].as_str(), set["consents"][0]["source"].as_str()),
        (Some("opted_out"), Some("api: by phone"))
    );
    assert!(set["consents"][0]["actor"].as_str().unwrap().starts_with("api key_"), "{set}");
    assert_eq!(set["consents"][1]["state"].as_str(), Some("unknown"), "{set}");
    stage.hand.advance(std::time::Duration::from_secs(1));
    let again = stage.json(&sends, "PUT", &of(1), out).await.good(200);
    assert_eq!(again["history"], set["history"], "the same again is no change");
    let both = stage.json(&sends, "PUT", &of(1), json!({ "state": "opted_in" })).await.good(200);
    let states: Vec<_> =
        both["consents"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!((states, both["history"].as_array().unwrap().len()), (vec!["opted_in", "opted_in"], 3), "{both}");
    let number = herald::domain::phone::E164::parse(&phone(1), None).unwrap();
    let known = stage.app.store.consents(&stage.org, ChannelType::Sms, &[number]).await.unwrap();
    assert_eq!(known.get(&number), Some(&Consent::In), "what the engine asks");
    // The plus may come as it is; another organization knows nothing of the person.
    assert_eq!(stage.json(&reads, "GET", &format!("/v1/consents/{}", phone(1)), Value::Null).await.good(200), both);
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;
    assert_eq!(stage.json(&stranger, "GET", &of(1), Value::Null).await.good(200), unknown);

    stage.json(&reads, "GET", "/v1/consents/12", Value::Null).await.refused(400, "invalid_number", &["leading +"]);
    let wrong = json!({ "channel": "fax", "state": "perhaps", "note": "x".repeat(201) });
    let wrong = stage.json(&sends, "PUT", &of(2), wrong).await;
    wrong.refused(422, "invalid_consent", &[]);
    let pointers: Vec<_> =
        wrong.body["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/channel", "/state", "/note"]);
    stage.json(&sends, "PUT", &of(2), json!({ "channel": "sms" })).await.refused(422, "invalid_body", &["state"]);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_them() {
    let stage = Stage::set(Setup::new(Database::Sqlite).with_whatsapp()).await;
    let sends = stage.key_for(&stage.org, Scope::Send).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let rows = |people: std::ops::Range<u32>| people.map(|n| format!("{},\n", phone(n))).collect::<String>();
    let bad = format!("phone,state,Name\n{}12,perhaps,Ana\n", rows(0..3).replace(",\n", ",,\n"));
    stage.import(&sends, "", &bad).await.refused(403, "forbidden", &["scope admin"]);
    let refused = stage.import(&admin, "", &bad).await;
    refused.refused(422, "invalid_rows", &["1 of 4 rows", "nothing was taken in", "fix 1 phone number"]);
    let errors: Vec<_> = refused.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_i64(), one["column"].as_str(), one["value"].as_str()))
        .collect();
    assert_eq!(errors, [(Some(5), Some("phone"), Some("12")), (Some(5), Some("state"), Some("perhaps"))]);
    let nothing = json!({ "consents": [], "next": null });
    assert_eq!(stage.json(&sends, "GET", "/v1/consents", Value::Null).await.good(200), nothing);

    let taken =
        stage.import(&admin, "?on_invalid=skip&channel=sms&name=stop.csv", &bad).await.good(200)["import"].clone();
    let told = ["rows", "valid", "invalid", "changed"].map(|name| taken[name].as_i64().unwrap());
    assert_eq!((told, &taken["ignored_columns"]), ([4, 3, 1, 3], &json!(["Name"])), "{taken}");
    let again = stage.import(&admin, "?on_invalid=skip&channel=sms&name=stop.csv", &bad).await.good(200);
    assert_eq!(again["import"]["changed"].as_i64(), Some(0), "taking it in again changes nothing");
    let shown = stage.json(&sends, "GET", &of(2), Value::Null).await.good(200);
    let change = &shown["history"][0];
    assert_eq!(
        (change["source"].as_str(), change["channel"].as_str()),
        (Some("file stop.csv"), Some("sms")),
        "{shown}"
    );
    assert!(change["actor"].as_str().unwrap().starts_with("api key_"), "{shown}");

    // More than one chunk, more than one page, both channel types.
    let many = format!("to,at\n{}", rows(10_000..16_000));
    assert_eq!(stage.import(&admin, "", &many).await.good(200)["import"]["changed"].as_i64(), Some(12_000));
    let (mut count, mut path) = (0, "/v1/consents?state=opted_out&channel=whatsapp".to_owned());
    loop {
        let page = stage.json(&sends, "GET", &path, Value::Null).await.good(200);
        let consents = page["consents"].as_array().unwrap();
        assert!(consents.iter().all(|one| one["channel"] == "whatsapp" && one["state"] == "opted_out"));
        count += consents.len();
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/consents?state=opted_out&channel=whatsapp&after={next}");
    }
    assert_eq!(count, 6_000);
    for (query, body, status, code) in [
        ("", "", 422, "empty_file"),
        ("", "name\nAna\n", 422, "no_recipient_column"),
        ("", "to\n\"x", 422, "open_quote"),
        ("?state=perhaps", "to\n", 400, "invalid_query"),
        ("?on_invalid=maybe", "to\n", 400, "invalid_query"),
    ] {
        stage.import(&admin, query, body).await.refused(status, code, &[]);
    }
    for query in ["state=perhaps", "channel=fax", "after=x", "colour=red"] {
        let refused = stage.json(&sends, "GET", &format!("/v1/consents?{query}"), Value::Null).await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.body);
    }
    stage.strike().await;
}
