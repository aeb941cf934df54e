//! What messages leave on the timelines of a contact and of a case.

use std::time::Duration;

use herald::{
    domain::{definition::Trigger, run::RunStatus, time::Span},
    http::timeline::items,
    inbound::timeline::Timelines,
    sandbox::Faults,
};
use serde_json::{Value, json};

use crate::{
    automatic::case,
    operator::buckets,
    support::{Database, Setup, Stage, phone, shipping},
};

/// A number that the provider refuses, and one whose handset is off.
const REFUSED: u32 = 91_211;
const OFF: u32 = 90_003;
/// Answers "STOP".
const STOPS: u32 = 97_867;

impl Stage {
    /// The timeline of a case, as the API shows it.
    async fn case(&self, id: &str) -> Vec<Value> {
        let timelines = Timelines { store: self.app.store.clone(), books: self.app.books.clone() };
        let book = self.app.organization(Some(&self.org)).await.unwrap();
        let page = timelines.regarding(&book, id, None, self.app.clock.now()).await.unwrap();
        items(&page).iter().map(|item| json!(item)).collect()
    }

    /// State, status and code of the one message about a case.
    async fn stands(&self, id: &str) -> Option<(String, String, Value)> {
        let case = self.case(id).await;
        assert!(case.len() < 2, "{case:?}");
        let text = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
        case.first().map(|item| (text(item, "state"), text(item, "status"), item["code"].clone()))
    }

    async fn until_it_stands(&self, id: &str, state: &str, status: &str) -> Value {
        self.until(&format!("{id} is {state}, {status}"), async || {
            let (found, is, code) = self.stands(id).await?;
            ((found.as_str(), is.as_str()) == (state, status)).then_some(code)
        })
        .await
    }
}

pub async fn a_case_has_a_timeline(database: Database) {
    let mut setup = Setup::new(database);
    let created = setup.set.configurations.get_mut("case-created").unwrap();
    if let Trigger::Automatic { delay, .. } = &mut created.trigger {
        *delay = Some(Span(Duration::from_secs(900)));
    }
    let stage = Stage::set(setup).await;
    stage.sandbox().set_faults(Faults { lose_receipt: 1.0, ..Faults::default() }).unwrap();
    for (nth, language) in [(1, "de"), (REFUSED, "en")] {
        assert!(stage.event(&format!("evt_{nth}"), &case(nth, language, "Door", "high")).await);
    }
    stage.until("it is made a message", async || stage.stands("CAS-1").await).await;
    assert_eq!(stage.stands("CAS-1").await.unwrap(), ("scheduled".into(), "queued".into(), Value::Null));
    let run = stage.app.store.runs(&stage.org, None, 9).await.unwrap()[0].id;
    let due: Value = stage.case("CAS-1").await[0]["due_at"].clone();
    let created: chrono::DateTime<chrono::Utc> =
        stage.case("CAS-1").await[0]["created_at"].as_str().unwrap().parse().unwrap();
    let due = due.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    // Whoever shares the request may come a little later, and nobody waits less than what is asked for.
    let company = stage.app.config.intake.coalesce;
    assert!(
        (created + Duration::from_secs(900) - company..=created + Duration::from_secs(900) + company).contains(&due)
    );

    assert!(stage.app.store.stop_run(&stage.org, run, "paused", "for a look").await.unwrap());
    stage.hand.advance(Duration::from_secs(901));
    assert_eq!(stage.stands("CAS-1").await.unwrap(), ("open".into(), "queued".into(), Value::Null));
    assert!(stage.app.store.resume_run(&stage.org, run, stage.app.clock.now()).await.unwrap());
    assert_eq!(stage.until_it_stands("CAS-1", "completed", "sent").await, Value::Null);
    let code = stage.until_it_stands(&format!("CAS-{REFUSED}"), "cancelled", "failed").await;
    assert_eq!(code, "invalid_number");
    let refused = &stage.case(&format!("CAS-{REFUSED}")).await[0];
    assert_eq!((&refused["provider_code"], &refused["sent_on"]), (&json!("21211"), &Value::Null));
    assert!(refused["reason"].as_str().unwrap().starts_with("The provider does not accept the recipient's number."));
    let sent = &stage.case("CAS-1").await[0];
    assert!(sent["sent_on"].is_string() && sent["due_at"].is_null(), "{sent}");
    assert_eq!([sent["text"].as_str().unwrap()], *stage.texts_to(&phone(1)), "what was sent is what is shown");

    // Receipts, late ones too, move it on; a contact's own timeline has what they answered, and what that meant.
    stage.sandbox().set_faults(Faults::default()).unwrap();
    stage.listen().await;
    for nth in [OFF, STOPS] {
        assert!(stage.event(&format!("evt_{nth}"), &case(nth, "en", "Window", "high")).await);
    }
    stage.until("both are made messages", async || stage.stands(&format!("CAS-{STOPS}")).await).await;
    stage.hand.advance(Duration::from_secs(901));
    stage.until_it_stands(&format!("CAS-{STOPS}"), "completed", "delivered").await;
    assert_eq!(stage.until_it_stands(&format!("CAS-{OFF}"), "cancelled", "undelivered").await, "unreachable");
    stage.day("case-created", 4).await;
    let (page, code) = stage.herald(&["timeline", &phone(STOPS)]).await;
    let told: Vec<(&str, &str)> = page["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["kind"].as_str().unwrap(), item["subject"].as_str().unwrap()))
        .collect();
    assert_eq!(code, 0);
    assert_eq!(
        told,
        [("consent", "Opted out of SMS"), ("reply", "Inbound SMS"), ("message", "Outbound SMS: case-created")]
    );
    assert_eq!(page["timeline"][1]["answers"], page["timeline"][2]["id"], "{page}");
    let (page, _) = stage.herald(&["timeline", "--regarding", "CAS-1"]).await;
    assert_eq!((page["timeline"].as_array().unwrap().len(), &page["timeline"][0]["receiver"]), (1, &json!(phone(1))));
    let (_, code) = stage.herald(&["timeline", "12"]).await;
    assert_eq!(code, 2);
    stage.strike().await;
}

pub async fn what_is_about_nothing_is_sent_and_leaves_no_activity(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    assert!(stage.event("evt_1", &case(1, "en", "Door", "high").replace("\"id\":\"CAS-1\",", "")).await);
    assert!(stage.event("evt_2", &case(2, "en", "Door", "high")).await);
    let run = stage.day("case-created", 2).await;
    assert_eq!(buckets(&stage.sums(run).await), [("delivered", 2)].into());
    let (shown, _) = stage.herald(&["run", "show", &run.to_string()]).await;
    let warnings = shown["run"]["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1);
    let warning = warnings[0].as_str().unwrap();
    assert!(
        warning.starts_with("1 of 2 messages leave no activity") && warning.contains("regardingobjectid"),
        "{warning}"
    );
    assert_eq!(stage.number("SELECT COUNT(*) FROM activities").await, 1);

    // A file's columns say the same as an event's values.
    let file = "to,optin,CustomerName,CaseName,entityrelationshipname,regardingobjectid\n\
                +4915155500003,yes,Ana,Door,incident,CAS-3\n+4915155500004,no,Ana,Door,incident,CAS-4\n+4915155500005,yes,Ana,Door,,CAS-5\n";
    let run = stage.send("case-resolved", file).await;
    assert_eq!(buckets(&stage.over(run).await), [("delivered", 2), ("suppressed", 1)].into());
    assert_eq!((stage.run(run).await.unlinked, stage.run(run).await.status), (1, RunStatus::Completed));
    assert_eq!(stage.stands("CAS-3").await.unwrap(), ("completed".into(), "delivered".into(), Value::Null));
    assert_eq!(stage.stands("CAS-4").await.unwrap(), ("cancelled".into(), "suppressed".into(), json!("not_opted_in")));
    assert_eq!(stage.stands("CAS-5").await, None);

    // Off, there is nothing to warn of and nothing to show.
    let run = stage.send("shipping-delay", &shipping([phone(6)])).await;
    stage.over(run).await;
    assert_eq!((stage.run(run).await.unlinked, stage.number("SELECT COUNT(*) FROM activities").await), (0, 3));
    let (page, _) = stage.herald(&["timeline", &phone(6)]).await;
    assert_eq!(page, json!({ "timeline": [], "next": null }));
    stage.strike().await;
}
