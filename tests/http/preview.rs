//! `POST /v1/templates/{name}/preview`: what a contact would get, and what it costs.

use herald::{definitions, http::keys::Scope};
use serde_json::{Value, json};

use crate::support::{CHANNEL, Database, Setup, Stage};

const PATH: &str = "/v1/templates/payment-due/preview";

fn filled() -> Value {
    json!({ "CustomerName": "Ana", "InvoiceNumber": 77, "Amount": 1234.5, "Currency": "EUR", "DueDate": "2026-12-01" })
}

fn pointers(body: &Value) -> Vec<(&str, &str)> {
    let each = body["errors"].as_array().unwrap().iter();
    each.map(|one| (one["pointer"].as_str().unwrap(), one["detail"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_template_is_shown_in_every_language() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let key = stage.key_for(&stage.org, Scope::Read).await;
    let all = stage.json(&key, "POST", PATH, json!({ "contextitems": filled() })).await.good(200);
    assert_eq!(
        (&all["template"], &all["version"], &all["channel_type"]),
        (&json!("payment-due"), &json!(1), &json!("sms"))
    );
    let previews = all["previews"].as_array().unwrap();
    let told = previews.iter().map(|one| {
        let (text, sms) = (one["text"].as_str().unwrap(), &one["sms"]);
        assert_eq!(one["characters"].as_u64(), Some(text.chars().count() as u64));
        assert_eq!((&one["missing"], &one["problem"], &one["approved"]), (&json!([]), &Value::Null, &Value::Null));
        format!(
            "{} {} {} in {}, {} left: {text}",
            one["locale"].as_str().unwrap(),
            sms["encoding"].as_str().unwrap(),
            sms["units"],
            sms["segments"],
            sms["left"]
        )
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r##"
    de gsm7 123 in 1, 37 left: Guten Tag Ana, die Rechnung 77 über 1.234,50 € ist am 1. Dezember 2026 fällig. Falls Sie schon bezahlt haben, vielen Dank.
    el ucs2 124 in 2, 10 left: Γεια σας Ana, το τιμολόγιο 77 ποσού 1.234,50 € λήγει στις 1 Δεκεμβρίου 2026. Αν έχετε ήδη πληρώσει, αγνοήστε αυτό το μήνυμα.
    en gsm7 117 in 1, 43 left: Hello Ana, invoice 77 of €1,234.50 is due on December 1, 2026. If you have already paid, please ignore this message.
    fr gsm7 127 in 1, 33 left: Bonjour Ana, votre facture 77 de 1 234,50 € est à régler avant le 1 décembre 2026. Si vous avez déjà payé, ignorez ce message.
    id gsm7 112 in 1, 48 left: Halo Ana, tagihan 77 sebesar €1.234,50 jatuh tempo pada 1 Desember 2026. Abaikan pesan ini jika sudah membayar.
    ja ucs2 69 in 1, 1 left: Ana様、請求書77（€1,234.50）のお支払い期限は2026年12月1日です。お支払い済みの場合は、このメッセージをご放念ください。
    "##);

    let french = stage
        .json(
            &key,
            "POST",
            PATH,
            json!({ "locale": "fr-CA", "contextitems": { "customername": "Ana", "Amount": "1,5" } }),
        )
        .await
        .good(200);
    let french = &french["previews"];
    assert_eq!(french.as_array().unwrap().len(), 1);
    assert_eq!(
        (&french[0]["locale"], &french[0]["text"], &french[0]["sms"]),
        (&json!("fr"), &Value::Null, &Value::Null)
    );
    assert_eq!(french[0]["missing"], json!(["Currency", "DueDate", "InvoiceNumber"]));
    assert_eq!(french[0]["used"], json!(["Amount", "Currency", "CustomerName", "DueDate", "InvoiceNumber"]));
    assert_eq!(french[0]["problem"]["code"], json!("missing_slug"));
    let mut wrong = filled();
    wrong["Amount"] = json!("1,5");
    let wrong = stage.json(&key, "POST", PATH, json!({ "locale": "fr", "contextitems": wrong })).await.good(200);
    assert_eq!(wrong["previews"][0]["problem"]["code"], json!("invalid_value"));
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_held_to_the_same_rules() {
    let mut setup = Setup::new(Database::Sqlite);
    setup.set.channels.get_mut(CHANNEL).unwrap().smart_encoding = true;
    let stage = Stage::set(setup).await;
    let key = stage.key_for(&stage.org, Scope::Read).await;
    let text = format!("It’s {{{{Name}}}}… {}", "x".repeat(70));
    let body = |channel: Value| json!({ "texts": { "en": text }, "locale": "en", "contextitems": { "Name": "Ana" }, "channel": channel });
    let plain = stage.json(&key, "POST", "/v1/templates/brand-new/preview", body(Value::Null)).await.good(200);
    let (sms, smart) = (&plain["previews"][0]["sms"], &plain["previews"][0]["sms"]["smart_encoding"]);
    assert_eq!((&plain["version"], &sms["encoding"], &sms["segments"]), (&Value::Null, &json!("ucs2"), &json!(2)));
    assert_eq!(
        sms["ucs2"],
        json!([
            { "character": "’", "name": "U+2019 right single quotation mark", "replacement": "'", "places": [2] },
            { "character": "…", "name": "U+2026 horizontal ellipsis", "replacement": "...", "places": [8] },
        ])
    );
    assert_eq!((&smart["on"], &smart["saves"], &smart["replaced"]), (&json!(false), &json!(1), &json!([])));
    let smart = stage.json(&key, "POST", "/v1/templates/brand-new/preview", body(json!(CHANNEL))).await.good(200);
    let one = &smart["previews"][0];
    assert!(one["text"].as_str().unwrap().starts_with("It's Ana... xxx"), "{one}");
    assert_eq!(
        (&one["sms"]["encoding"], &one["sms"]["segments"], &one["sms"]["ucs2"]),
        (&json!("gsm7"), &json!(1), &json!([]))
    );
    assert_eq!(one["sms"]["smart_encoding"]["replaced"].as_array().unwrap().len(), 2);

    let draft =
        json!({ "texts": { "en": "Hi\n{{date}} {{date When style=\"tiny\"}}", "fr": "{{#each A}}x{{/each}}" } });
    let wrong = stage.json(&key, "POST", PATH, draft).await;
    wrong.refused(422, "invalid_template", &[]);
    let found = pointers(&wrong.body);
    assert_eq!(found.iter().map(|(pointer, _)| *pointer).collect::<Vec<_>>(), ["/texts/en", "/texts/fr"]);
    assert!(found[0].1.starts_with("line 2, column 10: style=\"tiny\" cannot be used"), "{found:?}");
    assert!(found[1].1.starts_with("line 1, column 1: there is no block \"#each\""), "{found:?}");

    let body = json!({
        "texts": { "english": "Hi", "fr": " ", "de-DE": "a", "de_de": "b" }, "locale": "x", "channel": "fax",
    });
    let wrong = stage.json(&key, "POST", PATH, body).await;
    wrong.refused(422, "invalid_body", &[]);
    let found: Vec<_> = pointers(&wrong.body).iter().map(|(pointer, _)| (*pointer).to_owned()).collect();
    assert_eq!(found, ["/channel", "/locale", "/texts/de_de", "/texts/english", "/texts/fr"], "{}", wrong.body);
    let wrong = stage.json(&key, "POST", PATH, json!({ "contextitems": { "A": [] }, "channel": "whatsapp" })).await;
    assert_eq!(
        pointers(&wrong.body).iter().map(|(pointer, _)| *pointer).collect::<Vec<_>>(),
        ["/contextitems/A", "/channel"]
    );
    let many: serde_json::Map<_, _> = (0..101).map(|nth| (format!("en-{nth:03}"), json!("x"))).collect();
    let wrong = stage.json(&key, "POST", PATH, json!({ "texts": many })).await;
    assert_eq!(pointers(&wrong.body), [("/texts", "101 texts; expected at most 100")]);
    stage.json(&key, "POST", PATH, json!({ "text": "x" })).await.refused(422, "invalid_body", &["unknown field"]);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approved_content_is_shown_as_it_would_be_sent_and_never_with_another_text() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let key = stage.key_for(&stage.org, Scope::Read).await;
    let path = "/v1/templates/appointment-reminder/preview";
    let items = json!({ "CustomerName": "L’Ana", "AppointmentTime": "10:00" });
    let shown = stage
        .json(&key, "POST", path, json!({ "locale": "fr-BE", "contextitems": items, "channel": "whatsapp" }))
        .await
        .good(200);
    let one = &shown["previews"][0];
    assert_eq!((&one["locale"], &one["sms"]), (&json!("fr"), &Value::Null));
    assert!(one["text"].as_str().unwrap().starts_with("Bonjour L’Ana, nous"), "{one}");
    assert_eq!(one["approved"]["variables"], json!({ "1": "L’Ana", "2": "10:00" }));
    let wrong = stage
        .json(&key, "POST", path, json!({ "texts": { "fr": "Salut {{CustomerName}}, {{AppointmentTime}}" } }))
        .await;
    wrong.refused(422, "invalid_template", &[]);
    let found = pointers(&wrong.body);
    assert!(found[0].0 == "/texts/fr" && found[0].1.contains("says something else than fr.hbs"), "{found:?}");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_for_whoever_may_read_it() {
    let stage = Stage::set(Setup::new(Database::Sqlite)).await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    other.templates.retain(|name, _| name != "payment-due");
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;
    stage.json(&stranger, "POST", PATH, json!({})).await.refused(404, "not_found", &["payment-due"]);
    stage.json("herald_acme_x", "POST", PATH, json!({})).await.refused(401, "unauthorized", &[]);
    let key = stage.key_for(&stage.org, Scope::Read).await;
    stage.json(&key, "POST", "/v1/templates/nothing/preview", json!({})).await.refused(404, "not_found", &["nothing"]);
    stage.strike().await;
}
