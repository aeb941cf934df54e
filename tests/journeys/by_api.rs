//! An organization that nobody wrote a file for.

use herald::{
    definitions::{self, DefinitionSet},
    domain::id::OrgId,
    http::keys::Scope,
    inbound::webhook,
    sandbox::Settings,
    secret::Secret,
};
use serde_json::{Value, json};

use crate::support::{Database, HOOK_SECRET, Setup, Stage, phone};

pub async fn an_organization_made_by_api_alone_sends_and_hears_that_it_arrived(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let org: OrgId = "globex".parse().unwrap();
    // What `herald org create` does; all the rest is the API's.
    let nothing = DefinitionSet::of_nothing(&org, "Globex", None).unwrap();
    definitions::apply(&stage.app.store, &nothing, stage.app.clock.now(), rand::random).await.unwrap();
    let admin = stage.key_for(&org, Scope::Admin).await;
    let make = async |path: &str, body: Value| stage.json(&admin, "POST", path, body).await.good(201);

    let settings = json!({ "name": "Globex", "timezone": "Europe/Berlin", "default_country": "DE" });
    let put = stage.json(&admin, "PUT", "/v1/organization", settings).await;
    assert!(put.etag.is_some());
    put.good(200);
    let base_url = stage.sandbox().base_url();
    let token = json!({ "value": Settings::DEFAULT_AUTH_TOKEN });
    let account = json!({ "name": "main", "provider": "twilio", "account_sid": Settings::DEFAULT_ACCOUNT_SID, "auth_token": token, "base_url": base_url });
    let account = make("/v1/accounts", account).await;
    assert_eq!(account["account"]["usable"], true, "{account}");
    make(
        "/v1/channels",
        json!({ "name": "sms", "type": "sms", "account": "main", "number": "14252306549", "pace": "100/s" }),
    )
    .await;
    let texts = json!({ "en": "Hello {{Name}}", "de": "Hallo {{Name}}" });
    let template = json!({ "name": "greeting", "channel_type": "sms", "default_locale": "en", "purpose": "transactional", "texts": texts });
    make("/v1/templates", template).await;
    let contact = json!({ "to": "event.data.to", "locale": "\"de\"", "context": { "Name": "event.data.name" } });
    let trigger =
        json!({ "kind": "automatic", "event": "user.joined", "when": "event.data.name != \"\"", "contact": contact });
    let configuration =
        json!({ "name": "welcome", "channel": "sms", "template": "greeting", "opted_in": true, "trigger": trigger });
    let configuration = make("/v1/outbound-configurations", configuration).await;
    assert_eq!(configuration["configuration"]["compiled"], true, "{configuration}");
    let hook = make("/v1/hooks", json!({ "name": "crm", "secret": { "value": HOOK_SECRET } })).await;
    let good = stage.json(&admin, "POST", "/v1/accounts/main/validate", Value::Null).await.good(200);
    assert_eq!(good["good"], true, "the sealed token opens: {good}");

    let event = json!({ "type": "user.joined", "timestamp": "2026-11-20T09:00:00Z", "data": { "to": phone(1), "name": "Ana" } }).to_string();
    let at = stage.app.clock.now().seconds();
    let signature = webhook::sign(&Secret::new(HOOK_SECRET), "evt_1", at, event.as_bytes()).unwrap();
    let headers =
        [("webhook-id", "evt_1".to_owned()), ("webhook-timestamp", at.to_string()), ("webhook-signature", signature)];
    let (status, answer) = stage.post(hook["hook"]["url"].as_str().unwrap(), &headers, event).await;
    assert_eq!(status, 202, "{answer}");
    let path = format!("/v1/messages?to={}", phone(1).replace('+', "%2B"));
    let message = stage
        .until("the message is delivered", async || {
            let found = stage.json(&admin, "GET", &path, Value::Null).await.good(200);
            Some(found["messages"][0].clone()).filter(|message| message["status"] == "delivered")
        })
        .await;
    assert_eq!(message["locale"], "de");
    stage.quiet().await;
    stage.strike().await;
}
