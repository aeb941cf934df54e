//! Timelines, as a program reads them.

use herald::{
    definitions,
    domain::{
        contact::ChannelType,
        id::{ConsentChangeId, ConversationId, ReplyId},
        phone::E164,
        time::Timestamp,
    },
    store::{
        callbacks::Effects,
        consents::{Consent, ConsentChange},
        replies::NewReply,
    },
};
use serde_json::{Value, json};

use crate::{
    assert_problem, redacted, stage,
    support::{Database, Setup, Stage, phone},
};

/// A file for `case-resolved`: so many rows to one person, about one case.
fn resolved(rows: usize) -> String {
    let row = format!("{},yes,fr-CA,Ana,Porte,incident_msdyn_ocoutboundmessages,CAS-7\n", phone(7));
    format!("to,optin,locale,CustomerName,CaseName,entityrelationshipname,regardingobjectid\n{}", row.repeat(rows))
}

fn person() -> E164 {
    E164::parse(&phone(7), None).unwrap()
}

impl Stage {
    /// The person has written, and said STOP.
    async fn has_answered(&self, at: Timestamp) {
        let reply = |n: u128| NewReply {
            id: ReplyId::new(at, n << 100),
            channel: "support-sms".into(),
            channel_type: ChannelType::Sms,
            provider_id: format!("SM{n}"),
            from: person(),
            text: format!("Merci {n}"),
            media: vec![],
            media_refused: 0,
            keyword: "",
            answers: None,
            opens: ConversationId::new(at, n << 100),
            locale: String::new(),
            received_at: at,
        };
        let consents = [(1u128, ChannelType::Sms), (2, ChannelType::WhatsApp)].map(|(n, channel_type)| ConsentChange {
            id: ConsentChangeId::new(at, n << 100),
            channel_type,
            of: person(),
            consent: Consent::Out,
            source: "import".into(),
            actor: "operator".into(),
            at,
        });
        let effects = Effects { replies: vec![reply(1), reply(2)], consents: consents.into(), ..Effects::default() };
        self.app.store.apply_callbacks(&self.org, &[], &effects).await.unwrap();
    }

    /// Every page of a timeline, its items' ids, and how long each page was.
    async fn pages(&self, path: &str, key: &str) -> (Vec<String>, Vec<usize>) {
        let (mut seen, mut lengths, mut next) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{next}"), key).await;
            let items = page["timeline"].as_array().unwrap();
            lengths.push(items.len());
            seen.extend(items.iter().map(|item| format!("{} {}", item["kind"], item["id"])));
            let Some(after) = page["next"].as_str() else { return (seen, lengths) };
            next = format!("{}after={after}", if path.contains('?') { "&" } else { "?" });
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_timeline_looks_like() {
    let stage = stage().await;
    let (key, _) = stage.key(&stage.org).await;
    let run = stage.send("case-resolved", &resolved(2)).await;
    stage.over(run).await;
    stage.has_answered(stage.app.clock.now()).await;
    let path = format!("/v1/contacts/{}/timeline", phone(7));
    let page = stage.get(&path, &key).await;
    insta::assert_json_snapshot!("timeline", redacted(page.clone()));
    assert_eq!(stage.get(&path.replace('+', "%2B"), &key).await, page, "a plus may be encoded");
    let of_case = stage.get("/v1/timeline?regarding=CAS-7", &key).await;
    assert_eq!(of_case["timeline"], json!(page["timeline"].as_array().unwrap()[4..]));
    assert_eq!(of_case["regarding"], "CAS-7");

    // What it was made of has gone: the rest is still told.
    stage.number("UPDATE messages SET slugs = '' RETURNING 1").await;
    let erased = stage.get("/v1/timeline?regarding=CAS-7", &key).await;
    let told = |page: &Value| (page["timeline"][0]["text"].clone(), page["timeline"][0]["text_missing"].clone());
    assert_eq!(told(&erased), (Value::Null, "it was erased".into()));
    stage.number("UPDATE messages SET slugs = '{}' RETURNING 1").await;
    let erased = stage.get("/v1/timeline?regarding=CAS-7", &key).await;
    assert_eq!(told(&erased), (Value::Null, "the contact has no value for CustomerName".into()));
    assert_eq!(erased["timeline"].as_array().unwrap().len(), 2);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_timeline_after_another() {
    let stage = stage().await;
    let (key, _) = stage.key(&stage.org).await;
    let first = stage.send("case-resolved", &resolved(60)).await;
    stage.over(first).await;
    // Everything of these three kinds at one time, between two runs.
    stage.has_answered(stage.run(first).await.created_at).await;
    let second = stage.send("case-resolved", &format!("{}\n", resolved(60))).await;
    stage.over(second).await;
    let path = format!("/v1/contacts/{}/timeline", phone(7));
    let (seen, lengths) = stage.pages(&path, &key).await;
    assert_eq!((lengths, seen.len()), (vec![50, 50, 24], 124));
    let messages = |run| (1..=60).rev().map(move |seq| format!("\"message\" \"{}_{seq}\"", run_part(run)));
    let (of_case, _) = stage.pages("/v1/timeline?regarding=CAS-7", &key).await;
    assert_eq!(of_case, messages(second).chain(messages(first)).collect::<Vec<_>>());
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 124, "each once");
    assert_eq!(seen.iter().filter(|item| item.contains("message")).cloned().collect::<Vec<_>>(), of_case);

    // What happens meanwhile does not move the place where the next page begins.
    let page = stage.get(&path, &key).await;
    let next = format!("{path}?after={}", page["next"].as_str().unwrap());
    let before = stage.get(&next, &key).await;
    let third = stage.send("case-resolved", &format!("{}\n\n", resolved(3))).await;
    stage.over(third).await;
    assert_eq!(stage.get(&next, &key).await, before);
    stage.strike().await;
}

fn run_part(run: herald::domain::id::RunId) -> String {
    run.to_string().replacen("run_", "msg_", 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_timeline_and_whose_not() {
    let mut setup = Setup::new(Database::Sqlite);
    setup.set.organization.default_country = Some("DE".parse().unwrap());
    let stage = Stage::set(setup).await;
    let mut other = stage.set.clone();
    other.organization.id = "globex".parse().unwrap();
    other.organization.default_country = None;
    definitions::apply(&stage.app.store, &other, stage.app.clock.now(), rand::random).await.unwrap();
    let run = stage.send("case-resolved", &resolved(1)).await;
    stage.over(run).await;
    stage.has_answered(stage.app.clock.now()).await;
    let (key, _) = stage.key(&stage.org).await;
    let (stranger, _) = stage.key(&other.organization.id).await;

    let whole = stage.get(&format!("/v1/contacts/{}/timeline", phone(7)), &key).await;
    assert_eq!(whole["timeline"].as_array().unwrap().len(), 5);
    for written in ["0151%2055500007", "0151-555-00007", "%2B49%20(151)%2055500007"] {
        assert_eq!(stage.get(&format!("/v1/contacts/{written}/timeline"), &key).await, whole, "{written}");
    }
    let empty = json!({ "contact": phone(7), "timeline": [], "next": null });
    assert_eq!(stage.get(&format!("/v1/contacts/{}/timeline", phone(7)), &stranger).await, empty);
    let empty = json!({ "regarding": "CAS-7", "timeline": [], "next": null });
    assert_eq!(stage.get("/v1/timeline?regarding=CAS-7", &stranger).await, empty);

    for (who, path, status, code) in [
        (Some(&stranger), "/v1/contacts/0151-555-00007/timeline", 400, "invalid_number"),
        (Some(&key), "/v1/contacts/12/timeline", 400, "invalid_number"),
        (Some(&key), "/v1/contacts/%FF%FE/timeline", 400, "invalid_number"),
        (Some(&key), "/v1/contacts/%20/timeline", 400, "invalid_number"),
        (Some(&key), "/v1/contacts/+4915155500007/timeline?after=yesterday", 400, "invalid_cursor"),
        (Some(&key), "/v1/contacts/+4915155500007/timeline?before=x", 400, "invalid_query"),
        (Some(&key), "/v1/contacts/+4915155500007", 404, "not_found"),
        (Some(&key), "/v1/timeline", 400, "invalid_query"),
        (Some(&key), "/v1/timeline?regarding=%20", 400, "invalid_query"),
        (Some(&key), "/v1/timeline?regarding=x&after=1.run_x", 400, "invalid_cursor"),
        (None, "/v1/contacts/+4915155500007/timeline", 401, "unauthorized"),
        (None, "/v1/timeline?regarding=CAS-7", 401, "unauthorized"),
    ] {
        let bearer = who.map(|key| format!("Bearer {key}"));
        assert_problem(&stage.ask(reqwest::Method::GET, path, bearer.as_deref()).await, status, code, path);
    }
    stage.strike().await;
}
