//! Conversations by API: who may read and answer them, what an answer must be, and the same answer asked for twice.

use herald::{definitions, http::keys::Scope};
use serde_json::{Value, json};

use crate::support::{Database, Setup, Stage, people::Called, phone};

/// A stage on which the first person has written to the SMS channel; the conversation's path, and keys that may read and send.
async fn stage() -> (Stage, String, String, String) {
    let stage = Stage::set(Setup::new(Database::Sqlite).with_whatsapp()).await;
    stage.writes("SM1", &phone(1), "Hello").await;
    let reads = stage.key_for(&stage.org, Scope::Read).await;
    let sends = stage.key_for(&stage.org, Scope::Send).await;
    let listed = stage.json(&reads, "GET", "/v1/conversations", Value::Null).await.good(200);
    let path = format!("/v1/conversations/{}", listed["conversations"][0]["id"].as_str().unwrap());
    (stage, path, reads, sends)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_read_and_answer() {
    let (stage, path, reads, sends) = stage().await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let stranger = stage.key_for(&other.organization.id, Scope::Admin).await;
    let (messages, end) = (format!("{path}/messages"), format!("{path}/end"));
    let answer = json!({ "text": "Hi" });

    for (method, path, body) in [("POST", &messages, answer.clone()), ("POST", &end, Value::Null)] {
        let refused = stage.json(&reads, method, path, body).await;
        refused.refused(403, "forbidden", &["scope read", "send or admin", "herald key create NAME --scope send"]);
        stage.json("herald_acme_x", method, path, answer.clone()).await.refused(401, "unauthorized", &[]);
    }
    // Another organization's conversation is not there, whatever its key may do.
    for (method, path, body) in
        [("GET", &path, Value::Null), ("POST", &messages, answer.clone()), ("POST", &end, Value::Null)]
    {
        stage.json(&stranger, method, path, body).await.refused(404, "not_found", &["there is no conversation"]);
    }
    let theirs = stage.json(&stranger, "GET", "/v1/conversations", Value::Null).await.good(200);
    assert_eq!(theirs, json!({ "conversations": [], "next": null }));
    let shown = stage.json(&reads, "GET", &path, Value::Null).await.good(200);
    assert_eq!(
        (shown["conversation"]["state"].as_str(), shown["messages"].as_array().unwrap().len()),
        (Some("open"), 1)
    );
    for path in ["/v1/conversations/nonsense", "/v1/conversations/cnv_00000000000000000000000000"] {
        stage.json(&reads, "GET", path, Value::Null).await.refused(404, "not_found", &["there is no conversation"]);
        stage.json(&sends, "POST", &format!("{path}/messages"), answer.clone()).await.refused(404, "not_found", &[]);
        stage.json(&sends, "POST", &format!("{path}/end"), Value::Null).await.refused(404, "not_found", &[]);
    }
    let admin = stage.key_for(&stage.org, Scope::Admin).await;
    stage.json(&admin, "POST", &messages, answer).await.good(202);
    stage.json(&admin, "POST", &end, Value::Null).await.good(200);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_answer_must_be() {
    let (stage, path, _, sends) = stage().await;
    let path = format!("{path}/messages");
    let json = ("content-type", "application/json");
    for (body, status, code) in [
        ("{", 400, "invalid_body"),
        ("[]", 422, "invalid_body"),
        ("{\"text\": 5}", 422, "invalid_body"),
        ("{\"text\": \"Hi\", \"to\": \"+4915155500001\"}", 422, "invalid_body"),
        ("{\"media\": []}", 422, "invalid_body"),
    ] {
        stage.call(&sends, "POST", &path, &[json], body).await.refused(status, code, &[]);
    }
    stage.call(&sends, "POST", &path, &[], "{\"text\": \"Hi\"}").await.refused(415, "unsupported_media_type", &[]);
    stage.call(&sends, "POST", &path, &[json], "x".repeat(2 << 20)).await.refused(413, "body_too_large", &[]);
    stage.call(&sends, "POST", &path, &[json, ("idempotency-key", " ")], "{\"text\": \"Hi\"}").await.refused(
        400,
        "invalid_idempotency_key",
        &["1 to 255"],
    );

    let wrong = stage.json(&sends, "POST", &path, json!({ "text": "é".repeat(1601), "media": ["ftp://x"] })).await;
    wrong.refused(422, "invalid_answer", &["1601 characters"]);
    let pointers: Vec<_> =
        wrong.body["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/text", "/media/0"]);
    // The SMS channel sends no attachments; the WhatsApp channel does.
    let with_media = json!({ "text": "Look", "media": ["https://files.example/1.pdf"] });
    let refused = stage.json(&sends, "POST", &path, with_media.clone()).await;
    refused.refused(422, "media_not_allowed", &["support-sms", "attachments.from_organization"]);
    stage.writes_on_whatsapp("SM2", &phone(1), "Hello").await;
    let listed = stage.json(&sends, "GET", "/v1/conversations?channel=support-whatsapp", Value::Null).await.good(200);
    let whatsapp = format!("/v1/conversations/{}", listed["conversations"][0]["id"].as_str().unwrap());
    stage.json(&sends, "POST", &format!("{whatsapp}/messages"), with_media).await.good(202);
    let thread = stage.json(&sends, "GET", &whatsapp, Value::Null).await.good(200);
    let sent = &thread["messages"][1];
    assert_eq!((sent["media"].as_array().unwrap().len(), sent["direction"].as_str()), (1, Some("outbound")), "{sent}");
    assert!(sent["author"].as_str().unwrap().starts_with("api key_"), "{sent}");
    // What the contact attaches is kept on neither: only the SMS channel takes it.
    for (id, to, kept, refused) in [("SM3", "+14252306549", 1, 0), ("SM4", "whatsapp:+14155238886", 0, 1)] {
        let from = if to.starts_with('w') { format!("whatsapp:{}", phone(4)) } else { phone(4) };
        let fields = [
            ("MessageSid", id),
            ("From", &from),
            ("To", to),
            ("Body", "Look"),
            ("NumMedia", "1"),
            ("MediaUrl0", "https://m.example/1"),
        ];
        stage.posts(&fields).await;
        let path = format!("/v1/conversations?contact=%2B{}", &phone(4)[1..]);
        let newest = stage.json(&sends, "GET", &path, Value::Null).await.good(200)["conversations"][0].clone();
        let thread = stage
            .json(&sends, "GET", &format!("/v1/conversations/{}", newest["id"].as_str().unwrap()), Value::Null)
            .await
            .good(200);
        let reply = &thread["messages"][0];
        assert_eq!(
            (reply["media"].as_array().unwrap().len(), reply["media_refused"].as_i64()),
            (kept, Some(refused)),
            "{reply}"
        );
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_answer_asked_for_twice() {
    let (stage, path, _, sends) = stage().await;
    let path = format!("{path}/messages");
    let ask = async |key: &str, text: &str| -> Called {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        stage.call(&sends, "POST", &path, &headers, json!({ "text": text }).to_string()).await
    };
    let first = ask("one", "Hello").await;
    assert_eq!((first.status, first.replayed), (202, false), "{}", first.body);
    stage.hand.advance(std::time::Duration::from_mins(5));
    let again = ask("one", "Hello").await;
    assert_eq!((again.status, again.replayed), (202, true));
    assert_eq!(again.body, first.body);
    ask("one", "Something else").await.refused(422, "idempotency_key_reused", &["another answer"]);
    let second = ask("two", "Hello").await;
    assert_eq!((second.status, second.replayed), (202, false));
    assert_ne!(second.body["message"]["id"], first.body["message"]["id"]);
    let thread = stage.json(&sends, "GET", path.trim_end_matches("/messages"), Value::Null).await.good(200);
    assert_eq!(thread["messages"].as_array().unwrap().len(), 3, "{thread}");
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_conversations_after_another() {
    let stage = Stage::set(Setup::new(Database::Sqlite).with_whatsapp()).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    for n in 0..105 {
        stage.writes(&format!("SM{n}"), &phone(n), "Hello").await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/conversations?state=open&channel=support-sms".to_owned();
    loop {
        let page = stage.json(&key, "GET", &path, Value::Null).await.good(200);
        let contacts = page["conversations"].as_array().unwrap();
        seen.push(contacts.iter().map(|one| one["contact"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/conversations?state=open&channel=support-sms&after={next}");
    }
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [100, 5]);
    assert_eq!(seen.concat(), (0..105).rev().map(phone).collect::<Vec<_>>(), "newest first");
    for (query, code) in [
        ("state=asleep", "invalid_query"),
        ("contact=12", "invalid_query"),
        ("after=x", "invalid_cursor"),
        ("colour=red", "invalid_query"),
    ] {
        let refused = stage.json(&key, "GET", &format!("/v1/conversations?{query}"), Value::Null).await;
        refused.refused(400, code, &[]);
    }
    // And of what was said in one.
    for n in 0..103 {
        stage.writes(&format!("SN{n}"), &phone(7), &format!("{n}")).await;
    }
    let listed =
        stage.json(&key, "GET", &format!("/v1/conversations?contact={}", phone(7)), Value::Null).await.good(200);
    let path = format!("/v1/conversations/{}", listed["conversations"][0]["id"].as_str().unwrap());
    let first = stage.json(&key, "GET", &path, Value::Null).await.good(200);
    assert_eq!((first["messages"].as_array().unwrap().len(), first["next"].as_i64()), (100, Some(100)));
    let rest = stage.json(&key, "GET", &format!("{path}?after=100"), Value::Null).await.good(200);
    let texts: Vec<_> = rest["messages"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert_eq!((texts, &rest["next"]), (vec!["99", "100", "101", "102"], &Value::Null));
    stage.strike().await;
}
