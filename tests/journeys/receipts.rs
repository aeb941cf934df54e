//! What the provider reports about messages that it took.

use std::collections::BTreeMap;

use herald::{
    definitions,
    domain::{message::Status, run::RunStatus},
    sandbox::{Faults, Settings, twilio::sign},
    store::messages::MessageSearch,
};

use crate::{
    operator::buckets,
    support::{Database, Setup, Stage, bucket, phone, shipping},
};

pub async fn every_report_ends_in_its_bucket(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let told = [
        (90_003, Status::Undelivered, "unreachable", "30003"),
        (90_004, Status::Undelivered, "blocked", "30004"),
        (90_005, Status::Undelivered, "unknown_number", "30005"),
        (90_007, Status::Undelivered, "filtered", "30007"),
        (90_001, Status::Failed, "provider_queue_full", "30001"),
        (90_008, Status::Failed, "carrier_fault", "30008"),
        (91_211, Status::Failed, "invalid_number", "21211"),
        (91_610, Status::Failed, "opted_out", "21610"),
        (90_992, Status::Sent, "", ""),
        (90_995, Status::Sent, "", ""),
        (90_993, Status::Delivered, "", ""),
        (90_994, Status::Delivered, "", ""),
    ];
    let plain = 0..150;
    let numbers = told.iter().map(|(suffix, ..)| *suffix).chain(plain).map(phone);
    let run = stage.send("shipping-delay", &shipping(numbers)).await;
    let sums = stage.over(run).await;
    assert_eq!(
        buckets(&sums),
        [("sent", 2), ("failed", 4), ("undelivered", 4), ("delivered", 152)].into(),
        "{:?}",
        sums.tallies
    );
    stage.assert_adds_up(run, 162).await;
    let search = MessageSearch { run: Some(run), ..MessageSearch::default() };
    let messages = stage.app.store.search_messages(&stage.org, &search, 200).await.unwrap();
    for (suffix, status, code, provider_code) in told {
        let message = messages.iter().find(|message| message.to.to_string() == phone(suffix)).unwrap();
        let why = message.state.as_ref().unwrap().why.as_ref();
        let found = why.map_or(("", ""), |why| (why.reason.code(), why.provider_code.as_str()));
        assert_eq!((message.status(), found), (status, (code, provider_code)), "{suffix}");
    }
    // What the provider knows of an opt-out holds from now on.
    let again = stage.send("shipping-delay", &shipping([phone(91_610), phone(1)])).await;
    let sums = stage.over(again).await;
    assert_eq!(buckets(&sums), [("suppressed", 1), ("delivered", 1)].into());
    assert_eq!(bucket(&sums, Status::Suppressed, Some("opted_out")), 1);
    stage.strike().await;
}

pub async fn reports_that_come_twice_late_or_never(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    let numbers = |from: u32| shipping((from..from + 100).map(phone));

    let twice = Faults { duplicate_receipt: 1.0, reorder_receipts: 1.0, ..Faults::default() };
    stage.sandbox().set_faults(twice).unwrap();
    let run = stage.send("shipping-delay", &numbers(0)).await;
    assert_eq!(buckets(&stage.over(run).await), [("delivered", 100)].into());
    stage.assert_adds_up(run, 100).await;
    let receipts = stage.sandbox().summary().receipts;
    assert_eq!(
        (receipts.sent, receipts.duplicated, receipts.failed),
        (400, 200, 0),
        "two reports a message, each twice"
    );

    stage.sandbox().set_faults(Faults { lose_receipt: 1.0, ..Faults::default() }).unwrap();
    let run = stage.send("shipping-delay", &numbers(1_000)).await;
    assert_eq!(buckets(&stage.over(run).await), [("sent", 100)].into());
    stage.assert_adds_up(run, 100).await;

    let some = Faults { duplicate_receipt: 0.4, reorder_receipts: 0.4, lose_receipt: 0.3, ..Faults::default() };
    stage.sandbox().set_faults(some).unwrap();
    let undelivered = (2_000..2_100).map(phone).chain([phone(90_003), phone(90_005)]);
    let run = stage.send("shipping-delay", &shipping(undelivered)).await;
    let sums = stage.over(run).await;
    assert!(sums.of(Status::Sent) > 0 && sums.of(Status::Delivered) > 0, "{:?}", sums.buckets());
    assert_eq!(sums.of(Status::Sent) + sums.of(Status::Delivered) + sums.of(Status::Undelivered), 102);
    stage.assert_adds_up(run, 102).await;
    stage.strike().await;
}

/// A form post, signed as Twilio signs with this token.
async fn callback(stage: &Stage, path: &str, token: &str, fields: &[(&str, &str)]) -> u16 {
    let url = format!("{}{path}", stage.base_url);
    let headers = [
        ("x-twilio-signature", sign(token, &url, fields)),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    stage.post(&url, &headers, body).await.0
}

pub async fn callbacks_that_are_not_to_be_believed(database: Database) {
    let stage = Stage::set(Setup::new(database)).await;
    stage.sandbox().set_faults(Faults { lose_receipt: 1.0, ..Faults::default() }).unwrap();
    // A second organization, with a message of its own.
    let mut set = stage.set.clone();
    set.organization.id = "globex".parse().unwrap();
    let theirs = definitions::apply(&stage.app.store, &set, stage.app.clock.now(), rand::random).await.unwrap();
    let globex = set.organization.id.clone();
    let mut upload = stage.upload("shipping-delay", &shipping([phone(1)])).await;
    let ours = stage.begin(&upload).await.unwrap();
    upload.book = stage.app.organization(Some(&globex)).await.unwrap();
    upload.configuration = upload.book.configuration("shipping-delay").unwrap().clone();
    let run = stage.begin(&upload).await.unwrap();
    let message = herald::domain::id::MessageId { run, seq: 1 };
    let status = async || stage.app.store.message(&globex, message).await.unwrap().unwrap().status();
    stage.until("both messages are sent", async || (status().await == Status::Sent).then_some(())).await;
    stage.over(ours).await;

    let right = Settings::DEFAULT_AUTH_TOKEN;
    let fields = [("MessageSid", "SM00000000000000000000000000000001"), ("MessageStatus", "delivered")];
    let path = |token: &str, id: &dyn std::fmt::Display| format!("/callbacks/{token}?message={id}");
    let (mine, other) = (stage.applied.callback_tokens["twilio"].clone(), &theirs.callback_tokens["twilio"]);
    assert_eq!(callback(&stage, &path(&mine, &message), "another token", &fields).await, 403);
    assert_eq!(stage.post(&format!("{}/callbacks/{mine}", stage.base_url), &[], String::new()).await.0, 403);
    assert_eq!(callback(&stage, &path(&mine, &message), right, &[("garbage", "in")]).await, 400);
    for unknown in ["acme.00000000000000000000000000000000", "initech.00000000000000000000000000000000", "x"] {
        assert_eq!(callback(&stage, &path(unknown, &message), right, &fields).await, 404, "{unknown}");
    }
    let long = "x".repeat(stage.app.config.api.max_body_bytes + 1);
    assert_eq!(callback(&stage, &path(&mine, &message), right, &[("Body", &long)]).await, 413);
    let deleted = stage.client.delete(format!("{}/callbacks/{mine}", stage.base_url)).send().await.unwrap();
    assert_eq!(deleted.status().as_u16(), 405);

    // Genuine, but about another organization's message: taken, without effect, and counted.
    assert_eq!(callback(&stage, &path(&mine, &message), right, &fields).await / 100, 2);
    stage.quiet().await;
    assert_eq!(status().await, Status::Sent, "only its own organization's account can speak of it");
    let figures = stage.app.metrics.render();
    let unknown = "herald_callbacks_total{provider=\"twilio\",result=\"unknown_message\"} 1";
    assert!(figures.contains(unknown), "{figures}");
    // The same by its own account's address is believed.
    assert_eq!(callback(&stage, &path(other, &message), right, &fields).await / 100, 2);
    stage.until("it is delivered", async || (status().await == Status::Delivered).then_some(())).await;
    let sums: BTreeMap<_, _> = buckets(&stage.sums(ours).await);
    assert_eq!((sums, stage.run(ours).await.status), ([("sent", 1)].into(), RunStatus::Completed));
    stage.strike().await;
}
