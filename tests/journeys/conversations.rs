//! A conversation from its first message to its end: what people write, what they are answered, and what may not be answered any
//! more.

use std::time::Duration;

use herald::http::keys::Scope;
use serde_json::{Value, json};

use crate::support::{Database, Setup, Stage, phone, shipping};

const HOUR: Duration = Duration::from_hours(1);

/// The direction and text of everything in a conversation.
fn said(thread: &Value) -> Vec<(&str, &str)> {
    thread["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["direction"].as_str().unwrap(), message["text"].as_str().unwrap()))
        .collect()
}

impl Stage {
    /// The contact's conversations, newest first.
    async fn conversations(&self, key: &str, of: &str) -> Vec<Value> {
        let path = format!("/v1/conversations?contact={}", of.replace('+', "%2B"));
        let listed = self.json(key, "GET", &path, Value::Null).await.good(200);
        listed["conversations"].as_array().unwrap().clone()
    }

    async fn thread(&self, key: &str, conversation: &Value) -> Value {
        let path = format!("/v1/conversations/{}", conversation["id"].as_str().unwrap());
        self.json(key, "GET", &path, Value::Null).await.good(200)
    }
}

pub async fn a_conversation_goes_on_until_it_is_ended(database: Database) {
    let stage = Stage::set(Setup::new(database).with_whatsapp()).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let person = phone(1);
    let run = stage.send("shipping-delay", &shipping([person.clone()]).replacen(",yes,en,", ",yes,fr-CA,", 1)).await;
    stage.over(run).await;

    stage.writes("SM1", &person, "Where is it?").await;
    let opened = stage.conversations(&key, &person).await.remove(0);
    assert_eq!((opened["state"].as_str(), opened["messages"].as_i64()), (Some("open"), Some(1)), "{opened}");
    assert_eq!((opened["channel"].as_str(), opened["locale"].as_str()), (Some("support-sms"), Some("fr")), "{opened}");
    assert_eq!(opened["about"].as_str().unwrap(), format!("msg_{}_1", &run.to_string()[4..]));
    assert!(opened.get("window_closes_at").is_none(), "SMS has no window: {opened}");

    // The second is appended; the first once more is the first.
    stage.writes("SM2", &person, "Hello?").await;
    stage.writes("SM1", &person, "Where is it?").await;
    let path = format!("/v1/conversations/{}/messages", opened["id"].as_str().unwrap());
    let headers = [("content-type", "application/json"), ("idempotency-key", "one")];
    let answer = async || stage.call(&key, "POST", &path, &headers, json!({ "text": "On its way" }).to_string()).await;
    let (first, again) = (answer().await, answer().await);
    assert_eq!((first.replayed, again.replayed, &first.body), (false, true, &again.body));
    let answered = first.good(202);
    let message = answered["message"]["id"].as_str().unwrap().to_owned();
    stage.writes("SM3", &person, "Thanks").await;
    let thread = stage.thread(&key, &opened).await;
    assert_eq!(
        said(&thread),
        [("inbound", "Where is it?"), ("inbound", "Hello?"), ("outbound", "On its way"), ("inbound", "Thanks")]
    );
    let quoted = &thread["messages"][0]["answers"];
    assert_eq!(quoted["id"], opened["about"]);
    assert!(quoted["text"].as_str().unwrap().starts_with("Bonjour Ana"), "{quoted}");
    assert_eq!(thread["messages"][2]["id"].as_str(), Some(message.as_str()));

    // It is a message like any other: of a run of the day, on the lane that goes before all others.
    let of_message = format!("/v1/messages/{message}");
    let shown = stage
        .until("the answer is delivered", async || {
            let shown = stage.json(&key, "GET", &of_message, Value::Null).await.good(200);
            (shown["message"]["status"] == "delivered").then_some(shown)
        })
        .await;
    assert_eq!(stage.texts_to(&person).last().map(String::as_str), Some("On its way"), "once, and after the first");
    assert_eq!(stage.texts_to(&person).len(), 2);
    assert_eq!(stage.thread(&key, &opened).await["messages"][2]["status"].as_str(), Some("delivered"));
    assert_eq!(shown["message"]["to"].as_str(), Some(person.as_str()));
    let run = shown["message"]["run"].as_str().unwrap();
    let run = stage.json(&key, "GET", &format!("/v1/runs/{run}"), Value::Null).await.good(200)["run"].clone();
    assert_eq!(
        (run["configuration"].as_str(), run["priority"].as_str()),
        (Some("answers"), Some("automatic")),
        "{run}"
    );

    let end = format!("/v1/conversations/{}/end", opened["id"].as_str().unwrap());
    let ended = stage.json(&key, "POST", &end, Value::Null).await.good(200)["conversation"].clone();
    assert_eq!(ended["state"].as_str(), Some("ended"), "{ended}");
    assert!(ended["ended_by"].as_str().unwrap().starts_with("api key_"), "{ended}");
    assert_eq!(stage.json(&key, "POST", &end, Value::Null).await.good(200)["conversation"], ended, "once and for all");
    let late = stage.json(&key, "POST", &path, json!({ "text": "Too late" })).await;
    late.refused(409, "conversation_ended", &["has ended", "when the contact writes"]);
    stage.writes("SM2", &person, "Hello?").await;
    assert_eq!(stage.conversations(&key, &person).await.len(), 1, "what is known opens nothing");
    stage.writes("SM4", &person, "One more thing").await;
    let all = stage.conversations(&key, &person).await;
    assert_eq!(all.len(), 2, "an ended conversation is never opened again");
    assert_eq!((said(&stage.thread(&key, &all[0]).await), &all[1]), (vec![("inbound", "One more thing")], &ended));
    stage.strike().await;
}

pub async fn whatsapp_is_answered_for_a_day(database: Database) {
    let stage = Stage::set(Setup::new(database).with_whatsapp()).await;
    let key = stage.key_for(&stage.org, Scope::Send).await;
    let person = phone(2);
    stage.writes_on_whatsapp("SM1", &person, "Is anybody there?").await;
    // The same number at the same provider is another channel, and another conversation.
    stage.writes("SM2", &person, "By SMS then").await;
    let all = stage.conversations(&key, &person).await;
    let channels: Vec<_> = all.iter().map(|one| one["channel"].as_str().unwrap()).collect();
    assert_eq!(channels, ["support-sms", "support-whatsapp"]);
    let opened = &all[1];
    assert_eq!(opened["locale"].as_str(), Some("de"), "the channel's, as nothing was sent before: {opened}");
    let time = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let open_for = time(&opened["window_closes_at"]) - time(&opened["last_inbound_at"]);
    assert_eq!(open_for.num_hours(), 24);

    let path = format!("/v1/conversations/{}/messages", opened["id"].as_str().unwrap());
    let answer = async |text: &str| stage.json(&key, "POST", &path, json!({ "text": text })).await;
    stage.hand.advance(HOUR * 23);
    answer("Yes").await.good(202);
    stage.hand.advance(HOUR);
    let closed = answer("Still there?").await;
    closed.refused(422, "session_closed", &["24 hours", "last wrote at", "window closed at", "approved template"]);
    assert!(closed.body["detail"].as_str().unwrap().contains(opened["window_closes_at"].as_str().unwrap()));
    let by_sms = format!("/v1/conversations/{}/messages", all[0]["id"].as_str().unwrap());
    stage.json(&key, "POST", &by_sms, json!({ "text": "By SMS" })).await.good(202);
    stage.writes("SM3", &person, "Nor does SMS open it").await;
    answer("Still there?").await.refused(422, "session_closed", &[]);
    stage.writes_on_whatsapp("SM4", &person, "Here I am").await;
    answer("Good").await.good(202);
    let thread = stage.thread(&key, opened).await;
    assert_eq!(
        said(&thread),
        [("inbound", "Is anybody there?"), ("outbound", "Yes"), ("inbound", "Here I am"), ("outbound", "Good")]
    );
    stage.strike().await;
}

pub async fn who_says_stop_is_not_answered(database: Database) {
    let mut setup = Setup::new(database).with_whatsapp();
    setup.config.keywords.stop = [("es".to_owned(), vec!["BAJA".to_owned()])].into();
    setup.config.keywords.yes = [("de".to_owned(), vec!["Ja".to_owned()])].into();
    let stage = Stage::set(setup).await;
    let key = stage.key_for(&stage.org, Scope::Admin).await;
    let person = phone(3);
    stage.writes("SM1", &person, "Ja").await;
    let conversation = stage.conversations(&key, &person).await.remove(0);
    let path = format!("/v1/conversations/{}/messages", conversation["id"].as_str().unwrap());
    let answer = async || stage.json(&key, "POST", &path, json!({ "text": "Hello" })).await;
    answer().await.good(202);
    for (id, stop, start) in [("a", "Stop.", "START"), ("b", "¡Baja!", "ja"), ("c", "STOP", "YES")] {
        stage.writes(&format!("SM2{id}"), &person, stop).await;
        answer().await.refused(409, "opted_out", &["opted out of sms", "START"]);
        stage.writes(&format!("SM3{id}"), &person, start).await;
        answer().await.good(202);
    }
    let of = format!("/v1/consents/{}", person.replace('+', "%2B"));
    let consent = stage.json(&key, "GET", &of, Value::Null).await.good(200);
    assert_eq!(consent["consents"][0]["state"].as_str(), Some("opted_in"), "{consent}");
    assert_eq!(consent["consents"][1]["state"].as_str(), Some("unknown"), "WhatsApp is another matter: {consent}");
    let history: Vec<(&str, &str, &str)> = consent["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let text = |name: &str| change[name].as_str().unwrap();
            (text("state"), text("source"), text("actor"))
        })
        .collect();
    let (stop, start) = (("opted_out", "reply STOP", "contact"), ("opted_in", "reply START", "contact"));
    assert_eq!(history, [start, stop, start, stop, start, stop], "who, when, how: {consent}");
    let keywords: Vec<_> = stage.thread(&key, &conversation).await["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["direction"] == "inbound")
        .map(|message| message["keyword"].as_str().unwrap_or("-").to_owned())
        .collect();
    assert_eq!(keywords, ["-", "stop", "start", "stop", "start", "stop", "start"]);
    stage.strike().await;
}
