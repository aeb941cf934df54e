//! Definitions by API: each kind made, shown, changed and removed; what is refused, and how; secrets, which nobody is shown.

use herald::{
    definitions::{self, DefinitionSet},
    domain::{id::OrgId, run::RunStatus},
    http::keys::Scope,
    sandbox::Settings,
    secret::SecretRef,
};
use serde_json::{Value, json};

use crate::support::{Database, HOOK_SECRET, Setup, Stage, people::Called, phone, shipping};

/// A stage with an organization that defines nothing, and the keys of an admin and of a reader of it.
struct Blank {
    stage: Stage,
    admin: String,
    reader: String,
}

const ORG: &str = "globex";

impl Blank {
    async fn set(setup: Setup) -> Self {
        let stage = Stage::set(setup).await;
        let org: OrgId = ORG.parse().unwrap();
        let nothing = DefinitionSet::of_nothing(&org, "Globex", Some("Europe/Berlin")).unwrap();
        definitions::apply(&stage.app.store, &nothing, stage.app.clock.now(), rand::random).await.unwrap();
        let (admin, reader) = (stage.key_for(&org, Scope::Admin).await, stage.key_for(&org, Scope::Read).await);
        Self { stage, admin, reader }
    }

    async fn new() -> Self {
        Self::set(Setup::new(Database::Sqlite)).await
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Called {
        self.stage.json(&self.admin, method, path, body).await
    }

    async fn ask_if(&self, method: &str, path: &str, tag: &str, body: &Value) -> Called {
        let headers = [("content-type", "application/json"), ("if-match", tag)];
        self.stage.call(&self.admin, method, path, &headers, body.to_string()).await
    }

    /// The account, the channel and the template that configurations stand on.
    async fn with_ground(self) -> Self {
        for (path, body) in [
            ("/v1/accounts", account("main")),
            ("/v1/channels", channel("sms")),
            ("/v1/templates", template("greeting")),
        ] {
            self.ask("POST", path, body).await.good(201);
        }
        self
    }
}

fn account(name: &str) -> Value {
    json!({ "name": name, "provider": "twilio", "account_sid": Settings::DEFAULT_ACCOUNT_SID, "auth_token": { "value": "hunter2hunter2" } })
}

fn channel(name: &str) -> Value {
    json!({ "name": name, "type": "sms", "account": "main", "number": "14252306549" })
}

fn template(name: &str) -> Value {
    json!({ "name": name, "channel_type": "sms", "default_locale": "en", "purpose": "transactional", "texts": { "en": "Hi {{Name}}", "fr_ca": "Salut {{Name}}" } })
}

fn automatic(name: &str) -> Value {
    let contact = json!({ "to": "event.data.to", "context": { "Name": "event.data.name" } });
    json!({ "name": name, "channel": "sms", "template": "greeting", "opted_in": true, "trigger": { "kind": "automatic", "event": "e", "contact": contact } })
}

fn hook(name: &str) -> Value {
    json!({ "name": name, "secret": { "value": HOOK_SECRET } })
}

fn endpoint(name: &str) -> Value {
    json!({ "name": name, "url": "https://example.com/herald", "secret": { "value": HOOK_SECRET }, "events": ["message.failed"] })
}

/// A body with another value at a place.
fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[key] = value;
    body
}

/// What is wrong, as place and words.
#[track_caller]
fn errors(called: &Called, status: u16, code: &str) -> Vec<String> {
    called.refused(status, code, &[]);
    let errors = called.body["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|one| format!("{} {}", one["pointer"].as_str().unwrap(), one["detail"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_is_made_shown_changed_and_removed() {
    let api = Blank::new().await.with_ground().await;
    for (path, one, many, body, pointer, other) in [
        (
            "/v1/accounts",
            "account",
            "accounts",
            account("x"),
            "/account_sid",
            json!("AC00000000000000000000000000000002"),
        ),
        ("/v1/channels", "channel", "channels", channel("x"), "/pace", json!("7/s")),
        ("/v1/templates", "template", "templates", template("x"), "/texts", json!({ "en": "Hello" })),
        ("/v1/outbound-configurations", "configuration", "configurations", automatic("x"), "/valid_for", json!("2h")),
        (
            "/v1/hooks",
            "hook",
            "hooks",
            hook("x"),
            "/secret",
            json!({ "value": "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI=" }),
        ),
        ("/v1/endpoints", "endpoint", "endpoints", endpoint("x"), "/active", json!(false)),
    ] {
        let keyed = [("content-type", "application/json"), ("idempotency-key", one)];
        let made = api.stage.call(&api.admin, "POST", path, &keyed, body.to_string()).await;
        assert_eq!((made.etag.as_deref(), made.replayed), (Some("\"1\""), false), "{path}: {}", made.body);
        let again = api.stage.call(&api.admin, "POST", path, &keyed, body.to_string()).await;
        assert!(again.replayed && again.body == made.body, "{path}");
        let made = made.good(201);
        let (id, version) = (made[one]["id"].as_str().unwrap().to_owned(), made[one]["version"].as_i64());
        assert_eq!((made[one]["name"].as_str(), version), (Some("x"), Some(1)), "{made}");
        assert!(made[one]["changed_at"].is_string() && made["notices"].is_array());
        api.ask("POST", path, body.clone()).await.refused(409, "name_taken", &["\"x\""]);

        for name in ["x", id.as_str()] {
            let shown = api.ask("GET", &format!("{path}/{name}"), Value::Null).await;
            assert_eq!(shown.etag.as_deref(), Some("\"1\""));
            assert_eq!(shown.good(200)[one], made[one], "{path}");
        }
        let listed = api.ask("GET", path, Value::Null).await.good(200);
        assert!(listed[many].as_array().unwrap().iter().any(|shown| *shown == made[one]), "{listed}");

        // PUT takes what GET shows, without saying the secret again.
        let own = format!("{path}/x");
        let same = api.ask("PUT", &own, made[one]["definition"].clone()).await.good(200);
        assert_eq!((&same[one]["version"], &same[one]["id"]), (&json!(1), &json!(id)), "{same}");
        let changed = with(made[one]["definition"].clone(), pointer, other.clone());
        let put = api.ask_if("PUT", &own, "\"1\"", &changed).await;
        assert_eq!(put.etag.as_deref(), Some("\"2\""), "{path}: {}", put.body);
        let put = put.good(200);
        assert_eq!((&put[one]["version"], &put[one]["id"]), (&json!(2), &json!(id)));
        assert!(pointer == "/secret" || put[one]["definition"][&pointer[1..]] == other, "{put}");
        api.ask_if("PUT", &own, "\"1\"", &changed).await.refused(412, "changed_meanwhile", &["\"2\""]);
        api.ask_if("DELETE", &own, "\"1\", W/\"2\"", &Value::Null).await.refused(412, "changed_meanwhile", &[]);
        let renamed =
            errors(&api.ask("PUT", &own, with(changed.clone(), "/name", json!("y"))).await, 422, "invalid_definition");
        assert!(renamed[0].starts_with("/name is \"x\" and stays so"), "{renamed:?}");

        let gone = api.ask_if("DELETE", &own, "\"1\", \"2\"", &Value::Null).await;
        assert_eq!((gone.status, gone.body), (204, json!("")), "{path}");
        for method in ["GET", "DELETE"] {
            api.ask(method, &own, Value::Null).await.refused(404, "not_found", &["\"x\""]);
        }
        api.ask("PUT", &own, changed).await.refused(404, "not_found", &["\"x\""]);
        // The next of this name is another.
        let anew = api.ask("POST", path, body).await.good(201);
        assert!(anew[one]["id"] != json!(id) && anew[one]["version"] == 1);
        assert!(one != "hook" || anew[one]["url"] != made[one]["url"]);
    }
    api.stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_told_with_its_place() {
    let api = Blank::new().await.with_ground().await;
    let configuration = "/v1/outbound-configurations";
    for (path, body, expected) in [
        ("/v1/channels", json!({}), vec!["/name missing"]),
        ("/v1/channels", with(channel("a b"), "/type", json!("sms")), vec!["/name \"a b\" cannot be a name"]),
        ("/v1/channels", with(channel("../x"), "/type", json!("sms")), vec!["/name \"../x\" cannot be a name"]),
        (
            "/v1/channels",
            json!({ "name": "x", "type": "email", "number": 3, "pase": "1/s" }),
            vec!["/account missing", "/number ", "/pase unknown key; did you mean \"pace\"?", "/type \"email\" is not"],
        ),
        (
            "/v1/channels",
            with(channel("x"), "/number", json!("+1425")),
            vec!["/number \"+1425\" cannot be this channel's sender"],
        ),
        (
            "/v1/channels",
            with(channel("x"), "/account", json!("mian")),
            vec!["/account there is no account \"mian\"; did you mean \"main\"?"],
        ),
        ("/v1/channels", with(channel("x"), "/id", json!("chn_1")), vec!["/id unknown key"]),
        (
            "/v1/templates",
            with(template("x"), "/default_locale", json!("de")),
            vec!["/default_locale there is no text for it; expected one under texts, \"de\""],
        ),
        (
            "/v1/templates",
            with(
                with(template("x"), "/texts", json!({ "en": "Hi\n{{#if A}}" , "english": "x", "de": 3 })),
                "/purpose",
                json!("fun"),
            ),
            vec!["/texts/de is no text"],
        ),
        (
            "/v1/templates",
            with(with(template("x"), "/texts", json!({ "en": " ", "english": "x" })), "/purpose", json!("fun")),
            vec![
                "/texts/en the text is empty",
                "/texts/english the name says no locale",
                "/purpose \"fun\" is not a purpose",
            ],
        ),
        (
            "/v1/templates",
            with(template("x"), "/texts", json!({ "en": "Hi\n{{#each A}}" })),
            vec!["/texts/en line 2, column "],
        ),
        (
            "/v1/templates",
            with(template("x"), "/approved", json!({ "en": { "content_sid": "HX1" } })),
            vec!["/approved only a template for whatsapp", "/approved/en/content_sid \"HX1\" is no content"],
        ),
        (
            configuration,
            with(automatic("x"), "/trigger/when", json!("event.data.x ==")),
            vec!["/trigger/when line 1, column "],
        ),
        (configuration, with(automatic("x"), "/trigger/event", json!("no event")), vec!["/trigger/event "]),
        (
            configuration,
            with(automatic("x"), "/trigger/contact/context", json!({ "a.b": "evnt.x" })),
            vec!["/trigger/contact/context/a.b "],
        ),
        (
            configuration,
            with(automatic("x"), "/trigger/contact/context", json!({})),
            vec!["/trigger/contact/context configuration \"x\" does not fill Name"],
        ),
        (configuration, with(automatic("x"), "/template", json!("nothing")), vec!["/template there is no template"]),
        (
            configuration,
            with(automatic("x"), "/trigger", json!({ "kind": "scheduled", "cron": "0 25 * * *" })),
            vec!["/audience missing", "/trigger/cron "],
        ),
        (configuration, with(automatic("x"), "/valid_for", json!(u64::MAX)), vec!["/valid_for is too large"]),
        ("/v1/endpoints", with(endpoint("x"), "/url", json!("http://example.com")), vec!["/url is not encrypted"]),
        (
            "/v1/endpoints",
            with(endpoint("x"), "/secret", json!({ "value": "whsec_short" })),
            vec!["/secret/value is no secret of a webhook"],
        ),
        ("/v1/accounts", json!({ "name": "x", "provider": "pigeon" }), vec!["/provider \"pigeon\" is not a provider"]),
        (
            "/v1/accounts",
            json!({ "name": "x", "provider": "twilio", "account_sid": "AC1" }),
            vec!["/auth_token missing; expected {\"value\": \"…\"}", "/account_sid is not a Twilio account sid"],
        ),
        (
            "/v1/accounts",
            json!({ "name": "x", "provider": "telesign", "customer_id": "C1", "api_key": { "value": "no base64!" } }),
            vec![" account \"x\" cannot be used: "],
        ),
    ] {
        let found = errors(&api.ask("POST", path, body.clone()).await, 422, "invalid_definition");
        let fits =
            found.len() >= expected.len() && expected.iter().all(|word| found.iter().any(|it| it.starts_with(word)));
        assert!(fits, "{path} {body}\n{found:#?}\n{expected:#?}");
    }
    api.ask("POST", "/v1/channels", json!([])).await.refused(422, "invalid_body", &[]);
    api.stage.call(&api.admin, "POST", "/v1/channels", &[("content-type", "application/json")], "{").await.refused(
        400,
        "invalid_body",
        &[],
    );
    let listed = api.ask("GET", "/v1/channels", Value::Null).await.good(200);
    assert_eq!(listed["channels"].as_array().unwrap().len(), 1, "nothing of it was kept: {listed}");
    api.stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_stand_on_stays_as_they_need_it() {
    let api = Blank::new().await.with_ground().await;
    api.ask("POST", "/v1/outbound-configurations", automatic("created")).await.good(201);
    for (path, words) in [
        ("/v1/accounts/main", "channel \"sms\""),
        ("/v1/channels/sms", "outbound configuration \"created\""),
        ("/v1/templates/greeting", "outbound configuration \"created\""),
    ] {
        api.ask("DELETE", path, Value::Null).await.refused(409, "in_use", &[words]);
    }
    let needing = with(template("greeting"), "/texts", json!({ "en": "Hi {{Name}}, it is {{Day}}" }));
    let found = errors(&api.ask("PUT", "/v1/templates/greeting", needing.clone()).await, 422, "breaks_definitions");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("outbound configuration \"created\": configuration \"created\" does not fill Day"),
        "{found:?}"
    );
    let whatsapp = with(with(channel("sms"), "/type", json!("whatsapp")), "/number", json!("+14252306549"));
    let found = errors(&api.ask("PUT", "/v1/channels/sms", whatsapp).await, 422, "breaks_definitions");
    assert!(found[0].contains("\"greeting\" is for sms, and channel \"sms\" is whatsapp"), "{found:?}");
    // First who fills it, then who needs it.
    let filling = with(automatic("created"), "/trigger/contact/context/Day", json!("event.data.day"));
    api.ask("PUT", "/v1/outbound-configurations/created", filling).await.good(200);
    let put = api.ask("PUT", "/v1/templates/greeting", needing).await.good(200);
    assert_eq!(
        (put["template"]["version"].as_i64(), &put["template"]["required_slugs"]),
        (Some(2), &json!(["Day", "Name"]))
    );
    // From the leaves to the root, all of it goes.
    for path in
        ["/v1/outbound-configurations/created", "/v1/templates/greeting", "/v1/channels/sms", "/v1/accounts/main"]
    {
        assert_eq!(api.ask("DELETE", path, Value::Null).await.status, 204, "{path}");
    }
    api.stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_stays_until_its_runs_are_over() {
    let mut setup = Setup::new(Database::Sqlite);
    setup.token = "0000000000000000000000000000bad0".to_owned();
    let stage = Stage::set(setup).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let run = stage.send("shipping-delay", &shipping([phone(1)])).await;
    stage.until("it is held", async || (stage.run(run).await.status == RunStatus::Held).then_some(())).await;
    for name in ["case-created", "case-resolved", "monthly-reminder", "payment-due", "shipping-delay"] {
        let gone = stage.json(&admin, "DELETE", &format!("/v1/outbound-configurations/{name}"), Value::Null).await;
        assert_eq!(gone.status, 204, "{}", gone.body);
    }
    let path = "/v1/channels/support-sms";
    stage.json(&admin, "DELETE", path, Value::Null).await.refused(409, "in_use", &[&run.to_string(), "not over"]);
    herald::store::Store::begin_cancel(&stage.app.store, &stage.org, run).await.unwrap();
    stage.app.store.cancel_some(&stage.org, run, stage.app.clock.now()).await.unwrap();
    stage.until("it is over", async || stage.run(run).await.status.is_over().then_some(())).await;
    assert_eq!(stage.json(&admin, "DELETE", path, Value::Null).await.status, 204);
    let shown = stage.json(&admin, "GET", &format!("/v1/messages?run={run}"), Value::Null).await.good(200);
    assert_eq!(shown["messages"][0]["status"], "cancelled", "what was sent, or not, can still be read");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sealed_and_shown_to_nobody() {
    let api = Blank::new().await.with_ground().await;
    let mut said = String::new();
    let mut hear = |called: Called| {
        said.push_str(&called.body.to_string());
        called
    };
    hear(api.ask("POST", "/v1/hooks", hook("crm")).await).good(201);
    hear(api.ask("POST", "/v1/endpoints", endpoint("centre")).await).good(201);
    for path in ["/v1/accounts", "/v1/accounts/main", "/v1/hooks", "/v1/endpoints", "/v1/endpoints/centre"] {
        hear(api.ask("GET", path, Value::Null).await).good(200);
    }
    let shown = hear(api.ask("GET", "/v1/accounts/main", Value::Null).await).good(200);
    assert_eq!(shown["account"]["definition"]["auth_token"], json!({ "set": true, "from": "sealed" }));
    assert_eq!((&shown["account"]["usable"], &shown["account"]["provider"]), (&json!(true), &json!("twilio")));

    let elsewhere = json!("https://evil.example");
    let kept = |body: Value| with(body, "/auth_token", json!({ "set": true }));
    let secretless = with(kept(account("main")), "/messaging_service", json!("MG00000000000000000000000000000001"));
    hear(api.ask("PUT", "/v1/accounts/main", secretless).await).good(200);
    for (body, words) in [
        (with(kept(account("main")), "/base_url", elsewhere.clone()), "/auth_token has to be given anew"),
        (
            with(account("main"), "/auth_token", json!({ "env": "PATH" })),
            "/auth_token a reference to the server's environment",
        ),
        (with(account("main"), "/auth_token", json!({ "file": "/etc/hostname" })), "/auth_token a reference"),
        (with(account("main"), "/auth_token", json!("hunter2hunter2")), "/auth_token is no secret"),
        (
            with(account("main"), "/auth_token", json!({ "value": "hunter2hunter2", "x": 1 })),
            "/auth_token is no secret",
        ),
        (with(account("main"), "/account_sid", json!({ "value": "hunter2hunter2" })), "/account_sid "),
    ] {
        let refused = hear(api.ask("PUT", "/v1/accounts/main", body).await);
        let found = errors(&refused, 422, "invalid_definition");
        assert!(found.iter().any(|it| it.starts_with(words)), "{words}: {found:?}");
    }
    let moved = with(with(endpoint("centre"), "/secret", json!({ "set": true })), "/url", elsewhere.clone());
    let found = errors(&hear(api.ask("PUT", "/v1/endpoints/centre", moved).await), 422, "invalid_definition");
    assert!(found[0].starts_with("/secret has to be given anew"), "{found:?}");
    // Given anew, it may go elsewhere.
    hear(api.ask("PUT", "/v1/accounts/main", with(account("main"), "/base_url", elsewhere)).await).good(200);

    // At rest it is sealed, and sealed for its own place.
    let org: OrgId = ORG.parse().unwrap();
    let stored = api.stage.app.store.definitions(&org).await.unwrap();
    let kept: String = stored.iter().map(|one| format!("{one:?}")).collect();
    let book = api.stage.app.books.current(&org).await.unwrap().unwrap();
    let shown = format!("{said} {kept} {book:?} {:?}", api.stage.app);
    for secret in ["hunter2", HOOK_SECRET, HOOK_SECRET.trim_start_matches("whsec_"), "MDEyMzQ1Njc4OWFi"] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    assert!(!said.contains("sealed\":") && kept.matches("sealed").count() == 3, "{said}");
    api.stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_files_said_of_secrets_is_kept_and_only_there_changed() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let shown = stage.json(&admin, "GET", "/v1/accounts/twilio", Value::Null).await.good(200);
    let definition = shown["account"]["definition"].clone();
    assert_eq!(definition["auth_token"], json!({ "set": true, "from": "env ACME_TWILIO_TOKEN" }));
    let put = async |body: Value| stage.json(&admin, "PUT", "/v1/accounts/twilio", body).await;
    let service = with(definition.clone(), "/messaging_service", json!("MG00000000000000000000000000000001"));
    for body in [service.clone(), with(service.clone(), "/auth_token", json!({ "env": "ACME_TWILIO_TOKEN" }))] {
        assert_eq!(put(body).await.good(200)["account"]["definition"], service);
    }
    let found = errors(
        &put(with(service.clone(), "/auth_token", json!({ "env": "ACME_ACS_KEY" }))).await,
        422,
        "invalid_definition",
    );
    assert!(found[0].starts_with("/auth_token a reference"), "{found:?}");
    // The example's files, applied again, say what they said.
    let applied = definitions::apply(&stage.app.store, &stage.set, stage.app.clock.now(), rand::random).await.unwrap();
    assert!(!applied.is_unchanged());
    assert_eq!(
        stage.json(&admin, "GET", "/v1/accounts/twilio", Value::Null).await.good(200)["account"]["definition"],
        definition
    );
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_seal_key_it_is_said_how_to_make_one() {
    let mut setup = Setup::new(Database::Sqlite);
    setup.config.seal_key = SecretRef::Env("HERALD_TEST_NO_SUCH_KEY".to_owned());
    let api = Blank::set(setup).await;
    let refused = api.ask("POST", "/v1/hooks", hook("crm")).await;
    refused.refused(409, "no_seal_key", &["openssl rand -base64 32"]);
    assert!(!refused.body.to_string().contains(HOOK_SECRET));
    // What has no secret needs no key.
    api.ask("POST", "/v1/templates", template("greeting")).await.good(201);
    api.stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_organizations_definitions_are_not_there_and_only_admins_write() {
    let api = Blank::new().await.with_ground().await;
    let stranger = api.stage.key_for(&api.stage.org, Scope::Admin).await;
    for (path, body) in [
        ("/v1/accounts/main", account("main")),
        ("/v1/channels/sms", channel("sms")),
        ("/v1/templates/greeting", template("greeting")),
    ] {
        let id = api.ask("GET", path, Value::Null).await.good(200);
        let id = id.as_object().unwrap().values().next().unwrap()["id"].as_str().unwrap().to_owned();
        let list = path.rsplit_once('/').unwrap().0;
        for path in [path.to_owned(), format!("{list}/{id}")] {
            api.stage.json(&stranger, "GET", &path, Value::Null).await.refused(404, "not_found", &[]);
            api.stage.json(&stranger, "PUT", &path, body.clone()).await.refused(404, "not_found", &[]);
            api.stage.json(&stranger, "DELETE", &path, Value::Null).await.refused(404, "not_found", &[]);
            api.stage.json(&api.reader, "PUT", &path, body.clone()).await.refused(403, "forbidden", &["admin"]);
            api.stage.json(&api.reader, "DELETE", &path, Value::Null).await.refused(403, "forbidden", &["admin"]);
        }
        api.stage.json(&api.reader, "POST", list, body).await.refused(403, "forbidden", &["admin"]);
        let admins = list == "/v1/accounts";
        assert_eq!(api.stage.json(&api.reader, "GET", path, Value::Null).await.status, if admins { 403 } else { 200 });
        assert!(!api.stage.json(&stranger, "GET", list, Value::Null).await.good(200).to_string().contains(&id));
    }
    api.stage.json(&api.reader, "PUT", "/v1/organization", json!({})).await.refused(403, "forbidden", &[]);
    api.stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_organization_is_changed_and_schedules_follow_it() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    let path = "/v1/organization";
    let shown = stage.json(&admin, "GET", path, Value::Null).await;
    let tag = shown.etag.clone().unwrap();
    let definition = shown.good(200)["organization"]["definition"].clone();
    let monthly = async || {
        let shown =
            stage.json(&admin, "GET", "/v1/outbound-configurations/monthly-reminder", Value::Null).await.good(200);
        assert!(shown["configuration"]["definition"].get("name").is_none());
        shown["configuration"]["schedule"].clone()
    };
    let before = monthly().await;
    assert_eq!(before["next"].as_array().unwrap().len(), 5, "{before}");
    let own = stage.set.configurations["monthly-reminder"].clone();
    let fixed = matches!(&own.trigger, herald::domain::definition::Trigger::Scheduled { timezone: Some(_), .. });
    let changed = with(with(definition.clone(), "/timezone", json!("Asia/Tokyo")), "/quota", json!("1_000/hour"));
    let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
    let put = stage.call(&admin, "PUT", path, &headers, changed.to_string()).await;
    assert!(put.etag.is_some() && put.etag != Some(tag.clone()), "{}", put.body);
    assert_eq!(put.good(200)["organization"]["definition"]["timezone"], "Asia/Tokyo");
    stage.call(&admin, "PUT", path, &headers, changed.to_string()).await.refused(412, "changed_meanwhile", &[]);
    let after = monthly().await;
    assert_eq!(after != before, !fixed, "{after}");
    let quota = stage.json(&admin, "GET", "/v1/quota", Value::Null).await.good(200);
    assert_eq!(quota["limit"], 1_000);
    for (body, expected) in [
        (with(changed.clone(), "/id", json!("globex")), "/id cannot be changed"),
        (with(changed.clone(), "/templates", json!("/etc")), "/templates cannot be changed"),
        (with(changed.clone(), "/timezone", json!("Mars/Olympus")), "/timezone \"Mars/Olympus\" is not a time zone"),
        (with(changed.clone(), "/quota", json!("40_000/hour")), "/quota \"40"),
        (json!({}), "/name missing"),
    ] {
        let found = errors(&stage.json(&admin, "PUT", path, body).await, 422, "invalid_definition");
        assert!(found.iter().any(|it| it.starts_with(expected)), "{expected}: {found:?}");
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_write_at_once_and_none_is_lost() {
    let api = Blank::new().await.with_ground().await;
    let channels = (0..4).map(|nth| channel(&format!("c{nth}")));
    let asked = channels.map(|body| api.ask("POST", "/v1/channels", body));
    let statuses: Vec<u16> = futures::future::join_all(asked).await.into_iter().map(|called| called.status).collect();
    assert_eq!(statuses, [201; 4]);
    let same = (0..4).map(|_| api.ask("POST", "/v1/channels", channel("same")));
    let mut statuses: Vec<u16> =
        futures::future::join_all(same).await.into_iter().map(|called| called.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
    let first = api.ask("GET", "/v1/channels?after=c2", Value::Null).await.good(200);
    let names: Vec<&str> =
        first["channels"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!((names, &first["next"]), (vec!["c3", "same", "sms"], &Value::Null));
    api.stage.strike().await;
}
